"""The doors for sensors: a POST route per station of the registry (contract, sections 1 and 2)."""

import logging
import time

from flask import Blueprint, Response, current_app, jsonify, request

from flask10x import body, readings
from flask10x.errors import QueueFull, WriterClosed
from flask10x.stations import STATIONS, Station
from flask10x.store import Store

log = logging.getLogger(__name__)
blueprint = Blueprint("ingest", __name__)

# A reading has 100 to 300 bytes; this leaves room for a talkative sender and none for abuse.
BODY_MAX_BYTES = 64 * 1024
# Long enough for one batch to be stored, short enough that a board asks again before it gives up.
RETRY_AFTER_SEC = 5


def _receive(station: Station) -> tuple[Response, int]:
    store: Store = current_app.extensions["flask10x"]
    received_at = time.time_ns() // 1_000_000
    # A chunked body longer than a limit set in Werkzeug is cut there, not refused; so the limit
    # is checked here, by reading one byte past it.
    raw = request.stream.read(BODY_MAX_BYTES + 1)
    if len(raw) > BODY_MAX_BYTES:
        return _too_large(station)
    payload, hint = _payload(raw)
    try:
        reading = readings.parse(station, payload, received_at)
    except readings.InvalidReading as error:
        return _invalid(station, error.details, hint)
    return _enqueue(store, station, reading)


def _payload(raw: bytes) -> tuple[dict[str, object], str]:
    """The body as an object; one that can't be read counts as empty, and the hint says why."""
    if request.mimetype and not request.is_json:
        return {}, f"Content-Type is {request.mimetype}: send application/json"
    try:
        return body.decode(raw), ""
    except body.InvalidBody as error:
        return {}, error.hint


def _enqueue(store: Store, station: Station, reading: readings.Reading) -> tuple[Response, int]:
    try:
        waiting = store.writer.submit(reading)
    except (QueueFull, WriterClosed) as error:
        log.error("/%s refused: %s", station.endpoint, error)
        refusal = jsonify(status="queued_failed")
        refusal.headers["Retry-After"] = str(RETRY_AFTER_SEC)
        return refusal, 503
    shown = " ".join(f"{k}={v}" for k, v in readings.flat(station, reading.values))
    log.info("/%s OK enqueued %s queue_size=%d", station.endpoint, shown, waiting)
    return jsonify(status="enqueued"), 200


def _invalid(station: Station, details: dict[str, str], hint: str) -> tuple[Response, int]:
    log.error("/%s validation error: %s%s", station.endpoint, details, hint and f" ({hint})")
    answer = {"error": "validation failed", "details": details}
    return jsonify(answer | ({"hint": hint} if hint else {})), 400


def _too_large(station: Station) -> tuple[Response, int]:
    log.error("/%s body over %d bytes", station.endpoint, BODY_MAX_BYTES)
    answer = jsonify(error="body too large", limit_bytes=BODY_MAX_BYTES)
    # The rest of the body is unread, so the connection can't carry another request.
    answer.headers["Connection"] = "close"
    return answer, 413


for _station in STATIONS:
    blueprint.add_url_rule(
        f"/{_station.endpoint}",
        endpoint=_station.endpoint,
        view_func=_receive,
        methods=["POST"],
        defaults={"station": _station},
    )
