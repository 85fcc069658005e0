"""The items of a batch as readings of their stations."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask10x.readings.batches.items import DATA, ENDPOINT, is_item, item_of
from flask10x.readings.json_body import no_object
from flask10x.readings.parse import InvalidReading
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Station
from flask10x.recording.accepted_keys import key_of
from flask10x.recording.rejected import Refused
from flask10x.runtime.store import Store
from flask10x.web.ingest.batch import Known, unknown
from flask10x.web.ingest.take import Outcome, Sent, invalid
from flask10x.web.ingest.unknown_station import can_be_endpoint

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
