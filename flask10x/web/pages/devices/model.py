"""Each station's board: its last request, its rhythm, its problems, and a program for it."""

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, get_args

from flask import render_template
from sqlalchemy import Connection

from flask10x.database import counters
from flask10x.history.rhythm import Rhythm, rhythm
from flask10x.readings.labels import station_name
from flask10x.readings.parse import nested
from flask10x.readings.stations import Measurement, Station
from flask10x.recording import rejected
from flask10x.recording.entry import warnings_of
from flask10x.recording.rejected import Kept, Selection
from flask10x.runtime.store import Store
from flask10x.system.last_requests import LastRequest, UnknownName
from flask10x.translation import Translation

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


# Programs for a station's board, ready to paste: they keep readings while the network is away.
#
# Each sends what waits as a batch, with the age or the time of every reading and a key, so that it
# can be sent again and is stored once (docs/en/howto/send-late.md).

Kind = Literal["pico.py", "esp32.ino", "computer.py", "shell.sh"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Of a station whose interval nobody has named: the slowest of the boards that are known.
EVERY_SEC = 60
# Some 150 bytes each: 30 KB of the 200 KB that MicroPython leaves free on a Pico W.
KEPT_MAX = 200
# A month of a reading a minute, 10 MB.
KEPT_MAX_ON_DISK = 43_200
HOUR_SEC = 3600
# MicroPython's ticks tell two times apart for 6.2 days at most (2**29 ms).
TICKS_HOURS = 140
# What a sensor of this unit shows in a room, so that the example is a likely one.
TYPICAL = {"°C": 21.5, "%": 45.0, "hPa": 1013.2, "ppm": 650.0, "Ω": 50_000.0, "V": 1.2}
ELSE = 1.0


def program(kind: Kind, station: Station, host: str, port: int, t: Translation) -> str:
    """The text of the program, with comments in the reader's language.

    `host` is where boards find the service; it comes from the address bar, so it must be checked
    before (`web/access.py`).
    """
    every_sec = station.interval_sec or EVERY_SEC
    kept_max = min(KEPT_MAX, TICKS_HOURS * HOUR_SEC // every_sec)
    sample = likely_reading(station)
    text = render_template(
        f"devices/programs/{kind}.txt",
        t=t,
        station=station_name(station, t),
        endpoint=station.endpoint,
        host=host,
        port=port,
        every_sec=every_sec,
        sample=repr(sample),
        sample_json=_quotable(sample),
        kept_max=kept_max,
        kept_hours=_hours(kept_max, every_sec),
        kept_max_on_disk=KEPT_MAX_ON_DISK,
        kept_hours_on_disk=_hours(KEPT_MAX_ON_DISK, every_sec),
    )
    return f"{text}\n"


def trial(station: Station, host: str, port: int) -> str:
    """A command that asks what would become of a reading like the sample, and stores nothing."""
    body = _quotable(likely_reading(station))
    url = f"http://{host}:{port}/{station.endpoint}?dry_run=1"
    return f"curl -H 'Content-Type: application/json' -d '{body}' '{url}'"


def _quotable(sample: dict[str, object]) -> str:
    """As JSON that may stand between the single quotes of a shell, whatever its fields' names."""
    return json.dumps(sample).replace("'", "\\u0027")


def likely_reading(station: Station) -> dict[str, object]:
    """A likely reading of the station, in the shape of what it sends."""
    return nested(station, map(_typical, station.measurements))


def _typical(measurement: Measurement) -> float:
    value = TYPICAL.get(measurement.unit, ELSE)
    if measurement.minimum is not None:
        value = max(measurement.minimum, value)
    return value if measurement.maximum is None else min(value, measurement.maximum)


def _hours(readings: int, every_sec: int) -> str:
    return f"{readings * every_sec / HOUR_SEC:.3g}"
