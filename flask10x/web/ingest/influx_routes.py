"""Line protocol: what writers to InfluxDB post to `/write` and `/api/v2/write`."""

import logging
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from flask import Response, jsonify, request

from flask10x.readings import protocols
from flask10x.readings.protocols import PRECISIONS_NS, LineProblem
from flask10x.system import clock
from flask10x.system.pace import Pace
from flask10x.web import access, context
from flask10x.web.access import token_of_request
from flask10x.web.ingest.batch import ITEMS_MAX, Items, outcome_of
from flask10x.web.ingest.options import answered, body_within, options
from flask10x.web.ingest.take import Outcome
from flask10x.web.limits import BATCH_MAX_BYTES
from flask10x.web.page import Routes
from flask10x.web.probes import why_not_ready

log = logging.getLogger(__name__)

V1, V2 = "/write", "/api/v2/write"
# As many readings as a batch may have, each with a line for every field. A MiB of short lines
# would take seconds.
LINES_MAX = 5 * ITEMS_MAX
# The number of zlib for the head and tail of gzip.
GZIP = 31
UNAUTHORIZED = "unauthorized"
# Clients look whether a server is there before they write, and some by which version. The last one
# that had both addresses for writing and these two.
VERSION = "1.8.10"
# An answer is short (contract, section 7).
SHOWN_PROBLEMS, SHOWN_CHARS = 3, 200
# The words of InfluxDB 2 for an error.
CODES = {400: "invalid", 401: "unauthorized", 413: "request too large", 503: "unavailable"}


class WriteRefused(Exception):
    """Nothing of a request is taken; the text says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


LinesOutcome = tuple[Outcome, Sequence[LineProblem]]
"""The outcome of the readings of a request, as of a batch, and the lines that are no readings with
the first lines of the refused readings."""


def routes() -> Routes:
    """Both routes; refused lines that a writer keeps sending are logged once a minute."""
    blueprint = Routes("influx", __name__)
    view = partial(_receive, Pace())
    for path in (V1, V2):
        name = path[1:].replace("/", "_")
        blueprint.add_url_rule(path, name, view, methods=["POST"], guard="lines")
    for path, answer in (("/ping", _ping), ("/health", _health)):
        blueprint.add_url_rule(path, path[1:], answer, guard="open", without_store=True)
    return blueprint


def _ping() -> Response:
    """The process answers."""
    return _of_version(Response(status=204))


def _health() -> Response:
    """Whether readings can be stored, in the words of InfluxDB."""
    reasons = why_not_ready()
    state, message = "pass", "ready for queries and writes"
    if reasons:
        state, message = "fail", "; ".join(reasons)
    answer = jsonify(name="influxdb", message=message, status=state, checks=[], version=VERSION)
    answer.status_code = 503 if reasons else 200
    return _of_version(answer)


def _of_version(answer: Response) -> Response:
    if not answer.content_length:
        del answer.headers["Content-Type"]
    answer.headers["X-Influxdb-Build"] = "Flask10X"
    answer.headers["X-Influxdb-Version"] = VERSION
    return answer


def _receive(pace: Pace) -> Response:
    dry_run = options().dry_run
    try:
        outcome, problems = _write(dry_run=dry_run)
    except WriteRefused as refusal:
        level = logging.DEBUG if dry_run else logging.ERROR
        log.log(level, "%s refused: %s", request.path, refusal)
        return _error(refusal.status, str(refusal))
    if dry_run:
        lines = [{"line": p.number, "error": p.why} for p in problems]
        # Without a line nothing is wrong, as in a real request.
        is_empty = not lines and not outcome.body["results"]
        status = 200 if is_empty else outcome.status
        return answered(Outcome({**outcome.body, "lines": lines}, status))
    if outcome.asks_again:
        answer = _error(503, "readings cannot be taken now")
        answer.headers.extend(outcome.headers)
        return answer
    if not problems:
        # As InfluxDB: some senders accept no other answer.
        answer = Response(status=204)
        del answer.headers["Content-Type"]
        return answer
    # One kind for all texts: they contain values and times, so nearly all would be new kinds.
    more = pace.turn(request.path)
    if more is not None:
        first = problems[0]
        log.warning("%s line %d refused: %s%s", request.path, first.number, first.why, more)
    return _partial(outcome, problems)


def _write(*, dry_run: bool) -> LinesOutcome:
    precision = request.args.get("precision", "")
    if precision not in PRECISIONS_NS:
        names = ", ".join(name for name in PRECISIONS_NS if name)
        raise WriteRefused(400, f"invalid precision (known: {names})")
    store = context.store()
    body = _body().decode("utf-8", "replace")
    if body.count("\n") > LINES_MAX:
        raise WriteRefused(413, f"more than {LINES_MAX} lines")
    values, problems = protocols.point_items(store.settings.stations, body, precision)
    if len(values) > ITEMS_MAX:
        raise WriteRefused(413, f"more than {ITEMS_MAX} readings")
    opens = partial(access.current().opens, token_of_request())
    items = Items(store, clock.now_ms(), b"", opens).of_any([value for _, value in values])
    outcome = outcome_of(store, items, request.environ, dry_run=dry_run)
    results: Any = outcome.body["results"]
    refused = [
        LineProblem(number, _reason(result))
        for (number, _), result in zip(values, results, strict=True)
        if "error" in result
    ]
    return outcome, sorted([*problems, *refused], key=lambda problem: problem.number)


def _body() -> bytes:
    """The body, unpacked; raises WriteRefused."""
    raw, encoding = body_within(BATCH_MAX_BYTES), request.headers.get("Content-Encoding", "")
    if raw is None:
        raise WriteRefused(413, f"more than {BATCH_MAX_BYTES} bytes")
    if encoding.lower() in ("", "identity"):
        return raw
    if encoding.lower() != "gzip":
        raise WriteRefused(400, "unknown Content-Encoding (known: gzip, identity)")
    unpacking = zlib.decompressobj(GZIP)
    try:
        body = unpacking.decompress(raw, BATCH_MAX_BYTES + 1)
    except zlib.error as error:
        raise WriteRefused(400, f"gzip: {error}") from None
    if len(body) > BATCH_MAX_BYTES:
        raise WriteRefused(413, f"more than {BATCH_MAX_BYTES} bytes unpacked")
    if not unpacking.eof:
        raise WriteRefused(400, "gzip: the body ends early")
    if unpacking.unused_data:
        raise WriteRefused(400, "gzip: the body goes on behind its end")
    return body


def _reason(result: Mapping[str, object]) -> str:
    """The reasons of a refused reading, in one line."""
    details = result.get("details")
    if isinstance(details, Mapping):
        return "; ".join(f"{path}: {reason}" for path, reason in details.items())
    return f"{result['error']}"


def _partial(outcome: Outcome, problems: Sequence[LineProblem]) -> Response:
    """A 400, as InfluxDB's: the other lines are stored, and these never would be."""
    text = "; ".join(f"line {p.number}: {p.why[:SHOWN_CHARS]}" for p in problems[:SHOWN_PROBLEMS])
    counts = outcome.body
    if counts["accepted"] or counts["duplicate"]:
        text = f"partial write: {text} dropped={len(problems)}"
    # Telegraf's influxdb_v2 drops lines after a 400, and sends them again after a 401.
    is_wrong_token = all(problem.why == UNAUTHORIZED for problem in problems)
    return _error(401 if is_wrong_token else 400, text, problems[0].number)


def _error(status: int, text: str, line: int | None = None) -> Response:
    """An error in the shape of the version whose address the request has."""
    if request.path == V1:
        return answered(Outcome({"error": text}, status))
    body: dict[str, object] = {"code": CODES[status], "message": text}
    if line is not None:
        body["line"] = line
    if status == 413:  # noqa: PLR2004
        body["maxLength"] = BATCH_MAX_BYTES
    return answered(Outcome(body, status))
