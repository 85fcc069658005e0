"""Stations of an operator's file in queries, pages, charts and roll-ups."""

from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from flask10x.config.settings import Settings
from flask10x.config.station_keys import RESERVED_COLUMNS
from flask10x.database import station_columns
from flask10x.database.database import Database
from flask10x.database.insert import insert_rows, row_of
from flask10x.errors import QueryError
from flask10x.history import charts, formats, pages, rollups
from flask10x.history.parameters import HTML, JSON, SERIES, parse_query
from flask10x.history.query import OPERATORS, Query
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations
from tests.support import compared_rollups
from tests.support.rows import select
from tests.support.stations import HOUSE

HOUR = 3_600_000
# 2025-08-24 09:00:00 in Tokyo, the zone of the tests; a whole hour of UTC.
NINE = 1_755_993_600_000


def station(endpoint: str, *columns: str) -> Station:
    return Station(
        endpoint=endpoint,
        label=endpoint,
        csv_name=f"{endpoint}.csv",
        measurements=tuple(
            Measurement(
                path=column, column=column, quantity=column, csv_header=column, unit="", minimum=-9
            )
            for column in columns
        ),
    )


# Words of SQL, and what our statements call their own parts.
AWKWARD = Stations(
    (
        station("a-b", "order", "group", "select", "number", "rows", "filter0"),
        station("null", "values", "group", "low_ms", "bucket_ms", "after_id_", "most", "x__gte"),
    )
)


def stored(database: Database, stations: Stations, *readings: Reading) -> Database:
    station_columns.fit(database, stations)
    with database.commit() as connection:
        insert_rows(connection, stations, [row_of(stations, reading) for reading in readings])
    return database


def garden(minutes: int, *values: float | None) -> Reading:
    return Reading("garden-2", NINE + minutes * 60_000, values)


def ask(settings: Settings, stations: Stations, text: str) -> Query:
    view = SERIES if "buckets" in text else JSON
    return parse_query(parse_qsl(text), replace(settings, stations=stations), NINE, view)


def test_who_has_the_stations_of_before_reads_no_roll_ups_of_others(
    database: Database, settings: Settings
) -> None:
    """A service beside which `flask10x migrate` has taken a shorter file over."""
    stored(database, HOUSE, *(garden(60 * n, 20.0 + n, float(n), 40.0) for n in range(9)))
    assert rollups.follow(HOUSE, database) == 0
    hours = ask(settings, HOUSE, "endpoint=garden-2&buckets=2")
    bright = ask(settings, HOUSE, "endpoint=garden-2&light_bh1750__gte=7")
    sources = []
    for stations in (HOUSE, BUILT_IN):
        station_columns.fit(database, stations)
        with database.reader.begin() as connection:
            chart = charts.chart(View(connection, hours.registry), hours)
            rows = pages.page(View(connection, bright.registry), replace(bright, limit=10)).rows
        sources.append((chart.source, chart.readings, len(chart.lines), len(rows)))
    assert sources == [("rollups", 9, 3, 2), ("readings", 9, 3, 2)]


def test_roll_ups_of_an_added_station_are_what_its_readings_give(
    database: Database, settings: Settings
) -> None:
    lights = [0.1, 0.2, None, 300.0, 0.7, 250.5, None, 12.25]
    stored(
        database,
        HOUSE,
        *(garden(11 * n, 20.0 + n, light, 40.0) for n, light in enumerate(lights)),
        *(Reading("data", NINE + n * HOUR, (1000.0, 20.0, None)) for n in range(3)),
    )
    assert rollups.follow(HOUSE, database) == 0

    columns = "endpoint, measurement, hour - {0}, readings, count, total, minimum, maximum"
    text = f"SELECT {columns.format(NINE // HOUR)} FROM rollups WHERE measurement LIKE 'light%'"
    assert select(database.path, f"{text} ORDER BY endpoint, hour") == [
        *(("data", "light_veml7700", n, 1, 0, 0.0, None, None) for n in range(3)),
        # The five values in their order: floats add up to something else in another one.
        ("garden-2", "light_bh1750", 0, 6, 5, 0.1 + 0.2 + 300.0 + 0.7 + 250.5, 0.1, 300.0),
        ("garden-2", "light_bh1750", 1, 2, 1, 12.25, 12.25, 12.25),
    ]
    assert [d for part in compared_rollups.hours(HOUSE, database) for d in part.differences] == []

    query = ask(settings, HOUSE, "endpoint=garden-2&buckets=2&from=2025-08-24&to=2025-08-30")
    with database.reader.begin() as connection:
        found = charts.chart(View(connection, query.registry), query)
    (light,) = [x for x in found.lines if x.measurement.column == "light_bh1750"]
    (bucket,) = light.buckets.values()
    assert (found.source, found.readings, bucket.count) == ("rollups", 8, 6)
    assert (bucket.minimum, bucket.maximum) == (0.1, 300.0)
    assert bucket.total == pytest.approx(sum(light for light in lights if light is not None))


@pytest.mark.parametrize("rolled_up", [False, True])
def test_no_name_of_a_measurement_is_taken_for_something_else(
    database: Database, settings: Settings, rolled_up: bool
) -> None:
    readings = [
        Reading("a-b", NINE + n * HOUR, tuple(float(n + place) for place in range(6)))
        for n in range(4)
    ]
    readings += [Reading("null", NINE + n * HOUR, (None, *[n + 0.5] * 6)) for n in range(4)]
    stored(database, AWKWARD, *readings)
    if rolled_up:
        assert rollups.follow(AWKWARD, database) == 0

    def found(text: str) -> list[tuple[int, str]]:
        with database.reader.begin() as connection:
            rows = pages.page(
                View(connection, settings.stations), ask(settings, AWKWARD, text)
            ).rows
        return [((row.received_at - NINE) // HOUR, row.endpoint) for row in rows]

    assert found("number__gte=5") == [(2, "a-b"), (3, "a-b")]
    assert found("filter0__lt=7&order__gt=0") == [(1, "a-b")]
    assert found("group__eq=2.5") == [(2, "null")]
    assert found("x__gte__gte=2&order=desc") == [(3, "null"), (2, "null")]
    assert found("low_ms__lt=1&most__lt=1&bucket_ms__lt=1") == [(0, "null")]
    assert found("incomplete=1&limit=2") == [(2, "null"), (3, "null")]
    assert found("since=0&rows__gte=7") == [(3, "a-b")]

    with database.reader.begin() as connection:
        query = ask(settings, AWKWARD, "buckets=2&from=2025-08-24&to=2025-08-30")
        drawn = charts.chart(View(connection, query.registry), query)
    counts = {
        (line.station.endpoint, line.measurement.column): sum(
            bucket.count for bucket in line.buckets.values()
        )
        for line in drawn.lines
    }
    assert counts == {
        (s.endpoint, column): 4 for s in AWKWARD.all for column in s.columns if column != "values"
    }


def test_a_form_of_many_measurements_is_no_hostile_query(settings: Settings) -> None:
    """Without a script a browser sends all empty fields."""
    many = Stations(tuple(station(f"s{n}", *(f"m{n}_{k}" for k in range(16))) for n in range(10)))
    boxes = [("endpoint", s.endpoint) for s in many.all]
    boxes += [("measurement", column) for column in many.columns]
    shown = [one.key for one in OPERATORS.values() if one.in_form]
    fields = [(f"{column}__{key}", "") for column in many.columns for key in shown]
    rest = [(name, "") for name in ("from", "to", "order", "limit", "incomplete")]
    form = [*boxes, *fields, *rest]
    query = parse_query(form, replace(settings, stations=many), NINE, HTML)
    assert query.stations == many.all
    with pytest.raises(QueryError):
        parse_query(form * 3, replace(settings, stations=many), NINE, HTML)


def test_our_own_names_are_reserved() -> None:
    query = Query(registry=BUILT_IN, endpoints=("data",))
    (header,) = formats.csv_chunks(query, [], None)
    ours = {name for name in header.strip().split(",") if name not in query.columns}
    assert ours == {"timestamp", "endpoint"}
    assert ours | {"id", "received_at", "hour"} <= RESERVED_COLUMNS
