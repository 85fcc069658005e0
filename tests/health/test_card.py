"""When the card is full: by what has come, and not before that is known."""

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.health import disk
from flask10x.health.disk import CardRoom, Room
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from tests.support.both_engines import POSTGRES
from tests.support.rows import execute, file_row, insert_readings

DAY_MS = 86_400_000
NOW_MS = 1_756_000_000_000


def fill(database: Database, rows: int, days: float) -> None:
    """So many readings, evenly over the last days."""
    step_ms = int(days * DAY_MS / rows)
    with database.commit() as connection:
        insert_readings(
            connection,
            [Reading("data", NOW_MS - n * step_ms, (1000.0, 20.0)) for n in range(rows, 0, -1)],
        )


def card_of(settings: Settings, database: Database) -> CardRoom:
    with database.reader.begin() as connection:
        view = View(connection, settings.stations, settings.zone, NOW_MS)
        return disk.card(settings, view)


def test_of_an_empty_database_no_rate_is_known(settings: Settings, database: Database) -> None:
    card = card_of(settings, database)
    assert (card.rows_a_day, card.bytes_a_day, card.full_in_days) == (None, None, None)
    assert 0 < card.room.free <= card.room.total


def test_the_hours_of_one_day_are_too_few(settings: Settings, database: Database) -> None:
    fill(database, 1200, 0.9)
    assert card_of(settings, database).rows_a_day is None


@pytest.mark.sqlite_only("how its file grows")
def test_days_of_readings_tell_when(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, 2000, 4)
    monkeypatch.setattr(disk, "room", lambda _: Room(10_000_000, 100_000_000))
    card = card_of(settings, database)
    assert card.rows_a_day == pytest.approx(500, rel=0.01)
    size = database.path.stat().st_size
    assert card.bytes_a_day == pytest.approx(size / 4, rel=0.01)
    assert card.full_in_days == pytest.approx(10_000_000 / (size / 4), rel=0.01)


def test_only_the_last_week_counts(settings: Settings, database: Database) -> None:
    fill(database, 3000, 30)
    assert card_of(settings, database).rows_a_day == pytest.approx(100, rel=0.02)


def test_imported_readings_are_no_growth(settings: Settings, database: Database) -> None:
    fill(database, 2000, 4)
    execute(
        database.path,
        "INSERT INTO imports (endpoint, file, first_id, last_id, imported_at)"
        " VALUES ('data', '/old/PicodataX.csv', 101, 1100, 1)",
    )
    assert card_of(settings, database).rows_a_day == pytest.approx(250, rel=0.01)


@pytest.mark.parametrize("sent", [0, 10])
def test_days_that_an_import_has_brought_along_tell_nothing(
    settings: Settings, database: Database, sent: int
) -> None:
    """A new installation: days of old readings are there, and hardly any was sent."""
    fill(database, 2000 + sent, 4)
    execute(
        database.path,
        "INSERT INTO imports (endpoint, file, first_id, last_id, imported_at)"
        f" VALUES ('data', '/old/PicodataX.csv', 1, 2000, {NOW_MS})",
    )
    card = card_of(settings, database)
    assert (card.rows_a_day, card.bytes_a_day) == (None, None)


def test_each_backup_beside_the_database_grows_with_it(
    settings: Settings, database: Database
) -> None:
    fill(database, 2000, 4)
    alone = card_of(settings, database).bytes_a_day
    assert alone is not None
    settings.backup_dir.mkdir()
    for day in (1, 2):
        backup = settings.backup_dir / f"flask10x-2025080{day}-030000.sqlite3"
        backup.write_bytes(b"x" * 200_000)
    # On PostgreSQL the database itself is not on this disk, and a backup has 100 bytes a reading.
    assert (alone == 0) == POSTGRES
    grows = 500 * 2 * 100 if POSTGRES else 3 * alone
    assert card_of(settings, database).bytes_a_day == pytest.approx(grows, rel=0.01)


def test_the_csv_files_beside_the_database_grow_with_it(
    settings: Settings, database: Database
) -> None:
    fill(database, 2000, 4)
    alone = card_of(settings, database).bytes_a_day
    assert alone is not None
    settings.csv_dir.mkdir(exist_ok=True)
    execute(
        database.path,
        file_row(last_id=2000, last_received_at=1, size_bytes=80000, changed_ns=1),
    )
    assert card_of(settings, database).bytes_a_day == pytest.approx(alone + 500 * 40, rel=0.01)


def test_a_house_that_sends_no_more_fills_nothing(settings: Settings, database: Database) -> None:
    fill(database, 2000, 4)
    with database.reader.begin() as connection:
        card = disk.card(
            settings, View(connection, settings.stations, settings.zone, NOW_MS + 30 * DAY_MS)
        )
    assert (card.rows_a_day, card.bytes_a_day, card.full_in_days) == (0, 0, None)
