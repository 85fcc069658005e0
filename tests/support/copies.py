"""Two stations of some hours with all copies of their readings, for tests of `flask10x verify`."""

import shutil
from contextlib import closing
from pathlib import Path

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.verified import Result
from flask10x.export.append import export
from flask10x.history import rollups
from flask10x.maintenance.backup import backup
from flask10x.maintenance.verify import run
from flask10x.readings.stations import BUILT_IN
from tests.support import databases
from tests.support.new_database import lay_new_database
from tests.support.rows import execute, select

FIRST_MS = 1_756_000_000_000
SAVED, EXPORTED, ALL = 300, 340, 360
"""How many readings the backup has, the CSV files, and the table."""
STATIONS = ("data", "data2")
# Those that a verify may touch, and those of what it reads.
TABLES = (
    *("readings", "rollups", "rollup_days", "rollup_zone", "followers", "removed_hours"),
    *("csv_files", "imports", "corrections", "counters"),
)
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
            return run.verify(self.settings, database, repairs=repair)

    def contents(self) -> dict[str, object]:
        """All rows of the tables and the bytes of all files, without what a repair adds."""
        of_tables = {
            name: sorted(map(repr, select(self.file, f"SELECT * FROM {name}"))) for name in TABLES
        }
        if not databases.ON_POSTGRES:
            assert select(self.file, "PRAGMA integrity_check") == [("ok",)]
        of_files = {path.name: path.read_bytes() for path in self.settings.csv_dir.iterdir()}
        return {**of_tables, **of_files}


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


def furnish(settings: Settings) -> None:
    """Fill, roll up, export and back up; then some readings in the files only, and some in none."""
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
