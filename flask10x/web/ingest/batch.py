"""A batch: many readings of one request, each with a result of its own."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from flask10x.readings.batches import DATA, ENDPOINT, is_item, item_of
from flask10x.readings.parse import InvalidReading, no_object
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Station, Stations
from flask10x.recording.batch import Receipt
from flask10x.recording.rejected import Refused
from flask10x.recording.repeats import key_of
from flask10x.runtime.store import Store
from flask10x.system.last_requests import UNKNOWN_MAX
from flask10x.web.access import sender
from flask10x.web.ingest.dry_run import DRY_RUN, tried
from flask10x.web.ingest.take import (
    DUPLICATE,
    Outcome,
    Queued,
    Sent,
    answer,
    invalid,
    note,
    note_unknown,
    queue,
    refuse,
)
from flask10x.web.ingest.unknown_station import can_be_endpoint, hint

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

# A board that could send nothing for half a day has 700 readings of one each minute.
ITEMS_MAX = 1000
# Of a batch with a thousand mistakes the log has the first; a line each would push out all others.
LOGGED_MAX = 20

Known = Sent | Refused | Outcome
"""A reading; what is wrong with it as an item; or its result, where there is nothing to keep."""


def outcome_of(
    store: Store,
    known: Sequence[Known],
    environ: "WSGIEnvironment",
    *,
    commits: bool,
    dry_run: bool,
) -> Outcome:
    """What has become of them, or with `dry_run` what would; the others as for `take_all`."""
    if dry_run:
        return try_all(store, known, "committed" if commits else "enqueued")
    return take_all(store, known, environ, commits=commits)


def take_all(
    store: Store, known: Sequence[Known], environ: "WSGIEnvironment", *, commits: bool
) -> Outcome:
    """Queue the good ones and keep the others; the answer has the results in the same order.

    With `commits` it waits until all are committed, or for ACK_TIMEOUT_SEC. `environ` is that of
    the request.
    """
    until_sec = monotonic() + store.settings.ack_timeout_sec
    repeats = set() if commits else _repeats(store, known)
    bad, queued = 0, list[Queued | Outcome]()
    for one in known:
        found = _begin(store, one, Receipt() if commits else None, repeats, _level(bad))
        bad += isinstance(found, Outcome) and not found.is_good
        queued.append(found)
    results = []
    for one_queued in queued:
        if isinstance(one_queued, Outcome):
            results.append(one_queued)
            continue
        left_sec = max(0.0, until_sec - monotonic())
        result = answer(store, one_queued, left_sec, _level(bad))
        bad += not result.is_good
        results.append(result)
    if bad > LOGGED_MAX:
        log.error("%d more of a batch were not stored", bad - LOGGED_MAX)
    _note(store, environ, known, results)
    return answer_of(results)


def try_all(store: Store, known: Sequence[Known], ack: str) -> Outcome:
    """The dry run of `take_all`; `ack` is the status that good ones would have."""
    results, keys = [], _repeats(store, known)
    for one in known:
        if isinstance(one, Outcome):
            results.append(one)
        elif isinstance(one, Refused):
            results.append(_refusal(store, one))
        else:
            result = tried(store, one, ack, keys)
            results.append(result)
            keys |= {one.key} if result.is_good else set()
    outcome = answer_of(results)
    return Outcome({"status": DRY_RUN, **outcome.body}, outcome.status)


def unknown(name: str, stations: Stations) -> Outcome:
    """The result of a reading that names no station of these."""
    return Outcome({"error": "unknown station", "hint": hint(name, stations)}, 404)


def answer_of(results: Sequence[Outcome]) -> Outcome:
    """The answer to a batch: how many were accepted, duplicates and refused, and each result.

    It is asked for again when a reading could not be taken for now. When none was to be taken it is
    a 400; but where all are of an unknown station, or of one that the token is not for, it is their
    own 404 or 401: a sender keeps those until somebody has acted.
    """
    kinds = Counter(map(_kind, results))
    body: dict[str, object] = {name: kinds[name] for name in ("accepted", "duplicate", "refused")}
    if kinds["failed"]:
        body["failed"] = kinds["failed"]
    body["results"] = [one.body for one in results]
    if kinds["failed"]:
        return Outcome(body, 503, asks_again=True)
    if kinds["accepted"] or kinds["duplicate"]:
        return Outcome(body)
    statuses = {one.status for one in results}
    return Outcome(body, statuses.pop() if len(statuses) == 1 else 400)


def _begin(
    store: Store, one: Known, receipt: Receipt | None, repeats: set[str], level: int
) -> Queued | Outcome:
    """Queue one; when that is its answer's business, its key is one of the repeats from now on."""
    if isinstance(one, Outcome):
        log.log(level, "An item of a batch was refused: %s", dict(one.body))
        return one
    if isinstance(one, Sent):
        queued = queue(store, one, receipt, repeats, level)
        if one.key and receipt is None and isinstance(queued, Queued):
            repeats.add(one.key)
        return queued
    if one.endpoint in store.settings.stations.by_endpoint:
        return refuse(store, one, level)
    log.log(level, "/%s refused: no such station", one.endpoint)
    store.writer.rejected_queue.latest.take(one)
    return _refusal(store, one)


def _repeats(store: Store, known: Sequence[Known]) -> set[str]:
    """The keys of those that repeat a reading which was accepted before."""
    return store.repeats.among(
        {one.key: one.repeat_window_ms for one in known if isinstance(one, Sent) and one.key}
    )


def _note(
    store: Store, environ: "WSGIEnvironment", known: Sequence[Known], results: Sequence[Outcome]
) -> None:
    """Note the last of each station as a request of its board, and names that no station has."""
    last: dict[str, tuple[bytes, int]] = {}
    strange: dict[str, None] = {}
    for one, result in zip(known, results, strict=True):
        if isinstance(one, Sent):
            last[one.station.endpoint] = one.body, result.status
        elif isinstance(one, Refused) and one.endpoint in store.settings.stations.by_endpoint:
            last[one.endpoint] = one.body, result.status
        elif isinstance(one, Refused):
            strange[one.endpoint] = None
    for name in [*strange][:UNKNOWN_MAX]:
        note_unknown(store, name, environ["PATH_INFO"], sender())
    for endpoint, (body, status) in last.items():
        note(store, endpoint, environ, body, status)


def _refusal(store: Store, refused: Refused) -> Outcome:
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


JSON_TYPE = "application/json"
UNAUTHORIZED = Outcome(
    {"error": "unauthorized", "hint": "the token is not one for this station"}, 401
)


@dataclass(frozen=True, slots=True)
class Items:
    """Reads the items of one request."""

    store: Store
    arrived_at: int
    """UTC epoch milliseconds."""
    key: bytes
    """Of the whole request; empty: none. Items that have none take it, each with its number."""
    opens: Callable[[str], bool]
    """Whether the sender may post to the station with this endpoint."""

    def of_any(self, values: list[object]) -> list[Known]:
        """Those of a request that brings readings of any station: each names its own."""
        return [self._named(value, number) for number, value in enumerate(values)]

    def of(self, station: Station, values: list[object]) -> list[Known]:
        """Those of a request to a station: readings of it, or items without an endpoint."""
        return [self._own(station, value, number) for number, value in enumerate(values)]

    def _named(self, value: object, number: int) -> Known:
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
        station = self.store.settings.stations.by_endpoint.get(name)
        if station is None:
            return self._unknown(name, value)
        return self._sent(station, value, number)

    def _own(self, station: Station, value: object, number: int) -> Known:
        if isinstance(value, Mapping) and is_item(value, station):
            if value.get(ENDPOINT) not in (None, station.endpoint, f"/{station.endpoint}"):
                reasons = {ENDPOINT: Reason("other_station", own=station.endpoint)}
                body = _body(value)
                return Refused(station.endpoint, self.arrived_at, JSON_TYPE, body, reasons)
            return self._sent(station, value, number)
        payload, hint = (value, "") if isinstance(value, Mapping) else ({}, no_object(value))
        key, body = self._key(station, b"", number), _body(value)
        return Sent(station, payload, body, JSON_TYPE, self.arrived_at, hint, None, key)

    def _sent(self, station: Station, value: Mapping[str, object], number: int) -> Known:
        now_ms = self.arrived_at
        try:
            item = item_of(value, now_ms, self.store.settings.zone)
        except InvalidReading as error:
            # Whole, for its data alone would look like a good reading of this moment.
            return Refused(station.endpoint, now_ms, JSON_TYPE, _body(value), error.details)
        key, body = self._key(station, item.id, number), _body(item.data)
        return Sent(station, item.data, body, JSON_TYPE, now_ms, "", item.measured_ms, key)

    def _key(self, station: Station, own: bytes, number: int) -> str:
        """Of an item with this id of its own, or none."""
        given = own or (self.key and b"%b\0%d" % (self.key, number))
        return key_of(station.endpoint, given) if given else ""

    def _unknown(self, name: str, value: Mapping[str, object]) -> Known:
        """For whoever adds the station its data are kept, as those of a POST to its path are."""
        name, stations = name.strip("/").lower(), self.store.settings.stations
        if not can_be_endpoint(name):
            return Outcome({"error": "unknown station"}, 404)
        if name in stations.by_endpoint:
            return unknown(name, stations)
        reasons = {ENDPOINT: Reason("no_such_station")}
        return Refused(name, self.arrived_at, JSON_TYPE, _body(value.get(DATA)), reasons)


def _body(value: object) -> bytes:
    try:
        return json.dumps(value).encode()
    except RecursionError:
        # It is nested as deeply as could just be read: there is nothing to be learnt from it.
        return b"{}"
