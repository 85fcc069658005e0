"""No reading is removed that no file has: the ways in which files and readings come apart."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database import station_columns
from flask10x.database.database import Database
from flask10x.errors import ExportError
from flask10x.export import only_copies, target
from flask10x.export.append import export
from flask10x.export.file import CsvFile
from flask10x.export.rebuild import rebuild
from flask10x.export.rows import FileRows
from flask10x.export.verify import verify
from flask10x.history import days, rollups
from flask10x.history.view import View
from flask10x.importing.importer import import_file
from flask10x.readings.stations import BUILT_IN, Station
from flask10x.runtime import removal
from flask10x.runtime.removal import Removal, StationRemoval
from flask10x.runtime.retention import outlooks
from tests.support.csv_folder import FIRST_MS, HEADER, NAME, csv_file, lines, put, store
from tests.support.rows import execute, select
from tests.support.stations import BALCONY, with_measurement

PICO = BUILT_IN.by_endpoint["data"]
DAY = "2026-11-26"
KEPT = f"PicodataX-until-{DAY}.csv"
ALL_MS = FIRST_MS + 90_000
"""All readings of these tests are older."""


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "now_ms", lambda: 1_795_622_400_000)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "PIECE_ROWS", 3)


def finish(settings: Settings, database: Database) -> None:
    """Have the roll-ups of these stations done with all readings."""
    station_columns.fit(database, settings.stations)
    while rollups.follow(settings.stations, database):
        pass
    while days.follow(settings.stations, database, settings.zone, rollups.save_at_once):
        pass


def exported(settings: Settings, database: Database) -> str:
    """What a successful export says of the Pico's file."""
    (outcome,) = export(settings, database, [settings.stations.by_endpoint["data"]])
    assert not outcome.failed, outcome.text
    return outcome.text


def removal_of(settings: Settings, database: Database) -> Iterator[Removal]:
    """All steps until nothing more goes."""
    finish(settings, database)
    steps = StationRemoval(settings, database, settings.stations.by_endpoint["data"])
    while True:
        done = steps.step(ALL_MS)
        yield done
        if not done.is_more:
            return


def removed(settings: Settings, database: Database) -> int:
    return sum(done.readings for done in removal_of(settings, database))


def obstacle(settings: Settings, database: Database) -> tuple[str | None, str, str]:
    """Why nothing goes; as the status page has it, too."""
    (*_, done) = removal_of(settings, database)
    own = replace(settings, retention_days=30)
    with database.reader.begin() as connection:
        outlook = outlooks(
            own, database, View(connection, own.stations, own.zone, ALL_MS + 60 * 86_400_000)
        )[0]
    assert (outlook.obstacle, outlook.path, outlook.command) == (
        done.obstacle,
        done.path,
        done.command,
    )
    return done.obstacle, done.path, done.command


def ids(database: Database) -> list[int]:
    return [number for (number,) in select(database.path, "SELECT id FROM readings ORDER BY id")]


def test_rows_of_a_file_in_another_folder_stay(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    """It has the name of the station's file; the rebuilt file has its rows, and they go."""
    other = tmp_path / "old" / NAME
    other.parent.mkdir()
    other.write_bytes(HEADER + lines(*range(9)))
    assert import_file(settings, database, other).stored == 9
    other.unlink()
    store(settings, 10, 11)
    exported(settings, database)
    assert removed(settings, database) == 0
    assert obstacle(settings, database) == (
        "imported",
        "",
        "flask10x export --rebuild PicodataX.csv",
    )
    assert len(ids(database)) == 11
    assert rebuild(settings, database, [PICO])[0].rows == 11
    assert removed(settings, database) == 10


def test_what_was_in_a_file_that_is_gone_stays(settings: Settings, database: Database) -> None:
    """Deleted, or on a disk that is not mounted: the export begins again, and says what to do."""
    store(settings, *range(5))
    exported(settings, database)
    csv_file(settings).unlink()
    store(settings, 6, 7)
    assert "started a new file" in exported(settings, database)
    assert removed(settings, database) == 0
    assert obstacle(settings, database) == (
        "archived_gone",
        "",
        "flask10x export --rebuild PicodataX.csv --whole",
    )
    assert not rebuild(settings, database, [PICO], whole=True)[0].failed
    assert removed(settings, database) == 6


def test_the_files_of_an_earlier_folder_are_looked_at_there(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    """CSV_DIR was changed, and the files were left where they are."""
    store(settings, *range(5))
    exported(settings, database)
    before = csv_file(settings)
    moved = replace(settings, csv_dir=tmp_path / "elsewhere")
    store(moved, 6, 7)
    assert "started a new file" in exported(moved, database)
    before.write_bytes(before.read_bytes().replace(b"993.5", b"113.5"))
    assert removed(moved, database) == 0
    assert obstacle(moved, database)[:2] == ("archived_changed", str(before))
    before.write_bytes(HEADER + lines(*range(5)))
    assert removed(moved, database) == 6


@pytest.mark.parametrize("change", ["empty", "edit", "delete", "none"])
def test_a_file_that_was_set_aside_is_compared(
    settings: Settings, database: Database, change: str
) -> None:
    store(settings, *range(5))
    exported(settings, database)
    wetter = replace(settings, stations=with_measurement(BUILT_IN, "data", BALCONY.measurements[1]))
    finish(wetter, database)
    store(settings, 6, 7)
    assert KEPT in exported(wetter, database)
    copy = settings.csv_dir / KEPT
    content = copy.read_bytes()
    assert content == HEADER + lines(*range(5))
    if change == "delete":
        copy.unlink()
    elif change != "none":
        copy.write_bytes(b"" if change == "empty" else content.replace(b"993.5", b"113.5"))
    if change != "none":
        assert removed(wetter, database) == 0
        why = "archived_gone" if change == "delete" else "archived_changed"
        assert obstacle(wetter, database) == (
            why,
            str(copy),
            "flask10x export --rebuild PicodataX.csv --whole",
        )
        copy.write_bytes(content)
    assert removed(wetter, database) == 6
    assert not verify(wetter, database, [wetter.stations.by_endpoint["data"]])[0].failed


WET = BALCONY.measurements[1]
WET_HEADER = b"current_time,Pressure,Tempereture,Wet\r\n"


def store_wet(database: Database, *numbers: int) -> None:
    values = (f"('data', {FIRST_MS + 1000 * n}, {990 + n}.5, 25, {n}.25)" for n in numbers)
    columns = "(endpoint, received_at, pressure, temperature, soil_wet)"
    execute(database.path, f"INSERT INTO readings {columns} VALUES {', '.join(values)}")


def wet_lines(*numbers: int) -> bytes:
    rows = (f"2025-08-24 10:46:{40 + n},{990 + n}.5,25.0,{n}.25\r\n" for n in numbers)
    return "".join(rows).encode()


def test_a_measurement_that_is_taken_out_before_the_export(
    settings: Settings, database: Database
) -> None:
    """Its last values are in the file that has its column, and go; what follows is in the new."""
    wetter = replace(settings, stations=with_measurement(BUILT_IN, "data", WET))
    finish(wetter, database)
    store_wet(database, 0, 1)
    exported(wetter, database)
    store_wet(database, 5, 6, 7)
    store(settings, 8, 9)
    text = exported(settings, database)
    assert text.startswith("5 rows appended; ")
    copy = settings.csv_dir / KEPT
    assert copy.read_bytes() == WET_HEADER + wet_lines(0, 1, 5, 6, 7)
    assert csv_file(settings).read_bytes() == HEADER + lines(8, 9)
    assert removed(settings, database) == 6
    assert not verify(settings, database, [PICO])[0].failed


def test_a_value_that_no_file_has_stays(settings: Settings, database: Database) -> None:
    """It came after its measurement was taken out; a whole file with its column has it."""
    wetter = replace(settings, stations=with_measurement(BUILT_IN, "data", WET))
    finish(wetter, database)
    store(settings, 0, 1)
    exported(settings, database)
    store_wet(database, 2)
    store(settings, 3, 4)
    exported(settings, database)
    assert removed(settings, database) == 2
    assert obstacle(settings, database) == (
        "values_in_no_file",
        "soil_wet",
        "flask10x export --rebuild PicodataX.csv --whole",
    )
    assert ids(database) == [3, 4, 5]
    exported(wetter, database)
    assert not rebuild(wetter, database, wetter.stations.all[:1], whole=True)[0].failed
    assert wet_lines(2) in csv_file(settings).read_bytes()
    store(settings, 5)
    exported(settings, database)
    assert removed(settings, database) == 3


def test_an_archived_file_is_named(settings: Settings, database: Database, tmp_path: Path) -> None:
    store(settings, *range(5))
    exported(settings, database)
    place = tmp_path / "2025.csv"
    csv_file(settings).rename(place)
    store(settings, 6, 7)
    exported(settings, database)
    assert removed(settings, database) == 0
    with pytest.raises(ExportError, match="no file that an export has written"):
        only_copies.name_archived(settings, database, csv_file(settings))
    assert only_copies.name_archived(settings, database, place).position.last_id == 5
    assert removed(settings, database) == 6


def test_a_changed_archive_is_read_once(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a person changes it; and archived files of other readings are not asked for."""
    places = []
    for year in range(3):
        store(settings, 3 * year, 3 * year + 1)
        exported(settings, database)
        places.append(tmp_path / f"{year}.csv")
        csv_file(settings).rename(places[-1])
        store(settings, 3 * year + 2)
        exported(settings, database)
        only_copies.name_archived(settings, database, places[-1])
    content = places[0].read_bytes()
    places[0].write_bytes(content.replace(b"991.5", b"111.5"))
    finish(settings, database)
    reads, views = list[Path](), list[FileRows]()
    checksum, of = CsvFile.checksum, FileRows.of

    def checked(file: CsvFile, end: int) -> int:
        reads.append(file.path)
        return checksum(file, end)

    def viewed(rows: FileRows, station: Station) -> FileRows:
        views.append(rows)
        return of(rows, station)

    monkeypatch.setattr(CsvFile, "checksum", checked)
    monkeypatch.setattr(FileRows, "of", viewed)
    steps = StationRemoval(settings, database, PICO)
    assert steps.step(ALL_MS).obstacle == "archived_changed"
    assert (reads, len(views)) == ([places[0]], 1)
    assert steps.step(ALL_MS).obstacle == "archived_changed"
    assert reads == [places[0]]
    places[0].write_bytes(content)
    assert steps.step(ALL_MS).readings == 2


def test_a_lost_archive_does_not_keep_the_rest_for_ever(
    settings: Settings, database: Database
) -> None:
    """Some of its readings are gone already; a whole file has those that are left."""
    store(settings, *range(6))
    exported(settings, database)
    finish(settings, database)
    steps = StationRemoval(settings, database, PICO)
    assert steps.step(FIRST_MS + 3000).readings == 3
    csv_file(settings).unlink()
    store(settings, 8, 9)
    exported(settings, database)
    assert removed(settings, database) == 0
    outcome = rebuild(settings, database, [PICO], whole=True)[0]
    assert "the readings up to 2025-08-24 10:46:42 were removed" in outcome.text
    assert csv_file(settings).read_bytes() == HEADER + lines(3, 4, 5, 8, 9)
    assert "5 rows, " in verify(settings, database, [PICO])[0].text
    assert removed(settings, database) == 4
    assert not rebuild(settings, database, [PICO])[0].failed
    assert csv_file(settings).read_bytes() == HEADER + lines(3, 4, 5, 8, 9)


def test_rows_below_the_floor_were_compared(settings: Settings, database: Database) -> None:
    """Rows of the old server, imported late, of which one was edited before the first export."""
    store(settings, 10, 11, 12, 13)
    assert import_file(settings, database, put(settings, HEADER + lines(0, 1))).stored == 2
    put(settings, HEADER + lines(0) + lines(1).replace(b"991.5", b"111.5"))
    store(settings, 14)
    exported(settings, database)
    assert removed(settings, database) == 4
    assert obstacle(settings, database)[0] == "imported"
    assert "2 imported rows are not in it" in rebuild(settings, database, [PICO])[0].text
    assert obstacle(settings, database)[0] == "imported"


def test_an_archived_file_that_is_in_no_table_proves_nothing(
    settings: Settings, database: Database
) -> None:
    store(settings, *range(3))
    exported(settings, database)
    csv_file(settings).unlink()
    store(settings, 4, 5)
    exported(settings, database)
    execute(database.path, "DELETE FROM csv_files WHERE kind = 'archived'")
    assert exported(settings, database) == "0 rows appended"
    assert obstacle(settings, database)[0] == "in_no_known_file"
    assert not rebuild(settings, database, [PICO], whole=True)[0].failed
    assert removed(settings, database) == 4
