"""The rules on values: `threshold`, a value beyond a limit; `rate`, one that changes fast; and
`stuck`, one that does not change.

All rules on values share one query for the readings that came since the last step. No query is made
while no reading comes. The readings of a station are in the order of their measurement; one that is
older than an earlier one is left out. The first step returns the newest ones once more, so that the
rules continue where the service or the worker ended.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from itertools import chain
from statistics import median
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Row, select

from flask10x.alerts.alert import Active, Fact, Facts, Moment, Verdict
from flask10x.alerts.due import local
from flask10x.config.alerts.rules import Rate, Stuck, Threshold, is_between
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.expressions import unindexed
from flask10x.database.tables import imports, measurement, readings
from flask10x.readings.stations import Measurement, Stations
from flask10x.recording.shared_queue import SharedQueues
from flask10x.system.gauges import Gauges

# How many ids one step goes through, which takes milliseconds. After a disk has stalled the
# readings come in several steps.
SPAN_ROWS = 5000
# How long a row may be on its way after memory has told of it: rejected ones are stored every 5 s.
REST_MS = 8000
# How soon readings are found that another process stores, such as a command.
LOOK_EVERY_MS = 60_000
# A reading that came so long after its measurement says nothing about the present.
LATE_MS = 3_600_000
# The clock of a board may be this far ahead. A reading further ahead has a wrong time, and does not
# make those with a right time old.
AHEAD_MS = 600_000
# At the first step older readings are those of a station that was taken out of use.
STALE_MS = 24 * 3_600_000
# The time that the first step goes back at least; a rule may ask for more.
REPLAYED_MS = 7_200_000
# The most readings of a station that the first step returns.
REPLAYED_MAX = 20_000
REPLAY_PAGE_ROWS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class NewReading:
    """One stored reading of a station."""

    endpoint: str
    at_ms: int
    """When it was measured, in UTC epoch milliseconds."""
    is_late: bool
    """Whether it is too old to fire or to resolve an alert by itself."""
    values: dict[str, float | None]
    """By column, those that some rule needs."""
    faults: dict[str, float | None] = field(default_factory=dict)
    """The columns whose sensors have failed, with their fault values where they are known; filled
    by the rule on failed sensors, which keeps only the good ones as values."""


T = TypeVar("T")
Source = Callable[[Moment], Sequence[T]]
"""Returns what is new in this step, in the order of time."""


def in_order(
    readings: Iterable[NewReading], newest: dict[str, int], now: Moment
) -> Iterator[NewReading]:
    """Return the readings by their time, without those that are older than the newest one before.

    `newest` has that time of each station, and is kept up to date. A time far ahead does not count.
    """
    for reading in sorted(readings, key=lambda reading: reading.at_ms):
        newest_ms = newest.get(reading.endpoint, reading.at_ms)
        if reading.at_ms >= newest_ms or newest_ms > now.wall_ms + AHEAD_MS:
            newest[reading.endpoint] = reading.at_ms
            yield reading


def measured(of: Measurement, value: float | None) -> float | None:
    """Return the value, or None where it is missing or a fault value of the sensor.

    This includes fault values that may also be measured (`Fault.warning_only`).
    """
    return None if any(fault.value == value for fault in of.faults) else value


class NewRows(ABC, Generic[T]):
    """The new rows of a table, which several rules need; they are queried once a step."""

    table: str
    span_rows: int
    """How many ids one step goes through."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._moment: Moment | None = None
        self._rows: Sequence[T] = ()
        self._error: Exception | None = None
        self._last_id: int | None = None
        self._signs: object = None
        self._look_at_ms = self._rest_ms = 0

    def __call__(self, now: Moment) -> Sequence[T]:
        """Return the new rows of this step, the same for each caller. Raises as a query does."""
        if now is not self._moment:
            self._moment, self._rows, self._error = now, (), None
            if (signs := self._came()) != self._signs:
                self._signs, self._rest_ms = signs, now.monotonic_ms + REST_MS
            is_due = not self._rest_ms <= now.monotonic_ms < self._look_at_ms
            if is_due or self._last_id is None:
                self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
                try:
                    self._rows = self._look(now)
                except Exception as error:
                    self._error = error
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._rows

    def _look(self, now: Moment) -> Sequence[T]:
        with self._database.query() as connection:
            head = last_id(connection, self.table)
            until = head if self._last_id is None else min(head, self._last_id + self.span_rows)
            rows = self._between(connection, self._last_id, until, now)
        self._last_id = until
        if until < head:
            self._look_at_ms = now.monotonic_ms
        return rows

    @abstractmethod
    def _came(self) -> object:
        """Return what memory says of rows that came; while it is the same, none is new."""

    @abstractmethod
    def _between(
        self, connection: Connection, after: int | None, until: int, now: Moment
    ) -> Sequence[T]:
        """Return the rows with an id above `after`, up to `until`.

        At the first step `after` is None, and the newest ones are returned once more.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """The readings that some rules need."""

    columns: Mapping[str, Collection[str]]
    """The columns of each endpoint."""
    replayed_ms: int = REPLAYED_MS
    """The first step returns the readings of this time before the newest one of a station."""
    replayed_rows: int = 0
    """The first step returns at least this number of readings of a station."""


# The columns of a reading, beside those of its measurements.
HEAD = (readings.c.id, readings.c.endpoint, readings.c.received_at, readings.c.arrived_at)


class NewReadings(NewRows[NewReading]):
    """The new readings of the stations that some rules need."""

    table, span_rows = "readings", SPAN_ROWS

    def __init__(
        self, database: Database, gauges: Gauges, queues: SharedQueues, scope: Scope
    ) -> None:
        """Make no query yet."""
        super().__init__(database)
        self._gauges, self._queues = gauges, queues
        self._scope, self._columns = scope, scope.columns
        self._all = tuple(dict.fromkeys(chain.from_iterable(scope.columns.values())))
        self._newest: dict[str, int] = {}

    def _look(self, now: Moment) -> list[NewReading]:
        return list(in_order(super()._look(now), self._newest, now))

    def _came(self) -> object:
        received = [self._gauges.station(name).last_received_ms for name in self._columns]
        return self._queues.length(), received

    def _replayed(self, connection: Connection, now: Moment) -> list[NewReading]:
        replayed = []
        for endpoint, columns in self._columns.items():
            query = select(*HEAD, *map(measurement, columns)).where(readings.c.endpoint == endpoint)
            query = query.order_by(readings.c.received_at.desc()).limit(REPLAYED_MAX)
            rows = connection.execute(query.execution_options(yield_per=REPLAY_PAGE_ROWS))
            of_station: list[NewReading] = []
            for row in rows:
                oldest_ms = of_station[0].at_ms - self._scope.replayed_ms if of_station else 0
                if row.received_at < oldest_ms and len(of_station) >= self._scope.replayed_rows:
                    break
                reading = self._reading(row, columns)
                is_stale = now.wall_ms - reading.at_ms > STALE_MS
                of_station.append(replace(reading, is_late=reading.is_late or is_stale))
            rows.close()
            replayed += of_station
        return replayed

    def _between(
        self, connection: Connection, after: int | None, until: int, now: Moment
    ) -> list[NewReading]:
        if after is None:
            return self._replayed(connection, now)
        if until == after:
            return []
        imported = [
            range(row.first_id, row.last_id + 1)
            for row in connection.execute(
                select(imports.c.first_id, imports.c.last_id).where(imports.c.last_id > after)
            )
        ]
        # With the index it would read all entries of these stations.
        of_stations = unindexed(readings.c.endpoint).in_(tuple(self._columns))
        query = select(*HEAD, *map(measurement, self._all)).where(of_stations)
        query = query.where(readings.c.id > after, readings.c.id <= until).order_by(readings.c.id)
        return [
            self._reading(row, self._all)
            for row in connection.execute(query)
            if not any(row.id in span for span in imported)
        ]

    def _reading(self, row: Row[Any], columns: Collection[str]) -> NewReading:
        values = dict(zip(columns, row[len(HEAD) :], strict=True))
        return NewReading(
            endpoint=row.endpoint,
            at_ms=row.received_at,
            values={column: values[column] for column in self._columns[row.endpoint]},
            is_late=is_late(row.received_at, row.arrived_at),
        )


def is_late(measured_at: int, came_at: int | None) -> bool:
    """Return whether a reading came too late to say anything about the present."""
    return came_at is not None and came_at - measured_at > LATE_MS


R = TypeVar("R", Rate, Stuck, Threshold)


def measurement_of(rule: Rate | Stuck | Threshold, stations: Stations) -> Measurement:
    """Return the measurement that a rule watches."""
    of_station = stations.by_endpoint[rule.station].measurements
    return next(measurement for measurement in of_station if measurement.column == rule.column)


class OfMeasurement(ABC, Generic[R]):
    """Evaluates a rule on one measurement of one station."""

    def __init__(self, rule: R, of: Measurement, readings: Source[NewReading]) -> None:
        """`readings` returns the new readings of a step, with the column of the rule."""
        self.rule: R = rule
        self._of = of
        self._readings = readings
        self._subject = f"{rule.station}.{rule.column}"
        # None: not known before the first reading.
        self._is_firing: bool | None = None
        self._last_ms = 0
        self._changed_ms = 0
        self._facts: dict[str, Fact] = {}

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """See `Watch`."""
        alert = active.get((self.rule.name, self._subject))
        if self._is_firing is None and alert is not None:
            # Continue an alert that another process has created.
            self._is_firing, self._changed_ms = True, alert.since_ms
            self._go_on(alert.since_ms)
        for reading in self._readings(now):
            if reading.endpoint != self.rule.station:
                continue
            value = measured(self._of, reading.values[self.rule.column])
            taken = None if value is None else self._take(reading.at_ms, value)
            if taken is None or reading.is_late:
                continue
            is_firing, since_ms, facts = taken
            if not is_firing:
                self._changed_ms = reading.at_ms
            elif not self._is_firing:
                self._changed_ms = since_ms
            self._is_firing = is_firing
            shown = {"value": value, "unit": self._of.unit, **facts}
            self._facts = {**shown, "measured_at": reading.at_ms}
        if self._is_firing is not None:
            changed_ms = self._changed_ms
            yield Verdict(self.rule, self._is_firing, changed_ms, self._facts, self._subject)

    def _go_on(self, since_ms: int) -> None:
        """Continue an alert that began then."""

    @abstractmethod
    def _take(self, at_ms: int, value: float) -> tuple[bool, int, Facts] | None:
        """Take the value that was measured then, and return whether it fires, since when, and why.

        None while it can't be decided.
        """


# After a longer pause the time begins again, because it is not known what was in between. Shorter
# than any jump of a clock that was not set yet, longer than a night.
PAUSE_MAX_MS = 24 * 3_600_000


class LimitPassed(OfMeasurement[Threshold]):
    """Fires while one measurement of one station is beyond a limit.

    The time counts from the first measured value beyond the limit until a value is back at `clear`.
    Values between the two change nothing, so a value that hovers round the limit leads to one
    alert. A missing value changes nothing. A value that was measured outside the hours of the rule
    counts as one that is back.
    """

    def __init__(
        self,
        rule: Threshold,
        of: Measurement,
        readings: Source[NewReading],
        zone: tzinfo | None = None,
    ) -> None:
        """`zone` is for the hours of the rule; None: use the zone of the system."""
        super().__init__(rule, of, readings)
        self._zone = zone
        # When the first value beyond the limit was measured; None while it is back.
        self._beyond_ms: int | None = None

    def _go_on(self, since_ms: int) -> None:
        self._beyond_ms = since_ms

    def _take(self, at_ms: int, value: float) -> tuple[bool, int, Facts]:
        rule = self.rule
        is_beyond = rule.below is not None and value < rule.below
        is_back = value >= rule.clear
        if rule.above is not None:
            is_beyond, is_back = value > rule.above, value <= rule.clear
        facts: dict[str, Fact] = {
            "limit": rule.below if rule.above is None else rule.above,
            "clear": rule.clear,
            "above": 0 if rule.above is None else 1,
            "for_sec": rule.for_sec,
        }
        if rule.start and rule.end:
            facts |= {"from": f"{rule.start:%H:%M}", "to": f"{rule.end:%H:%M}"}
            if not is_between(local(at_ms, self._zone).time(), rule.start, rule.end):
                is_beyond, is_back = False, True
        is_after_pause = at_ms - self._last_ms > PAUSE_MAX_MS and not self._is_firing
        self._last_ms = at_ms
        if is_back or is_after_pause:
            self._beyond_ms = None
        if is_beyond and (self._beyond_ms is None or self._beyond_ms > at_ms):
            self._beyond_ms = at_ms
        if self._beyond_ms is None:
            return False, at_ms, facts
        has_lasted = is_beyond and at_ms - self._beyond_ms >= rule.for_sec * 1000
        return self._is_firing is True or has_lasted, self._beyond_ms, facts


MEDIAN_OF = 3
# The alert is resolved when the change within the time is less than this share of the limit.
CLEAR_SHARE = 0.5


class FastChange(OfMeasurement[Rate]):
    """Fires while one measurement of one station changes fast.

    Medians of three readings in a row are compared, so that a single wild value of a sensor or a
    cable does not count. So a change is noticed at its second reading.
    """

    def __init__(self, rule: Rate, of: Measurement, readings: Source[NewReading]) -> None:
        """See `OfMeasurement`."""
        super().__init__(rule, of, readings)
        self._sign, self._limit = (1, rule.rise) if rule.rise is not None else (-1, rule.fall or 0)
        self._values: deque[float] = deque(maxlen=MEDIAN_OF)
        # Times and medians within the time of the rule, only those that no later one exceeds: the
        # first is compared with the last, the newest. Going through all medians of a day at each of
        # two days of replayed readings would keep a Pi busy for a minute.
        self._extremes: deque[tuple[int, float]] = deque()

    def _take(self, at_ms: int, value: float) -> tuple[bool, int, Facts] | None:
        within_ms = self.rule.within_sec * 1000
        if not 0 <= at_ms - self._last_ms <= within_ms:
            # Values before a pause say nothing about the speed of a change.
            self._values.clear()
            self._extremes.clear()
        self._last_ms = at_ms
        self._values.append(value)
        if len(self._values) < MEDIAN_OF:
            return None
        newest = median(self._values)
        while self._extremes and self._sign * (newest - self._extremes[-1][1]) < 0:
            self._extremes.pop()
        self._extremes.append((at_ms, newest))
        while self._extremes[0][0] < at_ms - within_ms:
            self._extremes.popleft()
        began_ms, before = self._extremes[0]
        change = self._sign * (newest - before)
        is_firing = change >= (self._limit * CLEAR_SHARE if self._is_firing else self._limit)
        facts: Facts = {
            "value": newest,
            "before": before,
            "change": change,
            "rise": 1 if self._sign > 0 else 0,
            "within_sec": self.rule.within_sec,
        }
        return is_firing, began_ms, facts


# A board that sends each hour has the same value several times by chance.
SAME_READINGS_MIN = 5


class Unchanged(OfMeasurement[Stuck]):
    """Fires while one measurement of one station has the same value for some time.

    The time counts from the first reading with the value, and again after a pause that is
    longer than the time of the rule, unless it fires already. A missing value changes nothing.
    """

    def __init__(self, rule: Stuck, of: Measurement, readings: Source[NewReading]) -> None:
        """See `OfMeasurement`."""
        super().__init__(rule, of, readings)
        self._value: float | None = None
        self._since_ms = 0
        self._times = 0

    def _go_on(self, since_ms: int) -> None:
        self._since_ms = since_ms

    def _take(self, at_ms: int, value: float) -> tuple[bool, int, Facts]:
        for_ms = self.rule.for_sec * 1000
        # After a pause it is not known what was in between; an alert ends with another value alone.
        is_after_pause = not self._is_firing and at_ms - self._last_ms > for_ms
        is_new = value != self._value or is_after_pause
        is_continued = self._value is None and self._is_firing is True
        self._last_ms, self._value = at_ms, value
        if is_continued:
            self._times = SAME_READINGS_MIN
        elif is_new or at_ms < self._since_ms:
            self._since_ms, self._times = at_ms, 0
        self._times += 1
        has_lasted = at_ms - self._since_ms >= for_ms and self._times >= SAME_READINGS_MIN
        return is_continued or has_lasted, self._since_ms, {"for_sec": self.rule.for_sec}
