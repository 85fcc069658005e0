"""The answers of the page `/status`: the findings of the checks, with the commands that help here.

Beside the checks of the service it answers how long readings are kept, and which alerts are active.
"""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flask import request, url_for
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from flask10x.alerts import state_file
from flask10x.alerts.active import AlertState
from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.state_file import path_of
from flask10x.config.settings import Settings
from flask10x.database import dialects
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.health import copies
from flask10x.health.checks import Checks, Facts, Finding, Heard, Remedy, said
from flask10x.health.database import Obstacle, obstacles_met, server_state
from flask10x.health.disk import CardRoom, room
from flask10x.health.words import REASONS
from flask10x.readings.labels import moment, station_name
from flask10x.runtime import periodic_tasks
from flask10x.runtime.retention import Outlook, outlooks
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system.wording import escape
from flask10x.translation import N_, Translation
from flask10x.web import context, programs
from flask10x.web.alert_state import state
from flask10x.web.cards import latest
from flask10x.web.pages.alerts.model import AlertReader
from flask10x.web.shell import shell

# A database that is locked for reading is so for hours or for milliseconds.
BUSY_MS = 250
# The page that helps with a remedy, and what it is called.
LINKS = {
    "sent": ("devices.as_page", N_("Sensors")),
    "rejected": ("rejected.as_page", N_("Rejected readings")),
    "alerts": ("alerts.as_page", N_("Alerts")),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownRemedy:
    """One thing that people can do."""

    text: str
    command: str = ""
    """Lines for a shell; empty: none is needed."""
    url: str = ""
    """A page that helps; empty: none."""
    link: str = ""
    """The text of the link to it."""


@dataclass(kw_only=True, slots=True)
class StatusFacts(Facts):
    """The facts of the checks, and those that only the page shows."""

    retention: Sequence[Outlook] = ()
    """Of the stations whose old readings are removed."""


def gathered(store: Store | Waiting, now_ms: int) -> StatusFacts:
    """Return all facts that can be read now; raises nothing."""
    settings = store.settings
    facts = StatusFacts(has_database=isinstance(store, Store), alerts=state().current().active)
    facts.read_files(settings, now_ms)
    if isinstance(store, Waiting):
        facts.obstacles = [
            Obstacle("missing", store.reason)
            if store.is_file
            else Obstacle("unreachable", store.reason, store.reason)
        ]
        return facts
    with facts.part("database"), _patient(store.database) as connection:
        view = context.view_of(connection)
        facts.read_database(settings, view)
        with facts.part("stations"):
            facts.stations = [
                Heard(
                    station=newest.station,
                    silence=newest.silence,
                    measured_at=newest.row.received_at if newest.row else None,
                )
                for newest in latest(view, store, view.stations.all)
            ]
        with facts.part("retention"):
            facts.retention = outlooks(settings, store.database, view)
    with facts.part("lost"):
        facts.lost = copies.lost_files(facts.only_copies, facts.copies)
    facts.obstacles = obstacles_met(store.database, store.writer, store.gauges)
    facts.rescued, facts.is_taken_away = store.gauges.rescued, bool(store.gauges.taken_away)
    facts.waiting, facts.failing = store.queues.length(), periodic_tasks.failing(store.gauges)
    # After the database, by which it is known whether the server answers.
    facts.server = server_state(settings, store.database)
    if facts.card is None:
        with facts.part("card"):
            # How the disk fills only the database can tell.
            free = room(store.database.path.parent)
            facts.card = CardRoom(room=free, rows_a_day=None, bytes_a_day=None)
    with facts.part("card"):
        facts.read_room_for_backup(settings)
    return facts


@contextmanager
def _patient(database: Database) -> Iterator[Connection]:
    """A read transaction in which nothing waits for long; raises what `Database.query` raises."""
    with (
        database.promptly(),
        database.query() as connection,
        dialects.of(connection).waits_briefly(connection, BUSY_MS),
    ):
        yield connection


def answers(store: Store | Waiting, t: Translation, now_ms: int) -> list[Finding]:
    """Return the answers in the order in which a reading goes; raises nothing."""
    settings, facts = store.settings, gathered(store, now_ms)
    return [
        *Checks(settings, facts, t, now_ms).all(),
        *kept(facts.retention, settings, t, now_ms),
        alerting(facts, settings, t, now_ms),
    ]


def kept(
    stations: Sequence[Outlook], settings: Settings, t: Translation, now_ms: int
) -> list[Finding]:
    """Return how long readings are kept; empty where none are removed."""
    if not stations:
        return []
    text = t(
        "Old readings are removed; their hourly and daily totals stay. The database "
        "file does not get smaller: new readings take the room."
    )
    late = [outlook for outlook in stations if outlook.is_late(now_ms)]
    if late:
        overdue = t("Some readings are overdue for removal by a week or more.")
        text = t.sentences([overdue, *dict.fromkeys(_why(outlook, t) for outlook in late)])
    remedies: list[Remedy] = []
    for outlook in late:
        if outlook.obstacle == "archived_gone":
            path = f"/.../{outlook.station.csv_name}"
            remedies.append(Remedy("archived_file", {"path": path}))
        if outlook.command and "--verify" not in outlook.command:
            arguments = shlex.split(outlook.command)[1:]
            remedies.append(Remedy("fix", {"arguments": arguments}))
    remedies += [Remedy("compare")] if late else []
    details = [t.sentences(_outlook(each, settings, t, now_ms)) for each in stations]
    once = [each for n, each in enumerate(remedies) if each not in remedies[:n]]
    return [Finding("kept", "warn" if late else "good", text, details, once)]


def _why(outlook: Outlook, t: Translation) -> str:
    """Why what is due of a station stays."""
    file = outlook.path or outlook.station.csv_name
    return t(REASONS[outlook.obstacle or "other"], file=file)


def _outlook(outlook: Outlook, settings: Settings, t: Translation, now_ms: int) -> Iterator[str]:
    name = station_name(outlook.station, t)
    yield t("{name}: kept for {days} days.", name=name, days=outlook.days)
    if outlook.removed.last_ms is not None:
        last = moment(outlook.removed.last_ms, settings.zone, t, now_ms)
        n = f"{outlook.removed.readings:,}"
        yield t("{n} readings up to {time} have been removed.", n=n, time=last)
    if outlook.oldest_at is not None and outlook.goes_at is not None:
        oldest, goes = (
            moment(at, settings.zone, t, now_ms) for at in (outlook.oldest_at, outlook.goes_at)
        )
        yield t("The next one to go is from {time}, on {date}.", time=oldest, date=goes)
    else:
        yield t("No readings are old enough to be removed yet.")
    if outlook.obstacle:
        yield _why(outlook, t)


def alerting(facts: Facts, settings: Settings, t: Translation, now_ms: int) -> Finding:
    """Return which alerts are active, and whether messages of them arrive."""
    if not facts.has_database and not path_of(settings).exists():
        # No alert is looked for then (`runtime/waiting.py`).
        text = t("Unknown while the database is missing.")
        return Finding("alerting", "unknown", text)
    alerts = state()
    file = alerts.current()
    failing, trouble = _failing(alerts)
    if reason := file.trouble or trouble:
        text = t("Unknown right now; the reason is below.")
        return Finding("alerting", "unknown", text, reason=reason)
    reader = AlertReader(settings, t, now_ms)
    details = [_line(alert, reader) for alert in file.active]
    if failing:
        details.append(
            t(
                "A message by “{channel}” has not arrived and will be tried again: {why}",
                channel=escape(failing.channel),
                why=escape(failing.trouble),
            )
        )
    if not settings.alerts.channels:
        details.append(t("Notifications are off: alerts.toml names no channel."))
    n, is_loud = len(file.active), not all(map(reader.is_muted, file.active))
    text = t("Active alerts: {n}", n=n) if n else t("No active alerts.")
    remedies = [Remedy("alerts")] if n or failing else []
    return Finding("alerting", "warn" if is_loud or failing else "good", text, details, remedies)


def _line(alert: Alert, reader: AlertReader) -> str:
    t, title, time = reader.t, reader.title(alert), reader.time(alert.since_ms)
    if reader.is_muted(alert):
        return t("{title}, since {time} (muted)", title=title, time=time)
    return t("{title}, since {time}", title=title, time=time)


def _failing(alerts: AlertState) -> tuple[AlertMessage | None, str]:
    """The newest message that does not arrive; or why that cannot be read."""
    try:
        with alerts.reading() as connection:
            messages = state_file.troubled(connection, 1) if connection else []
    except DBAPIError as error:
        return None, reason_of(error)
    # A message that was given up is shown with its alert.
    return next((message for message in messages if message.state == "waiting"), None), ""


def shown(remedy: Remedy, settings: Settings, t: Translation) -> ShownRemedy:
    """Return a remedy with the commands of this service."""
    text, values = said(remedy, settings, t), dict(remedy.values)
    if remedy.name in LINKS:
        endpoint, link = LINKS[remedy.name]
        station = values.get("station")
        url = url_for(endpoint, _anchor=getattr(station, "endpoint", None))
        return ShownRemedy(text=text, url=url, link=t(link))
    if remedy.name == "trial":
        command = programs.trial(values["station"])  # type: ignore[arg-type]
        return ShownRemedy(text=text, command=command)
    if remedy.name == "copy_backups":
        values["login"] = f"pi@{programs.address(request.host)[0]}"
    return ShownRemedy(text=text, command=shell(settings).command(remedy.name, **values))
