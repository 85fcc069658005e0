"""The line of a day as SVG: drawn here, so that it is there without a script."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import tzinfo

from flask10x.readings.reasons import WrongValue
from flask10x.readings.times import DAY_MS, HOUR_MS, local_text, parse_bound
from flask10x.web.pages.home.day import DayOfValues, DayPart
from flask10x.web.pages.home.model import AxisMark, Sparkline

# The view box; the template has the same. The line keeps its proportions whatever its width is, so
# that dots are round and letters are not stretched.
WIDTH, HEIGHT = 320.0, 84.0
# Above the line is room for its own thickness, below for the hours.
TOP, BOTTOM = 6.0, 64.0
LEFT, RIGHT = 4.0, 312.0
# A quarter of an hour is 3 units wide: finer than that no eye sees.
POINT_MS = 15 * 60_000
MARK_HOURS = (0, 6, 12, 18)
# A room in which nothing happens has a flat line, not the noise of its sensor over all the height.
LEAST_SPAN = {"°C": 2.0, "%": 6.0, "ppm": 150.0, "hPa": 3.0}
# Where hours would run out of the box, or into one another, they are left out.
TEXT_ROOM = 12.0


def sparkline(day: DayOfValues, unit: str, zone: tzinfo | None, said: str) -> Sparkline | None:
    """None where there are not two points to draw a line between; `said` tells what it shows."""
    points = list(_points(day.steps))
    if len(points) < 2:  # noqa: PLR2004
        return None
    parts = list(_parts(points, day, unit))
    return Sparkline(
        line=" ".join(_path(part) for part in parts),
        area=" ".join(
            f"{_path(part)}L{part[-1][0]:g} {BOTTOM:g}L{part[0][0]:g} {BOTTOM:g}Z" for part in parts
        ),
        last=parts[-1][-1],
        marks=list(_marks(day, zone)),
        said=said,
    )


def _points(steps: Sequence[DayPart]) -> Iterator[tuple[int, float]]:
    """The middle of each quarter of an hour that has values, and their average."""
    quarters: dict[int, list[DayPart]] = {}
    for step in steps:
        quarters.setdefault(step.first_ms // POINT_MS, []).append(step)
    for quarter, found in quarters.items():
        count = sum(one.count for one in found)
        average = sum(one.average * one.count for one in found) / count
        yield quarter * POINT_MS + POINT_MS // 2, average


def _parts(
    points: Sequence[tuple[int, float]], day: DayOfValues, unit: str
) -> Iterator[list[tuple[float, float]]]:
    """The line in pieces between the gaps, in the units of the view box."""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    span = max(high - low, LEAST_SPAN.get(unit, abs(high) / 50) or 1)
    low = (low + high - span) / 2
    longest_ms = max(2 * POINT_MS, day.gap_ms or 0)
    part: list[tuple[float, float]] = []
    before_ms = points[0][0]
    for at_ms, value in points:
        if part and at_ms - before_ms > longest_ms:
            yield part
            part = []
        before_ms = at_ms
        part.append(
            (_x(day, at_ms), round(BOTTOM - (value - low) / span * (BOTTOM - TOP) * 0.94 - 2, 1))
        )
    yield part


def _x(day: DayOfValues, ms: int) -> float:
    since_ms = day.now_ms - DAY_MS
    return round(max(LEFT, min(RIGHT, LEFT + (ms - since_ms) / DAY_MS * (RIGHT - LEFT))), 1)


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A point alone is a dot: a line of no length with round ends."""
    first, *others = points
    rest = others or [first]
    return f"M{first[0]:g} {first[1]:g}L" + " ".join(f"{x:g} {y:g}" for x, y in rest)


def _marks(day: DayOfValues, zone: tzinfo | None) -> Iterator[AxisMark]:
    since_ms = day.now_ms - DAY_MS
    for at_ms, hour in _hours(day, zone):
        x = _x(day, at_ms)
        if since_ms + HOUR_MS < at_ms < day.now_ms and x < RIGHT - TEXT_ROOM:
            yield AxisMark(x=x, text=f"{hour}:00", is_midnight=hour == 0)


def _hours(day: DayOfValues, zone: tzinfo | None) -> Iterator[tuple[int, int]]:
    """The marked hours of yesterday and today; none near 1970, where no bound can be."""
    for noon_ms in (day.today_ms - DAY_MS // 2, day.today_ms + DAY_MS // 2):
        date = local_text(noon_ms, zone)[:10]
        with suppress(WrongValue):
            for hour in MARK_HOURS:
                at = f"{date} {hour:02d}:00"
                yield parse_bound(at, zone, day.now_ms, end=False), hour
