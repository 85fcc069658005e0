"""Imported rows of a file that has the name of the station's, and is another one."""

from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing.importer import ImportOptions, import_file
from flask10x.maintenance import replica
from flask10x.readings.stations import BUILT_IN
from tests.support.csv_folder import HEADER, NAME, csv_file, lines, put, store

PICO = [BUILT_IN.by_endpoint["data"]]
NOT_IN_FILE = "{n} not in the file (--rebuild writes them)"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Three rows of years ago, in a folder that is not the export's."""
    (tmp_path / "old").mkdir()
    path = tmp_path / "old" / NAME
    path.write_bytes(HEADER + lines(0, 1, 2))
    return path


def lacks(settings: Settings, rows: str) -> str:
    """What an import says of rows that the export's file does not have."""
    rebuilding = "flask10x export --rebuild PicodataX.csv writes each at its place"
    return f"{csv_file(settings)} lacks {rows} of it: {rebuilding}"


def lose_and_restore(settings: Settings, database: Database) -> str:
    """The card dies and takes the file; the same bytes come back out of the database."""
    lost = csv_file(settings).read_bytes()
    csv_file(settings).unlink()
    outcome = replica.restore_files(settings, database).outcomes[0]
    assert csv_file(settings).read_bytes() == lost, outcome.text
    assert outcome.text.endswith(
        f"its first {len(lost)} bytes are those of the lost file, by its checksum"
    )
    assert not verify(settings, database, PICO)[0].failed
    return verify(settings, database, PICO)[0].text


def test_rows_of_before_the_first_export(
    settings: Settings, database: Database, elsewhere: Path
) -> None:
    assert import_file(settings, database, elsewhere).place == lacks(settings, "3 rows")
    store(settings, 10)
    note = NOT_IN_FILE.format(n="3 imported rows are")
    assert export(settings, database, PICO)[0].text == f"1 row appended; {note}"
    store(settings, 11)
    # It is said until somebody has them written.
    assert export(settings, database, PICO)[0].text == f"1 row appended; {note}"
    assert csv_file(settings).read_bytes() == HEADER + lines(10, 11)
    assert note in lose_and_restore(settings, database)
    assert rebuild(settings, database, PICO)[0].rows == 5
    assert csv_file(settings).read_bytes() == HEADER + lines(0, 1, 2, 10, 11)
    assert export(settings, database, PICO)[0].text == "0 rows appended"
    assert note not in lose_and_restore(settings, database)


def test_rows_beside_those_of_the_old_server(
    settings: Settings, database: Database, elsewhere: Path
) -> None:
    """The file began with rows that were imported from a copy of it."""
    put(settings, HEADER + lines(5, 6))
    copy = elsewhere.with_name("copy") / NAME
    copy.parent.mkdir()
    copy.write_bytes(HEADER + lines(5, 6, 7))
    assert import_file(settings, database, elsewhere).place == lacks(settings, "3 rows")
    assert import_file(settings, database, copy).place == lacks(settings, "1 row")
    store(settings, 10)
    note = NOT_IN_FILE.format(n="4 imported rows are")
    assert export(settings, database, PICO)[0].text == f"1 row appended; {note}"
    assert csv_file(settings).read_bytes() == HEADER + lines(5, 6, 10)
    assert note in lose_and_restore(settings, database)
    store(settings, 11)
    assert export(settings, database, PICO)[0].text == f"1 row appended; {note}"
    assert note in lose_and_restore(settings, database)


def test_the_rows_of_the_file_itself(settings: Settings, database: Database) -> None:
    put(settings, HEADER + lines(5, 6))
    assert import_file(settings, database, csv_file(settings)).place == ""
    store(settings, 10)
    assert export(settings, database, PICO)[0].text == "1 row appended"
    lose_and_restore(settings, database)
    assert export(settings, database, PICO)[0].text == "0 rows appended"


def test_rows_of_a_file_with_another_name(
    settings: Settings, database: Database, elsewhere: Path
) -> None:
    other = elsewhere.rename(elsewhere.with_name("2024.csv"))
    outcome = import_file(settings, database, other, ImportOptions("data"))
    assert outcome.place == f"the next export appends 3 rows to {csv_file(settings)}"
    assert export(settings, database, PICO)[0].text == "3 rows appended"
    lose_and_restore(settings, database)
