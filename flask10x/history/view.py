"""The view that one request has of the database: a snapshot and facts that its parts share.

Pages, charts and tables need the same facts (corrections, removed readings, progress of the
roll-ups). Each is read once, when it is first needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Select,
    Text,
    bindparam,
    cast,
    func,
    null,
    select,
    union_all,
)

from flask10x.database.expressions import last_id_of, unindexed
from flask10x.database.removed import Removed
from flask10x.database.station_columns import ROLLED_UP, is_mark_of
from flask10x.database.tables import (
    ARRIVAL,
    counters,
    followers,
    readings,
    removed,
    rollup_zone,
    rollups,
)
from flask10x.history.corrections import COUNTING, Correction, Corrections, resolved
from flask10x.readings.stations import Stations
from flask10x.readings.times import HOUR_MS

# How far back to look for a late reading that is not the newest of its station: a hundred pages of
# the file, a third of a millisecond on a PC.
LATE_SPAN_ROWS = 1000

# What is not rolled up yet is read one by one, of all times and stations: an hour's readings, or
# fewer than a piece of the roll-ups. Beyond this, as after the import of an old file, reading the
# range itself is quicker.
MOST_ROWS_BEHIND = 100_000


@dataclass(frozen=True, slots=True)
class RollupProgress:
    """The roll-ups include readings up to the id `done`; the last id is `of`."""

    done: int
    of: int

    @property
    def behind(self) -> int:
        """How many ids the follower has still to take."""
        return self.of - self.done

    @property
    def is_far_behind(self) -> bool:
        """Whether more readings are left than an answer may read one by one."""
        return self.behind > MOST_ROWS_BEHIND


@dataclass(frozen=True, slots=True)
class RollupState:
    """Which answers can be made of roll-ups."""

    progress: RollupProgress
    fits: bool
    """Whether the roll-ups are those of the stations of this view."""
    zone_of_days: str | None
    """The name of the zone for which all days are made; None until they are."""


class NewestTimes(NamedTuple):
    """The times of a station's newest reading, hidden or not, in UTC epoch milliseconds."""

    received_at: int | None
    """None when the station has no reading."""
    arrived_at: int | None


class Extent(NamedTuple):
    """How far the dated readings and hours of a station reach.

    In UTC epoch milliseconds, both ends inclusive; None where there are none.
    """

    first_ms: int | None
    last_ms: int | None
    first_hour_ms: int | None
    last_hour_ms: int | None

    @property
    def ends(self) -> tuple[int, int] | None:
        """The first and the last time of a reading or an hour; None without any."""
        first = [ms for ms in (self.first_ms, self.first_hour_ms) if ms is not None]
        last = [ms for ms in (self.last_ms, self.last_hour_ms) if ms is not None]
        return (min(first), max(last)) if first and last else None

    @property
    def begin_ms(self) -> int | None:
        """The first reading, or an hour before it whose readings were removed; None without any."""
        first_ms, hour_ms = self.first_ms, self.first_hour_ms
        if first_ms is None or (hour_ms is not None and hour_ms < first_ms // HOUR_MS * HOUR_MS):
            return hour_ms
        return first_ms


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
        """`stations` are those of the installation; a zone of None is the system's own."""
        self.connection = connection
        self.stations = stations
        self.zone = zone
        self.now_ms = now_ms
        self.extents: dict[tuple[str, bool], Extent] = {}
        """The extents of stations that were read (`charts.extents`)."""
        self.intervals: dict[tuple[str, int], int | None] = {}
        """The usual intervals that were read (`charts.intervals`)."""

    @cached_property
    def _facts(self) -> Sequence[Any]:
        """The state of the roll-ups, and a row for each station of which readings were removed."""
        return self.connection.execute(_FACTS).all()

    @cached_property
    def written_corrections(self) -> tuple[Correction, ...]:
        """The corrections that count as they were written, by their ids."""
        return tuple(map(Correction._make, self.connection.execute(COUNTING)))

    @cached_property
    def corrections(self) -> Corrections:
        """The corrections that count, as segments of time."""
        return resolved(self.written_corrections)

    @cached_property
    def removed(self) -> Mapping[str, Removed]:
        """How much was removed of each station; stations that lost nothing are left out."""
        return {endpoint: Removed(*numbers) for endpoint, *numbers, _, _ in self._facts if endpoint}

    @cached_property
    def rollups(self) -> RollupState:
        """The progress of the roll-ups, and whether they can be used."""
        _, position, last, mark, zone, unfinished = next(row for row in self._facts if not row[0])
        return RollupState(
            progress=RollupProgress(position or 0, last or 0),
            fits=is_mark_of(mark or 0, self.stations),
            zone_of_days=zone if unfinished is None else None,
        )

    @property
    def last_id(self) -> int:
        """The highest id that a reading ever had; 0 before the first one."""
        return self.rollups.progress.of

    @cached_property
    def newest(self) -> Mapping[str, NewestTimes]:
        """The times of each station's newest reading."""
        endpoints = tuple(self.stations.by_endpoint)
        times = iter(self.connection.execute(_newest(endpoints)).one())
        pairs = zip(endpoints, zip(times, times, strict=True), strict=True)
        return {endpoint: NewestTimes(*pair) for endpoint, pair in pairs}

    @cached_property
    def last_received(self) -> Mapping[str, int | None]:
        """When each station sent last, in UTC epoch milliseconds; None when it has no reading.

        A late reading counts by its arrival. If it is not the newest of its station, it is only
        found among the last LATE_SPAN_ROWS readings.
        """
        after = {"after_id": self.last_id - LATE_SPAN_ROWS}
        arrivals = {endpoint: times.arrived_at for endpoint, times in self.newest.items()}
        for endpoint, arrived_at in self.connection.execute(_RECENT_ARRIVALS, after):
            if endpoint in arrivals:
                arrivals[endpoint] = max(arrived_at, arrivals[endpoint] or arrived_at)
        return arrivals


# By the index, the whole table would be read.
_ENDPOINT = unindexed(readings.c.endpoint)
_RECENT_ARRIVALS = (
    select(_ENDPOINT, func.max(ARRIVAL))
    .where(readings.c.id > bindparam("after_id"))
    .group_by(_ENDPOINT)
)
# The first SELECT looks up single rows. Its last column is set while days are being made.
_NO_TEXT = cast(null(), Text)
_FACTS = union_all(
    select(
        _NO_TEXT.label("endpoint"),
        select(followers.c.last_id).where(followers.c.name == rollups.name).scalar_subquery(),
        last_id_of(readings),
        select(counters.c.value).where(counters.c.name == ROLLED_UP).scalar_subquery(),
        select(rollup_zone.c.zone).scalar_subquery(),
        select(rollup_zone.c.after_endpoint).scalar_subquery(),
    ),
    select(
        *(removed.c.endpoint, removed.c.last_id, removed.c.last_ms, removed.c.readings),
        *(_NO_TEXT, _NO_TEXT),
    ),
)


@lru_cache
def _newest(endpoints: tuple[str, ...]) -> Select[Any]:
    """Return the statement for when each station's newest reading was measured and has arrived."""
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
