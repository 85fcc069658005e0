"""A reading is taken: the body of a POST checked, queued and answered (contract, sections 1, 2)."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask10x.errors import QueueFull, WriterClosed
from flask10x.readings import json_body, parse
from flask10x.readings.near_names import near_names
from flask10x.readings.parse import Reading
from flask10x.readings.stations import Station
from flask10x.recording.batch import Receipt
from flask10x.recording.rejected import Refused
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.web.limits import RETRY_AFTER_SEC

log = logging.getLogger(__name__)

# An answer has to be short (contract, section 7), whatever a trigger in the database has to say.
SHOWN_REASON_CHARS = 200


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
