"""Leftovers: what a stop could not store is stored by the next start, once."""

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flask10x.config.settings import Settings
from flask10x.database import queue_notes, schema
from flask10x.database.damage import Damage
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.errors import DatabaseSuspected
from flask10x.readings.parse import Reading, flat
from flask10x.readings.stations import BUILT_IN
from flask10x.recording import batch
from flask10x.recording import leftovers as leftovers_module
from flask10x.recording.batch import Receipt
from flask10x.recording.entry import leftover_files, queue_of
from flask10x.recording.leftovers import LOOK_EVERY_SEC, PAUSE_FOR_OTHERS_SEC, Leftovers
from flask10x.recording.shared_queue import SharedQueues, WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.system import disk
from flask10x.system.gauges import Gauges
from tests.conftest import MakeSettings
from tests.recording.test_rejected_queue import Clock
from tests.recording.test_writer import commits_in_doubt
from tests.support.both_engines import (
    BUSY,
    POSTGRES,
    make_impatient,
    refuse,
    write_lock,
)
from tests.support.databases import environment_of
from tests.support.outside_faults import needs_strace, python_killed_at, small_disk
from tests.support.rows import execute, pico, select

# Of data4: each number at its longest, and a warning of each field.
LONGEST_BYTES = 601
STORED = "SELECT endpoint, received_at, pressure, temperature FROM readings ORDER BY id"
LEFT = [pico(1, 11), replace(pico(2, 12), warnings={"temperature": "doubtful"}), pico(3, 13)]
NO_TWO = refuse("readings", "NEW.pressure = 2", "two is not wanted")


# The first in each run, the others in the long one. On PostgreSQL it is what is sent that counts.
CALLS = ("unlink", "sendto") if POSTGRES else ("fdatasync", "unlink", "pwrite64", "fcntl")


@contextmanager
def a_writer(settings: Settings, database: Database) -> Iterator[Writer]:
    """A writer as a worker has it, but without a thread until it is started."""
    queues = SharedQueues.anonymous(settings.write_queue_maxsize)
    yield Writer(
        settings,
        database,
        WorkerSlot(Gauges(BUILT_IN.by_endpoint), queues, 0),
        end_worker=lambda: None,
    )


def stop_locked(settings: Settings, readings: list[Reading]) -> None:
    """A worker that has accepted these and stops while another process holds the write lock."""
    with write_lock(database_path(settings)):
        stop_in_vain(settings, readings)


def stop_in_vain(settings: Settings, readings: list[Reading]) -> None:
    """A worker that has accepted these and cannot store them before it ends."""
    with closing(Database(settings)) as database, a_writer(settings, database) as writer:
        make_impatient(database)
        for reading in readings:
            writer.submit(reading)
        assert writer.close(0.01) == len(readings)


def files(settings: Settings) -> list[Path]:
    return sorted(settings.data_dir.glob("leftover-*"))


def stored(database: Database) -> list[float]:
    """The pressures of what is stored, in that order."""
    return [row[2] for row in select(database.path, STORED)]


def store_all(leftovers: Leftovers, clock: Clock) -> None:
    """Step until no file is left, which takes a step for each piece at most."""
    for _ in range(100):
        clock.now_sec += LOOK_EVERY_SEC
        leftovers.step()
        if leftovers.pause_sec == LOOK_EVERY_SEC:
            return
    raise AssertionError("it never ends")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leftovers(settings: Settings, database: Database, clock: Clock) -> Leftovers:
    return Leftovers(settings, database, clock)


def test_the_next_start_stores_what_a_stop_could_not(
    settings: Settings, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    stop_locked(settings, LEFT)
    (file,) = files(settings)
    (warning,) = (r for r in caplog.records if r.levelname == "WARNING")
    assert warning.message == (
        f"Stopping with 3 readings not stored: {BUSY}; the next start stores them from {file.name}"
    )
    assert select(database.path, STORED) == []

    caplog.set_level(logging.INFO, "flask10x.recording.leftovers")
    with a_writer(settings, database) as writer:
        writer.start()
        writer.submit(pico(4, 14))
        assert writer.close(10) == 0
    assert caplog.messages[-1] == f"Stored 3 readings that a stop had left in {file.name}"
    assert files(settings) == []
    assert sorted(select(database.path, STORED)) == [
        ("data", 11, 1.0, 25.1),
        ("data", 12, 2.0, 25.1),
        ("data", 13, 3.0, 25.1),
        ("data", 14, 4.0, 25.1),
    ]
    counted = "SELECT value FROM counters WHERE name = 'warnings.data.temperature'"
    assert select(database.path, counted) == [(1,)]


def test_a_file_that_is_still_there_after_the_commit_is_only_removed(
    settings: Settings, database: Database, leftovers: Leftovers, clock: Clock
) -> None:
    stop_locked(settings, LEFT)
    (file,) = files(settings)
    shutil.copy(file, settings.data_dir / "copy")
    leftovers.step()
    # As if the power had been cut between the commit and the removal.
    (settings.data_dir / "copy").rename(file)
    clock.now_sec += LOOK_EVERY_SEC
    leftovers.step()
    assert files(settings) == []
    assert len(select(database.path, STORED)) == 3


def test_equal_readings_of_two_queues_are_all_stored(
    settings: Settings, database: Database, leftovers: Leftovers
) -> None:
    """As of two workers that took the same body in the same millisecond."""
    stop_locked(settings, LEFT)
    stop_locked(settings, [*LEFT, LEFT[0]])
    leftovers.step()
    assert files(settings) == []
    assert sorted(stored(database)) == [1, 1, 1, 2, 2, 3, 3]


def test_what_equals_a_row_is_stored_all_the_same(
    settings: Settings, database: Database, leftovers: Leftovers
) -> None:
    with a_writer(settings, database) as writer:
        for reading in LEFT:
            writer.submit(reading)
        assert writer.step() == 3
    stop_locked(settings, LEFT)
    leftovers.step()
    assert stored(database) == [1, 2, 3, 1, 2, 3]


def test_what_a_failed_commit_has_left_in_the_wal_is_not_stored_twice(
    make_settings: MakeSettings, settings: Settings, database: Database, leftovers: Leftovers
) -> None:
    """After a start SQLite may recover rows of a commit that was reported as failed."""
    twins = [LEFT[0], LEFT[1], LEFT[0], LEFT[0], LEFT[2]]
    few = make_settings(BATCH_MAX_ROWS=3)
    with closing(Database(few)) as failing, a_writer(few, failing) as writer:
        for reading in twins:
            writer.submit(reading)
        with commits_in_doubt(failing):
            assert writer.step() == 0
        make_impatient(failing)
        with write_lock(failing.path):
            assert writer.close(0.01) == 5
    assert stored(database) == [1, 2, 1], "they are there, and in the file too"
    leftovers.step()
    assert files(settings) == []
    assert stored(database) == [1, 2, 1, 1, 3]


@pytest.fixture
def in_pairs(make_settings: MakeSettings) -> Settings:
    """Two readings make a piece."""
    return make_settings(BATCH_MAX_ROWS=2)


FIVE = [pico(number) for number in (1, 2, 3, 4, 5)]


def test_others_write_between_two_pieces(
    in_pairs: Settings, database: Database, clock: Clock
) -> None:
    stop_locked(in_pairs, FIVE)
    leftovers = Leftovers(in_pairs, database, clock)
    assert leftovers.pause_sec == LOOK_EVERY_SEC
    leftovers.step()
    assert leftovers.pause_sec == PAUSE_FOR_OTHERS_SEC
    with a_writer(in_pairs, database) as writer:
        writer.submit(pico(10))
        assert writer.step() == 1
        leftovers.step()
        assert stored(database) == [1, 2, 10], "it is not time yet"
        for number in (11, 12):
            clock.now_sec += PAUSE_FOR_OTHERS_SEC
            leftovers.step()
            writer.submit(pico(number))
            assert writer.step() == 1
    assert stored(database) == [1, 2, 10, 3, 4, 11, 5, 12]
    assert leftovers.pause_sec == LOOK_EVERY_SEC
    assert files(in_pairs) == []


def test_the_thread_stores_its_own_readings_between_two_pieces(
    make_settings: MakeSettings, database: Database
) -> None:
    """What is answered after its commit must not wait for all that an earlier stop has left."""
    settings = make_settings(BATCH_MAX_ROWS=1, ACK="committed")
    stop_locked(settings, FIVE * 10)
    with a_writer(settings, database) as writer:
        receipt = Receipt()
        writer.submit(pico(10), receipt)
        writer.start()
        assert receipt.wait(30)
        writer.close(30)
    assert stored(database).index(10.0) <= 1


def test_a_rest_is_left_to_the_next_start(
    in_pairs: Settings, database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    stop_locked(in_pairs, FIVE)
    (file,) = files(in_pairs)
    caplog.set_level(logging.INFO, "flask10x.recording.leftovers")
    leftovers = Leftovers(in_pairs, database, clock)
    leftovers.step()
    leftovers.close()
    assert files(in_pairs) == [file]
    assert stored(database) == [1, 2]
    store_all(Leftovers(in_pairs, database, clock), clock)
    assert stored(database) == [1, 2, 3, 4, 5]
    assert caplog.messages[1:] == [
        f"Stored {number} readings that a stop had left in {file.name}" for number in (2, 2, 1)
    ]


def test_two_workers_store_a_file_once(in_pairs: Settings, database: Database) -> None:
    """Each stores a piece of it when it is its turn."""
    stop_locked(in_pairs, FIVE)
    clocks = Clock(), Clock()
    first, second = (Leftovers(in_pairs, database, clock) for clock in clocks)
    first.step()
    second.step()
    assert stored(database) == [1, 2, 3, 4]
    first.close()
    store_all(second, clocks[1])
    assert stored(database) == [1, 2, 3, 4, 5]
    store_all(first, clocks[0])
    assert stored(database) == [1, 2, 3, 4, 5]


def test_a_worker_that_comes_late_to_a_file_stores_nothing(
    in_pairs: Settings, database: Database, clock: Clock
) -> None:
    """Also where locks between processes do not work, and all that was noted is forgotten."""
    stop_locked(in_pairs, FIVE)
    (file,) = files(in_pairs)
    late = Leftovers(in_pairs, database, clock)
    late.step()
    file.unlink()
    with database.commit() as connection:
        queue_notes.forget(connection, queue_notes.queues(connection))
    store_all(late, clock)
    assert stored(database) == [1, 2]


STEP = """
import itertools
from flask10x.config import settings
from flask10x.recording.entry import leftover_files
from flask10x.recording.leftovers import LOOK_EVERY_SEC, Leftovers
from flask10x.database.database import Database
config = settings.load()
database = Database(config)
leftovers = Leftovers(config, database, itertools.count(0, LOOK_EVERY_SEC).__next__)
while leftover_files(config.data_dir):
    leftovers.step()
leftovers.close()
database.close()
"""


@pytest.mark.tools
@needs_strace
@pytest.mark.parametrize(
    "call",
    [CALLS[0], *(pytest.param(call, marks=pytest.mark.long) for call in CALLS[1:])],
)
def test_it_is_stored_once_if_a_worker_dies_meanwhile(
    in_pairs: Settings, database: Database, clock: Clock, call: str
) -> None:
    environment = {
        **environment_of(in_pairs.data_dir),
        "FLASK10X_TIMEZONE": "Asia/Tokyo",
        "FLASK10X_BATCH_MAX_ROWS": "2",
    }
    deaths = 0
    while True:
        stop_locked(in_pairs, FIVE)
        died = python_killed_at(call, deaths + 1, ["-c", STEP], environment)
        store_all(Leftovers(in_pairs, database, clock), clock)
        assert leftover_files(in_pairs.data_dir) == []
        assert stored(database) == [1, 2, 3, 4, 5] * (deaths + 1)
        if not died:
            break
        deaths += 1
    assert deaths > 0


def noted(database: Database) -> set[str]:
    """The queues whose notes are in the database."""
    with database.reader.begin() as connection:
        return queue_notes.queues(connection)


def test_notes_that_are_not_needed_any_more_are_forgotten_by_the_next_worker(
    settings: Settings, database: Database
) -> None:
    stop_locked(settings, LEFT)
    (file,) = files(settings)
    queues = SharedQueues.anonymous(settings.write_queue_maxsize)
    queues[7].marks.id = b"beside"
    with database.commit() as connection:
        for queue in ("gone", "gone too", "beside", queue_of(file)):
            queue_notes.note(connection, queue, 0, 1)
    (settings.data_dir / "leftover-00000000-000000-strange.jsonl").write_text("{")
    with closing(Database(settings)) as own:
        writer = Writer(
            settings,
            own,
            WorkerSlot(Gauges(BUILT_IN.by_endpoint), queues, 0),
            end_worker=lambda: None,
        )
        writer.submit(pico(1))
        assert writer.step() == 1
        (mine,) = queues.ids() - {"beside"}
        assert noted(database) == {"beside", queue_of(file), mine}
        writer.close(5)


def test_notes_stay_while_the_folder_does_not_say_what_is_needed(
    settings: Settings, database: Database, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with database.commit() as connection:
        queue_notes.note(connection, "gone", 0, 1)
    for module, name in ((leftovers_module, "leftover_files"), (disk, "sync")):
        with monkeypatch.context() as patch, database.commit() as connection:
            patch.setattr(module, name, failing)
            leftovers.forget_settled(connection, set())
        assert noted(database) == {"gone"}
    with database.commit() as connection:
        leftovers.forget_settled(connection, set())
    assert noted(database) == set()


def test_it_is_tried_again_and_said_once(
    settings: Settings,
    database: Database,
    leftovers: Leftovers,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop_locked(settings, LEFT)
    caplog.clear()
    with write_lock(database.path):
        for _ in range(2):
            leftovers.step()
            clock.now_sec += LOOK_EVERY_SEC
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.message.endswith(f" yet: {BUSY}")
    assert len(files(settings)) == 1
    leftovers.step()
    assert len(select(database.path, STORED)) == 3


def test_a_row_that_the_database_refuses_is_kept_and_its_mates_are_stored(
    settings: Settings, database: Database, leftovers: Leftovers
) -> None:
    stop_locked(settings, LEFT)
    execute(database.path, NO_TWO)
    leftovers.step()
    assert [row[2] for row in select(database.path, STORED)] == [1.0, 3.0]
    kept = select(database.path, "SELECT received_at, body FROM rejected")
    assert kept == [(12, b'{"pressure": 2, "temperature": 25.1}')]


def test_what_a_station_that_is_no_more_has_sent_is_stored_or_kept(
    settings: Settings, database: Database, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    execute(database.path, "ALTER TABLE readings ADD COLUMN wind REAL")
    lines = [
        {"number": 1, "row": {"endpoint": "data", "received_at": 5, "pressure": 1.0, "wind": 2.0}},
        {"number": 2, "row": {"endpoint": "barn", "received_at": 6, "wind": 3.5}},
        {"number": 3, "row": {"endpoint": "barn", "received_at": 7, "hay": 4.0, "rats": 2.0}},
        {"number": 4, "row": {"endpoint": "barn", "received_at": 7, "arrived_at": 9, "hay": 5.0}},
    ]
    file = settings.data_dir / "leftover-20250824-090000-1a2b3c4d.jsonl"
    written = [{"queue": "1a2b3c4d"}, *({**line, "warned": []} for line in lines)]
    file.write_text("".join(json.dumps(line) + "\n" for line in written))
    leftovers.step()
    assert select(database.path, "SELECT endpoint, received_at, pressure, wind FROM readings") == [
        ("data", 5, 1.0, 2.0),
        ("barn", 6, None, 3.5),
    ]
    times = "SELECT endpoint, received_at, measured_at, body FROM rejected"
    assert select(database.path, times) == [
        ("barn", 7, None, b'{"hay": 4.0, "rats": 2.0}'),
        ("barn", 9, 7, b'{"hay": 5.0}'),
    ]
    reason = "UnknownColumn: there is no column hay, rats"
    assert reason in select(database.path, "SELECT reasons FROM rejected")[0][0]
    record, _ = (r for r in caplog.records if r.levelname == "ERROR")
    assert f"refused a reading ({reason})" in record.message
    assert files(settings) == []


STORED_LINE = '{"number": 4, "row": {"endpoint": "data", "received_at": 1}, "warned": []}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Expecting property name"),
        (STORED_LINE, "line 1 names no queue"),
        ("[]", "line 1 names no queue"),
        ("", "line 1 names no queue"),
        ('{"queue": "a"}\n[]\n', "line 2: TypeError("),
        (
            '{"queue": "a"}\n{"row": {"wind": 3}, "warned": []}\n',
            "line 2: KeyError('endpoint')",
        ),
        (
            '{"queue": "a"}\n{"row": {"endpoint": "data"}, "warned": []}\n',
            "line 2: KeyError('received_at')",
        ),
        ('{"queue": "a"}\n' + STORED_LINE * 2, "line 3: ValueError('entry 4 comes after entry 4')"),
    ],
)
def test_a_file_that_is_not_understood_stays_and_is_no_ones_obstacle(
    settings: Settings,
    database: Database,
    leftovers: Leftovers,
    caplog: pytest.LogCaptureFixture,
    text: str,
    said: str,
) -> None:
    strange = settings.data_dir / "leftover-00000000-000000-strange.jsonl"
    strange.write_text(text)
    stop_locked(settings, LEFT)
    leftovers.step()
    assert len(select(database.path, STORED)) == 3
    assert files(settings) == [strange]
    assert strange.read_text() == text
    (record,) = (r for r in caplog.records if strange.name in r.message)
    assert record.levelname == "ERROR"
    assert said in record.message


def test_nothing_is_stored_into_a_damaged_database(
    settings: Settings,
    database: Database,
    leftovers: Leftovers,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop_locked(settings, LEFT)
    database.damage.report("SQLITE_CORRUPT")
    caplog.clear()
    leftovers.step()
    assert caplog.records == [], "the damage has been said"
    assert len(files(settings)) == 1
    assert select(database.path, STORED) == []


def test_a_damage_in_the_middle_leaves_the_rest_and_is_not_asked_about_again_and_again(
    in_pairs: Settings, database: Database, clock: Clock
) -> None:
    stop_locked(in_pairs, FIVE)
    leftovers = Leftovers(in_pairs, database, clock)
    leftovers.step()
    database.damage.report("SQLITE_CORRUPT")
    leftovers.step()
    assert leftovers.pause_sec == LOOK_EVERY_SEC
    leftovers.close()
    assert len(files(in_pairs)) == 1
    assert stored(database) == [1, 2]


def test_suspicions_in_the_middle_use_up_no_descriptors(
    in_pairs: Settings, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that cannot be read for long is suspected again with each try to store."""
    stop_locked(in_pairs, FIVE)

    def meet_it(*arguments: Any, **more: Any) -> Any:
        shared.damage.suspect("page 7")
        raise DatabaseSuspected("page 7")

    open_files = []
    with closing(Database(in_pairs, Damage(Gauges(BUILT_IN.by_endpoint)))) as shared:
        leftovers = Leftovers(in_pairs, shared, clock)
        with monkeypatch.context() as disk_is_bad:
            disk_is_bad.setattr(batch, "insert_each", meet_it)
            for _ in range(5):
                clock.now_sec += LOOK_EVERY_SEC
                leftovers.step()
                shared.damage.clear("page 7", "a test")
                open_files.append(len(list(Path("/proc/self/fd").iterdir())))
        store_all(leftovers, clock)
        leftovers.close()
    # Fewer, where something that was there before has been closed meanwhile.
    assert open_files == sorted(open_files, reverse=True)
    assert files(in_pairs) == []
    assert stored(database) == [1, 2, 3, 4, 5]


@pytest.mark.sqlite_only("the database is on the disk that is full")
def test_a_full_disk_has_room_for_it(
    make_settings: MakeSettings, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", "12m") as folder:
        settings = make_settings(DATABASE_URL=f"sqlite:///{folder}/flask10x.sqlite3")
        schema.upgrade(settings)
        with closing(Database(settings)) as database:
            Leftovers(settings, database, clock).step()
            reserves = sorted(folder.glob("leftover.reserve-*"))
            full_queue_bytes = settings.write_queue_maxsize * LONGEST_BYTES
            assert len(reserves) == settings.workers
            assert min(file.stat().st_blocks * 512 for file in reserves) >= full_queue_bytes
            ballast = fill_up(folder)
            for left in (LEFT[:1], LEFT[1:2]):
                stop_in_vain(settings, left)
                # What the first has not needed of its reserve, another one takes.
                ballast.append(*fill_up(folder))
            assert not list(folder.glob("leftover.reserve-*"))
            stop_in_vain(settings, LEFT[2:])
            assert [r.levelname for r in caplog.records] == ["WARNING", "WARNING", "CRITICAL"]
            for file in ballast:
                file.unlink()
            clock.now_sec += LOOK_EVERY_SEC
            Leftovers(settings, database, clock).step()
            assert sorted(row[1] for row in select(database.path, STORED)) == [11, 12]
            assert sorted(folder.glob("leftover.reserve-*")) == reserves


def test_the_reserve_grows_with_the_queue(
    make_settings: MakeSettings, tmp_path: Path, clock: Clock
) -> None:
    for maxsize in (10, 3000):
        settings = make_settings(WRITE_QUEUE_MAXSIZE=str(maxsize))
        with closing(Database(settings)) as database:
            Leftovers(settings, database, clock).step()
            clock.now_sec += LOOK_EVERY_SEC
        sizes = [file.stat().st_size for file in settings.data_dir.glob("leftover.reserve-*")]
        assert sizes == [maxsize * LONGEST_BYTES] * settings.workers


@pytest.mark.parametrize(
    "values",
    [
        (
            1234.5678901234567,
            12345.678901234567,
            3.123456789012345,
            85.0,
            25.123456789012,
            52.12345,
        ),
        (-1.0, 12345.678901234567, 3.123456789012345, -127.0, -25.123456789012345, None),
    ],
)
def test_no_line_is_longer_than_its_share_of_the_reserve(
    settings: Settings, database: Database, values: tuple[float | None, ...]
) -> None:
    paths = [path for path, _ in flat(BUILT_IN.by_endpoint["data4"], values)]
    reading = Reading("data4", 253_402_300_799_999, values, dict.fromkeys(paths, "doubtful"))
    stop_locked(settings, [reading])
    (file,) = files(settings)
    assert file.stat().st_size <= LONGEST_BYTES


def test_a_folder_that_cannot_be_listed_for_a_moment_ends_no_writer(
    settings: Settings,
    database: Database,
    leftovers: Leftovers,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(_folder: Path) -> list[Path]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    stop_locked(settings, LEFT)
    caplog.clear()
    with monkeypatch.context() as patch:
        patch.setattr(leftovers_module, "leftover_files", failing)
        for _ in range(2):
            leftovers.step()
            clock.now_sec += LOOK_EVERY_SEC
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.message.startswith(f"Cannot store the readings in {settings.data_dir.name} yet: ")
    leftovers.step()
    assert len(select(database.path, STORED)) == 3


def fill_up(folder: Path) -> list[Path]:
    """Take all the space that is left; the file that takes it."""
    file = folder / f"ballast-{len(list(folder.iterdir()))}"
    with suppress(OSError), file.open("wb", buffering=0) as ballast:
        while ballast.write(bytes(4096)):
            pass
    return [file]


def test_what_cannot_be_kept_either_is_said_to_be_lost(
    settings: Settings,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(_path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disk, "sync", full)
    stop_locked(settings, LEFT)
    (record,) = caplog.records
    assert record.levelname == "CRITICAL"
    assert record.message == (
        f"Stopping with 3 readings not stored: {BUSY};"
        " nor can they be kept in a file: [Errno 28] No space left on device"
    )
    assert files(settings) == []
