"""Readings for paths without a station: all are kept within bounds, and stored once it is there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from sqlalchemy import Connection

from flask10x.config import station_file
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.station_columns import add_missing
from flask10x.errors import LockTimeout
from flask10x.readings.reasons import Reason
from flask10x.recording import replay as replay_module
from flask10x.recording import unknown_readings
from flask10x.recording.rejected import (
    ENDPOINTS_MAX,
    PLACE_KEPT_SEC,
    RejectedQueue,
    RejectedReading,
    RejectedRow,
    Selection,
    purge,
    waiting,
)
from flask10x.recording.replay import replay
from flask10x.recording.unknown_readings import UnknownReading
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
HELD = "SELECT count(*) FROM unknown_readings"
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


def unknown(number: int, endpoint: str, size: int = 20) -> UnknownReading:
    return UnknownReading(endpoint, number, None, "", "", b"x" * size)


def test_all_readings_of_a_board_are_stored_once_with_their_times(
    rejected_queue: RejectedQueue, clock: Clock, database: Database, with_porch: Settings
) -> None:
    for number in range(500):
        assert rejected_queue.latest.take(sent(number))
        if number % 7 == 0:
            clock.now_sec += 20
            rejected_queue.step()
    rejected_queue.finish()
    assert counted(database) == 499
    assert counted(database, "SELECT count(*) FROM rejected") == 1
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
        rejected_queue.latest.take(sent(number))
    rejected_queue.finish()
    assert counted(database) == 499


def test_a_scanner_changes_nothing(
    rejected_queue: RejectedQueue, clock: Clock, database: Database
) -> None:
    """It names 100,000 paths, among them and after them a board sends."""
    latest = rejected_queue.latest
    boards = 0
    for number in range(100_000):
        latest.take(sent(number, f"junk{number}"))
        if number % 100 == 50:
            latest.take(sent(number))
            boards += 1
        if number % 1000 == 0:
            clock.now_sec += 60
            rejected_queue.step()
    rejected_queue.finish()
    names = select(database.path, "SELECT DISTINCT endpoint FROM unknown_readings")
    assert names == [("porch",)]
    # Its first one came when all places were taken, and is among them.
    with database.reader.begin() as connection:
        found = waiting(connection, "porch")
    assert found is not None and found.readings == boards == 1000
    assert counted(database, "SELECT count(*) FROM rejected") == ENDPOINTS_MAX


def test_a_place_is_free_again_after_a_day_without_a_reading(
    rejected_queue: RejectedQueue, clock: Clock, database: Database
) -> None:
    latest = rejected_queue.latest
    for _ in range(2):
        for number in range(ENDPOINTS_MAX):
            assert latest.take(sent(number, f"shed{number}"))
    rejected_queue.finish()
    assert [latest.take(sent(number)) for number in range(3)] == [False] * 3
    clock.now_sec += PLACE_KEPT_SEC + 1
    assert [latest.take(sent(number)) for number in range(3, 6)] == [True] * 3
    rejected_queue.finish()
    # The last one that came in vain, and those since.
    with database.reader.begin() as connection:
        found = waiting(connection, "porch")
    assert found is not None and found.readings == 4


def test_what_no_station_could_store_is_not_kept(
    rejected_queue: RejectedQueue, database: Database
) -> None:
    for number, good in enumerate((True, False, False, True, False)):
        rejected_queue.latest.take(sent(number, good=good))
    rejected_queue.finish()
    assert select(database.path, "SELECT received_at FROM unknown_readings") == [(AT,), (AT + 3,)]


def test_what_a_sender_repeats_until_the_station_is_there_is_kept_once(
    rejected_queue: RejectedQueue, database: Database, with_porch: Settings
) -> None:
    for _ in range(3):
        for number in range(5):
            rejected_queue.latest.take(sent(number, key=f"{number:032x}"))
        rejected_queue.finish()
    # As another worker would.
    with database.commit() as connection:
        reading = UnknownReading("porch", AT, None, f"{2:032x}", "", sent(2).body)
        unknown_readings.keep(connection, [reading])
    outcomes = list(replay(with_porch, database, Selection()))
    assert [outcome.good for outcome in outcomes].count(True) == 5
    assert (len(select(database.path, STORED)), counted(database)) == (5, 0)
    assert counted(database, "SELECT count(*) FROM rejected WHERE reading_id IS NULL") == 0


def test_what_is_invalid_for_the_station_becomes_a_rejected_reading_of_it(
    database: Database, with_porch: Settings
) -> None:
    bodies = (b'{"temperature": 200}', b'{"temperature": 20}', b'{"battery": 3}')
    with database.commit() as connection:
        readings = [UnknownReading("porch", AT, None, "", "", body) for body in bodies]
        unknown_readings.keep(connection, readings)
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
    with database.commit() as connection:
        rows = [UnknownReading("porch", AT + n, None, "", "", sent(n).body) for n in range(250)]
        unknown_readings.keep(connection, rows)
    begun = replay(with_porch, database, Selection())
    next(begun)
    assert (counted(database), len(select(database.path, STORED))) == (150, 100)

    commit = database.commit

    @contextmanager
    def killed() -> Iterator[Connection]:
        with commit() as connection:
            yield connection
            raise LockTimeout("killed before its end")

    with pytest.MonkeyPatch.context() as patch, suppress(LockTimeout):
        patch.setattr(database, "commit", killed)
        list(begun)
    assert (counted(database), len(select(database.path, STORED))) == (150, 100)
    # Two at the same time, as on two hosts.
    both = [replay(with_porch, database, Selection()) for _ in range(2)]
    outcomes = [outcome for pair in zip(*both, strict=False) for outcome in pair]
    assert outcomes and counted(database) == 0
    assert sorted(at for at, _ in select(database.path, STORED)) == [AT + n for n in range(250)]


def test_what_comes_during_a_replay_to_a_host_that_lacks_the_station_is_stored_once(
    rejected_queue: RejectedQueue,
    clock: Clock,
    database: Database,
    with_porch: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its last reading has the row that the replay has just read."""
    rejected_queue.latest.take(sent(0))
    rejected_queue.step()
    check, coming = replay_module._check, iter((sent(1),))

    def check_late(settings: Settings, row: RejectedRow) -> object:
        for reading in coming:
            rejected_queue.latest.take(reading)
            clock.now_sec += 20
            rejected_queue.step()
        return check(settings, row)

    monkeypatch.setattr(replay_module, "_check", check_late)
    chosen = Selection(endpoints=("porch",))
    assert [outcome.good for outcome in replay(with_porch, database, chosen)] == [True]
    assert select(database.path, STORED) == [(AT, 0.0)]
    assert [outcome.good for outcome in replay(with_porch, database, chosen)] == [True]
    assert select(database.path, STORED) == [(AT, 0.0), (AT + 1, 1.0)]


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
        rejected_queue.latest.take(sent(number))
    monkeypatch.setattr(database, "commit", unanswered)
    rejected_queue.step()
    rejected_queue.latest.take(sent(3))
    monkeypatch.undo()
    clock.now_sec += 60
    rejected_queue.step()
    rejected_queue.finish()
    query = "SELECT received_at FROM unknown_readings ORDER BY id"
    assert select(database.path, query) == [(AT,), (AT + 1,), (AT + 2,)]
    assert select(database.path, "SELECT received_at FROM rejected") == [(AT + 3,)]


def test_what_the_database_refuses_is_forgotten(
    rejected_queue: RejectedQueue, clock: Clock, database: Database
) -> None:
    execute(database.path, refuse("unknown_readings", "NEW.endpoint = 'porch'", REFUSED))
    for number in range(3):
        rejected_queue.latest.take(sent(number))
    rejected_queue.step()
    assert rejected_queue.latest.size_bytes == 0
    execute(database.path, refuse_no_more("unknown_readings"))
    clock.now_sec += 60
    for number in range(3):
        rejected_queue.latest.take(sent(number))
    rejected_queue.step()
    assert counted(database) == 2


def test_the_oldest_of_the_path_that_has_most_go_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_readings, "ROWS_MAX", 100)
    with database.commit() as connection:
        unknown_readings.keep(connection, [unknown(n, "noisy") for n in range(200)])
        unknown_readings.keep(connection, [unknown(n, "porch") for n in range(30)])
        gone = unknown_readings.make_room(connection)
    sizes = (
        "SELECT endpoint, count(*), max(received_at) FROM unknown_readings GROUP BY 1 ORDER BY 1"
    )
    ((_, rows, newest), porch) = select(database.path, sizes)
    assert (gone, newest, porch) == (200 - rows, 199, ("porch", 30, 29))
    assert 60 <= rows <= 70

    monkeypatch.setattr(unknown_readings, "BYTES_MAX", 1000)
    with database.commit() as connection:
        unknown_readings.keep(connection, [unknown(n, "long", 500) for n in range(5)])
        unknown_readings.make_room(connection)
    assert counted(database, "SELECT sum(length(body)) FROM unknown_readings") <= 1000


def test_of_too_many_paths_those_with_the_fewest_readings_go(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_readings, "PATHS_MAX", 3)
    with database.commit() as connection:
        for number in range(10):
            unknown_readings.keep(connection, [unknown(1, f"junk{number}")])
        unknown_readings.keep(connection, [unknown(n, "porch") for n in range(5)])
        unknown_readings.make_room(connection)
        assert "porch" in unknown_readings.endpoints(connection)
    assert counted(database, "SELECT count(DISTINCT endpoint) FROM unknown_readings") == 3
    assert counted(database) == 7


def test_a_purge_deletes_them_too(database: Database) -> None:
    with database.commit() as connection:
        unknown_readings.keep(connection, [unknown(n, "porch") for n in range(5)])
        unknown_readings.keep(connection, [unknown(n, "shed") for n in range(5)])
    assert sum(purge(database, Selection(ids=(1, 2)))) == 0
    assert sum(purge(database, Selection(endpoints=("porch",)))) == 5
    assert sum(purge(database, Selection(until_ms=2))) == 3
    assert counted(database) == 2
    # What it has said is done.
    begun = purge(database, Selection())
    assert next(begun) == 2
    del begun
    assert counted(database) == 0
