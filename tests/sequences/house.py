"""A house in which everything happens, a step at a time, through the doors of the program.

A step is a method of `House` and its arguments, plain data, so that a sequence of steps can be
printed and run again. After each step the rows and the CSV files are compared with the model. A
step that is not possible does nothing, so any step may be left out of a sequence.
"""

import json
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from flask10x.config import settings as settings_module
from flask10x.history import rollups
from flask10x.runtime import removal
from flask10x.runtime.store import Store
from flask10x.web.app import create_app
from tests.e2e.senders import HOST
from tests.e2e.service import Service, reserved_port, wait_until
from tests.sequences.model import (
    COLUMNS,
    HEADINGS,
    OWN_COLUMNS,
    ZONE,
    Broken,
    Cells,
    Files,
    Line,
    Model,
    Row,
    cells_of,
    check_json,
    check_lines,
    check_series,
    lines_of,
    stored,
)
from tests.support.commands import in_words, run_command
from tests.support.new_database import lay_new_database

Step = tuple[Any, ...]
"""The name of a method and its arguments."""
Done = CompletedProcess[str]

FILES = {"data": "PicodataX.csv", "data2": "BedRoomEnv.csv"}
HEADERS = {
    "data": "current_time,Pressure,Tempereture",
    "data2": "current_time,CO2,Tempereture,Humidity,Pressure,GasResistance",
}
# Rows of old files are a minute apart, and older than all others.
OLD = datetime(2025, 3, 1, tzinfo=ZONE)
HOUR_MS = 3_600_000
EVER = {"from": "2024-01-01 00:00", "to": "2100-01-01 00:00"}
TAKEN, REPEATED = ("enqueued", "accepted_with_warnings"), ("duplicate",)
SETTINGS = {"workers": 1, "retention_days": 30, "partial_readings": "data2=accept"}
LOW, HIGH = 60.0, 150.0
# What is refused with the low limit and not with the high one.
HOT = 100.0
# A piece of retention, so that a station's readings do not go all at once.
PIECE_ROWS = 3
KILLED = "an export was killed"
# What a command takes whose time is not known yet.
USUAL_SEC = 0.1
LOAD_SEC = 0.3

STATIONS = """
[stations.{name}]
csv_file = "{file}"

[stations.{name}.measurements.pulse]
unit = ""
minimum = 0

[stations.{name}.measurements.temperature]
unit = "°C"
maximum = {maximum}
"""
HUMIDITY = """
[stations.{name}.measurements.humidity]
unit = "%"
"""


@dataclass
class OwnStation:
    """The station of `stations.toml`."""

    name: str = "balcony"
    file: str = "Balcony.csv"
    is_humid: bool = True
    maximum: float = LOW

    def text(self) -> str:
        """Return the file."""
        template = STATIONS + (HUMIDITY if self.is_humid else "")
        return template.format(name=self.name, file=self.file, maximum=self.maximum)


@dataclass(frozen=True)
class Copy:
    """A CSV file that somebody has put away."""

    path: Path
    endpoint: str
    is_exported: bool = False
    """Whether an export has written it, so that its zone is known however few rows it has."""


@dataclass(frozen=True)
class Backup:
    """A backup, and the model of that moment."""

    path: Path
    model: Model
    csv: dict[Path, bytes]
    is_sound: bool


@dataclass
class House:
    """One installation: a folder, a model of it, and the steps."""

    folder: Path
    service: Service
    model: Model = field(default_factory=Model)
    own: OwnStation = field(default_factory=OwnStation)
    number: int = 0
    copies: list[Copy] = field(default_factory=list)
    backups: list[Backup] = field(default_factory=list)
    troubles: set[str] = field(default_factory=set)
    """Why a command may rightly say that something is wrong."""
    app: Flask | None = None
    took_sec: dict[str, float] = field(default_factory=dict)
    is_replaced: bool = False
    """Whether this step may put another file in the place of a CSV file."""
    is_torn: bool = False

    def __post_init__(self) -> None:
        self.archive = self.folder / "archive"
        for folder in (self.archive, self.service.data_dir, self.service.csv_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self.files = Files(self.service.csv_dir, self.archive)
        lay_new_database(self.service.database)
        self._write_stations()

    # What holds for every step

    def take(self, step: Step) -> None:
        """Do the step, and compare what there is with the model."""
        # What was before a killed step is compared with what the next one leaves.
        self.is_replaced, self.is_torn = self.is_replaced and self.is_torn, False
        getattr(self, step[0])(*step[1:])
        self.model.check_rows(self.service.database)
        self.files.check(replaced=self.is_replaced, torn=self.is_torn)

    def end(self) -> None:
        """Everything has come to rest: answers, files and proofs agree; a lost proof is seen."""
        for step in (("look",), ("export",), ("prove",), ("lose_archived",)):
            self.take(step)

    # Readings come

    def post(self, endpoint: str, count: int, key: bool) -> None:
        """Single readings, with a key or without one."""
        for _ in range(count):
            number, began_ms = self._next(), now_ms()
            body = self._body(endpoint, number)
            self._post_one(endpoint, body, number if key else None, TAKEN)
            self._acknowledge(self._path(endpoint), [number], (began_ms, now_ms()))

    def again(self, count: int) -> None:
        """The last readings with a key are sent once more."""
        for number, endpoint in [*self.model.keyed.items()][-count:]:
            if endpoint in (*FILES, self.own.name):
                self._post_one(endpoint, self._body(endpoint, number), number, REPEATED)

    def late(self, endpoint: str, count: int, hours: int, wrong: bool) -> None:
        """A batch of readings that were measured hours ago, perhaps with one that is no good."""
        path, at_sec = self._path(endpoint), int(time.time()) - hours * 3600
        numbers = [self._next() for _ in range(count)]
        items: list[dict[str, object]] = [
            {
                "endpoint": path,
                "data": self._body(endpoint, number),
                "measured_at": at_sec + number % 600,
                "id": f"n{number}",
            }
            for number in numbers
        ]
        bad = [{"endpoint": path, "data": {"temperature": "warm"}}] if wrong else []
        answer = self.client.post("/api/v1/readings", json=[*items, *bad])
        self._write()
        if answer.status_code != 200 or answer.get_json()["accepted"] != count:
            raise Broken(f"a batch is taken: {answer.status_code} {answer.text}")
        for number in numbers:
            at_ms = (at_sec + number % 600) * 1000
            self.model.rows[number] = Row(path, at_ms, self._cells(endpoint, number))
            self.model.keyed[number] = path

    def reject(self, count: int) -> None:
        """Readings that are too hot for the limit."""
        if self.own.maximum > HOT:
            return
        for _ in range(count):
            number, path = self._next(), self.own.name
            cells = self._cells("own", number) | {"temperature": HOT}
            answer = self.client.post(f"/{path}", json=cells)
            self._write()
            if answer.status_code != 400:
                raise Broken(f"a reading over the limit is a 400: {answer.status_code}")
            self.model.refused[number] = Row(path, 0, cells)

    def replay(self) -> None:
        """`rejected replay` stores those that are good now."""
        done = self._command("rejected", "replay")
        good = [
            number
            for number, row in self.model.refused.items()
            if row.endpoint == self.own.name
            and self.own.maximum > HOT
            # A reading sent without humidity stays rejected once the station requires humidity.
            and ("humidity" in row.cells or not self.own.is_humid)
        ]
        if done.returncode:
            raise Broken(f"a replay succeeds: {said(done)}")
        found = stored(self.service.database)
        for number in good:
            row = self.model.refused.pop(number)
            at_ms = found[number][0].at_ms if number in found else 0
            cells = {n: v for n, v in row.cells.items() if n in self._names(row.endpoint)}
            self.model.rows[number] = Row(row.endpoint, at_ms, cells)

    def correct(self, endpoint: str, kind: str) -> None:
        """The temperatures of a station are shown otherwise, or no longer."""
        path = self._path(endpoint)
        form = {"what": kind, "about": f"{path}.temperature", **EVER}
        if path in self.model.corrections:
            return
        if kind == "adjust":
            form |= {"gain": "2", "offset": "-0.5"}
        answer = self.client.post("/notes/write", data=form)
        if answer.status_code != 303:
            raise Broken(f"a correction is taken: {answer.status_code} {answer.text[-2000:]}")
        self.model.corrections[path] = (2.0, -0.5) if kind == "adjust" else None

    # CSV files

    def export(self) -> None:
        """`export`: each new row is in its station's file afterwards."""
        done = self._command("export")
        # What was set aside is named.
        new = ("-until-", "started a new file", "an interrupted rebuild was found to be complete")
        self.is_replaced |= any(text in said(done) for text in new)
        # Whatever a killed one has left, the next one ends it.
        self.troubles.discard(KILLED)
        self._expect(done)
        if done.returncode == 0:
            check_lines(self.model, self.files, *FILES, self.own.name)

    def rebuild(self, endpoint: str) -> None:
        """`export --rebuild` of one file."""
        self.is_replaced = True
        name = self._file(endpoint)
        done = self._command("export", "--rebuild", name)
        if "is the name that the file had before" in said(done):
            # What the message says is done first.
            self._expect(self._command("export", name))
            done = self._command("export", "--rebuild", name)
        self._expect(done)
        if self._station_of(name) != self._path(endpoint):
            # The rebuilt file belongs to the station's former name. The next export ends that file
            # and begins one for the new name.
            self._expect(self._command("export", name))
        if done.returncode == 0 and not self.troubles:
            check_lines(self.model, self.files, self._path(endpoint))

    def _station_of(self, name: str) -> str:
        """Return the endpoint whose rows the CSV file of this name has."""
        query = "SELECT endpoint FROM csv_files WHERE name = ? AND kind = 'current'"
        with closing(sqlite3.connect(self.service.database)) as connection:
            return str(connection.execute(query, (name,)).fetchone()[0])

    def move_away(self, endpoint: str, told: bool) -> None:
        """A person archives a file by hand; the next export begins a new one."""
        path = self.service.csv_dir / self._file(endpoint)
        if not path.exists() or self.troubles:
            return
        place = self.archive / f"{path.stem}-{self._next()}.csv"
        path.rename(place)
        self.is_replaced = True
        self.export()
        numbers = {line.number for line in lines_of(place.read_bytes())}
        if self.model.removed.keys() & numbers and not told:
            # Only this file has them, so a check asks for it.
            self._names_lost(path.name, self._command("check"))
            told = True
        if told and numbers:
            self._expect(self._command("export", "--archived", str(place)))

    def copy(self, endpoint: str) -> None:
        """Somebody copies an exported file into another folder."""
        path = self.service.csv_dir / self._file(endpoint)
        if path.exists():
            place = self._fresh_folder() / path.name
            shutil.copy(path, place)
            self.copies.append(Copy(place, self._path(endpoint), is_exported=True))

    # Old files

    def import_old(self, endpoint: str, count: int, own_name: bool) -> None:
        """An old server's file is imported."""
        name = FILES[endpoint] if own_name else "old.csv"
        copy = Copy(self._fresh_folder() / name, endpoint)
        self._add_old_rows(copy, count)
        self.copies.append(copy)
        self._import(copy)

    def import_longer(self, which: int, count: int) -> None:
        """A file that was put away is imported with more rows behind its own."""
        if copy := self._of_built_in(which):
            self._add_old_rows(copy, count)
            self._import(copy)

    def import_again(self, which: int) -> None:
        """A file that was put away is imported, once more perhaps."""
        if self.copies:
            self._import(self.copies[which % len(self.copies)])

    def import_in_other_zone(self, which: int, zone: str) -> None:
        """The same by a command in another time zone: it is refused, as its rows are there."""
        if not self.copies:
            return
        copy = self.copies[which % len(self.copies)]
        numbers = {line.number for line in lines_of(copy.path.read_bytes())}
        there = numbers & self.model.rows.keys()
        # Of a file that no export has written all rows have to be there, and two are needed.
        is_known = copy.is_exported or (numbers == there and len(numbers) > 1)
        if not there or copy.endpoint not in (*FILES, self.own.name) or not is_known:
            return
        done = self._command("import", "--endpoint", copy.endpoint, "--zone", zone, str(copy.path))
        self.model.check_rows(self.service.database)
        if done.returncode == 0:
            raise Broken(f"a file in the wrong zone is refused: {said(done)}")

    # Stations

    def columns(self) -> None:
        """The station loses a measurement, or gets it back."""
        self.own.is_humid = not self.own.is_humid
        self._stations_changed()

    def limit(self, is_high: bool) -> None:
        """Its limit is changed."""
        self.own.maximum = HIGH if is_high else LOW
        self._stations_changed()

    def rename_station(self) -> None:
        """It gets another name; what the former one has sent stays."""
        self.export()
        self.own.name = "terrace" if self.own.name == "balcony" else "balcony"
        self._stations_changed()

    def rename_file(self, with_file: bool) -> None:
        """Its file gets another name, in `stations.toml` alone or in the folder, too."""
        if self.troubles:
            return
        before = self.service.csv_dir / self.own.file
        after = before.with_name("Balcony.csv" if self.own.file == "Terrace.csv" else "Terrace.csv")
        if with_file and before.exists() and not after.exists():
            before.rename(after)
            self.is_replaced = True
        self.own.file = after.name
        self._stations_changed()

    # Old readings go

    def remove(self, pieces: int) -> None:
        """Retention removes what every follower has finished with; a file has each such row."""
        before, store = stored(self.service.database), self.store
        for _ in rollups.complete(store.settings.stations, store.database, store.settings.zone):
            pass
        kept_since_ms = (now_ms() // HOUR_MS + 2) * HOUR_MS
        for station in store.settings.stations.all:
            of_station = removal.StationRemoval(store.settings, store.database, station)
            for _ in range(pieces):
                if not of_station.step(kept_since_ms).is_more:
                    break
        gone = before.keys() - stored(self.service.database).keys()
        proven = self.files.lines()
        for number in gone:
            row = self.model.rows.pop(number)
            self.model.removed[number] = row
            lines = proven.get(number, [])
            if not any(line.text == row.line(line.headings) for line in lines):
                raise Broken(f"a removed reading is in a CSV file: {number} in {lines}, {row}")

    def lose_archived(self) -> None:
        """The only file with removed rows is deleted: each check says so; then it is put back."""
        current, removed = self._current(), self.model.removed.keys()
        for path, content in self.files.now().items():
            if path not in current and removed & {line.number for line in lines_of(content)}:
                break
        else:
            return
        aside = path.with_suffix(".lost")
        path.rename(aside)
        found = [
            self._command("check"),
            self._command("verify"),
            self._command("export", "--verify"),
        ]
        aside.rename(path)
        for done in found:
            self._names_lost(path.name, done)

    def _names_lost(self, name: str, done: Done) -> None:
        # That rows cannot be removed yet, for want of the file, is another matter.
        lines = [line for line in said(done).splitlines() if name in line]
        if not any("removed readings" in line for line in lines):
            raise Broken(f"a lost proof is seen: {name} is not named by {said(done)}")

    # Copies

    def backup(self) -> None:
        """`backup`, and the proof of it."""
        folder = self.service.data_dir / "backups"
        before = {*folder.glob("*.sqlite3")}
        self._expect(done := self._command("backup"))
        made = {*folder.glob("*.sqlite3")} - before
        if len(made) != 1:
            raise Broken(f"a backup is made: {said(done)}")
        (path,) = made
        self._expect(self._command("backup", "--verify", str(path)))
        is_sound = not self.troubles
        self.backups.append(Backup(path, self.model.copy(), self.files.now(), is_sound))

    def restore(self, which: int, mended: bool) -> None:
        """An older database takes the place; the CSV files may be ahead of it then."""
        backups = [backup for backup in self.backups if backup.path.exists()]
        if not backups:
            return
        backup = backups[which % len(backups)]
        self.close()
        done = self._command("restore", str(backup.path))
        if done.returncode:
            raise Broken(f"a backup is restored: {said(done)}")
        self.model = backup.model.copy()
        self._command("migrate")
        ahead = self._ahead_of(backup)
        if ahead or backup.csv != self.files.now() or not backup.is_sound:
            self.troubles.add("restored")
        if ahead and backup.is_sound:
            self._refused(ahead)
        if mended:
            self._mend()
            newest = max((self.service.data_dir / "backups").glob("*.sqlite3"))
            if not self.troubles - {KILLED} and backup.path != newest:
                # The newest backup has the rows as they were before the import. A killed `backup`
                # may have made it.
                self.backup()

    def _ahead_of(self, backup: Backup) -> list[Path]:
        """Return the files of the folder that have rows which the database lacks."""
        known = self.model.rows.keys() | self.model.removed.keys()
        return [
            path
            for path in self._current()
            if path.exists()
            and path in backup.csv
            and path.read_bytes().startswith(backup.csv[path])
            and any(line.number not in known for line in lines_of(path.read_bytes()))
        ]

    def _refused(self, ahead: Sequence[Path]) -> None:
        """The export leaves such files alone, and names the import that brings the rows in."""
        done = self._command("export")
        for path in ahead:
            lines = [line for line in said(done).splitlines() if f"{path}: " in line]
            if done.returncode == 0 or not any("flask10x import" in line for line in lines):
                raise Broken(
                    f"a file ahead of the database is refused, with the import: {said(done)}"
                )

    def _mend(self) -> None:
        """What the messages of the export say: import the file, then rebuild it."""
        self.is_replaced = True
        endpoints = {**FILES, self.own.name: self.own.file}
        status = 0
        for endpoint, name in endpoints.items():
            path = self.service.csv_dir / name
            if path.exists():
                self._import(Copy(path, endpoint))
                status |= self._command("export", "--rebuild", name).returncode
        if status == 0:
            self.troubles.discard("restored")

    # Answers and proofs

    def look(self) -> None:
        """History and charts are what the rows add up to."""
        for endpoint in (*FILES, self.own.name):
            found = self._json(f"/history/json?endpoint={endpoint}&limit=1000")
            names = self._names(endpoint)
            check_json(self.model.shown(endpoint), found, names)
            years = f"from={OLD.year - 1}-01-01&to={datetime.now(ZONE).year + 1}-01-01"
            answer = self._json(f"/history/series?endpoint={endpoint}&{years}&buckets=50")
            sums = {n: s for n, s in self.model.sums(endpoint).items() if n in names}
            check_series(sums, answer, endpoint)

    def prove(self) -> None:
        """`check`, `verify` and `export --verify` find nothing wrong."""
        for command in (("check",), ("verify",), ("export", "--verify")):
            self._expect(self._command(*command))

    # Kills

    def kill_service(self, after: float, who: str) -> None:
        """A running service takes readings, and is killed."""
        self.close()
        self.service.start()
        numbers: list[int] = []
        unanswered: list[int] = []
        began_ms = now_ms()

        def kill() -> None:
            victims = self.service.workers() if who == "workers" else self.service.members()
            for victim in victims:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)

        timer = threading.Timer(after * LOAD_SEC, kill)
        timer.start()
        while timer.is_alive() or not numbers:
            number = self._next()
            try:
                status = self._send(number)
            except (OSError, HTTPException):
                status = 0
            (numbers if status == 200 else unanswered).append(number)
            if status == 0 and not timer.is_alive():
                break
        timer.join()
        if who != "workers":
            self.service.close()
            self.service.start()
        # What was not answered is sent again, with the same key.
        for number in unanswered:
            wait_until(lambda: self._answers(number), 30, "it is taken")  # noqa: B023
        numbers += unanswered
        self.service.stop()
        if self._leftovers():
            # No worker was left to store the last readings: the next start does it.
            self.service.start()
            wait_until(lambda: not self._leftovers(), 30, "they are stored")
            self.service.stop()
        self._acknowledge("data2", sorted(numbers), (began_ms, now_ms()))
        for number in numbers:
            self.model.keyed[number] = "data2"

    def kill_command(self, name: str, after: float, which: int) -> None:
        """A command is killed at some moment of it; the next one goes on."""
        if name == "import":
            if not self.copies:
                return
            copy = self.copies[which % len(self.copies)]
            if copy.endpoint in (*FILES, self.own.name):
                self._import(copy, after)
                self._import(copy)
            return
        self.is_torn = True
        if name == "rebuild":
            self.is_replaced = True
            name_of = (*FILES.values(), self.own.file)[which % 3]
            self._command("export", "--rebuild", name_of, kill=after)
        else:
            # It may have set a file aside, and cannot say so any more.
            self.is_replaced |= name == "export"
            self._command(name, kill=after)
        if name != "backup":
            self.troubles.add(KILLED)

    # The inside of the house

    @property
    def store(self) -> Store:
        """Return the store of the application, which is made when it is needed."""
        if self.app is None:
            self.app = create_app(settings_module.load(self.service.environment))
        store: Store = self.app.extensions["flask10x"]
        return store

    @property
    def client(self) -> FlaskClient:
        """Return a client of the application."""
        assert self.store and self.app
        return self.app.test_client()

    def close(self) -> None:
        """End the application, if it runs."""
        if self.app is not None:
            self.store.close()
            self.app = None

    def _write(self) -> None:
        while self.store.writer.step():
            pass

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _path(self, endpoint: str) -> str:
        return self.own.name if endpoint == "own" else endpoint

    def _file(self, endpoint: str) -> str:
        return self.own.file if endpoint == "own" else FILES[endpoint]

    def _current(self) -> list[Path]:
        """Return the files that the export appends to."""
        return [self.service.csv_dir / name for name in (*FILES.values(), self.own.file)]

    def _cells(self, endpoint: str, number: int) -> Cells:
        return cells_of(endpoint, number, is_humid=self.own.is_humid)

    def _body(self, endpoint: str, number: int) -> dict[str, float]:
        cells = self._cells(endpoint, number).items()
        names = {"gas_resistance": "gas_res"}
        return {names.get(name, name): value for name, value in cells if value is not None}

    def _post_one(
        self, endpoint: str, body: dict[str, float], key: int | None, statuses: Sequence[str]
    ) -> None:
        headers = {} if key is None else {"Idempotency-Key": f"n{key}"}
        answer = self.client.post(f"/{self._path(endpoint)}", json=body, headers=headers)
        self._write()
        if answer.status_code != 200 or answer.get_json()["status"] not in statuses:
            raise Broken(f"a reading is {statuses[0]}: {answer.status_code} {answer.text}")
        if key is not None:
            self.model.keyed[key] = self._path(endpoint)

    def _acknowledge(self, path: str, numbers: list[int], times_ms: tuple[int, int]) -> None:
        """Note readings that were answered with 200; their time is between these two."""
        found = stored(self.service.database)
        for number in numbers:
            at_ms = found[number][0].at_ms if number in found else times_ms[0]
            if not times_ms[0] <= at_ms <= times_ms[1]:
                raise Broken(f"a reading has the time of its arrival: {at_ms}, not in {times_ms}")
            self.model.rows[number] = Row(path, at_ms, self._cells(path, number))

    def _send(self, number: int) -> int:
        connection = HTTPConnection(HOST, self.service.port, timeout=15)
        try:
            headers = {"Content-Type": "application/json", "Idempotency-Key": f"n{number}"}
            body = json.dumps(self._body("data2", number))
            connection.request("POST", "/data2", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _leftovers(self) -> list[Path]:
        return [*self.service.data_dir.glob("leftover-*.jsonl")]

    def _answers(self, number: int) -> bool:
        try:
            return self._send(number) == 200
        except (OSError, HTTPException):
            return False

    def _json(self, address: str) -> Any:
        answer = self.client.get(address)
        if answer.status_code != 200:
            raise Broken(f"history answers: {answer.status_code} {answer.text[:500]} to {address}")
        return answer.get_json()

    def _names(self, endpoint: str) -> set[str]:
        """Return the station's measurements of now, as answers and as the table name them."""
        names = {"gas_res", *COLUMNS.get(endpoint, OWN_COLUMNS)}
        return names if endpoint in FILES or self.own.is_humid else names - {"humidity"}

    # Commands

    def _command(self, *arguments: str, kill: float | None = None) -> Done:
        """Run a command; with `kill` it is killed after this part of its usual time."""
        name = " ".join(argument for argument in arguments[:2] if "/" not in argument)
        kill_after_sec = None if kill is None else kill * self.took_sec.get(name, USUAL_SEC)
        began = time.monotonic()
        done = run_command(
            arguments,
            self.service.environment,
            folder=self.folder,
            kill_after_sec=kill_after_sec,
            is_warm=True,
        )
        if kill is None:
            self.took_sec[name] = time.monotonic() - began
        if b"Traceback" in done.stderr:
            raise Broken(f"a command ends with a message: {arguments} {done.stderr.decode()}")
        return in_words(done)

    def _expect(self, done: Done) -> None:
        if done.returncode and not self.troubles:
            raise Broken(f"a command succeeds where nothing is wrong: {done.args} {said(done)}")

    def _import(self, copy: Copy, kill: float | None = None) -> None:
        """Import a file in its zone; all of its rows are stored then, or the status says not."""
        if copy.endpoint not in (*FILES, self.own.name):
            return
        content = copy.path.read_bytes()
        lines = [*lines_of(content)]
        headings = content.partition(b"\r\n")[0].decode().split(",")[1:]
        done = self._command("import", "--endpoint", copy.endpoint, str(copy.path), kill=kill)
        found = stored(self.service.database)
        for line in lines:
            if line.number in found and line.number not in self.model.rows:
                self.model.rows[line.number] = self._row_of(copy.endpoint, line)
        missing = [line.number for line in lines if line.number not in found]
        # A heading that the station has no more is refused.
        names = {HEADINGS.get(heading, heading) for heading in headings}
        if kill is None and not missing and names <= self._names(copy.endpoint):
            self._expect(done)
        if kill is None and missing and done.returncode == 0:
            raise Broken(
                f"an import with status 0 has stored all rows: not {missing}, {said(done)}"
            )

    def _row_of(self, endpoint: str, line: Line) -> Row:
        at, *cells = line.text.split(",")
        values = {
            HEADINGS.get(heading, heading): float(cell) if cell else None
            for heading, cell in zip(line.headings, cells, strict=True)
        }
        at_ms = int(datetime.fromisoformat(at).replace(tzinfo=ZONE).timestamp()) * 1000
        return Row(endpoint, at_ms, values, by_import=True)

    def _add_old_rows(self, copy: Copy, count: int) -> None:
        lines = [] if copy.path.exists() else [HEADERS[copy.endpoint]]
        for _ in range(count):
            number = self._next()
            at_ms = int((OLD + timedelta(minutes=number)).timestamp()) * 1000
            row = Row(copy.endpoint, at_ms, cells_of(copy.endpoint, number))
            headings = HEADERS[copy.endpoint].split(",")[1:]
            lines.append(row.line(headings))
        with copy.path.open("ab") as file:
            file.write("".join(f"{line}\r\n" for line in lines).encode())

    def _of_built_in(self, which: int) -> Copy | None:
        copies = [copy for copy in self.copies if copy.endpoint in FILES]
        return copies[which % len(copies)] if copies else None

    def _fresh_folder(self) -> Path:
        folder = self.folder / f"put-away-{self._next()}"
        folder.mkdir()
        return folder

    def _write_stations(self) -> None:
        (self.service.data_dir / "stations.toml").write_text(self.own.text(), encoding="utf-8")
        done = self._command("migrate")
        assert done.returncode == 0, said(done)

    def _stations_changed(self) -> None:
        self.close()
        self._write_stations()


def said(done: Done) -> str:
    """Return the output of a command, and its exit status."""
    return f"status {done.returncode}\n{done.stdout}{done.stderr}"


def now_ms() -> int:
    """Return the time."""
    return time.time_ns() // 1_000_000


@contextmanager
def house_in(folder: Path) -> Iterator[House]:
    """A new house in this folder; what it has started ends with the block."""
    with reserved_port() as port:
        service = Service(folder, port, SETTINGS)
        service.starts_migrated = False
        house = House(folder, service)
        try:
            yield house
        finally:
            house.close()
            service.discard()


def replay(folder: Path, steps: Sequence[Step]) -> None:
    """Take these steps in a new house; raise Broken, with the step, where a promise is broken."""
    with house_in(folder) as house:
        for place, step in enumerate([*steps, ("end",)]):
            try:
                house.end() if step == ("end",) else house.take(step)
            except Broken as error:
                raise Broken(f"{error}\nat step {place}: {step}") from error
