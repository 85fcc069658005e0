"""The page `/records` in the reader's language: what is asked for, choices, cells, CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from math import ceil, floor, inf, log10
from sys import float_info
from urllib.parse import urlencode

from flask import request, url_for

from flask10x.history import periods
from flask10x.history.period_tables import (
    Limit,
    PeriodRequest,
    PeriodRow,
    PeriodTable,
    RecordList,
)
from flask10x.history.periods import ALL
from flask10x.history.query import number
from flask10x.history.view import View
from flask10x.readings.labels import band_name, column_name, period_name, station_name
from flask10x.readings.numbers import rounded, separated, with_digits
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import DAY_MS, HOUR_MS, local_text
from flask10x.translation import N_, Translation
from flask10x.web import context
from flask10x.web.captions import Link, problems
from flask10x.web.cards import main_measurement, shown_stations
from flask10x.web.parameters import Parameters
from flask10x.web.ranges import history_url

# What a house asks most: how warm it was.
TEMPERATURE = "°C"
# A page opens on the month before while this one has fewer days behind it.
DAYS_MIN = 2
NAMES = ("endpoint", "measurement", "period", "above", "below", "raw")


class RecordsQuery(PeriodRequest):
    """A measurement of a station over a period, and the limit whose hours are counted."""

    @property
    def measurement(self) -> Measurement:
        """That of its column."""
        return self.station.measurements[self.station.columns.index(self.column)]


def records_query(view: View, *, is_page: bool) -> RecordsQuery:
    """Return what the query string asks for, of the first station that has sent if none is named.

    A browser sends the empty fields of a form, and a page opens on what people look at first, of a
    station with a temperature if there is one. Raises QueryError that names every wrong parameter.
    """
    stations, parameters = view.stations, Parameters(*NAMES, blank_is_absent=is_page)
    first = stations.all[0]
    # Which stations have sent is read only where it matters.
    if parameters.text("endpoint") is None:
        listed = shown_stations(view, context.store()) if is_page else stations.all
        sent = [s for s in listed if view.newest[s.endpoint].received_at is not None]
        if is_page:
            sent = [s for s in sent if main_measurement(s).unit == TEMPERATURE] or sent
        first = (*sent, first)[0]
    endpoints = tuple(stations.by_endpoint)
    station = stations.by_endpoint[
        parameters.chosen("endpoint", "unknown_station", endpoints, first.endpoint)
    ]
    usual = main_measurement(station).column if is_page else station.columns[0]
    column = parameters.chosen("measurement", "unknown_measurement", station.columns, usual)
    # A page opens on a month that has some days.
    opened_ms = view.now_ms - (DAYS_MIN * DAY_MS if is_page else 0)
    period = parameters.parsed("period", periods.checked) or periods.month_of(opened_ms, view.zone)
    above, below = parameters.parsed("above", number), parameters.parsed("below", number)
    if above is not None and below is not None:
        parameters.errors["below"] = Reason("above_or_below")
    is_raw = parameters.flag("raw")
    parameters.check()
    value = below if above is None else above
    limit = None if value is None else Limit(value=value, above=above is not None)
    return RecordsQuery(station=station, column=column, period=period, limit=limit, is_raw=is_raw)


HEADER = ("period", "lowest", "lowest_at", "mean", "highest", "highest_at", "readings")


def csv_lines(question: RecordsQuery, period: PeriodTable, zone: tzinfo | None) -> str:
    """Return a line a row, also without readings; CRLF, numbers as Python's `str(float)`."""
    header, limit = list(HEADER), question.limit
    if limit:
        header.append(f"hours_{'above' if limit.above else 'below'}_{limit.value}")
    lines = [header]
    for row in period.rows:
        lowest_at, highest_at = (
            None if ms is None else local_text(ms, zone) for ms in (row.lowest_at, row.highest_at)
        )
        lowest, highest = (row.bucket.minimum, lowest_at), (row.bucket.maximum, highest_at)
        cells = [row.span.name, *lowest, row.mean, *highest, row.bucket.count]
        cells += [row.passed_hours] if limit else []
        lines.append(["" if cell is None else str(cell) for cell in cells])
    return "".join(",".join(cells) + "\r\n" for cells in lines)


@dataclass(frozen=True, slots=True)
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


def form(
    question: RecordsQuery, stations: Sequence[Station], t: Translation, now_ms: int
) -> dict[str, object]:
    """What can be chosen beside this table: one of these stations, a measurement, a period."""
    zone = context.store().settings.zone
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
        limit, sides = Limit(value=value, above=above), dict.fromkeys(("above", "below"))
        sides |= {"above" if above else "below": f"{value:.15g}"}
        words = _passed(limit, measurement, t)
        name = t("{label}: {limit}", label=band_name(band, t), limit=words)
        choices.append(Link(name=name, url=_url(sides), is_chosen=limit == chosen))
    if choices and chosen:
        choices.append(_choice(t("no limit"), False, above=None, below=None))
    return choices


def form_of_errors(
    details: dict[str, str], stations: Sequence[Station], t: Translation
) -> dict[str, object]:
    """The stations to begin again with, and what was wrong."""
    path, every = url_for("records.as_page"), context.store().settings.stations
    links = [
        Link(name=station_name(station, t), url=f"{path}?endpoint={station.endpoint}")
        for station in stations
    ]
    return {"stations": links, "problems": problems(details, every, t)}


def table(
    question: RecordsQuery, period: PeriodTable, t: Translation, now_ms: int
) -> dict[str, object]:
    """Return the table of a period, without days and months to come."""
    measurement, whole = question.measurement, period.whole
    kind = {DAY_CHARS: "day", MONTH_CHARS: "month"}.get(
        len(period.rows[0].span.name) if period.rows else 0, "year"
    )
    passed = question.limit and _passed(question.limit, measurement, t)
    raw = None
    if question.is_raw:
        raw = _choice(t("Show corrected values"), False, raw=None)
    elif period.is_corrected:
        raw = _choice(t("Show values as stored"), False, raw="1")
    return {
        "caption": t(
            "{station}, {name}: {period}",
            station=station_name(question.station, t),
            name=column_name(measurement, t),
            period=_named(question.period, t),
        ),
        "first_column": {"day": t("Day"), "month": t("Month"), "year": t("Year")}[kind],
        # The heading of the hours beyond the limit; empty when there is no limit.
        "passed_column": t("Hours {limit}", limit=passed) if passed else "",
        # Whether those hours are estimated from averages.
        "is_estimated": period.is_estimated and question.limit is not None,
        "rows": [
            (row, *_named_link(row, question, t), _bar(row, whole))
            for row in period.rows
            if row.span.first_ms <= now_ms or row.bucket.count
        ],
        # All rows together; None when there is no reading.
        "whole": whole if whole.bucket.count else None,
        "lowest": lambda row: _extreme(row.bucket.minimum, row.lowest_at, row, question, t),
        "highest": lambda row: _extreme(row.bucket.maximum, row.highest_at, row, question, t),
        "rounded": lambda value: rounded(value, measurement.unit),
        "lists": [
            (t(KINDS[records.kind]), _days(records, question, t)) for records in period.records
        ],
        # With names, for a program gets the first measurement where a page has another one.
        "csv": _url(
            {
                "endpoint": question.station.endpoint,
                "measurement": measurement.column,
                "period": question.period,
            },
            "records.as_csv",
        ),
        "scale": _scale(whole),
        "chart": _chart(question, whole.span.first_ms, whole.span.last_ms),
        "unit": measurement.unit,
        "is_corrected": period.is_corrected,
        "raw": raw,
    }


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
    return history_url(
        endpoint=question.station.endpoint,
        measurement=question.measurement.column,
        since=local_text(first_ms, zone),
        until=local_text(last_ms, zone),
        raw="1" if question.is_raw else None,
    )


# --- Cells -----------------------------------------------------------------------------------


def _named(name: str, t: Translation) -> str:
    """Return a day, a month, a year as people write it."""
    return t("All years") if name == ALL else period_name(name, t)


def _named_link(row: PeriodRow, question: RecordsQuery, t: Translation) -> tuple[str, str, str]:
    """Return its name, the address of its table or chart, and its kind: of a day its weekday."""
    name = row.span.name
    if len(name) != DAY_CHARS:
        return _named(name, t), _url({"period": name}), ""
    kind = {SATURDAY: "saturday", SUNDAY: "sunday"}.get(date.fromisoformat(name).weekday())
    chart = _chart(question, row.span.first_ms, row.span.last_ms)
    return period_name(name, t), chart, kind or "weekday"


def _extreme(
    value: float | None, at: int | None, row: PeriodRow, question: RecordsQuery, t: Translation
) -> DatedValue | None:
    """Return a value with its hour in a table of days, else with its day."""
    if value is None or at is None:
        return None
    text = local_text(at, context.store().settings.zone)
    hourly = len(question.period) == MONTH_CHARS
    day = period_name(text[:DAY_CHARS], t)
    at_text = t("{hour}:00–{hour}:59", hour=text[11:13]) if hourly else day
    if hourly and len(row.span.name) != DAY_CHARS:
        at_text = t("{day}, {hour}", day=day, hour=at_text)
    if row.span.name == ALL:
        at_text = t("{day} {year}", day=at_text, year=text[:4])
    last_ms = at + (HOUR_MS if hourly else DAY_MS) - 1
    return _dated(value, at_text, question, at, last_ms)


def _dated(
    value: float, at: str, question: RecordsQuery, first_ms: int, last_ms: int
) -> DatedValue:
    url = _chart(question, first_ms, last_ms)
    return DatedValue(rounded(value, question.measurement.unit), str(value), at, url)


# The steps of a scale, times a power of ten; as many as a phone has room for: fewer long numbers.
STEPS = (1, 2, 5, 10)
STEPS_MAX, LONG_STEPS_MAX, LONG_FROM = 7, 4, 1000


def _ends(whole: PeriodRow) -> tuple[float, float] | None:
    """Return the least and the greatest value of all bars; None where these have no range."""
    low, high = whole.bucket.minimum, whole.bucket.maximum
    if low is None or high is None or not float_info.min < high - low < inf:
        return None
    return low, high


def _scale(whole: PeriodRow) -> list[dict[str, object]]:
    """Return the round values within the range of the bars, each with its place."""
    if (ends := _ends(whole)) is None:
        return []
    low, high = ends
    width = high - low
    most = STEPS_MAX if max(abs(low), abs(high)) < LONG_FROM else LONG_STEPS_MAX
    power = 10.0 ** floor(log10(width / most))
    step = next(each * power for each in STEPS if width / (each * power) <= most)
    digits = max(0, -floor(log10(step)))
    return [
        # In thousandths of the range.
        {"at": round(THOUSANDTHS * (n * step - low) / width), "text": with_digits(n * step, digits)}
        for n in range(ceil(low / step), floor(high / step) + 1)
    ]


def _bar(row: PeriodRow, whole: PeriodRow) -> tuple[int, int, int] | None:
    """Return range and mean in thousandths of the range of all: left end, width, mean."""
    lowest, highest, mean = row.bucket.minimum, row.bucket.maximum, row.mean
    ends = _ends(whole)
    if ends is None or lowest is None or highest is None or mean is None:
        return None
    low, high = ends
    width = high - low
    left, middle, right = (round(THOUSANDTHS * (v - low) / width) for v in (lowest, mean, highest))
    return left, right - left, middle


def _passed(limit: Limit, measurement: Measurement, t: Translation) -> str:
    """Return `above 1000 ppm`."""
    value = f"{separated(f'{limit.value:.15g}')} {measurement.unit}".rstrip()
    return t("above {value}", value=value) if limit.above else t("below {value}", value=value)


def _days(records: RecordList, question: RecordsQuery, t: Translation) -> Iterator[DatedValue]:
    zone = context.store().settings.zone
    for record in records.days:
        name = local_text(record.at_ms, zone)[:DAY_CHARS]
        span = periods.span_of(name, zone)
        at = t("{day} {year}", day=period_name(name, t), year=name[:4])
        yield _dated(record.value, at, question, span.first_ms, span.last_ms)
