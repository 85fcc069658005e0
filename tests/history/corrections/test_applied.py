"""Roll-ups hold what corrections show, whoever writes, undoes, rolls up or is killed meanwhile."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any
from zoneinfo import ZoneInfo

import alembic.command
import pytest
from alembic.config import Config
from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import removed, schema
from flask10x.database.database import Database
from flask10x.database.removed import Removed
from flask10x.database.tables import FIRST_MS, readings
from flask10x.history import annotations, days, rollup_check, rollups
from flask10x.history.corrections import Correction
from flask10x.history.sums import Ids
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from tests.support import compared_rollups
from tests.support.corrections import apply_all, correct
from tests.support.databases import environment_of
from tests.support.rows import execute, insert_readings, select

HOUR, MINUTE = 3_600_000, 60_000
# 2025-08-24 09:00:00 in Tokyo.
NINE = 1_755_993_600_000
NUMBER = NINE // HOUR
# In India midnight is at half past 18 h UTC, so an hour is divided.
INDIA = ZoneInfo("Asia/Kolkata")
HOURS = 30
TABLES = (
    "SELECT * FROM rollups ORDER BY endpoint, measurement, hour",
    "SELECT * FROM rollup_days ORDER BY endpoint, measurement, day",
)
UNAPPLIED = "SELECT unapplied_ms FROM corrections ORDER BY id"


def tables(database: Database) -> list[Any]:
    return [select(database.path, table) for table in TABLES]


def of_nine(database: Database, hour: int = NUMBER) -> tuple[Any, ...]:
    query = "SELECT readings, count, total, minimum, maximum FROM rollups"
    return select(database.path, f"{query} WHERE measurement = 'pressure' AND hour = {hour}")[0]


def roll_up(database: Database) -> None:
    while rollups.follow(BUILT_IN, database):
        pass
    while days.follow(BUILT_IN, database, INDIA, rollups.save_at_once):
        pass


def differences(database: Database) -> int:
    hours = sum(len(look.differences) for look in compared_rollups.hours(BUILT_IN, database))
    of_days = compared_rollups.of_days(BUILT_IN, database)
    return hours + sum(len(look.differences) for look in of_days)


@pytest.fixture(autouse=True)
def stored(database: Database) -> None:
    """Four readings an hour for thirty hours, whose sums are exact."""
    rows = [
        Reading("data", NINE + n * 15 * MINUTE, (1000.0 + n, 20.0 + n % 4))
        for n in range(HOURS * 4)
    ]
    with database.commit() as connection:
        insert_readings(connection, rows)
    roll_up(database)


def write(database: Database, *rows: tuple[Any, ...]) -> None:
    """Each as in `tests.support.corrections.corrected`; none is applied."""
    with database.commit() as connection:
        for row in rows:
            correct(connection, *row[:4], **dict(zip(("gain", "offset"), row[4:], strict=False)))


def undo_all(database: Database) -> None:
    with database.commit() as connection:
        for (number,) in select(database.path, "SELECT id FROM corrections"):
            kind = annotations.entry(connection, "hide", number)
            assert annotations.undo(connection, "adjust" if kind is None else "hide", number, 1)


OFFSET = ("data", "pressure", NINE, None, 1.0, -0.5)
HALF = ("data", None, NINE + 30 * MINUTE, NINE + 2 * HOUR - 1)


def test_an_hour_has_the_sums_of_what_is_shown(database: Database) -> None:
    write(database, OFFSET, HALF)
    apply_all(database)
    assert of_nine(database) == (4, 2, 1999.5 + 0.5 - 0.0, 999.5, 1000.5)
    assert of_nine(database, NUMBER + 1) == (4, 0, 0.0, None, None)
    assert of_nine(database, NUMBER + 2) == (4, 4, 4 * 1008.0 + 6 - 2, 1007.5, 1010.5)
    assert select(database.path, UNAPPLIED) == [(None,), (None,)]
    assert differences(database) == 0


def test_what_is_undone_leaves_no_trace(database: Database) -> None:
    before = tables(database)
    write(database, OFFSET, HALF, ("data", "temperature", None, NINE + 100 * MINUTE, 1.5, 2.0))
    apply_all(database)
    assert tables(database) != before
    undo_all(database)
    apply_all(database)
    assert tables(database) == before
    assert differences(database) == 0


def test_a_correction_is_applied_in_pieces(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(database, OFFSET)
    monkeypatch.setattr(rollups, "PIECE_HOURS", 8)
    done = []
    while rollups.apply_corrections(BUILT_IN, database):
        done.append(select(database.path, UNAPPLIED)[0][0])
        # What is left is known, and no fault.
        assert differences(database) == 0
    assert done == [NINE + n * 8 * HOUR for n in (1, 2, 3)] + [None]


def test_only_what_changes_is_written(database: Database) -> None:
    write(database, ("data", "pressure", NINE, NINE + HOUR - 1, 1.0, -0.5))
    changed: list[Any] = []

    def save(_database: Database, change: rollups.Change) -> None:
        with database.writer.begin() as connection:
            before = connection.exec_driver_sql(TABLES[0]).all()
            change(connection)
            after = connection.exec_driver_sql(TABLES[0]).all()
            changed.extend(row for row in after if row not in before)

    assert rollups.apply_corrections(BUILT_IN, database, save)
    assert [row[:3] for row in changed] == [("data", "pressure", NUMBER)]


def test_a_late_reading_of_a_corrected_hour_is_corrected(database: Database) -> None:
    write(database, OFFSET, ("data", "pressure", NINE + HOUR, NINE + 2 * HOUR - 1))
    apply_all(database)
    with database.commit() as connection:
        late = [Reading("data", NINE + n * HOUR + 1, (900.0, 20.0)) for n in (0, 1)]
        insert_readings(connection, late)
    roll_up(database)
    assert of_nine(database)[:1] + of_nine(database)[3:4] == (5, 899.5)
    assert of_nine(database, NUMBER + 1) == (5, 0, 0.0, None, None)
    assert differences(database) == 0


def between(during: Callable[[], None]) -> Callable[[Database, rollups.Change], None]:
    """A way to save a piece before which something else is stored."""

    def save(database: Database, change: rollups.Change) -> None:
        during()
        rollups.save_at_once(database, change)

    return save


def test_a_correction_that_comes_while_hours_are_rolled_up_is_not_lost(database: Database) -> None:
    with database.commit() as connection:
        insert_readings(connection, [Reading("data", NINE + 1, (900.0, 20.0))])

    def during() -> None:
        write(database, OFFSET)
        apply_all(database)

    rollups.follow(BUILT_IN, database, between(during))
    roll_up(database)
    assert of_nine(database)[3] == 899.5
    assert differences(database) == 0


@pytest.mark.parametrize("who", ["reading", "correction", "undone", "same"])
def test_what_comes_while_a_correction_is_applied_is_not_lost(database: Database, who: str) -> None:
    write(database, OFFSET)

    def during() -> None:
        if who == "reading":
            with database.commit() as connection:
                insert_readings(connection, [Reading("data", NINE + 1, (900.0, 20.0))])
            roll_up(database)
        elif who == "correction":
            write(database, ("data", None, NINE, NINE + HOUR - 1))
        elif who == "undone":
            undo_all(database)
        else:
            apply_all(database)

    rollups.apply_corrections(BUILT_IN, database, between(during))
    apply_all(database)
    assert differences(database) == 0
    least = {"reading": 899.5, "correction": None, "undone": 1000.0, "same": 999.5}
    assert of_nine(database)[3] == least[who]


def test_a_station_that_is_no_more_holds_up_no_other(database: Database) -> None:
    write(database, ("attic", None, None, None), OFFSET)
    apply_all(database)
    assert of_nine(database)[3] == 999.5


def remove_first_hours(database: Database, hours: int) -> None:
    """As the retention does."""
    columns, last = BUILT_IN.by_endpoint["data"].columns, 4 * hours
    with database.commit() as connection:
        for hour in range(NUMBER, NUMBER + hours):
            gone = rollups.of_readings("data", columns, connection, hour, Ids(last))
            removed.keep_removed_hours(connection, gone)
        connection.execute(readings.delete().where(readings.c.id <= last))
        removed.note_removed(connection, "data", Removed(last, NINE + hours * HOUR - 1, last))


def test_sums_of_removed_readings_are_corrected_and_come_back(database: Database) -> None:
    remove_first_hours(database, 4)
    before = tables(database)
    whole = NINE + HOUR, NINE + 2 * HOUR - 1
    write(database, ("data", "pressure", *whole, 2.0, -1.0), ("data", "temperature", *whole))
    # Of an hour that it cuts nobody knows which readings these are.
    write(database, ("data", "pressure", NINE + 2 * HOUR + 1, NINE + 3 * HOUR - 1, 1.0, 5.0))
    apply_all(database)
    shown = 2 * (4 * 1004.0 + 6) - 4
    assert of_nine(database, NUMBER + 1) == (4, 4, shown, 2007.0, 2013.0)
    assert of_nine(database, NUMBER + 2) == (4, 0, 0.0, None, None)
    assert of_nine(database, NUMBER + 3) == (4, 4, 4 * 1012.0 + 6, 1012.0, 1015.0)
    assert differences(database) == 0
    corrected = tables(database)
    list(rollup_check.rebuild(BUILT_IN, database, INDIA))
    assert tables(database) == corrected
    undo_all(database)
    apply_all(database)
    assert tables(database) == before


def test_the_transaction_that_writes_or_undoes_says_what_is_to_be_made_again(
    database: Database,
) -> None:
    entry = Correction(
        endpoint="data",
        measurement=None,
        first_ms=None,
        last_ms=NINE,
        kind="hide",
        reason="",
        written_at=1,
    )

    def unapplied(connection: Connection) -> list[Any]:
        return [*connection.exec_driver_sql(UNAPPLIED).scalars()]

    with database.writer.begin() as connection:
        number = annotations.add(connection, entry)
        assert unapplied(connection) == [FIRST_MS]
    apply_all(database)
    with database.writer.begin() as connection:
        assert unapplied(connection) == [None]
        assert annotations.undo(connection, "hide", number, 2)
        assert unapplied(connection) == [FIRST_MS]
        assert not annotations.undo(connection, "hide", number, 3)


APPLY = """
import sys
from flask10x.config import settings
from flask10x.database.database import Database
from flask10x.history import rollups
rollups.PIECE_HOURS = 1
config = settings.load(dict(line.split("=", 1) for line in sys.argv[1:]))
database = Database(config)
while rollups.apply_corrections(config.stations, database):
    print("piece", flush=True)
"""


def test_who_is_killed_leaves_the_rest_to_the_next_one(
    database: Database, settings: Settings
) -> None:
    write(database, OFFSET, HALF)
    given = [f"{name}={value}" for name, value in environment_of(settings.data_dir).items()]
    for pieces in (1, 3, 7):
        command = [sys.executable, "-c", APPLY, *given]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(pieces):
                assert process.stdout.readline() == "piece\n"
            os.kill(process.pid, signal.SIGKILL)
        assert differences(database) == 0
    with closing(Database(settings)) as other:
        apply_all(other)
    found = tables(database)
    list(rollup_check.rebuild(BUILT_IN, database, INDIA))
    assert tables(database) == found
    assert differences(database) == 0


def test_an_update_applies_the_corrections_that_there_are(
    database: Database, settings: Settings
) -> None:
    """And on the way back all is rolled up again, as it was stored."""
    stored = tables(database)
    config = Config(attributes={"settings": settings})
    config.set_main_option("script_location", str(schema.migrations()))
    alembic.command.downgrade(config, "0021")
    assert tables(database) == stored
    names = 'endpoint, measurement, first_ms, kind, "offset", reason, written_at'
    offset = f"'data', 'pressure', {NINE}, 'adjust', -0.5, '', 1"
    undone = "'data', 'pressure', 0, 'adjust', 7.0, '', 1, 2"
    execute(
        database.path,
        f"INSERT INTO corrections ({names}) VALUES ({offset})",
        f"INSERT INTO corrections ({names}, undone_at) VALUES ({undone})",
    )
    alembic.command.upgrade(config, "head")
    assert select(database.path, UNAPPLIED) == [(NINE,), (None,)]
    apply_all(database)
    assert of_nine(database) == (4, 4, 4000.0 + 6 - 2, 999.5, 1002.5)
    assert differences(database) == 0
    alembic.command.downgrade(config, "0021")
    assert tables(database) == [[], []]
    assert select(database.path, "SELECT last_id FROM followers WHERE name = 'rollups'") == [(0,)]
