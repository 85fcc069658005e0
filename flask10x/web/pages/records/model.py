"""What the template of `/records` shows, and nothing that it would have to work out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordsChoice:
    """A link to another table."""

    name: str
    url: str
    chosen: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A value as people read it, and when it was."""

    text: str
    exact: str
    """With all digits."""
    at: str
    url: str
    """The chart of that hour or day."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """From the lowest to the highest of a row, in thousandths of the table's whole range."""

    left: int
    width: int
    mean: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordsRow:
    """A line of the table."""

    name: str
    url: str
    """The table or the chart of this line alone."""
    kind: str
    """`weekday`, `saturday`, `sunday`, or empty for a month or a year."""
    lowest: Told | None
    mean: str
    mean_exact: str
    highest: Told | None
    passed: str
    bar: Bar | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordsList:
    """The first days of one kind."""

    title: str
    days: Sequence[Told]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordsForm:
    """What can be chosen, and what is wrong with what was."""

    stations: Sequence[RecordsChoice]
    measurements: Sequence[RecordsChoice]
    periods: Sequence[RecordsChoice]
    earlier: str | None
    later: str | None
    args: Mapping[str, str]
    """The parameters that the form of the limit keeps."""
    problems: Mapping[str, Mapping[str, str | None]]
    period: str
    limit: str
    """The value of the limit as it was given."""
    is_below: bool
    unit: str
    usual_limits: Sequence[RecordsChoice]
    """Those at which a band of the measurement begins, and the table without one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordsTable:
    """The table of a period."""

    title: str
    caption: str
    first_column: str
    passed_column: str
    """The heading of the hours beyond the limit; empty when there is no limit."""
    is_estimated: bool
    """Whether those hours are told by their averages."""
    rows: Sequence[RecordsRow]
    whole: RecordsRow | None
    """All rows together; None when there is no reading."""
    lists: Sequence[RecordsList]
    csv: str
    chart: str
    unit: str
    corrected: bool
    """Whether a value is shown otherwise than it was stored."""
    raw: RecordsChoice | None
    """The same table of the values as they were stored, or with the corrections again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordsModel:
    """The whole page."""

    form: RecordsForm
    table: RecordsTable | None
    """None when the query was wrong."""
