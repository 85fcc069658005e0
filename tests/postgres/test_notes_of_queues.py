"""The notes of what is settled (`database/queue_notes.py`), each of the host whose queue it is."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from flask10x.database import queue_notes, schema
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.expressions import number_of
from flask10x.database.postgres.connections import PostgresConnections
from flask10x.maintenance import copying
from flask10x.maintenance.copying import copy
from flask10x.recording.accepted_keys import AcceptedKeys, key_of
from flask10x.recording.entry import Entry
from tests.e2e.service import wait_until
from tests.postgres.copying import differences, in_file, on_postgres
from tests.postgres.hosts import Hosts
from tests.postgres.service import WITHIN_SEC

NAMED = "SELECT name, last_id FROM log WHERE name LIKE %s ORDER BY name"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
WAITING += " AND wait_event_type = 'Lock'"
ROWS_MAX = 1_000


@pytest.fixture
def kitchen(hosts: Hosts) -> Database:
    return hosts.database("kitchen")


def test_a_host_forgets_none_of_another_one(hosts: Hosts) -> None:
    databases = {host: hosts.database(host) for host in ("kitchen", "cellar")}
    for host, number in (("kitchen", 3), ("cellar", 500)):
        with databases[host].commit() as connection:
            queue_notes.note(connection, f"of the {host}", 0, number)
    with databases["kitchen"].commit() as connection:
        assert queue_notes.queues(connection) == {"of the kitchen"}
        queue_notes.forget(connection, queue_notes.queues(connection))
    with databases["cellar"].commit() as connection:
        assert queue_notes.up_to(connection, "of the kitchen") == 0
        assert queue_notes.up_to(connection, "of the cellar") == 500


def noted(database: Database, queue: str, *numbers: int) -> None:
    """Commits of this queue, each up to one of these entries."""
    for number in numbers:
        with database.commit() as connection:
            done = queue_notes.up_to(connection, queue)
            queue_notes.note(connection, queue, done, number)


def up_to(database: Database, queue: str) -> int:
    with database.reader.begin() as connection:
        return queue_notes.up_to(connection, queue)


def test_a_queue_has_one_row_however_many_entries_are_settled(
    hosts: Hosts, kitchen: Database
) -> None:
    noted(kitchen, "a", *range(1, 1300, 7))
    noted(kitchen, "ab", *range(1000, 9000, 1000))
    assert hosts.run(NAMED, "queue %") == [
        ("queue a", 1296),
        ("queue ab", 8000),
    ]
    assert (up_to(kitchen, "a"), up_to(kitchen, "ab")) == (1296, 8000)
    with kitchen.commit() as connection:
        assert queue_notes.queues(connection) == {"a", "ab"}
        queue_notes.forget(connection, ["a"])
    assert hosts.run(NAMED, "queue %") == [("queue ab", 8000)]


@pytest.mark.parametrize(
    ("late", "meanwhile"),
    [
        ((0, 3), (3,)),
        ((200, 250), (250,)),
        ((200, 250), (250, 251)),
        ((200, 250), (300,)),
        ((200, 250), (1000, 5000)),
        ((200, 300), (290, 310)),
        # A part of the batch that is run late: its readings would be there twice.
        ((200, 250), (210,)),
        ((200, 900), (210,)),
    ],
)
def test_what_is_run_late_fails_behind_a_later_note(
    hosts: Hosts, kitchen: Database, late: tuple[int, int], meanwhile: tuple[int, ...]
) -> None:
    done, number = late
    if done:
        noted(kitchen, "a", done)
    noted(kitchen, "a", *meanwhile)
    with pytest.raises(DBAPIError) as raised, kitchen.commit() as connection:
        queue_notes.note(connection, "a", done, number)
    assert "flask10x.settled_before" in reason_of(raised.value)
    assert up_to(kitchen, "a") == meanwhile[-1]
    assert len(hosts.run(NAMED, "queue %")) == 1


def test_what_waits_for_the_same_batch_of_another_connection_fails_behind_it(
    hosts: Hosts, kitchen: Database
) -> None:
    """It has reached its server before, as a whole, and sees what was stored while it waited."""

    patient = PostgresConnections(hosts.settings("kitchen"), busy_timeout_ms=60_000)

    def store_late() -> None:
        try:
            with patient.writer.begin() as connection:
                queue_notes.note(connection, "a", 0, 300)
        finally:
            patient.leave()

    with ThreadPoolExecutor(1) as thread:
        with kitchen.commit() as connection:
            queue_notes.note(connection, "a", 0, 200)
            late = thread.submit(store_late)
            wait_until(lambda: hosts.run(WAITING) == [(1,)], WITHIN_SEC, "it waits")
        with pytest.raises(DBAPIError) as raised:
            late.result()
    assert "flask10x.settled_before" in reason_of(raised.value)
    assert hosts.run(NAMED, "queue %") == [("queue a", 200)]


def count_keys(database: Database, first: int, end: int, rows_max: int = ROWS_MAX) -> None:
    """Store keys with these numbers, in one commit."""
    names = [key_of("data", b"%d" % number) for number in range(first, end)]
    with database.commit() as connection:
        keys = AcceptedKeys(connection, names)
        for name in names:
            keys.add(Entry({"received_at": 1}, key=name))
        keys.write(rows_max)


def count_of(database: Database) -> int:
    with database.reader.begin() as connection:
        number: int = connection.execute(select(number_of("accepted keys"))).scalar_one()
        return number


def test_keys_are_counted_exactly_over_generations(hosts: Hosts, kitchen: Database) -> None:
    for first in range(0, 700, 70):
        count_keys(kitchen, first, first + 70)
        assert count_of(kitchen) == first + 70
    count_keys(kitchen, 700, ROWS_MAX)
    # Renewed, and no more than before; then a generation begins, and again.
    count_keys(kitchen, 600, 610)
    assert hosts.run("SELECT max(generation) FROM accepted_keys") == [(1,)]
    assert hosts.run(NAMED, "accepted%") == [("accepted keys", 10)]
    count_keys(kitchen, 600, 610)
    assert count_of(kitchen) == 10
    count_keys(kitchen, 1000, 1300, rows_max=10)
    assert hosts.run(NAMED, "accepted%") == [("accepted keys", 300)]
    # A person has emptied the table.
    hosts.run("DELETE FROM accepted_keys")
    count_keys(kitchen, 0, 5)
    assert hosts.run(NAMED, "accepted%") == [("accepted keys", 305)]


def test_numbers_are_copied(hosts: Hosts, kitchen: Database, tmp_path: Path) -> None:
    noted(kitchen, "a", 5, 600)
    count_keys(kitchen, 0, 300)
    source = hosts.settings("kitchen")
    back = in_file(source, tmp_path / "back.sqlite3")
    with on_postgres(source) as second, on_postgres(source) as third:
        for one, other in ((source, second), (source, back), (back, third)):
            copy(one, other)
            assert differences(one, other) == []
        for other in (second, back, third):
            with closing(Database(other)) as database, database.reader.begin() as connection:
                numbers = copying.sequences(connection)
            assert numbers == {"queue a": 600, "accepted keys": 300}
        with closing(Database(second)) as database:
            noted(database, "a", 601)
            count_keys(database, 300, 310)
            assert (up_to(database, "a"), count_of(database)) == (601, 310)


def test_a_note_under_several_names_keeps_its_last_number(hosts: Hosts, kitchen: Database) -> None:
    """0025: else what is left of the queue would be stored again."""
    schema.downgrade(hosts.settings("kitchen"), "0024")
    hosts.run("DELETE FROM log WHERE name <> 'readings'")
    for name, number in (
        ("queue a", 40),
        ("queue a#00000000000002", 700),
        ("queue a#00000000000009", 2500),
        ("queue a#0000000000000a", 2600),
        ("queue a rejected#00000000000000", 3),
        ("queue b", 7),
        ("accepted keys#00000002000001", 300),
    ):
        row = "INSERT INTO log (name, last_id, host) VALUES (%s, %s, 'kitchen')"
        hosts.run(row, name, number)
    schema.upgrade(hosts.settings("kitchen"))
    assert hosts.run(NAMED, "%") == [
        ("accepted keys", 300),
        ("queue a", 2600),
        ("queue a rejected", 3),
        ("queue b", 7),
        ("readings", 0),
    ]
    assert (up_to(kitchen, "a"), count_of(kitchen)) == (2600, 300)
