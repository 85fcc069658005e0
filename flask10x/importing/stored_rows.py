"""The stored rows that are the same as rows of a file: read in its zone, or in another one.

A file that is read in another zone than it was written in has the readings that are stored, each at
another time. Imported, every one of them would become a second reading, which never was.
"""

import math
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import cache, cached_property, lru_cache
from gettext import gettext as _
from itertools import chain
from pathlib import Path
from zoneinfo import available_timezones

from sqlalchemy import bindparam, func, select

from flask10x.config.towns import towns
from flask10x.database.database import Database
from flask10x.database.insert import InsertRow
from flask10x.database.tables import csv_files, measurement, readings
from flask10x.errors import ImportRefused
from flask10x.export.rows import FileRows
from flask10x.importing.old_file import blocks
from flask10x.readings import times
from flask10x.readings.csv_lines import ParsedLine
from flask10x.readings.legacy_csv import Block, Layout, LegacyReader
from flask10x.readings.times import SECOND_MS, OtherZone, local_text, zone_name_of

# A file in the order of time looks at one earlier block at most; a few more are for the others.
BLOCKS_REMEMBERED = 8

Key = tuple[int, tuple[float | None, ...]]
"""What makes a row the same row: its second in local time and its values."""
Stored = dict[Key, list[int]]
"""The ids of stored rows that are the same row, lowest first."""
TimeSpan = tuple[int, int]
Offsets = tuple[int, int]


def key_of(block: Block, row: InsertRow) -> Key:
    """Return what makes this row of the block the same as another."""
    return block.second(row[1]), row[2:]


class StoredRows:
    """The stored rows that are the same as rows of a file, block by block in its order."""

    def __init__(
        self,
        zone: tzinfo | None,
        database: Database,
        path: Path,
        layout: Layout,
        endpoints: Collection[str],
    ) -> None:
        """`zone` is that of the file's times, as in `Settings.zone`; `endpoints` have the rows.

        Those are that of the station, and those of stations that are no longer there.
        """
        self._zone = zone
        self._database = database
        self._path = path
        self._layout = layout
        at = readings.c.received_at
        columns = map(measurement, layout.station.columns)
        self._query = select(readings.c.id, readings.c.endpoint, at, *columns).where(
            readings.c.endpoint.in_(endpoints),
            at.between(bindparam("first"), bindparam("last")),
        )
        self.former: dict[int, str] = {}
        """The ids of rows that are of another station than the file's, and which one it was."""
        self._blocks: list[tuple[TimeSpan, Offsets]] = []
        self._latest = -math.inf
        self._counts = lru_cache(BLOCKS_REMEMBERED)(self._count)

    def like(self, block: Block, start: int, end: int) -> Stored:
        """Return the stored rows like those of this block, which is from `start` to `end`.

        Without those that are the same row in an earlier block.
        """
        first, last = span = block.span()
        stored = self._stored(block, span)
        # No earlier block has rows of this span of time in a file in the order of time.
        if stored and first <= self._latest:
            for (earliest, latest), offsets in self._blocks:
                if earliest <= last and first <= latest:
                    counts = self._counts(*offsets)
                    for key, ids in stored.items():
                        del ids[: counts[key]]
        self._blocks.append((span, (start, end)))
        self._latest = max(self._latest, last)
        return stored

    def _stored(self, block: Block, span: TimeSpan) -> Stored:
        between = dict(zip(("first", "last"), span, strict=True))
        keys: set[Key] = set()
        stored: Stored = defaultdict(list)
        with self._database.reader.begin() as connection:
            for row_id, endpoint, received_at, *values in connection.execute(self._query, between):
                # Not before: where nothing is stored yet, the keys are not needed.
                keys = keys or {key_of(block, row) for row in block.rows}
                key = (block.second(received_at), tuple(values))
                if key in keys:
                    insort(stored[key], row_id)
                    if endpoint != self._layout.station.endpoint:
                        self.former[row_id] = endpoint
        return stored

    def _count(self, start: int, end: int) -> Counter[Key]:
        """Count each row between these offsets of the file."""
        reader = LegacyReader(self._layout, self._zone)
        blocks_read = (reader.read(text_bytes) for _, text_bytes in blocks(self._path, start, end))
        return Counter(key_of(block, row) for block in blocks_read for row in block.rows)


# A file is known in a zone that no export had by so many different readings, each of which is a
# stored one there. Fewer are stored ones in some zone by chance: a single reading of a thermometer
# that sends at the same second of each minute is one in 8 times, three that differ in none of 60.
# Two are enough where the station has the values of each only once in all those hours: of 4,320
# such pairs none was a stored one by chance, of 4,320 single readings 12 were.
DIFFERENT_READINGS = 3
UNIQUE_READINGS = 2
# As many show which zone it is.
ROWS_LOOKED_AT = 10


@dataclass(slots=True)
class ReadRows:
    """How many rows of a file are stored, as read in some zone."""

    stored: int = 0
    missing: int = 0
    """How many are not, though their time is after that of readings that were removed."""
    amid: int = 0
    """Of these, how many have a time between the times of stored rows."""
    first_ms: int = 0
    """The time of the first one that is stored."""


@dataclass(frozen=True)
class OtherZones:
    """Looks for the rows of a file among the stored ones, as if it was written in another zone."""

    zone: tzinfo | None
    """The one in which it is read, as in `Settings.zone`."""
    database: Database
    path: Path
    layout: Layout
    endpoints: Collection[str]
    """Those of the station, and of stations that are no longer there."""
    removed_ms: int | None
    """Until when readings of the station were removed: a row of that time may have been one."""

    def check(self, start: int) -> None:
        """Raise ImportRefused when the rows from `start` on are stored ones, in another zone.

        Read in the zone of a file of the station, most rows of its copy are stored; the others are
        those of the old server, or of a database that was lost. Of a file in a zone that no export
        has had, all of them are.
        """
        # Each reads the whole file.
        read = cache(self._read)
        exported = ((*each, True) for each in self._exported_zones())
        others = ((*each, False) for each in self._zones_of_first_rows(start))
        for name, zone, is_exported in chain(exported, others):
            there = read(zone, start, all_stored=not is_exported)
            is_copy = there.stored > there.amid if is_exported else not there.missing
            if is_copy and there.stored > read(self.zone, start).stored:
                shown = (local_text(there.first_ms, each) for each in (zone, self.zone))
                text = _(
                    "{what}; its rows are stored already, and would be stored a second time with"
                    " other times. Import it in the time zone {zone}; if they are other readings,"
                    " store them with flask10x import --zone-is-right"
                )
                what = OtherZone(name, zone_name_of(self.zone), *shown)
                raise ImportRefused(text.format(what=what, zone=name))

    @cached_property
    def _between(self) -> tuple[int, int]:
        """The times of the station's first and last stored row; both 0 without one."""
        at = readings.c.received_at
        ends = []
        with self.database.reader.begin() as connection:
            for name in self.endpoints:
                # Each by one look into the index; together, SQLite would read all of its entries.
                for end in (func.min, func.max):
                    query = select(end(at)).where(readings.c.endpoint == name)
                    ends.append(connection.execute(query).scalar_one() or 0)
        there = [*filter(None, ends)] or [0]
        return min(there) // SECOND_MS * SECOND_MS, max(there)

    def _exported_zones(self) -> Iterator[tuple[str, tzinfo]]:
        """Yield the zones of the station's files in which these times are others than here."""
        query = select(csv_files.c.zone).where(csv_files.c.endpoint.in_(self.endpoints))
        with self.database.reader.begin() as connection:
            names = set(connection.execute(query).scalars())
        for name in sorted(filter(None, names)):
            zone = times.zone_of(name)
            if zone and times.first_difference(zone, self.zone, *self._between) is not None:
                yield name, zone

    def _read(self, zone: tzinfo | None, start: int, *, all_stored: bool = False) -> ReadRows:
        """Read the rows in this zone, and count them; with `all_stored` until one is missing."""
        read, (first, last) = ReadRows(), self._between
        reader = LegacyReader(self.layout, zone)
        rows = StoredRows(zone, self.database, self.path, self.layout, self.endpoints)
        for end, text_bytes in blocks(self.path, start):
            block = reader.read(text_bytes)
            stored = rows.like(block, start, end) if block.rows else {}
            for row in block.rows:
                ids = stored.get(key_of(block, row))
                if ids:
                    ids.pop()
                    read.first_ms = read.first_ms or row[1]
                    read.stored += 1
                elif self.removed_ms is None or row[1] > self.removed_ms:
                    read.missing += 1
                    read.amid += first <= row[1] <= last
            if all_stored and read.missing:
                break
            start = end
        return read

    def _zones_of_first_rows(self, start: int) -> Iterator[tuple[str, tzinfo]]:
        """Yield the zones in which the first rows are stored ones, one of those of equal times.

        None where the rows are too few or too much alike, or are stored ones at more than one
        shift: where readings repeat themselves.
        """
        rows = self._different_rows(start)
        different = len({row[2:] for row in rows})
        is_enough = different >= DIFFERENT_READINGS or (
            different == UNIQUE_READINGS and all(map(self._is_unique, rows))
        )
        if not is_enough:
            return
        stored, offsets = FileRows(self.database, self.layout.station), list[set[int]]()
        seconds = [row[1] // SECOND_MS for row in rows]
        for second, row in zip(seconds, rows, strict=True):
            # How many seconds ahead of UTC this row is a stored one.
            like = stored.in_other_zone(ParsedLine(row[1], row[1], row[2:]))
            offsets.append({second - ms // SECOND_MS for ms in like})
        if not all(offsets):
            return
        fitting: dict[str, tzinfo] = {}
        shifts = set[tuple[int, ...]]()
        # Those of towns first: more people know them.
        names = dict.fromkeys([*(town.zone for town in towns()), *sorted(available_timezones())])
        for name in names:
            zone = times.zone_of(name)
            if zone and (shift := _shift_in(zone, seconds, offsets)):
                fitting[name] = zone
                shifts.add(shift)
        if len(shifts) != 1:
            return
        others: list[tzinfo] = []
        for name, zone in fitting.items():
            if all(times.first_difference(zone, each, *self._between) for each in others):
                others.append(zone)
                yield name, zone

    def _is_unique(self, row: InsertRow) -> bool:
        """Check whether the station has these values at most once in the hours of all zones.

        The row is read as UTC.
        """
        low, high = (offset * SECOND_MS for offset in times.OFFSETS_SEC)
        pairs = zip(self.layout.station.columns, row[2:], strict=True)
        query = select(func.count()).where(
            readings.c.endpoint == self.layout.station.endpoint,
            readings.c.received_at.between(row[1] - high, row[1] - low),
            *(measurement(name).is_not_distinct_from(value) for name, value in pairs),
        )
        with self.database.reader.begin() as connection:
            return connection.execute(query).scalar_one() <= 1

    def _different_rows(self, start: int) -> list[InsertRow]:
        """Return the first rows that differ from those above them, read as UTC.

        Without rows that may have been removed.
        """
        _end, text_bytes = next(blocks(self.path, start))
        # In no zone the time of a row is earlier.
        earlier_ms = times.OFFSETS_SEC[1] * SECOND_MS
        different: list[InsertRow] = []
        for row in LegacyReader(self.layout, UTC).read(text_bytes).rows:
            is_removed = self.removed_ms is not None and row[1] - earlier_ms <= self.removed_ms
            if not is_removed and (not different or row[2:] != different[-1][2:]):
                different.append(row)
        return different[:ROWS_LOOKED_AT]


def _shift_in(
    zone: tzinfo, seconds: Iterable[int], offsets: Iterable[set[int]]
) -> tuple[int, ...] | None:
    """Return how far ahead of UTC the zone is at each of these local times, if it may be that."""
    shift = []
    for second, possible in zip(seconds, offsets, strict=True):
        # Two where the clock is put back between two stored rows that are alike.
        there = [each for each in possible if times.utc_offset(second - each, zone) == each]
        if not there:
            return None
        shift.append(there[0])
    return tuple(shift)
