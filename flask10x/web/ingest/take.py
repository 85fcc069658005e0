"""A reading is checked, queued and answered (contract, sections 1 and 2), or tried in a dry run."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, NamedTuple

from flask10x.config.settings import Settings
from flask10x.errors import QueueFull, WriterClosed
from flask10x.readings import parse
from flask10x.readings.parse import Reading, near_names
from flask10x.readings.stations import Station
from flask10x.readings.times import iso_text
from flask10x.recording.accepted_keys import repeated
from flask10x.recording.batch import Receipt
from flask10x.recording.rejected import RejectedReading
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.system.last_requests import LastRequest
from flask10x.web.limits import RETRY_AFTER_SEC

log = logging.getLogger(__name__)

DRY_RUN, DUPLICATE = "dry_run", "duplicate"
# An answer has to be short (contract, section 7), but a trigger's message may be long.
SHOWN_REASON_CHARS = 200
# They show the author of a sender what is wrong with it. No token is among them.
HEADERS = {
    "CONTENT_TYPE": "Content-Type",
    "CONTENT_LENGTH": "Content-Length",
    "HTTP_CONTENT_ENCODING": "Content-Encoding",
    "HTTP_TRANSFER_ENCODING": "Transfer-Encoding",
    "HTTP_CONNECTION": "Connection",
    "HTTP_EXPECT": "Expect",
    "HTTP_IDEMPOTENCY_KEY": "Idempotency-Key",
    "HTTP_USER_AGENT": "User-Agent",
}
# Longer values say no more.
SHOWN_CHARS = 120
# The beginning of a body; the place of a station has room for it beside the headers.
SHOWN_BODY_BYTES = 1000


def note(store: Store, endpoint: str, environ: Mapping[str, Any], body: bytes, status: int) -> None:
    """Note a request of this station, from its WSGI environment (PEP 3333).

    For a batch, `body` is the part about this station, and `status` that of this part alone.
    """
    headers = {
        name: environ[key][:SHOWN_CHARS] for key, name in HEADERS.items() if environ.get(key)
    }
    request = LastRequest(
        at_ms=clock.now_ms(),
        status=status,
        protocol=environ.get("SERVER_PROTOCOL", ""),
        path=environ["PATH_INFO"][:SHOWN_CHARS],
        headers=headers,
        body=body[:SHOWN_BODY_BYTES],
        body_bytes=len(body),
    )
    store.gauges.note_request(endpoint, request)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a sensor: an object as JSON, and whether it `asks_again` later."""

    body: Mapping[str, object]
    status: int = 200
    asks_again: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the sender need not send it again: it is stored, will be, or was before."""
        return self.status == HTTPStatus.OK

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers beside the usual ones."""
        return [("Retry-After", str(RETRY_AFTER_SEC))] if self.asks_again else []


class Sent(NamedTuple):
    """One reading as its sender has sent it."""

    station: Station
    payload: Mapping[str, object]
    """Decoded, in the shape of the station's payload."""
    body: bytes
    """What is kept of the reading if it is rejected."""
    media_type: str
    """Of that body."""
    arrived_at: int
    """UTC epoch milliseconds."""
    hint: str = ""
    """A `Reason` that says what is wrong with the body as a whole, or empty."""
    measured_at: int | None = None
    """When it was measured, UTC epoch milliseconds; None if its sender gave no time."""
    key: str = ""
    """Identifies its repeats (`recording/accepted_keys.py`); empty: it has none."""
    repeat_window_ms: int = 0
    """As `Entry.repeat_window_ms`."""


class Queued(NamedTuple):
    """One reading that waits to be stored."""

    station: Station
    reading: Reading
    hint: str
    waiting: int
    """How many readings wait, this one included."""
    receipt: Receipt | None
    """With which its answer waits for the commit; None if it does not wait."""


def take(store: Store, sent: Sent, receipt_of: Callable[[], Receipt]) -> Outcome:
    """Queue a reading, or keep it among the rejected ones.

    With ACK=committed it waits for a receipt, which `receipt_of` makes.
    """
    queued = queue(store, sent, receipt_of() if store.settings.ack == "committed" else None)
    if isinstance(queued, Outcome):
        return queued
    return answer(store, queued, store.settings.ack_timeout_sec)


def sent_of(
    station: Station, raw: bytes, media_type: str, key: str = "", repeat_window_ms: int = 0
) -> Sent:
    """The reading in a body that has just come; key and window as in `Sent`."""
    now_ms = clock.now_ms()
    payload, hint = parse.payload_of(raw, media_type)
    return Sent(station, payload, raw, media_type, now_ms, hint, None, key, repeat_window_ms)


def queue(
    store: Store,
    sent: Sent,
    receipt: Receipt | None,
    repeats: Collection[str] | None = None,
    level: int = logging.ERROR,
) -> Queued | Outcome:
    """Check a reading and queue it; an outcome if it can be answered already.

    `repeats` are the keys of earlier readings if the caller has looked them up; `level` is that of
    the log line if the reading is refused.
    """
    try:
        reading, hint = checked(store, sent)
    except parse.InvalidReading as error:
        return refuse(store, rejection(sent, error), level)
    endpoint = sent.station.endpoint
    # With a receipt the commit recognises repeats; an uncommitted original does not count there.
    if receipt is None and is_repeat(store, sent, repeats):
        store.gauges.note_received(endpoint, clock.monotonic_ms())
        return duplicate(sent.station)
    try:
        waiting = store.writer.submit(reading, receipt, sent.key, sent.repeat_window_ms)
    except (QueueFull, WriterClosed) as error:
        log.log(level, "/%s refused: %s", endpoint, error)
        return Outcome({"status": "queued_failed"}, 503, asks_again=True)
    return Queued(sent.station, reading, hint, waiting, receipt)


def is_repeat(store: Store, sent: Sent, repeats: Collection[str] | None) -> bool:
    """Whether a reading has a key of one that came before; `repeats` as for `queue`."""
    if not sent.key:
        return False
    if repeats is None:
        repeats = repeated(store.database, {sent.key: sent.repeat_window_ms})
    return sent.key in repeats


def checked(store: Store, sent: Sent) -> tuple[Reading, str]:
    """The reading, and a hint if its station accepts incomplete ones; raises InvalidReading."""
    partial = accepts_partial(store, sent.station)
    at = sent.arrived_at if sent.measured_at is None else sent.measured_at
    reading = parse.parse(sent.station, sent.payload, at, partial=partial)
    if sent.measured_at is not None:
        reading = replace(reading, arrived_at=sent.arrived_at)
    return reading, near_names(sent.station, sent.payload, partial=True) if partial else ""


def answer(store: Store, queued: Queued, timeout_sec: float, level: int = logging.ERROR) -> Outcome:
    """The answer for a reading that is queued; with a receipt, once the reading is settled.

    `level` is that of the log line if the reading is not stored.
    """
    station, receipt = queued.station, queued.receipt
    if receipt is None:
        return _accepted(store, queued)
    if not receipt.wait(timeout_sec):
        detail = f"not committed within {store.settings.ack_timeout_sec:g} s; it may yet be stored"
        log.log(level, "/%s %s", station.endpoint, detail)
        return Outcome({"status": "queued_failed", "detail": detail}, 503, asks_again=True)
    if receipt.refusal:
        # A 400, for the same reading would be refused again; the writer has logged and kept it.
        details = {"database": receipt.refusal[:SHOWN_REASON_CHARS]}
        return Outcome({"error": "refused by the database", "details": details}, 400)
    if receipt.is_duplicate:
        return duplicate(station)
    return _accepted(store, queued)


def repeat_window_ms(settings: Settings, station: Station) -> int:
    """For how long an equal body for this station is a repeat; 0: never."""
    window_sec = station.repeat_window_sec
    return round(1000 * (settings.repeat_window_sec if window_sec is None else window_sec))


def accepts_partial(store: Store, station: Station) -> bool:
    """Whether incomplete readings of this station are accepted."""
    return station.endpoint in store.settings.partial_readings


def accepted(store: Store, station: Station, reading: Reading, hint: str) -> dict[str, object]:
    """The members of the answer that replace the usual status of an accepted reading, or none."""
    if not reading.remarks or not accepts_partial(store, station):
        return {}
    members: dict[str, object] = {"status": "accepted_with_warnings", "details": reading.remarks}
    return members | ({"hint": hint} if hint else {})


def _accepted(store: Store, queued: Queued) -> Outcome:
    station, reading, hint, waiting, receipt = queued
    ack = "enqueued" if receipt is None else "committed"
    values = " ".join([f"{k}={v}" for k, v in parse.flat(station, reading.values)])
    if reading.arrived_at is not None:
        values += f" measured_at={iso_text(reading.received_at, store.settings.zone)}"
    log.info("/%s OK %s %s queue_size=%d", station.endpoint, ack, values, waiting)
    if remarks := reading.remarks:
        about = hint and f" ({hint})"
        log.warning("/%s accepted with warnings: %s%s", station.endpoint, remarks, about)
        return Outcome({"status": ack} | accepted(store, station, reading, hint))
    return Outcome({"status": ack})


def duplicate(station: Station) -> Outcome:
    """The answer to a repeat, which is not stored again."""
    log.info("/%s OK %s", station.endpoint, DUPLICATE)
    return Outcome({"status": DUPLICATE})


def rejection(sent: Sent, error: parse.InvalidReading) -> RejectedReading:
    """The rejected reading to be kept and answered."""
    hint = sent.hint or near_names(sent.station, sent.payload)
    return RejectedReading(
        sent.station.endpoint,
        sent.arrived_at,
        sent.media_type,
        sent.body,
        error.details,
        hint,
        sent.measured_at,
        "" if sent.repeat_window_ms else sent.key,
    )


def refuse(store: Store, refused: RejectedReading, level: int = logging.ERROR) -> Outcome:
    """Keep a rejected reading, and give the reasons in the log and in the answer."""
    about = refused.hint and f" ({refused.hint})"
    log.log(level, "/%s validation error: %s%s", refused.endpoint, refused.reasons, about)
    store.writer.rejected_queue.take(refused)
    return invalid(refused.reasons, refused.hint)


def invalid(reasons: Mapping[str, str], hint: str = "") -> Outcome:
    """The answer to something invalid, with these reasons by field."""
    body = {"error": "validation failed", "details": reasons}
    return Outcome(body | ({"hint": hint} if hint else {}), 400)


def dry_run(store: Store, sent: Sent, ack: str, repeats: Collection[str] | None = None) -> Outcome:
    """The answer that the reading would get, and how it would be stored; it leaves no trace.

    `ack` is the status that it would be answered with; `repeats` are as for `queue`.
    """
    try:
        reading, hint = checked(store, sent)
    except parse.InvalidReading as error:
        rejected = rejection(sent, error)
        return invalid(rejected.reasons, rejected.hint)
    if is_repeat(store, sent, repeats):
        return Outcome({"status": DRY_RUN, "would": DUPLICATE})
    members = accepted(store, sent.station, reading, hint)
    would = members.pop("status", ack)
    body: dict[str, object] = {"status": DRY_RUN, "would": would, **members}
    body["reading"] = parse.nested(sent.station, reading.values)
    body["units"] = {m.path: m.unit for m in sent.station.measurements if m.unit}
    if sent.measured_at is not None:
        body["measured_at"] = iso_text(sent.measured_at, store.settings.zone)
    return Outcome(body)
