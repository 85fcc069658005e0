"""A copy of readings that are stored, read in another zone than it was written in."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import ImportRefused
from flask10x.export.append import export
from flask10x.importing import old_file, stored_rows
from flask10x.importing.importer import ImportOptions, import_file
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

DRY_RUN = ImportOptions(dry_run=True)
TOKYO, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
REFUSED = (
    "the file was written in the time zone {zone}, this command runs in UTC: {there} there is"
    " {here} here; its rows are stored already, and would be stored a second time with other times."
    " Import it in the time zone {zone}; if they are other readings, store them with flask10x"
    " import --zone-is-right"
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
        import_file(settings, database, path, DRY_RUN)
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


@pytest.mark.parametrize("count", [2, 3, 20])
def test_a_file_that_no_export_has_written_is_known_by_the_zone_of_all_its_rows(
    settings: Settings, utc: Settings, database: Database, tmp_path: Path, count: int
) -> None:
    path = tmp_path / NAME
    path.write_bytes(HEADER + lines(*range(count)))
    run(settings, database, path)
    there, here = "2025-08-24 10:46:40", "2025-08-24 01:46:40"
    # A name that `--zone` takes.
    reason = refusal(utc, database, path)
    assert reason == REFUSED.format(zone="Asia/Tokyo", there=there, here=here)
    assert run(settings, database, path) == (0, count, 0)
    # One row more that is not stored: no longer the same readings.
    path.write_bytes(HEADER + lines(*range(count)) + b"2025-08-24 10:48:00,5.0,25.0\r\n")
    assert run(utc, database, path) == (count + 1, 0, 0)


def test_such_a_copy_over_a_clock_change(
    make_settings: MakeSettings, utc: Settings, database: Database, tmp_path: Path
) -> None:
    """Its first rows are one hour ahead of UTC, the others two; Amsterdam has Berlin's clock."""
    berlin = make_settings(TIMEZONE="Europe/Berlin")
    times = ["01:57:00", "01:58:00", "01:59:00", "03:00:00", "03:01:00"]
    rows = [f"2025-03-30 {time},{990 + n}.5,25.0" for n, time in enumerate(times)]
    path = write(tmp_path / NAME, *rows)
    run(berlin, database, path)
    assert refusal(utc, database, path).startswith(
        "the file was written in the time zone Europe/Amsterdam, this command runs in UTC:"
        " 2025-03-30 01:57:00 there is 2025-03-30 00:57:00 here; its rows are stored already"
    )
    # Late in the file: the first rows are stored ones in Lagos, too.
    rows = [f"2025-03-29 {n:02d}:07:00,{990 + n}.5,25.0" for n in range(24)] + rows
    path = write(tmp_path / NAME, *rows)
    run(berlin, database, path)
    assert "in the time zone Europe/Amsterdam, " in refusal(utc, database, path)


def test_a_zone_is_given_up_at_the_first_row_that_is_not_stored_there(
    settings: Settings,
    utc: Settings,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file of years is not read to its end for each zone that its first rows fit."""
    monkeypatch.setattr(old_file, "BLOCK_BYTES", 400)
    path = tmp_path / NAME
    path.write_bytes(HEADER + lines(*range(20)))
    run(settings, database, path)
    others = (b"2025-08-25 10:%02d:00,5.0,25.0\r\n" % n for n in range(60))
    path.write_bytes(HEADER + lines(*range(20)) + b"".join(others))
    looked_at: list[int] = []

    def blocks(path: Path, start: int, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        for block in old_file.blocks(path, start, end):
            looked_at.append(block[0])
            yield block

    monkeypatch.setattr(stored_rows, "blocks", blocks)
    assert run(utc, database, path) == (80, 0, 0)
    # The first block shows the zone, the second one that it is another.
    assert len(looked_at) == 3


def test_such_a_copy_of_which_a_part_was_removed(
    settings: Settings, utc: Settings, database: Database, tmp_path: Path
) -> None:
    rows = [f"2025-08-{day} 10:46:00,9{day}.5,25.0" for day in range(20, 28)]
    path = write(tmp_path / NAME, *rows)
    run(settings, database, path)
    removed_ms = int(datetime(2025, 8, 22, 12, tzinfo=TOKYO).timestamp() * 1000)
    execute(
        database_file(settings),
        f"DELETE FROM readings WHERE received_at < {removed_ms}",
        "INSERT INTO removed (endpoint, last_id, last_ms, readings)"
        f" VALUES ('data', 2, {removed_ms}, 2)",
    )
    assert "in the time zone Asia/Tokyo, " in refusal(utc, database, path)


@pytest.mark.parametrize(
    "rows",
    [
        lines(7),
        lines(7) + b"2025-08-24 10:46:48,997.5,25.0\r\n",
        # Of two readings, one has values that were stored before.
        lines(7, 3),
        b"".join(b"2025-08-24 10:46:%d,%d.5,25.0\r\n" % (n, 990 + n % 2) for n in range(10, 40)),
    ],
)
def test_one_reading_or_equal_ones_are_imported(
    settings: Settings, utc: Settings, database: Database, tmp_path: Path, rows: bytes
) -> None:
    """They are stored ones in some zone by chance, and no export was in another one."""
    path = tmp_path / NAME
    path.write_bytes(HEADER + b"2025-08-24 09:20:13,993.5,25.0\r\n" + rows)
    run(settings, database, path)
    path.write_bytes(HEADER + rows)
    assert run(utc, database, path) == (rows.count(b"\n"), 0, 0)


def test_who_knows_better_stores_the_rows(
    settings: Settings, utc: Settings, database: Database
) -> None:
    store(settings, *range(20))
    export(settings, database)
    path = settings.data_dir / "PicodataX-until-2025-08-24.csv"
    path.write_bytes(HEADER + lines(*range(20)))
    assert "--zone-is-right" in refusal(utc, database, path)
    right = ImportOptions(zone_is_right=True, dry_run=True)
    assert import_file(utc, database, path, right).stored == 20
    assert run(utc, database, path, zone_is_right=True) == (20, 0, 0)


def test_few_other_readings_of_a_quiet_room_are_imported(
    settings: Settings, database: Database
) -> None:
    """A gap of the table is filled: of a thermometer that sends each minute at the same second.

    By chance such rows are stored ones in another zone: of 60 files of one to four rows each
    8 to 13 % where a single reading would do, 3 % of three where two would, none with three.
    """
    chance = random.Random(7)
    celsius = [20.0]
    for _ in range(3 * 1440):
        celsius.append(celsius[-1] + chance.gauss(0, 0.05))
    readings = [(FIRST_MS + 60_000 * n, round(value, 1)) for n, value in enumerate(celsius)]
    # None of the rows of each hour's first minutes is stored.
    values = (f"('data', {at}, 990.5, {t})" for n, (at, t) in enumerate(readings) if n % 60 > 4)
    execute(database_file(settings), STORE + ", ".join(values))
    refused = 0
    for hour in range(24, 48):
        for count in (1, 2, 3, 5):
            rows = [
                f"{datetime.fromtimestamp(at // 1000, TOKYO):%F %T},990.5,{t}"
                for at, t in readings[60 * hour : 60 * hour + count]
            ]
            path = write(settings.data_dir / NAME, *rows)
            try:
                assert import_file(settings, database, path, DRY_RUN).stored == count
            except ImportRefused:
                refused += 1
    assert refused == 0


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
