"""`POST /api/v1/readings`: readings of any stations, also late ones, in one request."""

import logging
from functools import partial

from flask import Response, request

from flask10x.readings import parse
from flask10x.readings.parse import InvalidBody, InvalidReading
from flask10x.readings.reasons import Reason
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.web import access, context
from flask10x.web.access import token_of_request
from flask10x.web.ingest.batch import ITEMS_MAX, Items, outcome_of
from flask10x.web.ingest.options import Options, answered, body_within, options, request_key
from flask10x.web.ingest.take import Outcome, invalid
from flask10x.web.limits import BATCH_MAX_BYTES
from flask10x.web.page import Routes

log = logging.getLogger(__name__)
blueprint = Routes("batch", __name__)
READINGS = "readings"


@blueprint.post("/api/v1/readings", guard="stations")
def readings() -> Response:
    """Answer with a result for each reading; the good ones are stored whatever the others are."""
    requested = options(ignores_others=False, may_wait=True)
    outcome = _outcome(context.store(), requested)
    if not outcome.is_good and "results" not in outcome.body:
        level = logging.DEBUG if requested.dry_run else logging.ERROR
        log.log(level, "%s refused: %s", request.path, dict(outcome.body))
    return answered(outcome)


def _outcome(store: Store, requested: Options) -> Outcome:
    raw = body_within(BATCH_MAX_BYTES)
    if raw is None:
        return Outcome({"error": "body too large", "limit_bytes": BATCH_MAX_BYTES}, 413)
    try:
        values = _values(raw)
        opens = partial(access.current().opens, token_of_request())
        items = Items(store, clock.now_ms(), request_key(), opens)
    except InvalidReading as error:
        return invalid(error.details)
    except InvalidBody as error:
        return invalid({READINGS: Reason("array_needed", n=ITEMS_MAX)}, error.hint)
    sent = items.of_any(values)
    return outcome_of(
        store, sent, request.environ, dry_run=requested.dry_run, waits=requested.commits
    )


def _values(raw: bytes) -> list[object]:
    value = parse.value_of(raw, request.mimetype)
    if isinstance(value, dict) and value.keys() == {READINGS}:
        value = value[READINGS]
    if not isinstance(value, list) or not 1 <= len(value) <= ITEMS_MAX:
        raise InvalidReading({READINGS: Reason("array_needed", n=ITEMS_MAX)})
    return value
