"""How often a rule would have fired in the last days, by the code that watches, of stored readings.

A Pi reads a month of a station that sends three times a minute for seconds. So what is more than
ROWS_MAX readings is left out, the oldest first.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from sqlalchemy import func, select

from flask10x.alerts import transitions
from flask10x.alerts.alert import Alert, Moment
from flask10x.alerts.subjects import stations_of
from flask10x.config.alerts import rules
from flask10x.config.settings import Settings
from flask10x.database.counters import value_of
from flask10x.database.tables import measurement, readings, rejected
from flask10x.history.buckets import Bucket, Window
from flask10x.history.charts import chart, removed_ms, window_of
from flask10x.history.query import Bound, Query
from flask10x.history.silence import learned_after_sec, learned_limits, usual_silence
from flask10x.history.view import View
from flask10x.readings.times import DAY_MS, SECOND_MS
from flask10x.recording.rejected import EVICTED
from flask10x.runtime.alerting.new_rows import (
    NewReading,
    is_late,
)
from flask10x.runtime.alerting.rejection_watches import Rejection, last_value, rejections
from flask10x.runtime.alerting.watch_list import RuleOnReadings, scope_of, watch_of_readings

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


def backtest(
    view: View, settings: Settings, rule: rules.Rule, hours: Past | None
) -> Backtest | None:
    """Return when the rule would have fired; None of a kind that stored readings do not tell.

    `hours` are those of the measurement of the rule. Raises what reading raises.
    """
    since_ms = view.now_ms - DAYS * DAY_MS
    steps: list[Step] = []
    match rule:
        case rules.Silence():
            return _of_silence(view, settings, rule, since_ms)
        case rules.Threshold() | rules.Rate() | rules.Stuck() | rules.FailedSensor():
            if hours is not None and hours.removed_ms is not None:
                since_ms = max(since_ms, hours.removed_ms + 1)
            columns = scope_of((rule,), view.stations).columns
            most = ROWS_MAX // max(1, len(columns))
            for endpoint, names in columns.items():
                new = _stored(view, endpoint, names, (since_ms, view.now_ms), most)
                since_ms = max(since_ms, new[0].at_ms) if len(new) == most else since_ms
                steps += new
            if isinstance(rule, rules.FailedSensor):
                steps += _rejected(view, rule)
        case rules.RejectedSender():
            newest = _rejected(view, rule)
            if newest and value_of(view.connection, EVICTED):
                # Older ones were deleted for newer ones, maybe.
                since_ms = max(since_ms, newest[0].received_at)
            # An alert ends when some of them are long enough ago.
            past = [one.received_at + rule.within_sec * SECOND_MS for one in newest]
            steps = [*newest, *(at_ms for at_ms in past if at_ms <= view.now_ms)]
        case _:
            return None
    return _in_order(_firings(view, settings, rule, steps), since_ms)


def _in_order(firings: Iterable[Firing], since_ms: int) -> Backtest:
    later = [firing for firing in firings if firing.at_ms >= since_ms]
    return Backtest(sorted(later, key=lambda firing: firing.at_ms), since_ms)


Step = NewReading | Rejection | int
"""A reading that has come, or a time at which none has."""


def _time_of(step: Step) -> int:
    if isinstance(step, int):
        return step
    return step.at_ms if isinstance(step, NewReading) else step.received_at


def _firings(
    view: View, settings: Settings, rule: RuleOnReadings, steps: Iterable[Step]
) -> list[Firing]:
    """Return when the watch of the rule fires, as these steps come one after another."""
    came: list[Step] = []
    watch = watch_of_readings(
        rule,
        settings,
        lambda _now: [step for step in came if isinstance(step, NewReading)],
        lambda _now: [step for step in came if isinstance(step, Rejection)],
        partial(last_value, view.connection),
    )
    # The page of a rule on one measurement names it already.
    is_one = isinstance(rule, rules.Threshold | rules.Rate | rules.Stuck)
    ended: list[Alert] = []
    active: dict[tuple[str, str], Alert] = {}
    for step in sorted(steps, key=_time_of):
        came[:], at_ms = [step], _time_of(step)
        verdicts = watch.step(Moment(at_ms, at_ms), active)
        for what, alert in transitions.changes(active, verdicts, (), (), at_ms):
            key = alert.rule, alert.subject
            if what == "end":
                del active[key]
                ended.append(alert)
            else:
                active[key] = alert
    return [
        Firing(alert.firing_since_ms, alert.ended_ms, "" if is_one else alert.subject)
        for alert in (*ended, *active.values())
    ]


def _rejected(view: View, rule: rules.FailedSensor | rules.RejectedSender) -> list[Rejection]:
    """The rejected readings of the last days that are kept, the newest ROWS_MAX."""
    came = rejected.c.received_at
    is_within = came >= view.now_ms - DAYS * DAY_MS, came <= view.now_ms
    endpoints = [station.endpoint for station in stations_of(rule.stations, view.stations)]
    newest = rejections(view.connection, *is_within, limit=ROWS_MAX)
    of_rule = (one for one in newest if one.endpoint in endpoints)
    return sorted(of_rule, key=lambda one: one.received_at)


def _stored(
    view: View, endpoint: str, columns: Collection[str], ends: tuple[int, int], most: int
) -> list[NewReading]:
    """The newest readings of a station within this range, in the order of time."""
    at = readings.c.received_at
    query = select(at, readings.c.arrived_at, *map(measurement, columns))
    query = query.where(readings.c.endpoint == endpoint, at.between(*ends))
    rows = view.connection.execute(query.order_by(at.desc()).limit(most)).all()
    return [
        NewReading(
            endpoint=endpoint,
            at_ms=row[0],
            values=dict(zip(columns, row[2:], strict=True)),
            is_late=is_late(row[0], row[1]),
        )
        for row in reversed(rows)
    ]


def _of_silence(view: View, settings: Settings, rule: rules.Silence, since_ms: int) -> Backtest:
    stations = stations_of(rule.stations, view.stations)
    most = ROWS_MAX // max(1, len(stations))
    firings = []
    learned = learned_limits(view.connection)
    came, at = func.coalesce(readings.c.arrived_at, readings.c.received_at), readings.c.received_at
    for station in stations:
        query = select(came).where(readings.c.endpoint == station.endpoint, at >= since_ms)
        query = query.where(at <= view.now_ms).order_by(at.desc()).limit(most)
        arrivals = sorted(
            ms for ms in view.connection.execute(query).scalars() if ms <= view.now_ms
        )
        if len(arrivals) == most:
            since_ms = max(since_ms, arrivals[0])
        after_sec = rule.after_sec or learned_after_sec(
            settings,
            station,
            learned.get(station.endpoint)
            or usual_silence(view.connection, station).missed_after_sec,
        )
        for before_ms, at_ms in pairwise([*arrivals, view.now_ms]):
            fired_ms = before_ms + after_sec * SECOND_MS
            if at_ms > fired_ms:
                ended_ms = None if at_ms == view.now_ms else at_ms
                firings.append(Firing(fired_ms, ended_ms, station.endpoint))
    return _in_order(firings, since_ms)
