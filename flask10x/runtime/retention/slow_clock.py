"""A clock for what can't be undone: it is never ahead of the wall clock, and never hurries.

A Pi has no battery for its clock. One that is set years ahead by mistake would make all readings
old at once. So this one follows it at twice its pace at most, by the monotonic clock, and goes on
after a start from where it was. Behind a clock that was mended, or after months without power, it
is late for as long again: then readings stay a little longer.
"""

from collections.abc import Callable

from sqlalchemy import Connection, func, select

from flask10x.database import counters
from flask10x.database.engine import Database
from flask10x.database.tables import exports

# Where it is kept: UTC epoch milliseconds.
NAME = "retention.clock_ms"
PACE = 2
# What a start of the service may set it back; each time is a commit.
SAVE_EVERY_MS = 3_600_000


class SlowClock:
    """The clock of the process that removes readings."""

    def __init__(
        self, database: Database, now_ms: Callable[[], int], monotonic_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._monotonic_ms = monotonic_ms
        self._at_ms: int | None = None
        self._saved_ms = 0
        self._read_at_ms = 0

    def read(self) -> int:
        """UTC epoch milliseconds; 0 while nothing was ever exported.

        Raises what reading and committing raise.
        """
        now_ms, monotonic_ms = self._now_ms(), self._monotonic_ms()
        if self._at_ms is None:
            first = self._first(now_ms)
            if not first:
                return 0
            self._at_ms = self._saved_ms = first
        elif self._at_ms < now_ms:
            passed_ms = monotonic_ms - self._read_at_ms
            self._at_ms = min(now_ms, self._at_ms + PACE * passed_ms)
        self._read_at_ms = monotonic_ms
        if self._at_ms - self._saved_ms >= SAVE_EVERY_MS:
            self._save(self._at_ms)
        return min(now_ms, self._at_ms)

    def _first(self, now_ms: int) -> int:
        with self._database.reader.begin() as connection:
            saved = counters.value_of(connection, NAME)
            first = saved or min(now_ms, _last_exported_ms(connection))
        if first and not saved:
            self._save(first)
        return first

    def _save(self, at_ms: int) -> None:
        with self._database.commit() as connection:
            counters.raise_to(connection, NAME, at_ms)
        self._saved_ms = at_ms


def _last_exported_ms(connection: Connection) -> int:
    """When the newest exported reading came: the log's own word for what time it is."""
    query = select(func.max(exports.c.last_received_at))
    return connection.execute(query).scalar_one() or 0
