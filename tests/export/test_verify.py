"""The proof: what differs is found and shown with its line number; what may differ is counted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.outcome import FileOutcome
from flask10x.export.verify import verify
from flask10x.readings.stations import BUILT_IN
from tests.support.csv_folder import (
    HEADER,
    csv_file,
    database_file,
    imported,
    line,
    lines,
    put,
    store,
)
from tests.support.rows import execute, file_row, select

PICO = [BUILT_IN.by_endpoint["data"]]
OLD = HEADER + lines(0, 1)
Verify = Callable[[], FileOutcome]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask10x.export.rows.PAGE_ROWS", 2)


@pytest.fixture
def verified(settings: Settings, database: Database) -> Verify:
    """Verifies the file of `/data`, and that nothing is changed by it."""

    def run() -> FileOutcome:
        rows = select(database_file(settings), "SELECT * FROM csv_files")
        path = csv_file(settings)
        before = path.read_bytes() if path.exists() else None
        outcome = verify(settings, database, PICO)[0]
        assert (path.read_bytes() if path.exists() else None) == before
        assert select(database_file(settings), "SELECT * FROM csv_files") == rows
        return outcome

    return run


@pytest.fixture
def exported(settings: Settings, database: Database) -> Path:
    """Two rows of the old server, five of ours, one that is not exported yet."""
    put(settings, OLD)
    store(settings, 2, 3, 4, 5, 6)
    assert export(settings, database, PICO)[0].rows == 5
    store(settings, 7)
    return csv_file(settings)


def test_equal(verified: Verify, exported: Path) -> None:
    outcome = verified()
    assert not outcome.failed
    assert str(outcome) == (
        f"{exported}: 7 rows, 2025-08-24 10:46:40 to 2025-08-24 10:46:46, equal;"
        " 2 rows from before Flask10X are not in the database; 1 row not exported yet"
    )


def test_a_row_that_differs(verified: Verify, exported: Path) -> None:
    exported.write_bytes(OLD + lines(2, 3, 4, 5) + line(6).replace(b"25.0", b"25.1"))
    outcome = verified()
    assert outcome.failed
    assert outcome.text == (
        "6 rows, 2025-08-24 10:46:40 to 2025-08-24 10:46:45; DIFFERENT: line 8: the file has"
        " b'2025-08-24 10:46:46,996.5,25.1\\r\\n', the database"
        " b'2025-08-24 10:46:46,996.5,25.0\\r\\n'"
    )


@pytest.mark.parametrize(
    ("content", "difference"),
    [
        (
            OLD + lines(2, 3) + b"2025-08-24 10:46:44,9",
            "line 6: the file has b'2025-08-24 10:46:44,9', the database b'2025-08-24 10:46:44,",
        ),
        (OLD + lines(2, 3), "line 6: the file has nothing, the database b'2025-08-24 10:46:44,"),
        (OLD + lines(2, 4, 3, 5, 6), "line 5: the file has b'2025-08-24 10:46:44,"),
        (OLD + lines(2, 3, 4, 5, 6, 6), "line 9: the file has b'2025-08-24 10:46:46,"),
        (OLD + lines(2, 3, 4, 5, 6) + b"\r\n", "line 9: the file has b'\\r\\n', not from an"),
        (OLD.replace(b"990", b"999") + lines(2, 3, 4, 5, 6), "rows from before Flask10X have cha"),
        (lines(9) + OLD + lines(2, 3, 4, 5, 6), "line 1: b'2025-08-24 10:46:49,999.5,25.0\\r\\n'"),
        (b"", "the file of the last export is gone"),
    ],
)
def test_what_differs(verified: Verify, exported: Path, content: bytes, difference: str) -> None:
    exported.write_bytes(content)
    outcome = verified()
    assert outcome.failed
    assert f"DIFFERENT: {difference}" in outcome.text


def test_a_row_too_few_in_the_database(
    settings: Settings, verified: Verify, exported: Path
) -> None:
    execute(database_file(settings), "DELETE FROM readings WHERE id IN (5, 6)")
    assert (
        "line 8: the file has b'2025-08-24 10:46:46,996.5,25.0\\r\\n', the database nothing"
        in verified().text
    )


def test_a_file_that_is_gone(verified: Verify, exported: Path) -> None:
    exported.unlink()
    outcome = verified()
    assert outcome.failed
    assert outcome.text == (
        "0 rows; DIFFERENT: the file of the last export is gone; the next export starts a new one"
    )


def test_before_the_first_export(settings: Settings, verified: Verify) -> None:
    assert verified().text == "0 rows, equal"
    store(settings, 2)
    put(settings, OLD)
    assert verified().text == (
        "2 rows, 2025-08-24 10:46:40 to 2025-08-24 10:46:41, equal; 2 rows from before Flask10X"
        " are not in the database; 1 row not exported yet"
    )
    put(settings, OLD[:-4])
    assert verified().text.endswith("DIFFERENT: line 3 is torn: b'2025-08-24 10:46:41,991.5,25'")


def test_an_interrupted_export(
    settings: Settings, database: Database, verified: Verify, exported: Path
) -> None:
    execute(
        database_file(settings),
        "UPDATE csv_files SET intent_from_id = 5, intent_to_id = 6, intent_start_offset = 259,"
        " intent_length = 32, intent_sha256 = '00' WHERE name = 'PicodataX.csv'",
    )
    outcome = verified()
    assert outcome.failed
    assert outcome.text.startswith("7 rows, ")
    assert outcome.text.endswith("DIFFERENT: an export was interrupted; run: flask10x export")


def test_an_interrupted_first_export(settings: Settings, verified: Verify) -> None:
    put(settings, HEADER + lines(2, 3))
    execute(
        database_file(settings),
        file_row(
            begin_bytes=35,
            intent_from_id=0,
            intent_to_id=2,
            intent_start_offset=0,
            intent_length=131,
            intent_sha256="00",
        ),
    )
    assert verified().text == ("0 rows; DIFFERENT: an export was interrupted; run: flask10x export")


def test_imported_rows_are_compared_too(
    settings: Settings, verified: Verify, exported: Path
) -> None:
    """The old server's rows, one in another notation, and one that could not be read."""
    odd = b"2025-08-24T10:46:42.123456,992.50,25\r\n"
    execute(database_file(settings), "DELETE FROM readings", "DELETE FROM csv_files")
    put(settings, HEADER + line(0) + odd + b"garbage\r\n" + lines(1, 1))
    store(settings, 0, 2, 1, 1, 8)
    imported(settings, 7, 10)
    assert verified().text == (
        "5 rows, 2025-08-24 10:46:40 to 2025-08-24 10:46:41, equal;"
        " 1 row from before Flask10X is not in the database; 1 row not exported yet"
    )
    put(settings, HEADER + line(0) + lines(1))
    assert verified().text == (
        "2 rows, 2025-08-24 10:46:40 to 2025-08-24 10:46:41, equal;"
        " 2 imported rows are not in the file (--rebuild writes them); 1 row not exported yet"
    )
