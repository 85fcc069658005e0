"""Since when the service has this database: what an import brought along is older, and no sign."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from flask10x.database.tables import imports, readings


@dataclass(frozen=True, slots=True)
class FirstReading:
    """The first reading that a station has sent, of those that are kept."""

    id: int
    came_at: int
    """When it came, in UTC epoch milliseconds."""


def began_at(connection: Connection) -> int | None:
    """When the first reading came or the first import was made, in UTC epoch milliseconds.

    None while there was neither.
    """
    first = first_sent(connection)
    imported_at = connection.execute(select(func.min(imports.c.imported_at))).scalar_one()
    times: list[int] = [] if first is None else [first.came_at]
    times += [] if imported_at is None else [imported_at]
    return min(times, default=None)


def first_sent(connection: Connection) -> FirstReading | None:
    """None while all readings came from files. A step into the index for each import."""
    came_at = func.coalesce(readings.c.arrived_at, readings.c.received_at).label("came_at")
    query = select(readings.c.id, came_at).order_by(readings.c.id).limit(1)
    ranges = select(imports.c.first_id, imports.c.last_id).order_by(imports.c.first_id)
    passed = 0
    for first_id, last_id in connection.execute(ranges):
        # Between two imports there may be ids that no reading has.
        if first_id > passed + 1:
            between = query.where(readings.c.id > passed, readings.c.id < first_id)
            row = connection.execute(between).one_or_none()
            if row is not None:
                return FirstReading(row.id, row.came_at)
        passed = max(passed, last_id)
    row = connection.execute(query.where(readings.c.id > passed)).one_or_none()
    return FirstReading(row.id, row.came_at) if row is not None else None
