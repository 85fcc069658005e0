"""The page `/alerts`: what is wrong now, what was, who was told, what is watched."""

from collections.abc import Sequence

from flask import Response, jsonify, make_response, render_template, request, url_for
from sqlalchemy.exc import DBAPIError

from flask10x.alerts.subjects import name_of, sentence, watched_by
from flask10x.config.alerts.rules import Alerts, Rule
from flask10x.database.error_codes import reason_of
from flask10x.errors import CommitNotReplicated, LockTimeout, QueryError
from flask10x.system import clock
from flask10x.system.log_lines import escape
from flask10x.translation import N_, Translation
from flask10x.web import context, preferences
from flask10x.web.api import alerts as api
from flask10x.web.captions import problems
from flask10x.web.limits import RETRY_AFTER_SEC
from flask10x.web.page import Page
from flask10x.web.pages.alerts import muting
from flask10x.web.pages.alerts.asked import AskedAlerts, asked
from flask10x.web.pages.alerts.durations import until_ms
from flask10x.web.pages.alerts.found import FoundAlerts, find
from flask10x.web.pages.alerts.model import AlertsModel, PastPage, WatchedRule, WatchedSubject
from flask10x.web.pages.alerts.shown import AlertReader
from flask10x.web.pages.alerts.values import newest_values
from flask10x.web.pages.status import shell
from flask10x.web.specification import alerting as specified

blueprint = Page(
    "alerts", __name__, text=N_("Alerts"), group="main", operations=specified.operations
)
api.register(blueprint)
muting.register(blueprint)

PAGE_ALERTS = 20


@blueprint.get("/alerts", without_store=True)
def as_page() -> tuple[str, int]:
    """All of it; a state file that can't be read is said on the page, which answers all the same.

    400 with the first page when the query is wrong.
    """
    errors: dict[str, str] = {}
    try:
        question = asked(request.args, PAGE_ALERTS)
    except QueryError as error:
        question, errors = AskedAlerts(before=None, limit=PAGE_ALERTS), error.details
    found, trouble = FoundAlerts(), ""
    try:
        found = find(question)
    except DBAPIError as error:
        trouble = reason_of(error)
    return _rendered(found, trouble, question, errors), 400 if errors else 200


@blueprint.errorhandler(LockTimeout)
@blueprint.errorhandler(CommitNotReplicated)
@blueprint.errorhandler(DBAPIError)
def unavailable(error: Exception) -> Response:
    """The state file can't be read, or not be written to: 503, as a page where a form was sent."""
    reason = reason_of(error)
    if request.method == "POST":
        question = AskedAlerts(before=None, limit=PAGE_ALERTS)
        answer = make_response(_rendered(FoundAlerts(), reason, question, {}))
    else:
        answer = jsonify(error="alerts unavailable", reason=reason)
    answer.status_code = 503
    answer.headers["Retry-After"] = str(RETRY_AFTER_SEC)
    return answer


@blueprint.errorhandler(QueryError)
def invalid(error: QueryError) -> tuple[Response, int]:
    """A query string, or a form that is none of the page's."""
    return jsonify(error="invalid query", details=error.details), 400


def _rendered(
    found: FoundAlerts, trouble: str, question: AskedAlerts, errors: dict[str, str]
) -> str:
    store, t, now_ms = context.store_or_waiting(), preferences.texts(), clock.now_ms()
    settings = store.settings
    reader = AlertReader(settings, t, now_ms, newest_values(store, found.active))
    here = {one.id for one in found.active}
    morning = reader.instant(until_ms("morning", now_ms, settings)).text
    model = AlertsModel(
        trouble=trouble,
        problems=problems(errors, settings.stations, t),
        ways=_names(settings.alerts, t),
        commands=() if settings.alerts.ways else shell.set_up_alerts(),
        active=[reader.alert(one, found.messages.get(one.id, ())) for one in found.active],
        troubled=[
            reader.told(one, alert) for one, alert in found.troubled if one.alert_id not in here
        ],
        muted=[reader.mute(one) for one in found.muted],
        past=_past(found, question, reader),
        rules=[_rule(rule, found, reader) for rule in settings.alerts.rules],
        durations={
            "1h": t("1 hour"),
            "morning": t("until the morning ({time})", time=morning),
            "1d": t("1 day"),
            "1w": t("1 week"),
        },
        json_url=url_for("alerts.as_json"),
    )
    return render_template("alerts/template.html", model=model)


def _past(found: FoundAlerts, question: AskedAlerts, reader: AlertReader) -> PastPage:
    shown, own = found.past, "alerts.as_page"
    older = url_for(own, before=shown[-1].id, _anchor="past") if found.has_older else None
    return PastPage(
        alerts=[reader.alert(one, found.messages.get(one.id, ())) for one in shown],
        older_url=older,
        newest_url=url_for(own, _anchor="past") if question.before is not None else None,
    )


def _rule(rule: Rule, found: FoundAlerts, reader: AlertReader) -> WatchedRule:
    settings, t = reader.settings, reader.t
    wrong = [one.subject for one in found.active if one.rule == rule.name]
    muted = [one.subject for one in found.muted if one.rule == rule.name]
    states = [
        _state(t("active"), N_("active: {names}"), wrong, reader) if wrong else t("all clear")
    ]
    states += [_state(t("muted"), N_("muted: {names}"), muted, reader)] if muted else []
    return WatchedRule(
        name=rule.name,
        sentence=sentence(rule, settings.stations, t),
        ways=t.listed(map(escape, rule.ways)),
        state=t.listed(states),
        is_wrong=bool(wrong),
        subjects=[
            WatchedSubject(subject=one, name=name_of(one, settings.stations, t))
            for one in watched_by(rule, settings.stations)
        ],
    )


def _state(alone: str, named: str, subjects: Sequence[str], reader: AlertReader) -> str:
    """A state and what has it; the service as a whole needs no name."""
    t, stations = reader.t, reader.settings.stations
    names = t.listed(name_of(one, stations, t) for one in subjects if one)
    return t(named, names=names) if names else alone


def _names(alerts: Alerts, t: Translation) -> str:
    return t.listed(escape(way.name) for way in alerts.ways)
