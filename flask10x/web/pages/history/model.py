"""What the templates of the history page show, and nothing that they would have to work out."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from flask10x.config.settings import Settings
from flask10x.database.removed import Removed
from flask10x.history.pages import HistoryPage, Row, derived_values
from flask10x.history.query import Operator, Query
from flask10x.history.silence import State
from flask10x.readings.bands import Band
from flask10x.readings.derived import UNITS, Derived, measurement_of
from flask10x.readings.labels import COLUMNS, column_name, station_name
from flask10x.readings.numbers import NO_VALUE, rounded
from flask10x.readings.stations import Station, Stations
from flask10x.readings.times import LocalText
from flask10x.runtime.retention import days_of
from flask10x.translation import Translation
from flask10x.web.captions import condition
from flask10x.web.pages.alerts.marks import CardMark


@dataclass(frozen=True, kw_only=True, slots=True)
class Age:
    """How long ago a station sent."""

    kind: str
    """What it is of: `age`, `awaited` or `silent`."""
    seconds: int
    text: str
    iso: str | None
    """When its newest reading was received; None while that is not stored yet, or no date."""
    time: str | None
    """The same for people; None while it is not stored yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CardValue:
    """A measurement on a card, in the place that it always has."""

    label: str
    text: str
    unit: str
    """Empty where no value is known."""
    close: bool
    """Whether the unit stands close to its number."""
    is_told: bool
    """Whether the unit tells what it is, for no other value of the card has it."""
    missing: bool
    """Whether the newest reading lacks it."""
    age: Age | None
    """That of the value shown, where the newest reading lacks it."""
    band: Band | None
    """The band that the value lies in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StationCard:
    """A station's card."""

    station: Station
    name: str
    url: str
    """This page with only the station, or with all of them again."""
    chosen: bool
    state: State
    after_sec: int
    """After how many seconds without a reading it is silent."""
    age: Age | None
    values: list[CardValue]
    alerts: Sequence[CardMark]
    """Those of it that are active."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A measurement of the form and of the table."""

    name: str
    """As the query string calls it."""
    label: str
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class QuickRange:
    """A range of time to choose; `name` is a key of `ranges.QUICK`."""

    name: str
    url: str
    chosen: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranges:
    """The ranges of time to choose, and the addresses of the neighbours of this one."""

    quick: list[QuickRange]
    dates: str | None = None
    """Its ends for people; None where it is a quick range until now, or nothing was looked up."""
    earlier: str | None = None
    later: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Chip:
    """Something that the query is narrowed by, and this page without it."""

    text: str
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One thing to choose."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """The filters: the parameters as they came, and what is wrong with them."""

    args: MultiDict[str, str]
    problems: Mapping[str, Mapping[str, str | None]]
    """What a parameter is called, and the reason, by the parameter."""
    stations: Sequence[Station]
    columns: list[Column]
    computed: list[Column]
    """The derived values."""
    computed_of_reading: list[Column]
    """Those of them that conditions can compare."""
    operators: list[Operator]
    operator_names: Mapping[str, str]
    page_rows: int
    """How many rows a page has without `limit`."""
    conditions: int
    """How many conditions on values are set."""
    open: bool
    """Whether something is wrong: what is set is shown by chips."""
    conditions_open: bool
    chips: list[Chip]
    """Empty when the query was wrong."""
    unfiltered_url: str
    """This page over the same range, without any of them."""
    ranges: Ranges
    comparisons: list[Choice]
    """What the charts can be compared with."""
    rejected_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartArea:
    """What the scripts draw, and where they get it."""

    made: bool
    """Whether the chart library is there."""
    remedy: str
    """What brings it where it is not: in a checkout another thing than in a package."""
    url: str
    texts: str
    """Names that the scripts show, as JSON."""
    raw: bool
    """Whether values are shown as they were stored."""
    turned_url: str | None
    """This page with the corrected values, or with the stored ones; None where nothing is
    corrected."""


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

    time: str
    cells: list[Cell]
    is_hidden: bool
    """Whether only a look at raw values shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StationTable:
    """The readings of one station on a page."""

    endpoint: str
    name: str
    columns: list[Column]
    rows: list[TableRow]
    limits: list[str]
    """Of each derived value that some rows are beyond: what it is computed of, in a sentence."""
    fits: bool
    """Whether it is narrow enough for a tablet."""
    narrow: bool
    """Whether it is narrow enough for a phone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableLinks:
    """The neighbouring pages, where there are any, and the same rows as files."""

    next: str | None
    prev: str | None
    start: str | None
    csv: str
    excel: str
    json: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Updates:
    """Where to ask for readings that were stored after an id."""

    url: str
    last_id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LastReading:
    """A station and when its newest reading was received; None when it has none."""

    station: str
    time: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WiderRange:
    """A longer range that has readings; `name` is a key of `ranges.QUICK`."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NoRows:
    """What helps on a page without rows."""

    future: bool
    """Whether the range begins after now."""
    last: list[LastReading]
    wider: WiderRange | None
    unfiltered_url: str | None
    trial: str | None
    """The command that sends a first reading, where none has ever come in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingsTable:
    """A page of readings."""

    caption: str
    number: int
    """How many readings there are on the page."""
    reached: str | None
    """How far a search that ended early has looked."""
    removed_days: int | None
    """After how many days older ones were removed, where the page has the oldest."""
    oldest_first: bool
    turned_url: str
    """The same readings from the other end."""
    stations: list[StationTable]
    links: TableLinks
    curl: str
    updates: Updates | None
    """None on a page that newer readings don't belong on."""
    no_rows: NoRows | None
    """None when there are rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Halt:
    """Nothing is stored now: the database is damaged or suspected."""

    reason: str
    """As `/readyz` says it, in English."""
    known: bool
    """Whether the damage is known; a suspicion may go by."""
    taken_away: bool
    """Whether it is a file that was taken away, and what was stored is copied."""
    copy: str
    """That copy, to be restored; empty when none was made yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryModel:
    """The whole page."""

    halt: Halt | None
    """None while readings are stored."""
    cards: list[StationCard]
    form: Form
    charts: ChartArea
    table: ReadingsTable | None
    """None when the query was wrong."""


def column(name: str, stations: Stations, t: Translation) -> Column:
    """The column or derived value of this name, in the reader's language; KeyError when no station
    has it."""
    measurement = measurement_of(stations, name)
    return Column(name=name, label=column_name(measurement, t), unit=measurement.unit)


def limits_of(one: Derived, t: Translation) -> str:
    """`Estimated WBGT is only computed for: …`, with the limits of each of its inputs."""
    inputs = []
    for quantity, ends in zip(one.kind.inputs, one.kind.limits, strict=True):
        low, high = (f"{end:g}" for end in ends)
        name, unit = t(COLUMNS[quantity]), UNITS[quantity]
        inputs.append(t("{name} {low} to {high} {unit}", name=name, low=low, high=high, unit=unit))
    return t(
        "{name} is only computed for: {inputs}.",
        name=column_name(one.measurement, t),
        inputs=t.listed(inputs),
    )


Pairs = list[tuple[str, str]]


def chips(
    query: Query, given: Sequence[tuple[str, str]], address: Callable[[Pairs], str], t: Translation
) -> list[Chip]:
    """A chip of each parameter that narrows the query or changes its page, in the order given.

    `given` are all parameters that the page keeps; the range of time is no chip, for it has links
    of its own.
    """
    found = []
    for place, (name, value) in enumerate(given):
        if text := _text(query, name, value.strip(), t):
            rest = [*given[:place], *given[place + 1 :]]
            found.append(Chip(text=text, url=address(rest)))
    return found


def _text(query: Query, name: str, value: str, t: Translation) -> str | None:
    if name == "endpoint":
        return station_name(query.known.by_endpoint[value], t)
    if name == "measurement":
        return column(value, query.known, t).label
    if name == "limit":
        return t("{n} rows a page", n=value)
    if name == "incomplete":
        return t("incomplete only")
    if name == "order" and value == "asc":
        return t("oldest first")
    return next((condition(one, query.known, t) for one in query.filters if one.name == name), None)


def comparisons(
    chosen: str, endpoints: Collection[str], stations: Stations, t: Translation
) -> list[Choice]:
    """The choices: nothing, another time, or a station while the charts have only others.

    `endpoints` are the stations that the charts have; none of them means all.
    """
    names = {"day": t("previous day"), "week": t("previous week"), "year": t("previous year")}
    for station in stations.all if endpoints else ():
        if station.endpoint not in endpoints:
            names.setdefault(station.endpoint, station_name(station, t))
    labels = {name: t("Compare with {name}", name=label) for name, label in names.items()}
    none = Choice(value="", label=t("Compare with …"), chosen=False)
    return [
        none,
        *(Choice(value=v, label=label, chosen=v == chosen) for v, label in labels.items()),
    ]


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
    rows: Sequence[Row], query: Query, text_of: LocalText, t: Translation
) -> list[StationTable]:
    """A table of each station that has rows among these, in the order of the stations.

    The rows keep their order. Values are rounded; a cell has the exact one where that differs.
    """
    of_station: dict[str, list[Row]] = {}
    for row in rows:
        of_station.setdefault(row.endpoint, []).append(row)
    return [
        _table(station, of_station[station.endpoint], query, text_of, t)
        for station in query.stations
        if station.endpoint in of_station
    ]


def _table(
    station: Station, rows: list[Row], query: Query, text_of: LocalText, t: Translation
) -> StationTable:
    chosen = query.chosen(station)
    derived = query.chosen_derived(station)
    columns = [column(name, query.known, t) for name in (*chosen, *(one.name for one in derived))]
    beyond = [one for one in derived if any(one.is_beyond(_values(row, station)) for row in rows)]
    usual = all(len(w) <= LONGEST_WORD_CHARS for c in columns for w in c.label.split())
    return StationTable(
        endpoint=station.endpoint,
        name=station_name(station, t),
        columns=columns,
        rows=[_row(row, station, chosen, derived, text_of) for row in rows],
        limits=[limits_of(one, t) for one in beyond],
        fits=usual and len(columns) <= TABLET_COLUMNS,
        narrow=usual and len(columns) <= PHONE_COLUMNS,
    )


def _row(
    row: Row,
    station: Station,
    chosen: tuple[str, ...],
    derived: tuple[Derived, ...],
    text_of: LocalText,
) -> TableRow:
    pairs = zip(station.measurements, row.values, strict=True)
    cells = [_cell(value, m.unit) for m, value in pairs if m.column in chosen]
    computed, values = derived_values(row, station, derived), _values(row, station)
    cells += [
        BEYOND if one.is_beyond(values) else _cell(computed[one.name], one.kind.unit)
        for one in derived
    ]
    return TableRow(time=text_of(row.received_at), cells=cells, is_hidden=row.hidden)


def _values(row: Row, station: Station) -> dict[str, float | None]:
    return dict(zip(station.columns, row.values, strict=True))


def _cell(value: float | None, unit: str) -> Cell:
    if value is None:
        return Cell(text=NO_VALUE, exact=None, missing=True)
    text = rounded(value, unit)
    return Cell(text=text, exact=None if float(text) == value else str(value), missing=False)
