"""`GET /api/v1/alerts`: the same as the page, for programs."""

from flask import Blueprint, Response, jsonify, url_for

from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.subjects import column_of, station_of
from flask10x.errors import QueryError
from flask10x.system import clock
from flask10x.web import context, preferences
from flask10x.web.alerts import (
    AlertReader,
    ListedAlerts,
    alerts_query,
    listed_alerts,
)

DEFAULT_LIMIT = 50


def register(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.get("/api/v1/alerts", without_store=True)(as_json)


def as_json() -> Response:
    """Answer with the active alerts, a page of the past ones, and the mutes.

    The next page is in the Link header, too. Raises QueryError, and what reading the state file
    raises.
    """
    question, errors = alerts_query(DEFAULT_LIMIT)
    if errors:
        raise QueryError(errors)
    settings, t = context.store_or_waiting().settings, preferences.texts()
    state = listed_alerts(question)

    reader = AlertReader(settings, t, clock.now_ms())
    older = None
    if state.has_older:
        limit = None if question.limit == DEFAULT_LIMIT else question.limit
        older = url_for("alerts.as_json", before=state.past[-1].id, limit=limit)
    answer = jsonify(
        active=[_alert(alert, state, reader) for alert in state.active],
        past=[_alert(alert, state, reader) for alert in state.past],
        next=older,
        muted=[
            {"rule": mute.rule, "subject": mute.subject, "until": reader.iso(mute.until_ms)}
            for mute in state.muted
        ],
    )
    if older:
        answer.headers["Link"] = f'<{older}>; rel="next"'
    # The titles are in the reader's language.
    answer.vary.update(("Accept-Language", "Cookie"))
    return answer


def _alert(alert: Alert, state: ListedAlerts, reader: AlertReader) -> dict[str, object]:
    return {
        "id": alert.id,
        "rule": alert.rule,
        "kind": alert.kind,
        "subject": alert.subject,
        "station": station_of(alert.subject) or None,
        "measurement": column_of(alert.subject) or None,
        "title": reader.title(alert),
        "since": reader.iso(alert.since_ms),
        "entered": reader.iso(alert.firing_since_ms),
        "ended": reader.iso(alert.ended_ms),
        "how_ended": alert.ended,
        "facts": alert.facts,
        "end_facts": alert.end_facts,
        "muted_until": reader.iso(alert.muted_until_ms),
        "messages": [_message(message, reader) for message in state.messages.get(alert.id, ())],
    }


def _message(message: AlertMessage, reader: AlertReader) -> dict[str, object]:
    return {
        "id": message.id,
        "occasion": message.occasion,
        "way": message.channel,
        "state": message.state,
        "tries": message.tries,
        "trouble": message.trouble or None,
        "created": reader.iso(message.created_ms),
        "due": reader.iso(message.due_ms) if message.state == "waiting" else None,
        "settled": reader.iso(message.settled_ms),
    }
