"""When readings came in, which is later than their own time for those that were sent late."""

from sqlalchemy import ColumnElement, Connection, func, select

from flask10x.database.engine import last_id
from flask10x.database.insert import existing_columns
from flask10x.database.tables import readings

# Enough for the longest silence that a station is given, few enough to be read without an index.
RECENT_ROWS = 10_000


def arrival(connection: Connection) -> ColumnElement[int]:
    """When a reading came in; its own time in a database of a version that took no late ones."""
    if readings.c.arrived_at.name not in existing_columns(connection):
        return readings.c.received_at
    return func.coalesce(readings.c.arrived_at, readings.c.received_at)


def recent(connection: Connection) -> dict[str, int]:
    """When the last late reading of an endpoint came in, among the last RECENT_ROWS of the log."""
    if readings.c.arrived_at.name not in existing_columns(connection):
        return {}
    query = select(readings.c.endpoint, func.max(readings.c.arrived_at)).where(
        readings.c.id > last_id(connection) - RECENT_ROWS, readings.c.arrived_at.is_not(None)
    )
    return dict(connection.execute(query.group_by(readings.c.endpoint)).all())
