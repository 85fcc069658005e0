"""Where rows came from: the table `imports`, ranges of ids that an old file already holds.

The export must not append a row to the file that it was imported from, so each row that an
imported file holds and the export did not bring there is in one of that file's ranges.
"""

import time
from bisect import bisect_right
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from flask10x.database.expressions import unindexed
from flask10x.database.tables import imports, readings
from flask10x.readings import csv_names
from flask10x.readings.stations import Station


class ImportedRanges:
    """The ranges of one station's rows that one file holds. `load` first."""

    def __init__(self, station: Station, path: Path) -> None:
        """`path` is that of the file."""
        self._station = station
        self._file = str(path.absolute())
        self._known: list[tuple[int, int]] = []
        # Key, last_id and after_id of the range that was recorded last.
        self._latest: tuple[int, int, int] | None = None

    def load(self, connection: Connection) -> None:
        """Learn the ranges that earlier imports of a file of this name recorded."""
        query = select(imports.c.first_id, imports.c.last_id, imports.c.file).where(
            imports.c.endpoint == self._station.endpoint
        )
        found = connection.execute(query)
        self._known = sorted((first, last) for first, last, file in found if self._is_alike(file))

    def _is_alike(self, file: str) -> bool:
        """Whether that file has this one's name, or both are files of the station."""
        names = Path(self._file).name, Path(file).name
        return len(set(names)) == 1 or all(csv_names.is_of(self._station, name) for name in names)

    def __contains__(self, row_id: int) -> bool:
        """Whether an earlier import recorded this row."""
        place = bisect_right(self._known, row_id, key=lambda known: known[0])
        return place > 0 and row_id <= self._known[place - 1][1]

    def add(self, connection: Connection, first_id: int, last_id: int, after_id: int) -> None:
        """Record rows of the station that follow each other, in their transaction.

        `after_id` is the highest id that the export brought into the file above them, or 0.
        """
        latest = self._latest
        if latest and after_id == latest[2] and self._adjoins(connection, latest[1], first_id):
            key = latest[0]
            longer = update(imports).where(imports.c.id == key)
            connection.execute(longer.values(last_id=last_id))
        else:
            key = self._insert(connection, first_id, last_id, after_id)
        self._latest = (key, last_id, after_id)

    def _adjoins(self, connection: Connection, before: int, after: int) -> bool:
        """Whether these ids come in this order and no row of the station lies between them."""
        # Or SQLite would read the station's entries in the index from the first on.
        of_station = unindexed(readings.c.endpoint) == self._station.endpoint
        between = (readings.c.id > before) & (readings.c.id < after)
        found = select(readings.c.id).where(between, of_station).limit(1)
        return before < after and connection.execute(found).first() is None

    def _insert(self, connection: Connection, first_id: int, last_id: int, after_id: int) -> int:
        made = insert(imports).values(
            endpoint=self._station.endpoint,
            file=self._file,
            first_id=first_id,
            last_id=last_id,
            after_id=after_id,
            imported_at=int(time.time() * 1000),
        )
        key: int = connection.execute(made.returning(imports.c.id)).scalar_one()
        return key
