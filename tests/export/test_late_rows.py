"""Late readings, whose times go back: their rows are in the order of storing, at the file's end."""

from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing.importer import import_file
from flask10x.readings.stations import BUILT_IN
from tests.conftest import MakeSettings
from tests.support.csv_folder import FIRST_MS, HEADER, csv_file, line, lines, store
from tests.support.rows import execute, select

PICO = [BUILT_IN.by_endpoint["data"]]
LATE = (
    b"2020-01-01 09:00:01,990.5,25.0\r\n"
    # Two of one second, equal too: both are readings of their own.
    b"2025-08-24 10:46:39,991.5,25.0\r\n"
    b"2025-08-24 10:46:39,991.5,25.0\r\n"
)
LATE_MS = ((1_577_836_801_999, 990.5), (FIRST_MS - 1000, 991.5), (FIRST_MS - 400, 991.5))


def store_late(database: Database) -> None:
    """Three late readings, by their own times; they came in behind all others."""
    values = (f"('data', {ms}, {FIRST_MS + 60_000}, {value}, 25.0)" for ms, value in LATE_MS)
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, arrived_at, pressure, temperature) VALUES "
        + ", ".join(values),
    )


@pytest.fixture
def late(settings: Settings, database: Database) -> Path:
    """A file whose last rows are late ones."""
    store(settings, 0, 1)
    assert export(settings, database, PICO)[0].rows == 2
    store_late(database)
    assert export(settings, database, PICO)[0].rows == 3
    assert csv_file(settings).read_bytes() == HEADER + lines(0, 1) + LATE
    return csv_file(settings)


def test_the_export_goes_on_behind_them(settings: Settings, database: Database, late: Path) -> None:
    store(settings, 2)
    assert export(settings, database, PICO)[0].text == "1 row appended"
    expected = HEADER + lines(0, 1) + LATE + line(2)
    assert late.read_bytes() == expected
    outcome = verify(settings, database, PICO)[0]
    assert outcome.text == "6 rows, 2025-08-24 10:46:40 to 2025-08-24 10:46:42, equal"
    assert rebuild(settings, database, PICO)[0].text == "6 rows as before"
    late.write_bytes(expected.replace(b"991.5,25.0\r\n", b"991.5,25.00\r\n"))
    assert verify(settings, database, PICO)[0].failed
    rebuild(settings, database, PICO)
    assert late.read_bytes() == expected


def test_the_last_time_in_the_file_is_that_of_the_last_row(
    settings: Settings, make_settings: MakeSettings, database: Database, late: Path
) -> None:
    """A command in another zone is recognised by it."""
    last_rows = select(database.path, "SELECT last_received_at, last_time FROM csv_files")
    assert last_rows == [(FIRST_MS - 400, "2025-08-24 10:46:39")]
    assert export(make_settings(TIMEZONE="UTC"), database, PICO)[0].failed
    outcome = export(make_settings(TIMEZONE="Japan"), database, PICO)[0]
    assert outcome.text == "0 rows appended; its time zone is Japan now, it was Asia/Tokyo"


def test_an_interrupted_export_of_late_rows(
    settings: Settings, database: Database, late: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    store_late(database)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("flask10x.export.file.CsvFile.sync", die)
        export(settings, database, PICO)
    before = HEADER + lines(0, 1) + LATE
    late.write_bytes(before + LATE[:50])
    assert export(settings, database, PICO)[0].rows == 3
    assert late.read_bytes() == before + LATE


def test_the_file_is_imported(settings: Settings, database: Database, late: Path) -> None:
    """Here nothing is new; an empty database gets each row, in the order of the file."""
    done = import_file(settings, database, late)
    assert (done.stored, done.present) == (0, 5)
    execute(database.path, "DELETE FROM readings", "DELETE FROM csv_files")
    done = import_file(settings, database, late)
    assert (done.stored, done.present) == (5, 0)
    assert export(settings, database, PICO)[0].rows == 0
    assert rebuild(settings, database, PICO)[0].text == "5 rows as before"
