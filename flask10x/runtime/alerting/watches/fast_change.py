"""Rule `rate`: a measurement that rises or falls by so much within a time.

One wild value says nothing, whether a sensor gives it or a cable: what is compared are medians of
three readings in a row. So a change is seen at its second reading.
"""

from collections import deque
from statistics import median

from flask10x.config.alerts.rules import Rate
from flask10x.readings.stations import Measurement
from flask10x.runtime.alerting.watches.new_readings import NewReading, NewReadings, measured
from flask10x.runtime.alerting.watches.of_measurement import OfMeasurement

MEDIAN_OF = 3
# It is over when the change within the time is less than this share of the limit.
CLEAR_SHARE = 0.5


class FastChange(OfMeasurement):
    """Looks after one measurement of one station."""

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
