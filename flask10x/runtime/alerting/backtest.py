"""How often a rule would have fired in the last days, by the code that watches, of stored readings.

A month of a station has some 100,000 readings, which a Pi reads for seconds. So of a limit only the
hours are read in which a value was beyond it, and those until it was back: the others change
nothing. What is still more than ROWS_MAX is left out, the oldest first.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import func, select

from flask10x.alerts.alert import Alert, Moment, Watch
from flask10x.alerts.subjects import stations_of
from flask10x.config.alerts.rules import (
    FailedSensor,
    Rate,
    RefusedSender,
    Rule,
    Silence,
    Stuck,
    Threshold,
)
from flask10x.config.settings import Settings
from flask10x.database.counters import value_of
from flask10x.database.tables import measurement, readings, rejected
from flask10x.history.buckets import Bucket, Window
from flask10x.history.charts import chart, removed_ms, window_of
from flask10x.history.query import Bound, Query
from flask10x.history.silence import (
    Signs,
    learned_after_sec,
    learned_limits,
    silence,
    usual_silence,
)
from flask10x.history.view import View
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import DAY_MS, SECOND_MS
from flask10x.recording.rejected import EVICTED
from flask10x.runtime.alerting.measurement_watches import (
    LATE_MS,
    FastChange,
    LimitPassed,
    NewReading,
    Unchanged,
)
from flask10x.runtime.alerting.refusal_watches import (
    FailedSensors,
    RefusedReading,
    RefusedSenders,
    last_value,
    refusal_of,
)

DAYS = 30
# Of a station that sends each minute all of them; a Pi reads them in a second.
ROWS_MAX = 50_000
# Each bucket is an hour.
BUCKETS_MAX = DAYS * 24 + 2


@dataclass(frozen=True, slots=True)
class Firing:
    """One time that the rule would have fired, in UTC epoch milliseconds."""

    at_ms: int
    ended_ms: int | None
    """None: it would still be active."""
    subject: str = ""
    """The endpoint, where the rule watches several."""


@dataclass(frozen=True, slots=True)
class Past:
    """Hours of a measurement, as they were stored."""

    window: Window
    buckets: dict[int, Bucket]
    """By their place in the window, 0 for the first."""
    removed_ms: int | None
    """Up to when readings were removed, of which only the hours are left."""
    unit: str

    def ends(self, place: int) -> tuple[int, int]:
        """Return the first and the last millisecond of a bucket."""
        starts = self.window.starts
        return max(starts[place], self.window.first_ms), starts[place + 1] - 1


@dataclass(frozen=True, slots=True)
class Backtest:
    """When a rule would have fired."""

    firings: list[Firing]
    """The oldest first."""
    since_ms: int
    """From when on readings were looked at."""


def past(view: View, endpoint: str, column: str) -> Past | None:
    """Return the hours of the last days of a measurement; None when there is nothing.

    Raises what reading raises.
    """
    ends = (view.now_ms - DAYS * DAY_MS, view.now_ms)
    since, until = (Bound(ms, "", "") for ms in ends)
    query = Query(
        registry=view.stations,
        endpoints=(endpoint,),
        measurements=(column,),
        since=since,
        until=until,
        raw=True,
        buckets=BUCKETS_MAX,
        zone=view.zone,
        now_ms=view.now_ms,
    )
    window = window_of(view, query)
    if window is None:
        return None
    lines = chart(view, query, window, has_gaps=False).lines
    gone_ms = removed_ms(view, query, window)
    return Past(window, lines[0].buckets, gone_ms, lines[0].measurement.unit) if lines else None


def backtest(view: View, settings: Settings, rule: Rule, hours: Past | None) -> Backtest | None:
    """Return when the rule would have fired; None of a kind that stored readings do not tell.

    `hours` are those of the measurement of the rule. Raises what reading raises.
    """
    match rule:
        case Threshold():
            return _of_limit(view, rule, hours)
        case Rate() | Stuck():
            return _of_change(view, rule)
        case FailedSensor():
            return _of_sensors(view, rule)
        case RefusedSender():
            return _of_senders(view, rule)
        case Silence():
            return _of_silence(view, settings, rule)
    return None


def _of_sensors(view: View, rule: FailedSensor) -> Backtest:
    stations = stations_of(rule.stations, view.stations)
    most = ROWS_MAX // max(1, len(stations))
    since_ms, firings = _since_ms(view), []
    refusals = _refusals(view, since_ms)
    for station in stations:
        samples = _samples(view, station, since_ms, most)
        if len(samples) == most:
            since_ms = max(since_ms, samples[0].at_ms)
        own = [one for one in refusals if one.endpoint == station.endpoint]
        stored, rejected_source = _Stored[NewReading](), _Stored[RefusedReading]()
        last = partial(last_value, view.connection)
        watch = FailedSensors(rule, [station], stored, rejected_source, last)
        steps: list[_Step] = [(one.at_ms, stored, one) for one in samples]
        steps += [(one.received_at, rejected_source, one) for one in own]
        steps.sort(key=itemgetter(0))
        firings += _firings(rule, watch, steps)
    return Backtest(_in_order(firings, since_ms), since_ms)


def _of_senders(view: View, rule: RefusedSender) -> Backtest:
    endpoints = [station.endpoint for station in stations_of(rule.stations, view.stations)]
    since_ms = _since_ms(view)
    refusals = [one for one in _refusals(view, since_ms) if one.endpoint in endpoints]
    if refusals and value_of(view.connection, EVICTED):
        # Older ones were deleted for newer ones, maybe.
        since_ms = max(since_ms, refusals[0].received_at)
    source = _Stored[RefusedReading]()
    watch = RefusedSenders(rule, endpoints, source)
    came: list[_Step] = [(one.received_at, source, one) for one in refusals]
    # An alert ends when some of them are long enough ago.
    past = [(at + rule.within_sec * SECOND_MS, source, None) for at, _, _ in came]
    steps = sorted([*came, *(one for one in past if one[0] <= view.now_ms)], key=itemgetter(0))
    return Backtest(_in_order(_firings(rule, watch, steps), since_ms), since_ms)


def _in_order(firings: Iterable[Firing], since_ms: int) -> list[Firing]:
    later = [one for one in firings if one.at_ms >= since_ms]
    return sorted(later, key=lambda one: one.at_ms)


def _refusals(view: View, since_ms: int) -> list[RefusedReading]:
    """The rejected readings of the last days that are kept, the newest ROWS_MAX."""
    columns = rejected.c
    query = (
        select(
            *(columns.endpoint, columns.received_at, columns.measured_at),
            *(columns.reasons, columns.hint, columns.codes),
        )
        .where(columns.received_at >= since_ms, columns.received_at <= view.now_ms)
        .where(columns.earlier.is_(None))
        .order_by(columns.id.desc())
        .limit(ROWS_MAX)
    )
    found = [refusal_of(row) for row in view.connection.execute(query)]
    return sorted(found, key=lambda one: one.received_at)


def _samples(view: View, station: Station, since_ms: int, most: int) -> list[NewReading]:
    """The newest readings of a station with all that it measures, in the order of time."""
    at = readings.c.received_at
    query = select(at, readings.c.arrived_at, *map(measurement, station.columns)).where(
        readings.c.endpoint == station.endpoint, at >= since_ms, at <= view.now_ms
    )
    rows = view.connection.execute(query.order_by(at.desc()).limit(most)).all()
    return [
        NewReading(
            endpoint=station.endpoint,
            at_ms=row[0],
            values=dict(zip(station.columns, row[2:], strict=True)),
            is_late=row[1] is not None and row[1] - row[0] > LATE_MS,
        )
        for row in rows[::-1]
    ]


def _since_ms(view: View, hours: Past | None = None) -> int:
    since_ms = view.now_ms - DAYS * DAY_MS
    gone_ms = hours.removed_ms if hours else None
    return since_ms if gone_ms is None else max(since_ms, gone_ms + 1)


def _of_limit(view: View, rule: Threshold, hours: Past | None) -> Backtest:
    since_ms = _since_ms(view, hours)
    if hours is None:
        return Backtest([], since_ms)
    places = [place for place in _places(rule, hours) if hours.ends(place)[1] >= since_ms]
    rows = 0
    for number, place in enumerate(reversed(places)):
        rows += hours.buckets[place].count
        if rows > ROWS_MAX:
            places = places[len(places) - number :]
            since_ms = hours.ends(place)[1] + 1
            break
    source = _Stored[NewReading]()
    watch = LimitPassed(rule, _measurement(view, rule), source, view.zone)
    runs = [_run(hours, since_ms, run) for run in _runs(places)]
    samples = (one for first_ms, last_ms in runs for one in _rows(view, rule, first_ms, last_ms))
    steps = ((one.at_ms, source, one) for one in samples)
    return Backtest(_firings(rule, watch, steps), since_ms)


def _run(hours: Past, since_ms: int, places: Sequence[int]) -> tuple[int, int]:
    return max(since_ms, hours.ends(places[0])[0]), hours.ends(places[-1])[1]


def _places(rule: Threshold, hours: Past) -> Iterator[int]:
    """The hours in which a value was beyond the limit, and those until it was back for sure."""
    is_idle = True
    for place in sorted(hours.buckets):
        is_beyond, is_back = _of_hour(rule, hours.buckets[place])
        if is_beyond or not is_idle:
            yield place
            is_idle = is_back and not is_beyond


def _of_hour(rule: Threshold, hour: Bucket) -> tuple[bool, bool]:
    """Whether any of its values is beyond the limit, and whether any is back."""
    if hour.minimum is None or hour.maximum is None:
        return True, False
    if rule.above is not None:
        return hour.maximum > rule.above, hour.minimum <= rule.clear
    return rule.below is not None and hour.minimum < rule.below, hour.maximum >= rule.clear


def _runs(places: Iterable[int]) -> Iterator[list[int]]:
    """Neighbouring hours, which are read together."""
    for _, run in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0]):
        yield [place for _, place in run]


def _of_change(view: View, rule: Rate | Stuck) -> Backtest:
    since_ms = _since_ms(view)
    samples = [*_rows(view, rule, since_ms, view.now_ms, newest=ROWS_MAX)]
    if len(samples) == ROWS_MAX:
        since_ms = samples[0].at_ms
    source = _Stored[NewReading]()
    of = _measurement(view, rule)
    watch = FastChange(rule, of, source) if isinstance(rule, Rate) else Unchanged(rule, of, source)
    steps = ((one.at_ms, source, one) for one in samples)
    return Backtest(_firings(rule, watch, steps), since_ms)


def _of_silence(view: View, settings: Settings, rule: Silence) -> Backtest:
    stations = stations_of(rule.stations, view.stations)
    most = ROWS_MAX // max(1, len(stations))
    since_ms, firings = _since_ms(view), []
    learned = learned_limits(view.connection)
    for station in stations:
        came = _arrivals(view, station, since_ms, most)
        if len(came) == most:
            since_ms = max(since_ms, came[0])
        after_sec = rule.after_sec or learned_after_sec(
            settings,
            station,
            learned.get(station.endpoint)
            or usual_silence(view.connection, station).missed_after_sec,
        )
        for before_ms, at_ms in pairwise([*came, view.now_ms]):
            if _is_missed(at_ms - before_ms, after_sec):
                ended_ms = None if at_ms == view.now_ms else at_ms
                at = before_ms + after_sec * SECOND_MS
                firings.append(Firing(at, ended_ms, station.endpoint))
    firings.sort(key=lambda one: one.at_ms)
    return Backtest([one for one in firings if one.at_ms >= since_ms], since_ms)


def _is_missed(pause_ms: int, after_sec: int) -> bool:
    signs = Signs(age_ms=pause_ms, awaited_ms=None, after_sec=after_sec, is_alerted=False)
    return silence(signs).is_missed


def _arrivals(view: View, station: Station, since_ms: int, most: int) -> list[int]:
    came, at = func.coalesce(readings.c.arrived_at, readings.c.received_at), readings.c.received_at
    query = select(came).where(readings.c.endpoint == station.endpoint, at >= since_ms)
    query = query.where(at <= view.now_ms).order_by(at.desc()).limit(most)
    return sorted(ms for ms in view.connection.execute(query).scalars() if ms <= view.now_ms)


def _rows(
    view: View,
    rule: Threshold | Rate | Stuck,
    first_ms: int,
    last_ms: int,
    newest: int | None = None,
) -> Iterator[NewReading]:
    """The readings of the rule's station in this range, in the order of time."""
    at = readings.c.received_at
    query = select(at, readings.c.arrived_at, measurement(rule.column)).where(
        readings.c.endpoint == rule.station, at >= first_ms, at <= last_ms
    )
    if newest is None:
        rows: Iterable[tuple[int, int | None, float | None]] = (
            (row[0], row[1], row[2]) for row in view.connection.execute(query.order_by(at))
        )
    else:
        limited = query.order_by(at.desc()).limit(newest)
        rows = [(row[0], row[1], row[2]) for row in view.connection.execute(limited)][::-1]
    for at_ms, arrived_ms, value in rows:
        yield NewReading(
            endpoint=rule.station,
            at_ms=at_ms,
            values={rule.column: value},
            is_late=arrived_ms is not None and arrived_ms - at_ms > LATE_MS,
        )


T = TypeVar("T")


@dataclass(slots=True)
class _Stored(Generic[T]):
    """Hands one stored reading after another to a watch."""

    samples: list[T] = field(default_factory=list)

    def of(self, _now: Moment) -> Sequence[T]:
        return self.samples


_Step = tuple[int, _Stored[Any], Any]
"""A time, and the reading that comes then from a source; None: only time has passed."""


def _firings(rule: Rule, watch: Watch, steps: Iterable[_Step]) -> list[Firing]:
    firings: list[Firing] = []
    active: dict[tuple[str, str], Alert] = {}
    for at_ms, source, sample in steps:
        source.samples = [] if sample is None else [sample]
        for verdict in list(watch.step(Moment(at_ms, at_ms), active)):
            key = rule.name, verdict.subject
            if verdict.is_firing and key not in active:
                active[key] = Alert(
                    rule=rule.name,
                    kind=rule.kind,
                    subject=verdict.subject,
                    since_ms=at_ms,
                    firing_since_ms=at_ms,
                    facts={},
                )
            elif verdict.is_firing is False and key in active:
                alert = active.pop(key)
                firings.append(_firing(alert, at_ms))
        source.samples = []
    return [*firings, *(_firing(alert, None) for alert in active.values())]


def _firing(alert: Alert, ended_ms: int | None) -> Firing:
    # What a rule on one measurement is about is known to who reads it.
    is_one = alert.kind in ("threshold", "rate", "stuck")
    return Firing(alert.since_ms, ended_ms, "" if is_one else alert.subject)


def _measurement(view: View, rule: Threshold | Rate | Stuck) -> Measurement:
    of_station = view.stations.by_endpoint[rule.station].measurements
    return next(one for one in of_station if one.column == rule.column)
