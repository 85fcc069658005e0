"""Ambient's addresses: what senders for ambidata.io post, with no more changed than the host."""

import logging
from http import HTTPStatus

from flask import Response, request

from flask10x.readings import protocols
from flask10x.readings.parse import InvalidBody, decode
from flask10x.system import clock
from flask10x.web import access, context
from flask10x.web.ingest.batch import ITEMS_MAX, JSON_TYPE, Item, Items, outcome_of
from flask10x.web.ingest.options import answered, body_within, options
from flask10x.web.ingest.take import DRY_RUN, Outcome, sent_of
from flask10x.web.limits import BATCH_MAX_BYTES
from flask10x.web.page import Routes

log = logging.getLogger(__name__)
# A path is as long as its sender likes.
SHOWN_CHARS = 60
# Of a form: d1 to d8, a time, a place and more of each reading. A MiB of empty ones takes 50 MiB.
FORM_FIELDS_MAX = 20 * ITEMS_MAX
blueprint = Routes("ambient", __name__, url_prefix="/api/v2/channels/<channel>")


@blueprint.post("/data", guard="key")
def single(channel: str) -> Response:
    """The reading of a JSON object: `{"writeKey": "...", "d1": 25.1}`."""
    return _receive(channel, many=False)


@blueprint.post("/dataarray", guard="key")
def several(channel: str) -> Response:
    """Several readings in JSON: `{"writeKey": "...", "data": [{"created": "...", "d1": 25.1}]}`."""
    return _receive(channel, many=True)


@blueprint.post("/urldataarray", guard="key")
def of_a_form(channel: str) -> Response:
    """The same as a form, which Node.js's client sends."""
    return _receive(channel, many=True, is_form=True)


def _receive(channel: str, *, many: bool, is_form: bool = False) -> Response:
    dry_run = options().dry_run
    raw = body_within(BATCH_MAX_BYTES)
    if raw is None:
        return answered(_too_large("limit_bytes", BATCH_MAX_BYTES))
    if is_form and raw.count(b"&") > FORM_FIELDS_MAX:
        return answered(_too_large("limit_fields", FORM_FIELDS_MAX))
    # Regardless of the content type: self-written programs send none, or that of a form.
    try:
        payload = protocols.payload_of_form(raw) if is_form else decode(raw)
    except InvalidBody:
        payload = {}
    store = context.store()
    station = protocols.station_of_channel(store.settings.stations, channel)
    endpoint = station.endpoint if station else ""
    checks = access.current()
    if refusal := checks.refusal_of_key(protocols.write_key(payload), endpoint):
        return checks.answer(refusal)
    if station is None:
        return answered(_unknown(channel))
    entries = payload.get("data") if many else None
    if isinstance(entries, list) and len(entries) > ITEMS_MAX:
        outcome = _too_large("limit_readings", ITEMS_MAX)
    else:
        items: list[Item] = [sent_of(station, raw, JSON_TYPE)]
        if payload:
            values = protocols.ambient_items(station, payload, many=many)
            items = Items(store, clock.now_ms(), b"", lambda _: True).of_any([*values])
        outcome = outcome_of(store, items, request.environ, dry_run=dry_run)
        if not dry_run and outcome.is_good and not outcome.body["refused"]:
            # Without the results, because the clients read only the status.
            counts = {name: outcome.body[name] for name in ("accepted", "duplicate", "refused")}
            outcome = Outcome(counts, outcome.status)
    return answered(outcome)


def _unknown(channel: str) -> Outcome:
    hint = f'no station of stations.toml has ambient_channel = "{channel[:SHOWN_CHARS]}"'
    _log(hint)
    return Outcome({"error": "unknown channel", "hint": hint}, 404)


def _too_large(limit: str, value: int) -> Outcome:
    _log("body too large")
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return Outcome({"error": "body too large", limit: value}, status)


def _log(why: str) -> None:
    level = logging.DEBUG if request.args.get(DRY_RUN) == "1" else logging.ERROR
    log.log(level, "%s refused: %s", request.path[:SHOWN_CHARS], why)
