"""The page `/records` in the reader's language: what is asked for, choices, cells, CSV."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from math import ceil, floor, inf, log10
from sys import float_info
from typing import TypeVar
from urllib.parse import urlencode

from flask import request, url_for
from werkzeug.datastructures import MultiDict

from flask10x.errors import QueryError
from flask10x.history import periods
from flask10x.history.parameters import unknown_name
from flask10x.history.period_tables import (
    Limit,
    PeriodRequest,
    PeriodRow,
    PeriodTable,
    RecordList,
)
from flask10x.history.periods import ALL
from flask10x.history.query import number
from flask10x.readings.labels import band_name, column_name, period_name, station_name
from flask10x.readings.numbers import rounded, separated, with_digits
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.readings.times import DAY_MS, HOUR_MS, local_text
from flask10x.translation import N_, Translation
from flask10x.web import context
from flask10x.web.captions import Link, problems

T = TypeVar("T")

# What a house asks most: how warm it was.
TEMPERATURE = "°C"
NAMES = ("endpoint", "measurement", "period", "above", "below", "raw")


class RecordsQuery(PeriodRequest):
    """A measurement of a station over a period, and the limit whose hours are counted."""

    @property
    def measurement(self) -> Measurement:
        """That of its column."""
        return self.station.measurements[self.station.columns.index(self.column)]


class _Parameters:
    """Reads the parameters and collects what is wrong with them."""

    def __init__(self, args: MultiDict[str, str], *, blank_is_absent: bool) -> None:
        self._args = {name: value for name, value in args.items() if value.strip()}
        self.errors: dict[str, Reason] = {}
        if not blank_is_absent:
            self.errors = {name: Reason("blank") for name in args if name not in self._args}
        for name in args:
            if name not in NAMES:
                self.errors[name] = unknown_name("unknown_parameter", name, NAMES)
            elif len(args.getlist(name)) > 1:
                self.errors[name] = Reason("given_times", n=len(args.getlist(name)))

    def text(self, name: str) -> str | None:
        """The text of a parameter; None when it is absent, empty or wrong already."""
        return None if name in self.errors else self._args.get(name)

    def chosen(self, name: str, code: str, names: tuple[str, ...], default: str) -> str:
        """One of the known names; the default when none is given, or a wrong one."""
        text = self.text(name)
        if text is None or text in names:
            return text or default
        self.errors[name] = unknown_name(code, text, names, known=", ".join(names))
        return default

    def parsed(self, name: str, parse: Callable[[str], T]) -> T | None:
        """The parsed value; None when it is absent, or wrong and now among the errors."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return parse(text)
        except WrongValue as error:
            self.errors[name] = error.reason
            return None


def records_query(
    args: MultiDict[str, str],
    stations: Stations,
    first: Station,
    this_month: str,
    *,
    is_page: bool,
) -> RecordsQuery:
    """What the query string asks for, of the station `first` where it names none.

    A browser sends the empty fields of a form, and a page opens on what people look at first.
    Raises QueryError that names every wrong parameter.
    """
    parameters = _Parameters(args, blank_is_absent=is_page)
    endpoints = tuple(stations.by_endpoint)
    station = stations.by_endpoint[
        parameters.chosen("endpoint", "unknown_station", endpoints, first.endpoint)
    ]
    usual = usual_column(station) if is_page else station.columns[0]
    column = parameters.chosen("measurement", "unknown_measurement", station.columns, usual)
    period = parameters.parsed("period", periods.checked) or this_month
    above, below = parameters.parsed("above", number), parameters.parsed("below", number)
    if above is not None and below is not None:
        parameters.errors["below"] = Reason("above_or_below")
    if (raw := parameters.text("raw")) not in (None, "1"):
        parameters.errors["raw"] = Reason("yes_needed")
    if parameters.errors:
        raise QueryError(parameters.errors)
    return RecordsQuery(
        station=station,
        column=column,
        period=period,
        limit=_limit(above, below),
        is_raw=raw is not None,
    )


def usual_column(station: Station) -> str:
    """The measurement of a station that people look at first: its temperature, if it has one."""
    shown = station.shown or station.measurements
    degrees = (m.column for m in shown if m.unit == TEMPERATURE)
    return next(degrees, shown[0].column)


def _limit(above: float | None, below: float | None) -> Limit | None:
    if above is not None:
        return Limit(value=above, above=True)
    return None if below is None else Limit(value=below, above=False)


HEADER = ("period", "lowest", "lowest_at", "mean", "highest", "highest_at", "readings")


def csv_lines(question: RecordsQuery, period: PeriodTable, zone: tzinfo | None) -> str:
    """A line a row, those without readings too; CRLF, numbers as Python's `str(float)`."""
    header = list(HEADER)
    if question.limit:
        side = "above" if question.limit.above else "below"
        header.append(f"hours_{side}_{question.limit.value}")
    rows = [_cells(row, zone, passed=question.limit is not None) for row in period.rows]
    return "".join(",".join(cells) + "\r\n" for cells in (header, *rows))


def _cells(row: PeriodRow, zone: tzinfo | None, *, passed: bool) -> list[str]:
    cells = [
        row.span.name,
        _number(row.bucket.minimum),
        _time(row.lowest_at, zone),
        _number(row.mean),
        _number(row.bucket.maximum),
        _time(row.highest_at, zone),
        str(row.bucket.count),
    ]
    return [*cells, _number(row.passed_hours)] if passed else cells


def _number(value: float | None) -> str:
    return "" if value is None else str(value)


def _time(ms: int | None, zone: tzinfo | None) -> str:
    return "" if ms is None else local_text(ms, zone)


@dataclass(frozen=True, kw_only=True, slots=True)
class DatedValue:
    """A value as people read it, and when it was."""

    text: str
    exact: str
    """With all digits."""
    at: str
    url: str
    """The chart of that hour or day."""


THOUSANDTHS = 1000
SATURDAY, SUNDAY = 5, 6
DAY_CHARS, MONTH_CHARS = len("2025-08-24"), len("2025-08")
KINDS = {
    "highest": N_("Highest of all"),
    "lowest": N_("Lowest of all"),
    "highest_mean": N_("Days with the highest mean"),
    "lowest_mean": N_("Days with the lowest mean"),
    "widest": N_("Days with the widest range"),
}


def form(question: RecordsQuery, t: Translation, now_ms: int) -> dict[str, object]:
    """What can be chosen beside this table."""
    zone, stations = context.store().settings.zone, context.store().settings.stations.all
    month, limit = periods.month_of(now_ms, zone), question.limit
    period = question.period if question.period != ALL else month
    is_month, is_year = len(question.period) == MONTH_CHARS, question.period.isdigit()
    name_of_month = period if len(period) == MONTH_CHARS else f"{period}-{month[5:]}"
    earlier, later = periods.neighbours(question.period)
    return {
        "stations": [
            _choice(
                station_name(s, t), s is question.station, endpoint=s.endpoint, measurement=None
            )
            for s in stations
        ],
        "measurements": [
            _choice(column_name(m, t), m is question.measurement, measurement=m.column)
            for m in question.station.measurements
            if not m.hidden or m is question.measurement
        ],
        "periods": [
            _choice(t("Month"), is_month, period=name_of_month),
            _choice(t("Year"), is_year, period=period[:4]),
            _choice(t("All years"), question.period == ALL, period=ALL),
        ],
        "earlier": earlier and _url({"period": earlier}),
        # Nothing was received after now.
        "later": later and later <= month[: len(later)] and _url({"period": later}),
        # The parameters that the form of the limit keeps.
        "args": _parameters(without=("above", "below")),
        "period": "" if question.period == ALL else _named(question.period, t),
        "limit": "" if limit is None else f"{limit.value:.15g}",
        "is_below": limit is not None and not limit.above,
        "unit": question.measurement.unit,
        # Those at which a band of the measurement begins, and the table without one.
        "usual_limits": _usual_limits(question, t),
    }


def _usual_limits(question: RecordsQuery, t: Translation) -> list[Link]:
    measurement, chosen = question.measurement, question.limit
    choices = []
    for band in question.station.bands_of(measurement):
        above, value = band.above is not None, band.below if band.above is None else band.above
        if value is None:
            continue
        limit, text = Limit(value=value, above=above), f"{value:.15g}"
        sides: dict[str, str | None] = {
            "above": text if above else None,
            "below": None if above else text,
        }
        name = t(
            "{label}: {limit}",
            label=band_name(band, t),
            limit=_passed(limit, measurement, t),
        )
        choices.append(Link(name=name, url=_url(sides), is_chosen=limit == chosen))
    if choices and chosen:
        choices.append(_choice(t("no limit"), False, above=None, below=None))
    return choices


def form_of_errors(details: dict[str, str], t: Translation) -> dict[str, object]:
    """The stations to begin again with, and what was wrong."""
    stations, path = context.store().settings.stations, url_for("records.as_page")
    links = [
        Link(name=station_name(station, t), url=f"{path}?endpoint={station.endpoint}")
        for station in stations.all
    ]
    return {"stations": links, "problems": problems(details, stations, t)}


def table(question: RecordsQuery, period: PeriodTable, t: Translation) -> dict[str, object]:
    """The table of a period."""
    measurement, whole = question.measurement, period.whole
    return {
        "caption": t(
            "{station}, {name}: {period}",
            station=station_name(question.station, t),
            name=column_name(measurement, t),
            period=_named(question.period, t),
        ),
        "first_column": {"day": t("Day"), "month": t("Month"), "year": t("Year")}[
            _kind(period.rows)
        ],
        # The heading of the hours beyond the limit; empty when there is no limit.
        "passed_column": _passed_column(question.limit, measurement, t),
        # Whether those hours are estimated from averages.
        "is_estimated": period.is_estimated and question.limit is not None,
        "rows": [(row, *_named_link(row, question, t), _bar(row, whole)) for row in period.rows],
        # All rows together; None when there is no reading.
        "whole": whole if whole.bucket.count else None,
        "lowest": lambda row: _extreme(row.bucket.minimum, row.lowest_at, row, question, t),
        "highest": lambda row: _extreme(row.bucket.maximum, row.highest_at, row, question, t),
        "rounded": lambda value: rounded(value, measurement.unit),
        "lists": [
            (t(KINDS[records.kind]), _days(records, question, t)) for records in period.records
        ],
        # With names, for a program gets the first measurement where a page has the temperature.
        "csv": _url(
            {"endpoint": question.station.endpoint, "measurement": measurement.column},
            "records.as_csv",
        ),
        "scale": scale(whole),
        "chart": _chart(question, whole.span.first_ms, whole.span.last_ms),
        "unit": measurement.unit,
        "is_corrected": period.is_corrected,
        "raw": _raw(question, period, t),
    }


def _raw(question: RecordsQuery, period: PeriodTable, t: Translation) -> Link | None:
    if question.is_raw:
        return _choice(t("Show corrected values"), False, raw=None)
    return _choice(t("Show values as stored"), False, raw="1") if period.is_corrected else None


# --- Addresses -------------------------------------------------------------------------------


def _parameters(without: Sequence[str] = ()) -> dict[str, str]:
    return {
        name: text
        for name, text in request.args.items()
        if name in NAMES and name not in without and text.strip()
    }


def _url(changed: dict[str, str | None], endpoint: str = "records.as_page") -> str:
    """This table with a change; None leaves a parameter out."""
    pairs = {k: v for k, v in (_parameters() | changed).items() if v is not None}
    path = url_for(endpoint)
    return f"{path}?{urlencode(pairs, safe=':')}" if pairs else path


def _choice(name: str, is_chosen: bool, **changed: str | None) -> Link:
    """A limit is one of a measurement: with another one it is left out."""
    if "measurement" in changed:
        changed = {"above": None, "below": None, **changed}
    return Link(name=name, url=_url(changed), is_chosen=is_chosen)


def _chart(question: RecordsQuery, first_ms: int, last_ms: int) -> str:
    zone = context.store().settings.zone
    pairs = [
        ("endpoint", question.station.endpoint),
        ("measurement", question.measurement.column),
        ("from", local_text(first_ms, zone)),
        ("to", local_text(last_ms, zone)),
    ]
    pairs += [("raw", "1")] if question.is_raw else []
    return f"{url_for('history_page.as_page')}?{urlencode(pairs, safe=':')}"


# --- Cells -----------------------------------------------------------------------------------


def _kind(rows: Sequence[PeriodRow]) -> str:
    """What a row is: `day`, `month` or `year`."""
    length = len(rows[0].span.name) if rows else 0
    return {DAY_CHARS: "day", MONTH_CHARS: "month"}.get(length, "year")


def _named(name: str, t: Translation) -> str:
    """A day, a month, a year as people write it."""
    if name == ALL:
        return t("All years")
    return period_name(name, t)


def _named_link(row: PeriodRow, question: RecordsQuery, t: Translation) -> tuple[str, str, str]:
    """Its name, the address of its table or chart, and its kind: empty for a month or a year."""
    name = row.span.name
    if len(name) != DAY_CHARS:
        return _named(name, t), _url({"period": name}), ""
    return (
        period_name(name, t),
        _chart(question, row.span.first_ms, row.span.last_ms),
        _weekday(name),
    )


def _extreme(
    value: float | None, at: int | None, row: PeriodRow, question: RecordsQuery, t: Translation
) -> DatedValue | None:
    """A value with its hour in a table of days, else with its day."""
    if value is None or at is None:
        return None
    zone = context.store().settings.zone
    text = local_text(at, zone)
    hourly = len(question.period) == MONTH_CHARS
    day = period_name(text[:DAY_CHARS], t)
    at_text = t("{hour}:00–{hour}:59", hour=text[11:13]) if hourly else day
    if hourly and len(row.span.name) != DAY_CHARS:
        at_text = t("{day}, {hour}", day=day, hour=at_text)
    if row.span.name == ALL:
        at_text = t("{day} {year}", day=at_text, year=text[:4])
    return DatedValue(
        text=rounded(value, question.measurement.unit),
        exact=str(value),
        at=at_text,
        url=_chart(question, at, at + (HOUR_MS if hourly else DAY_MS) - 1),
    )


def _weekday(name: str) -> str:
    return {SATURDAY: "saturday", SUNDAY: "sunday"}.get(
        date.fromisoformat(name).weekday(), "weekday"
    )


@dataclass(frozen=True, slots=True)
class Tick:
    """A round value below which the bars have a line."""

    at: int
    """In thousandths of the table's whole range."""
    text: str


# The steps of a scale, times a power of ten; as many as a phone has room for: fewer long numbers.
STEPS = (1, 2, 5, 10)
STEPS_MAX, LONG_STEPS_MAX, LONG_FROM = 7, 4, 1000


def scale(whole: PeriodRow) -> list[Tick]:
    """The round values within the range of the bars; empty where these have none."""
    low, high = whole.bucket.minimum, whole.bucket.maximum
    if low is None or high is None or not float_info.min < (width := high - low) < inf:
        return []
    most = STEPS_MAX if max(abs(low), abs(high)) < LONG_FROM else LONG_STEPS_MAX
    power = 10.0 ** floor(log10(width / most))
    step = next(each * power for each in STEPS if width / (each * power) <= most)
    values = [n * step for n in range(ceil(low / step), floor(high / step) + 1)]
    digits = max(0, -floor(log10(step)))
    return [
        Tick(round(THOUSANDTHS * (value - low) / width), with_digits(value, digits))
        for value in values
    ]


def _bar(row: PeriodRow, whole: PeriodRow) -> tuple[int, int, int] | None:
    """Its range and its mean in thousandths of the table's whole range: left end, width, mean."""
    low, high = whole.bucket.minimum, whole.bucket.maximum
    lowest, highest, mean = row.bucket.minimum, row.bucket.maximum, row.mean
    if low is None or high is None or lowest is None or highest is None or mean is None:
        return None
    if not float_info.min < (width := high - low) < inf:
        return None
    left, middle, right = (round(THOUSANDTHS * (v - low) / width) for v in (lowest, mean, highest))
    return left, right - left, middle


def _passed_column(limit: Limit | None, measurement: Measurement, t: Translation) -> str:
    if limit is None:
        return ""
    return t("Hours {limit}", limit=_passed(limit, measurement, t))


def _passed(limit: Limit, measurement: Measurement, t: Translation) -> str:
    """`above 1000 ppm`."""
    value = f"{separated(f'{limit.value:.15g}')} {measurement.unit}".rstrip()
    return t("above {value}", value=value) if limit.above else t("below {value}", value=value)


def _days(records: RecordList, question: RecordsQuery, t: Translation) -> list[DatedValue]:
    zone, unit = context.store().settings.zone, question.measurement.unit
    days = []
    for record in records.days:
        name = local_text(record.at_ms, zone)[:DAY_CHARS]
        span = periods.span_of(name, zone)
        days.append(
            DatedValue(
                text=rounded(record.value, unit),
                exact=json.dumps(record.value),
                at=t("{day} {year}", day=period_name(name, t), year=name[:4]),
                url=_chart(question, span.first_ms, span.last_ms),
            )
        )
    return days
