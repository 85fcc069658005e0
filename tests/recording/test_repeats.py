"""Whether a key is known, asked before a reading is queued: wherever the first one is by then.

What is not known here is decided when it would be stored (`test_accepted_keys.py`).
"""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.readings.stations import BUILT_IN
from flask10x.recording import entry
from flask10x.recording import repeats as repeats_module
from flask10x.recording.accepted_keys import key_of
from flask10x.recording.batch import entry_of
from flask10x.recording.entry import Entry
from flask10x.recording.leftovers import Leftovers
from flask10x.recording.repeats import Repeats
from flask10x.recording.shared_queue import SharedQueue
from flask10x.system import clock
from tests.recording.test_accepted_keys import AT, A, B, submit
from tests.recording.test_group_commit import NO_TWO, Workers
from tests.recording.test_rejected_queue import Clock
from tests.support.rows import execute, pico

C = key_of("data", b"c")


@pytest.fixture
def workers(settings: Settings, database: Database) -> Iterator[Workers]:
    workers = Workers(settings, database)
    yield workers
    for writer in (workers.first, workers.second):
        writer.close(5)


@pytest.fixture
def repeats(workers: Workers, database: Database) -> Repeats:
    return Repeats(database, workers.queues)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The wall clock as `Repeats` sees it: its one number can be changed."""
    now = [AT]
    monkeypatch.setattr(clock, "now_ms", lambda: now[0])
    return now


def test_a_repeat_is_recognised_while_its_reading_waits_and_once_it_is_stored(
    workers: Workers, repeats: Repeats
) -> None:
    """Of whichever worker; also when it came after an earlier question."""
    assert not repeats.among({A: 0})
    submit(workers.first, 1, "")
    submit(workers.second, 1, A)
    assert (bool(repeats.among({A: 0})), bool(repeats.among({B: 0}))) == (True, False)
    submit(workers.second, 2, B)
    assert repeats.among({A: 0, B: 0, C: 0}) == {A, B}
    workers.first.step()
    assert repeats.among({A: 0, B: 0, C: 0}) == {A, B}
    submit(workers.second, 3, C)
    assert repeats.among({A: 0, B: 0, C: 0}) == {A, B, C}


def test_each_line_is_read_once_and_nothing_is_kept_of_what_is_settled(
    workers: Workers, repeats: Repeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    usual = SharedQueue._entry

    def note(queue: SharedQueue, number: int, place: bytes) -> object:
        read.append(number)
        return usual(queue, number, place)

    for number in range(3):
        submit(workers.first, number, key_of("data", b"%d" % number))
    submit(workers.first, 9, "")
    monkeypatch.setattr(SharedQueue, "_entry", note)
    assert [bool(repeats.among({A: 0})), bool(repeats.among({A: 0}))] == [False, False]
    assert read == [1, 2, 3]
    workers.first._queue.settle(2)
    assert not repeats.among({key_of("data", b"1"): 0}), "it is in no table"
    assert [bool(repeats.among({key_of("data", b"2"): 0})), len(repeats._waiting)] == [True, 1]
    assert len(repeats._waiting[0].arrived_at) == 1
    workers.first._queue.settle(4)
    assert not repeats.among({A: 0})
    assert repeats._waiting == {}


def test_a_repeat_is_recognised_while_its_reading_lies_in_a_file(
    workers: Workers, repeats: Repeats, settings: Settings, database: Database
) -> None:
    leftovers = Leftovers(settings, database, Clock())
    entries = [entry_of(BUILT_IN, pico(1, AT), key=A), entry_of(BUILT_IN, pico(2, AT))]
    assert leftovers.save("queue-1", 0, entries, "a test")
    assert repeats.among({A: 0, B: 0}) == {A}
    leftovers.step()
    assert not entry.leftover_files(database.path.parent)
    assert repeats.among({A: 0, B: 0}) == {A}
    (database.path.parent / "leftover-broken.jsonl").write_text("{}\n{\n")
    assert repeats.among({A: 0, B: 0}) == {A}
    leftovers.close()


def test_a_repeat_is_recognised_while_its_reading_goes_from_a_queue_into_a_file(
    workers: Workers,
    repeats: Repeats,
    settings: Settings,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leftovers, usual = Leftovers(settings, database, Clock()), workers.queues.not_empty

    def meanwhile() -> list[int]:
        leftovers.save_queue(workers.queues[0], "a test")
        return usual()

    submit(workers.first, 1, A)
    monkeypatch.setattr(workers.queues, "not_empty", meanwhile)
    assert repeats.among({A: 0})
    leftovers.close()


def test_a_file_is_read_once_and_one_that_cannot_be_stored_has_no_keys(
    repeats: Repeats, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends again what lies in a broken file has it stored."""
    read, usual = [], entry.entries_of

    def note(path: Path) -> Generator[Entry, None, None]:
        read.append(path.name)
        return usual(path)

    monkeypatch.setattr(repeats_module, "entries_of", note)
    lines = entry.text_of("queue-1", 0, [entry_of(BUILT_IN, pico(1, AT), key=A)])
    (database.path.parent / "leftover-broken.jsonl").write_text(lines + "{")
    lines = entry.text_of("queue-2", 0, [entry_of(BUILT_IN, pico(1, AT))])
    (database.path.parent / "leftover-without.jsonl").write_text(lines)
    assert [bool(repeats.among({A: 0})), bool(repeats.among({A: 0}))] == [False, False]
    assert read == ["leftover-broken.jsonl", "leftover-without.jsonl"]


def test_the_window_counts_wherever_the_first_one_is(
    workers: Workers, repeats: Repeats, now: list[int]
) -> None:
    submit(workers.first, 1, A, 60_000)
    # It is a repeat itself, and will not be stored.
    submit(workers.first, 1, A, 60_000, AT + 30_000)
    for _ in ("waiting", "stored"):
        repeats_seen = []
        for ms in (0, 59_999, 60_000, -59_999, -60_000):
            now[0] = AT + ms
            repeats_seen.append(bool(repeats.among({A: 60_000})))
        assert repeats_seen == [True, True, False, True, False]
        assert repeats.among({A: 0}), "without a window for ever"
        workers.first.step()


def test_what_the_database_has_refused_has_no_repeat(
    workers: Workers, repeats: Repeats, database: Database
) -> None:
    execute(database.path, NO_TWO)
    submit(workers.first, 2, A)
    assert repeats.among({A: 0})
    workers.first.step()
    assert not repeats.among({A: 0})


def test_no_repeat_is_recognised_in_a_database_that_cannot_be_read(
    workers: Workers, repeats: Repeats, database: Database
) -> None:
    submit(workers.first, 1, A)
    workers.first.step()
    submit(workers.first, 2, B)
    execute(database.path, "ALTER TABLE accepted_keys RENAME TO other")
    assert repeats.among({A: 0, B: 0}) == {B}
    execute(database.path, "ALTER TABLE other RENAME TO accepted_keys")
    assert repeats.among({A: 0, B: 0}) == {A, B}
