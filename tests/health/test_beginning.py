"""Since when the service has its database: not since the oldest reading of a file that it took."""

from collections.abc import Sequence

from flask10x.database.database import Database
from flask10x.health.database import FirstReading, beginning
from flask10x.readings.parse import Reading
from tests.support.rows import execute, insert_readings

NOW_MS = 1_756_000_000_000
DAY_MS = 86_400_000


def store(database: Database, times_ms: Sequence[int]) -> None:
    with database.commit() as connection:
        insert_readings(connection, [Reading("data", at, (1000.0, 20.0)) for at in times_ms])


def note_import(database: Database, first_id: int, last_id: int, imported_at: int) -> None:
    execute(
        database.path,
        "INSERT INTO imports (endpoint, file, first_id, last_id, imported_at)"
        f" VALUES ('data', '/old/PicodataX.csv', {first_id}, {last_id}, {imported_at})",
    )


def known(database: Database) -> tuple[FirstReading | None, int | None]:
    with database.reader.begin() as connection:
        began = beginning(connection)
        return began.first, began.at


def test_an_empty_database_has_not_begun(database: Database) -> None:
    assert known(database) == (None, None)


def test_without_an_import_it_begins_with_the_first_reading(database: Database) -> None:
    store(database, [NOW_MS - 2 * DAY_MS, NOW_MS])
    assert known(database) == (FirstReading(1, NOW_MS - 2 * DAY_MS), NOW_MS - 2 * DAY_MS)


def test_an_import_begins_when_it_is_made(database: Database) -> None:
    store(database, [NOW_MS - 397 * DAY_MS, NOW_MS - 396 * DAY_MS])
    note_import(database, 1, 2, NOW_MS)
    assert known(database) == (None, NOW_MS)


def test_what_was_sent_between_two_imports_is_met(database: Database) -> None:
    times = [NOW_MS - 397 * DAY_MS, NOW_MS - 396 * DAY_MS, NOW_MS + 60_000, NOW_MS - 395 * DAY_MS]
    store(database, [*times, NOW_MS + 120_000])
    note_import(database, 4, 4, NOW_MS + 90_000)
    note_import(database, 1, 2, NOW_MS)
    assert known(database) == (FirstReading(3, NOW_MS + 60_000), NOW_MS)


def test_a_late_reading_counts_when_it_came(database: Database) -> None:
    store(database, [NOW_MS - 5 * DAY_MS])
    execute(database.path, f"UPDATE readings SET arrived_at = {NOW_MS}")
    assert known(database) == (FirstReading(1, NOW_MS), NOW_MS)
