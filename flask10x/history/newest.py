"""The current values of stations: newest readings, older values that they lack, derived values.

A failed sensor may have been silent for a second or for years, and each page view needs its last
value. So the search goes first through the last readings of the station, then through its roll-ups,
one an hour, and then through the readings of one hour: some hundred, some thousand and some hundred
rows. All stations are read together.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import literal, select, union_all

from flask10x.database.expressions import spans
from flask10x.database.tables import measurement, readings, rollups
from flask10x.history.pages import EndOfRange, Row, end_rows
from flask10x.history.statements import STATEMENTS, rolled_up_in
from flask10x.history.sums import ends_of
from flask10x.history.view import View
from flask10x.readings.derived import TREND_HOURS, Derived, derived_by_station
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS, SECOND_MS

# Four hours of a station that sends twice a minute; a third of a millisecond on a PC.
RECENT_ROWS = 500
# A year. An older value is of no use.
HOURS_BACK = 366 * 24
# How far from three hours before a reading may be: in ten minutes the pressure changes by less than
# a barometer can measure.
TREND_SLACK_MS = 10 * 60 * SECOND_MS
# How far apart the compared readings of two stations may be.
APART_MS = 30 * 60 * SECOND_MS

Place = tuple[str, str]
"""An endpoint and a column."""


@dataclass(frozen=True, slots=True)
class OlderValue:
    """A value and when it was received, in UTC epoch milliseconds."""

    value: float
    received_at: int


@dataclass(frozen=True, slots=True)
class NewestReading:
    """The newest reading of a station that is shown, and the values that complete it."""

    row: Row | None
    """None while the station has no reading."""
    older: Mapping[str, OlderValue] = field(default_factory=dict)
    """The newest value of each column that the row lacks, if there is one."""
    derived: Mapping[str, float | None] = field(default_factory=dict)
    """All derived values of the station by name, in the order of their registry; empty without a
    row.

    The pressure is compared with that of TREND_HOURS before, to TREND_SLACK_MS; the temperature
    with the newest one outside, if the two readings lie within APART_MS."""


def missing_columns(station: Station, row: Row | None) -> tuple[str, ...]:
    """Return the columns of the station that its reading lacks; none without a reading."""
    pairs = zip(station.columns, row.values, strict=True) if row else ()
    return tuple(column for column, value in pairs if value is None)


def newest_readings(
    view: View, stations: Sequence[Station], *, raw: bool = False
) -> list[NewestReading]:
    """Return the newest reading of each of these stations; raises what reading raises.

    With `raw` the rows are as they were stored, also those that are hidden; older and derived
    values are as they are shown.
    """
    rows = end_rows(view, [EndOfRange(station.endpoint) for station in stations], raw=raw)
    older = older_values(
        view,
        {
            (row.endpoint, column): row
            for station, row in zip(stations, rows, strict=True)
            for column in missing_columns(station, row)
            if row is not None
        },
    )
    derived = _derived_values(view, [row for row in rows if row is not None], is_shown=not raw)
    return [
        NewestReading(
            row=row,
            older={
                column: older[station.endpoint, column]
                for column in station.columns
                if (station.endpoint, column) in older
            },
            derived={} if row is None else derived[row.endpoint],
        )
        for station, row in zip(stations, rows, strict=True)
    ]


def older_values(view: View, lacking: Mapping[Place, Row]) -> dict[Place, OlderValue]:
    """Return the newest value of each of these columns, which the newest reading lacks.

    A column is left out when it has no value in the last RECENT_ROWS readings nor in the roll-ups
    of the HOURS_BACK hours before the newest reading, or when that value is hidden.
    """
    values = _values_in(view, dict.fromkeys(lacking, (0, 0)), is_recent=True)
    rest = [place for place in lacking if place not in values]
    if rest and view.rollups.fits:
        last_hours = {place: lacking[place].received_at // HOUR_MS for place in rest}
        hours = newest_hours(view, {p: (n - HOURS_BACK, n + 1) for p, n in last_hours.items()})
        ends = {place: ends_of(hour) for place, hour in hours.items()}
        values |= _values_in(view, ends, is_recent=False)
    shown: dict[Place, OlderValue] = {}
    for place, older in values.items():
        value = view.corrections.shown(*place, older.received_at, older.value)
        if value is not None:
            shown[place] = OlderValue(value, older.received_at)
    return shown


def newest_hours(view: View, within: Mapping[Place, tuple[int, int]]) -> dict[Place, int]:
    """Return the newest hour of each of these columns that has a value, if there is one.

    It is looked for from the first hour to the last one, which is excluded. Of a sensor that is
    used it is one step in the index.
    """
    hours = json.dumps([(*place, *ends, 0) for place, ends in within.items()])
    rows = view.connection.execute(_NEWEST_HOURS, {"hours": hours})
    return {(endpoint, column): hour for endpoint, column, hour in rows if hour is not None}


def _values_in(
    view: View, ranges: Mapping[Place, tuple[int, int]], *, is_recent: bool
) -> dict[Place, OlderValue]:
    """Return the newest value of each column in its range, or among the last readings."""
    if not ranges:
        return {}
    columns = tuple(sorted({column for _, column in ranges}))
    lists = {
        f"column{place}": json.dumps(
            [
                (endpoint, None, *ends, 0)
                for (endpoint, name), ends in ranges.items()
                if name == column
            ]
        )
        for place, column in enumerate(columns)
    }
    records = view.connection.execute(_newest_values(columns, is_recent), lists)
    return {
        (endpoint, columns[place]): OlderValue(value, at) for place, endpoint, value, at in records
    }


@lru_cache(maxsize=STATEMENTS)
def _newest_values(columns: tuple[str, ...], is_recent: bool) -> Any:
    selects = [
        select(literal(place).label("number"), readings.c.endpoint, measurement(name), _AT)
        .select_from(ranges)
        .join(readings, readings.c.id == _newest_with_value(ranges, name, is_recent))
        for place, name in enumerate(columns)
        for ranges in (spans(f"column{place}"),)
    ]
    return union_all(*selects)


def _newest_with_value(ranges: Any, column: str, is_recent: bool) -> Any:
    """Return the id of the newest reading of the range with a value in this column."""
    rows = readings.alias()
    at: Any = rows.c.received_at
    number: Any = rows.c.id
    value: Any = measurement(column, rows)
    of_station = rows.c.endpoint == ranges.c.endpoint
    if is_recent:
        last = (
            select(number, at, value.label("value"))
            .where(of_station)
            .order_by(at.desc(), number.desc())
            .limit(RECENT_ROWS)
            .correlate(ranges)
            .subquery()
        )
        at, number, value = last.c.received_at, last.c.id, last.c.value
        query = select(number)
    else:
        within = of_station, at >= ranges.c.first, at <= ranges.c.second
        query = select(number).where(*within)
    newest = query.where(value.is_not(None)).order_by(at.desc(), number.desc()).limit(1)
    return newest.correlate(ranges).scalar_subquery()


_AT = readings.c.received_at
_HOURS = spans("hours")
_NEWEST_HOURS = select(
    *(_HOURS.c.endpoint, _HOURS.c.measurement),
    select(rollups.c.hour)
    .where(rolled_up_in(_HOURS, rollups.c.hour), rollups.c.count > 0)
    .order_by(rollups.c.hour.desc())
    .limit(1)
    .correlate(_HOURS)
    .scalar_subquery(),
)


def _derived_values(
    view: View, rows: Sequence[Row], *, is_shown: bool
) -> dict[str, dict[str, float | None]]:
    """Return all derived values of the stations of these newest rows, by endpoint.

    `is_shown` says whether the rows are as they are shown.
    """
    derived_of = derived_by_station(view.stations)
    row_of = {row.endpoint: row for row in rows} if is_shown else {}
    # The other readings that they are computed from.
    ends: dict[EndOfRange, None] = {}
    for row in rows:
        for derived in derived_of[row.endpoint].values():
            if derived.outside is not None:
                missing = [] if derived.outside[0] in row_of else [EndOfRange(derived.outside[0])]
                ends |= dict.fromkeys(missing)
            elif not derived.is_of_reading:
                ends |= dict.fromkeys(_around(row))
    found = dict(zip(ends, end_rows(view, list(ends)), strict=True))

    def values_of(row: Row) -> dict[str, float | None]:
        columns = view.stations.by_endpoint[row.endpoint].columns
        return dict(zip(columns, row.values, strict=True))

    def other_value(row: Row, derived: Derived) -> float | None:
        """Return the value outside, or the one nearest to three hours before."""
        if derived.outside is not None:
            endpoint, column = derived.outside
            other = row_of.get(endpoint) or found.get(EndOfRange(endpoint))
            is_near = other and abs(other.received_at - row.received_at) <= APART_MS
            return values_of(other)[column] if other and is_near else None
        at = row.received_at - TREND_HOURS * HOUR_MS
        around = [near for end in _around(row) if (near := found[end]) is not None]
        nearest = min(around, key=lambda near: abs(near.received_at - at), default=None)
        return None if nearest is None else values_of(nearest)[derived.inputs[0]]

    return {
        row.endpoint: {
            each.name: each.of(values)
            if each.is_of_reading
            else each.change(values[each.inputs[0]], other_value(row, each))
            for each in derived_of[row.endpoint].values()
        }
        for row in rows
        for values in (values_of(row),)
    }


def _around(row: Row) -> tuple[EndOfRange, EndOfRange]:
    """Return the readings before and after the instant three hours before."""
    at = row.received_at - TREND_HOURS * HOUR_MS
    return (
        EndOfRange(row.endpoint, at - TREND_SLACK_MS, at, newest=True),
        EndOfRange(row.endpoint, at, at + TREND_SLACK_MS, newest=False),
    )
