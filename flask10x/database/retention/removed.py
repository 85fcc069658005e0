"""How far each station's readings were removed (RETENTION_DAYS), in the order of their ids."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from flask10x.database.expressions import upsert
from flask10x.database.tables import removed as table


@dataclass(frozen=True, slots=True)
class Removed:
    """What is gone of one station."""

    last_id: int = 0
    """Its readings up to this id are gone; 0 when none was ever removed."""
    last_ms: int | None = None
    """None of them was received later than this, in UTC epoch milliseconds."""
    readings: int = 0
    """How many they were."""


NOTHING_REMOVED = Removed()


def load(connection: Connection) -> dict[str, Removed]:
    """What is gone, by the station's endpoint; nothing of a station from which nothing is."""
    return {
        row.endpoint: Removed(row.last_id, row.last_ms, row.readings)
        for row in connection.execute(select(table))
    }


def of_station(connection: Connection, endpoint: str) -> Removed:
    """What is gone of this station."""
    query = select(table).where(table.c.endpoint == endpoint)
    row = connection.execute(query).one_or_none()
    return NOTHING_REMOVED if row is None else Removed(row.last_id, row.last_ms, row.readings)


def total(connection: Connection) -> int:
    """How many readings are gone, of all stations."""
    return connection.execute(select(func.sum(table.c.readings))).scalar_one() or 0


def note(connection: Connection, endpoint: str, removed: Removed) -> None:
    """Note in the transaction that removes them how far the station's readings are gone."""
    noted = upsert(table).values(
        endpoint=endpoint,
        last_id=removed.last_id,
        last_ms=removed.last_ms,
        readings=removed.readings,
    )
    connection.execute(noted)
