"""`GET /api/v1/alerts`: the same as the page, for programs."""

from collections.abc import Sequence

from flask import Blueprint, Response, jsonify, request, url_for

from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.subjects import column_of, station_of
from flask10x.config.settings import Settings
from flask10x.readings.times import iso_text
from flask10x.translation import Translation
from flask10x.web import context, preferences
from flask10x.web.pages.alerts.model import AlertsQuery, AlertWords, alerts_query, listed_alerts

DEFAULT_LIMIT = 50


def register(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.get("/api/v1/alerts", without_store=True)(as_json)


def as_json() -> Response:
    """Answer with the active alerts, a page of the past ones, and the mutes.

    The next page is in the Link header, too. Raises QueryError, and what reading the state file
    raises.
    """
    question = alerts_query(request.args, DEFAULT_LIMIT)
    settings, t = context.store_or_waiting().settings, preferences.texts()
    state = listed_alerts(question)

    def objects(alerts: Sequence[Alert]) -> list[dict[str, object]]:
        return [_alert(alert, state.messages.get(alert.id, ()), settings, t) for alert in alerts]

    older = _url(question, state.past[-1].id) if state.has_older else None
    answer = jsonify(
        active=objects(state.active),
        past=objects(state.past),
        next=older,
        muted=[
            {
                "rule": mute.rule,
                "subject": mute.subject,
                "until": iso_text(mute.until_ms, settings.zone),
            }
            for mute in state.muted
        ],
    )
    if older:
        answer.headers["Link"] = f'<{older}>; rel="next"'
    # The titles are in the reader's language.
    answer.vary.update(("Accept-Language", "Cookie"))
    return answer


def _url(question: AlertsQuery, before: int) -> str:
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
        "messages": [_message(message, settings) for message in messages],
    }


def _message(message: AlertMessage, settings: Settings) -> dict[str, object]:
    return {
        "id": message.id,
        "occasion": message.occasion,
        "way": message.channel,
        "state": message.state,
        "tries": message.tries,
        "trouble": message.trouble or None,
        "created": _time(message.created_ms, settings),
        "due": _time(message.due_ms, settings) if message.state == "waiting" else None,
        "settled": _time(message.settled_ms, settings),
    }


def _time(ms: int | None, settings: Settings) -> str | None:
    return None if ms is None else iso_text(ms, settings.zone)
