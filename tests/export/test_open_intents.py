"""An interrupted export: its bytes are recognised to the last one, and no others are cut."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import dry_run, export
from flask10x.export.file import CsvFile
from flask10x.readings.stations import BUILT_IN
from flask10x.system import disk
from tests.support.csv_folder import HEADER, csv_file, database_file, line, lines, store
from tests.support.rows import execute, select

PICO = [BUILT_IN.by_endpoint["data"]]
BEFORE = HEADER + lines(0, 1)
APPENDED = lines(2, 3)


class Died(BaseException):
    """The process is gone: nothing after this runs, no error handler either."""


@pytest.fixture
def interrupted(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file after an export that died when all was written; another row has come since."""
    store(settings, 0, 1)
    export(settings, database, PICO)
    store(settings, 2, 3)

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("flask10x.export.file.CsvFile.sync", die)
        with pytest.raises(Died):
            export(settings, database, PICO)
    assert csv_file(settings).read_bytes() == BEFORE + APPENDED
    assert open_intents(settings) == [("PicodataX.csv", 2, 4, 99, 64)]
    store(settings, 4)
    return csv_file(settings)


def open_intents(settings: Settings) -> list[tuple[object, ...]]:
    names = ("from_id", "to_id", "start_offset", "length")
    columns = ", ".join(f"intent_{name}" for name in names)
    query = f"SELECT name, {columns} FROM csv_files WHERE intent_to_id IS NOT NULL"
    return select(database_file(settings), query)


def refused(settings: Settings, database: Database) -> str:
    """The message of an export that touches nothing and leaves the intent open."""
    path, intents = csv_file(settings), open_intents(settings)
    before = path.read_bytes() if path.exists() else None
    outcome = export(settings, database, PICO)[0]
    assert outcome.failed
    assert (path.read_bytes() if path.exists() else None) == before
    assert open_intents(settings) == intents
    return outcome.text


def test_complete(settings: Settings, database: Database, interrupted: Path) -> None:
    outcome = export(settings, database, PICO)[0]
    assert outcome.text == "1 row appended; an interrupted export was found to be complete"
    assert interrupted.read_bytes() == BEFORE + APPENDED + line(4)
    assert open_intents(settings) == []
    assert select(database_file(settings), "SELECT last_id FROM csv_files") == [(5,)]


def test_what_is_complete_is_synced_before_it_counts(
    settings: Settings, database: Database, interrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The killed process had not waited for the disk, and a power cut may follow."""
    open_when_synced: list[tuple[str, int]] = []

    def noting(name: str, real: Callable[..., None]) -> Callable[..., None]:
        def sync(*arguments: object) -> None:
            open_when_synced.append((name, len(open_intents(settings))))
            real(*arguments)

        return sync

    monkeypatch.setattr(CsvFile, "sync", noting("file", CsvFile.sync))
    monkeypatch.setattr(disk, "sync", noting("folder", disk.sync))
    execute(database_file(settings), "DELETE FROM readings WHERE id = 5")
    assert not export(settings, database, PICO)[0].failed
    assert open_when_synced == [("file", 1), ("folder", 1)]
    assert open_intents(settings) == []


def test_any_part_of_it_is_cut_off(
    settings: Settings, database: Database, interrupted: Path
) -> None:
    (row,) = select(database_file(settings), "SELECT * FROM csv_files")
    places = ", ".join("NULL" if value is None else repr(value) for value in row)
    for length in range(len(APPENDED)):
        execute(
            database_file(settings),
            "DELETE FROM csv_files",
            f"INSERT INTO csv_files VALUES ({places})",
        )
        interrupted.write_bytes(BEFORE + APPENDED[:length])
        outcome = export(settings, database, PICO)[0]
        note = f"; {length} bytes of an interrupted export cut off" if length else ""
        assert outcome.text == f"3 rows appended{note}"
        assert interrupted.read_bytes() == BEFORE + APPENDED + line(4)
        assert open_intents(settings) == []


def test_bytes_of_other_programs_are_not_cut_off(
    settings: Settings, database: Database, interrupted: Path
) -> None:
    for tail in (b"hello\r\n", APPENDED[:40] + b"hello\r\n", APPENDED[:-1] + b"X", b"\0" * 64):
        interrupted.write_bytes(BEFORE + tail)
        assert refused(settings, database) == (
            "an export was interrupted at byte 99, but what follows there is from another program:"
            f" {tail!r}; nothing was written. Mend it: flask10x import {interrupted};"
            " flask10x export --rebuild PicodataX.csv"
        )


def test_a_foreign_line_after_all_of_it(
    settings: Settings, database: Database, interrupted: Path
) -> None:
    content = BEFORE + APPENDED + b"hello\r\n"
    interrupted.write_bytes(content)
    outcome = export(settings, database, PICO)[0]
    assert outcome.text.startswith(
        "the file goes on behind the last exported row, at byte 163, with b'hello\\r\\n'"
    )
    assert interrupted.read_bytes() == content
    # What was found complete is so, whatever follows it.
    assert select(database_file(settings), "SELECT last_id FROM csv_files") == [(4,)]


def test_old_rows_changed_meanwhile(
    settings: Settings, database: Database, interrupted: Path
) -> None:
    interrupted.write_bytes(BEFORE.replace(b"990", b"999") + APPENDED[:10])
    assert refused(settings, database).startswith("rows that were already in the file have been")
    interrupted.write_bytes(BEFORE[:-3])
    assert refused(settings, database).startswith("rows that were already in the file have been")


def test_its_rows_are_gone(settings: Settings, database: Database, interrupted: Path) -> None:
    execute(database_file(settings), "DELETE FROM readings WHERE id = 4")
    interrupted.write_bytes(BEFORE + APPENDED[:10])
    assert refused(settings, database) == (
        "an export was interrupted at byte 99, and the database no longer has its rows as they"
        " were (an older database, another time zone); nothing was written."
        " Mend it: flask10x export --rebuild PicodataX.csv"
    )


def test_the_file_was_moved_away(settings: Settings, database: Database, interrupted: Path) -> None:
    moved = interrupted.rename(settings.data_dir / "2025.csv")
    assert refused(settings, database) == (
        "an export into the file was interrupted, and then the file was moved away; nothing was"
        " written. Mend it: put it back, run flask10x export, move it again; or, if it is lost,"
        " flask10x export --rebuild PicodataX.csv"
    )
    moved.rename(interrupted)
    assert export(settings, database, PICO)[0].rows == 1


def test_a_dry_run_only_looks(settings: Settings, database: Database, interrupted: Path) -> None:
    interrupted.write_bytes(BEFORE + APPENDED[:10])
    intents = open_intents(settings)
    outcome = dry_run(settings, database, PICO)[0]
    assert outcome.text == ("3 rows would be appended; 10 bytes of an interrupted export cut off")
    assert interrupted.read_bytes() == BEFORE + APPENDED[:10]
    assert open_intents(settings) == intents
