"""Lines of a chart filled by SQLite: from readings, or from roll-ups and what they lack."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select

from flask10x.database.expressions import sums_of, unindexed
from flask10x.database.tables import readings, rollups
from flask10x.history.buckets import Bucket, Window
from flask10x.history.statements import Branch, FilterShape, filter_clauses, missing_clause
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import HOUR_MS

# A sender that leaves out two readings has a gap; one that only hurries or lags has none.
GAP_INTERVALS = 3


@dataclass(slots=True)
class Line:
    """One measurement of one station, its buckets by their number."""

    station: Station
    measurement: Measurement
    interval_ms: int | None
    """The usual time between two of the station's readings; None when that can't be told."""
    buckets: dict[int, Bucket] = field(default_factory=lambda: defaultdict(Bucket))

    @property
    def gap_ms(self) -> int | None:
        """A longer time without a reading is a gap."""
        return None if self.interval_ms is None else GAP_INTERVALS * self.interval_ms


@dataclass(frozen=True, slots=True)
class LineRequest:
    """One station's part of a question."""

    branch: Branch
    filters: tuple[FilterShape, ...]
    values: dict[str, float]

    @property
    def station(self) -> Station:
        """The station."""
        return self.branch[0]


def of_readings(
    connection: Connection, wanted: LineRequest, window: Window, lines: Sequence[Line]
) -> int:
    """Put the station's readings of the window into the lines; how many there are."""
    return sum(_read(connection, wanted, lines, ends, window) for ends in window.pieces())


def of_rollups(
    connection: Connection,
    wanted: LineRequest,
    window: Window,
    lines: Sequence[Line],
    rolled_up: int,
) -> int:
    """The same from roll-ups of whole hours; only for buckets of whole hours and no filters.

    Roll-ups hold the readings up to the id `rolled_up`. Later ones, and the broken hours at both
    ends, come from the readings.
    """
    first, end = -(-window.first_ms // HOUR_MS), (window.last_ms + 1) // HOUR_MS
    if first >= end:
        return of_readings(connection, wanted, window, lines)
    whole = (first * HOUR_MS, end * HOUR_MS - 1)
    broken = ((window.first_ms, whole[0] - 1), (whole[1] + 1, window.last_ms))
    count = sum(
        _read(connection, wanted, lines, ends, window) for ends in broken if ends[0] <= ends[1]
    )
    count += _read(connection, wanted, lines, whole, window, after=rolled_up)
    counts = [_read_rollups(connection, line, first, end, window) for line in lines]
    return count + counts[0]


def _read(
    connection: Connection,
    wanted: LineRequest,
    lines: Sequence[Line],
    ends: tuple[int, int],
    window: Window,
    after: int | None = None,
) -> int:
    """Add the readings between the ends, or only those stored after an id."""
    columns = tuple(line.measurement.column for line in lines)
    statement = _sums(wanted.branch, columns, wanted.filters, after is not None)
    parameters = {"low_ms": ends[0], "high_ms": ends[1], "bucket_ms": window.bucket_ms}
    parameters |= {} if after is None else {"after_id": after}
    count = 0
    for number, rows, *sums in connection.execute(statement, wanted.values | parameters):
        count += rows
        for line, part in zip(lines, _in_fours(sums), strict=True):
            if part[0]:
                line.buckets[number].add(*part)
    return count


def _read_rollups(connection: Connection, line: Line, first: int, end: int, window: Window) -> int:
    """Add the hours from `first` up to before `end`; how many readings they have."""
    parameters = {
        "endpoint": line.station.endpoint,
        "measurement": line.measurement.column,
        "first": first,
        "end": end,
        "hours": window.bucket_ms // HOUR_MS,
    }
    count = 0
    for number, rows, *sums in connection.execute(_SUMS_OF_HOURS, parameters):
        count += rows
        if sums[0]:
            line.buckets[number].add(*sums)
    return count


def _in_fours(sums: list[Any]) -> Iterator[tuple[Any, Any, Any, Any]]:
    return zip(*[iter(sums)] * 4, strict=True)


@lru_cache(maxsize=256)
def _sums(
    branch: Branch, columns: tuple[str, ...], filters: tuple[FilterShape, ...], only_new: bool
) -> Select[Any]:
    station, needed = branch
    at = readings.c.received_at
    endpoint: ColumnElement[str] = readings.c.endpoint
    number = (at // bindparam("bucket_ms")).label("number")
    limits: list[ColumnElement[bool]] = []
    if only_new:
        # Not by the index: these are the last few rows of the table.
        endpoint = unindexed(readings.c.endpoint)
        limits = [readings.c.id > bindparam("after_id")]
    return (
        select(number, func.count(), *(part for c in columns for part in sums_of(readings.c[c])))
        .where(endpoint == station.endpoint, *limits)
        .where(at >= bindparam("low_ms"), at <= bindparam("high_ms"))
        .where(*filter_clauses(filters), *missing_clause(needed))
        .group_by("number")
    )


_SUMS_OF_HOURS = (
    select(
        (rollups.c.hour // bindparam("hours")).label("number"),
        func.sum(rollups.c.readings),
        func.sum(rollups.c.count),
        func.total(rollups.c.total),
        func.min(rollups.c.minimum),
        func.max(rollups.c.maximum),
    )
    .where(
        rollups.c.endpoint == bindparam("endpoint"),
        rollups.c.measurement == bindparam("measurement"),
        rollups.c.hour >= bindparam("first"),
        rollups.c.hour < bindparam("end"),
    )
    .group_by("number")
)
