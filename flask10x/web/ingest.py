"""The routes for sensors: a POST route per station of the registry (contract, sections 1 and 2).

Most requests take a short way past Flask to the same function.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.http import HTTP_STATUS_CODES

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
from flask10x.web.headers import ALWAYS
from flask10x.web.limits import RECEIPT, RETRY_AFTER_SEC

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)
blueprint = Blueprint("ingest", __name__)

# An answer has to be short (contract, section 7), whatever a trigger in the database has to say.
SHOWN_REASON_CHARS = 200
JSON_TYPE = "application/json"
BY_PATH = {f"/{station.endpoint}": station for station in STATIONS}
# Only browsers send them, and then the request may be one that they may not send.
OF_BROWSERS = ("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is answered to a sensor: an object as JSON, and `asks_again` when to come later."""

    body: Mapping[str, object]
    status: int = 200
    asks_again: bool = False

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What stands beside the usual headers."""
        return [("Retry-After", str(RETRY_AFTER_SEC))] if self.asks_again else []


def take(
    store: Store, station: Station, raw: bytes, mimetype: str, receipt_of: Callable[[], Receipt]
) -> Outcome:
    """Queue the reading in a body, or keep it among the rejected ones.

    With ACK=committed it waits for a receipt, which `receipt_of` makes.
    """
    received_at = clock.now_ms()
    payload, hint = json_body.payload_of(raw, mimetype)
    partial = station.endpoint in store.settings.partial_readings
    try:
        reading = parse.parse(station, payload, received_at, partial=partial)
    except parse.InvalidReading as error:
        hint = hint or near_names(station, payload)
        refused = Refused(station.endpoint, received_at, mimetype, raw, error.details, hint)
        return _invalid(store, refused)
    hint = near_names(station, payload) if partial else ""
    receipt = receipt_of() if store.settings.ack == "committed" else None
    try:
        waiting = store.writer.submit(reading, receipt)
    except (QueueFull, WriterClosed) as error:
        log.error("/%s refused: %s", station.endpoint, error)
        return Outcome({"status": "queued_failed"}, 503, asks_again=True)
    if receipt and not receipt.wait(store.settings.ack_timeout_sec):
        return _late(station, store.settings.ack_timeout_sec)
    if receipt and receipt.refusal:
        return _refused_by_database(receipt.refusal)
    return _accepted(store, station, reading, waiting, hint)


def _accepted(store: Store, station: Station, reading: Reading, waiting: int, hint: str) -> Outcome:
    shown = " ".join([f"{k}={v}" for k, v in parse.flat(station, reading.values)])
    log.info("/%s OK %s %s queue_size=%d", station.endpoint, store.settings.ack, shown, waiting)
    if reading.warnings:
        about = hint and f" ({hint})"
        log.warning("/%s accepted with warnings: %s%s", station.endpoint, reading.warnings, about)
        if station.endpoint in store.settings.partial_readings:
            answer = {"status": "accepted_with_warnings", "details": reading.warnings}
            return Outcome(answer | ({"hint": hint} if hint else {}))
    return Outcome({"status": store.settings.ack})


def _late(station: Station, timeout_sec: float) -> Outcome:
    detail = f"not committed within {timeout_sec:g} s; it may yet be stored"
    log.error("/%s %s", station.endpoint, detail)
    return Outcome({"status": "queued_failed", "detail": detail}, 503, asks_again=True)


def _refused_by_database(reason: str) -> Outcome:
    """A 400, for the same reading would be refused again; the writer has logged and kept it."""
    details = {"database": reason[:SHOWN_REASON_CHARS]}
    return Outcome({"error": "refused by the database", "details": details}, 400)


def _invalid(store: Store, refused: Refused) -> Outcome:
    hint = refused.hint
    log.error(
        "/%s validation error: %s%s", refused.endpoint, refused.reasons, hint and f" ({hint})"
    )
    store.writer.rejected_queue.take(refused)
    answer = {"error": "validation failed", "details": refused.reasons}
    return Outcome(answer | ({"hint": hint} if hint else {}), 400)


def _too_large(store: Store, station: Station) -> Outcome:
    log.error("/%s body over %d bytes", station.endpoint, BODY_MAX_BYTES)
    reasons = {"body": Reason("too_large", n=BODY_MAX_BYTES)}
    refused = Refused(station.endpoint, clock.now_ms(), request.mimetype, b"", reasons)
    store.writer.rejected_queue.take(refused)
    return Outcome({"error": "body too large", "limit_bytes": BODY_MAX_BYTES}, 413)


def _receive(station: Station) -> Response:
    outcome = _outcome(context.store(), station)
    answer = jsonify(outcome.body)
    answer.status_code = outcome.status
    answer.headers.extend(outcome.headers)
    return answer


def _outcome(store: Store, station: Station) -> Outcome:
    # Refused by its length alone: nobody waits for what will not be kept.
    if (request.content_length or 0) > BODY_MAX_BYTES:
        return _too_large(store, station)
    # A chunked body longer than a limit set in Werkzeug is cut there, not refused; so the limit
    # is checked here, by reading one byte past it.
    raw = request.stream.read(BODY_MAX_BYTES + 1)
    if len(raw) > BODY_MAX_BYTES:
        return _too_large(store, station)
    receipt_of = request.environ.get(RECEIPT, Receipt)
    return take(store, station, raw, request.mimetype, receipt_of)


for _station in STATIONS:
    blueprint.add_url_rule(
        f"/{_station.endpoint}",
        endpoint=_station.endpoint,
        view_func=_receive,
        methods=["POST"],
        defaults={"station": _station},
    )


class ShortWay:
    """What sensors post, without what Flask does around a view for browsers.

    A WSGI application round Flask's, for a service that lets any sensor in. Nine of ten requests
    are a body of JSON for a station, with a Content-Length and from no browser. Of what is asked
    before a view and added after it, nothing but the usual headers concerns them, and asking costs
    more than the reading. Whatever is unlike that goes Flask's way to the same function.
    """

    def __init__(self, app: Flask) -> None:
        self._dumps = app.json.dumps
        self._usual = app.wsgi_app
        self._store: Store = app.extensions["flask10x"]

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """The answer to a request, as WSGI has it (PEP 3333)."""
        station = _station_of(environ)
        if station is None:
            return self._usual(environ, start_response)
        length = int(environ["CONTENT_LENGTH"])
        raw = environ["wsgi.input"].read(length)
        if len(raw) < length:
            environ["wsgi.input"] = BytesIO(raw)
            return self._usual(environ, start_response)
        outcome = self._taken(station, raw, environ)
        body = f"{self._dumps(outcome.body, separators=(',', ':'))}\n".encode()
        head = [("Content-Type", JSON_TYPE), ("Content-Length", str(len(body)))]
        status = f"{outcome.status} {HTTP_STATUS_CODES[outcome.status].upper()}"
        start_response(status, [*head, *outcome.headers, *ALWAYS.items()])
        return [body]

    def _taken(self, station: Station, raw: bytes, environ: "WSGIEnvironment") -> Outcome:
        try:
            return take(self._store, station, raw, JSON_TYPE, environ.get(RECEIPT, Receipt))
        except Exception as error:
            log.error("Unexpected failure", exc_info=error)
            return Outcome({"error": "internal server error"}, 500)


def _station_of(environ: "WSGIEnvironment") -> Station | None:
    """The station whose reading this is, when nothing about the request is out of the ordinary."""
    length = environ.get("CONTENT_LENGTH", "")
    plain = (
        environ["REQUEST_METHOD"] == "POST"
        and environ.get("CONTENT_TYPE") == JSON_TYPE
        and length.isascii()
        and length.isdigit()
        and len(length) <= len(str(BODY_MAX_BYTES))
        and int(length) <= BODY_MAX_BYTES
        and not any(name in environ for name in OF_BROWSERS)
    )
    return BY_PATH.get(environ["PATH_INFO"]) if plain else None
