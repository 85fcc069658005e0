"""-0.0, which the database does not have: 0.0 at each step, and a step that meets one says so."""

import sqlite3
from contextlib import closing

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.outcome import FileOutcome
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing.importer import import_file
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.writer import Writer
from tests.support.csv_folder import HEADER, csv_file, database_file, line, put
from tests.support.rows import execute, select

PICO = [BUILT_IN.by_endpoint["data"]]
ONE = "1 value is -0.0, for which the database has 0.0"
TWO = "2 values are -0.0, for which the database has 0.0"
AT = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo


def zero(number: int) -> bytes:
    """The line of `csv_folder.line`, but of a reading of 0 °C."""
    return line(number).replace(b"25.0", b"0.0")


def minus(number: int) -> bytes:
    """The same as the old server wrote it when a sensor sent -0.0."""
    return line(number).replace(b"25.0", b"-0.0")


def store(settings: Settings, *numbers: int) -> None:
    execute(
        database_file(settings),
        "INSERT INTO readings (endpoint, received_at, pressure, temperature) VALUES "
        + ", ".join(f"('data', {AT + 1000 * n + 123}, {990 + n}.5, -0.0)" for n in numbers),
    )


def one(outcomes: list[FileOutcome]) -> str:
    return outcomes[0].text


def test_sqlite_has_one_zero() -> None:
    """If this fails one day, -0.0 can be kept."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE zeros (x REAL) STRICT")
        connection.execute("INSERT INTO zeros VALUES (?)", (-0.0,))
        assert repr(connection.execute("SELECT x FROM zeros").fetchone()[0]) == "0.0"


@pytest.mark.parametrize("sent", ["-0.0", "-0", '"-0.0C"', '"-0,0"', "-1e-400", '"−0 °C"'])
def test_a_reading_of_minus_zero_is_zero_from_the_start(
    settings: Settings,
    database: Database,
    client: FlaskClient,
    writer: Writer,
    sent: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "flask10x.web.ingest")
    body = f'{{"pressure": 990.5, "temperature": {sent}}}'
    answer = client.post("/data", data=body, content_type="application/json")
    assert answer.status_code == 200
    assert "temperature=0.0" in caplog.text
    writer.step()
    assert '"temperature":0.0' in client.get("/history/json").text.replace(" ", "")
    export(settings, database, PICO)
    assert csv_file(settings).read_bytes().endswith(b",990.5,0.0\r\n")
    assert "DIFFERENT" not in one(verify(settings, database, PICO))


@pytest.mark.parametrize("sent", ["-0.04", '"-0.04C"', "-5e-324"])
def test_what_is_only_near_zero_keeps_its_sign(
    settings: Settings, database: Database, client: FlaskClient, writer: Writer, sent: str
) -> None:
    body = f'{{"pressure": 990.5, "temperature": {sent}}}'
    client.post("/data", data=body, content_type="application/json")
    writer.step()
    export(settings, database, PICO)
    value = float(sent.strip('"C'))
    assert csv_file(settings).read_bytes().endswith(f",990.5,{value}\r\n".encode())


def test_an_old_file_is_imported_gone_on_with_verified_and_rebuilt(
    settings: Settings, database: Database
) -> None:
    old = HEADER + minus(0) + line(1) + minus(2)
    file = put(settings, old)
    outcome = import_file(settings, database, file)
    assert str(outcome) == f"PicodataX.csv: 3 rows read, 3 stored, 0 present, 0 rejected; {TWO}"
    # Again: the rows are there.
    again = import_file(settings, database, file)
    assert str(again) == f"PicodataX.csv: 3 rows read, 0 stored, 3 present, 0 rejected; {TWO}"
    store(settings, 3)
    assert one(export(settings, database, PICO)) == "1 row appended"
    assert file.read_bytes() == old + zero(3)
    assert one(verify(settings, database, PICO)) == (
        f"4 rows, 2025-08-24 10:46:40 to 2025-08-24 10:46:43, equal; {TWO}"
    )
    assert one(rebuild(settings, database, PICO)) == (
        f"4 rows written; the old file is kept as {file}.old; {TWO}"
    )
    assert file.read_bytes() == HEADER + zero(0) + line(1) + zero(2) + zero(3)
    assert one(verify(settings, database, PICO)) == (
        "4 rows, 2025-08-24 10:46:40 to 2025-08-24 10:46:43, equal"
    )
    # The old file put back in its place has other bytes than the last export left.
    file.write_bytes(old + zero(3))
    assert one(export(settings, database, PICO)).startswith("rows that were already in the file")
    assert one(rebuild(settings, database, PICO)).endswith(f".old-2; {TWO}")


@pytest.mark.parametrize("written", ["-0.0", "-0", "-.0", "-0.00", "-0e0", "-1e-400", '"-0.0"'])
def test_each_notation_is_imported_as_zero(
    settings: Settings, database: Database, written: str
) -> None:
    file = put(settings, HEADER + minus(0).replace(b"-0.0", written.encode()) + line(1))
    assert str(import_file(settings, database, file)).endswith(f"; {ONE}")
    (_, first), (_, second) = select(
        database_file(settings), "SELECT id, temperature FROM readings"
    )
    assert (repr(first), repr(second)) == ("0.0", "25.0")


def test_a_zero_of_ours_that_got_the_sign_minus(settings: Settings, database: Database) -> None:
    """It is a change like any other, which a rebuild mends."""
    store(settings, 0, 1, 2)
    export(settings, database, PICO)
    put(settings, HEADER + zero(0) + minus(1) + zero(2))
    assert verify(settings, database, PICO)[0].failed
    assert export(settings, database, PICO)[0].failed
    assert one(rebuild(settings, database, PICO)).endswith(f"; {ONE}")
    assert csv_file(settings).read_bytes() == HEADER + zero(0) + zero(1) + zero(2)


def test_a_row_of_the_old_server_is_not_appended_once_more(
    settings: Settings, database: Database
) -> None:
    """An older database was put back, and the old server has written into the file meanwhile."""
    store(settings, 0)
    export(settings, database, PICO)
    put(settings, HEADER + zero(0) + minus(1) + line(2))
    assert one(export(settings, database, PICO)).startswith(
        "the file goes on behind the last exported row, at byte "
    )
    store(settings, 1)
    assert one(export(settings, database, PICO)).startswith("an older database was restored: ")
    import_file(settings, database, csv_file(settings))
    assert one(rebuild(settings, database, PICO)).endswith(f"; {ONE}")
    assert csv_file(settings).read_bytes() == HEADER + zero(0) + zero(1) + line(2)


def test_two_rows_that_differ_in_the_sign_only_are_two(
    settings: Settings, database: Database
) -> None:
    store(settings, 0)
    put(settings, HEADER + zero(0) + minus(0))
    outcome = rebuild(settings, database, PICO)[0]
    assert outcome.failed
    assert "rows of the file are not in the database: 1, the first is line 3" in outcome.text
    import_file(settings, database, csv_file(settings))
    assert rebuild(settings, database, PICO)[0].rows == 2
