"""The times of old CSV files, which are local, as instants.

Local time alone does not always name an instant. The rules (docs/en/reference/csv-format.md):

- A time that the clock shows twice (it was put back) means the first, unless the first would lie
  before the row above it in the file and the second would not: rows are in the order of time.
- A time that the clock never showed (it was put forward) is no time: the file was written in
  another zone, and shifting the row would only hide that.
"""

import re
from datetime import datetime, timedelta, tzinfo

from flask10x.readings.times import FIRST_YEAR, HOUR_MS, LAST_YEAR

# Two workers append in turn and the clock is corrected by seconds, so a row may lie a little
# before the one above it although the clock was not put back.
OUT_OF_ORDER_MS = 60_000
_CLOCK_MS = {
    f"{minute:02d}:{second:02d}": (minute * 60 + second) * 1000
    for minute in range(60)
    for second in range(60)
}
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?"
)


class LegacyTimes:
    """The instants of one file's times: call it with each, in the order of the file.

    `%Y-%m-%d %H:%M:%S`, also with a `T`, a fraction of a second or an offset from UTC. Gives UTC
    epoch milliseconds; raises ValueError with the reason.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        """`zone` is that of the file, as in `Settings.zone`."""
        self._zone = zone
        self._above: int | None = None
        # The epoch second of the latest row that was taken for the later of two.
        self._put_back: int | None = None
        self._hour = ""
        self._hour_starts: int | None = None
        self.repeated: dict[int, int] = {}
        """For times that the clock showed twice, the later epoch second and the earlier one.

        Only those that were asked for. The caller may replace it by an empty one.
        """

    def __call__(self, text: str) -> int:
        if text[:14] != self._hour:
            self._enter(text[:14])
        clock = _CLOCK_MS.get(text[14:])
        if clock is None or self._hour_starts is None:
            self._above = self._careful(text)
        else:
            self._above = self._hour_starts + clock
        return self._above

    def _enter(self, hour: str) -> None:
        """Learn when this hour starts; None when it is none or the clock changes inside it."""
        self._hour, self._hour_starts = hour, None
        if (match := _TIME.fullmatch(f"{hour}00:00")) is None:
            return
        starts = _wall(match)
        ends = starts + timedelta(minutes=59, seconds=59)
        instants = {*self._instants(starts), *(i - HOUR_MS + 1000 for i in self._instants(ends))}
        if len(instants) == 1:
            (self._hour_starts,) = instants

    def _careful(self, text: str) -> int:
        match = _TIME.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"not a time: {text[:40]!r}")
        wall = _wall(match)
        fraction = int(((match["fraction"] or "") + "000")[:3])
        if match["offset"]:
            return self._exactly(datetime.fromisoformat(f"{wall}{match['offset']}")) + fraction
        if text[:14] == self._hour and self._hour_starts is not None:
            return self._hour_starts + _CLOCK_MS[match[2][3:]] + fraction
        return self._chosen(wall) + fraction

    def _exactly(self, when: datetime) -> int:
        instant = _milliseconds(when)
        shown = datetime.fromtimestamp(instant // 1000, self._zone).replace(tzinfo=None)
        self._note(*self._instants(shown))
        return instant

    def _chosen(self, wall: datetime) -> int:
        earlier, later = self._instants(wall)
        if earlier > later:
            raise ValueError(f"no such time: the clock was put forward past {wall}")
        self._note(earlier, later)
        if earlier == later or not self._clock_was_put_back(earlier, later):
            return earlier
        self._put_back = later // 1000
        return later

    def _note(self, earlier: int, later: int) -> None:
        if earlier < later:
            self.repeated[later // 1000] = earlier // 1000

    def _clock_was_put_back(self, earlier: int, later: int) -> bool:
        """Whether the row above says that the time is the later one of these two."""
        if self._above is None or later < self._above - OUT_OF_ORDER_MS:
            return False
        return earlier < self._above - OUT_OF_ORDER_MS or self._above // 1000 == self._put_back

    def _instants(self, wall: datetime) -> tuple[int, int]:
        """The instants at which the clock showed this time before and after it was changed.

        They are the same at most times; a time that was skipped has the later one first.
        """
        before, after = (wall.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        return _milliseconds(before), _milliseconds(after)


def _wall(match: re.Match[str]) -> datetime:
    """What the clock on the wall showed, in whole seconds."""
    try:
        wall = datetime.fromisoformat(f"{match[1]} {match[2]}")
    except ValueError as error:
        raise ValueError(f"no such time: {error}") from None
    # Near the end of Python's calendar the zones can't be asked any more.
    if not FIRST_YEAR <= wall.year < LAST_YEAR:
        raise ValueError(f"outside the years {FIRST_YEAR} to {LAST_YEAR - 1}")
    return wall


def _milliseconds(when: datetime) -> int:
    """Epoch milliseconds of an aware time, or of a naive one in the system's zone."""
    return round(when.timestamp()) * 1000
