"""Earlier backups, kept as the pages in which each differs from the next one."""

import json
import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.sqlite.snapshot import Snapshot
from flask10x.errors import BackupRunning, CopyError, LockTimeout
from flask10x.maintenance import backup as backup_module
from flask10x.maintenance import earlier_backups
from flask10x.maintenance.backup import backup
from flask10x.recording.writer import Writer
from flask10x.system import backup_files, disk
from tests.support.commands import in_words, run_command
from tests.support.databases import environment_of
from tests.support.outside_faults import killed_at, needs_strace
from tests.support.rows import execute, pico, select

pytestmark = pytest.mark.sqlite_only("pages of a file")


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.backup_dir


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each backup is made a day after the one before, from 2025-08-01."""
    moments = (f"2025{8 + day // 28:02}{day % 28 + 1:02}-033000" for day in range(400))
    monkeypatch.setattr(disk, "moment", lambda _zone: next(moments))


def store(writer: Writer, *pressures: float) -> None:
    for pressure in pressures:
        writer.submit(pico(pressure))
    writer.step()


def bytes_of(path: Path) -> bytes:
    """Those of a backup, also of an earlier one."""
    return b"".join(earlier_backups.Image(path).blocks())


def change(settings: Settings, writer: Writer, chance: random.Random) -> None:
    """Let a day do something to the database: rows, holes, another size, a new house."""
    path = settings.data_dir / "flask10x.sqlite3"
    match chance.randrange(6):
        case 0:
            execute(path, f"DELETE FROM readings WHERE id % 7 = {chance.randrange(7)}")
        case 1:
            execute(path, "VACUUM")
        case 2:
            house = "x" * chance.randrange(3000)
            (settings.data_dir / "alerts.toml").write_text(f"# {house}\n")
        case 3:
            pass
        case _:
            store(writer, *(chance.random() for _ in range(chance.randrange(1, 300))))


@pytest.mark.usefixtures("days")
@pytest.mark.parametrize("seed", range(4))
def test_each_night_comes_back_byte_for_byte(
    settings: Settings, writer: Writer, folder: Path, seed: int
) -> None:
    chance, nights = random.Random(seed), {}
    for _night in range(12):
        change(settings, writer, chance)
        done = backup(settings, folder)
        assert done.warnings == ()
        nights[done.path.stem] = done.path.read_bytes()
        assert select(done.path, "PRAGMA integrity_check") == [("ok",)]
        rows = select(settings.data_dir / "flask10x.sqlite3", "SELECT count(*) FROM readings")
        assert select(done.path, "SELECT count(*) FROM readings") == rows
    restorable = backup_files.restorable(folder)
    assert {path.stem: bytes_of(path) for path in restorable} == nights
    assert [path.suffix for path in restorable] == [".pages"] * 11 + [".sqlite3"]
    assert all(map(earlier_backups.is_unchanged, restorable))
    # Those that go leave what older ones need.
    chance.shuffle(restorable)
    for path in restorable:
        if path.suffix == ".pages":
            earlier_backups.drop(path)
            kept = {each.stem: bytes_of(each) for each in backup_files.restorable(folder)}
            del nights[path.stem]
            assert kept == nights


@pytest.mark.usefixtures("days")
def test_nights_and_the_last_of_each_month_stay(
    settings: Settings, writer: Writer, folder: Path
) -> None:
    nights = {}
    for night in range(80):
        store(writer, night)
        nights[backup(settings, folder, keep=5).path.stem] = night + 1
    kept = [path.stem for path in backup_files.restorable(folder)]
    months = ["flask10x-20250828-033000", "flask10x-20250928-033000"]
    assert kept == [*months, *list(nights)[-5:]]
    for path in backup_files.restorable(folder):
        with earlier_backups.whole(path, settings.data_dir) as plain:
            count = select(plain, "SELECT count(*) FROM readings")
        assert count == [(nights[path.stem],)]
    assert not list(settings.data_dir.glob(".flask10x-whole-*"))


@pytest.mark.usefixtures("days")
def test_no_more_months_than_a_year_stay(
    settings: Settings, writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_module, "MONTHS_KEPT", 1)
    for night in range(80):
        store(writer, night)
        backup(settings, folder, keep=2)
    kept = [path.stem for path in backup_files.restorable(folder)]
    assert kept[0] == "flask10x-20250928-033000" and len(kept) == 3


@pytest.mark.usefixtures("days")
def test_an_earlier_night_is_checked_and_restored_by_the_commands(
    settings: Settings, writer: Writer, folder: Path
) -> None:
    def run(*arguments: str) -> str:
        done = in_words(run_command([*arguments], environment_of(settings.data_dir)))
        assert done.returncode == 0, done.stderr
        return done.stdout

    store(writer, 1, 2)
    backup(settings, folder)
    store(writer, 3)
    backup(settings, folder)
    earlier, newest = backup_files.restorable(folder)
    for path, rows in ((earlier, 2), (newest, 3)):
        text = f"{path}: unchanged since it was made, and whole: {rows} rows\n"
        assert run("backup", "--verify", str(path)) == text
    writer.close(5)
    assert "restored from" in run("restore", str(earlier), "--only", "readings")
    path = settings.data_dir / "flask10x.sqlite3"
    assert select(path, "SELECT pressure FROM readings ORDER BY id") == [(1.0,), (2.0,)]


@needs_strace
@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("write", 4),
        ("fsync", 3),
        ("fsync", 6),
        ("rename", 1),
        ("rename", 2),
        ("rename", 3),
        ("ftruncate", 1),
        ("pwrite64", 3),
        ("unlink", 2),
    ],
)
def test_a_killed_backup_changes_no_earlier_one(
    settings: Settings, writer: Writer, folder: Path, call: str, number: int
) -> None:
    store(writer, *range(300))
    before = backup(settings, folder).path
    content = before.read_bytes()
    store(writer, *range(40))
    arguments = ["backup", str(folder)]
    assert killed_at(call, number, arguments, environment_of(settings.data_dir))
    for path in backup_files.restorable(folder):
        assert earlier_backups.is_unchanged(path)
    assert bytes_of(before) == content
    done = backup(settings, folder)
    assert done.warnings == ()
    assert bytes_of(before) == content
    assert select(done.path, "SELECT count(*) FROM readings") == [(340,)]
    assert earlier_backups.interrupted(folder) == []


@pytest.mark.parametrize("what", ["page", "head", "newer", "cut"])
@pytest.mark.usefixtures("days")
def test_a_damaged_file_of_pages_is_no_backup(
    settings: Settings, writer: Writer, folder: Path, what: str
) -> None:
    store(writer, *range(300))
    backup(settings, folder)
    store(writer, *range(300))
    newest = backup(settings, folder).path
    (path, _newest) = backup_files.restorable(folder)
    content = path.read_bytes()
    head, _, records = content.partition(b"\n")
    if what == "page":
        path.write_bytes(content[:-30] + bytes([content[-30] ^ 1]) + content[-29:])
    elif what == "head":
        path.write_bytes(b"{}\n" + records)
    elif what == "newer":
        named = json.dumps({**json.loads(head), "newer": "flask10x-20990101-000000.sqlite3"})
        path.write_bytes(named.encode() + b"\n" + records)
    else:
        path.write_bytes(content[: len(content) // 2])
    assert earlier_backups.is_unchanged(path) is False
    assert earlier_backups.is_unchanged(newest)
    done = in_words(
        run_command(["backup", "--verify", str(path)], environment_of(settings.data_dir))
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    # The next night is made as ever.
    assert backup(settings, folder).warnings == ()


def test_a_newest_one_that_has_changed_is_named_and_left_alone(
    settings: Settings, writer: Writer, folder: Path
) -> None:
    store(writer, 1)
    former = backup(settings, folder).path
    with open(former, "r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")
    content = former.read_bytes()
    done = backup(settings, folder)
    assert done.warnings == (f"{former} has changed since it was made",)
    assert former.read_bytes() == content
    assert backup_files.restorable(folder) == [former, done.path]
    assert earlier_backups.is_unchanged(done.path)


def test_a_second_name_of_a_backup_keeps_its_bytes(
    settings: Settings, writer: Writer, folder: Path, tmp_path: Path
) -> None:
    store(writer, 1)
    former = backup(settings, folder).path
    (tmp_path / "own").hardlink_to(former)
    content = former.read_bytes()
    store(writer, 2)
    backup(settings, folder)
    assert (tmp_path / "own").read_bytes() == former.read_bytes() == content


def test_a_backup_of_a_former_version_becomes_the_next_one(
    settings: Settings, writer: Writer, folder: Path
) -> None:
    """It was made by VACUUM INTO, so that nearly all pages are elsewhere."""
    store(writer, *range(200))
    old = backup_module.whole(settings, folder).path
    former = old.rename(folder / "flask10x-20250101-000000.sqlite3")
    digest = backup_files.digest_of(former)
    noted = backup_files.checksum_path(former)
    noted.write_text(backup_files.checksum_line(digest, former.name))
    content = former.read_bytes()
    done = backup(settings, folder)
    assert backup_files.restorable(folder) == [backup_files.pages_path(former), done.path]
    assert bytes_of(former) == content


def test_a_whole_one_stays_and_has_no_free_pages(
    settings: Settings, writer: Writer, folder: Path
) -> None:
    store(writer, *range(300))
    execute(settings.data_dir / "flask10x.sqlite3", "DELETE FROM readings WHERE id > 10")
    command = ["backup", "--whole", str(folder), "--secrets"]
    done = in_words(run_command(command, environment_of(settings.data_dir)))
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*-whole.sqlite3")
    assert done.stdout.startswith(f"{path}: 10 rows, ")
    assert select(path, "PRAGMA freelist_count") == [(0,)]
    assert backup_files.is_unchanged(path)
    for _ in range(2):
        backup(settings, folder, keep=1)
    assert path.is_file()


def test_what_is_read_is_not_changed(
    settings: Settings, writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(writer, 1)
    backup(settings, folder)
    monkeypatch.setattr(backup_files, "READ_WITHIN_SEC", 0.0)
    text = "reads or changes the backups in"
    with (
        backup_files.held(folder),
        backup_files.held(folder),
        pytest.raises(BackupRunning, match=text),
    ):
        backup(settings, folder)
    with (
        backup_files.held(folder, to_change=True),
        pytest.raises(LockTimeout),
        backup_files.held(folder),
    ):
        raise AssertionError("held")


def test_without_the_pages_of_this_sqlite_each_is_a_whole_file(
    settings: Settings, writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Snapshot, "is_possible", lambda _connection: False)
    store(writer, 1)
    made = [backup(settings, folder).path for _ in range(2)]
    assert backup_files.restorable(folder) == made


def test_a_missing_newer_one_is_named(settings: Settings, writer: Writer, folder: Path) -> None:
    store(writer, 1)
    backup(settings, folder)
    newest = backup(settings, folder).path
    (earlier, _newest) = backup_files.restorable(folder)
    shutil.move(newest, folder / "elsewhere")
    with pytest.raises(CopyError, match=f"needs the newer backup {newest}, which is missing"):
        earlier_backups.Image(earlier)


def test_an_empty_folder_has_none(tmp_path: Path, settings: Settings, database: Database) -> None:
    with closing(database):
        assert backup_files.restorable(tmp_path) == backup_files.earlier(tmp_path) == []
