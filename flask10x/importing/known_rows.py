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
from flask10x.database.rows import Row
from flask10x.database.tables import readings
from flask10x.importing.old_file import blocks
from flask10x.readings.legacy_csv import Layout, LegacyReader, Page
from flask10x.readings.stations import Station

# A file in the order of time looks at one earlier page at most; a few more are for the others.
PAGES_REMEMBERED = 8

Key = tuple[int, tuple[float | None, ...]]
"""What makes a row the same row: its second in local time and its values."""
Stored = dict[Key, list[int]]
"""The ids of stored rows that are the same row, lowest first."""
Span = tuple[int, int]


def key_of(page: Page, row: Row) -> Key:
    """What makes this row of the page the same as another."""
    return page.second(row[1]), row[2:]


class StoredRows:
    """The stored rows that are the same as rows of one file, page by page in its order."""

    def __init__(self, settings: Settings, database: Database, path: Path, layout: Layout) -> None:
        """`layout` is that of the file at `path`."""
        self._zone = settings.zone
        self._database = database
        self._path = path
        self._layout = layout
        self._query = _rows_between(layout.station)
        self._pages: list[tuple[Span, Span]] = []
        self._latest = -math.inf
        self._counts = lru_cache(PAGES_REMEMBERED)(self._count)

    def like(self, page: Page, start: int, end: int) -> Stored:
        """The stored rows like those of this page, which the file has from `start` to `end`.

        Without those that stand for the same row on an earlier page.
        """
        span = page.span()
        stored = self._found(page, span)
        if stored:
            for earlier in self._overlapping(span):
                counts = self._counts(*earlier)
                for key, ids in stored.items():
                    del ids[: counts[key]]
        self._pages.append((span, (start, end)))
        self._latest = max(self._latest, span[1])
        return stored

    def _found(self, page: Page, span: Span) -> Stored:
        between = dict(zip(("first", "last"), span, strict=True))
        wanted: set[Key] = set()
        found: Stored = defaultdict(list)
        with self._database.reader.begin() as connection:
            for row_id, received_at, *values in connection.execute(self._query, between):
                # Not before: where nothing is stored yet, nobody needs the keys.
                wanted = wanted or {key_of(page, row) for row in page.rows}
                key = (page.second(received_at), tuple(values))
                if key in wanted:
                    insort(found[key], row_id)
        return found

    def _overlapping(self, span: Span) -> Iterator[Span]:
        """The offsets of earlier pages in which rows of this span of time may stand."""
        first, last = span
        # Nothing to look through for a file in the order of time.
        if first > self._latest:
            return
        for (earliest, latest), offsets in self._pages:
            if earliest <= last and first <= latest:
                yield offsets

    def _count(self, start: int, end: int) -> Counter[Key]:
        """How often each row stands between these offsets of the file."""
        reader = LegacyReader(self._layout, self._zone)
        pages = (reader.page(block) for _, block in blocks(self._path, start, end))
        return Counter(key_of(page, row) for page in pages for row in page.rows)


def _rows_between(station: Station) -> Select[Any]:
    """The station's rows from `first` to `last`: id, received_at, values."""
    columns = (readings.c[name] for name in ("id", "received_at", *station.columns))
    return select(*columns).where(
        readings.c.endpoint == station.endpoint,
        readings.c.received_at.between(bindparam("first"), bindparam("last")),
    )
