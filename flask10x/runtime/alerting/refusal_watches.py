"""The rules on what is refused or missing: `refused`, a sender, and `failed_sensor`, a measurement.

Both share one look at the readings that were refused since the last step. A station that takes
incomplete readings has them stored, with nothing in the column. Of another one the whole reading is
refused; then it counts which fields were named as the reason, and the others were right. A body
that could not be read says nothing of any sensor.
"""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Row, Select, select

from flask10x.alerts.alert import Active, Alert, Fact, Moment, Verdict
from flask10x.config.alerts.rules import FailedSensor, RefusedSender
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.tables import measurement, readings, rejected, rollups
from flask10x.readings.parse import warned_paths
from flask10x.readings.reasons import Reason, in_language
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import HOUR_MS
from flask10x.recording.rejected import with_codes
from flask10x.runtime.alerting.measurement_watches import (
    AHEAD_MS,
    LATE_MS,
    STALE_MS,
    NewReading,
    NewReadings,
    measured,
)
from flask10x.system.gauges import Gauges
from flask10x.translation import translation

# They are stored at most every 5 s (`recording/rejected.py`).
LOOK_PAUSE_MS = 5000
# Also when no worker has counted any: a killed one may have.
LOOK_EVERY_MS = 60_000
# How many ids one step looks through, and how many of the newest are given at the first step.
SPAN_ROWS = 500
REPLAYED_ROWS = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedReading:
    """One refused reading of a station."""

    endpoint: str
    received_at: int
    """When it came, in UTC epoch milliseconds."""
    measured_at: int
    """When it was measured; the same for one that has not said so."""
    reasons: Mapping[str, str]
    """As `recording.rejected.Kept`."""
    hint: str


class NewRefusals:
    """What some rules look at; make one for all of them."""

    def __init__(self, database: Database, gauges: Gauges, endpoints: Collection[str]) -> None:
        """Of these stations. Refused readings that no station has are none of them."""
        self._database = database
        self._gauges = gauges
        self._endpoints = tuple(endpoints)
        self._moment: Moment | None = None
        self._found: Sequence[RefusedReading] = ()
        self._error: Exception | None = None
        self._last_id: int | None = None
        self._counted = -1
        self._look_at_ms = 0
        self._soon_ms = 0
        self._has_more = False

    def of(self, now: Moment) -> Sequence[RefusedReading]:
        """What is new at this step, oldest first; the same for whoever asks at it.

        Raises as a query does.
        """
        if now is not self._moment:
            self._moment = now
            self._found, self._error = (), None
            try:
                self._found = self._look() if self._is_time(now) else ()
            except Exception as error:
                self._error = error
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._found

    def _is_time(self, now: Moment) -> bool:
        if self._last_id is None:
            return True
        if now.monotonic_ms < self._soon_ms:
            return False
        self._soon_ms = now.monotonic_ms + LOOK_PAUSE_MS
        counted = sum(self._gauges.station_totals(name).refused for name in self._endpoints)
        is_time = self._has_more or now.monotonic_ms >= self._look_at_ms
        if counted != self._counted:
            # What was counted may be stored only after the next look.
            is_time = self._has_more = True
        else:
            self._has_more = False
        self._counted = counted
        if is_time:
            self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
        return is_time

    def _look(self) -> list[RefusedReading]:
        with self._database.query() as connection:
            head = last_id(connection, "rejected")
            if self._last_id is None:
                after, until = head - REPLAYED_ROWS, head
            else:
                after, until = self._last_id, min(head, self._last_id + SPAN_ROWS)
            found = [_refusal(row) for row in connection.execute(self._between(after, until))]
        self._last_id = until
        self._has_more = self._has_more or until < head
        return found

    def _between(self, after: int, until: int) -> Select[tuple[str, int, int, str, str, str]]:
        columns = rejected.c
        return (
            select(
                *(columns.endpoint, columns.received_at, columns.measured_at),
                *(columns.reasons, columns.hint, columns.codes),
            )
            .where(columns.id > after, columns.id <= until)
            .where(columns.endpoint.in_(self._endpoints))
            .order_by(columns.id)
        )


def _refusal(row: Row[tuple[str, int, int, str, str, str]]) -> RefusedReading:
    reasons, hint = with_codes(json.loads(row.reasons), row.hint, row.codes)
    return RefusedReading(
        endpoint=row.endpoint,
        received_at=row.received_at,
        measured_at=row.received_at if row.measured_at is None else row.measured_at,
        reasons=reasons,
        hint=hint,
    )


# It is over when fewer than this share of the limit were refused within the time.
CLEAR_SHARE = 0.5
# So many times are kept of each sender; the number of a message is no higher.
TIMES_MAX = 10_000


class RefusedSenders:
    """Is firing for each station of which `readings` were refused within `within_sec`."""

    def __init__(
        self, rule: RefusedSender, endpoints: Collection[str], refusals: NewRefusals
    ) -> None:
        """`refusals` must have these endpoints."""
        self._rule = rule
        self._endpoints = tuple(endpoints)
        self._refusals = refusals
        # When each came, by the clock that nobody can set; before the service started by the other.
        self._times: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=TIMES_MAX))
        self._newest: dict[str, RefusedReading] = {}

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`; of stations of which none was refused it says nothing."""
        for refusal in self._refusals.of(now):
            # By a clock that was not set yet since the boot nobody can tell how long ago it came.
            is_known = refusal.received_at <= now.wall_ms + AHEAD_MS
            if refusal.endpoint in self._endpoints and is_known:
                ago_ms = max(0, now.wall_ms - refusal.received_at)
                self._times[refusal.endpoint].append(now.monotonic_ms - ago_ms)
                self._newest[refusal.endpoint] = refusal
        for endpoint in self._endpoints:
            alert = active.get((self._rule.name, endpoint))
            if alert is not None or endpoint in self._times:
                yield from self._verdicts(endpoint, now, alert)

    def _verdicts(self, endpoint: str, now: Moment, alert: Alert | None) -> Iterator[Verdict]:
        times = self._times[endpoint]
        while times and times[0] <= now.monotonic_ms - self._rule.within_sec * 1000:
            times.popleft()
        share = 1 if alert is None else CLEAR_SHARE
        is_firing = bool(times) and len(times) >= self._rule.readings * share
        newest = self._newest.get(endpoint)
        field, reason = next(iter(newest.reasons.items()), ("", "")) if newest else ("", "")
        yield Verdict(
            rule=self._rule.name,
            kind="refused",
            subject=endpoint,
            is_firing=is_firing,
            since_ms=now.wall_ms - (now.monotonic_ms - times[0] if is_firing else 0),
            facts={
                "readings": len(times),
                "within_sec": self._rule.within_sec,
                "reason": str(reason) or None,
                "reason_ja": in_language(reason, translation("ja")) or None,
                "field": field or None,
            },
        )


# A sensor that was never there fails in each reading. Whether there was one is asked again so late,
# for the roll-ups may not be made yet.
ASK_EVERY_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class LastValue:
    """The last good value of a sensor."""

    at_ms: int
    """When it was measured, in UTC epoch milliseconds."""
    value: float | None
    """None: it was good, but in a reading that was refused for another field."""


LastValueOf = Callable[[Station, Measurement], LastValue | None]


@dataclass(slots=True)
class _Sensor:
    """What is known of one measurement of one station."""

    station: Station
    of: Measurement
    failures: int = 0
    """In a row."""
    since_ms: int = 0
    """When the first of them was measured; when there is none, the last good one."""
    fault: float | None = None
    is_firing: bool | None = None
    last: LastValue | None = None
    ask_at_ms: int = 0

    @property
    def subject(self) -> str:
        return f"{self.station.endpoint}.{self.of.column}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one reading says of the sensors of its station."""

    at_ms: int
    is_late: bool
    values: dict[str, float | None] = field(default_factory=dict)
    """By column: the good ones, None where the value is not known."""
    faults: dict[str, float | None] = field(default_factory=dict)
    """By column: those that have failed, with the fault value where it is known."""


class FailedSensors:
    """Is firing for each measurement that has failed in `readings` readings in a row.

    Over with the first good value. One that has never had a value is not watched.
    """

    def __init__(
        self,
        rule: FailedSensor,
        stations: Iterable[Station],
        new: NewReadings,
        refusals: NewRefusals,
        last_value: LastValueOf,
    ) -> None:
        """`new` must have all columns of the stations, `refusals` the endpoints.

        `last_value` looks for one in the database; it is asked seldom.
        """
        self._rule = rule
        self._stations = {station.endpoint: station for station in stations}
        self._new = new
        self._refusals = refusals
        self._last_value = last_value
        self._newest: dict[str, int] = {}
        self._sensors = {
            station.endpoint: [_Sensor(station, of) for of in station.measurements]
            for station in self._stations.values()
        }

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`; of sensors that are and were good it says nothing."""
        for endpoint, seen in self._in_order(now):
            for sensor in self._sensors[endpoint]:
                self._take(sensor, seen, now)
        for sensors in self._sensors.values():
            for sensor in sensors:
                alert = active.get((self._rule.name, sensor.subject))
                if alert is not None or sensor.is_firing:
                    yield from self._verdicts(sensor, alert, now)

    def _in_order(self, now: Moment) -> Iterator[tuple[str, _Seen]]:
        """What is new; a refused reading that is older than a stored one was overtaken by it."""
        found = [
            (sample.endpoint, _of_sample(self._stations[sample.endpoint], sample))
            for sample in self._new.of(now)
            if sample.endpoint in self._stations
        ]
        found += [
            (refusal.endpoint, _of_refusal(self._stations[refusal.endpoint], refusal, now))
            for refusal in self._refusals.of(now)
            if refusal.endpoint in self._stations and not refusal.hint
        ]
        for endpoint, seen in sorted(found, key=lambda pair: pair[1].at_ms):
            newest_ms = self._newest.get(endpoint)
            is_newer = newest_ms is None or seen.at_ms >= newest_ms
            if is_newer or (newest_ms or 0) > now.wall_ms + AHEAD_MS:
                self._newest[endpoint] = seen.at_ms
                yield endpoint, seen

    def _take(self, sensor: _Sensor, seen: _Seen, now: Moment) -> None:
        column = sensor.of.column
        if column in seen.values:
            sensor.failures, sensor.since_ms, sensor.fault = 0, seen.at_ms, None
            sensor.last = LastValue(seen.at_ms, seen.values[column])
        elif column in seen.faults:
            sensor.failures += 1
            sensor.since_ms = seen.at_ms if sensor.failures == 1 else sensor.since_ms
            sensor.fault = seen.faults[column]
        else:
            return
        if seen.is_late:
            return
        has_failed = sensor.failures >= self._rule.readings
        if not has_failed and sensor.failures and sensor.is_firing:
            return
        if not has_failed and sensor.failures and sensor.is_firing is None:
            # After a restart: fewer are known than the alert, if there is one, was made of.
            return
        sensor.is_firing = has_failed and self._was_there(sensor, now)

    def _was_there(self, sensor: _Sensor, now: Moment) -> bool:
        """Whether the sensor has ever measured anything."""
        if sensor.last is None and now.monotonic_ms >= sensor.ask_at_ms:
            sensor.ask_at_ms = now.monotonic_ms + ASK_EVERY_MS
            sensor.last = self._last_value(sensor.station, sensor.of)
        return sensor.last is not None

    def _verdicts(self, sensor: _Sensor, alert: Alert | None, now: Moment) -> Iterator[Verdict]:
        if alert is None and sensor.last is not None and sensor.last.value is None:
            # It was good in readings that were refused for another field.
            sensor.last = self._last_value(sensor.station, sensor.of) or sensor.last
        last = sensor.last
        facts: dict[str, Fact] = {
            "readings": sensor.failures,
            "last_value": last.value if last else None,
            "unit": sensor.of.unit,
            "last_value_at": last.at_ms if last else None,
            "fault": sensor.fault,
        }
        yield Verdict(
            rule=self._rule.name,
            kind="failed_sensor",
            subject=sensor.subject,
            is_firing=sensor.is_firing,
            since_ms=sensor.since_ms or now.wall_ms,
            facts=facts,
        )


def _of_sample(station: Station, sample: NewReading) -> _Seen:
    seen = _Seen(sample.at_ms, sample.is_late)
    for of in station.measurements:
        value = sample.values[of.column]
        if measured(of, value) is None:
            seen.faults[of.column] = value
        else:
            seen.values[of.column] = value
    return seen


def _of_refusal(station: Station, refusal: RefusedReading, now: Moment) -> _Seen:
    is_late = refusal.received_at - refusal.measured_at > LATE_MS
    is_late = is_late or now.wall_ms - refusal.received_at > STALE_MS
    seen = _Seen(refusal.measured_at, is_late)
    if not any(warned_paths(station, {path: text}) for path, text in refusal.reasons.items()):
        # Refused for something else: as a whole, or by the database.
        return seen
    failed = warned_paths(station, dict(refusal.reasons))
    for of in station.measurements:
        if of.path in failed:
            seen.faults[of.column] = _fault_in(refusal.reasons.get(of.path))
        else:
            seen.values[of.column] = None
    return seen


def _fault_in(reason: str | None) -> float | None:
    """The fault value that a reason speaks of; None where it speaks of none."""
    if isinstance(reason, Reason):
        with suppress(KeyError, ValueError):
            return float(reason.values["value"])
    return None


def last_value_in(database: Database) -> LastValueOf:
    """The usual `last_value`: by the roll-ups, for no index has the values."""

    def last_value(station: Station, of: Measurement) -> LastValue | None:
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

    return last_value
