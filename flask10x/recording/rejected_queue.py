"""The queue of refused readings, which the writer's thread stores when good ones leave it time.

Garbage must not cost what good readings need: memory, the writer's time, the card. So few are
held, they are stored a handful at a time with pauses in between, and what comes faster than that
is dropped and counted.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import counters
from flask10x.database.engine import Database
from flask10x.database.error_codes import kind_of, reason_of
from flask10x.errors import LockTimeout
from flask10x.recording import rejected
from flask10x.recording.latest_refused import LatestRefused
from flask10x.recording.rejected import Refused

log = logging.getLogger(__name__)

# What may wait in one worker: some hundred readings, or four bodies of the greatest length.
QUEUE_BYTES = 320 * 1024
# What one transaction may hold: a good reading has to wait for it.
CHUNK_BYTES = 64 * 1024
# The least time between two transactions, and the longest that a lone refusal waits.
PAUSE_SEC = 5.0
# Four stations that send nothing but garbage need some 100 bytes a second. A flood that goes on
# for a whole day makes each worker write 700 MB, the WAL included: a card outlives years of that.
BYTES_PER_SEC = 4096


@dataclass(frozen=True, slots=True)
class _Tried:
    """A commit that has failed, and may have been made all the same: it is repeated as it was."""

    chunk: list[Refused] = field(default_factory=list)
    dropped: int = 0
    newest: int = 0
    """The id that the last of them has, if it was made."""

    def is_made(self, connection: Connection) -> bool:
        """Whether the last of them is in the row of that id."""
        return bool(self.chunk) and rejected.holds(connection, self.newest, self.chunk[-1])


class RejectedQueue:
    """One worker's refused readings on their way into the table `rejected`.

    `take` may be called from any thread, the rest belongs to the writer's. Those that no station
    has are its `latest`.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], float],
        count: Callable[[str], None] = lambda _endpoint: None,
    ) -> None:
        """`clock` gives monotonic seconds; `count` is called once for each that is taken."""
        self._settings = settings
        self._database = database
        self._clock = clock
        self._count = count
        self._lock = threading.Lock()
        self._waiting: deque[Refused] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._not_before_sec = clock()
        self._failing = False
        self._tried = _Tried()
        self.latest = LatestRefused()

    @property
    def depth(self) -> int:
        """How many wait to be stored."""
        return len(self._waiting)

    def take(self, refused: Refused) -> None:
        """Take a refused reading; when there is no room it is dropped and counted."""
        with self._lock:
            self._count(refused.endpoint)
            if self._waiting_bytes + refused.size_bytes > QUEUE_BYTES:
                self._dropped += 1
                return
            self._waiting.append(refused)
            self._waiting_bytes += refused.size_bytes

    def step(self) -> None:
        """Store some of those that wait, if it is time; errors are logged, and tried again."""
        latest_bytes = self.latest.size_bytes
        if not (self._waiting or latest_bytes) or self._clock() < self._not_before_sec:
            return
        chunk, size_bytes = self._chunk()
        self._store(chunk, size_bytes)
        size_bytes += latest_bytes
        self._not_before_sec = self._clock() + max(PAUSE_SEC, size_bytes / BYTES_PER_SEC)

    def finish(self) -> None:
        """Store all that wait, because the process ends; what fails is logged and lost."""
        while self._waiting or self.latest.size_bytes:
            if not self._store(*self._chunk()):
                log.error("Stopping with %d refused readings not kept", self.depth)
                return

    def _chunk(self) -> tuple[list[Refused], int]:
        """The oldest of those that wait, at least one if any does, and their bytes."""
        if tried := self._tried.chunk:
            return tried, sum(refused.size_bytes for refused in tried)
        chunk: list[Refused] = []
        size_bytes = 0
        with self._lock:
            for refused in self._waiting:
                if chunk and size_bytes + refused.size_bytes > CHUNK_BYTES:
                    break
                chunk.append(refused)
                size_bytes += refused.size_bytes
        return chunk, size_bytes

    def _store(self, chunk: list[Refused], size_bytes: int) -> bool:
        dropped = self._tried.dropped if self._tried.chunk else self._dropped
        if not chunk:
            # No row would tell whether they were counted.
            dropped = 0
        try:
            evicted = self._commit(chunk, dropped)
        except Exception as error:
            self._fail(error)
            if kind_of(error) == "store":
                return False
            self._tried = _Tried()
            self._settle(chunk, size_bytes, dropped=-len(chunk))
            self.latest.forget()
            return True
        self._failing, self._tried = False, _Tried()
        self.latest.settle()
        self._settle(chunk, size_bytes, dropped)
        if dropped:
            log.warning("%d refused readings were not kept, they came too fast", dropped)
        if evicted:
            log.info("The table of rejected readings is full: the oldest %d are gone", evicted)
        return True

    def _commit(self, chunk: list[Refused], dropped: int) -> int:
        with self._database.commit() as connection:
            if self._tried.is_made(connection):
                return 0
            evicted = 0
            if chunk:
                evicted = rejected.keep(connection, chunk, self._settings)
                self._tried = _Tried(chunk, dropped, rejected.newest_id(connection))
            evicted += self.latest.store(connection, self._settings)
            counters.add(connection, rejected.DROPPED, dropped)
            counters.add(connection, rejected.EVICTED, evicted)
        return evicted

    def _settle(self, chunk: list[Refused], size_bytes: int, dropped: int) -> None:
        """Forget a chunk that is stored; `dropped` of the count is saved, or more when negative."""
        with self._lock:
            for _ in chunk:
                self._waiting.popleft()
            self._waiting_bytes -= size_bytes
            self._dropped -= dropped

    def _fail(self, error: Exception) -> None:
        if not self._failing:
            log.error("Cannot keep refused readings: %s", reason_of(error))
        self._failing = True
        if not isinstance(error, LockTimeout):
            with suppress(LockTimeout):
                self._database.forget()
