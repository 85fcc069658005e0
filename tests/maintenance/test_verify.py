"""Bits that rot: each copy's are found, the wrong copy is named, and the value is put back."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database import verified
from flask10x.database.database import Database
from flask10x.database.verified import Result
from flask10x.export.append import export
from flask10x.history import rollups
from flask10x.maintenance.backup import backup
from flask10x.maintenance.verify import run
from flask10x.readings.stations import BUILT_IN
from tests.conftest import MakeSettings
from tests.support.new_database import lay_new_database
from tests.support.rot import StoredValue, flip, stored_values
from tests.support.rows import execute

FIRST_MS = 1_756_000_000_000
SAVED, EXPORTED, ALL = 300, 340, 360
"""How many readings the backup has, the CSV files, and the table."""
STATIONS = ("data", "data2")
COLUMNS = {
    "data": ("pressure", "temperature"),
    "data2": ("co2", "temperature", "humidity", "pressure"),
}


class House:
    """Two stations of some hours, exported and backed up; and how its files were."""

    def __init__(self, settings: Settings, pristine: Path) -> None:
        self.settings, self.pristine = settings, pristine
        self.file = settings.data_dir / "flask10x.sqlite3"

    @property
    def newest_backup(self) -> Path:
        return max(self.settings.backup_dir.glob("*.sqlite3"))

    def csv(self, endpoint: str) -> Path:
        return self.settings.csv_dir / BUILT_IN.by_endpoint[endpoint].csv_name

    def renew(self) -> None:
        """Put all files back as they were before the first flip."""
        shutil.rmtree(self.settings.data_dir)
        shutil.copytree(self.pristine, self.settings.data_dir)

    def verify(self, *, repair: bool = False) -> Result:
        with closing(Database(self.settings)) as database:
            return run.verify(self.settings, database, repair=repair)

    def contents(self) -> dict[str, object]:
        """All rows of all tables and the bytes of all files, without what a repair adds."""
        with closing(sqlite3.connect(self.file)) as connection:
            names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            tables = [name for (name,) in names if name not in ("notes", "sqlite_sequence")]
            of_tables = {
                name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}")))
                for name in tables
            }
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        of_files = {path.name: path.read_bytes() for path in self.settings.csv_dir.iterdir()}
        return of_tables | of_files


def fill(settings: Settings, first: int, last: int) -> None:
    """Readings of both stations in turns, two minutes apart."""
    path = settings.data_dir / "flask10x.sqlite3"
    statements = []
    for number in range(first, last):
        endpoint = STATIONS[number % 2]
        columns = COLUMNS[endpoint]
        at = FIRST_MS + number * 60_000 + number * 7 % 1000
        values = ", ".join(
            f"{20 + place * 100 + number % 37 / 7!r}" for place in range(len(columns))
        )
        statements.append(
            f"INSERT INTO readings (endpoint, received_at, {', '.join(columns)})"
            f" VALUES ('{endpoint}', {at}, {values})"
        )
    execute(path, *statements)


def roll_up(settings: Settings) -> None:
    with closing(Database(settings)) as database:
        for _ in rollups.complete(settings.stations, database, settings.zone):
            pass


@pytest.fixture
def house(make_settings: MakeSettings, tmp_path: Path) -> House:
    settings = make_settings(DATA_DIR=tmp_path / "data")
    lay_new_database(settings.data_dir / "flask10x.sqlite3")
    fill(settings, 0, SAVED)
    roll_up(settings)
    with closing(Database(settings)) as database:
        export(settings, database)
    backup(settings, settings.backup_dir)
    fill(settings, SAVED, EXPORTED)
    with closing(Database(settings)) as database:
        export(settings, database)
    fill(settings, EXPORTED, ALL)
    roll_up(settings)
    settings.log_dir.mkdir(exist_ok=True)
    pristine = tmp_path / "pristine"
    shutil.copytree(settings.data_dir, pristine)
    return House(settings, pristine)


def test_a_sound_house_has_no_difference(house: House) -> None:
    before = house.contents()
    result = house.verify()
    assert result.differences == ()
    assert (result.readings, result.lines, result.backup_readings) == (ALL, EXPORTED, SAVED)
    assert result.backup == str(house.newest_backup)
    assert house.contents() == before
    assert verified.last_result(house.settings) == result


# Of each copy: where its bits can be flipped, and what is said of it.
Flip = Callable[[House, random.Random], str]


def flip_of_table(house: House, chance: random.Random) -> str:
    """A value of a reading; one that is in no backup only where a CSV file has all of it."""
    places = [
        each
        for each in stored_values(house.file, "readings")
        if int(str(each.row[0])) <= SAVED
        or (int(str(each.row[0])) <= EXPORTED and each.column not in ("endpoint", "received_at"))
    ]
    return _flip_value(house.file, chance.choice(places), chance)


def flip_of_hours(house: House, chance: random.Random) -> str:
    return _flip_value(house.file, _rolled_up(house, chance, "rollups"), chance)


def flip_of_days(house: House, chance: random.Random) -> str:
    return _flip_value(house.file, _rolled_up(house, chance, "rollup_days"), chance)


def flip_of_csv(house: House, chance: random.Random) -> str:
    path = house.csv(chance.choice(STATIONS))
    offset, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
    flip(path, offset, bit)
    return f"{path.name} {offset} {bit}"


def flip_of_backup(house: House, chance: random.Random) -> str:
    path = house.newest_backup
    offset, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
    flip(path, offset, bit)
    return f"{path.name} {offset} {bit}"


def _rolled_up(house: House, chance: random.Random, table: str) -> StoredValue:
    """A sum; a total only where the backup has it, for the last bits may be those of rounding."""
    with closing(sqlite3.connect(house.newest_backup)) as connection:
        saved = {tuple(row[:3]): row for row in connection.execute(f"SELECT * FROM {table}")}
    with closing(sqlite3.connect(house.file)) as connection:
        rows = {tuple(row[:3]): row for row in connection.execute(f"SELECT * FROM {table}")}
    same = {key for key, row in rows.items() if saved.get(key) == row}
    places = [
        each
        for each in stored_values(house.file, table)
        if each.row in same or each.column != "total"
    ]
    assert places
    return chance.choice(places)


def _flip_value(path: Path, place: StoredValue, chance: random.Random) -> str:
    byte, bit = chance.randrange(place.length), chance.randrange(8)
    flip(path, place.offset + byte, bit)
    return f"{place} {byte} {bit}"


FLIPS: dict[str, Flip] = {
    "table": flip_of_table,
    "hours": flip_of_hours,
    "days": flip_of_days,
    "csv": flip_of_csv,
    "backup": flip_of_backup,
}


@pytest.mark.sqlite_only("flips bits of its file")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("flips", [2, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("copy", ["table", "hours", "days", "csv", "backup"])
def test_each_bit_is_found_named_and_put_back(house: House, copy: str, flips: int) -> None:
    before, wrong = house.contents(), []
    for number in range(flips):
        place = FLIPS[copy](house, random.Random(f"{copy} {number}"))
        result = house.verify(repair=True)
        named = {name for each in result.differences for name in each.wrong}
        if named != {copy} or not all(each.wrong for each in result.differences):
            wrong.append((number, place, result.differences))
        # A backup is only named.
        elif house.contents() != before or (result.open and copy != "backup"):
            wrong.append((number, place, "not as before", result.differences))
        house.renew()
    assert wrong == []
