"""Time zones by name: which one this is, and whether another one tells the same times.

A name here is one that stays the same all year: `Asia/Tokyo`, or `JST-9` and `<+09>-9` (POSIX) for
a system's zone that has no other. An offset such as +09:00 would change with each clock change.
"""

import io
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from gettext import gettext as _
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask10x.readings.times import (
    DAY_MS,
    QUARTER_SECONDS,
    SECOND_MS,
    SYSTEM_ZONE,
    local_text,
    utc_offset,
)

UTC_NAME = "UTC"
# Where systems keep the files of the zones; what follows it in a path is the zone's name.
ZONE_FOLDER = "zoneinfo"
# What the zone database promises of the future changes every few years; rules come round each one.
COMPARED_YEARS_AHEAD = 10
COMPARED_AHEAD_MS = COMPARED_YEARS_AHEAD * 366 * DAY_MS
# From Baker Island to the Line Islands; all of today's zones are whole quarters of an hour.
OFFSETS_SEC = (-12 * 3600, 14 * 3600)
DAY_SECONDS = DAY_MS // SECOND_MS


@dataclass(frozen=True, slots=True)
class OtherZone:
    """What shows that a file is written in another zone than this command's."""

    name: str
    """The zone of the file."""
    here: str
    """The zone of this command."""
    written: str
    """A time as it is, or would be, written in the file; empty where nobody can say."""
    written_here: str
    """The same instant as this command would write it."""

    def __str__(self) -> str:
        known = _(
            "the file was written in the time zone {zone}, this command runs in {here}: {written}"
            " there is {written_here} here"
        )
        unknown = _(
            "the file was written in the time zone {zone}, which this system does not know; this"
            " command runs in {here}"
        )
        return (known if self.written else unknown).format(
            zone=self.name, here=self.here, written=self.written, written_here=self.written_here
        )


def name_of(zone: tzinfo | None) -> str:
    """What the zone is called, None being the system's: the variable TZ, else /etc/localtime.

    (man 3 tzset: an empty TZ is UTC, and so is a system without the file)
    """
    if zone is not None:
        return str(zone)
    if (given := os.environ.get("TZ")) is not None:
        given = given.removeprefix(":")
        # `:/etc/localtime` is common, for it spares the C library a look at each call.
        return _name_of_file(Path(given)) if given.startswith("/") else given or UTC_NAME
    return _name_of_file(SYSTEM_ZONE)


def zone_of(name: str) -> tzinfo | None:
    """The zone of this name; None when this machine does not know it.

    It may be UTC, where the C library takes a TZ that it does not know for that.
    """
    for known in (ZoneInfo, _posix):
        try:
            return known(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return None


def unknown_tz() -> str:
    """The variable TZ where it is no zone, as by a slip of the pen; else empty.

    The C library says nothing then and takes UTC (man 3 tzset). Spellings that only it knows, such
    as `AEST-10AEDT` without a rule, are zones.
    """
    given = os.environ.get("TZ", "").removeprefix(":")
    is_utc = time.timezone == 0 and not time.daylight
    return given if is_utc and given and not _is_known(given) else ""


def first_difference(
    one: tzinfo | None, other: tzinfo | None, start_ms: int, end_ms: int
) -> int | None:
    """The first instant from `start_ms` to `end_ms` at which the zones tell different times.

    To a quarter of an hour, in epoch milliseconds; None when they tell the same throughout. None
    as a zone is the system's.
    """
    for second in _moments((one, other), start_ms // SECOND_MS, end_ms // SECOND_MS):
        if utc_offset(second, one) != utc_offset(second, other):
            return second * SECOND_MS
    return None


def other_zone(
    name: str,
    here: tzinfo | None,
    last: tuple[int | None, str | None],
    first_ms: int | None,
    now_ms: int,
) -> OtherZone | None:
    """How the zone `here` differs from that of a file, which is called `name`.

    `last` is when the last row of the file was received, and the time that stands in it, None for
    a file without rows. It must be the same here; and where the names differ, so must all times
    from `first_ms` (None for now) until COMPARED_YEARS_AHEAD from now. None when they do.
    """
    received_at, written = last
    if received_at is not None and written is not None:
        text = local_text(received_at, here)
        if text != written:
            return OtherZone(name, name_of(here), written, text)
    if name == name_of(here):
        return None
    zone = zone_of(name)
    if zone is None:
        return OtherZone(name, name_of(here), "", "")
    first_ms = max(0, min(now_ms if first_ms is None else first_ms, now_ms))
    instant = first_difference(zone, here, first_ms, now_ms + COMPARED_AHEAD_MS)
    if instant is None:
        return None
    return OtherZone(name, name_of(here), local_text(instant, zone), local_text(instant, here))


def may_be_offset(seconds: int) -> bool:
    """Whether some zone's clock is that much ahead of UTC."""
    low, high = OFFSETS_SEC
    return low <= seconds <= high and seconds % QUARTER_SECONDS == 0


def _moments(zones: tuple[tzinfo | None, ...], start: int, end: int) -> Iterator[int]:
    """Each day, and each quarter of an hour of those on which a clock is changed."""
    start = start // QUARTER_SECONDS * QUARTER_SECONDS
    for day in range(start, end + 1, DAY_SECONDS):
        following = min(day + DAY_SECONDS, end)
        changes = any(utc_offset(day, zone) != utc_offset(following, zone) for zone in zones)
        yield from range(day, following, QUARTER_SECONDS) if changes else (day,)
    yield end


def _is_known(given: str) -> bool:
    return Path(given).is_file() if given.startswith("/") else zone_of(given) is not None


def _name_of_file(path: Path) -> str:
    """What a zone's file is called, or the rule for the future that stands at its end."""
    if name := _name_in(path.resolve()):
        return name
    try:
        # Since version 2 of the format (RFC 9636, section 3.3).
        rule = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2].decode("ascii")
    except FileNotFoundError:
        return UTC_NAME
    except (OSError, UnicodeDecodeError):
        return str(path)
    return rule if rule and zone_of(rule) else str(path)


def _name_in(path: Path) -> str:
    """`Asia/Tokyo` out of `/usr/share/zoneinfo/Asia/Tokyo`; else nothing."""
    parts = path.parts
    name = "/".join(parts[parts.index(ZONE_FOLDER) + 1 :]) if ZONE_FOLDER in parts else ""
    return name if name and zone_of(name) else ""


def _posix(rule: str) -> tzinfo:
    """The zone of a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`: a file of it that has no past.

    (RFC 9636: the header, one type of local time that nobody comes to, the rule.) Raises ValueError
    when it is none.
    """
    if not rule:
        raise ValueError("no rule")
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    nothing = b"TZif2" + bytes(15) + counts + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    file = io.BytesIO(nothing + nothing + b"\n" + rule.encode("ascii") + b"\n")
    return ZoneInfo.from_file(file, key=rule)
