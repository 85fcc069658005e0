"""What is new since the last step: readings and their order, for all rules on values together.

The rules share one query for the readings that came since the last step. No query is made while no
reading comes. The readings of a station are in the order of their measurement; one that is older
than an earlier one is left out. The first step returns the newest ones once more, so that the rules
continue where the service or the worker ended.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Row, select

from flask10x.alerts.alert import Moment
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.expressions import unindexed
from flask10x.database.tables import imports, measurement, readings
from flask10x.recording.shared_queue import SharedQueues
from flask10x.system.gauges import Gauges

# How many ids one step goes through, which takes milliseconds. After a disk has stalled the
# readings come in several steps.
SPAN_ROWS = 5000
# How long after a reading was accepted it may still be on its way to the queue.
REST_MS = 5000
# How soon readings are found that another process stores, such as a command.
LOOK_EVERY_MS = 60_000
# A reading that came so long after its measurement says nothing about the present.
LATE_MS = 3_600_000
# The clock of a board may be this far ahead. A reading further ahead has a wrong time, and does not
# make those with a right time old.
AHEAD_MS = 600_000
# At the first step older readings are those of a station that was taken out of use.
STALE_MS = 24 * 3_600_000
# The time that the first step goes back at least; a rule may ask for more.
REPLAYED_MS = 7_200_000
# The most readings of a station that the first step returns.
REPLAYED_MAX = 20_000
REPLAY_PAGE_ROWS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class NewReading:
    """One stored reading of a station."""

    endpoint: str
    at_ms: int
    """When it was measured, in UTC epoch milliseconds."""
    is_late: bool
    """Whether it is too old to fire or to resolve an alert by itself."""
    values: dict[str, float | None]
    """By column, those that some rule needs."""
    faults: dict[str, float | None] = field(default_factory=dict)
    """The columns whose sensors have failed, with their fault values where they are known; filled
    by the rule on failed sensors, which keeps only the good ones as values."""


T = TypeVar("T")
Source = Callable[[Moment], Sequence[T]]
"""Returns what is new in this step, in the order of time."""


def in_order(
    readings: Iterable[NewReading], newest: dict[str, int], now: Moment
) -> Iterator[NewReading]:
    """Return the readings by their time, without those that are older than the newest one before.

    `newest` has that time of each station, and is kept up to date. A time far ahead does not count.
    """
    for reading in sorted(readings, key=lambda reading: reading.at_ms):
        newest_ms = newest.get(reading.endpoint, reading.at_ms)
        if reading.at_ms >= newest_ms or newest_ms > now.wall_ms + AHEAD_MS:
            newest[reading.endpoint] = reading.at_ms
            yield reading


class NewRows(ABC, Generic[T]):
    """The new rows of a table, which several rules need; they are queried once a step."""

    table: str
    span_rows: int
    """How many ids one step goes through."""
    rest_ms = REST_MS
    """How long a row may be on its way after memory has told of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._moment: Moment | None = None
        self._rows: Sequence[T] = ()
        self._error: Exception | None = None
        self._last_id: int | None = None
        self._signs: object = None
        self._look_at_ms = self._rests_at_ms = 0

    def __call__(self, now: Moment) -> Sequence[T]:
        """Return the new rows of this step, the same for each caller. Raises as a query does."""
        if now is not self._moment:
            self._moment, self._rows, self._error = now, (), None
            if (signs := self._came()) != self._signs:
                self._signs, self._rests_at_ms = signs, now.monotonic_ms + self.rest_ms
            is_due = not self._rests_at_ms <= now.monotonic_ms < self._look_at_ms
            if is_due or self._last_id is None:
                self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
                try:
                    self._rows = self._look(now)
                except Exception as error:
                    self._error = error
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._rows

    def _look(self, now: Moment) -> Sequence[T]:
        with self._database.query() as connection:
            head = last_id(connection, self.table)
            until = head if self._last_id is None else min(head, self._last_id + self.span_rows)
            rows = self._between(connection, self._last_id, until, now)
        self._last_id = until
        if until < head:
            self._look_at_ms = now.monotonic_ms
        return rows

    @abstractmethod
    def _came(self) -> object:
        """Return what memory says of rows that came; while it is the same, none is new."""

    @abstractmethod
    def _between(
        self, connection: Connection, after: int | None, until: int, now: Moment
    ) -> Sequence[T]:
        """Return the rows with an id above `after`, up to `until`.

        At the first step `after` is None, and the newest ones are returned once more.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """The readings that some rules need."""

    columns: Mapping[str, Collection[str]]
    """The columns of each endpoint."""
    replayed_ms: int = REPLAYED_MS
    """The first step returns the readings of this time before the newest one of a station."""
    replayed_rows: int = 0
    """The first step returns at least this number of readings of a station."""


# The columns of a reading, beside those of its measurements.
HEAD = (readings.c.id, readings.c.endpoint, readings.c.received_at, readings.c.arrived_at)


class NewReadings(NewRows[NewReading]):
    """The new readings of the stations that some rules need."""

    table, span_rows = "readings", SPAN_ROWS

    def __init__(
        self, database: Database, gauges: Gauges, queues: SharedQueues, scope: Scope
    ) -> None:
        """Make no query yet."""
        super().__init__(database)
        self._gauges, self._queues = gauges, queues
        self._scope, self._columns = scope, scope.columns
        self._all = tuple(dict.fromkeys(chain.from_iterable(scope.columns.values())))
        self._newest: dict[str, int] = {}

    def _look(self, now: Moment) -> list[NewReading]:
        return list(in_order(super()._look(now), self._newest, now))

    def _came(self) -> object:
        received = [self._gauges.station(name).last_received_ms for name in self._columns]
        return self._queues.length(), received

    def _replayed(self, connection: Connection, now: Moment) -> list[NewReading]:
        replayed = []
        for endpoint, columns in self._columns.items():
            query = select(*HEAD, *map(measurement, columns)).where(readings.c.endpoint == endpoint)
            query = query.order_by(readings.c.received_at.desc()).limit(REPLAYED_MAX)
            rows = connection.execute(query.execution_options(yield_per=REPLAY_PAGE_ROWS))
            of_station: list[NewReading] = []
            for row in rows:
                oldest_ms = of_station[0].at_ms - self._scope.replayed_ms if of_station else 0
                if row.received_at < oldest_ms and len(of_station) >= self._scope.replayed_rows:
                    break
                reading = self._reading(row, columns)
                is_stale = now.wall_ms - reading.at_ms > STALE_MS
                of_station.append(replace(reading, is_late=reading.is_late or is_stale))
            rows.close()
            replayed += of_station
        return replayed

    def _between(
        self, connection: Connection, after: int | None, until: int, now: Moment
    ) -> list[NewReading]:
        if after is None:
            return self._replayed(connection, now)
        if until == after:
            return []
        imported = [
            range(row.first_id, row.last_id + 1)
            for row in connection.execute(
                select(imports.c.first_id, imports.c.last_id).where(imports.c.last_id > after)
            )
        ]
        # With the index it would read all entries of these stations.
        of_stations = unindexed(readings.c.endpoint).in_(tuple(self._columns))
        query = select(*HEAD, *map(measurement, self._all)).where(of_stations)
        query = query.where(readings.c.id > after, readings.c.id <= until).order_by(readings.c.id)
        return [
            self._reading(row, self._all)
            for row in connection.execute(query)
            if not any(row.id in span for span in imported)
        ]

    def _reading(self, row: Row[Any], columns: Collection[str]) -> NewReading:
        values = dict(zip(columns, row[len(HEAD) :], strict=True))
        return NewReading(
            endpoint=row.endpoint,
            at_ms=row.received_at,
            values={column: values[column] for column in self._columns[row.endpoint]},
            is_late=is_late(row.received_at, row.arrived_at),
        )


def is_late(measured_at: int, came_at: int | None) -> bool:
    """Return whether a reading came too late to say anything about the present."""
    return came_at is not None and came_at - measured_at > LATE_MS
