"""Items: readings of a request that brings several, each with what is said of it.

    {"endpoint": "data2", "data": {"co2": 650, ...}, "age_s": 120, "id": "1756000812-17"}

Pure: the present instant and the zone are given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from flask10x.errors import nearest
from flask10x.readings.batches.measured_times import AGE_SEC, MEASURED_AT, measured_ms
from flask10x.readings.parse import InvalidReading
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Station

ENDPOINT, DATA, ID = "endpoint", "data", "id"
KEYS = (ENDPOINT, DATA, MEASURED_AT, AGE_SEC, ID)
KEY_HEADER = "Idempotency-Key"
# Long enough for any hash and any path, and no more than a short header.
KEY_MAX_BYTES = 255
# An answer has to be short, whatever was sent.
SHOWN_KEYS, SHOWN_KEY_CHARS = 3, 40


@dataclass(frozen=True, slots=True)
class Item:
    """One reading, and what its sender says of it."""

    data: Mapping[str, object]
    """The payload of its station."""
    measured_ms: int | None
    """When it was measured, UTC epoch milliseconds; None: when it came."""
    id: bytes
    """By which a repeat of it is known; empty: by nothing."""


def item_of(found: Mapping[str, object], now_ms: int, zone: tzinfo | None) -> Item:
    """The item in a decoded object; raises InvalidReading that names every key that is wrong.

    Unlike the fields of a reading no strange key is ignored: a time under another name would be
    stored as that of the arrival.
    """
    details: dict[str, str] = {}
    for key in [key for key in found if key not in KEYS][:SHOWN_KEYS]:
        details[key[:SHOWN_KEY_CHARS]] = _unknown(key)
    data = found.get(DATA)
    if not isinstance(data, Mapping):
        details[DATA] = Reason("missing" if data is None else "not_an_object")
    try:
        at = measured_ms(found, now_ms, zone)
    except InvalidReading as error:
        details |= error.details
    try:
        own = _id_of(found.get(ID))
    except InvalidReading as error:
        details |= error.details
    if details or not isinstance(data, Mapping):
        raise InvalidReading(details)
    return Item(data, at, own)


def is_item(found: Mapping[str, object], station: Station) -> bool:
    """Whether an object of an array for this station is an item, and not a reading itself."""
    is_own = any(m.path.partition(".")[0] == DATA for m in station.measurements)
    return not is_own and isinstance(found.get(DATA), Mapping) and found.keys() <= set(KEYS)


def key_of_header(given: str) -> bytes:
    """The key in an `Idempotency-Key`, as WSGI has the header.

    Raises InvalidReading when it is empty or too long.
    """
    key = given.encode("latin-1", "replace")
    if not 1 <= len(key) <= KEY_MAX_BYTES:
        raise InvalidReading({KEY_HEADER: Reason("key_needed", n=KEY_MAX_BYTES)})
    return key


def _id_of(given: object) -> bytes:
    if given is None:
        return b""
    own = b""
    if isinstance(given, str):
        own = given.encode("utf-8", "backslashreplace")
    elif isinstance(given, int) and not isinstance(given, bool):
        own = str(given).encode()
    if not 1 <= len(own) <= KEY_MAX_BYTES:
        raise InvalidReading({ID: Reason("item_id_needed", n=KEY_MAX_BYTES)})
    return own


def _unknown(key: str) -> Reason:
    known = ", ".join(KEYS)
    near = nearest(key.lower(), KEYS)
    return Reason("unknown_key_near", near=near) if near else Reason("unknown_key", known=known)
