"""Alerts, mutes and messages in the reader's words, as the pages and the API show them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import time
from urllib.parse import urlencode

from flask import url_for
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.alerts import state_file
from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.messages import Speaker
from flask10x.alerts.state_file import Mute
from flask10x.alerts.subjects import column_of, station_of
from flask10x.alerts.words import trouble_in
from flask10x.config.alerts.rules import Rate
from flask10x.config.settings import Settings
from flask10x.errors import QueryError
from flask10x.history.charts import Chart
from flask10x.history.parameters import whole_number
from flask10x.readings.labels import between, moment
from flask10x.readings.numbers import separated
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.times import DAY_MS, HOUR_MS, is_date, iso_text, local_text, parse_bound
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system import clock
from flask10x.system.wording import escape
from flask10x.translation import N_, Translation
from flask10x.web import context
from flask10x.web.cards import latest
from flask10x.web.context import alert_state
from flask10x.web.parameters import Parameters

LIMIT_MAX = 1000


@dataclass(frozen=True, slots=True)
class AlertsQuery:
    """A page of them, the newest first."""

    before: int | None
    """The id of the alert before which it ends; None: it begins with the newest."""
    limit: int


def alerts_query(default_limit: int) -> tuple[AlertsQuery, dict[str, str]]:
    """What the query string asks for, and what is wrong with it; then it is the first page."""
    parameters = Parameters("before", "limit")
    before = parameters.parsed("before", _number_of_alert)
    limit = parameters.parsed("limit", whole_number(1, LIMIT_MAX))
    if parameters.errors:
        return AlertsQuery(None, default_limit), parameters.errors
    return AlertsQuery(before, limit or default_limit), {}


def _number_of_alert(text: str) -> int:
    # Up to the last id of SQLite's rows.
    if re.fullmatch(r"[0-9]{1,19}", text) and 1 <= int(text) < 2**63:
        return int(text)
    raise WrongValue(Reason("not_a_cursor"))


LENGTH_MS = {"1h": HOUR_MS, "1d": DAY_MS, "1w": 7 * DAY_MS}
# For how long people mute.
DURATIONS = ("1h", "morning", "1d", "1w")
# When people get up, where no quiet hours say it.
MORNING = time(7, 0)
# Who mutes at five "until the morning" does not mean two hours.
LEAST_MS = 3 * HOUR_MS


def until_ms(duration: str, now_ms: int, settings: Settings) -> int:
    """Return when a mute that begins now ends, in UTC epoch milliseconds.

    The morning is the end of the quiet hours, or 7 o'clock, in the service's zone: the next one
    that is three hours away at least.
    """
    if duration in LENGTH_MS:
        return now_ms + LENGTH_MS[duration]
    quiet, earliest_ms = settings.alerts.quiet_hours, now_ms + LEAST_MS
    clock = (quiet.end if quiet else MORNING).isoformat("seconds")
    mornings = (
        parse_bound(
            f"{local_text(day_ms, settings.zone)[:10]} {clock}", settings.zone, 0, end=False
        )
        # A day may have 25 hours.
        for day_ms in (earliest_ms, earliest_ms + DAY_MS, earliest_ms + 2 * DAY_MS)
    )
    return next(ms for ms in mornings if ms >= earliest_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedAlerts:
    """Alerts, mutes and messages; nothing where there is no state file."""

    active: Sequence[Alert] = ()
    past: Sequence[Alert] = ()
    """The newest first."""
    has_older: bool = False
    muted: Sequence[Mute] = ()
    messages: Mapping[int, Sequence[AlertMessage]] = field(default_factory=dict)
    """Those of these alerts, by the alert's id."""
    troubled: Sequence[tuple[AlertMessage, Alert | None]] = ()
    """The messages that have not arrived, each with its alert; None for one that has none."""


def listed_alerts(question: AlertsQuery) -> ListedAlerts:
    """What is there now; raises sqlalchemy.exc.DBAPIError when the file can't be read."""
    with alert_state().reading() as connection:
        if connection is None:
            return ListedAlerts()
        now_ms = clock.now_ms()
        active = state_file.active(connection, now_ms)
        past = state_file.past(connection, question.before, question.limit + 1)
        shown = past[: question.limit]
        troubled = state_file.troubled(connection)
        alerts = state_file.by_id(connection, {message.alert_id or 0 for message in troubled})
        return ListedAlerts(
            active=active,
            past=shown,
            has_older=len(past) > len(shown),
            muted=state_file.muted(connection, now_ms),
            messages=state_file.messages_of(connection, [alert.id for alert in (*active, *shown)]),
            troubled=[(message, alerts.get(message.alert_id or 0)) for message in troubled],
        )


# Alerts of a number that goes on changing.
OF_VALUES = ("threshold", "rate")


NewestValues = Mapping[str, tuple[float, str, int]]
"""By the subject of an alert: a stored value, its unit, when it was received (UTC epoch ms)."""


def newest_values(store: Store | Waiting, alerts: Iterable[Alert]) -> NewestValues:
    """The newest values of the stations of these alerts; empty where they cannot be read now."""
    endpoints = {station_of(alert.subject) for alert in alerts if alert.kind in OF_VALUES}
    if isinstance(store, Waiting) or not endpoints or store.database.damage.obstacle:
        return {}
    stations = [station for station in store.settings.stations.all if station.endpoint in endpoints]
    try:
        with context.view() as view:
            newest = latest(view, store, stations, raw=True)
    except (DBAPIError, TimeoutError, QueryError):
        return {}
    return {
        f"{each.station.endpoint}.{measurement.column}": (
            value,
            measurement.unit,
            each.row.received_at,
        )
        for each in newest
        if each.row is not None
        for measurement, value in zip(each.station.measurements, each.row.values, strict=True)
        if value is not None
    }


# What a chart shows on both sides of an alert.
AROUND_MS = HOUR_MS
MS_PER_SEC = 1000
# More than a sensor has tell nothing.
DIGITS = 6
OCCASIONS = {
    "entry": N_("Alert"),
    "recovery": N_("Recovery"),
    "reminder": N_("Reminder"),
    "limit": N_("Note that the day's limit is reached"),
    "test": N_("Test"),
}
OUTCOMES = {
    "sent": N_("{time}: {occasion} sent by {channel}"),
    "given_up": N_("{occasion} by {channel}: given up on {time} (tries: {n})"),
    "muted": N_("{occasion} by {channel}: not sent, because it was muted"),
    "over_limit": N_("{occasion} by {channel}: not sent, because the day's limit was reached"),
    "dropped": N_("{occasion} by {channel}: not sent, because it is no longer watched"),
    "failed": N_("{occasion} by {channel}: failed (tries: {n}), next try on {time}"),
    "later": N_("{occasion} by {channel}: not before {time}"),
    "due": N_("{occasion} by {channel}: about to be sent"),
}
"""What became of a message: its state, and of a waiting one `failed`, `later` or `due`."""


class AlertReader:
    """Words alerts and their messages for one reader, who looks now."""

    def __init__(
        self, settings: Settings, t: Translation, now_ms: int, values: NewestValues | None = None
    ) -> None:
        self.settings, self.t, self.now_ms = settings, t, now_ms
        self._speaker = Speaker(settings, t.language)
        self._values = values or {}

    def title(self, alert: Alert) -> str:
        """What is wrong with what, as the title of its message."""
        return self._speaker.alert(alert, "entry").title

    def lines(self, alert: Alert) -> list[str]:
        """Since when, what is known of it and what to do, as it fired; second, the value now."""
        lines = self._speaker.alert(alert, "entry").body.splitlines()
        if alert.kind not in OF_VALUES or alert.subject not in self._values:
            return lines
        number, unit, at = self._values[alert.subject]
        value = f"{separated(f'{number:.{DIGITS}g}')} {unit}".rstrip()
        text = self.t("Last value: {value} ({time})", value=value, time=self.time(at))
        return [*lines[:1], text, *lines[1:]]

    def title_of_mute(self, mute: Mute) -> str:
        """The title of an alert that there may not be; of a rule that is gone its name."""
        rule = self.settings.alerts.by_name.get(mute.rule)
        if rule is None:
            return f"{escape(mute.rule)} ({self._speaker.name(mute.subject)})"
        facts = {"rise": int(rule.rise is not None)} if isinstance(rule, Rate) else {}
        return self.title(
            Alert(
                rule=rule.name,
                kind=rule.kind,
                subject=mute.subject,
                since_ms=0,
                firing_since_ms=0,
                facts=facts,
            )
        )

    def time(self, ms: int | None) -> str:
        """Local, to the minute; empty for None."""
        if ms is None:
            return ""
        return moment(ms, self.settings.zone, self.t, self.now_ms)

    def iso(self, ms: int | None) -> str | None:
        """The same for programs; None for None."""
        return None if ms is None else iso_text(ms, self.settings.zone)

    def period(self, alert: Alert) -> str:
        """From when to when it lasted."""
        ended_ms = self.now_ms if alert.ended_ms is None else alert.ended_ms
        return between(alert.since_ms, ended_ms, self.settings.zone, self.t, self.now_ms)

    def lasting(self, alert: Alert) -> str:
        """How long it lasted, or has lasted so far."""
        last_ms = self.now_ms if alert.ended_ms is None else alert.ended_ms
        return self.t.duration(max(0, last_ms - alert.since_ms) // MS_PER_SEC)

    def is_muted(self, alert: Alert) -> bool:
        """Whether no message of it is sent now."""
        return (alert.muted_until_ms or 0) > self.now_ms

    def since(self, alert: Alert) -> str:
        """The words before its title on the card of its station."""
        time = self.time(alert.since_ms)
        if self.is_muted(alert):
            return self.t("Alert since {time}, muted:", time=time)
        return self.t("Alert since {time}:", time=time)

    def channels(self, messages: Iterable[AlertMessage]) -> str:
        """The names of the channels that were notified by these; empty: none."""
        sent = dict.fromkeys(message.channel for message in messages if message.state == "sent")
        return self.t.listed(map(escape, sent))

    def trouble(self, message: AlertMessage) -> str:
        """Why the last try failed; empty where none has, or a later one has not."""
        if message.state == "sent":
            return ""
        return escape(trouble_in(self.t.language, message.trouble))

    def is_bad(self, message: AlertMessage) -> bool:
        """Whether it has not arrived and needs attention."""
        is_tried_again = message.state == "waiting" and bool(message.trouble)
        return message.state == "given_up" or is_tried_again

    def text(self, message: AlertMessage) -> str:
        """What became of a message."""
        state, at_ms = str(message.state), message.settled_ms
        if message.state == "waiting":
            state, at_ms = "later" if message.due_ms > self.now_ms else "due", message.due_ms
            state = "failed" if message.trouble else state
        return self.t(
            OUTCOMES[state],
            channel=escape(message.channel),
            occasion=self.t(OCCASIONS[message.occasion]),
            time=self.time(at_ms),
            n=message.tries,
        )

    def next_reminder(self, alert: Alert, messages: Iterable[AlertMessage]) -> str:
        """When the next one of an active alert is due; empty where none will come as it is now."""
        is_notified = any(
            message.occasion == "entry" and message.state == "sent" for message in messages
        )
        due_ms = alert.reminded_ms + self.settings.alerts.reminder_after_sec * MS_PER_SEC
        least_ms = max(self.now_ms, alert.muted_until_ms or 0)
        return self.time(due_ms) if is_notified and due_ms >= least_ms else ""

    def see(self, alert: Alert) -> tuple[str, str]:
        """Where to see more of it, and what that is called."""
        station = self.settings.stations.by_endpoint.get(station_of(alert.subject))
        if station is None:
            return url_for("status_page.as_page"), self.t("Health")
        column = column_of(alert.subject)
        query = {"endpoint": station.endpoint}
        query |= {"measurement": column} if column in station.columns else {}
        query |= self._around(alert)
        if alert.kind == "rejected":
            return _address("rejected.as_page", query), self.t("Rejected readings")
        return _address("history_page.as_page", query), self.t("Chart")

    def _around(self, alert: Alert) -> dict[str, str]:
        """The time of it, with some before and after."""
        zone, start_ms = self.settings.zone, max(0, alert.since_ms - AROUND_MS)
        if not is_date(start_ms):
            return {}
        around = {"from": local_text(start_ms, zone)}
        if alert.ended_ms is not None and alert.ended_ms + AROUND_MS < self.now_ms:
            around["to"] = local_text(alert.ended_ms + AROUND_MS, zone)
        return around


def _address(endpoint: str, query: dict[str, str]) -> str:
    return f"{url_for(endpoint)}?{urlencode(query, safe=':')}"


# A chart that is shaded all over tells nothing.
MOST_SPANS = 200


def alerts_of_stations(settings: Settings) -> dict[str, list[Alert]]:
    """The active alerts of each endpoint that has any, in the order of their entry."""
    marked: dict[str, list[Alert]] = {}
    for alert in alert_state().current().active:
        if station_of(alert.subject) in settings.stations.by_endpoint:
            marked.setdefault(station_of(alert.subject), []).append(alert)
    return marked


def alerts_of_chart(chart: Chart, settings: Settings, t: Translation) -> list[dict[str, object]]:
    """The alerts of the lines of a chart, as `/history/series` has them; the oldest first.

    Empty when the state file cannot be read: the chart is drawn without alerts.
    """
    if chart.window is None:
        return []
    first_ms, last_ms = chart.window.first_ms, chart.window.last_ms
    shown = {(line.station.endpoint, line.measurement.column) for line in chart.lines}
    # An alert of a station as a whole is shown by each of its measurements.
    shown |= {(endpoint, "") for endpoint, _ in shown}
    alerts: Sequence[Alert] = ()
    with suppress(DBAPIError), alert_state().reading() as connection:
        if connection is not None:
            alerts = state_file.between(connection, first_ms, last_ms + 1)
    mine = [a for a in alerts if (station_of(a.subject), column_of(a.subject)) in shown]
    reader = AlertReader(settings, t, 0)
    return [
        {
            "id": alert.id,
            "endpoint": station_of(alert.subject),
            "measurement": column_of(alert.subject) or None,
            "from_ms": alert.since_ms,
            "to_ms": alert.ended_ms,
            "title": reader.title(alert),
        }
        for alert in reversed(mine[:MOST_SPANS])
    ]
