"""The probes: does the process answer, can it store, and its numbers (contract, section 2)."""

from collections.abc import Callable
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import Connection

from flask10x.database import counters
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import reason_of
from flask10x.health.database import obstacles, server_state
from flask10x.readings.times import local_text
from flask10x.recording import entry, rejected
from flask10x.runtime import periodic_tasks
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system.clock import monotonic_ms
from flask10x.web import context, files, prometheus
from flask10x.web.cards import inactivity_sec
from flask10x.web.missing import unavailable
from flask10x.web.page import Routes
from flask10x.web.read_errors import UNREADABLE, not_now

blueprint = Routes("status", __name__)


@blueprint.get("/healthz", guard="always", without_store=True)
def healthz() -> Response:
    """Answer 200 always: the process answers. `readyz` says whether it can store."""
    return jsonify(status="ok")


@blueprint.get("/favicon.ico", guard="open", without_store=True)
def favicon() -> Response:
    """The icon, for which browsers ask beside what is no page, such as JSON."""
    return Response((files.SHARED / "icon-192.png").read_bytes(), mimetype="image/png")


@blueprint.get("/readyz", guard="open", without_store=True)
def readyz() -> Response | tuple[Response, int]:
    """Answer 200 when readings can be stored, else 503 with every reason.

    `failing` names the tasks that fail, and is left out while all work. It changes no status:
    readings are stored without them. On PostgreSQL `database` says which server it is, what its
    standbys are at, and `warnings` names what only the loss of a machine would show.
    """
    store = context.store_or_waiting()
    if isinstance(store, Waiting):
        waits = jsonify(status="not ready", reasons=[store.reason], queue_oldest_seconds=None)
        return not_now(waits)
    oldest_ms = store.queues.oldest_ms()
    # How long the oldest waiting reading has waited, rounded up to the millisecond.
    waited_ms = None if oldest_ms is None else max(1, monotonic_ms() + 1 - oldest_ms)
    more: dict[str, Any] = {"queue_oldest_seconds": None if waited_ms is None else waited_ms / 1000}
    if failing := periodic_tasks.failing(store.gauges):
        more["failing"] = failing
    unmet = obstacles(store.database, store.writer, store.gauges)
    reasons = [obstacle.text for obstacle in unmet]
    if state := server_state(store.settings, store.database):
        more["database"] = state.as_json()
        reasons += map(str, state.obstacles)
        if state.warnings:
            more["warnings"] = [str(warning) for warning in state.warnings]
    if reasons:
        return jsonify(status="not ready", reasons=reasons, **more), 503
    return jsonify(status="ready", **more), 200


def why_not_ready() -> list[str]:
    """Why no readings can be stored now; empty where they can."""
    store = context.store_or_waiting()
    if isinstance(store, Waiting):
        return [store.reason]
    return [obstacle.text for obstacle in obstacles(store.database, store.writer, store.gauges)]


@blueprint.get("/metrics", without_store=True)
def metrics() -> tuple[Response, int]:
    """Answer with the same numbers in every worker, from the database and the shared gauges.

    JSON, unless a format of Prometheus is wanted more.
    """
    kind = prometheus.format_of(request.accept_mimetypes)
    answer, status = _as_json() if kind == "json" else (prometheus.answer(kind), 200)
    answer.vary.add("Accept")
    return answer, status


def _as_json() -> tuple[Response, int]:
    store = context.store_or_waiting()
    if isinstance(store, Waiting):
        return unavailable(store.reason), 503
    return _read(store, _numbers)


def _numbers(store: Store, connection: Connection) -> dict[str, Any]:
    view, settings = context.view_of(connection), store.settings
    last = view.last_received
    return {
        "queue_length": store.queues.length(),
        "queue_warn_threshold": settings.queue_warn_threshold,
        "write_success_total": view.last_id,
        "write_error_total": counters.write_errors(
            connection, settings, store.gauges.errors_total()
        ),
        "inactivity_warn_threshold_sec": settings.inactivity_warn_sec,
        "last_received": {
            name: None if at is None else local_text(at, settings.zone) for name, at in last.items()
        },
        "inactivity_seconds": inactivity_sec(store, last),
    }


@blueprint.get("/metrics/details")
def details() -> tuple[Response, int]:
    """Answer with what `metrics` has no key for: rejected readings, warnings, tasks, roll-ups."""
    return _read(context.store(), _details)


def _details(store: Store, connection: Connection) -> dict[str, Any]:
    rolled_up = context.view_of(connection).rollups.progress
    warned = counters.values_like(connection, entry.WARNINGS)
    answer: dict[str, Any] = {
        "ack": store.settings.ack,
        "failing_seconds": periodic_tasks.failing_sec(store.gauges),
        "rejected": {
            "kept_total": last_id(connection, "rejected"),
            "evicted_total": counters.value_of(connection, rejected.EVICTED),
            "dropped_total": counters.value_of(connection, rejected.DROPPED),
        },
        "rollups": {"done": rolled_up.done, "of": rolled_up.of},
        # Of each station the number of stored readings with a warning of each field.
        "warnings": {
            station.endpoint: {
                measurement.path: warned.get(f"{station.endpoint}.{measurement.path}", 0)
                for measurement in station.measurements
            }
            for station in store.settings.stations.all
        },
    }
    if store.database.hosts.name is not None:
        answer["leases"] = store.database.hosts.holders(connection)
    return answer


def _read(
    store: Store, numbers: Callable[[Store, Connection], dict[str, Any]]
) -> tuple[Response, int]:
    """Answer with numbers of the database, and the name of this host where there may be several."""
    try:
        with store.database.promptly(), store.database.reader.begin() as connection:
            answer = numbers(store, connection)
    except UNREADABLE as error:
        return jsonify(error="database unavailable", reason=reason_of(error)), 503
    host = store.database.hosts.name
    return jsonify(answer if host is None else {"host": host, **answer}), 200
