"""A station that only this installation has: its file is begun, proved, rebuilt and imported."""

from dataclasses import replace

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import ImportRefused
from flask10x.export.append import export
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing.importer import ImportOptions, import_file
from flask10x.readings.stations import Stations
from tests.support.rows import execute, select
from tests.support.stations import BALCONY, WITH_BALCONY, add_columns

HEADER = b"current_time,Temperature,Wet\r\n"
ROWS = b"2025-08-24 10:46:40,21.5,30.0\r\n2025-08-24 10:46:41,21.5,\r\n"
STORE = "INSERT INTO readings (endpoint, received_at, temperature, soil_wet) VALUES "
GARDEN = replace(BALCONY, endpoint="garden", csv_name="Garden.csv")


@pytest.fixture
def five(settings: Settings, database: Database) -> Settings:
    add_columns(database.path, "soil_wet")
    execute(
        database.path,
        f"{STORE} ('balcony-1', 1756000000000, 21.5, 30), ('balcony-1', 1756000001000, 21.5, NULL)",
    )
    return replace(settings, stations=WITH_BALCONY)


def test_its_file(five: Settings, database: Database) -> None:
    path = five.csv_dir / "Balcony.csv"
    assert [outcome.rows for outcome in export(five, database)] == [0, 0, 0, 0, 2]
    assert path.read_bytes() == HEADER + ROWS
    assert not any(outcome.failed for outcome in verify(five, database))
    path.unlink()
    assert rebuild(five, database, [BALCONY])[0].text == "2 rows written"
    assert path.read_bytes() == HEADER + ROWS


def test_its_file_is_imported(five: Settings, database: Database) -> None:
    path = five.data_dir / "Balcony.csv"
    path.write_bytes(HEADER + ROWS + b"2025-08-24 10:46:42,22.5,31.0\r\n")
    done = import_file(five, database, path)
    assert (done.stored, done.present, done.rejected) == (1, 2, 0)
    assert select(
        database.path, "SELECT endpoint, temperature, soil_wet FROM readings WHERE id = 3"
    ) == [("balcony-1", 22.5, 31.0)]


def test_two_stations_may_have_one_header(five: Settings, database: Database) -> None:
    six = replace(five, stations=Stations((*WITH_BALCONY.all, GARDEN)))
    path = five.data_dir / "Garden.csv"
    path.write_bytes(HEADER + ROWS)
    assert import_file(six, database, path).stored == 2
    with pytest.raises(ImportRefused, match="its header is that of balcony-1, garden, not of data"):
        import_file(six, database, path, ImportOptions("data"))
