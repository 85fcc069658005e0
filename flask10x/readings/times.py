"""Instants as people write and read them: local text out, `from` and `to` in.

Everything inside is UTC epoch milliseconds. `zone` is always `Settings.zone`: a tzinfo, or None
for the system's own zone.
"""

import io
import os
import re
import struct
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from gettext import gettext as _
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask10x.readings.reasons import Reason, WrongValue

SECOND_MS, HOUR_MS, DAY_MS = 1000, 3_600_000, 86_400_000

FIRST_YEAR, LAST_YEAR = 1970, 9999
# Python's calendar has the years 1 to 9999. Two days within its ends every zone has a date for it,
# and for the moments around it that are looked at for its offset.
FIRST_DATE_MS, LAST_DATE_MS = -62_135_424_000_000, 253_402_127_999_999
# Where the bounds of a reader end: the last millisecond of the year 9999 in UTC.
LAST_BOUND_MS = 253_402_300_799_999
# By then it is 1970 in every zone.
NO_LONGER_1969_MS = DAY_MS
# The links of the pages reach back a year at most. They have to work with a clock at 1970, as a Pi
# without a battery has it. A longer span before 1970 is a mistake.
CLAMPED_SEC = 366 * 86_400
# A month and a year are as long as the buttons 30d and 1y of the pages.
SECONDS_PER_UNIT = {
    **{"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800},
    **{"mo": 30 * 86_400, "y": 365 * 86_400},
}
# No zone has moved its clock twice within a quarter of an hour, so equal offsets at both ends of
# one mean the same offset throughout.
QUARTER_SECONDS = 900
LEAP_SECOND = 60
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A link to the file of the system's zone (man 5 localtime).
SYSTEM_ZONE = Path("/etc/localtime")
_TWO_DIGITS = tuple(f"{number:02d}" for number in range(60))
_CLOCK = tuple(f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(24 * 60))

_RELATIVE = re.compile(r"-([0-9]{1,9})(mo|[smhdwy])")
_ABSOLUTE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    r"(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_PLUS_BECAME_SPACE = re.compile(r"[0-9-]{10}[T ][0-9:.]{5,} [0-9]{2}:?[0-9]{2}")


def is_date(ms: int) -> bool:
    """Whether the instant is a date in every zone; one in a damaged database may be none."""
    return FIRST_DATE_MS <= ms <= LAST_DATE_MS


def local_text(ms: int, zone: tzinfo | None) -> str:
    """`YYYY-MM-DD HH:MM:SS` in the zone, rounded down to the second (contract, section 2).

    An instant that is no date is shown by its number: `253402300800000 ms`.
    """
    return _local(ms // 1000, zone).isoformat(" ") if is_date(ms) else f"{ms} ms"


def iso_text(ms: int, zone: tzinfo | None) -> str:
    """The instant as `2025-08-24T09:00:00.123+09:00`, which `parse_bound` reads back.

    In UTC where the zone has no date for it or, at the beginning of 1970, one that no bound can be.
    """
    if not is_date(ms) and not LAST_DATE_MS < ms <= LAST_BOUND_MS:
        return f"{ms} ms"
    instant = EPOCH + timedelta(milliseconds=ms)
    if not (0 <= ms < NO_LONGER_1969_MS or ms > LAST_DATE_MS):
        instant = instant.astimezone(zone)
    return instant.isoformat(timespec="milliseconds")


def zone_name(zone: tzinfo | None) -> str:
    """`Asia/Tokyo`; for a system's zone without a name its offset now, `+09:00`.

    Browsers know both (ECMA-402, "time zone identifiers").
    """
    if zone is not None:
        return str(zone)
    now = datetime.now().astimezone()
    for name in (zone_name_of(None), _zone_name_in(SYSTEM_ZONE.resolve())):
        # The environment may name another zone than the file does, and there may be no such zone.
        with suppress(ZoneInfoNotFoundError, ValueError, OSError):
            if ZoneInfo(name).utcoffset(now) == now.utcoffset():
                return name
    return now.isoformat()[-6:]


class LocalText:
    """`local_text` for millions of instants: remembers the quarter of an hour it is in.

    Call it with milliseconds. One object belongs to one thread; the instants may come in any
    order but are fast when neighbours lie close together.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self._quarter: int | None = None
        self._offset: int | None = None
        self._day: int | None = None
        self._date = ""

    def __call__(self, ms: int) -> str:
        second = ms // 1000
        if second // QUARTER_SECONDS != self._quarter:
            self._enter(second // QUARTER_SECONDS)
        if self._offset is None:
            return local_text(ms, self._zone)
        day, clock = divmod(second + self._offset, 86_400)
        if day != self._day:
            # Not `strftime`, which writes the years before 1000 without their zeros.
            self._day, self._date = day, (EPOCH + timedelta(days=day)).date().isoformat()
        minute, second = divmod(clock, 60)
        return f"{self._date} {_CLOCK[minute]}:{_TWO_DIGITS[second]}"

    def _enter(self, quarter: int) -> None:
        """Set the offset of this quarter; None if it changes inside, or is outside the calendar."""
        self._quarter, self._offset = quarter, None
        first = quarter * QUARTER_SECONDS
        if not is_date(first * SECOND_MS):
            return
        before, after = (
            utc_offset(second, self._zone) for second in (first, first + QUARTER_SECONDS - 1)
        )
        self._offset = before if before == after else None


def parse_bound(text: str, zone: tzinfo | None, now_ms: int, *, end: bool) -> int:
    """The instant that `from` (`end=False`) or `to` (`end=True`) means, in epoch milliseconds.

    Both are inclusive. A text means the whole time that it names, because people copy the times
    a page shows: `to=2025-08-24` reaches to the end of that day, `to=2025-08-24 09:00` to the end
    of that minute, `to=2025-08-24 09:00:00` to .999 of that second; `from` takes the start.

    A local time that a clock change repeats means the earlier instant for `from` and the later
    one for `to`. One that a clock change skips means the change itself: `from` starts with the
    first millisecond after it, `to` ends with the last one before it.

    `-30m`, `-24h`, `-7d`, `-2w`, `-3mo`, `-1y` count back from now, a day being 24 hours, a month
    30 days and a year 365; up to a year no further than the beginning of 1970. Raises WrongValue
    with the reason for anything else, and for years outside 1970 to 9999.
    """
    text = text.strip()
    if (back_sec := span_sec(text)) is not None:
        instant = now_ms - back_sec * SECOND_MS
        if instant < 0 and back_sec > CLAMPED_SEC:
            raise WrongValue(Reason("before_year", year=FIRST_YEAR))
        return min(max(instant, 0), LAST_BOUND_MS)
    if absolute := _ABSOLUTE.fullmatch(text):
        return _absolute(absolute, _wall(absolute, end), zone, end)
    if _PLUS_BECAME_SPACE.fullmatch(text):
        raise WrongValue(Reason("plus_became_space"))
    raise WrongValue(Reason("not_a_time"))


def parse_instant(text: str, zone: tzinfo | None) -> int:
    """The instant of a date with a time as a clock writes it, in epoch milliseconds.

    As `parse_bound` reads it for `from`; and `24:00` is the midnight that a day ends with (ISO
    8601), a second 60, of a leap second, is the next second, as in all counts since 1970 (RFC 3339,
    5.7). Raises WrongValue with the reason for anything else.
    """
    match = _ABSOLUTE.fullmatch(text.strip())
    if match is None or match["hour"] is None:
        raise WrongValue(Reason("not_a_time"))
    clock = [int(match[part] or 0) for part in ("hour", "minute", "second")]
    later = timedelta(0)
    if clock == [24, 0, 0] and not int(match["fraction"] or 0):
        clock, later = [0, 0, 0], timedelta(days=1)
    elif clock[2] == LEAP_SECOND:
        clock[2], later = LEAP_SECOND - 1, timedelta(seconds=1)
    try:
        wall = _wall_at(match, clock) + later
    except OverflowError:
        raise WrongValue(Reason("outside_years", first=FIRST_YEAR, last=LAST_YEAR)) from None
    return _absolute(match, wall, zone, end=False)


def span_sec(text: str) -> int | None:
    """So many seconds `now`, `-24h`, `-2w` and the like count back from now; None for others."""
    text = text.strip()
    if text == "now":
        return 0
    relative = _RELATIVE.fullmatch(text)
    return int(relative[1]) * SECONDS_PER_UNIT[relative[2]] if relative else None


def _absolute(match: re.Match[str], wall: datetime, zone: tzinfo | None, end: bool) -> int:
    fraction = match["fraction"] or ""
    ms = int((fraction + ("999" if end else "000"))[:3])
    if match["offset"]:
        instant = _seconds(wall.replace(tzinfo=_zone_of(match["offset"]))) * 1000 + ms
        return min(instant, LAST_BOUND_MS)
    earlier, later = (_seconds(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if earlier <= later:
        return min((later if end else earlier) * 1000 + ms, LAST_BOUND_MS)
    # The first second at which the local clock shows this time or a later one.
    seconds = range(later, earlier)
    change = later + bisect_left(seconds, wall, key=lambda second: _local(second, zone))
    return change * 1000 - 1 if end else change * 1000


def _wall(match: re.Match[str], end: bool) -> datetime:
    """What the clock on the wall shows, in whole seconds; what is left out is filled up."""
    lasts = (("hour", 23), ("minute", 59), ("second", 59))
    return _wall_at(match, [int(match[part] or (last if end else 0)) for part, last in lasts])


def _wall_at(match: re.Match[str], clock: list[int]) -> datetime:
    """The date of the match, at this hour, minute and second."""
    year, month, day = (int(match[group]) for group in (1, 2, 3))
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise WrongValue(Reason("outside_years", first=FIRST_YEAR, last=LAST_YEAR))
    hour, minute, second = clock
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError as error:
        raise WrongValue(Reason("no_such_time", why=error)) from None


def _zone_of(offset: str) -> tzinfo:
    if offset == "Z":
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > 23 or minutes > 59:  # noqa: PLR2004
        raise WrongValue(Reason("no_such_offset", offset=offset))
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if offset[0] == "-" else ahead)


def _seconds(when: datetime) -> int:
    """Epoch seconds of an aware time, or of a naive one in the system's zone."""
    try:
        return int(when.timestamp())
    except (OverflowError, ValueError):
        # Python looks a day ahead for the system's offset, and the calendar ends in 9999; no
        # clock changes in the last week of December.
        return int((when - timedelta(days=7)).timestamp()) + 7 * 86_400


def _local(second: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(second, zone).replace(tzinfo=None, fold=0)


def utc_offset(second: int, zone: tzinfo | None) -> int:
    """Seconds that the zone is ahead of UTC at this instant."""
    return round((_local(second, zone) - EPOCH.replace(tzinfo=None)).total_seconds()) - second


# Time zones by name: the name of a zone, and whether two zones have the same times.
#
# A name here is one that stays the same all year: `Asia/Tokyo`, or `JST-9` and `<+09>-9` (POSIX)
# for a system's zone that has no other. An offset such as +09:00 would change with each clock
# change.

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
    time_in_file: str
    """A time as it is, or would be, written in the file; empty where this system lacks the zone."""
    time_here: str
    """How this command would write the same instant."""

    def __str__(self) -> str:
        text = _(
            "the file was written in the time zone {zone}, this command runs in {here}: {written}"
            " there is {written_here} here"
        )
        text_of_unknown = _(
            "the file was written in the time zone {zone}, which this system does not know; this"
            " command runs in {here}"
        )
        return (text if self.time_in_file else text_of_unknown).format(
            zone=self.name, here=self.here, written=self.time_in_file, written_here=self.time_here
        )


def zone_name_of(zone: tzinfo | None) -> str:
    """The name of the zone; for None that of the system, by the variable TZ, else /etc/localtime.

    (man 3 tzset: an empty TZ is UTC, and so is a system without the file)
    """
    if zone is not None:
        return str(zone)
    if (variable := os.environ.get("TZ")) is not None:
        variable = variable.removeprefix(":")
        # `:/etc/localtime` is common, for it spares the C library a look at each call.
        return _name_of_file(Path(variable)) if variable.startswith("/") else variable or UTC_NAME
    return _name_of_file(SYSTEM_ZONE)


def zone_of(name: str) -> tzinfo | None:
    """The zone of this name; None when this system lacks it.

    It may be UTC: the C library takes a TZ that it cannot read for that.
    """
    for zone_by_name in (ZoneInfo, _posix):
        try:
            return zone_by_name(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return None


def unknown_tz() -> str:
    """The variable TZ if it is no zone, as after a misspelling; else empty.

    The C library then takes UTC without a message (man 3 tzset). Spellings that only it knows, such
    as `AEST-10AEDT` without a rule, are zones.
    """
    variable = os.environ.get("TZ", "").removeprefix(":")
    is_utc = time.timezone == 0 and not time.daylight
    return variable if is_utc and variable and not _is_known(variable) else ""


def first_difference(
    zone: tzinfo | None, other: tzinfo | None, start_ms: int, end_ms: int
) -> int | None:
    """The first instant from `start_ms` to `end_ms` at which the zones have different times.

    In epoch milliseconds, to a quarter of an hour; None if they never differ. A zone of None is
    the system's.
    """
    for second in _moments((zone, other), start_ms // SECOND_MS, end_ms // SECOND_MS):
        if utc_offset(second, zone) != utc_offset(second, other):
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

    `last` is when the last row of the file was received, and the time in that row; None for a file
    without rows. It must be the same here; and where the names differ, so must all times
    from `first_ms` (None for now) until COMPARED_YEARS_AHEAD from now. None when they do.
    """
    received_at, text_in_file = last
    if received_at is not None and text_in_file is not None:
        text = local_text(received_at, here)
        if text != text_in_file:
            return OtherZone(name, zone_name_of(here), text_in_file, text)
    if name == zone_name_of(here):
        return None
    zone = zone_of(name)
    if zone is None:
        return OtherZone(name, zone_name_of(here), "", "")
    first_ms = max(0, min(now_ms if first_ms is None else first_ms, now_ms))
    instant = first_difference(zone, here, first_ms, now_ms + COMPARED_AHEAD_MS)
    if instant is None:
        return None
    return OtherZone(name, zone_name_of(here), local_text(instant, zone), local_text(instant, here))


def _moments(zones: tuple[tzinfo | None, ...], start: int, end: int) -> Iterator[int]:
    """Each day, and each quarter of an hour of those on which a clock is changed."""
    start = start // QUARTER_SECONDS * QUARTER_SECONDS
    for day in range(start, end + 1, DAY_SECONDS):
        following = min(day + DAY_SECONDS, end)
        changes = any(utc_offset(day, zone) != utc_offset(following, zone) for zone in zones)
        yield from range(day, following, QUARTER_SECONDS) if changes else (day,)
    yield end


def _is_known(variable: str) -> bool:
    return Path(variable).is_file() if variable.startswith("/") else zone_of(variable) is not None


def _name_of_file(path: Path) -> str:
    """The name of a zone's file, or the rule for future times at its end."""
    if name := _zone_name_in(path.resolve()):
        return name
    try:
        # Since version 2 of the format (RFC 9636, section 3.3).
        rule = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2].decode("ascii")
    except FileNotFoundError:
        return UTC_NAME
    except (OSError, UnicodeDecodeError):
        return str(path)
    return rule if rule and zone_of(rule) else str(path)


def _zone_name_in(path: Path) -> str:
    """`Asia/Tokyo` out of `/usr/share/zoneinfo/Asia/Tokyo`; else nothing."""
    parts = path.parts
    name = "/".join(parts[parts.index(ZONE_FOLDER) + 1 :]) if ZONE_FOLDER in parts else ""
    return name if name and zone_of(name) else ""


def _posix(rule: str) -> tzinfo:
    """The zone of a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`: a file of it that has no past.

    (RFC 9636: the header, one unused type of local time, the rule.) Raises ValueError
    when it is none.
    """
    if not rule:
        raise ValueError("no rule")
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    nothing = b"TZif2" + bytes(15) + counts + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    file = io.BytesIO(nothing + nothing + b"\n" + rule.encode("ascii") + b"\n")
    return ZoneInfo.from_file(file, key=rule)
