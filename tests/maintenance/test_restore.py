"""Restore: the copy in, the old database kept, and one of the two in place at every moment."""

import gc
import gzip
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from flask10x.commands.main import group
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.database.running_service import hold_database
from flask10x.errors import CopyError, RestoreError
from flask10x.history import annotations
from flask10x.history.annotations import WrittenNote
from flask10x.maintenance.backup import backup
from flask10x.maintenance.copying import copy as copy_database
from flask10x.maintenance.restore import renew, restore
from flask10x.system import backup_files, disk
from flask10x.system.locks import FileLock, lock_path
from tests.postgres.copying import in_file
from tests.support.broken_schema import overwrite_schema
from tests.support.commands import in_words, run_command
from tests.support.corrections import correct
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database
from tests.support.outside_faults import killed_at, needs_strace
from tests.support.rows import execute, insert_readings, pico, select

pytestmark = pytest.mark.sqlite_only("a file takes the place of a file")

PRESSURES = "SELECT pressure FROM readings ORDER BY id"
OLD = [(1.0,), (2.0,), (3.0,)]
NEW = [(1.0,), (2.0,)]
CHANGED_COPIES, CUT_COPIES = 60, 10


def store(database: Database, *pressures: float) -> None:
    with database.commit() as connection:
        for pressure in pressures:
            insert_readings(connection, [pico(pressure)])


@pytest.fixture
def path(settings: Settings) -> Path:
    return settings.data_dir / "flask10x.sqlite3"


@pytest.fixture
def copy(settings: Settings, path: Path, tmp_path: Path) -> Path:
    """A backup with two rows; the database has a third, which only its WAL has, as after a kill."""
    lay_new_database(database_path(settings))
    database = Database(settings)
    store(database, 1, 2)
    made = backup(settings, tmp_path / "backups").path
    store(database, 3)
    live = tmp_path / "live"
    live.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", live)
    database.close()
    for file in live.iterdir():
        shutil.copy(file, path.parent)
    return made


def kept_of(path: Path) -> list[Path]:
    return sorted(path.parent.glob("flask10x.sqlite3.replaced-*"))


def left_over(path: Path) -> list[str]:
    return [file.name for file in path.parent.iterdir() if file.name.startswith(".flask10x")]


def test_the_copy_is_in_and_the_old_one_kept(settings: Settings, path: Path, copy: Path) -> None:
    path.chmod(0o640)
    before = copy.read_bytes()
    done = restore(settings, copy)
    assert (done.contents.rows, done.contents.last_id, done.contents.rejected) == (2, 2, 0)
    assert done.newer == 1
    assert copy.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o640
    assert kept_of(path) == [done.replaced]
    assert select(kept_of(path)[0], PRESSURES) == OLD
    assert select(path, PRESSURES) == NEW
    assert not (path.parent / "flask10x.sqlite3-journal").exists()
    assert left_over(path) == []


def test_a_rescued_copy_that_was_used_is_kept_and_put_aside(
    settings: Settings, path: Path, copy: Path
) -> None:
    rescued = copy.rename(path.with_name("flask10x.sqlite3.rescued-20250824-090000"))
    done = restore(settings, rescued)
    assert done.used == path.with_name("flask10x.sqlite3.rescued-20250824-090000.restored")
    assert done.used.exists() and not rescued.exists()
    assert select(path, PRESSURES) == NEW


def test_the_service_goes_on_from_there(settings: Settings, path: Path, copy: Path) -> None:
    restore(settings, copy)
    lay_new_database(database_path(settings))
    database = Database(settings)
    store(database, 4)
    assert select(path, PRESSURES) == [*NEW, (4.0,)]
    assert select(path, "PRAGMA journal_mode") == [("wal",)]
    database.close()
    assert select(kept_of(path)[0], PRESSURES) == OLD


def test_without_a_database_there_is_nothing_to_keep(
    settings: Settings, path: Path, copy: Path
) -> None:
    path.unlink()
    (path.parent / "flask10x.sqlite3-wal").rename(path.parent / "elsewhere")
    done = restore(settings, copy)
    assert (done.replaced, done.newer) == (None, None)
    assert select(path, PRESSURES) == NEW


def test_a_wal_without_its_database_does_not_get_at_the_new_one(
    settings: Settings, path: Path, copy: Path
) -> None:
    path.unlink()
    assert (path.parent / "flask10x.sqlite3-wal").stat().st_size > 0
    restore(settings, copy)
    assert select(path, PRESSURES) == NEW
    assert kept_of(path)[0].name.endswith("-wal")


def test_a_database_beyond_reading_is_kept_with_its_wal(
    settings: Settings, path: Path, copy: Path
) -> None:
    with open(path, "r+b") as file:
        file.write(b"not a database at all")
    files = {suffix: Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal")}
    done = restore(settings, copy)
    assert done.newer is None
    assert {suffix: Path(f"{done.replaced}{suffix}").read_bytes() for suffix in files} == files
    assert select(path, PRESSURES) == NEW
    assert select(path, "PRAGMA integrity_check") == [("ok",)]


# What is refused, with everything left as it was


@pytest.mark.parametrize("seed", range(30))
def test_a_backup_with_any_bytes_in_its_schema_is_refused_in_words(
    settings: Settings, path: Path, copy: Path, seed: int
) -> None:
    overwrite_schema(copy, seed)
    try:
        restore(settings, copy)
    except CopyError as error:
        assert str(error).startswith(str(copy))
        assert select(path, PRESSURES) == OLD


@pytest.fixture
def untouched(path: Path, copy: Path) -> Iterator[None]:
    """Fails when the test has changed the database, or left anything beside it."""
    files = [path, path.with_name("flask10x.sqlite3-wal")]
    before = [file.read_bytes() for file in files]
    yield
    assert [file.read_bytes() for file in files] == before
    assert left_over(path) == []
    assert kept_of(path) == []


def damaged(copy: Path) -> None:
    with open(copy, "r+b") as file:
        file.seek(1024)
        file.write(os.urandom(512))


def cut_short(copy: Path) -> None:
    os.truncate(copy, copy.stat().st_size - 600)


def foreign(copy: Path) -> None:
    copy.unlink()
    execute(copy, "CREATE TABLE readings (temperature)")


def newer(copy: Path) -> None:
    execute(copy, "UPDATE alembic_version SET version_num = '0999'")


def with_wal(copy: Path) -> None:
    copy.with_name(f"{copy.name}-wal").write_text("x")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damaged, " is damaged: "),
        (cut_short, " is damaged: "),
        (foreign, " is no database of Flask10X's: it has no table of readings"),
        (newer, " has the schema 0999, which this version of Flask10X does not know"),
        (with_wal, "is not complete without flask10x-"),
    ],
)
@pytest.mark.usefixtures("untouched")
def test_a_file_that_is_no_good_is_refused(
    settings: Settings, copy: Path, spoil: Callable[[Path], None], message: str
) -> None:
    """Also where no sum says that it was changed."""
    backup_files.checksum_path(copy).unlink()
    spoil(copy)
    with pytest.raises(CopyError) as caught:
        restore(settings, copy)
    assert str(caught.value).startswith(str(copy))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "the file is empty"),
        (
            gzip.compress(b"SQLite format 3\0", mtime=0),
            "it is compressed by gzip; unpack it first (gunzip)",
        ),
        (b"PK\x03\x04\x14\x00", "it is a zip file; unpack it first (unzip)"),
        (b"current_time,Pressure\r\n", "it is a CSV file; flask10x import takes those"),
        (b"\xef\xbb\xbfcurrent_time,CO2\r\n", "it is a CSV file; flask10x import takes those"),
        (b"PRAGMA foreign_keys=OFF;\n", "it is a text file"),
        (b"SQLite format 2\0", "its first bytes are not those of a database of SQLite"),
        (bytes(4096), "its first bytes are not those of a database of SQLite"),
    ],
)
@pytest.mark.usefixtures("untouched")
def test_another_file_is_refused_by_what_it_is(
    settings: Settings, path: Path, copy: Path, content: bytes, kind: str
) -> None:
    other = copy.with_name("other")
    other.write_bytes(content)
    with pytest.raises(CopyError) as caught:
        restore(settings, other)
    named = f"; the newest backup there that has its SHA-256 is {copy}"
    assert str(caught.value) == f"{other} is no backup: {kind}{named}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("/dev/zero", "it is a device or a socket, not a file"),
        ("pipe", "it is a pipe; write what comes from it into a file first"),
    ],
)
@pytest.mark.usefixtures("untouched")
def test_nothing_is_read_of_what_is_no_file(
    settings: Settings, tmp_path: Path, name: str, kind: str
) -> None:
    """A device may have bytes without an end, and a pipe none."""
    os.mkfifo(tmp_path / "pipe")
    file = tmp_path / name
    done = in_words(run_command(["restore", str(file)], environment(settings)))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"flask10x: {file} is no backup: {kind}\n"


# Changed since it was made


def changed(copy: Path) -> str:
    return f"{copy} has changed since it was made: its SHA-256 is not the one in {copy.name}.sha256"


@pytest.mark.usefixtures("untouched")
def test_a_backup_with_one_changed_bit_is_refused(settings: Settings, copy: Path) -> None:
    """Most of them are sound to SQLite, which has no checksums; the values are others."""
    content, random = copy.read_bytes(), Random(25)
    for bit in random.sample(range(len(content) * 8), CHANGED_COPIES):
        other = bytearray(content)
        other[bit // 8] ^= 1 << bit % 8
        copy.write_bytes(other)
        with pytest.raises(CopyError) as caught:
            restore(settings, copy)
        begins_otherwise = bit // 8 < len("SQLite format 3\0")
        assert str(caught.value).startswith(
            f"{copy} is no b" if begins_otherwise else changed(copy)
        )
    copy.write_bytes(content)


@pytest.mark.usefixtures("untouched")
def test_a_backup_that_was_cut_short_is_refused(settings: Settings, copy: Path) -> None:
    content, random = copy.read_bytes(), Random(25)
    for length in random.sample(range(16, len(content)), CUT_COPIES):
        copy.write_bytes(content[:length])
        with pytest.raises(CopyError) as caught:
            restore(settings, copy)
        assert str(caught.value).startswith(changed(copy))
    copy.write_bytes(content)


@pytest.mark.usefixtures("untouched")
def test_another_backup_is_named_that_has_not_changed(settings: Settings, copy: Path) -> None:
    good = copy.with_name("flask10x-20200102-000000.sqlite3")
    shutil.copy(copy, good)
    line = backup_files.checksum_path(copy).read_text()
    backup_files.checksum_path(good).write_text(line)
    # Newer, and of no use either.
    bad = copy.with_name("flask10x-20200103-000000.sqlite3")
    bad.write_text("x")
    backup_files.checksum_path(bad).write_text(line)
    with open(copy, "ab") as file:
        file.write(b"x")
    with pytest.raises(CopyError) as caught:
        restore(settings, copy)
    assert str(caught.value) == (
        f"{changed(copy)}; the newest backup there that has its SHA-256 is {good}. Where that file"
        f" is what is wrong, delete it, and {copy} is taken as it is"
    )


def test_a_backup_that_has_changed_is_not_copied_to_another_engine_either(
    settings: Settings, copy: Path, tmp_path: Path
) -> None:
    target = in_file(settings, tmp_path / "target.sqlite3")
    with open(copy, "ab") as file:
        file.write(b"x")
    with pytest.raises(CopyError) as caught:
        copy_database(in_file(settings, copy), target)
    assert str(caught.value).startswith(changed(copy))
    assert not database_path(target).exists()
    os.truncate(copy, copy.stat().st_size - 1)
    assert copy_database(in_file(settings, copy), target) == (2, 0)


@pytest.mark.parametrize("noted", ["", "x", "0" * 63 + "  name\n", "\n", "0" * 64 + "\n"])
@pytest.mark.usefixtures("untouched")
def test_a_sum_that_is_none_proves_nothing(settings: Settings, copy: Path, noted: str) -> None:
    backup_files.checksum_path(copy).write_text(noted)
    with pytest.raises(CopyError) as caught:
        restore(settings, copy)
    assert str(caught.value).startswith(changed(copy))


@pytest.mark.timeout(20)
@pytest.mark.usefixtures("untouched")
def test_a_pipe_is_no_sum(settings: Settings, copy: Path) -> None:
    noted = backup_files.checksum_path(copy)
    noted.unlink()
    os.mkfifo(noted)
    with pytest.raises(RestoreError) as caught:
        restore(settings, copy)
    assert str(caught.value).endswith(f"{noted} is no regular file, so it has no sum")


@pytest.mark.usefixtures("untouched")
def test_a_folder_is_no_sum(settings: Settings, copy: Path) -> None:
    noted = backup_files.checksum_path(copy)
    noted.unlink()
    noted.mkdir()
    # Files of earlier tests, which a collection in the middle of this one would close.
    gc.collect()
    opened = len([*Path("/proc/self/fd").iterdir()])
    with pytest.raises(RestoreError) as caught:
        restore(settings, copy)
    assert str(caught.value).endswith(f"Is a directory: '{noted}'")
    assert len([*Path("/proc/self/fd").iterdir()]) == opened


@pytest.mark.parametrize("form", ["{}  another/name.sqlite3\n", "{} *name", "{}  a  b\n"])
def test_a_sum_by_other_programs_is_understood(settings: Settings, copy: Path, form: str) -> None:
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    backup_files.checksum_path(copy).write_text(form.format(digest.upper()))
    assert restore(settings, copy).has_sum


def test_a_backup_without_its_sum_is_restored_and_named(
    settings: Settings, path: Path, copy: Path
) -> None:
    backup_files.checksum_path(copy).unlink()
    done = CliRunner().invoke(group, ["restore", str(copy)], env=environment(settings))
    assert done.exit_code == 0
    assert done.stderr == (
        f"flask10x: {copy} has no SHA-256 file ({copy.name}.sha256), so changes since it was made"
        " cannot be detected\n"
    )
    assert select(path, PRESSURES) == NEW


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE TRIGGER x AFTER INSERT ON readings BEGIN DELETE FROM notes; END", "trigger"),
        ("CREATE VIEW x AS SELECT 1", "view"),
        # Called as one of ours, it is none.
        ("CREATE VIEW v_x AS SELECT id, (SELECT 1) AS time FROM readings", "view"),
        ("CREATE TABLE x (y)", "table"),
        ("CREATE VIRTUAL TABLE x USING fts5(y)", "table"),
    ],
)
def test_a_copy_that_was_sent_has_nothing_that_is_not_ours(
    settings: Settings, path: Path, copy: Path, statement: str, named: str
) -> None:
    """A trigger would run with each reading that is stored."""
    tables = select(path, "SELECT name, sql FROM sqlite_master ORDER BY name")
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute(statement)
        connection.commit()
    backup_files.checksum_path(copy).unlink()
    sent = copy.rename(copy.with_name("b.sqlite3"))
    made = renew(settings, sent)
    assert made.rejected and made.rejected_path == sent.with_name("b.sqlite3.rejected.csv")
    assert f"\r\n{named}," in made.rejected_path.read_bytes().decode()
    assert {*sent.parent.glob("b.*")} == {sent, made.rejected_path}
    assert restore(settings, sent, by_service=True).contents.rows == 2
    assert not sent.exists()
    assert select(path, "SELECT name, sql FROM sqlite_master ORDER BY name") == tables
    assert select(path, PRESSURES) == NEW


@pytest.mark.usefixtures("untouched")
def test_the_running_service_keeps_its_database(settings: Settings, copy: Path) -> None:
    lock = hold_database(settings)
    with pytest.raises(RestoreError, match=rf"the service \(process {os.getpid()}\) uses "):
        restore(settings, copy)
    lock.close()


@pytest.mark.usefixtures("untouched")
def test_a_running_export_keeps_it_too(
    settings: Settings, path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask10x.maintenance.restore.LOCK_TIMEOUT_SEC", 0.01)
    lock = FileLock(lock_path(path, "export"))
    assert lock.try_acquire()
    with pytest.raises(RestoreError, match=r"in use: flask10x\.export\.lock was held elsewhere"):
        restore(settings, copy)
    lock.close()


def test_a_shell_that_is_open_keeps_it_too(settings: Settings, path: Path, copy: Path) -> None:
    with closing(sqlite3.connect(path)) as shell:
        assert shell.execute(PRESSURES).fetchall() == OLD
        with pytest.raises(RestoreError, match=r"another program has .* open"):
            restore(settings, copy)
        assert shell.execute(PRESSURES).fetchall() == OLD
    assert kept_of(path) == []
    assert left_over(path) == []
    restore(settings, copy)
    assert select(path, PRESSURES) == NEW


@pytest.mark.usefixtures("untouched")
def test_the_database_is_not_restored_from_itself(settings: Settings, path: Path) -> None:
    with pytest.raises(RestoreError, match="is the database itself"):
        restore(settings, path)


@pytest.mark.usefixtures("untouched")
def test_without_room_nothing_is_begun(
    settings: Settings, path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 16_000_000)
    with pytest.raises(RestoreError) as caught:
        restore(settings, copy)
    assert str(caught.value) == (
        f"not enough space in {path.parent} for a copy: 16.0 MB needed, 16.0 MB free"
    )


# Killed


def check_either(path: Path) -> None:
    """The old database or the new one is in place, whole."""
    assert opened(path, "PRAGMA integrity_check") == [("ok",)]
    assert opened(path, PRESSURES) in (OLD, NEW)


def opened(path: Path, sql: str) -> list[tuple[object, ...]]:
    """What the next start of the service finds: unlike a reader it may recover."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def environment(settings: Settings) -> dict[str, str]:
    markers = os.environ["STATE_DIRECTORY"]
    return {**environment_of(settings.data_dir), "STATE_DIRECTORY": markers}


LONG_PLACES = [("chmod", 1), *(("fsync", n) for n in (1, 2, 3, 4)), ("unlink", 2), ("link", 1)]
LONG_PLACES += [("fdatasync", n) for n in (1, 3)]


@needs_strace
@pytest.mark.parametrize(
    ("call", "number"),
    [
        *[("pwrite64", 100), ("fdatasync", 6), ("rename", 1)],
        *(pytest.param(*place, marks=pytest.mark.long) for place in LONG_PLACES),
    ],
)
def test_a_killed_restore_leaves_the_old_or_the_new(
    settings: Settings, path: Path, copy: Path, call: str, number: int
) -> None:
    assert killed_at(call, number, ["restore", str(copy)], environment(settings))
    check_either(path)
    assert (opened(path, PRESSURES) == NEW) == ((call, number) == ("fsync", 4))
    restore(settings, copy)
    assert select(path, PRESSURES) == NEW
    assert left_over(path) == []
    # Each kept file is a database of its own, none a second name of the one in use.
    assert all(file.stat().st_nlink == 1 for file in path.parent.iterdir() if file.is_file())
    assert OLD in [select(file, PRESSURES) for file in kept_of(path)]


@needs_strace
@pytest.mark.long
@pytest.mark.parametrize(
    ("call", "step"),
    # SQLite writes the pages of the new database by some hundred calls.
    [
        *[("pwrite64", 20), ("fdatasync", 2)],
        *((call, 1) for call in ("write", "chmod", "fsync", "unlink", "link", "rename")),
    ],
)
def test_a_restore_killed_at_every_call(
    settings: Settings, path: Path, copy: Path, call: str, step: int
) -> None:
    number = 1
    while killed_at(call, number, ["restore", str(copy)], environment(settings)):
        check_either(path)
        number += step
    assert number > 1
    assert select(path, PRESSURES) == NEW
    assert OLD in [select(file, PRESSURES) for file in kept_of(path)]
    assert left_over(path) == []


def test_a_copy_that_no_migration_goes_on_from_is_refused(
    settings: Settings, path: Path, copy: Path
) -> None:
    copy.with_name(f"{copy.name}.sha256").unlink()
    execute(copy, "UPDATE alembic_version SET version_num = '0011'")
    with pytest.raises(CopyError, match=r"is at version 0011, .* from version 0012 on"):
        restore(settings, copy)
    assert kept_of(path) == []


# The command


def test_the_command_says_what_comes_next(settings: Settings, path: Path, copy: Path) -> None:
    done = CliRunner().invoke(group, ["restore", str(copy)], env=environment(settings))
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        f"{path}: restored from {copy}, 2 rows",
        f"The replaced database is kept: {kept_of(path)[0]}",
        "Readings that only the replaced one has: 1",
        f"The files in {path.parent}/csv may now have rows that the database lacks; the export"
        " then refuses. Put back CSV files of the same time, or do what the export says.",
    ]


def test_notes_and_corrections_come_back(settings: Settings, path: Path, tmp_path: Path) -> None:
    lay_new_database(database_path(settings))
    database = Database(settings)
    store(database, 1)
    with database.commit() as connection:
        correct(connection, "data", "pressure", None, None, offset=2.0)
        note = WrittenNote(endpoint=None, first_ms=0, last_ms=0, text="窓", written_at=0)
        annotations.add(connection, note)
    made = backup(settings, tmp_path / "backups").path
    with database.commit() as connection:
        annotations.undo(connection, "adjust", 1, 5)
        annotations.undo(connection, "note", 1, 5)
    database.close()
    restore(settings, made)
    assert select(path, 'SELECT "offset", undone_at FROM corrections') == [(2.0, None)]
    assert select(path, "SELECT text, undone_at FROM notes") == [("窓", None)]
