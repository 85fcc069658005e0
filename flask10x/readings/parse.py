"""Readings: a station's payload checked and turned into numbers (contract, sections 1 and 2).

Pure: no clock, no Flask, no database.
"""

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from json import JSONDecodeError
from typing import Any, Literal

from flask10x.errors import COMPARED_CHARS, Flask10xError, nearest
from flask10x.readings.numbers import parse_number, without_minus_zero
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.stations import Fault, Measurement, Station

# A reading has 100 to 300 bytes; this leaves room for a talkative sender and none for abuse.
BODY_MAX_BYTES = 64 * 1024

# Below this an int is exact enough for int() to be cheap; int() itself refuses 4,300 digits.
LONGEST_INT_CHARS = 18

# Enough to recognise a media type; the answer has to be short (contract, section 7).
SHOWN_TYPE_CHARS = 100
JSON_TYPE = re.compile(r"application/(?:json|.*\+json)")

# Byte order marks, and zeros of the wider encodings, may precede the bracket.
ARRAY = re.compile(rb"[\s\x00\xef\xbb\xbf\xfe\xff]*\[")

# The words of which a body that was cut off may end with a part; an empty rest is one of each.
WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
NOT_NUMBERS = ("nan", "inf", "-nan", "-inf")
# What a decoded value is called that is neither an object nor a number.
OTHER_KINDS = {type(None): "null", bool: "true or false", list: "list", str: "string"}


class InvalidBody(Flask10xError):
    """A body is no JSON object; `hint` says what is wrong and where."""

    def __init__(self, hint: Reason) -> None:
        super().__init__(hint)
        self.hint = hint


def payload_of(raw: bytes, media_type: str) -> tuple[dict[str, object], Reason | Literal[""]]:
    """The body as an object, and an empty hint; for an unreadable body {} and the reason.

    `media_type` is that of the Content-Type, in lower case and without parameters; empty when
    there was none, which means JSON (contract, 6.7).
    """
    try:
        return decode(raw, media_type), ""
    except InvalidBody as error:
        return {}, error.hint


def begins_array(raw: bytes) -> bool:
    """Whether a body is an array, if it is JSON at all; a look at its beginning."""
    return raw[:1] != b"{" and ARRAY.match(raw) is not None


def value_of(raw: bytes, media_type: str) -> object:
    """The JSON value in the body, of any kind; `media_type` as in `payload_of`.

    Raises InvalidBody when it can't be read.
    """
    if media_type and not JSON_TYPE.fullmatch(media_type):
        raise InvalidBody(Reason("other_type", type=media_type[:SHOWN_TYPE_CHARS]))
    if not raw.strip():
        raise InvalidBody(Reason("empty_body"))
    text = _text(raw)
    try:
        return DECODER.decode(text)
    except JSONDecodeError as error:
        raise InvalidBody(_hint(text, error)) from None
    except RecursionError:
        raise InvalidBody(Reason("nested_too_deeply")) from None


def decode(raw: bytes, media_type: str = "") -> dict[str, object]:
    """The JSON object in `raw`, which is UTF-8 (or UTF-16, UTF-32) with or without a BOM.

    Of a key given twice the last value counts. `NaN`, `Infinity` and numbers too large for a
    double come through as floats that are not finite. `media_type` as in `payload_of`. Raises
    InvalidBody for anything else.
    """
    value = value_of(raw, media_type)
    if not isinstance(value, dict):
        raise InvalidBody(no_object(value))
    return value


def no_object(value: object) -> Reason:
    """The hint for a decoded value that is no object."""
    return Reason("no_json_object", kind=OTHER_KINDS.get(type(value), "number"))


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= LONGEST_INT_CHARS else float(digits)


DECODER = json.JSONDecoder(parse_int=_whole_number)


def _text(raw: bytes) -> str:
    encoding = json.detect_encoding(raw)
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        # A byte order mark is no part of what was decoded, but the sender counts it.
        offset = len(raw) - len(error.object) + error.start
        raise InvalidBody(_undecodable(error, raw[offset], offset)) from None


def _undecodable(error: UnicodeDecodeError, byte: int, offset: int) -> Reason:
    shown = f"0x{byte:02x}"
    if error.reason == "unexpected end of data":
        return Reason("cut_in_character", byte=shown, offset=offset)
    encoding = error.encoding.upper()
    return Reason("other_encoding", encoding=encoding, byte=shown, offset=offset, why=error.reason)


def _hint(text: str, error: JSONDecodeError) -> Reason:
    if _ends_early(text, error):
        code = "cut_json" if text.isascii() else "cut_json_not_ascii"
    elif text[error.pos : error.pos + 4].lower().startswith(NOT_NUMBERS):
        code = "nan_in_json"
    else:
        code = "invalid_json"
    what = error.msg.removesuffix(" at")
    return Reason(code, what=what, line=error.lineno, column=error.colno)


def _ends_early(text: str, error: JSONDecodeError) -> bool:
    rest = text[error.pos :].rstrip()
    return error.msg.startswith("Unterminated string") or any(
        word.startswith(rest) for word in WORDS
    )


# Comparing takes time for each, and an answer is short; a reading has a handful of fields.
STRANGE_MAX = 20

FieldPath = tuple[str, ...]


def near_names(
    station: Station, payload: Mapping[str, object], *, partial: bool = False
) -> Reason | Literal[""]:
    """A hint that names each unknown field whose name is near a missing one; else empty.

    Or a hint for an item of a batch that was sent alone, whose time would be lost. Other unknown
    fields are ignored, because senders add some (contract, section 1). With `partial` the partial
    aliases are known, too.
    """
    paths = [[_names(place) for place in _places(m, partial)] for m in station.measurements]
    names_in = _objects(paths)
    unfilled = _objects(
        places for places in paths if all(_at(path, payload) is None for path in places)
    )
    pairs = [
        pair
        for path, names in unfilled.items()
        for pair in _near(path, names, names_in[path], payload)
    ]
    if not pairs:
        is_item = "data" not in names_in[()] and isinstance(payload.get("data"), Mapping)
        return Reason("item_alone") if is_item and unfilled else ""
    strange, near = (", ".join(names) for names in zip(*pairs, strict=True))
    return Reason("field_near", strange=strange, near=near)


def _objects(measurements: Iterable[Iterable[FieldPath]]) -> dict[FieldPath, set[str]]:
    """The path of each object of a payload -> the names of the fields in it.

    A measurement is given as its paths, aliases included.
    """
    names: dict[FieldPath, set[str]] = {}
    for paths in measurements:
        for path in paths:
            for depth, name in enumerate(path):
                names.setdefault(path[:depth], set()).add(name)
    return names


def _places(measurement: Measurement, partial: bool) -> tuple[str, ...]:
    """Where a payload may hold the measurement, in the order in which it is looked for."""
    more = measurement.partial_aliases if partial else ()
    return (measurement.path, *measurement.aliases, *more)


# There are as many as the stations have: this is done for each number of each reading.
@cache
def _names(path: str) -> FieldPath:
    return tuple(path.split("."))


def _at(path: FieldPath, payload: Mapping[str, object]) -> object:
    value: object = payload
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _near(
    path: FieldPath, unfilled: set[str], names: set[str], payload: Mapping[str, object]
) -> Iterator[tuple[str, str]]:
    """Each unknown name in the object at `path`, with the unfilled name that it resembles."""
    holder = _at(path, payload)
    if not isinstance(holder, Mapping):
        return
    missing = sorted(unfilled - holder.keys())
    strange = (key for key in holder if key not in names and _shown(key))
    for key in islice(strange, STRANGE_MAX):
        if near := nearest(key.lower(), missing):
            yield ".".join((*path, key)), ".".join((*path, near))


def _shown(key: str) -> bool:
    """Whether it can be shown in an answer and the log; other names are no misspelt fields."""
    return key.isprintable() and len(key) <= COMPARED_CHARS


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading as it is stored."""

    endpoint: str
    received_at: int
    """When it arrived, or for a late one when it was measured; in UTC epoch milliseconds."""
    values: tuple[float | None, ...]
    """In the order of the station's measurements and in their units; None for an empty cell."""
    warnings: dict[str, str] = field(default_factory=dict, compare=False)
    """The path of a field or a missing object -> what is wrong, though the reading is stored."""
    elsewhere: dict[str, str] = field(default_factory=dict, compare=False, kw_only=True)
    """The path of a field that was at a partial alias -> a note of where it was."""
    arrived_at: int | None = field(default=None, kw_only=True)
    """When a late reading arrived, in UTC epoch milliseconds; None where `received_at` is that."""

    @property
    def remarks(self) -> dict[str, str]:
        """What the answer says to the sender: the warnings, and which fields were elsewhere."""
        return {**self.warnings, **self.elsewhere}


class InvalidReading(Flask10xError):
    """A payload is no reading of its station.

    `details` maps the path of every bad field, in the registry's order, to the reason.
    """

    def __init__(self, details: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {reason}" for path, reason in details.items()))
        self.details: dict[str, str] = {**details}


class _WrongField(Exception):
    """A field has no usable value."""

    def __init__(self, path: str, reason: Reason) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


def parse(
    station: Station, payload: Mapping[str, object], received_at: int, *, partial: bool = False
) -> Reading:
    """The reading in a decoded body; raises InvalidReading that names every bad field.

    Every value of the result is finite and within its measurement's range; an error names its path
    also where the payload holds it at an alias. Keys that the station
    does not know are ignored. With `partial` one usable field is enough: a bad field, and one
    with a known fault value, is None and among the warnings (docs/en/explanation/partial-readings).
    Partial aliases are looked at then, too.
    """
    values: list[float | None] = []
    details: dict[str, Reason] = {}
    suspect: dict[str, Reason] = {}
    elsewhere: dict[str, str] = {}
    for measurement in station.measurements:
        try:
            raw, place = _raw_value(measurement, payload, partial=partial)
            value, fault = _value(measurement, raw, refuse_faults=partial)
        except _WrongField as error:
            details[error.path] = error.reason
            values.append(None)
        else:
            values.append(value)
            if place:
                elsewhere[measurement.path] = Reason("read_at", place=place)
            if fault:
                suspect[measurement.path] = _reason_of(fault)
    if details and (not partial or all(value is None for value in values)):
        raise InvalidReading(details)
    warnings: dict[str, str] = {**details, **suspect}
    return Reading(station.endpoint, received_at, tuple(values), warnings, elsewhere=elsewhere)


def is_without_values(station: Station, payload: Mapping[str, object]) -> bool:
    """Return whether a decoded body has a null for each measurement, and a value for none.

    It is what some boards send of a sensor that is unplugged.
    """
    return all(_is_null(measurement, payload) for measurement in station.measurements)


def _is_null(measurement: Measurement, payload: Mapping[str, object]) -> bool:
    found = []
    for place in _places(measurement, partial=True):
        *around, name = _names(place)
        holder = _at(tuple(around), payload)
        found += [holder[name]] if isinstance(holder, Mapping) and name in holder else []
    return bool(found) and not any(value is not None for value in found)


def warned_paths(station: Station, warnings: Mapping[str, str]) -> tuple[str, ...]:
    """The fields that the warnings are about; a warning of an object is about all its fields."""
    return tuple(
        measurement.path
        for measurement in station.measurements
        if any(f"{measurement.path}.".startswith(f"{path}.") for path in warnings)
    )


def flat(station: Station, values: Iterable[float | None]) -> list[tuple[str, float | None]]:
    """Each payload path with its value, in the registry's order: what the log line shows."""
    paths = (measurement.path for measurement in station.measurements)
    return list(zip(paths, values, strict=True))


def nested(
    station: Station, values: Iterable[float | None], columns: Collection[str] = ()
) -> dict[str, object]:
    """The values in the payload's own shape: `{"mh_z19": {"co2": 650.0}, ...}`, None kept.

    Only those of the given columns, or all of them.
    """
    payload: dict[str, Any] = {}
    for measurement, value in zip(station.measurements, values, strict=True):
        if not columns or measurement.column in columns:
            put(payload, measurement.path, value)
    return payload


def put(payload: dict[str, Any], path: str, value: object) -> None:
    """Set the value at the path; the objects around it are made, also in place of another value."""
    *objects, key = path.split(".")
    for name in objects:
        if not isinstance(payload.get(name), dict):
            payload[name] = {}
        payload = payload[name]
    payload[key] = value


def _value(
    measurement: Measurement, raw: object, *, refuse_faults: bool
) -> tuple[float, Fault | None]:
    """The value, and the fault that it may be a sign of."""
    path = measurement.path
    try:
        value = without_minus_zero(_number(raw, measurement.unit))
    except WrongValue as error:
        raise _WrongField(path, error.reason) from None
    fault = next((fault for fault in measurement.faults if fault.value == value), None)
    silent = fault if fault and not fault.warning_only else None
    if silent and refuse_faults:
        raise _WrongField(path, _reason_of(silent))
    if measurement.minimum is not None and value < measurement.minimum:
        raise _WrongField(path, Reason("below_minimum", limit=measurement.minimum))
    if measurement.maximum is not None and value > measurement.maximum:
        raise _WrongField(path, Reason("above_maximum", limit=measurement.maximum))
    # Behind the limits: the built-in stations' fault values are outside, with the old words.
    if silent:
        raise _WrongField(path, _reason_of(silent))
    return value, fault


def _reason_of(fault: Fault) -> Reason:
    return Reason(fault.code, value=f"{fault.value:g}", sensor=fault.sensor)


def _raw_value(
    measurement: Measurement, payload: Mapping[str, object], *, partial: bool
) -> tuple[object, str]:
    """What the payload has at the path, or at the first alias at which it has something.

    The second value is the alias if it is one for partial readings, else an empty text.
    """
    for place in _places(measurement, partial):
        if (value := _at(_names(place), payload)) is not None:
            return value, place if place in measurement.partial_aliases else ""
    raise _missing(_names(measurement.path), payload)


def _missing(path: FieldPath, payload: Mapping[str, object]) -> _WrongField:
    """The error of a field that is missing, or of the object around it, missing or no object."""
    around = path[:-1]
    holder = _at(around, payload)
    if holder is None:
        return _missing(around, payload)
    if isinstance(holder, Mapping):
        return _WrongField(".".join(path), Reason("missing"))
    return _WrongField(".".join(around), Reason("not_an_object"))


def _number(raw: object, unit: str) -> float:
    """`raw` as a finite number in `unit`; raises WrongValue with the reason."""
    if isinstance(raw, str):
        return parse_number(raw, unit)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise WrongValue(Reason("unsupported_type", type=type(raw).__name__))
    try:
        value = float(raw)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise WrongValue(Reason("not_finite"))
    return value
