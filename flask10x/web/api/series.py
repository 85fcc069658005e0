"""The bands, hours above them, compared lines and nights that `/history/series` adds to a chart."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from flask10x.config.readers import Place
from flask10x.history.buckets import Line
from flask10x.history.charts import Chart, has_rollups
from flask10x.history.comparison import Comparison
from flask10x.history.local_time import DAY
from flask10x.history.period_tables import Limit, passed_of
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.readings.labels import band_name
from flask10x.readings.times import DAY_MS, SECOND_MS, is_date
from flask10x.translation import Translation


def bands(lines: Iterable[Line], t: Translation) -> list[dict[str, object]]:
    """Return each band with the names of its line; labels are in the reader's language."""
    return [
        {
            "endpoint": line.station.endpoint,
            "measurement": line.measurement.column,
            "above": band.above,
            "below": band.below,
            "level": band.level,
            "label": band_name(band, t),
        }
        for line in lines
        for band in line.station.bands_of(line.measurement)
    ]


# A shorter range shows its hours as they are; a day of a longer one is narrower than a pixel.
STRIP_DAYS = range(60, 800)


def hours_above(view: View, query: Query, chart: Chart) -> list[dict[str, object]]:
    """Return the hours of each day above the lowest band of each line, if there are any.

    An hour counts by its average. The list is empty for a range that is not in STRIP_DAYS, and
    where only readings could tell.
    """
    window = chart.window
    if window is None or (window.last_ms - window.first_ms) // DAY_MS not in STRIP_DAYS:
        return []
    days = replace(window, step=DAY)
    if not has_rollups(view, query, days):
        return []
    strips: list[dict[str, object]] = []
    for line in chart.lines:
        endpoint, column = line.names
        limits = [b.above for b in line.station.bands_of(line.measurement) if b.above is not None]
        is_stored = query.raw and view.corrections.touches(endpoint, (column,))
        if not limits or is_stored or column not in line.station.columns:
            continue
        limit = Limit(value=min(limits), above=True)
        # Hours are read between the first and the last bucket that can have any.
        high = [
            place
            for place in line.places
            if (maximum := line.buckets[place].maximum) is not None and maximum > limit.value
        ]
        if not high:
            continue
        ends = [*window.starts, window.last_ms + 1]
        part = replace(days, first_ms=ends[high[0]], last_ms=ends[high[-1] + 1] - 1)
        passed = [(ms, hours) for ms, hours in passed_of(view, line.names, part, limit) if hours]
        if passed:
            starts, hours = zip(*passed, strict=True)
            strips.append(
                {
                    "endpoint": endpoint,
                    "measurement": column,
                    "above": limit.value,
                    "days_ms": starts,
                    "hours": hours,
                }
            )
    return strips


def compared_lines(comparison: Comparison | None) -> dict[str, object] | None:
    """Return the compared lines as JSON has them, or None without a comparison."""
    if comparison is None:
        return None
    return {
        "by": comparison.by,
        "bucket_ms": comparison.bucket_ms,
        "has_leap_day": comparison.has_leap_day,
        "series": [
            {
                "endpoint": compared.line.station.endpoint,
                "measurement": compared.line.measurement.column,
                "quantity": compared.line.measurement.quantity,
                "unit": compared.line.measurement.unit,
                "gap_ms": compared.line.gap_ms,
                "times_ms": compared.times_ms,
                "own_ms": compared.own_ms,
                "avg": compared.averages,
            }
            for compared in comparison.lines
        ],
    }


# Beyond two weeks a night is a few pixels wide, and the shading hides the lines.
LONGEST_MS = 15 * DAY_MS
DEGREES_A_DAY = 360
# Of the sun's centre at sunrise: 34' of refraction and 16' of its radius.
HORIZON_DEGREES = -0.833
# A pixel of a day's chart is some minutes wide.
EXACT_MS = 10 * SECOND_MS
# Two weeks of two places, for a comparison.
DAYS_KEPT = 64

Span = tuple[int, int]


def nights(place: Place, first_ms: int, last_ms: int) -> list[Span]:
    """Return beginning and end of each night in the range, in epoch milliseconds, cut at its ends.

    The list is empty for a range that is longer than about two weeks, and where the sun does not
    set. The polar night is one night.
    """
    if last_ms - first_ms > LONGEST_MS or not (is_date(first_ms) and is_date(last_ms)):
        return []
    spans, dark_from = [], first_ms
    for rise_ms, set_ms in _days(place, first_ms, last_ms):
        if dark_from < (until := min(rise_ms, last_ms)):
            spans.append((dark_from, until))
        dark_from = max(dark_from, set_ms)
    if dark_from < last_ms:
        spans.append((dark_from, last_ms))
    return spans


def _days(place: Place, first_ms: int, last_ms: int) -> Iterator[Span]:
    """Yield sunrise and sunset of each day that touches the range, in the order of time."""
    # In the time of the sun each day has its sunrise before its sunset, whatever the clocks show.
    ahead_ms = round(place.longitude / DEGREES_A_DAY * DAY_MS)
    for day in range((first_ms + ahead_ms) // DAY_MS, (last_ms + ahead_ms) // DAY_MS + 1):
        midnight_ms = day * DAY_MS - ahead_ms
        if span := _day(place, midnight_ms):
            yield span


@lru_cache(maxsize=DAYS_KEPT)
def _day(place: Place, midnight_ms: int) -> Span | None:
    """Return sunrise and sunset of the day from this midnight of the sun; None in the polar night.

    Where the sun is up at a midnight, that midnight counts as the sunrise or the sunset.
    """
    noon_ms, next_ms = midnight_ms + DAY_MS // 2, midnight_ms + DAY_MS
    if not _is_up(place, noon_ms):
        return None
    rise_ms = midnight_ms if _is_up(place, midnight_ms) else _border(place, midnight_ms, noon_ms)
    set_ms = next_ms if _is_up(place, next_ms) else _border(place, next_ms, noon_ms)
    return rise_ms, set_ms


def _border(place: Place, dark_ms: int, light_ms: int) -> int:
    """Return when the sun crosses the horizon between a dark and a light moment."""
    while abs(light_ms - dark_ms) > EXACT_MS:
        middle_ms = (dark_ms + light_ms) // 2
        if _is_up(place, middle_ms):
            light_ms = middle_ms
        else:
            dark_ms = middle_ms
    return light_ms


def _is_up(place: Place, at_ms: int) -> bool:
    # Not with the program: it is needed only where a place is set.
    from astral import Observer, sun  # noqa: PLC0415

    observer = Observer(place.latitude, place.longitude)
    at = datetime.fromtimestamp(at_ms // SECOND_MS, UTC)
    return sun.elevation(observer, at, with_refraction=False) > HORIZON_DEGREES
