"""The page `/alerts`: active and past alerts, which channels were notified, and what is watched."""

import logging
from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from functools import partial

from flask import (
    Response,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from sqlalchemy.exc import DBAPIError
from werkzeug.wrappers import Response as AnyResponse

from flask10x.alerts import state_file
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.alerts.subjects import name_of, sentence, station_of, watched_by
from flask10x.config.alerts.rules import Rule
from flask10x.config.settings import Settings
from flask10x.database import verified
from flask10x.database.error_codes import reason_of
from flask10x.database.tables import alert_mutes
from flask10x.errors import CommitNotReplicated, LockTimeout, QueryError, nearest
from flask10x.health import copies
from flask10x.readings.reasons import Reason
from flask10x.runtime.store import Store
from flask10x.system import backup_files, clock
from flask10x.system.wording import escape
from flask10x.translation import N_
from flask10x.web import access, context, preferences, read_errors
from flask10x.web.alerts import (
    DURATIONS,
    AlertReader,
    AlertsQuery,
    ListedAlerts,
    alerts_query,
    listed_alerts,
    newest_values,
    until_ms,
)
from flask10x.web.api import alerts as api
from flask10x.web.captions import problems
from flask10x.web.cards import offered_stations
from flask10x.web.context import alert_state
from flask10x.web.page import Page
from flask10x.web.shell import shell

log = logging.getLogger(__name__)

blueprint = Page("alerts", __name__, text=N_("Alerts"), place="head")
api.register(blueprint)

# The thread that waits also answers sensors, some of which give up after 3 s (contract, section 7).
WAITS_SEC = 1.0


# Muting: nothing is sent of a rule and a subject for a while. Forms of the page, no JavaScript.
#
# Who may see the alerts may mute them, for a family has one token for its pages. Where only tokens
# for posting are set, it takes the one for all stations (`web/access.py`).


@blueprint.post("/alerts/mute", guard="mute")
def mute() -> AnyResponse:
    """Mute `rule` and `subject` for the time `for`; then the page, by GET.

    Raises QueryError, and what writing the state file raises.
    """
    settings = context.store_or_waiting().settings
    rule, subject, duration = _field("rule"), _field("subject"), _field("for")
    if duration not in DURATIONS:
        raise QueryError({"for": Reason("one_of_needed", known=", ".join(DURATIONS))})
    _check(rule, subject, settings)
    until = until_ms(duration, clock.now_ms(), settings)
    return _changed(rule, subject, f"muted ({duration})", until)


@blueprint.post("/alerts/unmute", guard="mute")
def unmute() -> AnyResponse:
    """End the mute of `rule` and `subject`, if there is one; then the page, by GET.

    Raises QueryError, and what writing the state file raises.
    """
    return _changed(_field("rule"), _field("subject"), "not muted any more")


def _changed(rule: str, subject: str, what: str, until: int | None = None) -> AnyResponse:
    """Mute until then, or end the mute without a time; `what` goes to the log. Return the page."""
    store = context.store_or_waiting()
    change = partial(state_file.unmute, rule=rule, subject=subject)
    if until is not None:
        change = partial(state_file.mute, rule=rule, subject=subject, until_ms=until)
    if isinstance(store, Store) and store.database.hosts.name is not None:
        # Where there may be several hosts, the state file of each follows the database.
        with store.database.commit() as shared:
            change(shared, table=alert_mutes)
    path = path_of(store.settings)
    with closing(StateFile(path, WAITS_SEC)) as file, file.writing() as connection:
        change(connection)
    about = ", ".join(escape(name) for name in (rule, subject) if name)
    log.info("Alerts of %s %s, by %s", about, what, access.sender())
    return redirect(url_for("alerts.as_page", _anchor="muted"), 303)


def _field(name: str) -> str:
    values = request.form.getlist(name)
    if len(values) != 1:
        raise QueryError({name: "one value is needed"})
    return values[0]


def _check(rule: str, subject: str, settings: Settings) -> None:
    """Only what can have an alert can be muted: a mistyped name would mute nothing."""
    if any(
        (alert.rule, alert.subject) == (rule, subject) for alert in alert_state().current().active
    ):
        return
    watched = settings.alerts.by_name.get(rule)
    if watched is None:
        raise QueryError({"rule": _unknown("rule", rule, tuple(settings.alerts.by_name))})
    subjects = watched_by(watched, settings.stations)
    if subject not in subjects:
        raise QueryError({"subject": _unknown("subject of this rule", subject, subjects)})


def _unknown(what: str, wrong: str, names: tuple[str, ...]) -> str:
    near = nearest(wrong, names)
    meant = f" (did you mean {near}?)" if near else ""
    return f"no {what}{meant}: {', '.join(names)}"


PAGE_ALERTS = 20


@blueprint.get("/alerts", without_store=True)
def as_page() -> tuple[str, int]:
    """The whole page; it says when the state file cannot be read.

    400 with the first page when the query is wrong.
    """
    question, errors = alerts_query(PAGE_ALERTS)
    alerts, trouble = ListedAlerts(), ""
    try:
        alerts = listed_alerts(question)
    except DBAPIError as error:
        trouble = reason_of(error)
    return _rendered(alerts, trouble, question, errors), 400 if errors else 200


@blueprint.errorhandler(LockTimeout)
@blueprint.errorhandler(CommitNotReplicated)
@blueprint.errorhandler(DBAPIError)
def unavailable(error: Exception) -> Response:
    """The state file can't be read, or not be written to: 503, as a page where a form was sent."""
    reason = reason_of(error)
    if request.method == "POST":
        question = AlertsQuery(before=None, limit=PAGE_ALERTS)
        answer = make_response(_rendered(ListedAlerts(), reason, question, {}))
    else:
        answer = jsonify(error="alerts unavailable", reason=reason)
    return read_errors.not_now(answer)


def _rendered(
    alerts: ListedAlerts, trouble: str, question: AlertsQuery, errors: dict[str, str]
) -> str:
    store, t, now_ms = context.store_or_waiting(), preferences.texts(), clock.now_ms()
    settings = store.settings
    reader = AlertReader(settings, t, now_ms, newest_values(store, alerts.active))
    here = {each.id for each in alerts.active}
    noted = {each.rule for each in alerts.active} | {each.rule for each in alerts.muted}
    morning = reader.time(until_ms("morning", now_ms, settings))
    own, alerts_page = shell(settings), "alerts.as_page"
    subjects = [*(each.subject for each in alerts.active), *(each.subject for each in alerts.muted)]
    offered = {one.endpoint for one in offered_stations(store, [*map(station_of, subjects)])}
    return render_template(
        "alerts/template.html",
        alerts=alerts,
        reader=reader,
        trouble=trouble,
        problems=problems(errors, settings.stations, t),
        channels=t.listed(escape(channel.name) for channel in settings.alerts.channels),
        # To make the file of alerts, and to check, try and apply it once it is edited, as typed on
        # this machine.
        commands=[
            *(own.flask10x("alerts", word) for word in ("init", "check", "test")),
            own.reload,
        ],
        may_set_up=settings.setup == "on",
        # Messages that have not arrived, of no active alert.
        troubled={message: of for message, of in alerts.troubled if message.alert_id not in here},
        older_url=alerts.has_older
        and url_for(alerts_page, before=alerts.past[-1].id, _anchor="past"),
        newest_url=question.before is not None and url_for(alerts_page, _anchor="past"),
        rules=[
            _rule(rule, alerts, reader, offered)
            for rule in settings.alerts.rules
            if rule.kind not in OF_COPIES or _is_used(rule, settings) or rule.name in noted
        ],
        durations={
            "1h": t("1 hour"),
            "morning": t("until the morning ({time})", time=morning),
            "1d": t("1 day"),
            "1w": t("1 week"),
        },
    )


def _rule(
    rule: Rule, alerts: ListedAlerts, reader: AlertReader, offered: Collection[str]
) -> dict[str, object]:
    """What the page shows of a rule that is on; `offered` are the stations that may be muted."""
    settings, t = reader.settings, reader.t
    firing = [each.subject for each in alerts.active if each.rule == rule.name]
    muted = [each.subject for each in alerts.muted if each.rule == rule.name]
    calm = t("all clear") if _is_used(rule, settings) else t(UNUSED[rule.kind])
    states = [_state(t("active"), N_("active: {names}"), firing, reader) if firing else calm]
    states += [_state(t("muted"), N_("muted: {names}"), muted, reader)] if muted else []
    return {
        "name": rule.name,
        "sentence": sentence(rule, settings.stations, t),
        # Where it has channels of its own.
        "channels": t.listed(map(escape, rule.channels)),
        "state": t.listed(states),
        "is_firing": bool(firing),
        "subjects": {
            subject: name_of(subject, settings.stations, t)
            for subject in watched_by(rule, settings.stations)
            if not subject or station_of(subject) in offered
        },
    }


# Rules for replicas and copies: shown once a house has one, or had an alert of it.
OF_COPIES = ("replica", "copies")
# What a rule says that has nothing to watch.
UNUSED = {
    "backup": N_("none yet"),
    "replica": N_("not in use"),
    "copies": N_("not compared yet"),
}


def _is_used(rule: Rule, settings: Settings) -> bool:
    """Whether there is what the rule watches; False also where that cannot be read."""
    with suppress(OSError):
        match rule.kind:
            case "backup":
                return bool(backup_files.finished(settings.backup_dir))
            case "replica":
                return copies.replica(settings) is not None
            case "copies":
                return verified.last_result(settings) is not None
            case _:
                return True
    return False


def _state(alone: str, named: str, subjects: Sequence[str], reader: AlertReader) -> str:
    """A state and what has it; the service as a whole needs no name."""
    t, stations = reader.t, reader.settings.stations
    names = t.listed(name_of(subject, stations, t) for subject in subjects if subject)
    return t(named, names=names) if names else alone
