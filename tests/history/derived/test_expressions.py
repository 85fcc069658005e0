"""Conditions on derived values: SQLite computes what Python does."""

import itertools
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import literal, select

from flask10x.config.readers import at_altitude
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history import pages, view
from flask10x.history.corrections import Corrections, Segment
from flask10x.history.pages import Row
from flask10x.history.parameters import CSV, JSON, parse_query
from flask10x.history.rollups import catch_up
from flask10x.history.statements import derived_value
from flask10x.history.view import View
from flask10x.readings.derived import derived_by_station
from flask10x.readings.stations import BUILT_IN
from tests.support.rows import execute

NINE = 1_755_993_600_000
MINUTE = 60_000
TEMPERATURES = (None, -60.0, -45.0, -0.3, 0.0, 14.4, 20.0, 26.37, 33.8, 40.0, 45.1, 60.0, 90.0)
HUMIDITIES = (None, 0.0, 1.0, 8.0, 33.3, 60.0, 100.0)
PRESSURES = (None, 0.0, 850.5, 1008.25, 1100.0, 1200.0)
HOUSE = at_altitude(BUILT_IN, 35.0)
OF_READING = [one for one in derived_by_station(HOUSE)["data2"].values() if one.is_of_reading]


@pytest.mark.parametrize("name", [one.name for one in OF_READING])
def test_sqlite_computes_what_python_does(database: Database, name: str) -> None:
    one = derived_by_station(HOUSE)["data2"][name]
    second = PRESSURES if "pressure" in name else TEMPERATURES
    third = TEMPERATURES if "pressure" in name else HUMIDITIES
    with database.reader.begin() as connection:
        for inputs in itertools.product(second, third):
            expression = derived_value(one, [literal(each) + 0.0 for each in inputs])
            found = connection.execute(select(expression)).scalar()
            expected = one.of_inputs([*inputs])
            assert found == (expected if expected is None else pytest.approx(expected, abs=0.0011))


@pytest.fixture
def stored(database: Database) -> None:
    """Two days of the bedroom every half hour, the living room, and a station without humidity."""
    rows = []
    for number in range(96):
        at = NINE + number * 30 * MINUTE
        rows.append(f"('data2', {at}, {20 + number % 12}, {40 + number % 7 * 5}, NULL, NULL)")
        rows.append(f"('data4', {at}, NULL, NULL, {18 + number % 9}, 50)")
        rows.append(f"('data', {at}, 25, NULL, NULL, NULL)")
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, temperature, humidity, temperature_dht11,"
        " humidity_dht11) VALUES " + ",".join(rows),
    )


def found(settings: Settings, database: Database, text: str) -> list[Row]:
    query = parse_query(parse_qsl(text), settings, NINE, CSV)
    return [row for rows in pages.rows_in_pages(database, query) for row in rows]


def shown_dew_points(rows: list[Row]) -> list[float | None]:
    every = derived_by_station(BUILT_IN)
    return [
        every[row.endpoint]["dew_point"].of(
            dict(zip(BUILT_IN.by_endpoint[row.endpoint].columns, row.values, strict=True))
        )
        for row in rows
    ]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("rolled_up", [False, True])
def test_a_condition_finds_all_that_are_shown_so(
    settings: Settings, database: Database, rolled_up: bool
) -> None:
    if rolled_up:
        assert list(catch_up(settings.stations, database))
    every = [row for row in found(settings, database, "") if row.endpoint != "data"]
    wanted = [
        row.id
        for row, value in zip(every, shown_dew_points(every), strict=True)
        if value is not None and 12 <= value < 16
    ]
    rows = found(settings, database, "dew_point__gte=12&dew_point__lt=16")
    assert wanted
    assert sorted(row.id for row in rows) == sorted(wanted)
    both = found(settings, database, "dew_point__gte=12&temperature__lte=25")
    assert {row.endpoint for row in both} == {"data2"}
    assert all((value or 0) >= 12 for value in shown_dew_points(both))


@pytest.mark.usefixtures("stored")
def test_a_condition_goes_by_what_is_shown_after_corrections(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {("data2", "humidity"): (Segment(0, NINE * 2, offset=-30.0),)}
    monkeypatch.setattr(view, "resolved", lambda _rows: Corrections(own))
    plain = found(settings, database, "endpoint=data2&dew_point__gte=12&raw=1")
    corrected = found(settings, database, "endpoint=data2&dew_point__gte=12")
    assert 0 < len(corrected) < len(plain)
    assert all((value or 0) >= 12 for value in shown_dew_points(corrected))


@pytest.mark.usefixtures("stored")
def test_is_missing_asks_only_the_stations_that_have_it(
    settings: Settings, database: Database
) -> None:
    execute(database.path, f"UPDATE readings SET humidity = NULL WHERE received_at = {NINE}")
    (row,) = found(settings, database, "dew_point__isnull=1")
    assert (row.endpoint, row.received_at) == ("data2", NINE)
    newest = parse_query(parse_qsl("dew_point__isnull=1&since=0"), settings, NINE, JSON)
    with database.query() as connection:
        assert len(pages.newer(View(connection, newest.registry), newest, 0).rows) == 1
