"""The file of the queues: used again after a death of all, and never that of another user."""

import errno
import gc
import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.errors import ServiceRunning
from flask10x.recording import queue_file
from flask10x.recording.queue_file import QueueFile, queue_path
from flask10x.recording.shared_queue import MAGIC, SharedQueues, prepare
from tests.conftest import MakeSettings
from tests.recording.test_shared_queue import entry, fill, pressures


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of /dev/shm."""
    folder = tmp_path / "shm"
    folder.mkdir()
    monkeypatch.setattr(queue_file, "FOLDER", folder)
    yield folder


@pytest.fixture
def path(settings: Settings, memory: Path) -> Path:
    return queue_path(database_path(settings))


def test_the_next_service_stores_what_waited_at_a_death(settings: Settings, path: Path) -> None:
    killed = QueueFile(settings)
    killed.queues[3].claim()
    fill(killed.queues[3], 1, 2)
    assert killed.remove() == 2
    ids = killed.queues.ids()
    del killed
    inherited = QueueFile(settings)
    assert (inherited.inherited, inherited.warnings) == (2, [])
    assert inherited.queues.ids() == ids
    assert pressures(inherited.queues[3].waiting(10)) == [1, 2]
    inherited.queues[3].settle(2)
    assert inherited.remove() == 0
    assert not path.exists()


def test_no_other_user_can_read_it(settings: Settings, path: Path) -> None:
    umask = os.umask(0o777)
    try:
        QueueFile(settings)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert QueueFile(settings).warnings == []


def test_each_database_and_each_user_has_its_own(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases = [tmp_path / "one.sqlite3", tmp_path / "two.sqlite3"]
    names = {queue_path(database) for database in databases}
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    names |= {queue_path(database) for database in databases}
    assert len(names) == 4


def put_link(path: Path) -> None:
    target = path.with_name("of another user")
    target.write_bytes(b"theirs")
    path.symlink_to(target)


def put_readable(path: Path) -> None:
    path.write_bytes(b"theirs")
    path.chmod(0o644)


def put_linked(path: Path) -> None:
    put_readable(path)
    path.chmod(0o600)
    path.with_name("other name").hardlink_to(path)


def put_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("put", [put_link, put_readable, put_linked, put_folder])
def test_what_another_user_may_have_put_there_is_left_alone(
    settings: Settings, path: Path, memory: Path, put: object
) -> None:
    assert callable(put)
    put(path)
    before = {file.name: file.lstat().st_mtime_ns for file in memory.iterdir()}
    made = QueueFile(settings)
    (warning,) = made.warnings
    assert warning.startswith(f"{path} cannot be used: ")
    assert warning.endswith("; if the whole service is killed, readings that wait are lost")
    fill(made.queues[0], 1)
    made.queues[0].settle(1)
    assert made.remove() == 0
    assert {file.name: file.lstat().st_mtime_ns for file in memory.iterdir()} == before


def test_a_file_of_another_user_is_left_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(QueueFile(settings).queues[0], 1)
    real = os.geteuid()
    path = queue_path(database_path(settings))
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    path.rename(queue_path(database_path(settings)))
    made = QueueFile(settings)
    assert "not a file of this user alone" in made.warnings[0]
    assert made.queues.length() == 0


def test_without_memory_of_that_kind_it_works_all_the_same(
    settings: Settings, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = prepare

    def full(fd: int, places: int) -> None:
        # Memory without a name has room.
        if Path(f"/proc/self/fd/{fd}").resolve().is_relative_to(memory):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        usual(fd, places)

    with monkeypatch.context() as patch:
        patch.setattr(queue_file, "prepare", full)
        made = QueueFile(settings)
    assert "cannot be used: No space left on device" in made.warnings[0]
    assert list(memory.iterdir()) == []
    memory.rmdir()
    made = QueueFile(settings)
    assert "cannot be used: No such file or directory" in made.warnings[0]
    assert made.queues[0].append(entry(1)) == 1


def test_what_waits_in_memory_without_a_name_is_lost_and_said_to_be(
    settings: Settings, memory: Path, path: Path
) -> None:
    """There never was a name, or systemd has taken it away when its user logged out."""
    made = QueueFile(settings)
    fill(made.queues[0], 1)
    kept = "1 readings wait in memory for the next start; a reboot loses them"
    assert (made.lasts, made.what_becomes_of(made.remove())) == (True, kept)
    path.unlink()
    lost = "1 readings are lost: the memory in which they waited has no name"
    assert (made.lasts, made.what_becomes_of(made.remove())) == (False, lost)
    memory.rmdir()
    assert not QueueFile(settings).lasts


@pytest.mark.parametrize("begun", [b"", bytes(20_000)])
def test_a_file_that_was_never_filled_is_made_again(
    settings: Settings, path: Path, begun: bytes
) -> None:
    path.write_bytes(begun)
    path.chmod(0o600)
    made = QueueFile(settings)
    assert (made.inherited, made.warnings) == (0, [])
    assert path.read_bytes().startswith(MAGIC)


def put_other_version(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    path.chmod(0o600)


def test_files_of_other_versions_are_all_kept_for_them(settings: Settings, path: Path) -> None:
    texts = [b"Flask10X queue %d and whatever it has" % number for number in (1, 3, 4)]
    for text in texts:
        put_other_version(path, text)
        warnings = QueueFile(settings).warnings
        assert path.read_bytes().startswith(MAGIC)
    kept = [path.with_suffix(suffix) for suffix in (".other", ".other-1", ".other-2")]
    assert [kept_path.read_bytes() for kept_path in kept] == texts
    said = "is of another version, which can store what waits in it"
    assert warnings == [f"{kept_path} {said}" for kept_path in kept]
    assert QueueFile(settings).warnings == warnings, "as long as they lie there"
    assert QueueFile(settings).queues.others_exist


def test_a_name_that_cannot_be_removed_leaves_the_file_where_it_is(
    settings: Settings, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_other_version(path, b"Flask10X queue 3")

    def refuse(_self: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "rename", refuse)
    made = QueueFile(settings)
    (warning,) = made.warnings
    assert warning.startswith(f"{path} cannot be used: Operation not permitted")
    assert made.queues.others_exist
    assert path.read_bytes() == b"Flask10X queue 3"


def test_what_a_service_of_another_user_has_left_is_named(
    settings: Settings, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not QueueFile(settings).queues.others_exist
    queue_path(settings.data_dir / "another.sqlite3").touch()
    real = os.geteuid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: real + 1)
        made = QueueFile(settings)
    said = "is of another user, whose service can store what waits in it"
    assert (made.warnings, made.queues.others_exist) == ([f"{path} {said}"], True)


def test_another_length_of_the_queue_is_taken_once_nothing_waits(
    make_settings: MakeSettings,
) -> None:
    short, long = make_settings(WRITE_QUEUE_MAXSIZE=4), make_settings(WRITE_QUEUE_MAXSIZE=40)
    killed = QueueFile(short)
    fill(killed.queues[0], 1)
    del killed
    again = QueueFile(long)
    assert (again.inherited, again.queues.places) == (1, 4)
    again.queues[0].settle(1)
    del again
    assert QueueFile(long).queues.places == 40


def test_no_descriptor_is_left_open(settings: Settings) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    # Files of earlier tests, which a collection in the middle of this one would close.
    gc.collect()
    before = open_files()
    for _ in range(3):
        QueueFile(settings)
        SharedQueues.anonymous(4)
    assert open_files() == before


@pytest.fixture
def worker(settings: Settings) -> Iterator[int]:
    """The process id of a worker that has inherited the file; its master is gone."""
    reading, writing = os.pipe()
    master = os.fork()
    if master == 0:
        held = QueueFile(settings)
        if os.fork() == 0:
            os.write(writing, b"%d\n" % os.getpid())
            signal.pause()
        os._exit(held.inherited)
    os.waitpid(master, 0)
    os.close(writing)
    with open(reading) as pipe:
        pid = int(pipe.readline())
    yield pid
    end(pid)


def end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_two_services_never_have_one_queue(
    settings: Settings, worker: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person has deleted the lock file beside the database, say."""
    assert worker
    monkeypatch.setattr(queue_file, "DYING_SEC", 0.0)
    with pytest.raises(ServiceRunning, match="stop it first"):
        QueueFile(settings)


def test_who_still_dies_is_waited_for(
    settings: Settings, worker: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_file, "DYING_SEC", 30.0)
    monkeypatch.setattr(time, "sleep", lambda _: end(worker))
    assert QueueFile(settings).warnings == []


def test_a_file_that_was_removed_while_it_was_waited_for_is_made_again(
    settings: Settings, path: Path, worker: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its name, the next start would not see what waits in it after a death of all."""

    def stop(_sec: float) -> None:
        path.unlink(missing_ok=True)
        end(worker)

    monkeypatch.setattr(queue_file, "DYING_SEC", 30.0)
    monkeypatch.setattr(time, "sleep", stop)
    made = QueueFile(settings)
    assert (made.warnings, made.lasts) == ([], True)
