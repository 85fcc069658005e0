"""The answers of the page `/status`: the findings of the checks, and what helps.

A button leads to what the browser can do; a command is shown for the rest.

Beside the checks of the service it answers how long readings are kept, and which alerts are active.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from flask import request, url_for
from sqlalchemy.exc import DBAPIError

from flask10x.alerts import state_file
from flask10x.alerts.state_file import path_of
from flask10x.config.settings import Settings
from flask10x.database.error_codes import reason_of
from flask10x.health.checks import Checks, Facts, Finding, Remedy, said
from flask10x.readings.labels import Moments, station_name
from flask10x.readings.obstacles import REASONS
from flask10x.readings.stations import Station
from flask10x.runtime.retention import Outlook
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system.wording import escape
from flask10x.translation import N_, Translation
from flask10x.web import programs
from flask10x.web.alerts import AlertReader
from flask10x.web.context import alert_state
from flask10x.web.facts import HouseFacts
from flask10x.web.shell import shell

# The page that helps with a remedy, and what it is called.
LINKS = {
    "rejected": ("rejected.as_page", N_("Rejected readings")),
    "alerts": ("alerts.as_page", N_("Alerts")),
}
# The view that a card leads to, the part of its page, and the words of the button.
PLACES = {
    "backed_up": [("setup.as_files", "backups", N_("Back up now"))],
    "exported": [("setup.as_files", "export", N_("Export now"))],
    "card": [("setup.as_files", "kept", N_("How long readings are kept"))],
    "kept": [("setup.as_files", "kept", N_("Change it"))],
    "alerting": [
        ("alerts.as_page", "active", N_("Alerts")),
        ("setup.as_notifications", "channels", N_("Notifications")),
    ],
}
# The remedies in the place of which there is a button.
DONE_THERE = {
    *("back_up_nightly", "copy_backups", "export_nightly", "export_again", "verify_weekly"),
    "alerts",
}


def answers(
    store: Store | Waiting, facts: HouseFacts, t: Translation, now_ms: int
) -> list[Finding]:
    """Return the answers in the order in which a reading goes; raises nothing."""
    settings = store.settings
    found = [
        *Checks(settings, facts, t, now_ms).all(),
        *kept(facts.retention, settings, t, now_ms),
        alerting(facts, settings, t, now_ms),
    ]
    if facts.backup is None:
        text = t("There is no backup yet.")
        found = [
            replace(each, text=text, details=[each.text])
            if each.check == "backed_up" and each.level != "unknown"
            else each
            for each in found
        ]
    if settings.setup == "off":
        return found
    return [
        replace(each, remedies=[one for one in each.remedies if one.name not in DONE_THERE])
        for each in found
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
    """Return why what is due of a station stays."""
    file = outlook.path or outlook.station.csv_name
    return t(REASONS[outlook.obstacle or "other"], file=file)


def _outlook(outlook: Outlook, settings: Settings, t: Translation, now_ms: int) -> Iterator[str]:
    name, time = station_name(outlook.station, t), Moments(settings.zone, t, now_ms)
    yield t("{name}: kept for {days} days.", name=name, days=outlook.days)
    if outlook.removed.last_ms is not None:
        n = f"{outlook.removed.readings:,}"
        last = time(outlook.removed.last_ms)
        yield t("{n} readings up to {time} have been removed.", n=n, time=last)
    if outlook.oldest_at is not None and outlook.goes_at is not None:
        oldest, goes = time(outlook.oldest_at), time(outlook.goes_at)
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
    alerts = alert_state()
    file, reason = alerts.current(), ""
    # A message that was given up is shown with its alert.
    failing = None
    try:
        with alerts.reading() as connection:
            messages = state_file.troubled(connection, 1) if connection else []
            failing = next((each for each in messages if each.state == "waiting"), None)
    except DBAPIError as error:
        reason = reason_of(error)
    if reason := file.trouble or reason:
        text = t("Unknown right now; the reason is below.")
        return Finding("alerting", "unknown", text, reason=reason)
    reader, details = AlertReader(settings, t, now_ms), []
    for alert in file.active:
        sentence = N_("{title}, since {time}")
        if reader.is_muted(alert):
            sentence = N_("{title}, since {time} (muted)")
        details.append(t(sentence, title=reader.title(alert), time=reader.time(alert.since_ms)))
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


def shown(remedy: Remedy, settings: Settings, t: Translation) -> dict[str, str]:
    """Return a remedy with the lines for a shell of this service, or a page that helps."""
    text, values = said(remedy, settings, t), dict(remedy.values)
    if remedy.name == "sent":
        station: Station = values["station"]  # type: ignore[assignment]
        endpoint = station.endpoint
        url = url_for("status_page.as_page", sensor=endpoint, _anchor=endpoint)
        return {"text": text, "url": url, "link": station_name(station, t)}
    if remedy.name in LINKS:
        view, link = LINKS[remedy.name]
        return {"text": text, "url": url_for(view), "link": t(link)}
    if remedy.name == "trial":
        return {"text": text, "command": programs.trial(values["station"])}  # type: ignore[arg-type]
    if remedy.name == "copy_backups":
        values["login"] = f"pi@{programs.address(request.host)[0]}"
    return {"text": text, "command": shell(settings).command(remedy.name, **values)}
