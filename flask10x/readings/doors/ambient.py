"""Ambient: what the clients of the service ambidata.io send, turned into items of a batch.

The forms are those of its libraries for Arduino, Python, MicroPython and Node.js, and of its pages
about sending many readings at once (docs/decisions/0015-other-protocols.md).
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from flask10x.readings.doors.foreign_items import ItemObject, item_object
from flask10x.readings.stations import Station, Stations

# What qs, the library of Node.js's client, makes of {data: [{d1: 25.1}]}: `data[0][d1]=25.1`.
_IN_FORM = re.compile(r"data\[([0-9]{1,4})\]\[([^\[\]]{1,64})\]")
# No member of a reading: the token of the request, and what says how to read `created`.
NO_FIELDS = {"writeKey", "created", "time"}
MS_PER_SEC = 1000


def station_of(stations: Stations, channel: str) -> Station | None:
    """The station that has this channel; None when none has."""
    return next((s for s in stations.all if channel and s.ambient_channel == channel), None)


def write_key(payload: Mapping[str, object]) -> str:
    """The key that the sender shows; empty when there is none."""
    key = payload.get("writeKey")
    return key if isinstance(key, str) else ""


def payload_of_form(raw: bytes) -> ItemObject:
    """The object that a form stands for, as Node.js's client sends it to `/urldataarray`."""
    pairs = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True)
    entries: dict[int, ItemObject] = {}
    payload: ItemObject = {}
    for name, value in pairs:
        if place := _IN_FORM.fullmatch(name):
            entries.setdefault(int(place[1]), {})[place[2]] = value
        else:
            payload[name] = value
    return payload | {"data": [entries[number] for number in sorted(entries)]}


def items(station: Station, payload: Mapping[str, object], *, many: bool) -> list[ItemObject]:
    """The readings in the body of `/dataarray`, or (not `many`) the one in that of `/data`.

    What is no list of objects becomes items whose data are no object, to be refused as such.
    """
    entries = payload.get("data") if many else payload
    return [
        _item(station, entry) for entry in (entries if isinstance(entries, list) else [entries])
    ]


def _item(station: Station, entry: object) -> ItemObject:
    if not isinstance(entry, dict):
        return {"endpoint": station.endpoint, "data": entry}
    named = {m.path: m.ambient for m in station.measurements if m.ambient}
    given = {name: value for name, value in entry.items() if name not in NO_FIELDS}
    return item_object(station, named, given, _measured_at(entry))


def _measured_at(entry: Mapping[str, object]) -> object:
    """`created`: milliseconds since 1970, seconds with `"time": 1`, or a text, which stays one.

    The Arduino library and a form put numbers into text. Anything else stays what it is, for the
    batch to refuse: the reading was not measured now. None without one.
    """
    created = entry.get("created")
    if isinstance(created, str) and re.fullmatch(r"[0-9]{1,18}", created):
        created = int(created)
    if isinstance(created, int | float) and not isinstance(created, bool):
        return created if entry.get("time") in (1, "1") else created / MS_PER_SEC
    return None if created == "" else created
