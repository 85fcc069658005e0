"""The routes for sensors: a POST route for each station of the installation (contract, section 1).

Most requests take a short way past Flask to the same function (`fast_path`).
"""

import logging
from collections.abc import Mapping

from flask import Response, request

from flask10x.readings import parse
from flask10x.readings.parse import BODY_MAX_BYTES, InvalidBody, InvalidReading
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Station, Stations
from flask10x.recording.accepted_keys import key_of, key_of_body
from flask10x.recording.batch import Receipt
from flask10x.recording.rejected import RejectedReading
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.web import context
from flask10x.web.ingest import take
from flask10x.web.ingest.batch import ITEMS_MAX, Items, outcome_of
from flask10x.web.ingest.options import answered, body_within, options, request_key
from flask10x.web.ingest.take import Outcome, invalid, sent_of
from flask10x.web.limits import CONFLICTS, RECEIPT
from flask10x.web.page import Routes

log = logging.getLogger(__name__)

# An answer has to be short (contract, section 7); the beginning of two content types is enough.
SHOWN_VALUES_CHARS = 100


def routes(stations: Stations) -> Routes:
    """The routes of these stations; each view is named like its station's endpoint."""
    blueprint = Routes("ingest", __name__)
    for station in stations.all:
        blueprint.add_url_rule(
            f"/{station.endpoint}",
            endpoint=station.endpoint,
            view_func=_receive,
            methods=["POST"],
            guard="station",
            defaults={"station": station},
        )
    return blueprint


def _receive(station: Station) -> Response:
    return answered(_outcome(context.store(), station, dry_run=options().dry_run))


def _outcome(store: Store, station: Station, *, dry_run: bool) -> Outcome:
    raw = body_within(BODY_MAX_BYTES)
    if raw is None:
        return _too_large(store, station, dry_run=dry_run)
    if conflicts := request.environ.get(CONFLICTS):
        return _repeated(store, station, raw, conflicts, dry_run=dry_run)
    try:
        key, values = request_key(), _readings(raw)
    except InvalidReading as error:
        return _refuse(store, station, raw, error.details, dry_run=dry_run)
    if values:
        items = Items(store, clock.now_ms(), key, lambda _: True).of(station, values)
        return outcome_of(store, items, request.environ, dry_run=dry_run)
    window_ms = 0 if key else take.repeat_window_ms(store.settings, station)
    sent_key = key_of(station.endpoint, key) if key else ""
    if window_ms:
        sent_key = key_of_body(station.endpoint, raw)
    sent = sent_of(station, raw, request.mimetype, sent_key, window_ms)
    if dry_run:
        return take.dry_run(store, sent, store.settings.ack)
    outcome = take.take(store, sent, request.environ.get(RECEIPT, Receipt))
    take.note(store, station.endpoint, request.environ, raw, outcome.status)
    return outcome


def _readings(raw: bytes) -> list[object]:
    """The items of a body that is an array with an object in it; otherwise none.

    Raises InvalidReading if there are too many.
    """
    if not parse.begins_array(raw):
        return []
    try:
        value = parse.value_of(raw, request.mimetype)
    except InvalidBody:
        return []
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return []
    if len(value) > ITEMS_MAX:
        raise InvalidReading({"readings": Reason("array_needed", n=ITEMS_MAX)})
    return value


def _repeated(
    store: Store, station: Station, raw: bytes, conflicts: Mapping[str, str], *, dry_run: bool
) -> Outcome:
    """The answer to a request with lines of a header that differ; the page of devices shows it."""
    details = {
        name: Reason("different_lines", values=values[:SHOWN_VALUES_CHARS])
        for name, values in conflicts.items()
    }
    outcome = _refuse(store, station, raw, details, dry_run=dry_run)
    if not dry_run:
        # The environment has only the first line of each header.
        environ = request.environ | {
            name.upper().replace("-", "_"): values for name, values in conflicts.items()
        }
        take.note(store, station.endpoint, environ, raw, outcome.status)
    return outcome


def _too_large(store: Store, station: Station, *, dry_run: bool) -> Outcome:
    level = logging.DEBUG if dry_run else logging.ERROR
    log.log(level, "/%s body over %d bytes", station.endpoint, BODY_MAX_BYTES)
    if not dry_run:
        reasons = {"body": Reason("too_large", n=BODY_MAX_BYTES)}
        refused = RejectedReading(station.endpoint, clock.now_ms(), request.mimetype, b"", reasons)
        store.writer.rejected_queue.take(refused)
    return Outcome({"error": "body too large", "limit_bytes": BODY_MAX_BYTES}, 413)


def _refuse(
    store: Store, station: Station, raw: bytes, details: Mapping[str, str], *, dry_run: bool
) -> Outcome:
    if dry_run:
        return invalid(details)
    now_ms = clock.now_ms()
    return take.refuse(
        store, RejectedReading(station.endpoint, now_ms, request.mimetype, raw, details)
    )
