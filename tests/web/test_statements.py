"""What a page asks of the database: one snapshot, and few statements whatever there is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import event

from flask10x.config.settings import Settings
from flask10x.database import station_columns
from flask10x.database.database import Database
from flask10x.database.insert import insert_rows, row_of
from flask10x.database.paths import database_path
from flask10x.export.append import export
from flask10x.history import days, rollups
from flask10x.readings.parse import Reading
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support.corrections import correct
from tests.support.databases import ON_POSTGRES
from tests.support.new_database import lay_new_database
from tests.support.pages import ADDRESSES

# The most statements of each page, the beginning and the end of its transaction left out. One that
# is not named here has as many as the home and the history.
MOST = dict.fromkeys(ADDRESSES, 12) | {
    "/history?from=-24h": 12,
    "/history/series?from=-24h": 8,
    # Of hours, and of days.
    "/history/series?buckets=60": 8,
    "/history/series?buckets=5": 8,
    "/records": 10,
    "/api/v1/latest": 8,
    "/api/v1/uptime": 6,
    # With which stations have sent, for the choice of stations.
    "/notes": 3,
    "/history/rejected": 2,
    "/api/v1/notes": 2,
    "/history/rejected/json": 1,
    # Those of the checks, the shares of the days and the rhythms.
    "/status": 15 + 6 + 3,
}
if ON_POSTGRES:
    # There the page asks for the state of the servers besides.
    del MOST["/status"]
ROOM = """
[stations.room{number}]
label = "Room {number}"
csv_file = "Room{number}.csv"
[stations.room{number}.measurements.temperature]
unit = "°C"
minimum = -50
maximum = 150
[stations.room{number}.measurements.humidity]
unit = "%"
minimum = 0
maximum = 100
"""
# So that there are more readings than the estimate of the card needs.
DAYS = 11
# What belongs to a transaction itself, and the time that it may take.
CONTROL = ("BEGIN", "SET ", "COMMIT", "ROLLBACK")
MakeHouse = Callable[..., Flask]


@pytest.fixture
def house(tmp_path: Path, make_settings: MakeSettings) -> Iterator[MakeHouse]:
    """Makes an application with so many stations, corrections and readings of some days."""
    apps: list[Flask] = []

    def make(stations: int = 4, corrections: int = 0, age_days: int = 0, **values: object) -> Flask:
        folder = tmp_path / str(len(apps))
        folder.mkdir()
        rooms = "".join(ROOM.format(number=number) for number in range(stations - 4))
        (folder / "stations.toml").write_text(rooms, encoding="utf-8")
        settings = make_settings(DATA_DIR=folder, **values)
        store(settings, corrections, clock.now_ms() - age_days * DAY_MS)
        apps.append(create_app(settings))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions["flask10x"].close()


def store(settings: Settings, corrections: int, now_ms: int) -> None:
    """Readings of each station, rolled up and exported but for the last, and corrections."""
    lay_new_database(database_path(settings))
    database, stations = Database(settings), settings.stations
    station_columns.fit(database, stations)
    older = [
        reading(station, number, now_ms - number * HOUR_MS)
        for number in range(DAYS * 24, 0, -1)
        for station in stations.all
    ]
    with database.commit() as connection:
        insert_rows(connection, stations, [row_of(stations, one) for one in older])
        # Not of the oldest reading: whether a line begins later than others depends on the hour.
        apart_ms = (DAYS * DAY_MS - HOUR_MS) // (corrections + 1)
        for number in range(corrections):
            first_ms = now_ms - DAYS * DAY_MS + HOUR_MS + number * apart_ms
            hides = number % 2 == 0
            given = {} if hides else {"offset": 0.5}
            column = None if hides else "temperature"
            correct(connection, "data2", column, first_ms, first_ms + 2000, **given)
    while rollups.follow(stations, database):
        pass
    while days.follow(stations, database, settings.zone, rollups.save_at_once):
        pass
    settings.csv_dir.mkdir()
    export(settings, database)
    newest = [reading(station, 0, now_ms - 1000) for station in stations.all]
    with database.commit() as connection:
        insert_rows(connection, stations, [row_of(stations, one) for one in newest])
    database.close()


def reading(station: Station, number: int, at_ms: int) -> Reading:
    """One of this many hours ago; the newest one lacks a value."""
    values: list[float | None] = [20.0 + number % 7 for _ in station.columns]
    if number == 0:
        values[-1] = None
    return Reading(station.endpoint, at_ms, tuple(values))


@contextmanager
def noted(app: Flask) -> Iterator[tuple[list[str], list[str]]]:
    """Statements and beginnings of transactions of the block."""
    store: Store = app.extensions["flask10x"]
    statements: list[str] = []
    begun: list[str] = []

    def note(*args: object) -> None:
        if not str(args[2]).startswith(CONTROL):
            statements.append(str(args[2]))

    def begin(*_args: object) -> None:
        begun.append("")

    engines = (store.database.reader, store.database.writer)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
        event.listen(engine, "begin", begin)
    yield statements, begun
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)
        event.remove(engine, "begin", begin)


def counted(app: Flask, path: str) -> tuple[int, int]:
    """How many statements and transactions the page takes."""
    with noted(app) as (statements, begun):
        answer = app.test_client().get(path)
    assert answer.status_code == 200
    return len(statements), len(begun)


def test_a_page_is_one_snapshot_and_few_statements(house: MakeHouse) -> None:
    app = house()
    found = {path: counted(app, path) for path in MOST}
    # What asks for nothing, as /api, begins no transaction.
    assert {path: begun for path, (n, begun) in found.items() if begun != min(n, 1)} == {}
    assert {path: n for path, (n, _) in found.items() if n > MOST[path]} == {}


@pytest.mark.tools
def test_more_stations_and_corrections_take_no_more_statements(house: MakeHouse) -> None:
    few, many, corrected = house(), house(stations=40), house(corrections=300)
    for path in MOST:
        expected = counted(few, path)
        assert counted(many, path) == expected, path
        assert counted(corrected, path) == expected, path


@pytest.mark.long
@pytest.mark.sqlite_only("on PostgreSQL the page asks for the state of the servers besides")
def test_overdue_readings_of_more_stations_take_no_more_statements(house: MakeHouse) -> None:
    few, many = (house(n, age_days=40, RETENTION_DAYS=30) for n in (4, 40))
    few.test_client().get("/status")
    statements, transactions = counted(few, "/status")
    assert transactions == 1
    assert counted(many, "/status") == (statements, transactions)
    assert "Some readings are overdue for removal" in many.test_client().get("/status").text


def test_a_board_that_could_be_added_takes_no_more_statements(house: MakeHouse) -> None:
    app = house()
    expected = counted(app, "/")
    assert app.test_client().post("/freezer", json={"temperature": -18.2}).status_code == 404
    assert counted(app, "/") == expected
    assert "freezer is sending" in app.test_client().get("/").text
