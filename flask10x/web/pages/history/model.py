"""The tables of the history page, and its chips and choices."""

import calendar
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo

from flask10x.config.settings import Settings
from flask10x.database.removed import Removed
from flask10x.history.pages import HistoryPage, Row, derived_values
from flask10x.history.query import Query
from flask10x.readings.derived import UNITS, Derived, measurement_of
from flask10x.readings.labels import COLUMNS, Moments, column_name, station_name
from flask10x.readings.numbers import NO_VALUE, read_back, rounded
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import is_date, local_text
from flask10x.runtime.retention import days_of
from flask10x.translation import MONTHS, Translation
from flask10x.web import cards
from flask10x.web.captions import Link, condition
from flask10x.web.cards import Card


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A value of a reading as a table shows it."""

    text: str
    """Rounded by its unit; a dash for a missing value."""
    exact: str | None
    """The value as it is stored, where that is not the same number."""
    missing: bool
    beyond: bool = False
    """Whether it is a derived value that is not computed of such readings: nothing is missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """A reading; a cell for each column of its table."""

    id: int
    time: str
    cells: list[Cell]
    is_hidden: bool
    """Whether only a look at raw values shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StationTable:
    """The readings of one station on a page."""

    station: Station
    columns: list[Measurement]
    names: list[str]
    """What the columns are called."""
    rows: list[TableRow]
    limits: list[str]
    """Of each derived value that some rows are beyond: what it is computed of, in a sentence."""
    fits: bool
    """Whether it is narrow enough for a tablet."""
    narrow: bool
    """Whether it is narrow enough for a phone."""


def limits_of(derived: Derived, t: Translation) -> str:
    """`Estimated WBGT is only computed for: …`, with the limits of each of its inputs."""
    inputs = []
    for quantity, ends in zip(derived.kind.inputs, derived.kind.limits, strict=True):
        low, high = (f"{end:g}" for end in ends)
        name, unit = t(COLUMNS[quantity]), UNITS[quantity]
        inputs.append(t("{name} {low} to {high} {unit}", name=name, low=low, high=high, unit=unit))
    return t(
        "{name} is only computed for: {inputs}.",
        name=column_name(derived.measurement, t),
        inputs=t.listed(inputs),
    )


Pairs = list[tuple[str, str]]


def chips(
    query: Query, parameters: Pairs, address: Callable[[Pairs], str], t: Translation
) -> list[Link]:
    """A link of each parameter that narrows the query or changes its page, to the page without it.

    `parameters` are all that the page keeps; the range of time is no chip, for it has links of its
    own.
    """
    links = []
    for place, (name, value) in enumerate(parameters):
        if text := _text(query, name, value.strip(), t):
            rest = [*parameters[:place], *parameters[place + 1 :]]
            links.append(Link(name=text, url=address(rest)))
    return links


def _text(query: Query, name: str, value: str, t: Translation) -> str | None:
    if name == "endpoint":
        return station_name(query.registry.by_endpoint[value], t)
    if name == "measurement":
        return column_name(measurement_of(query.registry, value), t)
    if name == "limit":
        return t("{n} rows a page", n=value)
    if name == "incomplete":
        return t("incomplete only")
    if name == "order" and value == "asc":
        return t("oldest first")
    return next(
        (condition(each, query.registry, t) for each in query.filters if each.name == name), None
    )


def comparisons(
    endpoints: Collection[str], stations: Sequence[Station], t: Translation
) -> dict[str, str]:
    """The choices by value: nothing, another time, or a station while the charts have only others.

    `endpoints` are the stations that the charts have; none of them means all.
    """
    names = {"day": t("previous day"), "week": t("previous week"), "year": t("previous year")}
    for station in stations if endpoints else ():
        if station.endpoint not in endpoints:
            names.setdefault(station.endpoint, station_name(station, t))
    return {"": t("No comparison"), **names}


# What people ask of a room, and what a station outside or in a cupboard has instead.
ASKED_FIRST = (*cards.ASKED_FIRST, "pressure")


def on_chip(card: Card) -> dict[str, int]:
    """Return the columns that a station's chip shows, with their places in it.

    It shows the main value and what deserves a look; the others are there as soon as the station
    alone is chosen.
    """
    shown = [card.main, *(value for value in card.values if value.band)]
    columns = dict.fromkeys(value.measurement.column for value in shown if value)
    return {column: place for place, column in enumerate(columns)}


def period(query: Query, now_ms: int, zone: tzinfo | None, t: Translation) -> str:
    """`28 – 29 Nov`, `29 Nov, 07:35 – 08:35`: when the charts begin and end; at most in minutes."""
    if query.since is None and query.until is None:
        return t("All")
    last = _moment(query.until.ms if query.until else now_ms, zone)
    first = _moment(query.since.ms, zone) if query.since else None
    today = _moment(now_ms, zone)[0]
    if first is None:
        return t("to {time}", time=_day(last[0], today, t))
    if first[0] == last[0]:
        day = _day(last[0], today, t)
        if (first[1], last[1]) == ("00:00", "23:59"):
            return day
        begin = t("{date}, {clock}", date=day, clock=first[1])
        return t("{first} – {last}", first=begin, last=last[1])
    months = {(day.year, day.month) for day in (first[0], last[0])}
    if months == {(today.year, last[0].month)}:
        month = t(MONTHS[last[0].month - 1])
        return t("{first} – {last} {month}", first=first[0].day, last=last[0].day, month=month)
    known = (today, today)
    if first[0].year == last[0].year:
        # The year is said once, where it belongs in the language.
        known = (today, last[0]) if t.language == "ja" else (first[0], today)
    ends = [_day(day, of, t) for day, of in zip((first[0], last[0]), known, strict=True)]
    return t("{first} – {last}", first=ends[0], last=ends[1])


def _moment(ms: int, zone: tzinfo | None) -> tuple[date, str]:
    """The local day and minute; the ends of the calendar for what is beyond."""
    if not is_date(ms):
        return (date.max if ms > 0 else date.min), ""
    text = local_text(ms, zone)
    return date.fromisoformat(text[:10]), text[11:16]


def _day(day: date, today: date, t: Translation) -> str:
    month = t(MONTHS[day.month - 1])
    if day.year == today.year:
        return t("{day} {month}", day=day.day, month=month)
    return t("{day} {month} {year}", day=day.day, month=month, year=day.year)


# No range may begin on the first of January 1970.
FIRST_MONTH = (1970, 2)


def months(
    now_ms: int, zone: tzinfo | None, t: Translation
) -> dict[int, list[tuple[str, tuple[str, str]]]]:
    """The months of this year and the last until now, each with its first and last day."""
    today = _moment(now_ms, zone)[0]
    return {
        year: [
            (t(MONTHS[month - 1]), _days_of(year, month))
            for month in range(1, 13)
            if FIRST_MONTH <= (year, month) <= (today.year, today.month)
        ]
        for year in (today.year, today.year - 1)
        if (year, 12) > FIRST_MONTH
    }


def month_before(
    now_ms: int, zone: tzinfo | None, t: Translation
) -> tuple[str, tuple[str, str]] | None:
    """The name of the last whole month, with its first and last days; None near 1970."""
    today = _moment(now_ms, zone)[0]
    if (today.year, today.month) <= FIRST_MONTH:
        return None
    last = today.replace(day=1) - timedelta(days=1)
    name = t("{month} {year}", month=t(MONTHS[last.month - 1]), year=last.year)
    return name, _days_of(last.year, last.month)


def _days_of(year: int, month: int) -> tuple[str, str]:
    return f"{year}-{month:02d}-01", f"{year}-{month:02d}-{calendar.monthrange(year, month)[1]}"


def removed_days(
    settings: Settings, query: Query, page: HistoryPage, gone: Mapping[str, Removed]
) -> int | None:
    """After how many days, where the page has the oldest readings there are of a longer range.

    None on any other page. Of several stations the longest; 0 where none are removed any more.
    """
    is_end = page.next is None if query.order == "desc" else page.prev is None
    if not is_end or page.reached is not None:
        return None
    since_ms = query.since.ms if query.since else None
    days = [
        days_of(settings, station)
        for station in query.stations
        if (last_ms := gone.get(station.endpoint, Removed()).last_ms) is not None
        and (since_ms is None or last_ms >= since_ms)
    ]
    return max(days, default=None)


# So many columns beside the time still fit a tablet, so many a phone (flask10x.css): a wider table
# moves sideways there, and on a phone each of its readings is a block.
TABLET_COLUMNS, PHONE_COLUMNS = 6, 2
# A longer word makes its column wider than its share.
LONGEST_WORD_CHARS = 14

BEYOND = Cell(text=NO_VALUE, exact=None, missing=False, beyond=True)


def station_tables(
    rows: Sequence[Row], query: Query, time_of: Moments, t: Translation
) -> list[StationTable]:
    """Return a table of each station that has rows among these, in the order of the stations.

    The rows keep their order. Values are rounded; a cell has the exact one where that differs.
    """
    of_station: dict[str, list[Row]] = {}
    for row in rows:
        of_station.setdefault(row.endpoint, []).append(row)
    return [
        _table(station, of_station[station.endpoint], query, time_of, t)
        for station in query.stations
        if station.endpoint in of_station
    ]


def _table(
    station: Station, rows: list[Row], query: Query, time_of: Moments, t: Translation
) -> StationTable:
    chosen = query.chosen(station)
    if not query.narrowed:
        chosen = tuple(measurement.column for measurement in station.shown)
    derived = query.chosen_derived(station)
    names = (*chosen, *(computed.name for computed in derived))
    columns = [measurement_of(query.registry, name) for name in names]
    beyond, shown = set[str](), []
    for row in rows:
        pairs = zip(station.measurements, row.values, strict=True)
        cells = [_cell(value, m.unit) for m, value in pairs if m.column in chosen]
        computed = derived_values(row, station, derived)
        values = dict(zip(station.columns, row.values, strict=True))
        for each in derived:
            if each.is_beyond(values):
                beyond.add(each.name)
                cells.append(BEYOND)
            else:
                cells.append(_cell(computed[each.name], each.kind.unit))
        time = time_of(row.received_at)
        shown.append(TableRow(id=row.id, time=time, cells=cells, is_hidden=row.hidden))
    labels = [column_name(column, t) for column in columns]
    words = (word for label in labels for word in label.split())
    usual = all(len(word) <= LONGEST_WORD_CHARS for word in words)
    return StationTable(
        station=station,
        columns=columns,
        names=labels,
        rows=shown,
        limits=[limits_of(each, t) for each in derived if each.name in beyond],
        fits=usual and len(columns) <= TABLET_COLUMNS,
        narrow=usual and len(columns) <= PHONE_COLUMNS,
    )


def _cell(value: float | None, unit: str) -> Cell:
    if value is None:
        return Cell(text=NO_VALUE, exact=None, missing=True)
    text = rounded(value, unit)
    return Cell(text=text, exact=None if read_back(text) == value else str(value), missing=False)
