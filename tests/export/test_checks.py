"""Files that are not what the last export left: nothing is touched, each has its own message."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.file import CsvFile
from flask10x.readings.stations import BUILT_IN
from tests.support import databases
from tests.support.csv_folder import HEADER, csv_file, database_file, line, lines, put, store
from tests.support.new_database import lay_new_database
from tests.support.rows import INTENT, select

PICO = [BUILT_IN.by_endpoint["data"]]
OLD = HEADER + b"2025-07-05 22:22:56,990.0,20.0\r\n"
REBUILD = "flask10x export --rebuild PicodataX.csv"


@pytest.fixture
def exported(settings: Settings, database: Database) -> Path:
    """A file with three rows, and a fourth that is stored but not exported."""
    store(settings, 0, 1, 2)
    assert not export(settings, database, PICO)[0].failed
    store(settings, 3)
    return csv_file(settings)


def refused(settings: Settings, database: Database) -> str:
    """The message of an export that touches nothing, neither file nor database."""
    path = csv_file(settings)
    before, positions = (
        path.read_bytes(),
        select(database_file(settings), "SELECT * FROM csv_files"),
    )
    outcome = export(settings, database, PICO)[0]
    assert outcome.failed
    assert outcome.rows == 0
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["PicodataX.csv"]
    assert select(database_file(settings), "SELECT * FROM csv_files") == positions
    assert select(database_file(settings), INTENT) == []
    return outcome.text


CHANGED = "rows that were already in the file have been changed, or are missing at its end"
FOREIGN = (
    "which is no row of the database: an older database was put back, or another program writes"
    " into the file"
)


def then_it_goes_on(settings: Settings, database: Database, content: bytes) -> None:
    """With the right file back, the next export appends what was missing."""
    put(settings, content)
    assert export(settings, database, PICO)[0].rows == 1
    assert csv_file(settings).read_bytes() == content + line(3)


def test_shorter(settings: Settings, database: Database, exported: Path) -> None:
    exported.write_bytes(HEADER + lines(0, 1) + line(2)[:-5])
    assert refused(settings, database) == (f"{CHANGED}; nothing was written. Mend it: {REBUILD}")
    then_it_goes_on(settings, database, HEADER + lines(0, 1, 2))


def test_emptied(settings: Settings, database: Database, exported: Path) -> None:
    exported.write_bytes(b"")
    assert refused(settings, database).startswith(CHANGED)


def test_another_header(settings: Settings, database: Database, exported: Path) -> None:
    exported.write_bytes(HEADER.replace(b"Tempereture", b"Temperature") + lines(0, 1, 2))
    assert refused(settings, database) == (
        "the first line is b'current_time,Pressure,Temperature\\r\\n', not"
        " b'current_time,Pressure,Tempereture\\r\\n'; nothing was written."
        f" Mend it: {REBUILD}"
    )
    then_it_goes_on(settings, database, HEADER + lines(0, 1, 2))


def test_an_old_row_changed_in_place(
    settings: Settings, database: Database, exported: Path
) -> None:
    exported.write_bytes(HEADER + line(0).replace(b"990", b"999") + lines(1, 2))
    assert refused(settings, database) == (f"{CHANGED}; nothing was written. Mend it: {REBUILD}")
    then_it_goes_on(settings, database, HEADER + lines(0, 1, 2))


def test_another_file_under_the_name(
    settings: Settings, database: Database, exported: Path
) -> None:
    away = exported.rename(settings.data_dir / "away.csv")
    exported.write_bytes(HEADER + lines(2, 1, 0) + line(3))
    assert refused(settings, database) == (f"{CHANGED}; nothing was written. Mend it: {REBUILD}")
    then_it_goes_on(settings, database, away.read_bytes())


def test_a_copy_with_the_same_bytes_is_gone_on_with(
    settings: Settings, database: Database, exported: Path
) -> None:
    shutil.copy(exported, settings.data_dir / "copy.csv")
    (settings.data_dir / "copy.csv").replace(exported)
    then_it_goes_on(settings, database, HEADER + lines(0, 1, 2))


def test_an_untouched_file_is_not_read(
    settings: Settings, database: Database, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask10x.export.file.CsvFile.read", None)
    assert export(settings, database, PICO)[0].rows == 1


@pytest.mark.parametrize(
    "tail",
    [b"hello\r\n", b"\r\n", b"\0" * 40, b"2025-08-24 10:46:43,993.5", b"2025-08-24,1.0,2.0\r\n"],
)
def test_somebody_elses_line(
    settings: Settings, database: Database, exported: Path, tail: bytes
) -> None:
    exported.write_bytes(HEADER + lines(0, 1, 2) + tail)
    assert refused(settings, database) == (
        f"the file goes on behind the last exported row, at byte 131, with {tail!r}, {FOREIGN};"
        f" nothing was written. Mend it: flask10x import {exported}; {REBUILD}"
    )
    then_it_goes_on(settings, database, HEADER + lines(0, 1, 2))


def test_somebody_elses_line_while_the_old_bytes_are_read(
    settings: Settings, database: Database, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a long file takes seconds, in which another program may append to it."""
    exported.write_bytes(exported.read_bytes())
    read, appended = CsvFile.checksum, list[bytes]()

    def checksum(file: CsvFile, end: int) -> int:
        value = read(file, end)
        if not appended:
            appended.append(b"2025-08-24 10:46:43,1,\r\n")
            exported.write_bytes(exported.read_bytes() + appended[0])
        return value

    monkeypatch.setattr(CsvFile, "checksum", checksum)
    outcome = export(settings, database, PICO)[0]
    assert "nothing was written" in outcome.text
    assert exported.read_bytes() == HEADER + lines(0, 1, 2) + appended[0]


def test_rows_that_the_database_does_not_have(
    settings: Settings, database: Database, exported: Path
) -> None:
    exported.write_bytes(HEADER + lines(0, 1, 2) + lines(7, 8))
    assert refused(settings, database) == (
        f"the file goes on behind the last exported row, at byte 131, with {line(7)!r}, {FOREIGN};"
        f" nothing was written. Mend it: flask10x import {exported}; {REBUILD}"
    )
    then_it_goes_on(settings, database, HEADER + lines(0, 1, 2))


@contextmanager
def put_back_afterwards(settings: Settings) -> Iterator[None]:
    """What the block does to the database, which no process has open, is undone."""
    if not databases.ON_POSTGRES:
        backup = settings.data_dir / "backup"
        shutil.copy(database_file(settings), backup)
        yield
        shutil.copy(backup, database_file(settings))
        return
    databases.save(settings.data_dir)
    yield
    databases.put_back(settings.data_dir)


def test_an_older_database(settings: Settings) -> None:
    """A backup from between storing and exporting: its next rows are in the file already."""
    lay_new_database(database_file(settings))
    with closing(Database(settings)) as database:
        store(settings, 0, 1)
        export(settings, database, PICO)
        store(settings, 2)
    with put_back_afterwards(settings), closing(Database(settings)) as database:
        store(settings, 3)
        export(settings, database, PICO)
    assert csv_file(settings).read_bytes() == HEADER + lines(0, 1, 2, 3)
    with closing(Database(settings)) as database:
        assert refused(settings, database) == (
            "an older database was restored: the next row to append,"
            " b'2025-08-24 10:46:42,992.5,25.0\\r\\n', is already in the file; nothing was written."
            f" Mend it: flask10x import {csv_file(settings)}; {REBUILD}"
        )


def test_a_database_from_before_the_first_export(settings: Settings, database: Database) -> None:
    store(settings, 0, 1)
    put(settings, OLD + lines(0, 1, 2))
    assert refused(settings, database).startswith(
        "an older database was restored: the next row to append,"
        " b'2025-08-24 10:46:40,990.5,25.0\\r\\n', is already in the file"
    )


def test_an_old_file_with_a_torn_line(settings: Settings, database: Database) -> None:
    store(settings, 0)
    path = put(settings, OLD + b"2025-07-05 22:2")
    assert refused(settings, database) == (
        "the last line is torn: b'2025-07-05 22:2'; nothing was written."
        f" Mend it: truncate --size=67 {path}"
    )
    os.truncate(path, 67)
    assert export(settings, database, PICO)[0].rows == 1
    assert path.read_bytes() == OLD + line(0)


def test_an_old_file_with_another_header(settings: Settings, database: Database) -> None:
    store(settings, 0)
    path = put(settings, b"time;value\n")
    assert refused(settings, database) == (
        "the first line is b'time;value\\n', not b'current_time,Pressure,Tempereture\\r\\n';"
        f" nothing was written. Mend it: mv --backup=numbered {path} {path}.old"
    )


def test_an_old_file_whose_header_can_be_imported(settings: Settings, database: Database) -> None:
    """After a restore it may be one of later columns, and only the file has its rows."""
    store(settings, 0)
    path = put(settings, b"current_time,Tempereture,Pressure\r\n2025-08-24 10:47:40,25.0,1.5\r\n")
    assert refused(settings, database) == (
        "the first line is b'current_time,Tempereture,Pressure\\r\\n', not"
        " b'current_time,Pressure,Tempereture\\r\\n'; nothing was written. Mend it: flask10x import"
        f" {path}; mv --backup=numbered {path} {path}.old"
    )


def test_no_file(settings: Settings, database: Database) -> None:
    """A pipe would wait for ever for its other end."""
    store(settings, 0)
    settings.csv_dir.mkdir()
    os.mkfifo(csv_file(settings))
    outcome = export(settings, database, PICO)[0]
    assert outcome.failed
    assert outcome.text == "is no regular file"


def test_another_heading_of_the_station(
    settings: Settings, database: Database, exported: Path
) -> None:
    """The file is untouched, but rows of other columns would not fit it."""
    *others, last = PICO[0].measurements
    renamed = replace(PICO[0], measurements=(*others, replace(last, csv_header="Humidity")))
    before = exported.read_bytes()
    outcome = export(settings, database, [renamed])[0]
    assert "started a new file, as the station's columns have changed" in outcome.text
    (archived,) = settings.csv_dir.glob("PicodataX-until-*.csv")
    assert archived.read_bytes() == before
    assert exported.read_bytes().startswith(b"current_time,Pressure,Humidity\r\n")
