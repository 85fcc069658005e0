"""What the templates of the history page show, and nothing that they would have to work out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from flask10x.history.query import Operator
from flask10x.history.silence import State
from flask10x.readings.bands import Band
from flask10x.readings.stations import Station
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
