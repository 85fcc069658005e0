"""What one request sees of the database: a snapshot, and what its answers have in common.

Pages, charts and tables ask for the same few facts (which corrections count, what was removed, how
far the roll-ups are). Each is read when the first one asks, and once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, select

from flask10x.database import removed
from flask10x.database.expressions import last_id_of, unindexed
from flask10x.database.removed import Removed
from flask10x.database.station_columns import ROLLED_UP, is_mark_of
from flask10x.database.tables import ARRIVAL, counters, followers, readings, rollup_zone, rollups
from flask10x.history.corrections import NONE, Corrections, WrittenCorrection, resolved
from flask10x.history.corrections import written_corrections as read_corrections
from flask10x.history.query import Query
from flask10x.readings.stations import Stations

# How far back a late reading that is not its station's newest is looked for: a hundred pages of the
# file, a third of a millisecond on a PC.
LATE_SPAN_ROWS = 1000

# What is not rolled up yet is read one by one, of all times and stations: an hour's readings, or
# fewer than a piece of the roll-ups. Beyond this, as after the import of an old file, reading the
# range itself is quicker.
MOST_ROWS_BEHIND = 100_000


@dataclass(frozen=True, slots=True)
class RollupProgress:
    """How far the roll-ups are: up to the id `done`, of the `of` that there are."""

    done: int
    of: int

    @property
    def behind(self) -> int:
        """How many ids the follower has before it."""
        return self.of - self.done

    @property
    def is_far_behind(self) -> bool:
        """Whether more readings are left than an answer may read one by one."""
        return self.behind > MOST_ROWS_BEHIND


@dataclass(frozen=True, slots=True)
class RollupState:
    """What can be told from roll-ups, and what not."""

    progress: RollupProgress
    fits: bool
    """Whether they are those of the stations of this view."""
    zone_of_days: str | None
    """The name of the zone whose days are all made; None while there is none."""


class NewestTimes(NamedTuple):
    """Of a station's newest reading, also one that is hidden; UTC epoch milliseconds."""

    received_at: int | None
    """None when it has no reading."""
    arrived_at: int | None


class Extent(NamedTuple):
    """How far the readings and the hours of a station reach that have a date.

    In UTC epoch milliseconds, both ends inclusive; None where there are none.
    """

    first_ms: int | None
    last_ms: int | None
    first_hour_ms: int | None
    last_hour_ms: int | None


class View:
    """A snapshot of the database for one request; it ends with its connection.

    All properties raise what reading raises.
    """

    def __init__(
        self,
        connection: Connection,
        stations: Stations,
        zone: tzinfo | None = None,
        now_ms: int = 0,
    ) -> None:
        """`stations` are those of the installation; zone None is the system's own."""
        self.connection = connection
        self.stations = stations
        self.zone = zone
        self.now_ms = now_ms
        self.extents: dict[tuple[str, bool], Extent] = {}
        """What was read of the extents of stations (`charts.extents`)."""
        self.intervals: dict[tuple[str, int], int | None] = {}
        """And of how often they send (`charts.intervals`)."""

    @cached_property
    def written_corrections(self) -> tuple[WrittenCorrection, ...]:
        """The corrections that count, as they were written, in the order of their ids."""
        return read_corrections(self.connection)

    @cached_property
    def corrections(self) -> Corrections:
        """What the corrections that count add up to."""
        return resolved(self.written_corrections)

    def corrections_of(self, query: Query) -> Corrections:
        """Those that the query's answer is made with: none when it asks for what was stored."""
        return NONE if query.raw else self.corrections

    @cached_property
    def removed(self) -> Mapping[str, Removed]:
        """What was removed of each station, by its endpoint; nothing of one that lost nothing."""
        return removed.load_removed(self.connection)

    @cached_property
    def rollups(self) -> RollupState:
        """How far the roll-ups are, and whether they fit."""
        position, last, mark, zone, begun_anew = self.connection.execute(_ROLLUPS).one()
        return RollupState(
            progress=RollupProgress(position or 0, last or 0),
            fits=is_mark_of(mark or 0, self.stations),
            zone_of_days=zone if begun_anew is None else None,
        )

    @property
    def last_id(self) -> int:
        """The highest id that a reading ever had; 0 before the first."""
        return self.rollups.progress.of

    @cached_property
    def later(self) -> Mapping[str, tuple[int, int]]:
        """From when to when each station has readings that are not rolled up yet."""
        progress = self.rollups.progress
        if not progress.behind:
            return {}
        rows = self.connection.execute(_LATER, {"after_id": progress.done})
        return {endpoint: (first_ms, last_ms) for endpoint, first_ms, last_ms in rows}

    @cached_property
    def newest(self) -> Mapping[str, NewestTimes]:
        """The times of each station's newest reading."""
        endpoints = tuple(self.stations.by_endpoint)
        times = iter(self.connection.execute(_newest(endpoints)).one())
        pairs = zip(times, times, strict=True)
        return {
            endpoint: NewestTimes(*pair) for endpoint, pair in zip(endpoints, pairs, strict=True)
        }

    @cached_property
    def last_received(self) -> Mapping[str, int | None]:
        """When each station was heard last, in UTC epoch milliseconds; None: it has no reading.

        A late reading counts when it arrived. One that is older than another of its station is only
        found among the last LATE_SPAN_ROWS of all stations.
        """
        arrivals = {endpoint: times.arrived_at for endpoint, times in self.newest.items()}
        after = {"after_id": self.last_id - LATE_SPAN_ROWS}
        for endpoint, arrived_at in self.connection.execute(_RECENT_ARRIVALS, after):
            if endpoint in arrivals:
                arrivals[endpoint] = max(arrived_at, arrivals[endpoint] or arrived_at)
        return arrivals


# In the order of the index it would read all of it.
_ENDPOINT = unindexed(readings.c.endpoint)
_RECENT_ARRIVALS = (
    select(_ENDPOINT, func.max(ARRIVAL))
    .where(readings.c.id > bindparam("after_id"))
    .group_by(_ENDPOINT)
)
_LATER = (
    # Not by the index: these are the last few rows of the table.
    select(_ENDPOINT, func.min(readings.c.received_at), func.max(readings.c.received_at))
    .where(readings.c.id > bindparam("after_id"))
    .group_by(_ENDPOINT)
)
# Each a look-up of one row.
_ROLLUPS = select(
    select(followers.c.last_id).where(followers.c.name == rollups.name).scalar_subquery(),
    last_id_of(readings),
    select(counters.c.value).where(counters.c.name == ROLLED_UP).scalar_subquery(),
    *(
        select(column).scalar_subquery()
        # The latter is where they are made anew.
        for column in (rollup_zone.c.zone, rollup_zone.c.after_endpoint)
    ),
)


@lru_cache
def _newest(endpoints: tuple[str, ...]) -> Select[Any]:
    """When each station's newest reading was measured, and has arrived; steps into the index."""
    return select(
        *(
            select(value)
            .where(readings.c.endpoint == endpoint)
            .order_by(readings.c.received_at.desc())
            .limit(1)
            .scalar_subquery()
            for endpoint in endpoints
            for value in (readings.c.received_at, ARRIVAL)
        )
    )
