"""The current values of stations: newest readings, older values that they lack, derived values.

A failed sensor may have been silent for a second or for years, and each page view needs its last
value. So the search goes first through the last readings of the station, then through its roll-ups,
one an hour, and then through the readings of one hour: some hundred, some thousand and some hundred
rows. All stations are read together.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, literal, select, union_all

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
    derived = _Derivation(view, [row for row in rows if row is not None], is_shown=not raw)
    return [
        NewestReading(
            row=row,
            older={
                column: older[station.endpoint, column]
                for column in station.columns
                if (station.endpoint, column) in older
            },
            derived={} if row is None else derived.of(row),
        )
        for station, row in zip(stations, rows, strict=True)
    ]


def older_values(view: View, lacking: Mapping[Place, Row]) -> dict[Place, OlderValue]:
    """Return the newest value of each of these columns, which the newest reading lacks.

    A column is left out when it has no value in the last RECENT_ROWS readings nor in the roll-ups
    of the HOURS_BACK hours before the newest reading, or when that value is hidden.
    """
    values = _recent(view, list(lacking))
    rest = [place for place in lacking if place not in values]
    if rest and view.rollups.fits:
        values |= _rolled_up(view, {place: lacking[place].received_at for place in rest})
    shown: dict[Place, OlderValue] = {}
    for place, older in values.items():
        value = view.corrections.shown(*place, older.received_at, older.value)
        if value is not None:
            shown[place] = OlderValue(value, older.received_at)
    return shown


def _recent(view: View, places: Sequence[Place]) -> dict[Place, OlderValue]:
    return _values_in(view, dict.fromkeys(places, (0, 0)), is_recent=True)


def _rolled_up(view: View, newest: Mapping[Place, int]) -> dict[Place, OlderValue]:
    """Return the values of the newest hour that has any before these instants."""
    places = list(newest)
    hours = [
        (*place, at // HOUR_MS - HOURS_BACK, at // HOUR_MS + 1, 0) for place, at in newest.items()
    ]
    newest_hours = view.connection.execute(_NEWEST_HOURS, {"hours": json.dumps(hours)})
    ends = {places[place]: ends_of(hour) for place, hour in newest_hours if hour is not None}
    return _values_in(view, ends, is_recent=False)


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


def _newest_hours() -> Select[Any]:
    newest = (
        select(rollups.c.hour)
        .where(rolled_up_in(_HOURS, rollups.c.hour), rollups.c.count > 0)
        .order_by(rollups.c.hour.desc())
        .limit(1)
    )
    return select(_HOURS.c.place, newest.correlate(_HOURS).scalar_subquery())


_NEWEST_HOURS = _newest_hours()


class _Derivation:
    """The derived values of the newest readings of stations."""

    def __init__(self, view: View, rows: Sequence[Row], *, is_shown: bool) -> None:
        """`is_shown` says whether the rows are as they are shown."""
        self._registry = view.stations
        self._of_stations = derived_by_station(view.stations)
        self._row_of = {row.endpoint: row for row in rows} if is_shown else {}
        ends = {end: None for row in rows for end in self._needed(row)}
        self._ends = dict(zip(ends, end_rows(view, list(ends)), strict=True))

    def of(self, row: Row) -> dict[str, float | None]:
        """Return all derived values of the station of this row."""
        values = dict(zip(self._columns(row), row.values, strict=True))
        derived: dict[str, float | None] = {}
        for each in self._of_stations[row.endpoint].values():
            if each.is_of_reading:
                derived[each.name] = each.of(values)
            else:
                other = (
                    self._outside(row, each.outside) if each.outside else self._earlier(row, each)
                )
                derived[each.name] = each.change(values[each.inputs[0]], other)
        return derived

    def _needed(self, row: Row) -> Iterator[EndOfRange]:
        """Yield the other readings that derived values of this row are computed from."""
        for each in self._of_stations[row.endpoint].values():
            if each.is_of_reading:
                continue
            if each.outside is None:
                yield from _around(row)
            elif each.outside[0] not in self._row_of:
                yield EndOfRange(each.outside[0])

    def _earlier(self, row: Row, trend: Derived) -> float | None:
        """Return the value of the station's reading nearest to three hours before."""
        at = row.received_at - TREND_HOURS * HOUR_MS
        rows = [near for end in _around(row) if (near := self._ends[end]) is not None]
        nearest = min(rows, key=lambda near: abs(near.received_at - at), default=None)
        return None if nearest is None else self._value(nearest, trend.inputs[0])

    def _outside(self, row: Row, outside: Place) -> float | None:
        endpoint, column = outside
        other = self._row_of.get(endpoint) or self._ends.get(EndOfRange(endpoint))
        if other is None or abs(other.received_at - row.received_at) > APART_MS:
            return None
        return self._value(other, column)

    def _value(self, row: Row, column: str) -> float | None:
        return row.values[self._columns(row).index(column)]

    def _columns(self, row: Row) -> tuple[str, ...]:
        return self._registry.by_endpoint[row.endpoint].columns


def _around(row: Row) -> tuple[EndOfRange, EndOfRange]:
    """Return the readings before and after the instant three hours before."""
    at = row.received_at - TREND_HOURS * HOUR_MS
    return (
        EndOfRange(row.endpoint, at - TREND_SLACK_MS, at, newest=True),
        EndOfRange(row.endpoint, at, at + TREND_SLACK_MS, newest=False),
    )
