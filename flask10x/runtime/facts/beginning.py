"""Since when the service has this database: what an import brought along is older, and no sign."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from flask10x.database.tables import imports, readings


class Import(NamedTuple):
    """The ids of readings that came from a file, and when they came."""

    first_id: int
    last_id: int
    imported_at: int
    """UTC epoch milliseconds."""


_IMPORTS = select(*(imports.c[name] for name in Import._fields)).order_by(imports.c.first_id)


@dataclass(frozen=True, slots=True)
class FirstReading:
    """The first reading that a station has sent, of those that are kept."""

    id: int
    came_at: int
    """When it came, in UTC epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the database holds from its beginning on."""

    first: FirstReading | None
    """None while all readings came from files."""
    imports: tuple[Import, ...]

    @property
    def at(self) -> int | None:
        """When the first reading came or the first import was made, in UTC epoch milliseconds.

        None while there was neither.
        """
        times = [one.imported_at for one in self.imports]
        times += [] if self.first is None else [self.first.came_at]
        return min(times, default=None)

    def imported(self, from_id: int) -> int:
        """How many of the readings from this id on came from files."""
        return sum(
            one.last_id - max(one.first_id, from_id) + 1
            for one in self.imports
            if one.last_id >= from_id
        )


def beginning(connection: Connection) -> Beginning:
    """What is known now; raises what reading raises. A step into the index for each import."""
    rows = tuple(map(Import._make, connection.execute(_IMPORTS).all()))
    return Beginning(_first_sent(connection, rows), rows)


def _first_sent(connection: Connection, rows: Sequence[Import]) -> FirstReading | None:
    came_at = func.coalesce(readings.c.arrived_at, readings.c.received_at).label("came_at")
    query = select(readings.c.id, came_at).order_by(readings.c.id).limit(1)
    passed = 0
    for first_id, last_id, _ in rows:
        # Between two imports there may be ids that no reading has.
        if first_id > passed + 1:
            between = query.where(readings.c.id > passed, readings.c.id < first_id)
            row = connection.execute(between).one_or_none()
            if row is not None:
                return FirstReading(row.id, row.came_at)
        passed = max(passed, last_id)
    row = connection.execute(query.where(readings.c.id > passed)).one_or_none()
    return FirstReading(row.id, row.came_at) if row is not None else None
