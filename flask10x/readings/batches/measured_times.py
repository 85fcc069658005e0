"""When a late reading was measured: what its sender says of it, as an instant.

Pure: the present instant and the zone are given.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import TypeGuard

from flask10x.readings.parse import InvalidReading
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.times import DAY_MS, iso_text, parse_instant

MEASURED_AT, AGE_SEC = "measured_at", "age_s"
# No sender has kept readings from before; a clock that nobody has set shows such years.
FIRST_MS = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
# A clock that is set by hand, or to another zone's time, may be ahead by hours.
AHEAD_MAX_MS = DAY_MS
# Numbers beyond are as far as this: a thousand times the greatest would be no number any more.
FAR_SEC = 1e12
# What a clock counts from that has not the usual 1970: MicroPython's on an ESP8266 or ESP32.
SEC_FROM_1970_TO_2000 = 946_684_800


def measured_ms(item: Mapping[str, object], now_ms: int, zone: tzinfo | None) -> int | None:
    """The instant that `measured_at` or `age_s` gives, UTC epoch milliseconds; None without both.

    `measured_at` is seconds since 1970, or ISO 8601 text, in `zone` where it has no offset; `age_s`
    is seconds before now. Null is the same as nothing. Raises InvalidReading that names the key.
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
        known = error.reason.code in ("no_such_time", "no_such_offset")
        raise error if known else WrongValue(Reason("instant_needed")) from None


def _rounded_ms(sec: float) -> int:
    return round(max(-FAR_SEC, min(sec, FAR_SEC)) * 1000)


def _plausible(ms: int, given: object, now_ms: int, zone: tzinfo | None) -> int:
    """The same instant; raises WrongValue when it can't be one, and says what it may have been."""
    if FIRST_MS <= ms <= now_ms + AHEAD_MAX_MS:
        return ms
    if _is_number(given):
        for code, meant_ms in (
            ("milliseconds_given", given),
            ("since_2000_given", (given + SEC_FROM_1970_TO_2000) * 1000),
        ):
            if FIRST_MS <= meant_ms <= now_ms + AHEAD_MAX_MS:
                raise WrongValue(Reason(code))
    if ms < FIRST_MS:
        raise WrongValue(Reason("too_old"))
    raise WrongValue(Reason("too_far_ahead", now=iso_text(now_ms, zone)))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
