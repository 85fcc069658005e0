"""What rules of one measurement have in common: they go by its readings, one after the other."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from flask10x.alerts.alert import Active, Alert, Fact, Moment, Verdict
from flask10x.config.alerts.rules import Rate, Threshold
from flask10x.readings.stations import Measurement
from flask10x.runtime.alerting.watches.new_readings import NewReading, NewReadings


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
