"""Readings for paths without a station: all are kept within bounds, and stored once it is there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from flask10x.config import station_file
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.station_columns import add_missing
from flask10x.errors import LockTimeout
from flask10x.readings.reasons import Reason
from flask10x.recording import rejected
from flask10x.recording import replay as replay_module
from flask10x.recording.rejected import RejectedReading, RejectedRow, Selection, purge, waiting
from flask10x.recording.rejected_queue import PATHS_MAX, RejectedQueue
from flask10x.recording.replay import replay
from tests.conftest import MakeSettings
from tests.recording.test_rejected_queue import Clock
from tests.support.both_engines import REFUSED, refuse, refuse_no_more
from tests.support.rows import execute, select

AT = 1_756_000_000_000
PORCH = """
[stations.porch]
label = "Porch"
measurements.temperature = {unit = "°C", minimum = -50, maximum = 150}
"""
HELD = "SELECT count(*) FROM rejected WHERE earlier IS NOT NULL"
LISTED = "SELECT count(*) FROM rejected WHERE earlier IS NULL"
EARLIER = "SELECT received_at FROM rejected WHERE earlier IS NOT NULL ORDER BY id"
STORED = "SELECT received_at, temperature FROM readings WHERE endpoint = 'porch' ORDER BY id"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rejected_queue(settings: Settings, database: Database, clock: Clock) -> RejectedQueue:
    return RejectedQueue(settings, database, clock)


@pytest.fixture
def with_porch(make_settings: MakeSettings, settings: Settings, database: Database) -> Settings:
    """The settings once the station is added."""
    (settings.data_dir / station_file.NAME).write_text(PORCH, encoding="utf-8")
    add_missing(database, station_file.load(settings.data_dir / station_file.NAME))
    return make_settings()


def sent(
    number: int, endpoint: str = "porch", key: str = "", *, good: bool = True
) -> RejectedReading:
    reasons = {"endpoint": Reason("no_such_station")}
    body = json.dumps({"temperature": number % 100}).encode() if good else b"{}"
    what = endpoint, AT + number, "application/json", body, reasons
    return RejectedReading(*what, key=key, is_storable=good)


def counted(database: Database, query: str = HELD) -> int:
    ((count,),) = select(database.path, query)
    return int(count)


def keep_earlier(database: Database, settings: Settings, *readings: RejectedReading) -> None:
    """Keep these of paths that no station has, as if one more of each path had come and gone."""
    with database.commit() as connection:
        newest = rejected.keep(connection, readings, settings).newest
        for number in newest.values():
            rejected.hide(connection, number, is_storable=True)


def unknown(number: int, endpoint: str, size: int = 20) -> RejectedReading:
    return RejectedReading(endpoint, number, "", b"x" * size, {}, is_storable=True)


def test_all_readings_of_a_board_are_stored_once_with_their_times(
    rejected_queue: RejectedQueue, clock: Clock, database: Database, with_porch: Settings
) -> None:
    for number in range(500):
        rejected_queue.take_unknown(sent(number))
        if number % 7 == 0:
            clock.now_sec += 20
            rejected_queue.step()
    rejected_queue.finish()
    assert counted(database) == 499
    assert counted(database, LISTED) == 1
    with database.reader.begin() as connection:
        assert waiting(connection, "porch") == (500, AT, AT + 499)
        assert waiting(connection, "attic") is None

    chosen = Selection(endpoints=("porch",))
    tried = list(replay(with_porch, database, chosen, dry_run=True))
    assert (len(tried), counted(database)) == (500, 499)
    for expected in (500, 0):
        outcomes = list(replay(with_porch, database, chosen))
        assert [outcome.good for outcome in outcomes] == [True] * expected
        assert sorted(select(database.path, STORED)) == [
            (AT + number, float(number % 100)) for number in range(500)
        ]
    assert counted(database) == 0


def test_a_burst_of_a_board_is_kept_too(rejected_queue: RejectedQueue, database: Database) -> None:
    for number in range(500):
        rejected_queue.take_unknown(sent(number))
    rejected_queue.finish()
    assert counted(database) == 499


def test_a_scanner_fills_no_list(
    rejected_queue: RejectedQueue, clock: Clock, database: Database
) -> None:
    """It names thousands of paths, and a board sends among them and after them."""
    take = rejected_queue.take_unknown
    known = []
    for number in range(6_000):
        take(sent(number, f"junk{number}", good=False))
        if number % 100 == 50:
            known.append(take(sent(number)))
            clock.now_sec += 20
            rejected_queue.step()
    rejected_queue.finish()
    names = select(
        database.path, "SELECT DISTINCT endpoint FROM rejected WHERE earlier IS NOT NULL"
    )
    assert names == [("porch",)]
    with database.reader.begin() as connection:
        found = waiting(connection, "porch")
    assert found is not None and found.readings == len(known) == 60
    assert counted(database, LISTED) == PATHS_MAX


def test_the_row_of_a_path_that_is_silent_longest_leaves_the_lists(
    rejected_queue: RejectedQueue, database: Database
) -> None:
    take = rejected_queue.take_unknown
    for number in range(PATHS_MAX):
        assert not take(sent(number, f"shed{number}", good=number != 1))
    rejected_queue.finish()
    assert take(sent(PATHS_MAX, "shed0"))
    for number in range(2):
        take(sent(number, f"attic{number}"))
    rejected_queue.finish()
    assert counted(database, LISTED) == PATHS_MAX
    # One that no station could store is gone.
    left = "SELECT endpoint FROM rejected WHERE earlier IS NOT NULL ORDER BY id"
    assert select(database.path, left) == [("shed0",), ("shed2",)]


def test_what_no_station_could_store_is_not_kept(
    rejected_queue: RejectedQueue, database: Database
) -> None:
    for number, good in enumerate((True, False, False, True, False)):
        rejected_queue.take_unknown(sent(number, good=good))
    rejected_queue.finish()
    assert select(database.path, EARLIER) == [(AT,), (AT + 3,)]


def test_what_a_sender_repeats_until_the_station_is_there_is_kept_once(
    rejected_queue: RejectedQueue, database: Database, with_porch: Settings
) -> None:
    for _ in range(3):
        for number in range(5):
            rejected_queue.take_unknown(sent(number, key=f"{number:032x}"))
        rejected_queue.finish()
    # As another worker would.
    keep_earlier(database, with_porch, replace(sent(2), received_at=AT, key=f"{2:032x}"))
    outcomes = list(replay(with_porch, database, Selection()))
    assert [outcome.good for outcome in outcomes].count(True) == 5
    assert (len(select(database.path, STORED)), counted(database)) == (5, 0)
    assert counted(database, "SELECT count(*) FROM rejected WHERE reading_id IS NULL") == 0


def test_what_is_invalid_for_the_station_becomes_a_rejected_reading_of_it(
    database: Database, with_porch: Settings
) -> None:
    bodies = (b'{"temperature": 200}', b'{"temperature": 20}', b'{"battery": 3}')
    keep_earlier(database, with_porch, *(replace(sent(0), body=body) for body in bodies))
    outcomes = list(replay(with_porch, database, Selection()))
    assert [(outcome.good, outcome.reasons) for outcome in outcomes] == [
        (False, {"temperature": "above maximum 150"}),
        (True, {}),
        (False, {"temperature": "required field missing"}),
    ]
    assert select(database.path, "SELECT endpoint, body FROM rejected ORDER BY id") == [
        ("porch", bodies[0]),
        ("porch", bodies[2]),
    ]
    assert counted(database) == 0


def test_a_replay_that_fails_halfway_loses_and_doubles_nothing(
    database: Database, with_porch: Settings
) -> None:
    keep_earlier(database, with_porch, *map(sent, range(450)))
    begun = replay(with_porch, database, Selection())
    next(begun)
    assert (counted(database), len(select(database.path, STORED))) == (250, 200)

    commit = database.commit

    @contextmanager
    def killed() -> Iterator[Connection]:
        with commit() as connection:
            yield connection
            raise LockTimeout("killed before its end")

    with pytest.MonkeyPatch.context() as patch, suppress(LockTimeout):
        patch.setattr(database, "commit", killed)
        list(begun)
    assert (counted(database), len(select(database.path, STORED))) == (250, 200)
    # Two at the same time, as on two hosts.
    both = [replay(with_porch, database, Selection()) for _ in range(2)]
    outcomes = [outcome for pair in zip(*both, strict=False) for outcome in pair]
    assert outcomes and counted(database) == 0
    assert sorted(at for at, _ in select(database.path, STORED)) == [AT + n for n in range(450)]


def test_what_comes_during_a_replay_to_a_host_that_lacks_the_station_is_stored_once(
    rejected_queue: RejectedQueue,
    clock: Clock,
    database: Database,
    with_porch: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The row that the replay has just read is an earlier one when it stores it."""
    rejected_queue.take_unknown(sent(0))
    rejected_queue.step()
    check, coming = replay_module._check, iter((sent(1),))

    def check_late(settings: Settings, row: RejectedRow) -> object:
        for reading in coming:
            rejected_queue.take_unknown(reading)
            clock.now_sec += 20
            rejected_queue.step()
        return check(settings, row)

    monkeypatch.setattr(replay_module, "_check", check_late)
    chosen = Selection(endpoints=("porch",))
    for expected in (2, 0):
        outcomes = list(replay(with_porch, database, chosen))
        assert [outcome.good for outcome in outcomes] == [True] * expected
        assert select(database.path, STORED) == [(AT, 0.0), (AT + 1, 1.0)]
    rows = "SELECT received_at, reading_id IS NOT NULL FROM rejected"
    assert select(database.path, rows) == [(AT + 1, 1)]


@pytest.mark.parametrize("made", [True, False])
def test_a_commit_of_unknown_end_is_not_made_twice(
    rejected_queue: RejectedQueue,
    clock: Clock,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    made: bool,
) -> None:
    commit = database.commit

    @contextmanager
    def unanswered() -> Iterator[Connection]:
        if made:
            with commit() as connection:
                yield connection
            raise LockTimeout("outcome unknown")
        with suppress(OSError), commit() as connection:
            yield connection
            raise OSError
        raise LockTimeout("outcome unknown")

    for number in range(3):
        rejected_queue.take_unknown(sent(number))
    monkeypatch.setattr(database, "commit", unanswered)
    rejected_queue.step()
    rejected_queue.take_unknown(sent(3))
    monkeypatch.undo()
    clock.now_sec += 60
    rejected_queue.step()
    rejected_queue.finish()
    assert select(database.path, EARLIER) == [(AT,), (AT + 1,), (AT + 2,)]
    listed = "SELECT received_at FROM rejected WHERE earlier IS NULL"
    assert select(database.path, listed) == [(AT + 3,)]


def test_what_the_database_refuses_is_forgotten(
    rejected_queue: RejectedQueue, clock: Clock, database: Database
) -> None:
    execute(database.path, refuse("rejected", "NEW.endpoint = 'porch'", REFUSED))
    for number in range(3):
        rejected_queue.take_unknown(sent(number))
    rejected_queue.step()
    assert rejected_queue.depth == 0
    execute(database.path, refuse_no_more("rejected"))
    clock.now_sec += 60
    for number in range(3):
        rejected_queue.take_unknown(sent(number))
    rejected_queue.step()
    assert counted(database) == 2


def test_the_oldest_of_the_path_that_has_most_go_first(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejected, "EARLIER_ROWS_MAX", 100)
    keep_earlier(database, settings, *(unknown(n, "noisy") for n in range(200)))
    keep_earlier(database, settings, *(unknown(n, "porch") for n in range(30)))
    assert evicted(database, settings) == 0
    sizes = "SELECT endpoint, count(*), max(received_at) FROM rejected GROUP BY 1 ORDER BY 1"
    ((_, rows, newest), porch) = select(database.path, sizes)
    assert (newest, porch) == (199, ("porch", 30, 29))
    assert 60 <= rows <= 70

    monkeypatch.setattr(rejected, "EARLIER_BYTES_MAX", 4000)
    keep_earlier(database, settings, *(unknown(n, "long", 500) for n in range(5)))
    evicted(database, settings)
    assert counted(database, "SELECT sum(length(body)) FROM rejected") <= 4000


def test_of_too_many_paths_those_with_the_fewest_readings_go(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejected, "EARLIER_PATHS_MAX", 3)
    for number in range(10):
        keep_earlier(database, settings, unknown(1, f"junk{number}"))
    keep_earlier(database, settings, *(unknown(n, "porch") for n in range(5)))
    evicted(database, settings)
    with database.reader.begin() as connection:
        assert len(names := rejected.endpoints(connection)) == 3
    assert "porch" in names
    assert counted(database) == 7


def test_none_of_them_pushes_out_what_a_station_has_sent(
    rejected_queue: RejectedQueue, database: Database, make_settings: MakeSettings, clock: Clock
) -> None:
    """However long an unknown board sends, and whatever: here ten times the bound."""
    settings = make_settings(REJECTED_MAX_ROWS=40)
    queue = RejectedQueue(settings, database, clock)
    for number in range(10):
        queue.take(replace(sent(number, "data"), is_storable=None))
    for number in range(400):
        queue.take_unknown(sent(number, good=number % 3 == 0))
        clock.now_sec += 20
        queue.step()
    listed = "SELECT endpoint, count(*) FROM rejected WHERE earlier IS NULL GROUP BY 1 ORDER BY 1"
    assert select(database.path, listed) == [("data", 10), ("porch", 1)]


def evicted(database: Database, settings: Settings) -> int:
    with database.commit() as connection:
        return rejected.evict(connection, rejected.surplus(connection, settings))


def test_a_purge_deletes_them_too(database: Database, settings: Settings) -> None:
    keep_earlier(database, settings, *(unknown(n, "porch") for n in range(5)))
    keep_earlier(database, settings, *(unknown(n, "shed") for n in range(5)))
    assert sum(purge(database, Selection(ids=(11, 12)))) == 0
    assert sum(purge(database, Selection(endpoints=("porch",)))) == 5
    assert sum(purge(database, Selection(until_ms=2))) == 3
    assert counted(database) == 2
    # What it has said is done.
    begun = purge(database, Selection())
    assert next(begun) == 2
    del begun
    assert counted(database) == 0
