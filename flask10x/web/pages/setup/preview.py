"""When a rule would have fired in the last days, in words and as a chart with its limit."""

from collections.abc import Iterable
from typing import Any

from flask10x.alerts.subjects import name_of
from flask10x.config import form
from flask10x.config.alerts.rules import Rule, Threshold
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

# Of so many times that a rule would have fired the page has the moments.
FIRINGS_SHOWN = 20
Subject = tuple[str, str]
"""An endpoint and a column."""


def preview_of(rule: Rule | None, subject: Subject | None, t: Translation) -> dict[str, Any] | None:
    """Return what the form of a rule shows of the last days; None where nothing is chosen yet.

    `rule` is None while something is wrong with it; the chart is of the subject then.
    """
    if rule is None and subject is None:
        return None
    settings, drawing = context.store().settings, None
    try:
        with context.view() as view:
            hours = backtest.past(view, *subject) if subject else None
            if hours:
                drawing = _drawing(view, hours, rule, t)
            if rule is None:
                return {"drawing": drawing}
            result = backtest.backtest(view, settings, rule, hours)
    except (*read_errors.UNREADABLE, QueryTooLong):
        return {"sentence": t("The readings of the last days can't be read at the moment.")}
    if result is None:
        text = t("How often this would have been an alert can't be counted for this kind of rule.")
        return {"sentence": text, "drawing": drawing}
    return {"drawing": drawing, **_said(view, result, t)}


def _said(view: View, result: Backtest, t: Translation) -> dict[str, Any]:
    def time_of(ms: int) -> str:
        return moment(ms, view.zone, t, view.now_ms)

    days = round((view.now_ms - result.since_ms) / DAY_MS)
    span = t.plural("In the last day", "In the last {n} days", max(1, days))
    times = len(result.firings)
    text = t("{span} this would not have been an alert.", span=span)
    if times:
        text = t.plural(
            "{span} this would have been an alert once.",
            "{span} this would have been an alert {n} times.",
            times,
            span=span,
        )
    if days < backtest.DAYS:
        before = t("Readings before {time} were not looked at.", time=time_of(result.since_ms))
        text = t.sentences([text, before])
    firings = []
    for one in result.firings[::-1][:FIRINGS_SHOWN]:
        line = t("{time}, still active", time=time_of(one.at_ms))
        if one.ended_ms is not None:
            lasted = t.duration((one.ended_ms - one.at_ms) // 1000)
            line = t("{time}, for {span}", time=time_of(one.at_ms), span=lasted)
        if one.subject:
            station = name_of(one.subject, view.stations, t)
            line = t("{station}: {text}", station=station, text=line)
        firings.append(line)
    more = times - len(firings)
    return {"sentence": text, "firings": firings, "more": more}


# The chart


SIDE = 1000
# So much room is left above and below.
ROOM = 0.12
DAYS_MARKED = 5
# So near to a side a date would be cut off.
EDGE_PERCENT = 6


def _drawing(view: View, hours: Past, rule: Rule | None, t: Translation) -> dict[str, Any]:
    """Return the hours of a measurement as paths of an SVG of 1000 by 1000, and the limit.

    Heights and places of texts are in percent.
    """
    limit = None
    if isinstance(rule, Threshold):
        limit = rule.below if rule.above is None else rule.above
    first_ms, last_ms = hours.window.first_ms, hours.window.last_ms
    points = [
        (place, each.minimum, each.average, each.maximum)
        for place, each in sorted(hours.buckets.items())
        if each.minimum is not None and each.average is not None and each.maximum is not None
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
        middle_ms = sum(hours.ends(place)) / 2
        return round(SIDE * (middle_ms - first_ms) / (last_ms - first_ms), 1)

    def text_of(value: float) -> str:
        number = form.number_text(round(value, 2)).replace("-", MINUS)
        return f"{number} {hours.unit}".rstrip()

    def path(places: Iterable[tuple[int, float]]) -> str:
        return "M" + "L".join(f"{x(place):g} {y(value):g}" for place, value in places)

    # From the least to the greatest value of each hour.
    least = [(place, low) for place, low, _, _ in points]
    most = [(place, high) for place, _, _, high in reversed(points)]
    today, days = number_of_day(last_ms, view.zone), []
    for day in range(today, today - backtest.DAYS, -DAYS_MARKED):
        at_ms = day_start(day, view.zone)
        percent = round((at_ms - first_ms) / (last_ms - first_ms) * 100, 1)
        if EDGE_PERCENT < percent < 100 - EDGE_PERCENT:
            days.append((percent, day_of(at_ms, view.zone, t, view.now_ms)))
    return {
        "line": path((place, average) for place, _, average, _ in points) if points else "",
        "area": f"{path([*least, *most])}Z" if points else "",
        "limit_y": None if limit is None else y(limit) * 100 / SIDE,
        "limit": "" if limit is None else text_of(limit),
        "levels": [(y(value) * 100 / SIDE, text_of(value)) for value in dict.fromkeys((high, low))],
        "days": days[::-1],
        "label": t("The last 30 days: from {low} to {high}", low=text_of(low), high=text_of(high)),
    }
