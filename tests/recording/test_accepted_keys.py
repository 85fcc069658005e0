"""Of readings with one key the first is stored, whichever worker, file or commit they come by."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.accepted_keys import AcceptedKeys, accepted_ms_by_key, key_of
from flask10x.recording.batch import Receipt, entry_of
from flask10x.recording.leftovers import LOOK_EVERY_SEC, Leftovers
from flask10x.recording.shared_queue import SharedQueue, SharedQueues, WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges
from tests.recording.test_group_commit import Workers, in_child, stored
from tests.recording.test_rejected_queue import Clock
from tests.recording.test_writer import commits_in_doubt
from tests.support import databases
from tests.support.both_engines import REFUSED, refuse, refuse_no_more
from tests.support.rows import execute, pico, select

KEYS = "SELECT generation, digest, at FROM accepted_keys ORDER BY at, digest"
TWO = ("readings", "NEW.pressure = 2", "two is not wanted")
AT = 1_756_000_000_000
A, B = key_of("data", b"a"), key_of("data", b"b")


@pytest.fixture
def workers(settings: Settings, database: Database) -> Iterator[Workers]:
    workers = Workers(settings, database)
    yield workers
    for writer in (workers.first, workers.second):
        writer.close(5)


def submit(writer: Writer, number: float, key: str, window_ms: int = 0, at: int = AT) -> Receipt:
    receipt = Receipt()
    writer.submit(pico(number, at), receipt, key, window_ms)
    return receipt


def outcome(receipt: Receipt) -> str:
    assert receipt.wait(0)
    return "duplicate" if receipt.is_duplicate else receipt.refusal or "stored"


def test_of_one_key_the_first_is_stored_whichever_workers_have_taken_the_others(
    workers: Workers, database: Database
) -> None:
    """In one commit, in a later one, and after a restart; without a key each is another one."""
    receipts = [
        submit(workers.first, 1, A),
        submit(workers.first, 2, A),
        submit(workers.second, 3, A),
        submit(workers.second, 4, B),
        submit(workers.second, 5, ""),
        submit(workers.second, 5, ""),
    ]
    assert workers.first.step() == 6
    workers.second._give_receipts()
    assert stored(database) == [1, 4, 5, 5]
    assert [*map(outcome, receipts)] == ["stored", "duplicate", "duplicate", *["stored"] * 3]
    assert select(database.path, KEYS) == [(0, bytes.fromhex(key), AT) for key in sorted((A, B))]
    later = submit(workers.second, 6, B)
    assert workers.first.step() == 1
    workers.second._give_receipts()
    assert outcome(later) == "duplicate"
    restarted = Workers(workers.settings, database)
    again = [submit(restarted.first, 7, A), submit(restarted.first, 8, key_of("data2", b"a"))]
    assert restarted.first.step() == 2
    assert [*map(outcome, again)] == ["duplicate", "stored"]
    assert stored(database) == [1, 4, 5, 5, 8]


@pytest.mark.parametrize("how", ["ABORT", "ROLLBACK"])
def test_what_the_database_refuses_leaves_no_key(
    workers: Workers, database: Database, how: str
) -> None:
    execute(database.path, refuse(*TWO, how))
    receipts = [
        submit(workers.first, 1, B),
        submit(workers.first, 2, A),
        submit(workers.first, 2, A),
        submit(workers.first, 3, B),
    ]
    workers.first.step()
    two = f"{REFUSED}: two is not wanted"
    assert [*map(outcome, receipts)] == ["stored", two, two, "duplicate"]
    execute(database.path, refuse_no_more("readings"))
    again = [submit(workers.first, 2, A), submit(workers.first, 2, A)]
    workers.first.step()
    assert [*map(outcome, again)] == ["stored", "duplicate"]
    assert stored(database) == [1, 2]


def test_a_commit_in_doubt_is_no_reason_to_take_a_reading_for_its_own_repeat(
    workers: Workers, database: Database
) -> None:
    receipts = [submit(workers.second, 1, A), submit(workers.second, 2, A)]
    with commits_in_doubt(database):
        assert workers.first.step() == 0
    receipts += [submit(workers.second, 3, A), submit(workers.second, 4, B)]
    assert workers.second.step() == 4
    assert [*map(outcome, receipts)] == ["stored", "duplicate", "duplicate", "stored"]
    assert stored(database) == [1, 4]


@pytest.mark.parametrize("dies_in", ["settle", "note_not_stored"])
def test_who_is_killed_round_its_commit_has_stored_a_key_once(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    queues, gauges = SharedQueues.anonymous(10), Gauges(settings.stations.by_endpoint)

    def work() -> None:
        writer = Writer(settings, Database(settings), WorkerSlot(gauges, queues, 0))
        submit(writer, 1, A)
        submit(writer, 2, A)
        monkeypatch.setattr(SharedQueue, dies_in, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        writer.step()

    in_child(work)
    assert stored(database) == ([1] if dies_in == "settle" else [])
    with closing(Database(settings)) as own:
        successor = Writer(settings, own, WorkerSlot(gauges, queues, 0), end_worker=lambda: None)
        submit(successor, 3, A)
        assert successor.close(5) == 0
    assert stored(database) == [1]


def test_what_a_stop_has_left_in_files_is_no_way_round_a_key(
    settings: Settings, database: Database, workers: Workers
) -> None:
    """Neither within a file, nor from file to file, nor for what came before or comes later."""
    clock = Clock()
    leftovers = Leftovers(settings, database, clock)
    entries = [entry_of(BUILT_IN, pico(n), key=key) for n, key in ((1, A), (2, A), (3, B), (4, ""))]
    assert leftovers.save("queue-1", 0, entries, "a test")
    assert leftovers.save("queue-2", 0, entries, "a test")
    submit(workers.first, 5, B)
    workers.first.step()
    for _ in range(4):
        leftovers.step()
        clock.now_sec += LOOK_EVERY_SEC
    leftovers.close()
    later = submit(workers.first, 6, A)
    workers.first.step()
    assert outcome(later) == "duplicate"
    assert stored(database) == [5, 1, 4, 4]


def test_the_same_again_after_its_window_is_a_new_reading(
    workers: Workers, database: Database
) -> None:
    """It counts from the one that was stored; a late one counts by its arrival."""
    times = (0, 59_999, 60_000, 119_000, 61_000)
    receipts = [submit(workers.first, n, A, 60_000, AT + ms) for n, ms in enumerate(times)]
    workers.first.step()
    outcomes = ["stored", "duplicate", "stored", "duplicate", "duplicate"]
    assert [*map(outcome, receipts)] == outcomes
    late = Receipt()
    reading = Reading("data", 0, (9.0, 9.0), arrived_at=AT + 119_999)
    workers.first.submit(reading, late, A, 60_000)
    set_back = submit(workers.first, 7, A, 60_000, AT)
    workers.first.step()
    assert [outcome(late), outcome(set_back)] == ["duplicate", "stored"]
    assert select(database.path, KEYS) == [(0, bytes.fromhex(A), AT)]


def test_as_many_keys_as_are_promised_are_recognised_and_no_more_than_twice_as_many_kept(
    settings: Settings, database: Database
) -> None:
    few, numbers = replace(settings, idempotency_max_rows=10), range(95)
    workers = Workers(few, database)
    for number in numbers:
        submit(workers.first, number, key_of("data", b"%d" % number))
        workers.first.step()
        newest = {key_of("data", b"%d" % n) for n in numbers[max(0, number - 9) : number + 1]}
        with database.reader.begin() as connection:
            assert accepted_ms_by_key(connection, newest).keys() == newest
        assert select(database.path, "SELECT count(*) <= 20 FROM accepted_keys") == [(1,)]
    assert select(database.path, "SELECT count(DISTINCT generation) FROM accepted_keys") == [(2,)]
    submit(workers.first, 1000, key_of("data", b"%d" % 60))
    workers.first.step()
    assert stored(database) == [*numbers, 1000], "its key was long gone"
    workers.first.close(5)


def test_a_key_that_is_renewed_counts_once(settings: Settings, database: Database) -> None:
    few = replace(settings, idempotency_max_rows=3)
    with database.commit() as connection:
        for number in range(9):
            entry = entry_of(BUILT_IN, pico(1, AT + 1000 * number), key=A, repeat_window_ms=1000)
            keys = AcceptedKeys(connection, [entry.key])
            assert not keys.has(entry)
            keys.add(entry)
            keys.write(few.idempotency_max_rows)
    assert select(database.path, KEYS) == [(0, bytes.fromhex(A), AT + 8000)]


def test_old_generations_go_a_piece_at_a_time(settings: Settings, database: Database) -> None:
    keys = [key_of("data", b"%d" % number) for number in range(451)]

    def commit_keys(some: list[str]) -> int:
        entries = [entry_of(BUILT_IN, pico(1), key=key) for key in some]
        with database.commit() as connection:
            accepted = AcceptedKeys(connection, some)
            for entry in entries:
                accepted.add(entry)
            accepted.write(150)
        ((left,),) = select(database.path, "SELECT count(*) FROM accepted_keys")
        return int(left)

    assert commit_keys(keys[:150]) == 150
    assert commit_keys(keys[150:300]) == 300
    assert [commit_keys(keys[300:301]), commit_keys(keys[301:302])] == [201, 152]


def test_readings_without_keys_cost_no_statement(workers: Workers, database: Database) -> None:
    for number in (1.5, 2.5):
        submit(workers.first, number, "")
    with statements(database) as found:
        workers.first.step()
    assert any("INSERT INTO readings" in text for text in found)
    assert not [text for text in found if "keys" in text]
    # PostgreSQL begins and locks with the first of them.
    assert len(found) == (3 if databases.ON_POSTGRES else 5), found


@pytest.mark.sqlite_only("bytes of its page are counted")
def test_a_reading_without_a_key_costs_one_byte(
    workers: Workers, settings: Settings, database: Database
) -> None:
    submit(workers.first, 1.5, "")
    workers.first.step()
    with_arrival = payload_bytes(database)
    execute(database.path, "ALTER TABLE readings DROP COLUMN arrived_at")
    assert payload_bytes(database) == with_arrival - 1


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    looked_up: list[str] = []

    def note(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        looked_up.append(text)

    event.listen(database.writer, "before_cursor_execute", note)
    yield looked_up
    event.remove(database.writer, "before_cursor_execute", note)


def payload_bytes(database: Database) -> int:
    """What the first reading takes, from its leaf (https://www.sqlite.org/fileformat.html, 1.6)."""
    with closing(sqlite3.connect(database.path)) as other:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'readings'"
        (root,) = other.execute(query).fetchone()
        page = other.serialize()[(root - 1) * 512 : root * 512]
    assert page[0] == 13, "a leaf"
    cell = int.from_bytes(page[8:10], "big")
    assert page[cell] < 128, "a number of one byte"
    return page[cell]
