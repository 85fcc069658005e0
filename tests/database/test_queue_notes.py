"""Notes of how far queues are settled: they outlive what SQLite does, and cost a commit nothing."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import queue_notes
from flask10x.database.database import Database
from flask10x.database.paths import WAL, beside
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.shared_queue import SharedQueues, WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges
from tests.support.rows import execute, insert_readings, pico, select

SEQUENCES = "SELECT name, seq FROM sqlite_sequence ORDER BY name"


def insert(connection: Connection) -> None:
    insert_readings(connection, [pico(1)])


def test_a_note_is_as_old_as_its_transaction(database: Database) -> None:
    with database.commit() as connection:
        assert queue_notes.up_to(connection, "a") == 0
        assert queue_notes.queues(connection) == set()
        queue_notes.note(connection, "a", 0, 3)
        queue_notes.note(connection, "b", 0, 1)
    with pytest.raises(ZeroDivisionError), database.commit() as connection:
        queue_notes.note(connection, "a", 3, 4)
        assert queue_notes.up_to(connection, "a") == 4
        raise ZeroDivisionError
    with database.reader.begin() as connection:
        assert queue_notes.up_to(connection, "a") == 3
        assert queue_notes.queues(connection) == {"a", "b"}
    with database.commit() as connection:
        queue_notes.forget(connection, {"a", "never noted"})
        assert queue_notes.queues(connection) == {"b"}
        assert queue_notes.up_to(connection, "a") == 0


def vacuumed(path: Path) -> Path:
    execute(path, "VACUUM")
    return path


def copied(path: Path) -> Path:
    copy = path.with_name("copy.sqlite3")
    execute(path, f"VACUUM INTO '{copy}'")
    return copy


def dumped(path: Path) -> Path:
    copy = path.with_name("copy.sqlite3")
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(copy)) as new:
        new.executescript("\n".join(old.iterdump()))
    return copy


def without_another_table(path: Path) -> Path:
    execute(path, "DROP VIEW IF EXISTS v_rejected", "DROP TABLE rejected")
    return path


@pytest.mark.sqlite_only("what people do to a file")
@pytest.mark.parametrize("change", [vacuumed, copied, dumped, without_another_table])
def test_it_outlives_what_people_do_and_ids_go_on(
    database: Database, change: Callable[[Path], Path]
) -> None:
    with database.commit() as connection:
        insert(connection)
        queue_notes.note(connection, "a", 0, 41)
    path = change(database.path)
    assert select(path, SEQUENCES) == [("queue a", 41), ("readings", 1)]
    assert select(path, "PRAGMA integrity_check") == [("ok",)]
    execute(
        path,
        "DELETE FROM readings",
        "INSERT INTO readings (endpoint, received_at) SELECT 'data', 1",
    )
    assert select(path, "SELECT id FROM readings") == [(2,)]
    assert select(path, SEQUENCES) == [("queue a", 41), ("readings", 2)]


def grown(database: Database, commit: Callable[[], object]) -> int:
    """By how many bytes the WAL grows for so many commits."""
    before = beside(database.path, WAL).stat().st_size
    for _ in range(20):
        commit()
    return beside(database.path, WAL).stat().st_size - before


@pytest.mark.sqlite_only("pages of the WAL are counted")
def test_a_lone_commit_writes_no_page_for_it(settings: Settings, database: Database) -> None:
    """Of two workers too: their notes share the page of the ids."""
    gauges, queues = (
        Gauges(BUILT_IN.by_endpoint),
        SharedQueues.anonymous(settings.write_queue_maxsize),
    )
    writers = [Writer(settings, database, WorkerSlot(gauges, queues, number)) for number in (0, 1)]

    def commit_by_writers() -> None:
        for writer in writers:
            writer.submit(pico(1))
            assert writer.step() == 1

    def commit_bare() -> None:
        for _ in writers:
            with database.commit() as connection:
                insert(connection)

    commit_bare()
    commit_by_writers()
    assert grown(database, commit_by_writers) <= grown(database, commit_bare)
    for writer in writers:
        writer.close(5)
