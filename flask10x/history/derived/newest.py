"""The derived values of a station's newest reading, those too that need others."""

from dataclasses import replace

from sqlalchemy import Connection

from flask10x.history import pages
from flask10x.history.pages import Row
from flask10x.history.query import Bound, Query
from flask10x.readings.derived.kinds import TREND_HOURS
from flask10x.readings.derived.registry import Derived, derived_by_station
from flask10x.readings.stations import Stations
from flask10x.readings.times import HOUR_MS, SECOND_MS

# So far from three hours before a reading may be; in ten minutes the pressure hardly ever changes
# by what a barometer can tell.
TREND_SLACK_MS = 10 * 60 * SECOND_MS
# So far apart readings of two stations may be that are compared.
APART_MS = 30 * 60 * SECOND_MS


def newest_derived(
    connection: Connection, known: Stations, row: Row | None
) -> dict[str, float | None]:
    """All derived values of the station by name, in the order of their registry; {} for no row.

    The pressure is compared with that of TREND_HOURS before, to TREND_SLACK_MS; the temperature
    with the newest one outside, if the two readings lie within APART_MS.
    """
    if row is None:
        return {}
    found: dict[str, float | None] = {}
    values = dict(zip(known.by_endpoint[row.endpoint].columns, row.values, strict=True))
    for one in derived_by_station(known)[row.endpoint].values():
        if one.is_of_reading:
            found[one.name] = one.of(values)
            continue
        other = _earlier(connection, known, row, one) if one.outside is None else None
        if one.outside is not None:
            other = _outside(connection, known, row, one.outside)
        found[one.name] = one.change(values[one.inputs[0]], other)
    return found


def _earlier(connection: Connection, known: Stations, row: Row, one: Derived) -> float | None:
    """The value of the station's reading nearest to three hours before."""
    at = row.received_at - TREND_HOURS * HOUR_MS
    base = Query(known=known, endpoints=(row.endpoint,), limit=1)
    low, middle, high = (Bound(at + ms, "", "") for ms in (-TREND_SLACK_MS, 0, TREND_SLACK_MS))
    before = replace(base, since=low, until=middle, order="desc")
    after = replace(base, since=middle, until=high, order="asc")
    rows = [*pages.page(connection, before).rows, *pages.page(connection, after).rows]
    nearest = min(rows, key=lambda found: abs(found.received_at - at), default=None)
    return None if nearest is None else _value(nearest, known, one.inputs[0])


def _outside(
    connection: Connection, known: Stations, row: Row, outside: tuple[str, str]
) -> float | None:
    endpoint, column = outside
    newest = Query(known=known, endpoints=(endpoint,), order="desc", limit=1)
    for other in pages.page(connection, newest).rows:
        if abs(other.received_at - row.received_at) <= APART_MS:
            return _value(other, known, column)
    return None


def _value(row: Row, known: Stations, column: str) -> float | None:
    return row.values[known.by_endpoint[row.endpoint].columns.index(column)]
