"""Backups: complete and checked, or nothing under a final name."""

import errno
import hashlib
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.running_service import Running, hold_database
from flask10x.errors import BackupError, BackupRunning
from flask10x.health.copies import newest_copy
from flask10x.maintenance import backup as backup_module
from flask10x.maintenance import copy_check, earlier_backups, remote_copy
from flask10x.maintenance.backup import Backup, backup
from flask10x.recording.writer import Writer
from flask10x.system import backup_files, disk, disks
from flask10x.system.locks import FileLock
from flask10x.system.progress import Bar
from tests.support import databases
from tests.support.commands import in_words, run_command
from tests.support.databases import environment_of
from tests.support.outside_faults import killed_at, needs_strace, small_disk
from tests.support.rows import execute, pico, select

FINAL = re.compile(r"flask10x-[0-9]{8}-[0-9]{6}\.sqlite3")
LOCK = ".flask10x-backup.lock"
PRESSURES = "SELECT pressure FROM readings ORDER BY id"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "usb"


def pair(name: str) -> list[str]:
    """A backup and its sum."""
    return [name, f"{name}.sha256"]


def is_as_noted(path: Path) -> bool:
    """What a person finds who knows nothing of Flask10X."""
    command = ["sha256sum", "--check", "--strict", "--quiet", f"{path.name}.sha256"]
    return subprocess.run(command, cwd=path.parent, check=False).returncode == 0


def sum_of_x(name: str) -> str:
    """What is noted of a backup of this name that holds an x."""
    return f"{hashlib.sha256(b'x').hexdigest()}  {name}\n"


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    with open(path, "r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def names(folder: Path) -> list[str]:
    """What lies in the folder, but for the lock, which stays."""
    return sorted(path.name for path in folder.iterdir() if path.name != LOCK)


def environment(settings: Settings) -> dict[str, str]:
    return {**environment_of(settings.data_dir), "FLASK10X_TIMEZONE": "Asia/Tokyo"}


def run(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return in_words(run_command(["backup", *arguments], environment(settings)))


def store(writer: Writer, *pressures: float) -> None:
    for pressure in pressures:
        writer.submit(pico(pressure))
    writer.step()


@pytest.mark.sqlite_only("VACUUM INTO")
def test_a_backup_is_a_whole_database_of_its_own(
    settings: Settings, writer: Writer, folder: Path
) -> None:
    store(writer, 1, 2, 3)
    done = backup(settings, folder)
    assert FINAL.fullmatch(done.path.name)
    assert done.path.parent == folder
    assert (done.rows, done.bytes, done.warnings) == (3, done.path.stat().st_size, ())
    assert select(done.path, PRESSURES) == [(1.0,), (2.0,), (3.0,)]
    assert select(done.path, "PRAGMA integrity_check") == [("ok",)]
    # It goes on as the same database when it is restored.
    assert select(done.path, "PRAGMA page_size") == [(512,)]
    assert select(done.path, "SELECT seq FROM sqlite_sequence WHERE name = 'readings'") == [(3,)]
    assert names(folder) == pair(done.path.name)
    assert is_as_noted(done.path)


def test_the_sum_is_a_line_that_sha256sum_reads(
    settings: Settings, writer: Writer, folder: Path
) -> None:
    store(writer, 1)
    path = backup(settings, folder).path
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    noted = path.with_name(f"{path.name}.sha256")
    assert noted.read_text() == f"{digest}  {path.name}\n"
    assert noted.stat().st_mode & 0o777 == 0o640
    assert is_as_noted(path)
    flip(path, path.stat().st_size - 1)
    assert not is_as_noted(path)


def test_a_copy_that_changes_while_it_is_checked_is_no_backup(
    settings: Settings, writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(writer, 1)
    verify = copy_check.verify

    def verify_and_flip(path: Path, bar: Bar) -> copy_check.Contents:
        contents = verify(path, bar)
        flip(path, path.stat().st_size - 1)
        return contents

    monkeypatch.setattr(copy_check, "verify", verify_and_flip)
    with pytest.raises(BackupError, match=r"the copy in .*usb changed while it was checked"):
        backup(settings, folder)
    assert names(folder) == []


def test_the_command_says_it_in_one_line(settings: Settings, writer: Writer) -> None:
    store(writer, 1, 2, 3)
    done = run(settings)
    assert done.returncode == 0, done.stderr
    name, _sum = names(settings.data_dir / "backups")
    shown = re.escape(f"{settings.data_dir}/backups/{name}: 3 rows, 0.0 MB, ")
    assert re.fullmatch(shown + r"[0-9]\.[0-9] s\n", done.stdout)
    assert done.stderr == ""


def test_a_backup_is_checked_by_the_command(settings: Settings, writer: Writer) -> None:
    store(writer, 1, 2, 3)
    assert run(settings).returncode == 0
    name, checksum = names(settings.data_dir / "backups")
    path = settings.data_dir / "backups" / name
    done = run(settings, "--verify", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{path}: unchanged since it was made, and whole: 3 rows\n"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"data", b"dato", 1))
    changed = run(settings, "--verify", str(path))
    assert changed.returncode == 1 and "has changed since it was made" in changed.stderr
    path.write_bytes(content)
    path.with_name(checksum).unlink()
    assert "it has no SHA-256 file" in run(settings, "--verify", str(path)).stdout


def test_the_oldest_go_and_nothing_else(
    settings: Settings, database: Database, folder: Path
) -> None:
    folder.mkdir()
    old = [f"flask10x-2024010{day}-000000.sqlite3" for day in range(1, 6)]
    others = ["flask10x-20240101.sqlite3", "flask10x-20240101-000000.sqlite3.txt", "notes"]
    for name in old + others:
        (folder / name).write_text("x")
    link, inner = "flask10x-20231230-000000.sqlite3", "flask10x-20231231-000000.sqlite3"
    (folder / link).symlink_to(folder / "notes")
    (folder / inner).mkdir()
    others += [link, inner]
    for name in old:
        (folder / f"{name}.sha256").write_text(sum_of_x(name))
    done = backup(settings, folder, keep=3)
    new = pair(done.path.name)
    assert names(folder) == sorted([*others, *pair(old[-2]), *pair(old[-1]), *new])
    assert done.warnings == ()


def test_the_new_one_stays_when_the_clock_is_behind(
    settings: Settings, database: Database, folder: Path
) -> None:
    folder.mkdir()
    ahead = ["flask10x-29990101-000000.sqlite3", "flask10x-29990102-000000.sqlite3"]
    for name in ahead:
        (folder / name).write_text("x")
    done = backup(settings, folder, keep=1)
    assert names(folder) == pair(done.path.name)


def test_no_backup_is_overwritten(
    settings: Settings, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(["20250824-090000", "20250824-090000", "20250824-090001"])
    monkeypatch.setattr(disk, "moment", lambda _zone: next(moments))
    backup(settings, folder)
    assert backup(settings, folder).path.name == "flask10x-20250824-090001.sqlite3"
    kept = [] if databases.ON_POSTGRES else ["flask10x-20250824-090000.pages"]
    assert names(folder) == [
        *(kept or pair("flask10x-20250824-090000.sqlite3")),
        *pair("flask10x-20250824-090001.sqlite3"),
    ]


def test_a_warning_names_what_cannot_be_removed(
    settings: Settings, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    old = folder / "flask10x-20240101-000000.sqlite3"
    old.write_text("x")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path == old:
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    done = backup(settings, folder, keep=1)
    assert done.warnings == (f"the old backup {old} could not be removed: Permission denied",)
    assert done.path.exists()
    assert old.exists()


# Room


@pytest.mark.sqlite_only("the room of a file")
def test_without_room_nothing_is_begun(
    settings: Settings, writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(writer, 1)
    wal = (settings.data_dir / "flask10x.sqlite3-wal").stat().st_size
    size = (settings.data_dir / "flask10x.sqlite3").stat().st_size
    free = size + wal + 16_000_000 - 1
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: free)
    with pytest.raises(BackupError) as caught:
        backup(settings, folder)
    assert str(caught.value) == (
        f"not enough space in {folder} for a copy: 16.0 MB needed, 16.0 MB free"
    )
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: free + 1)
    assert backup(settings, folder).rows == 1


def test_what_a_killed_backup_left_takes_no_room(
    settings: Settings, writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a card that one power cut has filled would never get a backup again."""
    store(writer, 1)
    folder.mkdir()
    leftovers = folder / ".flask10x-backup-12.tmp"
    leftovers.write_bytes(b"x" * 1000)
    free = backup_module.source_bytes(settings) + disk.SPARE_BYTES - 1001
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: free)
    with pytest.raises(BackupError, match="not enough space"):
        backup(settings, folder)
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: free + 1)
    assert backup(settings, folder).rows == 1
    assert not leftovers.exists()


@pytest.mark.sqlite_only("the room of a file")
def test_a_small_disk_is_refused(settings: Settings, writer: Writer, folder: Path) -> None:
    store(writer, 1)
    with small_disk(folder, "1m"):
        done = run(settings, str(folder))
        assert done.returncode == 1
        assert done.stderr.startswith(f"flask10x: not enough space in {folder} for a copy: 16.0 MB")
        assert list(folder.iterdir()) == []


def test_a_disk_that_fills_meanwhile_leaves_nothing_behind(
    settings: Settings, writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        store(writer, *range(500))
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 2**40)
    with small_disk(folder, "200k"):
        (folder / "flask10x-20240101-000000.sqlite3").write_text("x")
        with pytest.raises(BackupError, match=r"SQLITE_FULL|No space left on device"):
            backup(settings, folder, keep=1)
        assert names(folder) == ["flask10x-20240101-000000.sqlite3"]
    # The service's next write is not touched by it.
    store(writer, 7)
    assert select(settings.data_dir / "flask10x.sqlite3", "SELECT max(id) FROM readings") == [
        (10_001,)
    ]


# Only one at a time, and what was left over


def test_leftovers_go_but_not_those_of_a_running_backup(
    settings: Settings, database: Database, folder: Path
) -> None:
    folder.mkdir()
    leftovers = [".flask10x-backup-12.tmp", ".flask10x-backup-12.tmp-journal"]
    leftovers += [".flask10x-backup-12.tmp.sha256", "flask10x-20240101-000000.sqlite3.sha256"]
    for name in [*leftovers, ".flask10x-backup-x.tmp", "flask10x.tmp"]:
        (folder / name).write_text("x")
    (folder / leftovers[-1]).write_text(sum_of_x("flask10x-20240101-000000.sqlite3"))
    other = FileLock(folder / LOCK)
    assert other.try_acquire()
    with pytest.raises(BackupRunning, match=r"another backup into .*usb is running"):
        backup(settings, folder)
    done = run(settings, str(folder))
    assert (done.returncode, done.stdout) == (3, "")
    assert "another backup into" in done.stderr
    assert leftovers[0] in names(folder)
    other.close()
    done_at_last = backup(settings, folder)
    rest = [".flask10x-backup-x.tmp", *pair(done_at_last.path.name), "flask10x.tmp"]
    assert names(folder) == rest


def test_a_sum_stays_when_its_backup_is_compressed_or_elsewhere(
    settings: Settings, database: Database, folder: Path
) -> None:
    """Only it can prove, when the backup comes back, that its bytes are those of that night."""
    folder.mkdir()
    compressed, moved = "flask10x-20240101-000000.sqlite3", "flask10x-20240102-000000.sqlite3"
    (folder / f"{compressed}.sha256").write_text(sum_of_x(compressed))
    (folder / f"{compressed}.gz").write_text("as gzip makes it")
    (folder / f"{moved}.sha256").write_text(f"{'0' * 64}  {moved}\n")
    # Also beside what a killed backup has left, of the same bytes as the compressed one.
    (folder / ".flask10x-backup-12.tmp").write_text("x")
    remaining = [f"{compressed}.gz", f"{compressed}.sha256", f"{moved}.sha256"]
    done = backup(settings, folder)
    assert names(folder) == [*remaining, *pair(done.path.name)]
    done = backup(settings, folder, keep=1)
    assert names(folder) == [*remaining, *pair(done.path.name)]


def test_a_backup_that_gets_no_name_leaves_no_sum(
    settings: Settings, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if FINAL.fullmatch(target.name):
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(BackupError, match="Input/output error"):
        backup(settings, folder)
    assert names(folder) == []


# Where else the long variant kills it, before the backup has its name.
LONG_PLACES = [("write", 2), ("unlink", 1)]
LONG_PLACES += [("fsync", 1), ("fsync", 2), ("rename", 1)]


@pytest.mark.sqlite_only("the calls of a copied file")
@needs_strace
@pytest.mark.parametrize(
    ("call", "number", "published"),
    [
        ("write", 1, 0),
        ("fsync", 3, 0),
        ("rename", 2, 0),
        ("fsync", 4, 1),
        *(pytest.param(*place, 0, marks=pytest.mark.long) for place in LONG_PLACES),
    ],
)
def test_a_killed_backup_has_no_final_name_unless_it_is_whole(
    settings: Settings, writer: Writer, folder: Path, call: str, number: int, published: int
) -> None:
    store(writer, 1, 2, 3)
    assert killed_at(call, number, ["backup", str(folder)], environment(settings))
    finals = [folder / name for name in names(folder) if FINAL.fullmatch(name)]
    assert len(finals) == published
    assert [select(path, PRESSURES) for path in finals] == [[(1.0,), (2.0,), (3.0,)]] * published
    assert all(map(is_as_noted, finals))
    done = backup(settings, folder)
    kept = [backup_files.pages_path(path).name for path in finals]
    assert names(folder) == sorted([*kept, *pair(done.path.name)])
    assert select(done.path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.sqlite_only("the calls of a copied file")
@needs_strace
@pytest.mark.long
@pytest.mark.parametrize("call", ["write", "unlink", "fsync", "rename", "flock"])
def test_a_backup_killed_at_every_call(
    settings: Settings, writer: Writer, folder: Path, call: str
) -> None:
    store(writer, *range(500))
    number, arguments = 1, ["backup", str(folder), "--keep", "1"]
    while killed_at(call, number, arguments, environment(settings)):
        for path in backup_files.restorable(folder) if folder.is_dir() else []:
            assert earlier_backups.is_unchanged(path)
            with earlier_backups.whole(path, settings.data_dir) as plain:
                assert select(plain, "PRAGMA integrity_check") == [("ok",)]
                assert select(plain, "SELECT count(*) FROM readings") == [(500,)]
        number += 1
    assert number > 1
    (final,) = (name for name in names(folder) if FINAL.fullmatch(name))
    assert names(folder) == pair(final)


# What can't be backed up


@pytest.mark.sqlite_only("the file of the database")
def test_without_a_database(settings: Settings, folder: Path) -> None:
    done = run(settings, str(folder))
    assert done.returncode == 1
    assert "there is no database" in done.stderr
    assert not folder.exists()
    assert not (settings.data_dir / "flask10x.sqlite3").exists()


def test_a_stick_that_is_not_there(settings: Settings, database: Database, folder: Path) -> None:
    done = run(settings, str(folder / "backups"))
    assert done.returncode == 1
    assert f"cannot back up into {folder}/backups: No such file or directory" in done.stderr
    assert f": {folder}; is the disk mounted?" in done.stderr


@pytest.mark.sqlite_only("damage of a file")
def test_a_damaged_database_gives_no_backup(
    settings: Settings, writer: Writer, folder: Path
) -> None:
    for _ in range(4):
        store(writer, *range(500))
    path = settings.data_dir / "flask10x.sqlite3"
    execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(20_000))
    with pytest.raises(BackupError, match=r"SQLITE_CORRUPT|is damaged"):
        backup(settings, folder)
    assert names(folder) == []


@pytest.mark.sqlite_only("damage of a file")
def test_an_index_that_differs_from_its_table_is_found(
    settings: Settings, writer: Writer, folder: Path
) -> None:
    store(writer, 1, 2)
    path = settings.data_dir / "flask10x.sqlite3"
    other = sqlite3.connect(path)
    other.execute("PRAGMA writable_schema=ON")
    other.execute(
        "UPDATE sqlite_schema SET sql = '' WHERE name = 'ix_readings_endpoint_received_at'"
    )
    other.execute(
        "UPDATE sqlite_schema SET sql ="
        " 'CREATE INDEX ix_readings_endpoint_received_at ON readings (received_at, endpoint)'"
        " WHERE name = 'ix_readings_endpoint_received_at'"
    )
    other.commit()
    other.close()
    with pytest.raises(BackupError, match="the copy is no good"):
        backup(settings, folder)
    assert names(folder) == []


@pytest.mark.sqlite_only("the file of the database")
def test_another_programs_database_is_refused(settings: Settings, folder: Path) -> None:
    settings.data_dir.mkdir(exist_ok=True)
    execute(settings.data_dir / "flask10x.sqlite3", "CREATE TABLE notes (text)")
    with pytest.raises(BackupError, match="it has no table of readings"):
        backup(settings, folder)


# What was accepted before it began


def waiting(seconds: list[float | None], monkeypatch: pytest.MonkeyPatch) -> Running:
    """A service whose oldest waiting reading has waited this long, answer by answer."""
    answers = iter(seconds)
    monkeypatch.setattr(Running, "oldest_waiting_sec", lambda _self: next(answers))
    return Running("1", "127.0.0.1:1", 0)


@pytest.mark.parametrize("answers", [[None], [0.001], [30.0, None], [30.0, 20.0, 0.001]])
def test_it_waits_until_what_was_accepted_before_is_stored(
    answers: list[float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = waiting([*answers, 99.0], monkeypatch)
    began_sec = time.monotonic() - 1
    assert backup_module._settle(service, 0.1, began_sec) == ""
    assert service.oldest_waiting_sec() == 99.0, "and asks no further"


def test_a_service_in_trouble_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    service = waiting([60.0] * 2, monkeypatch)
    monkeypatch.setattr(backup_module, "PATIENCE_SEC", 0.01)
    assert backup_module._settle(service, 0.0, time.monotonic()) == (
        "the service cannot store its newest readings now; those that it accepted in the last"
        " 60 s are not in this backup"
    )


def test_a_service_that_does_not_answer_gets_its_time(
    settings: Settings, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_module, "UNASKED_MARGIN_SEC", 0.0)
    lock = hold_database(settings)
    lock.note(f"{os.getpid()} 127.0.0.1:1\n")
    done = backup(settings, folder)
    lock.close()
    (warning,) = done.warnings
    assert warning.startswith("could not ask the service whether the newest readings are stored")
    assert "no answer from 127.0.0.1:1/readyz: ConnectionRefusedError" in warning
    assert done.seconds >= 0.2, "two commit intervals"


def test_warnings_go_to_standard_error(settings: Settings, database: Database) -> None:
    lock = hold_database(settings)
    lock.note(f"{os.getpid()} 127.0.0.1:1\n")
    done = run(settings)
    lock.close()
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert done.stderr.startswith("flask10x: could not ask the service")


def test_a_backup_reads_as_its_line() -> None:
    done = Backup(Path("/b/flask10x-20250824-090000.sqlite3"), 7, 1_234_567_890, 2.04, ())
    assert str(done) == "/b/flask10x-20250824-090000.sqlite3: 7 rows, 1,234.6 MB, 2.0 s"


@pytest.fixture
def stick(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a folder for copies, on a disk of its own as far as the program can see."""
    (tmp_path / "stick").mkdir()
    monkeypatch.setattr(disks, "on_same_disk", lambda *_paths: False)
    return replace(settings, backup_copy_dir=tmp_path / "stick" / "flask10x", backup_keep=2)


def copies_of(settings: Settings) -> list[str]:
    assert settings.backup_copy_dir is not None
    return sorted(path.name for path in settings.backup_copy_dir.iterdir() if path.name[0] != ".")


@pytest.mark.usefixtures("database")
def test_a_backup_is_copied_with_its_sum_and_as_many_are_kept(stick: Settings) -> None:
    assert backup_module.copy_away(replace(stick, backup_copy_dir=None), stick.backup_dir) is None
    names = []
    for _number in range(3):
        made = backup(stick, stick.backup_dir)
        copy = backup_module.copy_away(stick, made.path)
        assert copy is not None and copy.read_bytes() == made.path.read_bytes()
        assert is_as_noted(copy)
        names.append(copy.name)
    whole = [name for each in names[1:] for name in pair(each)]
    by_pages = [names[1].replace("sqlite3", "pages"), *pair(names[2])]
    assert copies_of(stick) == (whole if databases.ON_POSTGRES else by_pages)


@pytest.mark.usefixtures("database")
def test_a_stick_that_is_not_there_is_named_and_nothing_is_made_in_its_place(
    stick: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup(stick, stick.backup_dir)
    assert stick.backup_copy_dir is not None
    stick.backup_copy_dir.parent.rmdir()
    for attempt in (
        lambda: backup_module.copy_away(stick, made.path),
        lambda: backup_module.try_folder(stick, stick.backup_copy_dir),
    ):
        with pytest.raises(BackupError, match="is the disk plugged in and mounted"):
            attempt()
    assert not stick.backup_copy_dir.parent.exists() and made.path.exists()
    stick.backup_copy_dir.parent.mkdir()
    monkeypatch.setattr(disks, "on_same_disk", lambda *_paths: True)
    with pytest.raises(BackupError, match="is on the same card or disk as the readings"):
        backup_module.copy_away(stick, made.path)
    assert not stick.backup_copy_dir.exists()


@pytest.mark.usefixtures("database")
def test_a_stick_that_changes_bytes_keeps_no_copy(
    stick: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup(stick, stick.backup_dir)
    copy = disk.copy

    def changing(source: Path, target: Path) -> None:
        copy(source, target)
        flip(target, 100)

    monkeypatch.setattr(disk, "copy", changing)
    with pytest.raises(BackupError, match="differs from the one written there; the disk is faulty"):
        backup_module.copy_away(stick, made.path)
    assert copies_of(stick) == []


def test_a_folder_is_tried_with_a_file_that_goes(stick: Settings) -> None:
    assert stick.backup_copy_dir is not None
    said = backup_module.try_folder(stick, stick.backup_copy_dir)
    assert "a file was written, read back and removed" in said
    assert [*stick.backup_copy_dir.iterdir()] == []


needs_rclone = pytest.mark.skipif(
    shutil.which("rclone") is None, reason="rclone is not installed: no copy goes to a remote"
)


@pytest.fixture
def remote(tmp_path: Path, settings: Settings) -> Iterator[Settings]:
    """Settings with a remote for copies: WebDAV, served by rclone on a free port."""
    (tmp_path / "far" / "house").mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rclone = shutil.which("rclone") or ""
    served = subprocess.Popen(
        [rclone, "serve", "webdav", "--addr", f"127.0.0.1:{port}", str(tmp_path / "far")],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stderr is not None
        for line in served.stderr:
            if "Serving on" in line or "WebDav Server started" in line:
                break
        (settings.data_dir / "rclone.conf").write_text(
            f"[nas]\ntype = webdav\nurl = http://127.0.0.1:{port}\nvendor = other\n"
        )
        yield replace(settings, backup_copy_dir=Path("nas:house"), backup_keep=2)
    finally:
        served.terminate()
        served.communicate()


@needs_rclone
@pytest.mark.usefixtures("database")
def test_a_backup_is_copied_to_a_remote_and_as_many_are_kept(
    remote: Settings, tmp_path: Path
) -> None:
    far = tmp_path / "far" / "house"
    folder = Path("nas:house")
    assert "was written, read back and removed" in backup_module.try_folder(remote, folder)
    assert [*far.iterdir()] == []
    assert newest_copy(remote, 0) is None
    names = []
    for _number in range(3):
        made = backup(remote, remote.backup_dir)
        copy = backup_module.copy_away(remote, made.path)
        assert copy == folder / made.path.name
        assert (far / made.path.name).read_bytes() == made.path.read_bytes()
        assert is_as_noted(far / made.path.name)
        names.append(made.path.name)
    kept = [name for each in names[1:] for name in pair(each)]
    assert sorted(path.name for path in far.iterdir()) == kept
    # The pages and the alert go by the note of it.
    newest = newest_copy(remote, 0)
    assert newest is not None and newest.path == folder / names[-1]
    assert newest_copy(replace(remote, backup_copy_dir=Path("other:house")), 0) is None


@pytest.mark.tools
@needs_rclone
@pytest.mark.usefixtures("database")
def test_a_remote_that_is_away_or_unknown_is_named(remote: Settings) -> None:
    made = backup(remote, remote.backup_dir)
    unknown = replace(remote, backup_copy_dir=Path("nowhere:house"))
    with pytest.raises(
        BackupError, match=r"rclone copyto failed: .*didn't find section in config file"
    ):
        backup_module.copy_away(unknown, made.path)
    (remote.data_dir / "rclone.conf").write_text(
        "[nas]\ntype = webdav\nurl = http://127.0.0.1:1\nvendor = other\n"
    )
    with pytest.raises(BackupError, match=r"rclone copyto failed: .*connection refused"):
        backup_module.try_folder(remote, Path("nas:house"))
    assert newest_copy(remote, 0) is None


@needs_rclone
@pytest.mark.usefixtures("database")
def test_a_remote_that_changes_bytes_keeps_no_copy(
    remote: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup(remote, remote.backup_dir)
    rclone = remote_copy._rclone

    def changing(settings: Settings, *words: str) -> str:
        if words[0] == "hashsum":
            flip(tmp_path / "far" / "house" / made.path.name, 100)
        return rclone(settings, *words)

    monkeypatch.setattr(remote_copy, "_rclone", changing)
    with pytest.raises(BackupError, match="differs from the one written there; the disk is faulty"):
        backup_module.copy_away(remote, made.path)
    assert [*(tmp_path / "far" / "house").iterdir()] == []


def test_a_remote_without_rclone_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BackupError, match="nas:house needs rclone, which is not installed"):
        backup_module.try_folder(settings, Path("nas:house"))


@pytest.mark.usefixtures("database")
def test_the_command_copies_to_another_disk_and_names_a_missing_one(
    settings: Settings, tmp_path: Path
) -> None:
    absent = tmp_path / "absent" / "flask10x"
    given = {**environment(settings), "FLASK10X_BACKUP_COPY_DIR": str(absent)}
    done = in_words(run_command(["backup"], given))
    assert done.returncode == 4 and "the backup was made, and not copied" in done.stderr
    assert len([*settings.backup_dir.glob("*.sqlite3")]) == 1
    done = in_words(run_command(["backup", "--try"], given))
    assert done.returncode == 1 and "plugged in" in done.stderr
    with small_disk(tmp_path / "usb", "40m") as usb:
        given["FLASK10X_BACKUP_COPY_DIR"] = str(usb / "flask10x")
        done = in_words(run_command(["backup", "--try"], given))
        assert (done.returncode, [*(usb / "flask10x").iterdir()]) == (0, [])
        done = in_words(run_command(["backup"], given))
        assert done.returncode == 0 and "copied to " in done.stdout
        assert len([*(usb / "flask10x").glob("flask10x-*.sqlite3")]) == 1
