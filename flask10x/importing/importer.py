"""The import of old CSV files: each of their rows in the database once, however often it is run.

A file that holds a row k times and a database that holds it j times become a database that holds
it max(k, j) times. The same row means: same endpoint, same second of local time, same values; so
what the service stored itself and exported into the file is there already. This is kept true block
by block, with nothing remembered outside the database: of a block those rows are inserted that the
file has more often, up to the block's end, than the database now. An import that was killed is
simply run again.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection, func, or_, select

from flask10x.config.settings import Settings
from flask10x.database.dialects import last_id
from flask10x.database.engine import Database
from flask10x.database.insert import InsertRow, insert_station_rows
from flask10x.database.retention import removed
from flask10x.database.tables import archived_files, exports
from flask10x.errors import ImportRefused
from flask10x.importing.exported_file import check_zone
from flask10x.importing.imported_ranges import ImportedRanges
from flask10x.importing.known_rows import Stored, StoredRows, key_of
from flask10x.importing.old_file import RejectedRows, blocks, first_line
from flask10x.readings import csv_names, minus_zero
from flask10x.readings.legacy_csv import Block, Layout, LegacyReader, header_of
from flask10x.readings.stations import Station, Stations
from flask10x.system.wording import amount

# Each try waits for WRITE_BUSY_TIMEOUT_MS. A migration or a person in the sqlite3 shell may hold
# the database longer than a commit does; after a minute somebody has forgotten it.
TRIES = 50

Place = tuple[int, int]
"""A row's `imports.after_id` and its id; 0 for a row that has none yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOutcome:
    """What became of the rows of one file."""

    name: str
    stored: int
    present: int
    """Rows that the database had already."""
    rejected: int
    removed: int = 0
    """Rows left out, because they may be readings that were removed (RETENTION_DAYS)."""
    minus_zeros: int = 0
    """Values of -0.0, which the database has as 0.0."""
    rejected_path: Path
    """Where the rejected ones are listed, when there are any."""
    missing: tuple[str, ...]
    """The station's columns that the file does not have; they are NULL in its rows."""

    def __str__(self) -> str:
        read = self.stored + self.present + self.rejected + self.removed
        counts = _(
            "{file}: {rows} read, {stored} stored, {present} present, {rejected} rejected"
        ).format(
            file=self.name,
            rows=amount(read, "row"),
            stored=self.stored,
            present=self.present,
            rejected=self.rejected,
        )
        left_out = ""
        if self.removed:
            text = _("{rows} left out: readings of their time were removed (RETENTION_DAYS)")
            left_out = text.format(rows=amount(self.removed, "row"))
        return "; ".join(filter(None, (counts, left_out, minus_zero.note(self.minus_zeros))))


def import_file(
    settings: Settings,
    database: Database,
    path: Path,
    *,
    endpoint: str | None = None,
    accept_last_line: bool = False,
    advance: Callable[[int], object] = lambda _: None,
) -> ImportOutcome:
    """Store the file's rows that the database does not have yet, in the order of the file.

    The station is that of the file's name, or of `endpoint`. Rows that can't be read go to the
    file of rejected rows. `accept_last_line` takes a last line that has no end. `advance` is
    called with the number of bytes just done. Call it under the lock of the export, which must
    not append meanwhile.

    Raises ImportRefused when this is no file of the station, and OSError, LockTimeout or
    sqlalchemy.exc.DBAPIError; what was stored before stays, and the next run goes on from there.
    """
    if not path.is_file():
        raise ImportRefused(
            _("it is no regular file") if path.exists() else _("there is no such file")
        )
    header = first_line(path)
    columns = header_of(header)
    layout = Layout(_station(settings.stations, path.name, columns, endpoint), columns)
    reader = LegacyReader(layout, settings.zone)
    check_zone(settings, database, path, layout.station)
    running = _Import(settings, database, path, layout)
    stored = present = minus_zeros = 0
    with RejectedRows(path, settings.csv_dir) as rejected:
        start = len(header)
        advance(start)
        for end, text_bytes in blocks(path, start):
            missing_end = b"\n" if accept_last_line and not text_bytes.endswith(b"\n") else b""
            block = reader.read(text_bytes + missing_end)
            rejected.write(block.rejections)
            new = running.store(block, start, end) if block.rows else 0
            stored, present = stored + new, present + len(block.rows) - new
            minus_zeros += block.minus_zeros
            advance(end - start)
            start = end
    return ImportOutcome(
        name=path.name,
        stored=stored,
        present=present - running.left_out,
        rejected=rejected.count,
        removed=running.left_out,
        minus_zeros=minus_zeros,
        rejected_path=rejected.path,
        missing=layout.missing,
    )


def _station(
    stations: Stations, name: str, header: tuple[str, ...], endpoint: str | None
) -> Station:
    """The station that is named; another one's exact header is taken for a mistake."""
    fitting = [station for station in stations.all if station.csv_header == header]
    theirs = ", ".join(station.endpoint for station in fitting)
    chosen = stations.by_endpoint[endpoint] if endpoint else None
    chosen = chosen or next((s for s in stations.all if csv_names.is_of(s, name)), None)
    if chosen is None:
        text = _("no station has a file of this name; say which one with --endpoint")
        if fitting:
            text += _("; its header is that of {station}").format(station=theirs)
        raise ImportRefused(text)
    if fitting and chosen not in fitting:
        text = _("its header is that of {station}, not of {chosen}")
        raise ImportRefused(text.format(station=theirs, chosen=chosen.endpoint))
    return chosen


class _Import:
    """The transactions of one file's import."""

    def __init__(self, settings: Settings, database: Database, path: Path, layout: Layout) -> None:
        self._database = database
        self._station = layout.station
        self._stored_rows = StoredRows(settings, database, path, layout)
        self._imported_ranges = ImportedRanges(layout.station, path)
        self._after_id = 0
        self.left_out = 0
        """Rows so far that may be readings that were removed."""
        with database.reader.begin() as connection:
            self._imported_ranges.load(connection)
            self._exported = _exported(connection, layout.station, path.name)
            self._removed_ms = removed.of_station(connection, layout.station.endpoint).last_ms

    def store(self, block: Block, start: int, end: int) -> int:
        """Insert the rows that are not there yet; their number. The block has these offsets."""
        if stored := self._stored_rows.like(block, start, end):
            new, places = self._compared(block, stored)
        else:
            new = [row for row in block.rows if not self._is_removed(row)]
            places = [(self._after_id, 0)] * len(new)
        if places:
            self._commit(new, places)
        return len(new)

    def _compared(self, block: Block, stored: Stored) -> tuple[list[InsertRow], list[Place]]:
        """The block's new rows, and the places of all that the export must know of."""
        new: list[InsertRow] = []
        places: list[Place] = []
        for row in block.rows:
            ids = stored.get(key_of(block, row))
            if not ids and self._is_removed(row):
                continue
            if not ids:
                new.append(row)
                places.append((self._after_id, 0))
                continue
            row_id = ids.pop(0)
            if row_id in self._imported_ranges:
                continue
            if row_id > self._exported:
                places.append((self._after_id, row_id))
            else:
                self._after_id = max(self._after_id, row_id)
        return new, places

    def _is_removed(self, row: InsertRow) -> bool:
        """Whether the row may be a reading that was removed; counts it then."""
        is_removed = self._removed_ms is not None and row[1] <= self._removed_ms
        self.left_out += is_removed
        return is_removed

    def _commit(self, rows: list[InsertRow], places: list[Place]) -> None:
        """Insert these rows, and record what the file holds."""
        self._database.commit_change(lambda c: self._insert(c, rows, places), TRIES)

    def _insert(self, connection: Connection, rows: list[InsertRow], places: list[Place]) -> None:
        if rows:
            insert_station_rows(connection, self._station, rows)
        # Only now: ids that somebody has put were passed over.
        next_id = last_id(connection) - len(rows) + 1
        for (after_id, row_id), group in groupby(places):
            count = len(list(group))
            first_id = row_id or next_id
            self._imported_ranges.add(connection, first_id, first_id + count - 1, after_id)
            if not row_id:
                next_id += count


def _exported(connection: Connection, station: Station, name: str) -> int:
    """The last id whose row the export has brought into the file of this name, or one before it."""
    if not csv_names.is_of(station, name):
        # The export knows no such file, so it needs to know nothing of rows that are there.
        return sys.maxsize
    # A position of which nobody has noted the station yet is that of who has the name.
    own = or_(exports.c.endpoint.is_(None), exports.c.endpoint == station.endpoint)
    found = [
        select(exports.c.last_id).where(exports.c.name == station.csv_name, own),
        select(func.max(archived_files.c.last_id)).where(
            archived_files.c.endpoint == station.endpoint
        ),
    ]
    return max(connection.execute(query).scalar_one_or_none() or 0 for query in found)
