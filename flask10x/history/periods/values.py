"""The values of a period out of the roll-ups, with the corrections that count."""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.history import charts
from flask10x.history.buckets import Window
from flask10x.history.charts import Chart
from flask10x.history.corrections import known
from flask10x.history.corrections.segments import Corrections
from flask10x.history.local.steps import DAY, HOUR, Step
from flask10x.history.periods.averages import passed_of
from flask10x.history.periods.calendar import ALL, Span, parts_of, years_between
from flask10x.history.periods.records import RecordList, records_of
from flask10x.history.periods.rows import (
    Limit,
    PeriodRow,
    Timed,
    add_hours,
    add_passed,
    rows_of,
    whole,
)
from flask10x.history.periods.shares import shares_of
from flask10x.history.query import Query
from flask10x.readings.stations import Station


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A measurement of a station over a period of the local calendar."""

    station: Station
    column: str
    period: str
    limit: Limit | None = None
    is_raw: bool = False

    @property
    def is_month(self) -> bool:
        """Whether it is told by days and hours."""
        return len(self.period) == len("2025-08")


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundPeriod:
    """What a period holds."""

    rows: list[PeriodRow]
    whole: PeriodRow
    """All rows together."""
    records: list[RecordList] = field(default_factory=list)
    """Of all years only."""
    is_estimated: bool = False
    """Whether the hours beyond the limit are told by averages of hours."""
    is_corrected: bool = False
    """Whether a value of it is shown otherwise than it was stored."""


def found(connection: Connection, settings: Settings, wanted: Wanted) -> FoundPeriod:
    """The table of a period; raises what reading raises."""
    query = Query(
        known=settings.stations,
        zone=settings.zone,
        endpoints=(wanted.station.endpoint,),
        measurements=(wanted.column,),
        raw=wanted.is_raw,
    )
    spans = _spans(connection, query, wanted.period)
    if not spans:
        return FoundPeriod(rows=[], whole=PeriodRow(Span(wanted.period, 0, 0)))
    corrections = known.of_query(connection, query)
    reader = _PeriodReader(connection, query, corrections, spans[0].first_ms, spans[-1].last_ms)
    days = reader.read(DAY)
    hours = reader.read(HOUR) if wanted.is_month else None
    rows = rows_of(spans, days, hours)
    if wanted.limit and hours is not None:
        add_passed(rows, hours, wanted.limit, reader.shares(hours, wanted.limit))
    elif wanted.limit:
        reader.add_averages(rows, wanted.limit)
    return FoundPeriod(
        rows=rows,
        whole=whole(Span(wanted.period, reader.first_ms, reader.last_ms), rows),
        records=records_of(days) if wanted.period == ALL else [],
        is_estimated=wanted.limit is not None and not wanted.is_month,
        is_corrected=reader.is_corrected,
    )


@dataclass(frozen=True, slots=True)
class _PeriodReader:
    """Reads the buckets of one line over one range."""

    connection: Connection
    query: Query
    corrections: Corrections
    first_ms: int
    last_ms: int

    @property
    def place(self) -> tuple[str, str]:
        """Its endpoint and its column."""
        return self.query.endpoints[0], self.query.measurements[0]

    @property
    def is_corrected(self) -> bool:
        segments = self.corrections.segments(*self.place, self.first_ms, self.last_ms)
        return not all(segment.is_raw for segment in segments)

    def read(self, step: Step) -> list[Timed]:
        """Its buckets and when each begins, in the order of time."""
        window = self._window(step)
        return [
            (window.starts[place], line.buckets[place])
            for line in self._chart(window).lines
            for place in line.places
        ]

    def shares(self, hours: list[Timed], limit: Limit) -> dict[int, float]:
        """Which share of the readings of its mixed hours has passed the limit."""
        return shares_of(self.connection, self.place, hours, limit, self.corrections)

    def add_averages(self, rows: list[PeriodRow], limit: Limit) -> None:
        """Count whole hours by their averages; one by one where there are no roll-ups yet."""
        window = self._window(DAY)
        if charts.uses_rollups(self.connection, self.query, window):
            passed = passed_of(self.connection, self.place, window, limit, self.corrections)
            add_hours(rows, passed)
        else:
            add_passed(rows, self.read(HOUR), limit, {})

    def _window(self, step: Step) -> Window:
        return Window(self.first_ms, self.last_ms, step, self.query.zone)

    def _chart(self, window: Window) -> Chart:
        return charts.chart(
            self.connection, self.query, corrections=self.corrections, window=window
        )


def _spans(connection: Connection, query: Query, period: str) -> list[Span]:
    if period != ALL:
        return parts_of(period, query.zone)
    ends = charts.held(connection, query)
    return years_between(*ends, query.zone) if ends else []
