"""How many statements an export takes: it reads the state of all files once."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.readings.parse import Reading
from flask10x.recording.writer import Writer
from tests.support import databases

AT = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo
ROWS = (
    Reading("data", AT, (1013.25, 25.1)),
    Reading("data2", AT, (650.0, 25.0, 52.0, 1013.0, 1.0)),
    Reading("data3", AT, (-0.5, 100.0, 0.0, 1e-05)),
    Reading("data4", AT, (650.0, None, 2.5, None, None, 40.0)),
)

# On PostgreSQL each commit also takes the turn, and asks whose the files are.
MOST_NEW, MOST = (40, 24) if databases.ON_POSTGRES else (30, 20)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """All that is sent to the database, the beginnings of transactions too."""
    sent: list[str] = []

    def begin(_connection: object) -> None:
        sent.append("BEGIN")

    def execute(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    event.listen(Engine, "begin", begin)
    event.listen(Engine, "before_cursor_execute", execute)
    yield sent
    event.remove(Engine, "begin", begin)
    event.remove(Engine, "before_cursor_execute", execute)


def test_a_night_with_one_new_row_and_one_without(
    settings: Settings, database: Database, writer: Writer, statements: list[str]
) -> None:
    for reading in ROWS:
        writer.submit(reading)
    writer.step()
    assert [outcome.rows for outcome in export(settings, database)] == [1, 1, 1, 1]
    writer.submit(ROWS[0])
    writer.step()
    statements.clear()
    assert export(settings, database)[0].rows == 1
    assert len(statements) <= MOST_NEW
    assert sum("UPDATE csv_files" in each for each in statements) == 2
    statements.clear()
    export(settings, database)
    assert len(statements) <= MOST
