"""The order of commits, and what a transaction leaves to those behind it."""

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import QueryTooLong, code_of, is_busy, kind_of
from flask10x.database.postgres import driver
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.batch import Receipt
from flask10x.recording.shared_queue import SharedQueues, WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges
from tests.e2e.service import wait_until
from tests.postgres.hosts import Hosts
from tests.postgres.service import writer_on
from tests.support import postgres
from tests.support.old_files import NAME, run, write
from tests.support.rows import insert_readings, pico

PROJECT = Path(__file__).parents[2]
HOSTS, COMMITS, ROWS = 4, 15, 5
LOOK_EVERY_SEC, WITHIN_SEC = 0.005, 60.0
# Each third transaction comes to nothing, after it has taken its ids.
HOST = """
import sys
from contextlib import suppress
from flask10x.config import settings
from flask10x.database.database import Database
from tests.support.rows import insert_readings, pico
folder, url, number, commits, rows = sys.argv[1:]
config = settings.load({"FLASK10X_DATA_DIR": folder, "FLASK10X_DATABASE_URL": url})
database = Database(config)

def change(connection):
    insert_readings(connection, [pico(int(number))] * int(rows))
    if fails:
        raise ZeroDivisionError

print("ready", flush=True)
sys.stdin.readline()
for commit in range(int(commits)):
    for fails in (commit % 3 == 0, False):
        with suppress(ZeroDivisionError):
            database.commit_change(change, tries=100)
            if not fails:
                break
database.close()
"""
NO_TWO = """
CREATE FUNCTION no_two() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'two is not wanted' USING ERRCODE = '23514'; END $$;
CREATE TRIGGER no_two BEFORE INSERT ON readings FOR EACH ROW
WHEN (NEW.pressure = 2) EXECUTE FUNCTION no_two()
"""
# What a transaction sets, which the next one of the session must not find.
SET = ("lock_timeout", "statement_timeout", "synchronous_commit", "transaction_isolation")


@pytest.fixture
def database(hosts: Hosts) -> Database:
    return hosts.database("kitchen")


@pytest.fixture
def other(hosts: Hosts) -> Iterator[Any]:
    """Another program's connection, each statement a transaction."""
    with closing(postgres.shared().connect(hosts.name)) as connection:
        yield connection


def test_who_follows_misses_nothing_of_several_hosts(
    hosts: Hosts, database: Database, other: Any
) -> None:
    """A look shows ids without a gap behind the last look's, whichever host has stored them."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HOST, *_of_host(hosts.settings(f"host-{number}"), number)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(HOSTS)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    last = looks = 0
    ended = False
    while not ended:
        ended = all(process.poll() is not None for process in processes)
        ids = other.execute("SELECT id FROM readings WHERE id > %s ORDER BY id", (last,))
        new = [number for (number,) in ids]
        assert new == list(range(last + 1, last + 1 + len(new)))
        last += len(new)
        looks += bool(new)
        time.sleep(LOOK_EVERY_SEC)
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert last == HOSTS * COMMITS * ROWS
    assert looks > 1
    with database.reader.begin() as connection:
        assert last_id(connection) == last


def _of_host(settings: Settings, number: int) -> list[str]:
    arguments = (settings.data_dir, settings.database_url, number, COMMITS, ROWS)
    return [str(value) for value in arguments]


def test_a_row_that_a_person_has_inserted_with_an_id_is_passed_over(
    database: Database, other: Any
) -> None:
    """As on SQLite; it would keep all later readings from being stored."""
    for row in ("(1, 'data', 7)", "(4, 'data', 8)"):
        other.execute(f"INSERT INTO readings (id, endpoint, received_at) VALUES {row}")
    for _ in range(2):
        with database.commit() as connection:
            insert_readings(connection, [pico(1), pico(2)])
    stored = other.execute("SELECT id FROM readings ORDER BY id").fetchall()
    assert stored == [(1,), (4,), (5,), (6,), (7,), (8,)]
    with database.reader.begin() as connection:
        assert last_id(connection) == 8


def test_behind_a_held_snapshot_the_row_that_each_commit_locks_stays_one(
    hosts: Hosts, database: Database, other: Any
) -> None:
    """What a `pg_dump` of minutes may still see is not removed, and each commit would walk past."""
    place = "SELECT ctid FROM log WHERE name = 'readings'"
    with closing(postgres.shared().connect(hosts.name)) as dump:
        dump.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        before = dump.execute(place).fetchall()
        for number in range(COMMITS):
            with database.commit() as connection:
                insert_readings(connection, [pico(number)] * ROWS)
        assert other.execute(place).fetchall() == before
    assert ids(other) == list(range(1, COMMITS * ROWS + 1))


REMOVALS = (
    "DELETE FROM readings WHERE id > 1",
    "DELETE FROM readings",
    "TRUNCATE readings",
    "UPDATE readings SET id = -id WHERE id = 3",
)


@pytest.mark.parametrize("removal", REMOVALS)
def test_the_id_of_the_newest_reading_is_not_given_again_when_it_is_removed(
    database: Database, other: Any, removal: str
) -> None:
    """By RETENTION_DAYS, when a house has sent nothing for so long, or by a person."""
    store(database, 3)
    other.execute(removal)
    with database.reader.begin() as connection:
        assert last_id(connection) == 3
    store(database, 2)
    assert ids(other)[-2:] == [4, 5]
    other.execute("DELETE FROM readings WHERE id = 4")
    other.execute("INSERT INTO readings (endpoint, received_at) VALUES ('data', 1)")
    store(database, 1)
    assert ids(other)[-3:] == [5, 6, 7]


def test_whoever_removes_the_newest_reading_may_have_another_search_path(
    database: Database, other: Any
) -> None:
    """Else the statement fails, or the id is looked for in the tables of another house."""
    store(database, 3)
    other.execute("CREATE SCHEMA neighbour; SET search_path = neighbour")
    other.execute("DELETE FROM public.readings WHERE id = 3")
    other.execute("CREATE TABLE readings (id bigint); INSERT INTO readings VALUES (1000)")
    other.execute("DELETE FROM public.readings WHERE id = 2")
    other.execute("SET search_path = public")
    store(database, 1)
    assert ids(other) == [1, 4]


def test_who_removes_old_readings_holds_up_no_commit(database: Database, other: Any) -> None:
    """Only where the newest are removed the row is locked, for it is changed then."""
    store(database, 3)
    with other.transaction():
        other.execute("DELETE FROM readings WHERE id = 1")
        store(database, 1)
    with other.transaction():
        other.execute("DELETE FROM readings WHERE id = 4")
        with pytest.raises(DBAPIError) as raised:
            store(database, 1)
        assert is_busy(raised.value)
    store(database, 1)
    assert ids(other) == [2, 3, 5]


def test_newest_readings_that_come_back_leave_no_gap(database: Database, other: Any) -> None:
    store(database, 3)
    with suppress(ZeroDivisionError), other.transaction():
        other.execute("DELETE FROM readings")
        raise ZeroDivisionError
    store(database, 1)
    assert ids(other) == [1, 2, 3, 4]


def test_a_person_s_row_waits_for_the_commit_before_it_and_follows_it(
    hosts: Hosts, database: Database, other: Any
) -> None:
    row = "INSERT INTO readings (endpoint, received_at) SELECT 'data', i FROM generate_series(1, 3)"
    waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as thread, closing(postgres.shared().connect(hosts.name)) as person:
        with database.commit() as connection:
            insert_readings(connection, [pico(1), pico(2)])
            driver.send(connection)
            waiting = thread.submit(person.execute, f"{row} AS i".encode())
            wait_until(
                lambda: other.execute(waits, (person.info.backend_pid,)).fetchone() == (1,),
                WITHIN_SEC,
                "it waits",
            )
        waiting.result()
    store(database, 1)
    assert ids(other) == [1, 2, 3, 4, 5, 6]


def store(database: Database, rows: int) -> None:
    with database.commit() as connection:
        insert_readings(connection, [pico(1)] * rows)


def ids(other: Any) -> list[int]:
    stored = other.execute("SELECT id FROM readings ORDER BY id").fetchall()
    return [number for (number,) in stored]


def test_an_import_knows_which_ids_its_rows_have(
    hosts: Hosts, database: Database, other: Any, tmp_path: Path
) -> None:
    other.execute("INSERT INTO readings (id, endpoint, received_at) VALUES (4, 'data', 8)")
    write(tmp_path / NAME, "2025-08-24 10:46:40,1.0,25.1", "2025-08-24 10:46:41,2.0,25.1")
    assert run(hosts.settings("kitchen"), database, tmp_path / NAME)[0] == 2
    ranges = other.execute("SELECT first_id, last_id FROM imports").fetchall()
    assert ranges == [(5, 6)]


def test_a_row_that_an_index_cannot_hold_costs_itself_only(database: Database, other: Any) -> None:
    """Stored with the others it would keep them waiting for ever."""
    other.execute("CREATE INDEX long ON rejected (body)")
    body = secrets.token_bytes(10_000)
    with pytest.raises(DBAPIError) as raised, database.commit() as connection:
        connection.execute(
            text(
                "INSERT INTO rejected (endpoint, received_at, body, end_bytes, media_type, reasons,"
                " hint) VALUES ('data', 1, :body, 0, '', '', '')"
            ),
            {"body": body},
        )
    assert (code_of(raised.value), kind_of(raised.value)) == ("54000", "row")


def test_what_is_refused_costs_its_row_only(hosts: Hosts, database: Database, other: Any) -> None:
    """Of a batch, and no id: those of its mates follow each other."""
    other.execute(NO_TWO)
    settings = hosts.settings("kitchen")
    queues = SharedQueues.anonymous(settings.write_queue_maxsize)
    writer = Writer(settings, database, WorkerSlot(Gauges(BUILT_IN.by_endpoint), queues, 0))
    receipts = {number: Receipt() for number in (1, 2, 3, 2, 5)}
    for number, receipt in receipts.items():
        writer.submit(pico(number, number), receipt)
    while writer.step():
        pass
    stored = other.execute("SELECT id, pressure FROM readings ORDER BY id").fetchall()
    assert stored == [(1, 1.0), (2, 3.0), (3, 5.0)]
    refusals = {number: receipt.refusal for number, receipt in receipts.items()}
    assert refusals == {1: "", 2: "23514: two is not wanted", 3: "", 5: ""}
    assert writer.trouble == ""
    writer.close(5)


def test_waiting_too_long_for_another_host_is_the_error_that_it_is_busy(
    database: Database, other: Any
) -> None:
    with other.transaction():
        other.execute("SELECT last_id FROM log WHERE name = 'readings' FOR UPDATE")
        with pytest.raises(DBAPIError) as waited, database.commit():
            raise AssertionError("two commit at once")
        with pytest.raises(DBAPIError) as asked:
            database.probe()
    for caught in (waited, asked):
        assert code_of(caught.value) == "55P03"
        assert is_busy(caught.value)
        assert kind_of(caught.value) == "store"
    database.probe()


def test_a_page_is_of_one_moment_and_changes_nothing(database: Database) -> None:
    count = text("SELECT count(*) FROM readings")
    with database.query() as reading:
        assert reading.execute(count).scalar_one() == 0
        with database.commit() as connection:
            insert_readings(connection, [pico(1)])
        assert reading.execute(count).scalar_one() == 0
    with database.query() as reading:
        assert reading.execute(count).scalar_one() == 1
        with pytest.raises(DBAPIError, match="read-only"):
            reading.execute(text("DELETE FROM readings"))


def test_a_query_that_takes_too_long_is_broken_off(hosts: Hosts) -> None:
    # The second query has the same limit: a busy machine needs more than some milliseconds for it.
    settings = replace(hosts.settings("kitchen"), query_timeout_sec=1.0)
    with closing(Database(settings)) as database:
        with pytest.raises(QueryTooLong), database.query() as connection:
            connection.execute(text("SELECT pg_sleep(60)"))
        with database.query() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_transaction_leaves_nothing_set_in_its_session(database: Database) -> None:
    """PgBouncer gives the session to another client then."""

    def settings_of(connection: Connection) -> list[str]:
        driver: Any = connection.connection.driver_connection
        driver.rollback()
        values = [driver.execute(f"SHOW {name}").fetchone()[0] for name in SET]
        driver.rollback()
        return values

    for engine in (database.reader, database.writer):
        with engine.connect() as connection:
            before = settings_of(connection)
        with engine.begin() as connection:
            connection.execute(text("SELECT 1"))
        with engine.connect() as connection:
            assert settings_of(connection) == before


def test_a_lost_row_of_the_log_is_named_with_the_statement_that_puts_it_back(hosts: Hosts) -> None:
    settings = hosts.settings("one")
    with writer_on(settings) as writer:
        for _ in range(2):
            writer.submit(pico(1))
        assert writer.step() == 2
        hosts.run("DELETE FROM readings WHERE id = 2")
        hosts.run("INSERT INTO followers (name, last_id) VALUES ('rollups', 2)")
        hosts.run("DELETE FROM log WHERE name = 'readings'")
        writer.submit(pico(3))
        assert writer.step() == 0
        said, _, put_back = writer.trouble.partition("as the owner of the tables: ")
        assert said == (
            "TurnLost: the table log has lost its row 'readings', and nothing is stored before it"
            " is back; "
        )
        hosts.run(put_back)
        assert writer.step() == 1
    # The id of a row that was removed is not used twice.
    assert hosts.run("SELECT id, pressure FROM readings ORDER BY id") == [(1, 1.0), (3, 3.0)]
