"""Muting: nothing is sent of a rule and a subject for a while. Forms of the page, no JavaScript.

Who may see the alerts may mute them, for a family has one token for its pages. Where only tokens
for posting are set, it takes the one for all stations (`web/access.py`).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from flask import Blueprint, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from flask10x.alerts import shared_alerts, stored_alerts
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.alerts.subjects import watched_by
from flask10x.config.settings import Settings
from flask10x.errors import QueryError, nearest
from flask10x.readings.reasons import Reason
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.system.log_lines import escape
from flask10x.web import access, context
from flask10x.web.alert_state import state
from flask10x.web.pages.alerts.durations import DURATIONS, Duration, until_ms

log = logging.getLogger(__name__)

# The thread that waits also answers sensors, some of which give up after 3 s (contract, section 7).
WAITS_SEC = 1.0


def register(blueprint: Blueprint) -> None:
    """Add the two routes that the forms post to."""
    blueprint.post("/alerts/mute", guard="mute")(mute)
    blueprint.post("/alerts/unmute", guard="mute")(unmute)


def mute() -> Response:
    """Mute `rule` and `subject` for the time `for`; then the page, by GET.

    Raises QueryError, and what writing the state file raises.
    """
    settings = context.store_or_waiting().settings
    rule, subject, duration = _field("rule"), _field("subject"), _duration(_field("for"))
    _check(rule, subject, settings)
    until = until_ms(duration, clock.now_ms(), settings)
    _on_all_hosts(lambda connection: shared_alerts.mute(connection, rule, subject, until))
    with _writing(settings) as connection:
        stored_alerts.mute(connection, rule, subject, until)
    _note(rule, subject, f"muted ({duration})")
    return _to_page()


def unmute() -> Response:
    """End the mute of `rule` and `subject`, if there is one; then the page, by GET.

    Raises QueryError, and what writing the state file raises.
    """
    rule, subject = _field("rule"), _field("subject")
    _on_all_hosts(lambda connection: shared_alerts.unmute(connection, rule, subject))
    with _writing(context.store_or_waiting().settings) as connection:
        stored_alerts.unmute(connection, rule, subject)
    _note(rule, subject, "not muted any more")
    return _to_page()


def _on_all_hosts(change: Callable[[Connection], None]) -> None:
    """Where there may be several: the state file of each follows the database."""
    store = context.store_or_waiting()
    if isinstance(store, Store) and store.database.hosts.name is not None:
        with store.database.commit() as connection:
            change(connection)


@contextmanager
def _writing(settings: Settings) -> Iterator[Connection]:
    path = path_of(settings)
    with closing(StateFile(path, WAITS_SEC)) as file, file.writing() as connection:
        yield connection


def _field(name: str) -> str:
    values = request.form.getlist(name)
    if len(values) != 1:
        raise QueryError({name: "one value is needed"})
    return values[0]


def _duration(text: str) -> Duration:
    for one in DURATIONS:
        if one == text:
            return one
    raise QueryError({"for": Reason("one_of_needed", known=", ".join(DURATIONS))})


def _check(rule: str, subject: str, settings: Settings) -> None:
    """Only what can have an alert can be muted: a mistyped name would mute nothing."""
    if any((one.rule, one.subject) == (rule, subject) for one in state().known().active):
        return
    known = settings.alerts.by_name.get(rule)
    if known is None:
        raise QueryError({"rule": _unknown("rule", rule, tuple(settings.alerts.by_name))})
    subjects = watched_by(known, settings.stations)
    if subject not in subjects:
        raise QueryError({"subject": _unknown("subject of this rule", subject, subjects)})


def _unknown(what: str, wrong: str, known: tuple[str, ...]) -> str:
    near = nearest(wrong, known)
    meant = f" (did you mean {near}?)" if near else ""
    return f"no {what}{meant}: {', '.join(known)}"


def _note(rule: str, subject: str, what: str) -> None:
    about = ", ".join(escape(one) for one in (rule, subject) if one)
    log.info("Alerts of %s %s, by %s", about, what, access.sender())


def _to_page() -> Response:
    return redirect(url_for("alerts.as_page", _anchor="muted"), 303)
