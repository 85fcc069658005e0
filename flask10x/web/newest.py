"""What is known of each station now: its newest reading, how old it is, whether the station is
silent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from flask10x.history import pages
from flask10x.history.derived.newest import newest_derived
from flask10x.history.last_values import OlderValue, last_values
from flask10x.history.pages import Row
from flask10x.history.query import Query
from flask10x.history.silence import SilenceVerdict
from flask10x.readings.stations import Station
from flask10x.runtime.station_watch import silence_of
from flask10x.runtime.store import Store
from flask10x.web.alert_state import state


@dataclass(frozen=True, kw_only=True, slots=True)
class Latest:
    """What is known of a station now."""

    station: Station
    silence: SilenceVerdict
    row: Row | None
    """Its newest reading, which may be older than that: a late one, or the next one is not stored
    yet. None while it has none."""
    older: Mapping[str, OlderValue]
    """The newest value of each column that the newest reading lacks, where one is known."""
    derived: Mapping[str, float | None]
    """What is computed from the newest reading, by name; empty where there is none."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The columns that the newest reading lacks."""
        return missing_columns(self.station, self.row)


def missing_columns(station: Station, row: Row | None) -> tuple[str, ...]:
    """The columns of the station that its reading lacks; none for no reading."""
    pairs = zip(station.columns, row.values, strict=True) if row else ()
    return tuple(column for column, value in pairs if value is None)


def latest(
    connection: Connection, store: Store, stations: Iterable[Station], *, raw: bool = False
) -> list[Latest]:
    """What is known of these stations, in their order; raises what reading raises.

    With `raw` the newest reading is as it was stored, also one that is hidden.
    """
    last = pages.last_received(store.settings.stations, connection)
    return [_latest(connection, store, one, last[one.endpoint], raw) for one in stations]


def _latest(
    connection: Connection, store: Store, station: Station, last: int | None, raw: bool
) -> Latest:
    """`last` is when the database has heard of it last, in epoch milliseconds."""
    known = store.settings.stations
    newest = Query(known=known, endpoints=(station.endpoint,), order="desc", limit=1, raw=raw)
    row = next(iter(pages.page(connection, newest).rows), None)
    missing = missing_columns(station, row)
    is_alerted = station.endpoint in state().known().silent
    return Latest(
        station=station,
        silence=silence_of(station, last, store.settings, store.gauges, is_alerted=is_alerted),
        row=row,
        older=last_values(connection, known, row, missing) if row else {},
        derived=newest_derived(connection, known, row),
    )
