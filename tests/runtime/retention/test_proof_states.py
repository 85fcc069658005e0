"""Whatever happens to files, stations and readings: what is removed stood in a file at that moment.

Each reading has a value of its own, but for pairs of equal ones, so its line tells which it is.
"""

import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flask10x.config import settings as settings_module
from flask10x.database import station_columns
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.errors import Flask10xError
from flask10x.export import append, only_copies, removable, target
from flask10x.export.append import export
from flask10x.export.files import load_files
from flask10x.export.rebuild import rebuild
from flask10x.export.target import target_of
from flask10x.export.verify import verify
from flask10x.history import days, rollups
from flask10x.importing.importer import ImportOptions, import_file
from flask10x.readings.csv_lines import Lines, header
from flask10x.readings.stations import Station, Stations
from flask10x.runtime import removal
from flask10x.runtime.removal import StationRemoval
from tests.support.csv_folder import FIRST_MS
from tests.support.new_database import lay_new_database
from tests.support.rows import execute, select
from tests.support.stations import BALCONY

ENDPOINTS = ("balcony", "veranda")
NAMES = ("Balcony.csv", "Terrace.csv")
WET = BALCONY.measurements[1]
DRY = replace(BALCONY, measurements=BALCONY.measurements[:1])
# A day after all readings.
LATER_MS = FIRST_MS + 86_400_000
NUMBERS = st.integers(min_value=0, max_value=10**6)
Row = tuple[str, int, float, float | None]
"""A reading: endpoint, received_at, temperature, soil_wet."""


def other(both: tuple[Any, Any], one: object) -> Any:
    """The one of two that is not this."""
    return both[0] if both[1] == one else both[1]


class Died(BaseException):
    """The export was killed."""


class Files(RuleBasedStateMachine):
    """One station that has one of two endpoints, one of two file names, and two columns or one."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.settings = settings_module.load(
            {"FLASK10X_DATA_DIR": str(self.folder / "data"), "FLASK10X_TIMEZONE": "Asia/Tokyo"}
        )
        lay_new_database(database_path(self.settings))
        self.database = Database(self.settings)
        execute(self.database.path, "ALTER TABLE readings ADD COLUMN soil_wet REAL")
        self.number = 0
        self.copies = 0
        self.day_ms = LATER_MS
        self.kept: dict[Path, bytes] = {}
        self.removed: list[Row] = []
        self.patches: list[Any] = [
            patch.object(removal, "PIECE_ROWS", 3),
            patch.object(target, "now_ms", lambda: self.day_ms),
            patch("flask10x.export.rows.PAGE_ROWS", 2),
        ]
        for started in self.patches:
            started.start()

    def teardown(self) -> None:
        for started in self.patches:
            started.stop()
        self.database.close()
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        self.station: Station = DRY
        self.configure(endpoint="balcony", csv_name="Balcony.csv")

    def configure(self, **changes: object) -> None:
        self.station = replace(self.station, **changes)  # type: ignore[arg-type]
        stations = Stations((self.station,))
        self.settings = replace(self.settings, stations=stations)
        station_columns.fit(self.database, stations)

    @property
    def path(self) -> Path:
        return self.settings.csv_dir / self.station.csv_name

    def files(self) -> list[Path]:
        """All CSV files, wherever they are; not those that were kept as `.old`."""
        return sorted(self.folder.rglob("*.csv"))

    def pick(self, paths: list[Path], number: int) -> Path | None:
        return paths[number % len(paths)] if paths else None

    def readings(self) -> dict[int, Row]:
        columns = "id, endpoint, received_at, temperature, soil_wet"
        query = f"SELECT {columns} FROM readings WHERE endpoint IN ('balcony', 'veranda')"
        return {row[0]: row[1:] for row in select(self.database.path, query)}

    def next_row(self) -> tuple[int, float, float | None]:
        self.number += 1
        return FIRST_MS + 1000 * self.number, float(self.number), float(self.number % 7) or None

    def line(self, at_ms: int, *values: float | None) -> bytes:
        return Lines(self.settings.zone).bytes([(0, at_ms, *values)])

    # What senders do.

    @rule(count=st.integers(min_value=1, max_value=5), is_twin=st.booleans())
    def receive(self, count: int, *, is_twin: bool) -> None:
        for _ in range(count):
            self._store(*self.next_row())
        if is_twin:
            at, *values = self.next_row()
            self._store(at, *values)
            self._store(at, *values)

    @rule()
    def receive_late(self) -> None:
        _, *values = self.next_row()
        self._store(FIRST_MS - 1000 * self.number, *values)

    @rule()
    def receive_late_measurement(self) -> None:
        """One that waited while its measurement was taken out."""
        self._insert(*self.next_row())

    def _store(self, at_ms: int, temperature: float | None, soil_wet: float | None) -> None:
        self._insert(at_ms, temperature, soil_wet if WET in self.station.measurements else None)

    def _insert(self, at_ms: int, *values: float | None) -> None:
        texts = ", ".join("NULL" if value is None else str(value) for value in values)
        execute(
            self.database.path,
            "INSERT INTO readings (endpoint, received_at, temperature, soil_wet)"
            f" VALUES ('{self.station.endpoint}', {at_ms}, {texts})",
        )

    # What people do with the commands.

    @rule(count=st.integers(min_value=2, max_value=6))
    def day(self, count: int) -> None:
        """What a home has without a person's hand; of what is exported little is old yet."""
        for _ in range(count):
            self._store(*self.next_row())
        self.export()

    @rule(count=st.integers(min_value=2, max_value=6))
    def day_of_removal(self, count: int) -> None:
        self.day(count)
        self.remove(1)

    @rule()
    def clear(self) -> None:
        """Do what is named for the reading that goes next, and export."""
        own = [n for n, row in self.readings().items() if row[0] == self.station.endpoint]
        if not own:
            return
        number = min(own)
        target = target_of(self.settings, self.database, self.station)
        columns = target.rows.columns_with_values([number])[number]
        hindered = removable.hindrance(target, number, columns)
        command = removable.command(target, hindered) if hindered else ""
        if "--rebuild" in command:
            self.rebuild(is_whole="--whole" in command)
        self.export()
        self.remove(3)

    @rule()
    def export(self) -> None:
        outcomes = export(self.settings, self.database)
        self.after_export(failed=any(outcome.failed for outcome in outcomes))

    @rule(commits=st.integers(min_value=0, max_value=5))
    def export_that_dies(self, commits: int) -> None:
        left, save = [commits], target.save_state

        def die(*arguments: Any, **named: Any) -> None:
            if not left[0]:
                raise Died
            left[0] -= 1
            save(*arguments, **named)

        with patch.object(append, "save_state", die), suppress(Died):
            export(self.settings, self.database)

    @rule(is_whole=st.booleans())
    def rebuild(self, *, is_whole: bool) -> None:
        rebuild(self.settings, self.database, [self.station], whole=is_whole)

    @rule()
    def verify(self) -> None:
        verify(self.settings, self.database, [self.station])

    @rule()
    def import_own(self) -> None:
        with suppress(Flask10xError):
            import_file(self.settings, self.database, self.path)

    @rule(count=st.integers(min_value=1, max_value=4), is_own_name=st.booleans())
    def import_other(self, count: int, *, is_own_name: bool) -> None:
        """A file of the old server, in another folder, which may be deleted then."""
        self.copies += 1
        name = self.station.csv_name if is_own_name else "old.csv"
        path = self.folder / "old" / str(self.copies) / name
        path.parent.mkdir(parents=True)
        path.write_bytes(self._old_rows(count))
        import_file(self.settings, self.database, path, ImportOptions(self.station.endpoint))

    @precondition(lambda self: not self.path.exists())
    @rule(count=st.integers(min_value=1, max_value=4))
    def put_file_of_old_server(self, count: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self._old_rows(count))

    def _old_rows(self, count: int) -> bytes:
        rows = (self.next_row() for _ in range(count))
        size = len(self.station.columns)
        return header(self.station) + b"".join(
            self.line(at, *values[:size]) for at, *values in rows
        )

    @rule(kind=st.sampled_from(("endpoint", "name", "columns")))
    def change_stations(self, kind: str) -> None:
        """Rename the station or its file, or give it a measurement; or back."""
        station = self.station
        if kind == "endpoint":
            self.configure(endpoint=other(ENDPOINTS, station.endpoint))
        elif kind == "name":
            self.configure(csv_name=other(NAMES, station.csv_name))
        else:
            both = (*DRY.measurements, WET)
            self.configure(measurements=other((DRY.measurements, both), station.measurements))

    @rule(is_moved=st.booleans())
    def change_csv_dir(self, *, is_moved: bool) -> None:
        before = self.settings.csv_dir
        after = self.folder / ("csv2" if before.name != "csv2" else "csv")
        if is_moved and before.exists():
            shutil.rmtree(after, ignore_errors=True)
            before.rename(after)
        self.settings = replace(self.settings, csv_dir=after)

    # What people do to files.

    @rule(kind=st.sampled_from(("delete", "move", "edit", "cut", "empty")), number=NUMBERS)
    def harm(self, kind: str, number: int) -> None:
        path = self.pick(self.files(), number)
        if path is None:
            return
        content = path.read_bytes()
        rows = content.splitlines(keepends=True)
        self.kept[path] = content
        if kind == "move":
            self.copies += 1
            place = self.folder / "archive" / f"{self.copies}.csv"
            place.parent.mkdir(exist_ok=True)
            path.rename(place)
        elif kind == "delete":
            path.unlink()
        elif kind == "edit" and len(rows) > 1:
            line = 1 + number % (len(rows) - 1)
            rows[line] = rows[line].replace(b",", b",9", 1)
            path.write_bytes(b"".join(rows))
        else:
            path.write_bytes(b"".join(rows[:-2]) if kind == "cut" else b"")

    @rule()
    def put_all_back(self) -> None:
        """Copies of the files from before they were harmed."""
        for path, content in self.kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or len(path.read_bytes()) < len(content):
                path.write_bytes(content)
        self.kept.clear()

    @rule()
    def name_archived(self) -> None:
        for path in self.files():
            with suppress(Flask10xError):
                only_copies.name_archived(self.settings, self.database, path)

    @rule(number=NUMBERS)
    def move_here(self, number: int) -> None:
        """Some file takes the name of the station's."""
        if (path := self.pick(self.files(), number)) and path != self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            path.rename(self.path)

    # What the service does.

    @rule(steps=st.integers(min_value=1, max_value=6))
    def remove(self, steps: int) -> None:
        stations = self.settings.stations
        while rollups.follow(stations, self.database):
            pass
        while days.follow(stations, self.database, self.settings.zone, rollups.save_at_once):
            pass
        station = StationRemoval(self.settings, self.database, self.station)
        for _ in range(steps):
            before = self.readings()
            station.step(LATER_MS)
            left = self.readings()
            gone = [row for number, row in before.items() if number not in left]
            self.removed += gone
            self.are_in_files(gone)

    def are_in_files(self, rows: list[Row]) -> None:
        """Each as often as it is there, in files that have rows of its station."""
        found = Counter(line for path in self.files() for line in self.lines_of(path))
        expected = Counter(self.possible_lines(row) for row in rows)
        for lines, times in expected.items():
            assert sum(found[line] for line in set(lines)) >= times, lines

    def lines_of(self, path: Path) -> list[bytes]:
        return path.read_bytes().splitlines(keepends=True)[1:]

    def possible_lines(self, row: Row) -> tuple[bytes, ...]:
        """Those that have all of its values, in a file with both columns and in one with one."""
        _, at, temperature, soil_wet = row
        both = self.line(at, temperature, soil_wet)
        return (both,) if soil_wet is not None else (both, self.line(at, temperature))

    def after_export(self, *, failed: bool) -> None:
        """Each reading is in a file, or something says which is not."""
        if failed:
            return
        lines = {line for path in self.files() for line in self.lines_of(path)}
        target = target_of(self.settings, self.database, self.station)
        for number, row in self.readings().items():
            if lines.isdisjoint(self.possible_lines(row)):
                columns = target.rows.columns_with_values([number])[number]
                hindered = removable.hindrance(target, number, columns)
                assert row[0] != self.station.endpoint or hindered, (number, row)
        self.no_mixed_files()

    def no_mixed_files(self) -> None:
        """No export has written rows of two stations into one file.

        One that was imported from another station's file is of both, also when one is removed.
        """
        owners: dict[bytes, set[str]] = {}
        for row in (*self.readings().values(), *self.removed):
            for line in (*self.possible_lines(row), self.line(row[1], row[2])):
                owners.setdefault(line, set()).add(row[0])
        with self.database.reader.begin() as connection:
            state = load_files(connection).state(self.station.csv_name)
        if state.position is None or not self.path.exists():
            return
        own = self.path.read_bytes()[state.position.begin_bytes :]
        for line in own.splitlines(keepends=True):
            assert self.station.endpoint in owners.get(line, {self.station.endpoint}), line


@pytest.mark.tools
@pytest.mark.sqlite_only("what it looks at is the same code on either engine")
def test_what_is_removed_was_in_a_file() -> None:
    run_state_machine_as_test(
        Files, settings=hypothesis.settings(max_examples=15, stateful_step_count=30)
    )


@pytest.mark.long
@pytest.mark.sqlite_only("what it looks at is the same code on either engine")
def test_what_is_removed_was_in_a_file_for_long() -> None:
    run_state_machine_as_test(
        Files, settings=hypothesis.settings(max_examples=1500, stateful_step_count=60)
    )
