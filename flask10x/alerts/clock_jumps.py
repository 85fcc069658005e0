"""Jumps of the wall clock: times that were written by a wrong clock are corrected.

A Pi has no battery for its clock. It boots with the time of its last shutdown, or with 1970, and is
set right once the network is there. An alert of that first minute would be days old at once, and a
mute of an hour would be over. So the watcher compares the wall clock with CLOCK_MONOTONIC, which
cannot be set. When the difference changes, every time that was written since the boot is moved by
the same amount.
"""

from sqlalchemy import Column, ColumnElement, Connection, update

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


def move(connection: Connection, now: Moment, by_ms: int) -> None:
    """Add `by_ms`, by which the wall clock was set, to every time since the boot until now."""
    before_ms = now.wall_ms - by_ms

    def is_of_this_boot(column: Column[int]) -> ColumnElement[bool]:
        return column.between(before_ms - now.monotonic_ms, before_ms)

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
