"""Which readings are in no CSV file, and how the look for them stays short."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.health import copies
from flask10x.health.copies import ExportLag, export_lags
from flask10x.readings.parse import Reading
from tests.support.rows import execute, insert_readings, pico

NINE_MS = 1_756_000_000_000
MINUTE_MS = 60_000


def store_readings(database: Database, readings: Sequence[Reading]) -> None:
    with database.commit() as connection:
        insert_readings(connection, readings)


def lag_of(settings: Settings, database: Database, endpoint: str) -> ExportLag:
    with database.reader.begin() as connection:
        lags = export_lags(connection, settings.stations)
    return next(lag for lag in lags if lag.station.endpoint == endpoint)


def told(lag: ExportLag) -> tuple[bool, int | None, int]:
    return lag.is_exported, lag.oldest_at, lag.waiting


def outside(number: int, received_at: int) -> Reading:
    return Reading("data3", received_at, (20.0 + number, 50.0, 1000.0, None))


def test_a_file_that_no_export_has_written_is_not_behind(
    settings: Settings, database: Database
) -> None:
    store_readings(database, [pico(1)])
    assert told(lag_of(settings, database, "data")) == (False, None, 0)


def test_what_came_after_the_export_waits(settings: Settings, database: Database) -> None:
    settings.csv_dir.mkdir()
    store_readings(database, [pico(1, NINE_MS), outside(1, NINE_MS)])
    export(settings, database)
    assert told(lag_of(settings, database, "data")) == (True, None, 0)
    store_readings(database, [outside(2, NINE_MS + 1), pico(2, NINE_MS + MINUTE_MS)])
    store_readings(database, [pico(3, NINE_MS + 2 * MINUTE_MS)])
    lag = lag_of(settings, database, "data")
    assert told(lag) == (True, NINE_MS + MINUTE_MS, 2)
    assert lag.changed_at is not None
    export(settings, database)
    assert told(lag_of(settings, database, "data")) == (True, None, 0)


def test_a_late_reading_waits_since_it_came(settings: Settings, database: Database) -> None:
    settings.csv_dir.mkdir()
    store_readings(database, [pico(1, NINE_MS)])
    export(settings, database)
    store_readings(database, [Reading("data", NINE_MS - 5, (2.0, 20.0), arrived_at=NINE_MS + 9)])
    assert told(lag_of(settings, database, "data")) == (True, NINE_MS + 9, 1)


def test_the_first_reading_may_come_after_many_of_another_station(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "LOOK_ROWS", 3)
    settings.csv_dir.mkdir()
    store_readings(database, [pico(1, NINE_MS)])
    export(settings, database)
    store_readings(database, [outside(n, NINE_MS + n) for n in range(1, 9)])
    assert told(lag_of(settings, database, "data")) == (True, None, 0)
    store_readings(database, [pico(2, NINE_MS + MINUTE_MS)])
    assert told(lag_of(settings, database, "data")) == (True, NINE_MS + MINUTE_MS, 1)


def test_what_came_from_the_stations_own_file_is_not_exported(
    settings: Settings, database: Database
) -> None:
    settings.csv_dir.mkdir()
    store_readings(database, [pico(1, NINE_MS)])
    export(settings, database)
    store_readings(database, [pico(n, NINE_MS + n) for n in (2, 3)])
    execute(
        database.path,
        "INSERT INTO imports (endpoint, file, first_id, last_id, imported_at)"
        " VALUES ('data', '/old/PicodataX.csv', 2, 3, 1)",
    )
    assert told(lag_of(settings, database, "data")) == (True, None, 0)


def steps(settings: Settings, database: Database) -> int:
    """How many hundred steps of SQLite's virtual machine the look takes."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with database.reader.begin() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(step, 100)
        try:
            export_lags(connection, settings.stations)
        finally:
            driver.set_progress_handler(None, 0)
    return count


@pytest.mark.sqlite_only("its steps")
def test_imports_that_an_export_has_passed_are_not_compared_with_what_waits(
    settings: Settings, database: Database
) -> None:
    settings.csv_dir.mkdir()
    store_readings(database, [pico(n, NINE_MS + n) for n in range(1, 401)])
    export(settings, database)
    store_readings(database, [pico(n, NINE_MS + n) for n in range(401, 1401)])
    before = steps(settings, database)
    for number in range(1, 301):
        execute(
            database.path,
            "INSERT INTO imports (endpoint, file, first_id, last_id, imported_at)"
            f" VALUES ('data', '/old/PicodataX.csv', {number}, {number}, 1)",
        )
    assert told(lag_of(settings, database, "data")) == (True, NINE_MS + 401, 1000)
    # Compared one by one, they would take some hundred times as many.
    assert steps(settings, database) < 2 * before


@pytest.mark.sqlite_only("how it plans a query")
def test_no_statement_looks_through_the_table(settings: Settings, database: Database) -> None:
    settings.csv_dir.mkdir()
    store_readings(database, [pico(1, NINE_MS)])
    export(settings, database)
    store_readings(database, [pico(2, NINE_MS + 1)])
    plans: list[str] = []

    def explain(
        connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object
    ) -> None:
        if not statement.startswith("EXPLAIN"):
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row.detail for row in rows)

    with database.reader.begin() as connection:
        event.listen(connection, "before_cursor_execute", explain)
        export_lags(connection, settings.stations)
        event.remove(connection, "before_cursor_execute", explain)
        assert connection.execute(text("SELECT count(*) FROM readings")).scalar_one() == 2
    assert [plan for plan in plans if plan.startswith("SCAN readings")] == []
    assert any("INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plan for plan in plans)
