"""A file of a station that has another name now: each of its rows stays stored once."""

from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import ImportRefused
from flask10x.export.append import export
from flask10x.importing.importer import ImportOptions, import_file
from flask10x.readings.stations import BUILT_IN, Station, Stations
from tests.support.csv_folder import FIRST_MS
from tests.support.rows import execute, select
from tests.support.stations import BALCONY, add_columns

BALCONY_1 = replace(BALCONY, endpoint="balcony")
TERRACE = replace(BALCONY_1, endpoint="terrace", csv_name="Terrace.csv")


def having(settings: Settings, *stations: Station) -> Settings:
    return replace(settings, stations=Stations((*BUILT_IN.all, *stations)))


def store(database: Database, endpoint: str, *numbers: int) -> None:
    values = (f"('{endpoint}', {FIRST_MS + 1000 * n}, {n}.5, NULL)" for n in numbers)
    columns = "(endpoint, received_at, temperature, soil_wet)"
    execute(database.path, f"INSERT INTO readings {columns} VALUES {', '.join(values)}")


def stored(database: Database) -> list[tuple[str, float]]:
    return select(database.path, "SELECT endpoint, temperature FROM readings ORDER BY id")


@pytest.fixture
def copy(settings: Settings, database: Database, tmp_path: Path) -> Path:
    """A copy of the file that was exported under the former name, of three rows, two alike."""
    add_columns(database.path, "soil_wet")
    store(database, "balcony", 3, 5, 5)
    before = having(settings, BALCONY_1)
    export(before, database)
    path = tmp_path / "Terrace.csv"
    path.write_bytes((settings.csv_dir / "Balcony.csv").read_bytes())
    return path


def test_its_rows_are_there_already(settings: Settings, database: Database, copy: Path) -> None:
    after = having(settings, TERRACE)
    store(database, "terrace", 9)
    before = stored(database)
    # A row that is no stored one, and one more of those that are.
    with copy.open("ab") as file:
        file.write(b"2025-08-24 10:46:46,6.5,\r\n2025-08-24 10:46:45,5.5,\r\n")
    dry = import_file(after, database, copy, ImportOptions(dry_run=True))
    assert (dry.stored, dry.present, dry.former) == (2, 3, {"balcony": 3})
    outcome = import_file(after, database, copy)
    assert (outcome.stored, outcome.present) == (2, 3)
    assert str(outcome).endswith(
        "; 3 rows of them are stored as readings of /balcony, which is not in stations.toml any"
        " more"
    )
    assert stored(database) == [*before, ("terrace", 6.5), ("terrace", 5.5)]
    again = import_file(after, database, copy)
    assert (again.stored, again.present) == (0, 5)
    export(after, database)
    text = (settings.csv_dir / "Terrace.csv").read_text()
    # The copy has the rows, and has the name of the station's file.
    assert [line.split(",")[1] for line in text.splitlines()[1:]] == ["9.5"]


def test_in_another_time_zone_it_is_refused(
    settings: Settings, database: Database, copy: Path
) -> None:
    after = having(replace(settings, timezone="UTC"), TERRACE)
    with pytest.raises(ImportRefused, match="written in the time zone Asia/Tokyo"):
        import_file(after, database, copy)
    assert {name for name, _ in stored(database)} == {"balcony"}


def test_a_station_that_is_there_has_readings_of_its_own(
    settings: Settings, database: Database, copy: Path
) -> None:
    """Two of one kind may measure the same in the same second."""
    both = having(settings, BALCONY_1, TERRACE)
    outcome = import_file(both, database, copy)
    assert (outcome.stored, outcome.present, outcome.former) == (3, 0, {})
