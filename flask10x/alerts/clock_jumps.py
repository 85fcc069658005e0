"""Jumps of the wall clock: what was written by the wrong time is moved to the right one.

A Pi has no battery for its clock. It boots with the time of its last shutdown, or with 1970, and is
set right once the network is there. An alert of that first minute would be days old at once, and a
mute of an hour would be over. So the file says how far the wall clock was ahead of CLOCK_MONOTONIC,
which cannot be set; when that has changed, every time that was written since the boot goes along.
"""

from sqlalchemy import Column, ColumnElement, Connection, delete, insert, select, update

from flask10x.alerts import state_file
from flask10x.alerts.alert import Moment
from flask10x.system import clock

# The system steps its clock by less than that every now and then; no shown time changes by it.
JUMP_MS = 10_000
# Between two looks at one clock; a process that stood still meanwhile looks again.
LOOK_MS = 1000


def moment() -> Moment:
    """Now by both clocks, which were looked at together."""
    while True:
        before_ms, wall_ms, after_ms = clock.monotonic_ms(), clock.now_ms(), clock.monotonic_ms()
        if after_ms - before_ms <= LOOK_MS:
            return Moment(wall_ms, after_ms)


class WallClock:
    """Which clock the file goes by, as one process knows it."""

    def __init__(self, boot: str) -> None:
        """Nothing is read yet. `boot` is that of `clock.boot_id`.

        Where it is empty only a jump under a running service is noticed.
        """
        self._boot = boot
        self._ahead_ms: int | None = None

    def has_jumped(self, now: Moment) -> bool:
        """Whether the file has to follow first; true before the first `follow`."""
        return self._ahead_ms is None or abs(_ahead_ms(now) - self._ahead_ms) > JUMP_MS

    def forget(self) -> None:
        """The file may be another one."""
        self._ahead_ms = None

    def follow(self, connection: Connection, now: Moment) -> int:
        """Move the times of this boot to the clock of now; by how many milliseconds, mostly 0.

        Writes only when something has changed; the caller's transaction makes it one step.
        """
        ahead_ms = self._ahead_ms if not self._boot else self._written(connection)
        moved_ms = 0
        if ahead_ms is not None and abs(_ahead_ms(now) - ahead_ms) > JUMP_MS:
            moved_ms = _ahead_ms(now) - ahead_ms
            _move(connection, ahead_ms, ahead_ms + now.monotonic_ms, moved_ms)
        if ahead_ms is None or moved_ms:
            ahead_ms = _ahead_ms(now)
            connection.execute(delete(state_file.clocks))
            connection.execute(insert(state_file.clocks).values(boot=self._boot, ahead_ms=ahead_ms))
        self._ahead_ms = ahead_ms
        return moved_ms

    def _written(self, connection: Connection) -> int | None:
        c = state_file.clocks.c
        query = select(c.ahead_ms).where(c.boot == self._boot)
        return connection.execute(query).scalar_one_or_none()


def _ahead_ms(now: Moment) -> int:
    return now.wall_ms - now.monotonic_ms


def _move(connection: Connection, booted_ms: int, until_ms: int, by_ms: int) -> None:
    """Add to every time between these two: CLOCK_MONOTONIC begins with the boot."""

    def is_of_this_boot(column: Column[int]) -> ColumnElement[bool]:
        return column.between(booted_ms, until_ms)

    alerts, messages, mutes = state_file.alerts.c, state_file.messages.c, state_file.mutes.c
    # What is still to come was reckoned from when it was made, so it goes along with that.
    for table, one, later in (
        (state_file.messages, messages.created_ms, messages.due_ms),
        (state_file.mutes, mutes.created_ms, mutes.until_ms),
    ):
        moved = {later.name: later + by_ms}
        connection.execute(update(table).where(is_of_this_boot(one)).values(moved))
    for column in (
        *(alerts.since_ms, alerts.entered_ms, alerts.ended_ms, alerts.reminded_ms),
        *(messages.created_ms, messages.settled_ms, mutes.created_ms),
    ):
        moved = {column.name: column + by_ms}
        connection.execute(update(column.table).where(is_of_this_boot(column)).values(moved))
