"""Jumps of the wall clock: times that were written by a wrong clock are corrected.

A Pi has no battery for its clock. It boots with the time of its last shutdown, or with 1970, and is
set right once the network is there. An alert of that first minute would be days old at once, and a
mute of an hour would be over. So the file stores how far the wall clock was ahead of
CLOCK_MONOTONIC, which cannot be set. When that difference changes, every time that was written
since the boot is moved by the same amount.
"""

from sqlalchemy import Column, ColumnElement, Connection, delete, insert, select, update

from flask10x.alerts import state_file
from flask10x.alerts.alert import Moment
from flask10x.system import clock

# The system corrects its clock by less than this now and then, which no shown time depends on.
JUMP_MS = 10_000
# The longest time between reading the two clocks; a process that was paused longer reads them
# again.
LOOK_MS = 1000


def moment() -> Moment:
    """Return the current time of both clocks, read at the same moment."""
    while True:
        before_ms, wall_ms, after_ms = clock.monotonic_ms(), clock.now_ms(), clock.monotonic_ms()
        if after_ms - before_ms <= LOOK_MS:
            return Moment(wall_ms, after_ms)


class WallClock:
    """The clock that the times of the state file were written by, as one process knows it."""

    def __init__(self, boot: str) -> None:
        """Read nothing yet. `boot` is the value of `clock.boot_id`.

        Where it is empty, only a jump under a running service is noticed.
        """
        self._boot = boot
        self._ahead_ms: int | None = None

    def has_jumped(self, now: Moment) -> bool:
        """Whether `follow` has to be called first; true before its first call."""
        return self._ahead_ms is None or abs(_ahead_ms(now) - self._ahead_ms) > JUMP_MS

    def forget(self) -> None:
        """Forget the clock of the file, which may have been replaced."""
        self._ahead_ms = None

    def follow(self, connection: Connection, now: Moment) -> int:
        """Move the times of this boot to the current clock and return by how many milliseconds.

        Writes only when something has changed, within the transaction of the caller.
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
    """Add `by_ms` to every time from the boot until `until_ms`."""

    def is_of_this_boot(column: Column[int]) -> ColumnElement[bool]:
        return column.between(booted_ms, until_ms)

    alerts, messages, mutes = state_file.alerts.c, state_file.messages.c, state_file.mutes.c
    # A time in the future was computed from that of its creation, so it moves with that.
    for table, created, later in (
        (state_file.messages, messages.created_ms, messages.due_ms),
        (state_file.mutes, mutes.created_ms, mutes.until_ms),
    ):
        moved = {later.name: later + by_ms}
        connection.execute(update(table).where(is_of_this_boot(created)).values(moved))
    for column in (
        *(alerts.since_ms, alerts.entered_ms, alerts.ended_ms, alerts.reminded_ms),
        *(messages.created_ms, messages.settled_ms, mutes.created_ms),
    ):
        moved = {column.name: column + by_ms}
        connection.execute(update(column.table).where(is_of_this_boot(column)).values(moved))
