"""Protocols of other services, as items of a batch: Ambient and InfluxDB's line protocol."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter
from urllib.parse import parse_qsl

from flask10x.readings.parse import LONGEST_INT_CHARS, put
from flask10x.readings.stations import Station, Stations
from flask10x.readings.times import SECOND_MS

# Enough that no two different readings of one moment ever get one key.
KEY_BYTES = 16

ItemObject = dict[str, object]
Fields = dict[str, float | str | bool]


def item_object(
    station: Station,
    named: Mapping[str, str],
    fields: Mapping[str, object],
    measured_at: object = None,
) -> ItemObject:
    """The item of a reading whose fields have the names of a protocol.

    `named` maps each payload path to the name of its field. Other fields keep their names: they
    may be aliases, and a rejected reading is stored with them. A reading with a time is a repeat
    when it comes again, so the item has an id; without a time, two equal readings may be two.
    Lists and objects are emptied, because no protocol nests.
    """
    fields = {n: type(v)() if isinstance(v, dict | list) else v for n, v in fields.items()}
    data: ItemObject = {name: value for name, value in fields.items() if name not in named.values()}
    for path, name in named.items():
        if name in fields:
            put(data, path, fields[name])
    item: ItemObject = {"endpoint": station.endpoint, "data": data}
    if measured_at is not None:
        # The values belong to it: two readings of one second are no repeat of each other.
        text = json.dumps([measured_at, fields], sort_keys=True)
        key = blake2b(text.encode(), digest_size=KEY_BYTES).hexdigest()
        item |= {"measured_at": measured_at, "id": key}
    return item


# Ambient: what the clients of the service ambidata.io send, turned into items of a batch.
#
# The forms are those of its libraries for Arduino, Python, MicroPython and Node.js, and of its
# pages about sending many readings at once (docs/decisions/0015-other-protocols.md).

# What qs, the library of Node.js's client, makes of {data: [{d1: 25.1}]}: `data[0][d1]=25.1`.
_IN_FORM = re.compile(r"data\[([0-9]{1,4})\]\[([^\[\]]{1,64})\]")
# Not part of a reading: the token of the request, and the time with its unit.
NO_FIELDS = {"writeKey", "created", "time"}


def station_of_channel(stations: Stations, channel: str) -> Station | None:
    """The station that has this channel; None when none has."""
    return next((s for s in stations.all if channel and s.ambient_channel == channel), None)


def write_key(payload: Mapping[str, object]) -> str:
    """The key that the sender has sent; empty for none."""
    key = payload.get("writeKey")
    return key if isinstance(key, str) else ""


def payload_of_form(raw: bytes) -> ItemObject:
    """The object in a form, as Node.js's client sends it to `/urldataarray`."""
    pairs = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True)
    entries: dict[int, ItemObject] = {}
    payload: ItemObject = {}
    for name, value in pairs:
        if place := _IN_FORM.fullmatch(name):
            entries.setdefault(int(place[1]), {})[place[2]] = value
        else:
            payload[name] = value
    return payload | {"data": [entries[number] for number in sorted(entries)]}


def ambient_items(
    station: Station, payload: Mapping[str, object], *, many: bool
) -> list[ItemObject]:
    """The readings in the body of `/dataarray`, or (not `many`) the reading in that of `/data`.

    Anything but a list of objects becomes items without an object, which the batch rejects.
    """
    entries = payload.get("data") if many else payload
    named = {m.path: m.ambient for m in station.measurements if m.ambient}
    items: list[ItemObject] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, dict):
            fields = {name: value for name, value in entry.items() if name not in NO_FIELDS}
            items.append(item_object(station, named, fields, _measured_at(entry)))
        else:
            items.append({"endpoint": station.endpoint, "data": entry})
    return items


def _measured_at(entry: Mapping[str, object]) -> object:
    """Return `created`, None if there is none.

    It is milliseconds since 1970, seconds with `"time": 1`, or a text, which stays one. The Arduino
    library and a form put numbers into text. Any other value is returned as it is, and the batch
    rejects it.
    """
    created = entry.get("created")
    if isinstance(created, str) and re.fullmatch(r"[0-9]{1,18}", created):
        created = int(created)
    if isinstance(created, int | float) and not isinstance(created, bool):
        return created if entry.get("time") in (1, "1") else created / SECOND_MS
    return None if created == "" else created


# Line protocol: what writes to InfluxDB, turned into items of a batch.
#
# `measurement,tag=value field=1.5,other=2i 1756000000000000000`, as its reference has it. One
# thing is taken that InfluxDB refuses: a bare word as a value (`nan`, `25.1C`). It is a text then,
# so that the reading is judged, and kept, under the name of its field.

NS_PER_SEC = 1_000_000_000
# How long the unit of a timestamp is; those of both versions of the HTTP interface.
PRECISIONS_NS = {
    "": 1,
    "n": 1,
    "ns": 1,
    "u": 1_000,
    "us": 1_000,
    "ms": 1_000_000,
    "s": NS_PER_SEC,
    "m": 60 * NS_PER_SEC,
    "h": 3600 * NS_PER_SEC,
}
# An answer has to be short (contract, section 7).
SHOWN_CHARS = 100

_SPACES = r"[ \t]+"
# A backslash escapes only what would end the name; before anything else it is itself. Nothing is
# ever tried another way (`++`): for that `re` would keep 120 bytes for each character of a name.
_NAME = r"(?:[^\\, \t\r\n]++|\\[, ]?)++"
_KEY = r"(?:[^\\,= \t\r\n]++|\\[,= ]?)++"
_MEASUREMENT = re.compile(_NAME)
_TAG = re.compile(rf",({_KEY})=({_KEY})")
_FIELD = re.compile(
    rf'({_KEY})=(?:"(?P<text>(?:[^"\\]++|\\.)*+)"|(?P<bare>[^", \t\r\n]+))(?P<more>,?)', re.DOTALL
)
_END = re.compile(rf"(?:{_SPACES}(?P<time>-?[0-9]{{1,19}}))?[ \t\r]*(?:\n|\Z)")
_GAP = re.compile(_SPACES)
_NOTHING = re.compile(r"(?:[ \t\r\n]++|#[^\n]*(?:\n|\Z))*+")
_REST = re.compile(r"[^\n]*(?:\n|\Z)")

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(rf"(-?[0-9]{{1,{LONGEST_INT_CHARS + 2}}})[iu]")
_TRUE, _FALSE = {"t", "T", "true", "True", "TRUE"}, {"f", "F", "false", "False", "FALSE"}


@dataclass(frozen=True, slots=True)
class Point:
    """One line: a measurement at a time."""

    number: int
    """That of the line in the body, from 1."""
    measurement: str
    tags: Mapping[str, str]
    fields: Fields
    time_ns: int | None
    """Since 1970; None when the line has no time."""


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A line that can't be stored, and why, in InfluxDB's words where it has some."""

    number: int
    why: str


class _Unreadable(Exception):
    """A line can't be read; the text says what it lacks."""


def points(body: str, precision: str = "") -> Iterator[Point | LineProblem]:
    """Each line of the body, a text with several lines in it being one.

    Raises KeyError for a precision that is none of PRECISIONS_NS.
    """
    unit_ns = PRECISIONS_NS[precision]
    number, counted = 1, 0
    at = _after(_NOTHING, body, 0)
    while at < len(body):
        number, counted = number + body.count("\n", counted, at), at
        try:
            point, at = _point(body, at, number, unit_ns)
        except _Unreadable as error:
            line = body[at : _after(_REST, body, at)].rstrip()[:SHOWN_CHARS]
            yield LineProblem(number, f"unable to parse '{line}': {error}")
            at = _after(_REST, body, at)
        else:
            yield point
        at = _after(_NOTHING, body, at)


def point_items(
    stations: Stations, body: str, precision: str = ""
) -> tuple[list[tuple[int, ItemObject]], list[LineProblem]]:
    """The readings in a body, each with the number of its first line, and the unusable lines.

    Lines of one station with one time are one reading, unless a field is repeated: some senders
    write one line for each field. Raises KeyError as `points` does.
    """
    problems: list[LineProblem] = []
    # (station's endpoint, time) -> the readings of it, each with the number of its first line.
    readings_at: dict[tuple[str, int | None], list[tuple[int, Fields]]] = {}
    for point in points(body, precision):
        if isinstance(point, LineProblem):
            problems.append(point)
            continue
        station = station_of_point(stations, point)
        if station is None:
            tags = "".join(f",{name}={value}" for name, value in point.tags.items())
            shown = f"{point.measurement}{tags}"[:SHOWN_CHARS]
            why = f"no station of stations.toml has the measurement and tags '{shown}'"
            problems.append(LineProblem(point.number, why))
            continue
        readings = readings_at.setdefault((station.endpoint, point.time_ns), [])
        if not readings or readings[-1][1].keys() & point.fields.keys():
            readings.append((point.number, {}))
        readings[-1][1].update(point.fields)
    items: list[tuple[int, ItemObject]] = []
    for (endpoint, time_ns), readings in readings_at.items():
        station = stations.by_endpoint[endpoint]
        named = {m.path: m.influx or m.path for m in station.measurements}
        measured_at = None if time_ns is None else time_ns / NS_PER_SEC
        items += [(n, item_object(station, named, fields, measured_at)) for n, fields in readings]
    return sorted(items, key=itemgetter(0)), problems


def station_of_point(stations: Stations, point: Point) -> Station | None:
    """The station whose measurement and tags the line has; of several that with the most tags."""
    matching = [
        station
        for station in stations.all
        if station.influx == point.measurement
        and all(point.tags.get(name) == value for name, value in station.influx_tags)
    ]
    return max(matching, key=lambda station: len(station.influx_tags), default=None)


def _point(body: str, start: int, number: int, unit_ns: int) -> tuple[Point, int]:
    """The line that begins at `start`, and where the next one does."""
    measurement = _MEASUREMENT.match(body, start)
    if measurement is None:
        raise _Unreadable("missing measurement")
    tags, at = {}, measurement.end()
    while tag := _TAG.match(body, at):
        tags[_plain(tag[1])], at = _plain(tag[2]), tag.end()
    gap = _GAP.match(body, at)
    if gap is None:
        raise _Unreadable("missing tag value" if body[at : at + 1] == "," else "missing fields")
    fields, at = _fields(body, gap.end())
    end = _END.match(body, at)
    if end is None:
        raise _Unreadable("bad timestamp" if _GAP.match(body, at) else "invalid field format")
    time_ns = int(end["time"]) * unit_ns if end["time"] else None
    return Point(number, _plain(measurement[0]), tags, fields, time_ns), end.end()


def _fields(body: str, at: int) -> tuple[Fields, int]:
    fields: Fields = {}
    while True:
        field = _FIELD.match(body, at)
        if field is None:
            raise _Unreadable("invalid field format" if fields else "missing fields")
        text, bare = field["text"], field["bare"]
        value = re.sub(r'\\(["\\])', r"\1", text) if bare is None else _value(bare)
        fields[_plain(field[1])], at = value, field.end()
        if not field["more"]:
            return fields, at


def _value(bare: str) -> float | str | bool:
    if whole := _WHOLE.fullmatch(bare):
        return int(whole[1])
    if _NUMBER.fullmatch(bare):
        return float(bare)
    if bare in _TRUE or bare in _FALSE:
        return bare in _TRUE
    return bare


def _plain(name: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", name)


def _after(pattern: re.Pattern[str], body: str, at: int) -> int:
    """The end of a pattern that also matches nothing."""
    match = pattern.match(body, at)
    return match.end() if match else at
