"""The import of old CSV files: each of their rows in the database once, however often it is run.

A file that holds a row k times and a database that holds it j times become a database that holds
it max(k, j) times. The same row means: same endpoint, same second of local time, same values; so
the database already has what the service stored itself and exported into the file. This holds block
by block, with nothing remembered outside the database: of a block those rows are inserted that the
file has more often, up to the block's end, than the database now. An import that was killed is run
again.
"""

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from gettext import gettext as _
from itertools import chain, groupby
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.expressions import unindexed
from flask10x.database.insert import InsertRow, insert_station_rows
from flask10x.database.tables import imports, readings
from flask10x.errors import ImportRefused, StationUnknown
from flask10x.export import repair_commands
from flask10x.export.rows import Import
from flask10x.export.target import Target, target_of
from flask10x.importing.old_file import blocks, first_line, same_beginning
from flask10x.importing.stored_rows import OtherZones, Stored, StoredRows, key_of
from flask10x.readings import csv_lines, numbers
from flask10x.readings.legacy_csv import Block, Layout, LegacyReader, header_of
from flask10x.readings.stations import Station, Stations
from flask10x.system.clock import now_ms
from flask10x.system.progress import Advance
from flask10x.system.rejected_rows import RejectedRows
from flask10x.system.wording import amount

# Each try waits for WRITE_BUSY_TIMEOUT_MS. A migration or a person in the sqlite3 shell may hold
# the database longer than a commit does; after a minute it was forgotten.
TRIES = 50

Place = tuple[int, int]
"""A row's `imports.after_id` and its id; 0 for a row that has none yet."""


# Where rows came from: the table `imports`, ranges of ids that an old file already holds.
#
# The export must not append a row to the file that it was imported from, so each row that an
# imported file holds and the export did not bring there is in one of that file's ranges.


class ImportedRanges:
    """The ranges of a station's rows that a file holds, with those of earlier imports of it."""

    def __init__(
        self, earlier: Iterable[Import], station: Station, path: Path, same_bytes: int
    ) -> None:
        """`same_bytes` is what this file and the station's have in common from their beginning."""
        self._station = station
        self._file = str(path.absolute())
        self._same_bytes = same_bytes
        is_own = csv_lines.is_name_of(station, path.name)
        # Those of files of this one's name; or both are files of the station.
        self._earlier = sorted(
            (each.first_id, each.last_id)
            for each in earlier
            if Path(each.file).name == path.name or (is_own and each.is_from_file_of(station))
        )
        # Key, last_id, after_id and size_bytes of the range that was recorded last.
        self._latest: tuple[int, int, int, int] | None = None

    def __contains__(self, row_id: int) -> bool:
        """Whether an earlier import recorded this row."""
        place = bisect_right(self._earlier, row_id, key=lambda ids: ids[0])
        return place > 0 and row_id <= self._earlier[place - 1][1]

    def add(self, connection: Connection, ids: tuple[int, int], after_id: int, end: int) -> None:
        """Record rows of the station that follow each other, in their transaction.

        `ids` are the first and the last one; `after_id` is the highest id that the export brought
        into the file above them, or 0; `end` is the offset up to which they are in this file.
        """
        (first_id, last_id), latest = ids, self._latest
        size_bytes = self._same_bytes if end <= self._same_bytes else 0
        is_alike = latest is not None and latest[2:] == (after_id, size_bytes)
        if latest and is_alike and self._adjoins(connection, latest[1], first_id):
            key = latest[0]
            longer = update(imports).where(imports.c.id == key)
            connection.execute(longer.values(last_id=last_id))
        else:
            row = insert(imports).values(
                endpoint=self._station.endpoint,
                file=self._file,
                first_id=first_id,
                last_id=last_id,
                after_id=after_id,
                size_bytes=size_bytes,
                imported_at=now_ms(),
            )
            key = connection.execute(row.returning(imports.c.id)).scalar_one()
        self._latest = (key, last_id, after_id, size_bytes)

    def _adjoins(self, connection: Connection, before: int, after: int) -> bool:
        """Whether these ids come in this order and no row of the station lies between them."""
        # Or SQLite would read the station's entries in the index from the first on.
        of_station = unindexed(readings.c.endpoint) == self._station.endpoint
        between = (readings.c.id > before) & (readings.c.id < after)
        query = select(readings.c.id).where(between, of_station).limit(1)
        return before < after and connection.execute(query).first() is None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOutcome:
    """The numbers of rows of a file, by what was done with them, or would be in a dry run."""

    name: str
    stored: int
    present: int
    """Rows that the database had already."""
    former: Mapping[str, int] = field(default_factory=dict)
    """How many of these are readings of a station that is no longer there, by its endpoint."""
    rejected: int
    removed: int = 0
    """Rows left out, because they may be readings that were removed (RETENTION_DAYS)."""
    minus_zeros: int = 0
    """Values of -0.0, which the database has as 0.0."""
    rejected_path: Path
    """The file with the rejected rows, when there are any."""
    endpoint: str = ""
    """The station of the file."""
    header: tuple[str, ...] = ()
    """The columns of the file, in its order."""
    missing: tuple[str, ...]
    """The station's columns that the file does not have; they are NULL in its rows."""
    first_ms: int | None = None
    """The earliest time of a row, in UTC epoch milliseconds; None without a row."""
    last_ms: int | None = None
    place: str = ""
    """Where its new rows belong in the station's CSV file; empty where they are in it."""

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return self.stored + self.present + self.rejected + self.removed

    def __str__(self) -> str:
        text = _("{file}: {rows} read, {stored} stored, {present} present, {rejected} rejected")
        parts = [
            text.format(
                file=self.name,
                rows=amount(self.rows, "row"),
                stored=self.stored,
                present=self.present,
                rejected=self.rejected,
            )
        ]
        if self.removed:
            text = _(
                "{rows} left out: readings of their time were removed (RETENTION_DAYS); keep the"
                " file, it may be the only one with them"
            )
            parts.append(text.format(rows=amount(self.removed, "row")))
        for name, count in self.former.items():
            text = _(
                "{rows} of them are stored as readings of /{station}, which is not in stations.toml"
                " any more"
            )
            parts.append(text.format(rows=amount(count, "row"), station=name))
        parts.append(numbers.minus_zero_note(self.minus_zeros))
        return "; ".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a file is read: its station, if its name does not say it, and its last line."""

    endpoint: str | None = None
    accept_last_line: bool = False
    """Whether a last line without an end is a row."""
    zone_is_right: bool = False
    """Whether the rows are stored although each is a stored one in another time zone."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The station's column by a name of the header; empty: its values are left out."""
    dry_run: bool = False
    """Whether nothing is stored; rejected rows are written all the same."""


BY_NAME = ImportOptions()


def import_file(
    settings: Settings,
    database: Database,
    path: Path,
    options: ImportOptions = BY_NAME,
    advance: Advance = lambda _: None,
) -> ImportOutcome:
    """Store the file's rows that the database does not have yet, in the order of the file.

    Rows that can't be read go to the file of rejected rows. `advance` is called with the number of
    bytes just done. The caller holds the lock of the export, which must not append meanwhile.

    Raises ImportRefused when this is no file of the station, and OSError, LockTimeout or
    sqlalchemy.exc.DBAPIError; what was stored before stays, and the next run goes on from there.
    A note of the error then has the number of rows, in words; so has one of a KeyboardInterrupt.
    """
    running = _Import(settings, database, path, options)
    layout, station = running.layout, running.station
    stored = present = elsewhere = minus_zeros = 0
    spans = list[tuple[int, int]]()
    with RejectedRows(path, settings.csv_dir) as rejected:
        try:
            for block, start, end in running.blocks(rejected, advance):
                if not block.rows:
                    continue
                new = running.store(block, start, end)
                stored, present = stored + new, present + len(block.rows) - new
                elsewhere += new if end > running.same_bytes else 0
                minus_zeros += block.minus_zeros
                times = [row[1] for row in block.rows]
                spans.append((min(times), max(times)))
        except BaseException as error:
            if stored and not options.dry_run:
                # A Ctrl+C may come between a commit and its count.
                text = _("{file}: stopped before its end; at least {rows} stored, which stay")
                error.add_note(text.format(file=path.name, rows=amount(stored, "row")))
            raise
    place = ""
    if elsewhere:
        # The station's CSV file does not have them.
        if not csv_lines.is_name_of(station, path.name):
            text = _("the next export appends {rows} to {file}")
        elif path.name == station.csv_name:
            text = _("{file} lacks {rows} of it: {command} writes each at its place")
        else:
            text = _("{file} does not get {rows} of this archived file")
        own = settings.csv_dir / station.csv_name
        command = repair_commands.rebuild(own)
        place = text.format(rows=amount(elsewhere, "row"), file=own, command=command)
    return ImportOutcome(
        name=path.name,
        stored=stored,
        present=present - running.left_out,
        rejected=rejected.count,
        former=running.former,
        removed=running.left_out,
        minus_zeros=minus_zeros,
        rejected_path=rejected.path,
        endpoint=station.endpoint,
        header=tuple(filter(None, layout.columns)),
        missing=layout.missing,
        first_ms=min((first for first, _last in spans), default=None),
        last_ms=max((last for _first, last in spans), default=None),
        place=place,
    )


def _station(
    stations: Stations, name: str, header: tuple[str, ...], endpoint: str | None
) -> Station:
    """Return the station of the file; another one's exact header is taken for a mistake."""
    fitting = [station for station in stations.all if station.csv_header == header]
    endpoints = ", ".join(station.endpoint for station in fitting)
    named = [stations.by_endpoint[endpoint]] if endpoint else stations.all
    station = next((s for s in named if endpoint or csv_lines.is_name_of(s, name)), None)
    if station is None:
        text = _("no station has a file of this name: choose its station (--endpoint)")
        if fitting:
            text += _("; its header is that of {station}").format(station=endpoints)
        raise StationUnknown(text, [station.endpoint for station in fitting])
    if fitting and station not in fitting:
        text = _("its header is that of {station}, not of {chosen}")
        raise ImportRefused(text.format(station=endpoints, chosen=station.endpoint))
    return station


def _check_zone(target: Target, path: Path) -> None:
    """Raise ImportRefused for the station's file of the export in another time zone than this.

    Each of its rows would else become a reading that never existed.
    """
    is_own = target.path.exists() and path.samefile(target.path)
    if not is_own or target.of_its_station() is not target:
        return
    if target.is_rebuilt_beside():
        raise ImportRefused(_("an export was interrupted; run: flask10x export"))
    if other := target.other_zone(target.state.position):
        text = _("{what}: run the command with the service's settings")
        raise ImportRefused(text.format(what=other))


class _Import:
    """A file that is imported, and the transactions of its import."""

    def __init__(
        self, settings: Settings, database: Database, path: Path, options: ImportOptions
    ) -> None:
        """Raises ImportRefused when this is no file of a station, and OSError."""
        if not path.is_file():
            raise ImportRefused(
                _("it is no regular file") if path.exists() else _("there is no such file")
            )
        header = first_line(path)
        columns = header_of(header)
        self.station = station = _station(settings.stations, path.name, columns, options.endpoint)
        self.layout = layout = Layout(station, columns, options.columns)
        target = target_of(settings, database, station)
        rows = target.rows
        _check_zone(target, path)
        self._path, self._options, self._database = path, options, database
        self._begin = len(header)
        self._reader = LegacyReader(layout, settings.zone)
        # A station that was renamed keeps its readings under its former name.
        former = rows.log.files.endpoints - settings.stations.by_endpoint.keys()
        endpoints = (station.endpoint, *sorted(former))
        self._stored_rows = StoredRows(settings.zone, database, path, layout, endpoints)
        self._after_id = 0
        self.left_out = 0
        """Rows so far that may be readings that were removed."""
        self.former = Counter[str]()
        """Rows so far that are stored readings of a station that is no longer there."""
        self.same_bytes = 0
        """How many bytes the station's file begins with that are those of this one."""
        if target.path.is_file() and path.name == target.path.name:
            self.same_bytes = same_beginning(path, target.path)
        self._ranges = ImportedRanges(rows.all_imports, station, path, self.same_bytes)
        # The last id that the export has brought into the file of this name or one before. It never
        # writes a file of another name, for which nothing is needed about stored rows.
        is_own = csv_lines.is_name_of(station, path.name)
        exported = rows.log.files.last_id(station.endpoint, station.csv_name)
        self._exported = exported if is_own else sys.maxsize
        self._removed_ms = rows.removed.last_ms
        self._other_zones: OtherZones | None = None
        if not options.zone_is_right:
            self._other_zones = OtherZones(
                settings.zone, database, path, layout, endpoints, self._removed_ms
            )

    def blocks(self, rejected: RejectedRows, advance: Advance) -> Iterator[tuple[Block, int, int]]:
        """Yield the blocks with the offsets at which they begin and end; write the rejected rows.

        One of them ends at `same_bytes`. A block is done when the next one is asked for.
        """
        start = self._begin
        advance(start)
        same = max(start, self.same_bytes)
        of_both, of_this = blocks(self._path, start, same), blocks(self._path, same)
        for end, text_bytes in chain(of_both, of_this):
            is_torn = self._options.accept_last_line and not text_bytes.endswith(b"\n")
            block = self._reader.read(text_bytes + b"\n" if is_torn else text_bytes)
            rejected.write(block.rejections)
            yield block, start, end
            advance(end - start)
            start = end

    def store(self, block: Block, start: int, end: int) -> int:
        """Insert the rows of the block that are not stored yet; return their number.

        `start` and `end` are the offsets of the block.
        """
        if stored := self._stored_rows.like(block, start, end):
            new, places = self._compared(block, stored)
        else:
            new = [row for row in block.rows if not self._is_removed(row)]
            places = [(self._after_id, 0)] * len(new)
        if new and self._other_zones:
            # They are the first of the file that are not stored yet.
            self._other_zones.check(start)
            self._other_zones = None
        if places and not self._options.dry_run:
            self._database.commit_change(lambda c: self._insert(c, new, places, end), TRIES)
        return len(new)

    def _compared(self, block: Block, stored: Stored) -> tuple[list[InsertRow], list[Place]]:
        """Return the block's new rows, and the places of all rows that the export needs."""
        new: list[InsertRow] = []
        places: list[Place] = []
        for row in block.rows:
            ids = stored.get(key_of(block, row))
            if not ids:
                if not self._is_removed(row):
                    new.append(row)
                    places.append((self._after_id, 0))
                continue
            row_id = ids.pop(0)
            if row_id in self._stored_rows.former:
                self.former[self._stored_rows.former[row_id]] += 1
                continue
            if row_id in self._ranges:
                continue
            if row_id > self._exported:
                places.append((self._after_id, row_id))
            else:
                self._after_id = max(self._after_id, row_id)
        return new, places

    def _is_removed(self, row: InsertRow) -> bool:
        """Check whether the row may be a reading that was removed; counts it then."""
        is_removed = self._removed_ms is not None and row[1] <= self._removed_ms
        self.left_out += is_removed
        return is_removed

    def _insert(
        self, connection: Connection, rows: list[InsertRow], places: list[Place], end: int
    ) -> None:
        """Insert these rows, and record what the file holds up to the offset `end`."""
        if rows:
            insert_station_rows(connection, self.station, rows)
        # Only now: ids that were inserted by hand were passed over.
        next_id = last_id(connection) - len(rows) + 1
        for (after_id, row_id), group in groupby(places):
            count = len(list(group))
            first_id = row_id or next_id
            self._ranges.add(connection, (first_id, first_id + count - 1), after_id, end)
            if not row_id:
                next_id += count
