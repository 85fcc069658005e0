"""Boards that send to paths of no station, as the pages offer them: from memory, without a query.

So a page that many open, as the home, is not slower while a board knocks.
"""

from dataclasses import dataclass
from functools import lru_cache

from flask10x.config.station_proposal import example_of, propose, sent_values
from flask10x.readings.labels import column_name
from flask10x.readings.numbers import MINUS
from flask10x.readings.parse import InvalidBody, decode
from flask10x.readings.stations import Stations
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.system.last_requests import UnknownName
from flask10x.translation import Translation
from flask10x.web.ingest.unknown_station import can_be_endpoint

# Boards that sleep send at least once an hour.
SENDING_MS = 3_600_000
# A sentence with more is none.
VALUES_SHOWN = 4
VALUE_CHARS = 20


@dataclass(frozen=True, slots=True)
class Sender:
    """A board that sends now and could be a station."""

    name: str
    """Its path, which no station has."""
    values: str
    """Names and values of its last body: `temperature −18.2, battery 3.1`."""


def unknown_names(store: Store) -> list[UnknownName]:
    """Names that no station has, to which boards have sent since the service started.

    The one that came most often first. Not those that have become a station since.
    """
    found, stations = [], store.settings.stations.by_endpoint
    for one in store.gauges.unknown_names():
        # What was sent to `/Data2/` would never be a station's.
        is_its_path = one.path.strip("/").lower() == one.name
        if one.name not in stations or (is_its_path and one.path != f"/{one.name}"):
            found.append(one)
    return found


def sending(store: Store, t: Translation) -> list[Sender]:
    """Return the boards to offer: not those that are ignored, or have ended."""
    settings, since_ms = store.settings, clock.now_ms() - SENDING_MS
    if settings.setup == "off":
        return []
    names = [
        unknown
        for unknown in unknown_names(store)
        if unknown.at_ms > since_ms
        and unknown.name not in settings.ignored_senders
        and unknown.name not in settings.stations.by_endpoint
        and can_be_endpoint(unknown.name)
    ]
    stations = settings.stations
    found = [Sender(one.name, _values(one.name, one.body, stations, t)) for one in names]
    return [sender for sender in found if sender.values]


@lru_cache(maxsize=64)
def _values(name: str, raw: bytes, stations: Stations, t: Translation) -> str:
    """What it sends, in words; empty where no number is in its body."""
    try:
        body = example_of(decode(raw))
    except InvalidBody:
        return ""
    proposal, sent = propose(name, body, stations), sent_values(body)
    parts = []
    for one in proposal.station.measurements:
        # `temperature −18.2`, `温度 −18.2`
        name = one.path.rpartition(".")[2] if t.language == "en" else column_name(one, t)
        text = str(sent.get(one.path, ""))[:VALUE_CHARS]
        parts.append(f"{name} {text.replace('-', MINUS, 1) if text.startswith('-') else text}")
    more = [] if len(parts) <= VALUES_SHOWN else ["…"]
    return t.listed([*parts[:VALUES_SHOWN], *more])
