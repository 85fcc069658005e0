"""`GET /api/v1/alerts`: the same as the page, for programs."""

from collections.abc import Sequence

from flask import Blueprint, Response, jsonify, request, url_for

from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.subjects import column_of, station_of
from flask10x.config.settings import Settings
from flask10x.readings.times import iso_text
from flask10x.translation import Translation
from flask10x.web import context, preferences
from flask10x.web.pages.alerts.model import AlertWords, AskedAlerts, asked_alerts, find_alerts

DEFAULT_LIMIT = 50


def register(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.get("/api/v1/alerts", without_store=True)(as_json)


def as_json() -> Response:
    """What is wrong now, a page of what was, and what is muted.

    The next page is in the Link header, too. Raises QueryError, and what reading the state file
    raises.
    """
    question = asked_alerts(request.args, DEFAULT_LIMIT)
    settings, t, found = (
        context.store_or_waiting().settings,
        preferences.texts(),
        find_alerts(question),
    )

    def objects(alerts: Sequence[Alert]) -> list[dict[str, object]]:
        return [_alert(one, found.messages.get(one.id, ()), settings, t) for one in alerts]

    older = _url(question, found.past[-1].id) if found.has_older else None
    answer = jsonify(
        active=objects(found.active),
        past=objects(found.past),
        next=older,
        muted=[
            {
                "rule": one.rule,
                "subject": one.subject,
                "until": iso_text(one.until_ms, settings.zone),
            }
            for one in found.muted
        ],
    )
    if older:
        answer.headers["Link"] = f'<{older}>; rel="next"'
    # The titles are in the reader's language.
    answer.vary.update(("Accept-Language", "Cookie"))
    return answer


def _url(question: AskedAlerts, before: int) -> str:
    limit = None if question.limit == DEFAULT_LIMIT else question.limit
    return url_for("alerts.as_json", before=before, limit=limit)


def _alert(
    alert: Alert, messages: Sequence[AlertMessage], settings: Settings, t: Translation
) -> dict[str, object]:
    return {
        "id": alert.id,
        "rule": alert.rule,
        "kind": alert.kind,
        "subject": alert.subject,
        "station": station_of(alert.subject) or None,
        "measurement": column_of(alert.subject) or None,
        "title": AlertWords(settings, t).title(alert),
        "since": iso_text(alert.since_ms, settings.zone),
        "entered": iso_text(alert.firing_since_ms, settings.zone),
        "ended": _time(alert.ended_ms, settings),
        "how_ended": alert.ended,
        "facts": alert.facts,
        "end_facts": alert.end_facts,
        "muted_until": _time(alert.muted_until_ms, settings),
        "messages": [_message(one, settings) for one in messages],
    }


def _message(one: AlertMessage, settings: Settings) -> dict[str, object]:
    return {
        "id": one.id,
        "occasion": one.occasion,
        "way": one.channel,
        "state": one.state,
        "tries": one.tries,
        "trouble": one.trouble or None,
        "created": _time(one.created_ms, settings),
        "due": _time(one.due_ms, settings) if one.state == "waiting" else None,
        "settled": _time(one.settled_ms, settings),
    }


def _time(ms: int | None, settings: Settings) -> str | None:
    return None if ms is None else iso_text(ms, settings.zone)
