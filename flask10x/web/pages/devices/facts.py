"""What is known of each station's board: its last request, its rhythm, its faults and refusals."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from flask10x.database import counters
from flask10x.history.rhythm import Rhythm, rhythm
from flask10x.readings.stations import Station
from flask10x.recording import rejected
from flask10x.recording.entry import warnings_of
from flask10x.recording.rejected import Kept, Selection
from flask10x.runtime.store import Store
from flask10x.system.last_requests import LastRequest, UnknownName

# Of all stations together: the table has no index by station.
REFUSALS_LOOKED_AT = 500
REFUSALS_SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """What is known of one station's board."""

    station: Station
    request: LastRequest | None
    """The last since the service started."""
    rhythm: Rhythm
    """Of the last 24 hours, or as far of them as the newest readings that are looked at reach."""
    warned: dict[str, int]
    """Path of a field to how many stored readings had a fault or nothing there."""
    refusals: tuple[Kept, ...]
    """The newest ones among the last REFUSALS_LOOKED_AT of the house."""


def devices(connection: Connection, store: Store, now_ms: int) -> list[Device]:
    """One for each station, in their order; times are UTC epoch milliseconds."""
    refusals = _refusals(connection)
    return [
        Device(
            station=station,
            request=store.gauges.last_request(station.endpoint),
            rhythm=rhythm(connection, station, now_ms),
            warned=counters.values_like(connection, warnings_of(station.endpoint)),
            refusals=tuple(refusals[station.endpoint][:REFUSALS_SHOWN]),
        )
        for station in store.settings.stations.all
    ]


def unknown_names(store: Store) -> list[UnknownName]:
    """Names that no station has, to which boards have sent since the service started.

    The one that came most often first. Not those that have become a station since.
    """
    stations = store.settings.stations.by_endpoint
    return [one for one in store.gauges.unknown_names() if not _has_become(one, stations)]


def _has_become(one: UnknownName, stations: Collection[str]) -> bool:
    """Whether what was sent so would be a station's now: `/Data2/` never is."""
    is_its_path = one.path.strip("/").lower() == one.name
    return one.name in stations and (not is_its_path or one.path == f"/{one.name}")


def _refusals(connection: Connection) -> defaultdict[str, list[Kept]]:
    """By endpoint, each the newest first."""
    found: defaultdict[str, list[Kept]] = defaultdict(list)
    rows = rejected.page(connection, Selection(), None, REFUSALS_LOOKED_AT).rows
    # A row that was written over keeps its old id.
    for kept in sorted(rows, key=lambda one: one.received_at, reverse=True):
        found[kept.endpoint].append(replace(kept, body=b""))
    return found
