"""Which rows of an old file the database has already."""

import math
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Select, bindparam, select

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.database.insert import InsertRow
from flask10x.database.tables import measurement, readings
from flask10x.importing.old_file import blocks
from flask10x.readings.legacy_csv import Block, Layout, LegacyReader
from flask10x.readings.stations import Station

# A file in the order of time looks at one earlier block at most; a few more are for the others.
BLOCKS_REMEMBERED = 8

Key = tuple[int, tuple[float | None, ...]]
"""What makes a row the same row: its second in local time and its values."""
Stored = dict[Key, list[int]]
"""The ids of stored rows that are the same row, lowest first."""
TimeSpan = tuple[int, int]
Offsets = tuple[int, int]


def key_of(block: Block, row: InsertRow) -> Key:
    """What makes this row of the block the same as another."""
    return block.second(row[1]), row[2:]


class StoredRows:
    """The stored rows that are the same as rows of one file, block by block in its order."""

    def __init__(self, settings: Settings, database: Database, path: Path, layout: Layout) -> None:
        """`layout` is that of the file at `path`."""
        self._zone = settings.zone
        self._database = database
        self._path = path
        self._layout = layout
        self._query = _rows_between(layout.station)
        self._blocks: list[tuple[TimeSpan, Offsets]] = []
        self._latest = -math.inf
        self._counts = lru_cache(BLOCKS_REMEMBERED)(self._count)

    def like(self, block: Block, start: int, end: int) -> Stored:
        """The stored rows like those of this block, which the file has from `start` to `end`.

        Without those that stand for the same row in an earlier block.
        """
        span = block.span()
        stored = self._found(block, span)
        if stored:
            for earlier in self._overlapping(span):
                counts = self._counts(*earlier)
                for key, ids in stored.items():
                    del ids[: counts[key]]
        self._blocks.append((span, (start, end)))
        self._latest = max(self._latest, span[1])
        return stored

    def _found(self, block: Block, span: TimeSpan) -> Stored:
        between = dict(zip(("first", "last"), span, strict=True))
        wanted: set[Key] = set()
        found: Stored = defaultdict(list)
        with self._database.reader.begin() as connection:
            for row_id, received_at, *values in connection.execute(self._query, between):
                # Not before: where nothing is stored yet, nobody needs the keys.
                wanted = wanted or {key_of(block, row) for row in block.rows}
                key = (block.second(received_at), tuple(values))
                if key in wanted:
                    insort(found[key], row_id)
        return found

    def _overlapping(self, span: TimeSpan) -> Iterator[Offsets]:
        """The offsets of earlier blocks in which rows of this span of time may stand."""
        first, last = span
        # Nothing to look through for a file in the order of time.
        if first > self._latest:
            return
        for (earliest, latest), offsets in self._blocks:
            if earliest <= last and first <= latest:
                yield offsets

    def _count(self, start: int, end: int) -> Counter[Key]:
        """How often each row stands between these offsets of the file."""
        reader = LegacyReader(self._layout, self._zone)
        blocks_read = (reader.read(text_bytes) for _, text_bytes in blocks(self._path, start, end))
        return Counter(key_of(block, row) for block in blocks_read for row in block.rows)


def _rows_between(station: Station) -> Select[Any]:
    """The station's rows from `first` to `last`: id, received_at, values."""
    columns = map(measurement, station.columns)
    return select(readings.c.id, readings.c.received_at, *columns).where(
        readings.c.endpoint == station.endpoint,
        readings.c.received_at.between(bindparam("first"), bindparam("last")),
    )
