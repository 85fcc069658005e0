"""The rules on values: `threshold`, a value beyond a limit; `rate`, one that changes fast; and
`stuck`, one that does not change.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from datetime import tzinfo
from statistics import median
from typing import Generic, TypeVar

from flask10x.alerts.alert import Active, Fact, Facts, Moment, Verdict
from flask10x.alerts.due import local
from flask10x.config.alerts.rules import Rate, Stuck, Threshold, is_between
from flask10x.readings.stations import Measurement, Stations
from flask10x.runtime.alerting.new_rows import NewReading, Source


def measured(of: Measurement, value: float | None) -> float | None:
    """Return the value, or None where it is missing or a fault value of the sensor.

    This includes fault values that may also be measured (`Fault.warning_only`).
    """
    return None if any(fault.value == value for fault in of.faults) else value


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
