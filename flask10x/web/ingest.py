"""The routes for sensors: a POST route per station of the registry (contract, sections 1 and 2)."""

import logging

from flask import Blueprint, Response, jsonify, request

from flask10x.errors import QueueFull, WriterClosed
from flask10x.readings import json_body, parse
from flask10x.readings.json_body import BODY_MAX_BYTES
from flask10x.readings.near_names import near_names
from flask10x.readings.parse import Reading
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import STATIONS, Station
from flask10x.recording.batch import Receipt
from flask10x.recording.rejected import Refused
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.web import context
from flask10x.web.limits import RECEIPT, RETRY_AFTER_SEC

log = logging.getLogger(__name__)
blueprint = Blueprint("ingest", __name__)

# An answer has to be short (contract, section 7), whatever a trigger in the database has to say.
SHOWN_REASON_CHARS = 200

Answer = tuple[Response, int]


def _receive(station: Station) -> Answer:
    store, received_at = context.store(), clock.now_ms()
    # Refused by its length alone: nobody waits for what will not be kept.
    if (request.content_length or 0) > BODY_MAX_BYTES:
        return _too_large(store, station, received_at)
    # A chunked body longer than a limit set in Werkzeug is cut there, not refused; so the limit
    # is checked here, by reading one byte past it.
    raw = request.stream.read(BODY_MAX_BYTES + 1)
    if len(raw) > BODY_MAX_BYTES:
        return _too_large(store, station, received_at)
    payload, hint = json_body.payload_of(raw, request.mimetype)
    partial = station.endpoint in store.settings.partial_readings
    try:
        reading = parse.parse(station, payload, received_at, partial=partial)
    except parse.InvalidReading as error:
        hint = hint or near_names(station, payload)
        refused = Refused(station.endpoint, received_at, request.mimetype, raw, error.details, hint)
        return _invalid(store, refused)
    return _accept(store, station, reading, near_names(station, payload) if partial else "")


def _accept(store: Store, station: Station, reading: Reading, hint: str) -> Answer:
    receipt = None
    if store.settings.ack == "committed":
        receipt = request.environ.get(RECEIPT, Receipt)()
    try:
        waiting = store.writer.submit(reading, receipt)
    except (QueueFull, WriterClosed) as error:
        log.error("/%s refused: %s", station.endpoint, error)
        return _not_now({"status": "queued_failed"})
    if receipt and not receipt.wait(store.settings.ack_timeout_sec):
        return _late(station, store.settings.ack_timeout_sec)
    if receipt and receipt.refusal:
        return _refused_by_database(receipt.refusal)
    return _accepted(store, station, reading, waiting, hint)


def _accepted(store: Store, station: Station, reading: Reading, waiting: int, hint: str) -> Answer:
    shown = " ".join(f"{k}={v}" for k, v in parse.flat(station, reading.values))
    log.info("/%s OK %s %s queue_size=%d", station.endpoint, store.settings.ack, shown, waiting)
    if reading.warnings:
        about = hint and f" ({hint})"
        log.warning("/%s accepted with warnings: %s%s", station.endpoint, reading.warnings, about)
        if station.endpoint in store.settings.partial_readings:
            answer = {"status": "accepted_with_warnings", "details": reading.warnings}
            return jsonify(answer | ({"hint": hint} if hint else {})), 200
    return jsonify(status=store.settings.ack), 200


def _late(station: Station, timeout_sec: float) -> Answer:
    detail = f"not committed within {timeout_sec:g} s; it may yet be stored"
    log.error("/%s %s", station.endpoint, detail)
    return _not_now({"status": "queued_failed", "detail": detail})


def _not_now(answer: dict[str, str]) -> Answer:
    refusal = jsonify(answer)
    refusal.headers["Retry-After"] = str(RETRY_AFTER_SEC)
    return refusal, 503


def _refused_by_database(reason: str) -> Answer:
    """A 400, for the same reading would be refused again; the writer has logged and kept it."""
    details = {"database": reason[:SHOWN_REASON_CHARS]}
    return jsonify(error="refused by the database", details=details), 400


def _invalid(store: Store, refused: Refused) -> Answer:
    hint = refused.hint
    log.error(
        "/%s validation error: %s%s", refused.endpoint, refused.reasons, hint and f" ({hint})"
    )
    store.writer.rejected_queue.take(refused)
    answer = {"error": "validation failed", "details": refused.reasons}
    return jsonify(answer | ({"hint": hint} if hint else {})), 400


def _too_large(store: Store, station: Station, received_at: int) -> Answer:
    log.error("/%s body over %d bytes", station.endpoint, BODY_MAX_BYTES)
    reasons = {"body": Reason("too_large", n=BODY_MAX_BYTES)}
    refused = Refused(station.endpoint, received_at, request.mimetype, b"", reasons)
    store.writer.rejected_queue.take(refused)
    return jsonify(error="body too large", limit_bytes=BODY_MAX_BYTES), 413


for _station in STATIONS:
    blueprint.add_url_rule(
        f"/{_station.endpoint}",
        endpoint=_station.endpoint,
        view_func=_receive,
        methods=["POST"],
        defaults={"station": _station},
    )
