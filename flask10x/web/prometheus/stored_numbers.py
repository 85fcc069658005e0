"""What the database says, in one transaction that is broken off when it takes too long."""

from dataclasses import dataclass

from sqlalchemy import Connection

from flask10x.database import counters
from flask10x.database.dialects import last_id
from flask10x.history import pages, rollups
from flask10x.history.pages import Row
from flask10x.history.query import Query
from flask10x.readings.stations import Station, Stations
from flask10x.recording import rejected
from flask10x.runtime.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredNumbers:
    """One state of the database; times are UTC epoch milliseconds."""

    stored: int
    """Readings ever stored."""
    write_errors: int
    rejected_kept: int
    rejected_evicted: int
    rejected_dropped: int
    rollups_behind: int
    """Readings that are in no roll-up yet."""
    last_received: dict[str, int | None]
    """When each station was heard last; None when it has no reading."""
    leases: dict[str, str]
    """Which host has each lease, where there may be several hosts."""
    newest: dict[str, Row | None]
    """Each station's newest reading by the time it was measured, as it was stored."""


def stored_numbers(store: Store) -> StoredNumbers:
    """Raises QueryTooLong, or what reading raises: `read_errors.UNREADABLE`."""
    stations = store.settings.stations
    with store.database.promptly(), store.database.query() as connection:
        return StoredNumbers(
            stored=last_id(connection),
            write_errors=counters.write_errors(
                connection, store.settings, store.gauges.errors_total()
            ),
            rejected_kept=last_id(connection, "rejected"),
            rejected_evicted=counters.value_of(connection, rejected.EVICTED),
            rejected_dropped=counters.value_of(connection, rejected.DROPPED),
            rollups_behind=rollups.behind(connection),
            last_received=pages.last_received(stations, connection),
            leases=store.database.hosts.holders(connection),
            newest={one.endpoint: _newest(connection, stations, one) for one in stations.all},
        )


def _newest(connection: Connection, stations: Stations, station: Station) -> Row | None:
    query = Query(known=stations, endpoints=(station.endpoint,), order="desc", limit=1, raw=True)
    return next(iter(pages.page(connection, query).rows), None)
