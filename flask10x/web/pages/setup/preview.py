"""When a rule would have fired in the last days, in words and as a chart with its limit."""

from dataclasses import dataclass
from typing import NamedTuple

from flask10x.alerts.subjects import name_of
from flask10x.config import form
from flask10x.config.alerts.rules import Rule
from flask10x.database.error_codes import QueryTooLong
from flask10x.history.local_time import day_of as number_of_day
from flask10x.history.local_time import day_start
from flask10x.history.view import View
from flask10x.readings.labels import day_of, moment
from flask10x.readings.numbers import MINUS
from flask10x.readings.times import DAY_MS
from flask10x.runtime.alerting import backtest
from flask10x.runtime.alerting.backtest import Backtest, Past
from flask10x.translation import Translation
from flask10x.web import context, read_errors
from flask10x.web.pages.setup import rules

# Of so many times that a rule would have fired the page has the moments.
FIRINGS_SHOWN = 20
Subject = tuple[str, str]
"""An endpoint and a column."""


class Preview(NamedTuple):
    """When a rule would have fired, in words, and the chart with its limit."""

    sentence: str
    firings: list[str]
    more: int
    """How many more there are."""
    drawing: "Drawing | None"


def of(rule: Rule | None, subject: Subject | None, t: Translation) -> Preview | None:
    """Return what the form of a rule shows of the last days; None where nothing is chosen yet.

    `rule` is None while something is wrong with it; the chart is of the subject then.
    """
    if rule is None and subject is None:
        return None
    settings = context.store().settings
    try:
        with context.view() as view:
            hours = backtest.past(view, *subject) if subject else None
            result = backtest.backtest(view, settings, rule, hours) if rule else None
            drawing = _drawing(view, hours, rule, t) if hours and subject else None
            return _said(view, result, drawing, rule, t)
    except (*read_errors.UNREADABLE, QueryTooLong):
        return Preview(t("The readings of the last days can't be read at the moment."), [], 0, None)


def _said(
    view: View,
    result: Backtest | None,
    drawing: "Drawing | None",
    rule: Rule | None,
    t: Translation,
) -> Preview:
    if rule is None:
        return Preview("", [], 0, drawing)
    if result is None:
        text = t("How often this would have been an alert can't be counted for this kind of rule.")
        return Preview(text, [], 0, drawing)
    days = round((view.now_ms - result.since_ms) / DAY_MS)
    span = t.plural("In the last day", "In the last {n} days", max(1, days))
    times = len(result.firings)
    if times:
        text = t.plural(
            "{span} this would have been an alert once.",
            "{span} this would have been an alert {n} times.",
            times,
            span=span,
        )
    else:
        text = t("{span} this would not have been an alert.", span=span)
    if days < backtest.DAYS:
        text = t.sentences(
            [
                text,
                t(
                    "Readings before {time} were not looked at.",
                    time=_time(view, result.since_ms, t),
                ),
            ]
        )
    newest = result.firings[::-1][:FIRINGS_SHOWN]
    lines = [_firing(view, one, t) for one in newest]
    return Preview(text, lines, times - len(newest), drawing)


def _firing(view: View, one: backtest.Firing, t: Translation) -> str:
    time = _time(view, one.at_ms, t)
    if one.ended_ms is None:
        text = t("{time}, still active", time=time)
    else:
        span = t.duration((one.ended_ms - one.at_ms) // 1000)
        text = t("{time}, for {span}", time=time, span=span)
    if not one.subject:
        return text
    return t("{station}: {text}", station=name_of(one.subject, view.stations, t), text=text)


def _time(view: View, ms: int, t: Translation) -> str:
    return moment(ms, view.zone, t, view.now_ms)


# The chart


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """The hours of a measurement as paths of an SVG of 1000 by 1000, and the line of the limit."""

    line: str
    area: str
    """From the least to the greatest value of each hour."""
    limit_y: float | None
    limit: str
    levels: list[tuple[float, str]]
    """Heights in percent, and their values."""
    days: list[tuple[float, str]]
    """Places in percent, and their dates."""
    label: str


SIDE = 1000
# So much room is left above and below.
ROOM = 0.12
DAYS_MARKED = 5
# So near to a side a date would be cut off.
EDGE_PERCENT = 6


def _drawing(view: View, hours: Past, rule: Rule | None, t: Translation) -> Drawing:
    limit = rules.limit_of(rule) if rule else None
    parts = [
        (place, bucket.minimum, bucket.average, bucket.maximum)
        for place, bucket in sorted(hours.buckets.items())
    ]
    points = [
        (place, low, average, high)
        for place, low, average, high in parts
        if low is not None and average is not None and high is not None
    ]
    values = [value for _, low, _, high in points for value in (low, high)]
    low, high = min(values, default=0), max(values, default=1)
    bottom, top = (
        min(low, low if limit is None else limit),
        max(high, high if limit is None else limit),
    )
    span = top - bottom or 1.0

    def y(value: float) -> float:
        return round(SIDE * (1 - ROOM - (value - bottom) / span * (1 - 2 * ROOM)), 1)

    def x(place: int) -> float:
        first_ms, last_ms = hours.window.first_ms, hours.window.last_ms
        middle_ms = sum(hours.ends(place)) / 2
        return round(SIDE * (middle_ms - first_ms) / (last_ms - first_ms), 1)

    unit = hours.unit
    return Drawing(
        line=_path([(x(place), y(average)) for place, _, average, _ in points]),
        area=_area([(x(place), y(least), y(most)) for place, least, _, most in points]),
        limit_y=None if limit is None else y(limit) * 100 / SIDE,
        limit="" if limit is None else _value(limit, unit),
        levels=[
            (y(value) * 100 / SIDE, _value(value, unit)) for value in dict.fromkeys((high, low))
        ],
        days=[*_days(view, hours, t)],
        label=t(
            "The last 30 days: from {low} to {high}", low=_value(low, unit), high=_value(high, unit)
        ),
    )


def _value(value: float, unit: str) -> str:
    return f"{form.number_text(round(value, 2)).replace('-', MINUS)} {unit}".rstrip()


def _path(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def _area(points: list[tuple[float, float, float]]) -> str:
    edge = [(x, low) for x, low, _ in points] + [(x, high) for x, _, high in reversed(points)]
    return f"{_path(edge)}Z" if points else ""


def _days(view: View, hours: Past, t: Translation) -> list[tuple[float, str]]:
    first_ms, last_ms = hours.window.first_ms, hours.window.last_ms
    today = number_of_day(last_ms, view.zone)
    marked = []
    for day in range(today, today - backtest.DAYS, -DAYS_MARKED):
        at_ms = day_start(day, view.zone)
        place = round((at_ms - first_ms) / (last_ms - first_ms) * 100, 1)
        if EDGE_PERCENT < place < 100 - EDGE_PERCENT:
            marked.append((place, day_of(at_ms, view.zone, t, view.now_ms)))
    return marked[::-1]
