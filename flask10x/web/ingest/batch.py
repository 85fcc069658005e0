"""A batch: many readings of one request, each with a result of its own."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from flask10x.readings.batches import DATA, ENDPOINT, is_item, item_of
from flask10x.readings.parse import InvalidReading, no_object
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Station, Stations
from flask10x.recording.accepted_keys import key_of, repeated
from flask10x.recording.batch import Receipt
from flask10x.recording.rejected import RejectedReading
from flask10x.runtime.store import Store
from flask10x.system.last_requests import UNKNOWN_MAX
from flask10x.web.access import sender
from flask10x.web.ingest import take
from flask10x.web.ingest.take import DRY_RUN, DUPLICATE, Outcome, Queued, Sent, invalid
from flask10x.web.ingest.unknown_station import can_be_endpoint, hint, is_storable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

# A board that was offline for half a day has 700 readings, one each minute.
ITEMS_MAX = 1000
# Only the first mistakes of a batch are logged; a thousand lines would push out all others.
LOGGED_MAX = 20

JSON_TYPE = "application/json"
UNAUTHORIZED = Outcome(
    {"error": "unauthorized", "hint": "the token is not one for this station"}, 401
)
Item = Sent | RejectedReading | Outcome
"""A reading; a rejected one; or a result, if there is nothing to keep."""


def outcome_of(
    store: Store,
    items: Sequence[Item],
    environ: "WSGIEnvironment",
    *,
    dry_run: bool,
    waits: bool = False,
) -> Outcome:
    """The answer to these items, with their results in the same order.

    Valid readings are queued and the others kept. With ACK=committed, or if it `waits`, it is given
    when all are committed, or after ACK_TIMEOUT_SEC. With `dry_run` it is the answer that they
    would get. `environ` is that of the request.
    """
    commits = waits or store.settings.ack == "committed"
    results: list[Outcome] = []
    if dry_run:
        repeats = _repeats(store, items)
        for item in items:
            if isinstance(item, Sent):
                ack = "committed" if commits else "enqueued"
                results.append(take.dry_run(store, item, ack, repeats))
                repeats |= {item.key} if results[-1].is_good else set()
            else:
                results.append(item if isinstance(item, Outcome) else _refusal(store, item))
        outcome = answer_of(results)
        return Outcome({"status": DRY_RUN, **outcome.body}, outcome.status)
    until_sec = monotonic() + store.settings.ack_timeout_sec
    repeats = set() if commits else _repeats(store, items)
    bad, begun = 0, list[Queued | Outcome]()
    for item in items:
        begun.append(_begin(store, item, Receipt() if commits else None, repeats, _level(bad)))
        bad += isinstance(begun[-1], Outcome) and not begun[-1].is_good
    for queued in begun:
        if isinstance(queued, Outcome):
            results.append(queued)
            continue
        remaining_sec = max(0.0, until_sec - monotonic())
        results.append(take.answer(store, queued, remaining_sec, _level(bad)))
        bad += not results[-1].is_good
    if bad > LOGGED_MAX:
        log.error("%d more of a batch were not stored", bad - LOGGED_MAX)
    _note(store, environ, items, results)
    return answer_of(results)


def unknown(name: str, stations: Stations) -> Outcome:
    """The result of a reading whose name is none of these stations."""
    return Outcome({"error": "unknown station", "hint": hint(name, stations)}, 404)


def answer_of(results: Sequence[Outcome]) -> Outcome:
    """The answer to a batch: how many were accepted, duplicates and refused, and each result.

    It asks for a repetition if a reading could not be taken for now. If no reading was valid, it is
    a 400; but if all are for an unknown station, or for one that the token does not open, it is
    their own 404 or 401: a sender keeps those readings until the operator has acted.
    """
    kinds = Counter(map(_kind, results))
    body: dict[str, object] = {name: kinds[name] for name in ("accepted", "duplicate", "refused")}
    if kinds["failed"]:
        body["failed"] = kinds["failed"]
    body["results"] = [result.body for result in results]
    if kinds["failed"]:
        return Outcome(body, 503, asks_again=True)
    if kinds["accepted"] or kinds["duplicate"]:
        return Outcome(body)
    statuses = {result.status for result in results}
    return Outcome(body, statuses.pop() if len(statuses) == 1 else 400)


def _begin(
    store: Store, item: Item, receipt: Receipt | None, repeats: set[str], level: int
) -> Queued | Outcome:
    """Queue an item; without a receipt its key is one of the repeats from now on."""
    if isinstance(item, Outcome):
        log.log(level, "An item of a batch was refused: %s", dict(item.body))
        return item
    if isinstance(item, Sent):
        queued = take.queue(store, item, receipt, repeats, level)
        if item.key and receipt is None and isinstance(queued, Queued):
            repeats.add(item.key)
        return queued
    if item.endpoint in store.settings.stations.by_endpoint:
        return take.refuse(store, item, level)
    log.log(level, "/%s refused: no such station", item.endpoint)
    store.writer.rejected_queue.take_unknown(item)
    return _refusal(store, item)


def _repeats(store: Store, items: Sequence[Item]) -> set[str]:
    """The keys of the items that repeat a reading which was accepted before."""
    sent = [item for item in items if isinstance(item, Sent)]
    return repeated(store.database, {item.key: item.repeat_window_ms for item in sent if item.key})


def _note(
    store: Store, environ: "WSGIEnvironment", items: Sequence[Item], results: Sequence[Outcome]
) -> None:
    """Note the last item of each station as a request of its board, and unknown names."""
    last: dict[str, tuple[bytes, int]] = {}
    unknown_names: dict[str, bytes] = {}
    for item, result in zip(items, results, strict=True):
        if isinstance(item, Outcome):
            continue
        name = item.station.endpoint if isinstance(item, Sent) else item.endpoint
        if name in store.settings.stations.by_endpoint:
            last[name] = item.body, result.status
        else:
            unknown_names[name] = item.body
    for name, body in [*unknown_names.items()][:UNKNOWN_MAX]:
        path = environ["PATH_INFO"]
        store.gauges.note_unknown(store.slot.number, name, path, sender(), body=body)
    for endpoint, (body, status) in last.items():
        take.note(store, endpoint, environ, body, status)


def _refusal(store: Store, refused: RejectedReading) -> Outcome:
    stations = store.settings.stations
    if refused.endpoint in stations.by_endpoint:
        return invalid(refused.reasons, refused.hint)
    return unknown(refused.endpoint, stations)


def _level(bad: int) -> int:
    return logging.ERROR if bad < LOGGED_MAX else logging.DEBUG


def _kind(result: Outcome) -> str:
    if result.asks_again:
        return "failed"
    if not result.is_good:
        return "refused"
    is_duplicate = DUPLICATE in (result.body.get("status"), result.body.get("would"))
    return "duplicate" if is_duplicate else "accepted"


class Items(NamedTuple):
    """Reads the items of one request."""

    store: Store
    arrived_at: int
    """UTC epoch milliseconds."""
    key: bytes
    """Of the whole request; empty: none. An item without a key uses it with the item's number."""
    opens: Callable[[str], bool]
    """Whether the sender may post to the station with this endpoint."""

    def of_any(self, values: list[object]) -> list[Item]:
        """The items of a request for any stations, each of which names its station."""
        return [self._named(value, number) for number, value in enumerate(values)]

    def of(self, station: Station, values: list[object]) -> list[Item]:
        """The items of a request to a station: its readings, or items without an endpoint."""
        return [self._of(station, value, number) for number, value in enumerate(values)]

    def _named(self, value: object, number: int) -> Item:
        if not isinstance(value, Mapping):
            return invalid({ENDPOINT: Reason("missing")}, no_object(value))
        endpoint = value.get(ENDPOINT)
        if endpoint is None:
            return invalid({ENDPOINT: Reason("missing")})
        if not isinstance(endpoint, str):
            return invalid({ENDPOINT: Reason("unsupported_type", type=type(endpoint).__name__)})
        name = endpoint.removeprefix("/")
        if not self.opens(name):
            return UNAUTHORIZED
        if station := self.store.settings.stations.by_endpoint.get(name):
            return self._sent(station, value, number)
        return self._unknown(name, value, number)

    def _of(self, station: Station, value: object, number: int) -> Item:
        if isinstance(value, Mapping) and is_item(value, station):
            if value.get(ENDPOINT) not in (None, station.endpoint, f"/{station.endpoint}"):
                reasons = {ENDPOINT: Reason("other_station", own=station.endpoint)}
                body = _body(value)
                return RejectedReading(station.endpoint, self.arrived_at, JSON_TYPE, body, reasons)
            return self._sent(station, value, number)
        payload, hint = (value, "") if isinstance(value, Mapping) else ({}, no_object(value))
        key, body = self._key(station.endpoint, b"", number), _body(value)
        return Sent(station, payload, body, JSON_TYPE, self.arrived_at, hint, None, key)

    def _sent(self, station: Station, value: Mapping[str, object], number: int) -> Item:
        now_ms = self.arrived_at
        try:
            item = item_of(value, now_ms, self.store.settings.zone)
        except InvalidReading as error:
            # The whole item is kept, because its data alone would look like a valid new reading.
            return RejectedReading(station.endpoint, now_ms, JSON_TYPE, _body(value), error.details)
        key, body = self._key(station.endpoint, item.id, number), _body(item.data)
        return Sent(station, item.data, body, JSON_TYPE, now_ms, "", item.measured_ms, key)

    def _key(self, endpoint: str, item_id: bytes, number: int) -> str:
        """The key of an item with this id; an empty id is none."""
        sent = item_id or (self.key and b"%b\0%d" % (self.key, number))
        return key_of(endpoint, sent) if sent else ""

    def _unknown(self, name: str, value: Mapping[str, object], number: int) -> Item:
        """Its data are kept until the station is added, as those of a POST to its path are.

        Its sender keeps it, too, and sends it again, so that it needs a key to be stored once.
        """
        name, stations = name.strip("/").lower(), self.store.settings.stations
        if not can_be_endpoint(name):
            return Outcome({"error": "unknown station"}, 404)
        if name in stations.by_endpoint:
            return unknown(name, stations)
        reasons = {ENDPOINT: Reason("no_such_station")}
        body = _body(value.get(DATA))
        refused = RejectedReading(
            *(name, self.arrived_at, JSON_TYPE, body, reasons), is_storable=False
        )
        try:
            item = item_of(value, self.arrived_at, self.store.settings.zone)
        except InvalidReading:
            return refused
        key = self._key(name, item.id, number)
        can_wait = bool(key) and is_storable(body, JSON_TYPE)
        return replace(refused, measured_at=item.measured_ms, key=key, is_storable=can_wait)


def _body(value: object) -> bytes:
    try:
        return json.dumps(value).encode()
    except RecursionError:
        # It is nested so deeply that it could just be read, and its content is useless.
        return b"{}"
