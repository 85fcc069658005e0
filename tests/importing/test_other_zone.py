"""A copy of readings that are stored, read in another zone than it was written in."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import ImportRefused
from flask10x.export.append import export
from flask10x.importing.importer import preview_file
from tests.conftest import MakeSettings
from tests.support.csv_folder import (
    FIRST_MS,
    HEADER,
    NAME,
    STORE,
    csv_file,
    database_file,
    lines,
    store,
)
from tests.support.old_files import run, stored, write
from tests.support.rows import execute

TOKYO, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
REFUSED = (
    "the file was written in the time zone {zone}, this command runs in UTC: {there} there is"
    " {here} here; its rows are stored already, and would be stored a second time with other times."
    " Import it in the time zone {zone}"
)
OLD = b"2025-08-20 09:00:00,980.5,25.0\r\n2025-08-20 09:01:00,981.5,25.0\r\n"


@pytest.fixture
def utc(make_settings: MakeSettings) -> Settings:
    return make_settings(TIMEZONE="UTC")


def refusal(settings: Settings, database: Database, path: Path, endpoint: str = "data") -> str:
    """Why neither a preview nor an import takes the file; nothing of it is stored."""
    before = stored(database)
    with pytest.raises(ImportRefused) as caught:
        run(settings, database, path, endpoint=endpoint)
    reason = str(caught.value)
    with pytest.raises(ImportRefused) as caught:
        preview_file(settings, database, path)
    assert str(caught.value) == reason
    assert stored(database) == before
    return reason


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        (lines(*range(20)), "2025-08-24 {hour}:46:40"),
        (lines(7), "2025-08-24 {hour}:46:47"),
        # What the old server wrote before, and what came after the last stored reading.
        (OLD + lines(5, 6, 7, 19, 9), "2025-08-24 {hour}:46:45"),
    ],
)
def test_a_copy_of_an_exported_file_is_known_by_its_rows(
    settings: Settings, utc: Settings, database: Database, rows: bytes, first: str
) -> None:
    store(settings, *range(18), 19, 18)
    export(settings, database)
    path = settings.data_dir / "PicodataX-until-2025-08-24.csv"
    path.write_bytes(HEADER + rows)
    there, here = (first.format(hour=hour) for hour in ("10", "01"))
    assert refusal(utc, database, path) == REFUSED.format(zone="Asia/Tokyo", there=there, here=here)
    stored_now, present, _ = run(settings, database, path)
    assert (stored_now, present) == (2 * rows.count(OLD), rows.count(b"2025-08-24"))


def test_an_exported_file_over_both_clock_changes_of_a_year(
    make_settings: MakeSettings, utc: Settings, database: Database
) -> None:
    """Half of it is one hour away from UTC, half of it two."""
    berlin = make_settings(TIMEZONE="Europe/Berlin")
    start = int(datetime(2025, 1, 1, tzinfo=BERLIN).timestamp() * 1000)
    values = (f"('data', {start + 43_200_000 * n}, {900 + n % 90}.5, 25.0)" for n in range(800))
    execute(database_file(berlin), STORE + ", ".join(values))
    export(berlin, database)
    path = berlin.data_dir / "PicodataX.csv"
    path.write_bytes(csv_file(berlin).read_bytes())
    assert refusal(utc, database, path).startswith(
        "the file was written in the time zone Europe/Berlin, this command runs in UTC: 2025-01-01"
        " 00:00:00 there is 2024-12-31 23:00:00 here; its rows are stored already"
    )
    assert run(berlin, database, path) == (0, 800, 0)


def test_a_file_that_no_export_has_written_is_known_by_one_shift_of_all_its_rows(
    settings: Settings, utc: Settings, database: Database, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    path.write_bytes(HEADER + lines(*range(20)))
    run(settings, database, path)
    there, here = "2025-08-24 10:46:40", "2025-08-24 01:46:40"
    reason = refusal(utc, database, path)
    assert reason == REFUSED.format(zone="UTC+09:00", there=there, here=here)
    assert run(settings, database, path) == (0, 20, 0)
    # One row more that is not stored: no longer the same readings.
    path.write_bytes(HEADER + lines(*range(20)) + b"2025-08-24 10:48:00,5.0,25.0\r\n")
    assert run(utc, database, path) == (21, 0, 0)


def test_other_readings_of_the_same_times_are_imported(
    settings: Settings, utc: Settings, database: Database, tmp_path: Path
) -> None:
    """Here some of them are by chance what the file of the export has at that time."""
    store(settings, *range(20))
    export(settings, database)
    rows = [f"2025-08-24 10:46:{40 + n},{990 + n if n < 9 else 5}.5,25.0" for n in range(20)]
    assert run(utc, database, write(tmp_path / NAME, *rows)) == (20, 0, 0)


def test_readings_that_never_change_are_imported(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    """Each is like stored ones an hour, and some quarters of an hour, before."""
    values = (f"('data', {FIRST_MS + 60_000 * minute}, 990.5, 25.0)" for minute in range(60))
    execute(database_file(settings), STORE + ", ".join(values))
    export(settings, database)
    start = datetime.fromtimestamp(FIRST_MS / 1000, TOKYO) + timedelta(hours=1)
    rows = [f"{start + timedelta(minutes=n):%F %T},990.5,25.0" for n in range(60)]
    assert run(settings, database, write(tmp_path / NAME, *rows)) == (60, 0, 0)
