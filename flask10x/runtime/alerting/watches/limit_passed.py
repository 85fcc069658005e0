"""Rule `threshold`: a measurement above or below a limit for some time.

The time is that of the readings: when they were measured. It begins with the first value beyond the
limit and goes on until one has come back to `clear`; what lies between the two neither begins nor
ends anything, so a value that hovers round the limit makes one alert. A missing value says nothing.
"""

from flask10x.alerts.alert import Alert
from flask10x.config.alerts.rules import Threshold
from flask10x.readings.stations import Measurement
from flask10x.runtime.alerting.watches.new_readings import NewReading, NewReadings, measured
from flask10x.runtime.alerting.watches.of_measurement import OfMeasurement

# After a longer pause nobody can say that it has lasted: the time begins anew. Shorter than any
# jump of a clock that was not set yet, longer than a night.
PAUSE_MAX_MS = 24 * 3_600_000


class LimitPassed(OfMeasurement):
    """Looks after one measurement of one station."""

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
