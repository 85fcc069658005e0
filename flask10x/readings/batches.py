"""Batches: the items of one request, each a reading with its time of measurement and its key.

{"endpoint": "data2", "data": {"co2": 650, ...}, "age_s": 120, "id": "1756000812-17"}
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TypeGuard

from flask10x.errors import nearest
from flask10x.readings.parse import InvalidReading
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, iso_text, parse_instant

MEASURED_AT, AGE_SEC = "measured_at", "age_s"
# No sender has kept older readings; an earlier time comes from a clock that was not set.
FIRST_MS = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
# A clock that was set by hand, or to the time of another zone, may be hours ahead.
AHEAD_MAX_MS = DAY_MS
# Larger numbers are cut to this: a thousand times the largest double would be infinite.
FAR_SEC = 1e12
# MicroPython on an ESP8266 or ESP32 counts seconds since 2000.
SEC_FROM_1970_TO_2000 = 946_684_800


def measured_ms(item: Mapping[str, object], now_ms: int, zone: tzinfo | None) -> int | None:
    """The time of measurement in UTC epoch milliseconds; None without `measured_at` and `age_s`.

    `measured_at` is seconds since 1970, or ISO 8601 text, in `zone` where it has no offset; `age_s`
    is seconds before now. Null counts as missing. Raises InvalidReading that names the key.
    """
    at, age = item.get(MEASURED_AT), item.get(AGE_SEC)
    if at is not None and age is not None:
        raise InvalidReading({AGE_SEC: Reason("two_times")})
    try:
        if at is not None:
            return _plausible(_instant(at, zone), at, now_ms, zone)
        if age is not None:
            return _plausible(now_ms - _milliseconds(age), None, now_ms, zone)
    except WrongValue as error:
        raise InvalidReading({MEASURED_AT if age is None else AGE_SEC: error.reason}) from None
    return None


def _milliseconds(age: object) -> int:
    if not _is_number(age) or age < 0:
        raise WrongValue(Reason("age_needed"))
    return _rounded_ms(age)


def _instant(at: object, zone: tzinfo | None) -> int:
    if _is_number(at):
        return _rounded_ms(at)
    if not isinstance(at, str):
        raise WrongValue(Reason("instant_needed"))
    try:
        return parse_instant(at, zone)
    except WrongValue as error:
        is_specific = error.reason.code in ("no_such_time", "no_such_offset")
        raise error if is_specific else WrongValue(Reason("instant_needed")) from None


def _rounded_ms(sec: float) -> int:
    return round(max(-FAR_SEC, min(sec, FAR_SEC)) * 1000)


def _plausible(ms: int, raw: object, now_ms: int, zone: tzinfo | None) -> int:
    """The same instant; raises WrongValue, with the likely mistake, when it can't be right."""
    if FIRST_MS <= ms <= now_ms + AHEAD_MAX_MS:
        return ms
    if _is_number(raw):
        for code, meant_ms in (
            ("milliseconds_given", raw),
            ("since_2000_given", (raw + SEC_FROM_1970_TO_2000) * 1000),
        ):
            if FIRST_MS <= meant_ms <= now_ms + AHEAD_MAX_MS:
                raise WrongValue(Reason(code))
    if ms < FIRST_MS:
        raise WrongValue(Reason("too_old"))
    raise WrongValue(Reason("too_far_ahead", now=iso_text(now_ms, zone)))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


ENDPOINT, DATA, ID = "endpoint", "data", "id"
KEYS = (ENDPOINT, DATA, MEASURED_AT, AGE_SEC, ID)
KEY_HEADER = "Idempotency-Key"
# Long enough for any hash and any path, and no more than a short header.
KEY_MAX_BYTES = 255
# An answer has to be short for any request.
SHOWN_KEYS, SHOWN_KEY_CHARS = 3, 40


@dataclass(frozen=True, slots=True)
class Item:
    """One reading of a batch."""

    data: Mapping[str, object]
    """The payload of its station."""
    measured_ms: int | None
    """The time of measurement in UTC epoch milliseconds; None: the time of receipt."""
    id: bytes
    """The key by which a repeat is recognised; empty: none."""


def item_of(raw: Mapping[str, object], now_ms: int, zone: tzinfo | None) -> Item:
    """The item in a decoded object; raises InvalidReading that names every key that is wrong.

    Unlike with the fields of a reading no unknown key is ignored: a misspelt time would be
    replaced by the time of receipt.
    """
    details: dict[str, str] = {}
    for key in [key for key in raw if key not in KEYS][:SHOWN_KEYS]:
        details[key[:SHOWN_KEY_CHARS]] = _unknown(key)
    data = raw.get(DATA)
    if not isinstance(data, Mapping):
        details[DATA] = Reason("missing" if data is None else "not_an_object")
    try:
        at = measured_ms(raw, now_ms, zone)
    except InvalidReading as error:
        details |= error.details
    try:
        identity = _id_of(raw.get(ID))
    except InvalidReading as error:
        details |= error.details
    if details or not isinstance(data, Mapping):
        raise InvalidReading(details)
    return Item(data, at, identity)


def is_item(raw: Mapping[str, object], station: Station) -> bool:
    """Whether an object of an array for this station is an item, and not a reading itself."""
    is_own = any(m.path.partition(".")[0] == DATA for m in station.measurements)
    return not is_own and isinstance(raw.get(DATA), Mapping) and raw.keys() <= set(KEYS)


def key_of_header(header: str) -> bytes:
    """The key in an `Idempotency-Key`, as WSGI has the header.

    Raises InvalidReading when it is empty or too long.
    """
    key = header.encode("latin-1", "replace")
    if not 1 <= len(key) <= KEY_MAX_BYTES:
        raise InvalidReading({KEY_HEADER: Reason("key_needed", n=KEY_MAX_BYTES)})
    return key


def _id_of(raw: object) -> bytes:
    if raw is None:
        return b""
    key = b""
    if isinstance(raw, str):
        key = raw.encode("utf-8", "backslashreplace")
    elif isinstance(raw, int) and not isinstance(raw, bool):
        key = str(raw).encode()
    if not 1 <= len(key) <= KEY_MAX_BYTES:
        raise InvalidReading({ID: Reason("item_id_needed", n=KEY_MAX_BYTES)})
    return key


def _unknown(key: str) -> Reason:
    names = ", ".join(KEYS)
    near = nearest(key.lower(), KEYS)
    return Reason("unknown_key_near", near=near) if near else Reason("unknown_key", known=names)
