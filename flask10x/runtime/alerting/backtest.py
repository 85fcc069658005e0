"""How often a rule would have fired in the last days, by the code that watches, of stored readings.

A Pi reads a month of a station that sends three times a minute for seconds. So what is more than
ROWS_MAX readings is left out, the oldest first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import func, select

from flask10x.alerts import transitions
from flask10x.alerts.alert import Alert, Moment
from flask10x.alerts.subjects import awaited_of
from flask10x.config.alerts import rules
from flask10x.config.settings import Settings
from flask10x.database.tables import measurement, readings
from flask10x.history.buckets import Bucket, Window
from flask10x.history.charts import chart, removed_ms, window_of
from flask10x.history.query import Bound, Query
from flask10x.history.silence import learned_after_sec, learned_limits, usual_silence
from flask10x.history.view import View
from flask10x.readings.times import DAY_MS, SECOND_MS
from flask10x.runtime.alerting.new_rows import NewReading, is_late
from flask10x.runtime.alerting.watch_list import RuleOnMeasurement, watch_of_measurement

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
    if isinstance(rule, rules.Silence):
        return _of_silence(view, settings, rule, since_ms)
    if not isinstance(rule, RuleOnMeasurement):
        return None
    if hours is not None and hours.removed_ms is not None:
        since_ms = max(since_ms, hours.removed_ms + 1)
    new = _stored(view, rule, since_ms)
    if len(new) == ROWS_MAX:
        since_ms = max(since_ms, new[0].at_ms)
    return _in_order(_firings(settings, rule, new), since_ms)


def _in_order(firings: Iterable[Firing], since_ms: int) -> Backtest:
    later = [firing for firing in firings if firing.at_ms >= since_ms]
    return Backtest(sorted(later, key=lambda firing: firing.at_ms), since_ms)


def _firings(
    settings: Settings, rule: RuleOnMeasurement, new: Iterable[NewReading]
) -> list[Firing]:
    """Return when the watch of the rule fires, as these readings come one after another."""
    came: list[NewReading] = []
    watch = watch_of_measurement(rule, settings, lambda _now: came)
    ended: list[Alert] = []
    active: dict[tuple[str, str], Alert] = {}
    for reading in new:
        came[:], at_ms = [reading], reading.at_ms
        verdicts = watch.step(Moment(at_ms, at_ms), active)
        for what, alert in transitions.changes(active, verdicts, (), (), at_ms):
            key = alert.rule, alert.subject
            if what == "end":
                del active[key]
                ended.append(alert)
            else:
                active[key] = alert
    return [Firing(alert.firing_since_ms, alert.ended_ms) for alert in (*ended, *active.values())]


def _stored(view: View, rule: RuleOnMeasurement, since_ms: int) -> list[NewReading]:
    """The newest readings of the station of a rule from then on, in the order of time."""
    at, endpoint, column = readings.c.received_at, rule.station, rule.column
    query = select(at, readings.c.arrived_at, measurement(column))
    query = query.where(readings.c.endpoint == endpoint, at.between(since_ms, view.now_ms))
    rows = view.connection.execute(query.order_by(at.desc()).limit(ROWS_MAX)).all()
    return [
        NewReading(
            endpoint=endpoint,
            at_ms=at_ms,
            values={column: value},
            is_late=is_late(at_ms, arrived_at),
        )
        for at_ms, arrived_at, value in reversed(rows)
    ]


def _of_silence(view: View, settings: Settings, rule: rules.Silence, since_ms: int) -> Backtest:
    stations = awaited_of(rule.stations, view.stations)
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
