"""The rules on values: `threshold`, one beyond a limit, and `rate`, one that changes fast.

All rules that go by values share one look at the readings that have come since the last step.
Nothing is asked while nothing comes. Each station's readings are given in the order in which they
were measured; one that is older than another of its station was known before its rules looked, and
is left out. At the first step the newest ones are given once more, so that what was under way when
the service or the worker ended goes on.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import median
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from flask10x.alerts.alert import Active, Alert, Fact, Moment, Verdict
from flask10x.config.alerts.rules import Rate, Threshold
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.expressions import unindexed
from flask10x.database.tables import imports, measurement, readings
from flask10x.readings.stations import Measurement
from flask10x.recording.shared_queue import SharedQueues
from flask10x.system.gauges import Gauges

# How many ids one step looks through: milliseconds. What a disk that stalled has held up comes in
# some steps.
SPAN_ROWS = 5000
# How long after the last reading it is still looked for: between its acceptance and its place in
# the queue some time may pass.
REST_MS = 5000
# Whatever else is stored, by a command say, is found so soon.
LOOK_EVERY_MS = 60_000
# A reading that came so long after it was measured tells what was, and not what is.
LATE_MS = 3_600_000
# A board's clock may be so far ahead; what is further ahead was dated by a clock that was wrong,
# and readings with a right time come after it all the same.
AHEAD_MS = 600_000
# Of what is given at the first step: older ones tell of a station that was put away.
STALE_MS = 24 * 3_600_000
# What is given at the first step, at least: whoever waits for more says so.
REPLAYED_MS = 7_200_000
# At most so many of a station.
REPLAYED_MAX = 20_000
REPLAY_PAGE_ROWS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class NewReading:
    """One stored reading of a station."""

    endpoint: str
    at_ms: int
    """When it was measured, in UTC epoch milliseconds."""
    values: dict[str, float | None]
    """By column; those of its station that some rule looks at."""
    is_late: bool
    """Whether it came, or is given, too late to raise or end an alert by itself."""


def measured(of: Measurement, value: float | None) -> float | None:
    """The value; None where it is missing, and where a sensor gives it in place of a measurement,
    also one that can be true as well (`Fault.warning_only`)."""
    return None if any(fault.value == value for fault in of.faults) else value


class NewReadings:
    """What some rules look at; make one for all of them."""

    def __init__(
        self,
        database: Database,
        gauges: Gauges,
        queues: SharedQueues,
        columns: Mapping[str, Collection[str]],
        replayed_ms: int = 0,
        replayed_rows: int = 0,
    ) -> None:
        """`columns` are those of each endpoint that some rule looks at.

        At the first step each station's newest `replayed_rows` are given, and all that it measured
        in `replayed_ms` before the newest; REPLAYED_MAX at most.
        """
        self._database = database
        self._gauges = gauges
        self._queues = queues
        self._columns = columns
        self._all = tuple(dict.fromkeys(chain.from_iterable(columns.values())))
        self._replayed_ms = max(replayed_ms, REPLAYED_MS)
        self._replayed_rows = replayed_rows
        self._moment: Moment | None = None
        self._found: Sequence[NewReading] = ()
        self._error: Exception | None = None
        self._last_id: int | None = None
        self._newest: dict[str, int] = {}
        self._look_at_ms = 0
        self._heard_ms = 0
        # Whether something waited to be stored at the last look, or was left to look through.
        self._has_more = False

    def of(self, now: Moment) -> Sequence[NewReading]:
        """What is new at this step; the same for whoever asks at it. Raises as a query does."""
        if now is not self._moment:
            self._moment = now
            self._found, self._error = (), None
            try:
                self._found = self._look(now)
            except Exception as error:
                self._error = error
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._found

    def _look(self, now: Moment) -> Sequence[NewReading]:
        if self._last_id is None:
            found = self._replayed(now)
        elif self._is_time(now):
            found = self._new(self._last_id)
        else:
            return ()
        self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
        return list(self._in_order(found, now))

    def _is_time(self, now: Moment) -> bool:
        """Whether anything may have been stored since the last look; a look into memory."""
        heard_ms = max(map(self._gauges.last_received_ms, self._columns), default=0)
        waits = bool(self._queues.not_empty())
        is_time = (
            heard_ms != self._heard_ms
            or now.monotonic_ms - heard_ms < REST_MS
            or (waits or self._has_more)
            or now.monotonic_ms >= self._look_at_ms
        )
        self._heard_ms, self._has_more = heard_ms, waits
        return is_time

    def _replayed(self, now: Moment) -> list[NewReading]:
        found: list[NewReading] = []
        with self._database.query() as connection:
            head = last_id(connection)
            for endpoint in self._columns:
                found += self._newest_of(connection, endpoint)
        self._last_id = head
        return [
            replace(one, is_late=one.is_late or now.wall_ms - one.at_ms > STALE_MS) for one in found
        ]

    def _newest_of(self, connection: Connection, endpoint: str) -> list[NewReading]:
        of_station = readings.c.endpoint == endpoint
        query = select(*_HEAD, *map(measurement, self._columns[endpoint])).where(of_station)
        query = query.order_by(readings.c.received_at.desc()).limit(REPLAYED_MAX)
        rows = connection.execute(query.execution_options(yield_per=REPLAY_PAGE_ROWS))
        found: list[NewReading] = []
        for row in rows:
            is_old = found and row.received_at < found[0].at_ms - self._replayed_ms
            if is_old and len(found) >= self._replayed_rows:
                break
            found.append(self._sample(row, self._columns[endpoint]))
        rows.close()
        return found

    def _new(self, after: int) -> list[NewReading]:
        with self._database.query() as connection:
            head = last_id(connection)
            until = min(head, after + SPAN_ROWS)
            imported = _imported(connection, after) if until > after else []
            rows = connection.execute(self._between(after, until)) if until > after else ()
            found = [
                self._sample(row, self._all)
                for row in rows
                if not any(row.id in span for span in imported)
            ]
        self._last_id = until
        self._has_more = self._has_more or until < head
        return found

    def _between(self, after: int, until: int) -> Select[Any]:
        # By the index it would read all of these stations' entries.
        of_stations = unindexed(readings.c.endpoint).in_(tuple(self._columns))
        query = select(*_HEAD, *map(measurement, self._all)).where(of_stations)
        return query.where(readings.c.id > after, readings.c.id <= until).order_by(readings.c.id)

    def _sample(self, row: Row[Any], columns: Collection[str]) -> NewReading:
        values = dict(zip(columns, row[len(_HEAD) :], strict=True))
        return NewReading(
            endpoint=row.endpoint,
            at_ms=row.received_at,
            values={column: values[column] for column in self._columns[row.endpoint]},
            is_late=row.arrived_at is not None and row.arrived_at - row.received_at > LATE_MS,
        )

    def _in_order(self, found: list[NewReading], now: Moment) -> Iterator[NewReading]:
        for sample in sorted(found, key=lambda one: one.at_ms):
            newest_ms = self._newest.get(sample.endpoint)
            if newest_ms is not None and newest_ms > now.wall_ms + AHEAD_MS:
                newest_ms = None
            if newest_ms is None or sample.at_ms >= newest_ms:
                self._newest[sample.endpoint] = sample.at_ms
                yield sample


_HEAD = (readings.c.id, readings.c.endpoint, readings.c.received_at, readings.c.arrived_at)


def _imported(connection: Connection, after: int) -> list[range]:
    """The ids behind this one that came from files."""
    query = select(imports.c.first_id, imports.c.last_id).where(imports.c.last_id > after)
    return [range(row.first_id, row.last_id + 1) for row in connection.execute(query)]


class OfMeasurement(ABC):
    """Looks after one measurement of one station."""

    def __init__(self, rule: Rate | Threshold, of: Measurement, readings: NewReadings) -> None:
        """`readings` must have the column of the rule."""
        self._of = of
        self._kind, self._name, self._station = rule.kind, rule.name, rule.station
        self._readings = readings
        self._subject = f"{rule.station}.{rule.column}"
        # None: no reading has told yet.
        self._is_firing: bool | None = None
        self._last_ms = 0
        self._changed_ms = 0
        self._facts: dict[str, Fact] = {}

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`."""
        alert = active.get((self._name, self._subject))
        if self._is_firing is None and alert is not None:
            self._go_on(alert)
        for sample in self._readings.of(now):
            if sample.endpoint == self._station:
                self._take(sample)
        if self._is_firing is None:
            return
        yield Verdict(
            rule=self._name,
            kind=self._kind,
            subject=self._subject,
            is_firing=self._is_firing,
            since_ms=self._changed_ms,
            facts=self._facts,
        )

    def _go_on(self, alert: Alert) -> None:
        """Another process has begun this alert."""
        self._is_firing, self._changed_ms = True, alert.since_ms

    @abstractmethod
    def _take(self, sample: NewReading) -> None:
        """A reading of the station, which may lack the measurement."""


# After a longer pause nobody can say that it has lasted: the time begins anew. Shorter than any
# jump of a clock that was not set yet, longer than a night.
PAUSE_MAX_MS = 24 * 3_600_000


class LimitPassed(OfMeasurement):
    """Looks after one measurement of one station.

    The time is that of the readings: when they were measured. It begins with the first value beyond
    the limit and goes on until one has come back to `clear`; what lies between the two neither
    begins nor ends anything, so a value that hovers round the limit makes one alert. A missing
    value says nothing.
    """

    def __init__(self, rule: Threshold, of: Measurement, readings: NewReadings) -> None:
        """`readings` must have the column of the rule."""
        super().__init__(rule, of, readings)
        self._rule = rule
        # Since when it is beyond the limit and has not come back.
        self._beyond_ms: int | None = None

    def _go_on(self, alert: Alert) -> None:
        super()._go_on(alert)
        self._beyond_ms = alert.since_ms

    def _take(self, sample: NewReading) -> None:
        value = measured(self._of, sample.values[self._rule.column])
        if value is None:
            return
        is_beyond, is_back = self._compared(value)
        if sample.at_ms - self._last_ms > PAUSE_MAX_MS and not self._is_firing:
            self._beyond_ms = None
        self._last_ms = sample.at_ms
        if is_back:
            self._beyond_ms = None
        elif is_beyond and (self._beyond_ms is None or self._beyond_ms > sample.at_ms):
            self._beyond_ms = sample.at_ms
        if not sample.is_late:
            self._decide(value, is_beyond, sample.at_ms)

    def _decide(self, value: float, is_beyond: bool, at_ms: int) -> None:
        beyond_ms = self._beyond_ms
        if beyond_ms is None:
            is_firing = False
        elif self._is_firing:
            is_firing = True
        else:
            is_firing = is_beyond and at_ms - beyond_ms >= self._rule.for_sec * 1000
        if is_firing and beyond_ms is not None and not self._is_firing:
            self._changed_ms = beyond_ms
        elif not is_firing:
            self._changed_ms = at_ms
        self._is_firing = is_firing
        above = self._rule.above
        self._facts = {
            "value": value,
            "unit": self._of.unit,
            "limit": above if above is not None else self._rule.below,
            "clear": self._rule.clear,
            "above": 1 if above is not None else 0,
            "for_sec": self._rule.for_sec,
            "measured_at": at_ms,
        }

    def _compared(self, value: float) -> tuple[bool, bool]:
        """Whether it is beyond the limit, and whether it is back."""
        if self._rule.above is not None:
            return value > self._rule.above, value <= self._rule.clear
        if self._rule.below is not None:
            return value < self._rule.below, value >= self._rule.clear
        return False, True


MEDIAN_OF = 3
# It is over when the change within the time is less than this share of the limit.
CLEAR_SHARE = 0.5


class FastChange(OfMeasurement):
    """Looks after one measurement of one station.

    One wild value says nothing, whether a sensor gives it or a cable: what is compared are medians
    of three readings in a row. So a change is seen at its second reading.
    """

    def __init__(self, rule: Rate, of: Measurement, readings: NewReadings) -> None:
        """`readings` must have the column of the rule."""
        super().__init__(rule, of, readings)
        self._rule = rule
        self._sign, self._limit = (1, rule.rise) if rule.rise is not None else (-1, rule.fall or 0)
        self._values: deque[float] = deque(maxlen=MEDIAN_OF)
        # When, and the median then: of those within the time each that none after it goes beyond,
        # so the first is what to compare with and the last the newest. All of a day, looked through
        # at each reading of two that are replayed, would keep a Pi busy for a minute.
        self._extremes: deque[tuple[int, float]] = deque()

    def _take(self, sample: NewReading) -> None:
        value = measured(self._of, sample.values[self._rule.column])
        if value is None:
            return
        at_ms, within_ms = sample.at_ms, self._rule.within_sec * 1000
        if not 0 <= at_ms - self._last_ms <= within_ms:
            # What was before the pause tells nothing of how fast it has changed.
            self._values.clear()
            self._extremes.clear()
        self._last_ms = at_ms
        self._values.append(value)
        if len(self._values) < MEDIAN_OF:
            return
        newest = median(self._values)
        while self._extremes and self._sign * (newest - self._extremes[-1][1]) < 0:
            self._extremes.pop()
        self._extremes.append((at_ms, newest))
        while self._extremes[0][0] < at_ms - within_ms:
            self._extremes.popleft()
        if not sample.is_late:
            self._decide(at_ms)

    def _decide(self, at_ms: int) -> None:
        value = self._extremes[-1][1]
        began_ms, before = self._extremes[0]
        change = self._sign * (value - before)
        is_firing = change >= (self._limit * CLEAR_SHARE if self._is_firing else self._limit)
        if is_firing and not self._is_firing:
            self._changed_ms = began_ms
        elif not is_firing:
            self._changed_ms = at_ms
        self._is_firing = is_firing
        self._facts = {
            "value": value,
            "before": before,
            "unit": self._of.unit,
            "change": change,
            "rise": 1 if self._sign > 0 else 0,
            "within_sec": self._rule.within_sec,
            "measured_at": at_ms,
        }
