"""Charts of many corrections take as few statements as without, and show each value right."""

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import station_columns
from flask10x.database.database import Database
from flask10x.database.insert import insert_rows, row_of
from flask10x.database.paths import database_path
from flask10x.history import charts, days, rollups
from flask10x.history.corrections import NONE
from flask10x.history.parameters import SERIES, parse_query
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import DAY_MS, HOUR_MS
from tests.conftest import MakeSettings
from tests.support.corrections import correct, corrected
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database
from tests.support.rows import insert_readings

LENGTH = 200 * DAY_MS
# Two with a change of the clock within these days, of an hour and of half an hour.
ZONES = ("Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")
Sums = dict[tuple[str, int], tuple[int, float, float | None, float | None]]
Stored = tuple[Settings, Database, int, list[Reading]]


@pytest.fixture(scope="module", params=ZONES)
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stored]:
    """200 days of `/data`, the last readings not rolled up; a test undoes its corrections."""
    folder = tmp_path_factory.mktemp("many")
    variables = {**environment_of(folder), "FLASK10X_TIMEZONE": request.param}
    settings = settings_module.load(variables)
    zone = ZoneInfo(request.param)
    lay_new_database(database_path(settings))
    start = int(datetime(2025, 2, 1, tzinfo=zone).timestamp() * 1000)
    chance = random.Random(7)
    values = ((chance.uniform(900, 1100), chance.uniform(-10, 30)) for _ in range(500))
    readings = [Reading("data", start + chance.randrange(LENGTH), own) for own in values]
    with closing(Database(settings)) as database:
        with database.commit() as connection:
            insert_readings(connection, readings[:470])
        while rollups.follow(BUILT_IN, database):
            pass
        while days.follow(BUILT_IN, database, zone, rollups.save_at_once):
            pass
        with database.commit() as connection:
            insert_readings(connection, readings[470:])
        yield settings, database, start, readings


def some_corrections(
    chance: random.Random, start: int, readings: list[Reading]
) -> list[tuple[Any, ...]]:
    """Hidden readings, ranges of any length, whole hours and days, gains and offsets."""
    half = start + LENGTH // 2
    rows: list[tuple[Any, ...]] = [("data", "temperature", half, None, 1.0, -0.8)]
    for _ in range(25):
        low = start + chance.randrange(LENGTH)
        kind, column = chance.choice(
            (("hide", None), ("hide", "pressure"), ("adjust", "temperature"))
        )
        if chance.random() < 0.5:
            low = high = chance.choice(readings).received_at
        elif chance.random() < 0.5:
            low = low // HOUR_MS * HOUR_MS
            high = low + chance.choice((1, 24, 30)) * HOUR_MS - 1
        else:
            high = low + chance.randrange(3 * DAY_MS)
        way = (chance.uniform(0.5, 2), chance.uniform(-5, 5)) if kind == "adjust" else ()
        rows.append(("data", column, low, high, *way))
    return rows


def query_of(settings: Settings, start: int, text: str) -> Query:
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in text.split("&"))]
    return parse_query(pairs, settings, start, SERIES)


def sums_of(found: charts.Chart) -> Sums:
    return {
        (line.measurement.column, place): (b.count, b.total, b.minimum, b.maximum)
        for line in found.lines
        for place, b in line.buckets.items()
    }


def of_each_reading(readings: list[Reading], found: charts.Chart, view: View) -> Sums:
    """The sums of the values that are shown, taken one by one."""
    assert found.window is not None
    added: dict[tuple[str, int], list[float]] = {}
    for one in readings:
        if found.window.first_ms <= one.received_at <= found.window.last_ms:
            place = found.window.place(one.received_at)
            for name, stored in zip(("pressure", "temperature"), one.values, strict=True):
                value = view.corrections.shown("data", name, one.received_at, stored)
                if value is not None:
                    added.setdefault((name, place), []).append(value)
    return {key: (len(v), sum(v), min(v), max(v)) for key, v in added.items()}


@pytest.mark.parametrize(
    "text",
    ["buckets=600", "buckets=8"]
    + [pytest.param(f"buckets={some}", marks=pytest.mark.tools) for some in (150, 30)],
)
@pytest.mark.parametrize("is_raw", [False, True])
def test_a_chart_has_each_value_as_it_is_shown(stored: Stored, text: str, is_raw: bool) -> None:
    settings, database, start, readings = stored
    query = query_of(settings, start, f"endpoint=data&{text}{'&raw=1' if is_raw else ''}")
    rows = some_corrections(random.Random(text), start, readings)
    with corrected(database, rows), database.reader.begin() as connection:
        found = charts.chart(View(connection, query.registry), query)
        view = View(connection, query.registry)
        if is_raw:
            view.corrections = NONE
        wanted = of_each_reading(readings, found, view)
    assert found.source == "rollups"
    assert_same(sums_of(found), wanted)
    with database.reader.begin() as connection:
        found = charts.chart(View(connection, query.registry), query)
        assert_same(sums_of(found), of_each_reading(readings, found, View(connection, BUILT_IN)))


def assert_same(found: Sums, wanted: Sums) -> None:
    assert found.keys() == wanted.keys()
    for key, (count, *rest) in wanted.items():
        assert found[key][0] == count
        assert found[key][1:] == pytest.approx(rest, rel=1e-9, abs=1e-9)


def test_conditions_compare_what_is_shown(stored: Stored) -> None:
    settings, database, start, readings = stored
    query = query_of(settings, start, "endpoint=data&buckets=600&temperature__gte=-100")
    rows = some_corrections(random.Random(3), start, readings)
    with corrected(database, rows), database.reader.begin() as connection:
        view = View(connection, query.registry)
        found = charts.chart(view, query)
        held = [
            one
            for one in readings
            if view.corrections.shown("data", "temperature", one.received_at, one.values[1])
            is not None
        ]
        wanted = of_each_reading(held, found, view)
    assert_same(sums_of(found), wanted)


@pytest.mark.tools
def test_more_pieces_take_no_more_statements(stored: Stored) -> None:
    settings, database, start, readings = stored
    query = query_of(settings, start, "endpoint=data&buckets=600")
    statements: list[str] = []
    event.listen(database.reader, "before_cursor_execute", lambda *args: statements.append(args[2]))
    taken = []
    for many in (0, 20, 200):
        hidden = dict.fromkeys(one.received_at for one in readings[:many])
        with corrected(database, [("data", None, ms, ms) for ms in hidden]):
            statements.clear()
            with database.reader.begin() as connection:
                charts.chart(View(connection, query.registry), query)
            taken.append(len(statements))
    assert max(taken) <= taken[0] + 2


def test_more_columns_may_be_corrected_than_a_statement_has_parts(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    rooms, columns = 64, 8
    lines = []
    for room in range(rooms):
        lines.append(f'[stations.room{room}]\nlabel = "Room"\ncsv_file = "Room{room}.csv"')
        lines += [
            f'[stations.room{room}.measurements.m{n}]\nunit = "x"\nminimum = 0\nmaximum = 9'
            for n in range(columns)
        ]
    (tmp_path / "stations.toml").write_text("\n".join(lines), encoding="utf-8")
    settings = make_settings(DATA_DIR=tmp_path)
    lay_new_database(database_path(settings))
    own = settings.stations.all[-rooms:]
    start = 1_755_961_200_000
    with closing(Database(settings)) as database:
        station_columns.fit(database, settings.stations)
        with database.commit() as connection:
            ms_of = [(station, start + n) for station in own for n in (0, 600_000)]
            readings = [Reading(each.endpoint, ms, (1.0,) * columns) for each, ms in ms_of]
            rows = [row_of(settings.stations, reading) for reading in readings]
            insert_rows(connection, settings.stations, rows)
            for number, (station, column) in enumerate((s, c) for s in own for c in s.columns):
                correct(connection, station.endpoint, column, start, start + number, offset=1.0)
        query = query_of(settings, start, "from=2025-08-23&to=2025-08-25&m0__gte=0")
        with database.query() as connection:
            chart = charts.chart(View(connection, settings.stations), query)
    totals = [sum(bucket.total for bucket in line.buckets.values()) for line in chart.lines]
    assert totals == [3.0] * rooms * columns
