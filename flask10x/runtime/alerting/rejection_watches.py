"""The rules on rejected and missing values: `rejected`, a sender, and `failed_sensor`.

Both share one query for the readings that were rejected since the last step. Incomplete readings of
a station that may send them are stored, with nothing in the column. Otherwise the whole reading is
rejected; then the fields that are named as the reason have failed, and the others were right. A
body that could not be read says nothing about the sensors.
"""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain

from sqlalchemy import Connection, select

from flask10x.alerts.alert import Active, Fact, Moment, Verdict
from flask10x.config.alerts.rules import FailedSensor, RejectedSender
from flask10x.database.database import Database
from flask10x.database.tables import measurement, readings, rejected, rollups
from flask10x.readings.parse import warned_paths
from flask10x.readings.reasons import Reason, for_people, in_language
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import HOUR_MS
from flask10x.recording.rejected import with_codes
from flask10x.runtime.alerting.measurement_watches import measured
from flask10x.runtime.alerting.new_rows import (
    AHEAD_MS,
    STALE_MS,
    NewReading,
    NewRows,
    Source,
    in_order,
    is_late,
)
from flask10x.system.gauges import Gauges
from flask10x.translation import translation

# Rejected readings are stored at most every 5 s (`recording/rejected.py`).
REST_MS = 8000
# How many ids one step goes through, and how many of the newest the first step returns.
SPAN_ROWS = 500
REPLAYED_ROWS = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """One rejected reading of a station."""

    endpoint: str
    received_at: int
    """When it came, in UTC epoch milliseconds."""
    measured_at: int
    """When it was measured; the same where the sender gave no time."""
    reasons: Mapping[str, str]
    """As in `recording.rejected.RejectedRow`."""
    hint: str


class NewRejections(NewRows[Rejection]):
    """The new rejected readings of these stations, the oldest first."""

    table, span_rows, rest_ms = "rejected", SPAN_ROWS, REST_MS

    def __init__(self, database: Database, gauges: Gauges, endpoints: Collection[str]) -> None:
        """Make no query yet. Rejected readings without a station are left out."""
        super().__init__(database)
        self._gauges, self._endpoints = gauges, tuple(endpoints)

    def _came(self) -> object:
        return [self._gauges.station_totals(name).refused for name in self._endpoints]

    def _between(
        self, connection: Connection, after: int | None, until: int, _now: Moment
    ) -> list[Rejection]:
        c = rejected.c
        first = until - REPLAYED_ROWS if after is None else after
        query = select(c.endpoint, c.received_at, c.measured_at, c.reasons, c.hint, c.codes)
        query = query.where(c.earlier.is_(None), c.id > first, c.id <= until)
        query = query.where(c.endpoint.in_(self._endpoints)).order_by(c.id)
        found = []
        for row in connection.execute(query):
            reasons, hint = with_codes(json.loads(row.reasons), row.hint, row.codes)
            measured_at = row.received_at if row.measured_at is None else row.measured_at
            times = {"received_at": row.received_at, "measured_at": measured_at}
            found.append(Rejection(endpoint=row.endpoint, **times, reasons=reasons, hint=hint))
        return found


# The alert is resolved when fewer than this share of the limit were rejected within the time.
CLEAR_SHARE = 0.5
# How many times are kept of each sender; a message says no higher number.
TIMES_MAX = 10_000


class RejectedSenders:
    """Fires for each station with `readings` rejected readings within `within_sec`."""

    def __init__(
        self, rule: RejectedSender, stations: Iterable[Station], rejections: Source[Rejection]
    ) -> None:
        """`rejections` must have the readings of these stations."""
        self.rule = rule
        self._endpoints = tuple(station.endpoint for station in stations)
        self._rejections = rejections
        # When each came, by the monotonic clock; computed from the wall clock for earlier ones.
        self._times: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=TIMES_MAX))
        self._newest: dict[str, Rejection] = {}

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """See `Watch`; stations without rejected readings get no verdict."""
        for rejection in self._rejections(now):
            # While the clock is not set since the boot, the age of a reading is not known.
            has_age = rejection.received_at <= now.wall_ms + AHEAD_MS
            if rejection.endpoint in self._endpoints and has_age:
                ago_ms = max(0, now.wall_ms - rejection.received_at)
                self._times[rejection.endpoint].append(now.monotonic_ms - ago_ms)
                self._newest[rejection.endpoint] = rejection
        for endpoint in self._endpoints:
            alert = active.get((self.rule.name, endpoint))
            if alert is not None or endpoint in self._times:
                yield self._verdict(endpoint, now, is_active=alert is not None)

    def _verdict(self, endpoint: str, now: Moment, *, is_active: bool) -> Verdict:
        times = self._times[endpoint]
        while times and times[0] <= now.monotonic_ms - self.rule.within_sec * 1000:
            times.popleft()
        share = CLEAR_SHARE if is_active else 1
        is_firing = bool(times) and len(times) >= self.rule.readings * share
        newest = self._newest.get(endpoint)
        shown = for_people(newest.reasons, newest.hint) or {"body": newest.hint} if newest else {}
        field, reason = next(iter(shown.items()), ("", ""))
        since_ms = now.wall_ms - (now.monotonic_ms - times[0] if is_firing else 0)
        facts = {
            "readings": len(times),
            "within_sec": self.rule.within_sec,
            "reason": str(in_language(reason, translation("en"))) or None,
            "reason_ja": in_language(reason, translation("ja")) or None,
            "field": field if reason else None,
        }
        return Verdict(self.rule, is_firing, since_ms, facts, endpoint)


# A sensor that never existed fails in each reading. Whether there was one is looked up again after
# this time, for the roll-ups may not be ready yet.
ASK_EVERY_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class LastValue:
    """The last good value of a sensor."""

    at_ms: int
    """When it was measured, in UTC epoch milliseconds."""
    value: float | None
    """None: it was good, but in a reading that was rejected for another field."""


@dataclass(slots=True)
class _Sensor:
    """The state of one measurement of one station."""

    station: Station
    of: Measurement
    failures: int = 0
    """The number of failures in a row."""
    since_ms: int = 0
    """When the first of them was measured, or the last good value where there is none."""
    fault: float | None = None
    is_firing: bool | None = None
    last: LastValue | None = None
    ask_at_ms: int = 0


class FailedSensors:
    """Fires for each measurement that has failed in `readings` readings in a row.

    It is resolved by the first good value. A measurement that never had a value is not watched.
    """

    def __init__(
        self,
        rule: FailedSensor,
        stations: Iterable[Station],
        new: Source[NewReading],
        rejections: Source[Rejection],
        last_value: Callable[[Station, Measurement], LastValue | None],
    ) -> None:
        """`new` must have all columns of the stations, `rejections` their rejected readings.

        `last_value` makes a query; it is called seldom.
        """
        self.rule = rule
        self._stations = {station.endpoint: station for station in stations}
        self._new = new
        self._rejections = rejections
        self._last_value = last_value
        self._newest: dict[str, int] = {}
        self._sensors = {
            station.endpoint: [_Sensor(station, of) for of in station.measurements]
            for station in self._stations.values()
        }

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """See `Watch`; sensors that are and were good get no verdict."""
        outcomes = [
            _of_reading(self._stations[reading.endpoint], reading)
            for reading in self._new(now)
            if reading.endpoint in self._stations
        ]
        outcomes += [
            _of_rejection(self._stations[rejection.endpoint], rejection, now)
            for rejection in self._rejections(now)
            if rejection.endpoint in self._stations and not rejection.hint
        ]
        for outcome in in_order(outcomes, self._newest, now):
            for sensor in self._sensors[outcome.endpoint]:
                self._take(sensor, outcome, now)
        for sensor in chain.from_iterable(self._sensors.values()):
            subject = f"{sensor.station.endpoint}.{sensor.of.column}"
            alert = active.get((self.rule.name, subject))
            if alert is None and not sensor.is_firing:
                continue
            last = sensor.last
            if alert is None and last is not None and last.value is None:
                # It was good in readings that were rejected for another field.
                last = sensor.last = self._last_value(sensor.station, sensor.of) or last
            facts: dict[str, Fact] = {
                "readings": sensor.failures,
                "last_value": last.value if last else None,
                "unit": sensor.of.unit,
                "last_value_at": last.at_ms if last else None,
                "fault": sensor.fault,
            }
            since_ms = sensor.since_ms or now.wall_ms
            yield Verdict(self.rule, sensor.is_firing, since_ms, facts, subject)

    def _take(self, sensor: _Sensor, outcome: NewReading, now: Moment) -> None:
        column = sensor.of.column
        if column in outcome.values:
            sensor.failures, sensor.since_ms, sensor.fault = 0, outcome.at_ms, None
            sensor.last = LastValue(outcome.at_ms, outcome.values[column])
        elif column in outcome.faults:
            sensor.failures += 1
            sensor.since_ms = outcome.at_ms if sensor.failures == 1 else sensor.since_ms
            sensor.fault = outcome.faults[column]
        else:
            return
        if outcome.is_late:
            return
        has_failed = sensor.failures >= self.rule.readings
        if not has_failed and sensor.failures and sensor.is_firing is not False:
            # After a restart fewer failures are known than the alert counted, if there is one.
            return
        if has_failed and sensor.last is None and now.monotonic_ms >= sensor.ask_at_ms:
            sensor.ask_at_ms = now.monotonic_ms + ASK_EVERY_MS
            sensor.last = self._last_value(sensor.station, sensor.of)
        # A sensor that has never measured anything was never connected.
        sensor.is_firing = has_failed and sensor.last is not None


def _of_reading(station: Station, reading: NewReading) -> NewReading:
    values: dict[str, float | None] = {}
    faults: dict[str, float | None] = {}
    for of in station.measurements:
        value = reading.values[of.column]
        (faults if measured(of, value) is None else values)[of.column] = value
    return replace(reading, values=values, faults=faults)


def _of_rejection(station: Station, rejection: Rejection, now: Moment) -> NewReading:
    """Return the good and the failed columns as a reading; None: the value is not known."""
    values: dict[str, float | None] = {}
    faults: dict[str, float | None] = {}
    # Otherwise it was rejected as a whole, or by the database.
    if any(warned_paths(station, {path: text}) for path, text in rejection.reasons.items()):
        failed = warned_paths(station, dict(rejection.reasons))
        for of in station.measurements:
            if of.path not in failed:
                values[of.column] = None
                continue
            reason = rejection.reasons.get(of.path)
            faults[of.column] = None
            if isinstance(reason, Reason):
                with suppress(KeyError, ValueError):
                    faults[of.column] = float(reason.values["value"])
    return NewReading(
        endpoint=station.endpoint,
        at_ms=rejection.measured_at,
        is_late=is_late(rejection.measured_at, rejection.received_at)
        or now.wall_ms - rejection.received_at > STALE_MS,
        values=values,
        faults=faults,
    )


def last_value(database: Database, station: Station, of: Measurement) -> LastValue | None:
    """Return the last good value by the roll-ups, for no index has the values; None: none."""
    hours = (
        select(rollups.c.hour)
        .where(rollups.c.endpoint == station.endpoint, rollups.c.measurement == of.column)
        .where(rollups.c["count"] > 0)
        .order_by(rollups.c.hour.desc())
        .limit(1)
    )
    at, value = readings.c.received_at, measurement(of.column)
    with database.query() as connection:
        hour = connection.execute(hours).scalar_one_or_none()
        if hour is None:
            return None
        within = select(at, value).where(
            readings.c.endpoint == station.endpoint,
            at.between(hour * HOUR_MS, (hour + 1) * HOUR_MS - 1),
            value.is_not(None),
        )
        row = connection.execute(within.order_by(at.desc()).limit(1)).one_or_none()
    return LastValue(*row) if row else LastValue(hour * HOUR_MS, None)
