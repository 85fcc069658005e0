"""`GET /api/v1/time`: the time for a board that has no clock of its own."""

from datetime import UTC

from flask import Response, jsonify

from flask10x.readings.times import local_text, utc_offset
from flask10x.system import clock
from flask10x.web import context
from flask10x.web.page import Routes

blueprint = Routes("time", __name__)


@blueprint.get("/api/v1/time", guard="open", without_store=True)
def now() -> Response:
    """Answer with the time in UTC and in the zone of the house, also in whole seconds."""
    now_ms, zone = clock.now_ms(), context.store().settings.zone
    second = now_ms // 1000
    answer = jsonify(
        time=f"{local_text(now_ms, UTC).replace(' ', 'T')}Z",
        epoch_s=second,
        epoch_ms=now_ms,
        local=local_text(now_ms, zone),
        utc_offset_s=utc_offset(second, zone),
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer
