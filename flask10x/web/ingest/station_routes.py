"""The routes for sensors: a POST route for each station of the installation (contract, section 1).

Most requests take a short way past Flask to the same function (`short_way`).
"""

import logging

from flask import Blueprint, Response, jsonify, request

from flask10x.readings.json_body import BODY_MAX_BYTES
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Station, Stations
from flask10x.recording.batch import Receipt
from flask10x.recording.rejected import Refused
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.web import context
from flask10x.web.ingest.noted import note
from flask10x.web.ingest.take import Outcome, take
from flask10x.web.limits import RECEIPT

log = logging.getLogger(__name__)


def blueprint_of(stations: Stations) -> Blueprint:
    """The routes of these stations; each view is named like its station's endpoint."""
    blueprint = Blueprint("ingest", __name__)
    for station in stations.all:
        blueprint.add_url_rule(
            f"/{station.endpoint}",
            endpoint=station.endpoint,
            view_func=_receive,
            methods=["POST"],
            defaults={"station": station},
        )
    return blueprint


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
    outcome = take(store, station, raw, request.mimetype, receipt_of)
    note(store, station.endpoint, request.environ, raw, outcome.status)
    return outcome


def _too_large(store: Store, station: Station) -> Outcome:
    log.error("/%s body over %d bytes", station.endpoint, BODY_MAX_BYTES)
    reasons = {"body": Reason("too_large", n=BODY_MAX_BYTES)}
    refused = Refused(station.endpoint, clock.now_ms(), request.mimetype, b"", reasons)
    store.writer.rejected_queue.take(refused)
    return Outcome({"error": "body too large", "limit_bytes": BODY_MAX_BYTES}, 413)
