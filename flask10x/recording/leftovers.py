"""Leftovers: readings that a stop could not store, in a file until the next start stores them.

A stop may come while the database is out of reach: locked by somebody, full, damaged, moved away.
What was accepted is then written to a file beside it, whole and synced, and whichever worker runs
next stores it as soon as that is possible, once: the file's name is noted in the transaction that
stores its readings, so a file that is still there afterwards is only removed. A full disk has room
for it too: the reserve.

A commit that has failed because the disk would not sync may have written everything to the WAL.
Nobody sees its rows while the service runs, but the next start recovers them, and the same readings
are in the file. So whatever equals a row of the table is not stored again.
"""

import json
import logging
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import counters
from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.rows import COUNT_EQUAL, NAMES, InsertRow
from flask10x.recording import batch, reserve
from flask10x.recording.batch import Entry
from flask10x.system import disk

log = logging.getLogger(__name__)

# A look at the folder costs nothing; a reload may leave a file while the new workers run already.
LOOK_EVERY_SEC = 5.0
FILES = "leftover-*.jsonl"
# A line: data4 with all its digits and a warning of each sensor, and some room.
LINE_BYTES = 500


class Leftovers:
    """The files beside one database; `step` belongs to the writer's thread."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        # Whatever the setting: the file is removed right after the commit.
        self._settings = replace(settings, synchronous="FULL")
        self._database = database
        self._folder = database.path.parent
        self._clock = clock
        self._look_at_sec = clock()
        self._logged: set[Path] = set()

    def save(self, entries: Sequence[Entry], trouble: str) -> bool:
        """Write them to a new file and log it; whether a power cut would leave it whole."""
        name = f"leftover-{disk.moment(self._settings.zone)}-{uuid.uuid4().hex[:8]}.jsonl"
        try:
            self._write(self._folder / name, "".join(map(_line, entries)))
        except OSError as error:
            log.critical(
                "Stopping with %d readings not stored: %s; nor can they be kept: %s",
                *(len(entries), trouble, error),
            )
            return False
        log.warning(
            "Stopping with %d readings not stored: %s; the next start stores them from %s",
            *(len(entries), trouble, name),
        )
        return True

    def step(self) -> None:
        """Store what there is, if it is time to look; errors are logged once, and tried again."""
        if self._clock() < self._look_at_sec or self._database.damage.halted:
            return
        self._look_at_sec = self._clock() + LOOK_EVERY_SEC
        each_bytes = self._settings.write_queue_maxsize * LINE_BYTES
        reserve.set_aside(self._folder, self._settings.workers, each_bytes)
        try:
            found = waiting(self._folder)
        except OSError as error:
            # A card that fails for a moment: no reason for the writer to die.
            self._log_trouble(self._folder, error)
            return
        for path in found:
            try:
                self._store(path)
            except FileNotFoundError:
                # The other worker was faster.
                continue
            except Exception as error:
                self._log_trouble(path, error)

    def _write(self, path: Path, text: str) -> None:
        temporary = path.with_suffix(".tmp")
        try:
            try:
                _fill(temporary, "wb", text)
            except OSError:
                if not reserve.take(self._folder, self._settings.workers, temporary):
                    raise
                _fill(temporary, "r+b", text)
            temporary.rename(path)
            disk.sync(self._folder)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _store(self, path: Path) -> None:
        entries = [_entry(line) for line in path.read_text(encoding="utf-8").splitlines()]
        with closing(Database(self._settings, self._database.damage)) as database:
            with database.commit() as connection:
                known = counters.value_of(connection, path.name)
                entries = [] if known else _not_stored(connection, entries)
                refused = batch.insert_each(connection, entries, self._settings)
                counters.add(connection, path.name, len(entries))
            path.unlink()
        batch.settle(entries, refused)
        if entries:
            log.info("Stored %d readings that a stop had left in %s", len(entries), path.name)

    def _log_trouble(self, path: Path, error: Exception) -> None:
        if path not in self._logged:
            log.error("Cannot store the readings in %s yet: %s", path.name, reason_of(error))
        self._logged.add(path)


def waiting(folder: Path) -> list[Path]:
    """The files that lie in the folder of a database, oldest first."""
    return sorted(folder.glob(FILES))


def _not_stored(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    """Those that no row stands for yet; of equal ones as many as the table lacks."""
    rows: dict[InsertRow, int] = {}
    missing = []
    for entry in entries:
        if entry.row not in rows:
            named = dict(zip(NAMES, entry.row, strict=True))
            rows[entry.row] = connection.execute(COUNT_EQUAL, named).scalar_one()
        if rows[entry.row]:
            rows[entry.row] -= 1
        else:
            missing.append(entry)
    return missing


def _fill(path: Path, mode: Literal["wb", "r+b"], text: str) -> None:
    with open(path, mode, opener=disk.private) as file:
        file.write(text.encode())
        file.truncate()
    disk.sync(path)


def _line(entry: Entry) -> str:
    row = {name: value for name, value in zip(NAMES, entry.row, strict=True) if value is not None}
    return json.dumps({"row": row, "warned": entry.warned}) + "\n"


def _entry(line: str) -> Entry:
    found = json.loads(line)
    row: dict[str, object] = found["row"]
    if unknown := row.keys() - set(NAMES):
        raise ValueError(f"unknown columns {sorted(unknown)}")
    return Entry(tuple(map(row.get, NAMES)), 0.0, tuple(found["warned"]))
