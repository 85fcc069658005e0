"""The notes of what is settled (`database/queue_notes.py`), and the names that they have in `log`.

Each belongs to the host whose queue it is. The number of accepted keys has such names, too.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from flask10x.database import queue_notes
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
from tests.postgres.held import commits_behind_a_snapshot, pages, snapshot_held
from tests.postgres.hosts import Hosts
from tests.postgres.service import WITHIN_SEC

NAMED = "SELECT name, last_id FROM log WHERE name LIKE %s ORDER BY name"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
WAITING += " AND wait_event_type = 'Lock'"
COMMITS = 1_500
# Then it is 14, with keys 25; with one name for all commits 22, with keys 91.
PAGES_MAX = {False: 18, True: 35}
# It is 22 at most; some 40 where the commit looked for all earlier names.
LARGE_PAGES_MAX = 30
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
    """Also one whose batches are larger than what a name is for."""
    noted(kitchen, "a", *range(1, 1300, 7))
    noted(kitchen, "ab", *range(1000, 9000, 1000))
    assert hosts.run(NAMED, "queue %") == [
        ("queue a#00000000000005", 1296),
        ("queue ab#0000000000001f", 8000),
    ]
    assert (up_to(kitchen, "a"), up_to(kitchen, "ab")) == (1296, 8000)
    with kitchen.commit() as connection:
        assert queue_notes.queues(connection) == {"a", "ab"}
        queue_notes.forget(connection, ["a"])
    assert hosts.run(NAMED, "queue %") == [("queue ab#0000000000001f", 8000)]


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
def test_what_is_run_late_fails_behind_a_later_note_whatever_the_names(
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
    assert hosts.run(NAMED, "queue %") == [("queue a#00000000000000", 200)]


def test_a_note_of_the_version_before_is_found_and_that_of_its_host_stays(
    hosts: Hosts, kitchen: Database
) -> None:
    plain = "INSERT INTO log (name, last_id, host) VALUES ('queue ' || %s, %s, %s)"
    hosts.run(plain, "a", 700, "kitchen")
    hosts.run(plain, "b", 40, "cellar")
    assert (up_to(kitchen, "a"), up_to(kitchen, "b")) == (700, 40)
    noted(kitchen, "a", 701, 1000)
    # What that version has sent, and is run late, looks at its own name only.
    assert hosts.run(NAMED, "queue %") == [
        ("queue a", 700),
        ("queue a#00000000000003", 1000),
        ("queue b", 40),
    ]
    assert up_to(kitchen, "a") == 1000
    with kitchen.commit() as connection:
        assert queue_notes.queues(connection) == {"a"}
        queue_notes.forget(connection, ["a"])
    assert hosts.run(NAMED, "queue %") == [("queue b", 40)]


def count_keys(database: Database, first: int, end: int, rows_max: int = ROWS_MAX) -> None:
    """Store keys with these numbers, in one commit."""
    names = [key_of("data", b"%d" % number) for number in range(first, end)]
    with database.commit() as connection:
        keys = AcceptedKeys(connection, names)
        for name in names:
            keys.add(Entry({"received_at": 1}, key=name))
        keys.write(rows_max)


def count_as_before(hosts: Hosts, keys: int) -> None:
    """What a host of the version before adds, which knows the plain name only."""
    hosts.run(
        "INSERT INTO log (name, last_id) VALUES ('accepted keys', %s)"
        " ON CONFLICT (name) DO UPDATE SET last_id = log.last_id + excluded.last_id",
        keys,
    )


def count_of(database: Database) -> int:
    with database.reader.begin() as connection:
        number: int = connection.execute(select(number_of("accepted keys"))).scalar_one()
        return number


def test_keys_are_counted_exactly_over_names_and_generations(
    hosts: Hosts, kitchen: Database
) -> None:
    count_as_before(hosts, 200)
    for first in range(0, 700, 70):
        count_keys(kitchen, first, first + 70)
        assert count_of(kitchen) == 200 + first + 70
        assert [name for name, _ in hosts.run(NAMED, "accepted%")] == [
            f"accepted keys#{(200 + first + 70) // 256:014x}"
        ]
    # Those of a host that is updated later.
    count_as_before(hosts, 30)
    assert count_of(kitchen) == 930
    count_keys(kitchen, 700, 770)
    assert hosts.run(NAMED, "accepted%") == [("accepted keys#00000000000003", 1000)]
    # Renewed, and no more than before; then a generation begins, and again.
    count_keys(kitchen, 600, 610)
    assert hosts.run("SELECT max(generation) FROM accepted_keys") == [(1,)]
    assert hosts.run(NAMED, "accepted%") == [("accepted keys#00000001000000", 10)]
    count_keys(kitchen, 600, 610)
    count_keys(kitchen, 1000, 1300, rows_max=10)
    assert hosts.run(NAMED, "accepted%") == [("accepted keys#00000002000001", 300)]
    # A person has emptied the table.
    hosts.run("DELETE FROM accepted_keys")
    count_keys(kitchen, 0, 5)
    assert hosts.run(NAMED, "accepted%") == [("accepted keys#00000000000001", 305)]


def test_numbers_are_copied_under_their_plain_names(
    hosts: Hosts, kitchen: Database, tmp_path: Path
) -> None:
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


@pytest.mark.parametrize("with_keys", [False, True])
def test_behind_a_held_snapshot_a_commit_looks_at_no_more_pages_after_many_others(
    hosts: Hosts, with_keys: bool
) -> None:
    """What a `pg_dump` of minutes may still see is not removed, and each commit would walk past."""
    with commits_behind_a_snapshot(hosts, with_keys=with_keys) as commits:
        commits.run(COMMITS)
        assert commits.pages() < PAGES_MAX[with_keys]


def test_of_large_batches_neither(hosts: Hosts, kitchen: Database) -> None:
    """Each begins a name, and deletes the row of the one before."""

    def commits(first: int, end: int) -> None:
        for number in range(first, end):
            with kitchen.commit() as connection:
                queue_notes.note(connection, "a", number * 500, (number + 1) * 500)

    commits(0, 1)
    with snapshot_held(hosts):
        commits(1, COMMITS)
        looked_at = pages(hosts, kitchen, lambda: commits(COMMITS, COMMITS + 100))
    assert looked_at / 100 < LARGE_PAGES_MAX
