"""The queue of rejected readings, which the writer's thread stores when good ones leave it time.

Garbage must not take memory, the writer's time or the card from good readings. So few are held,
they are stored a handful at a time with pauses in between, and those that come faster are dropped
and counted. Those of paths that no station has are held and bounded apart from the others.

Each commit raises the note of the queue (`database/queue_notes.py`) by one. By that note the next
try sees whether a commit whose end is unknown was made.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress

from flask10x.config.settings import Settings
from flask10x.database import counters, queue_notes
from flask10x.database.database import Database
from flask10x.database.error_codes import kind_of, reason_of
from flask10x.errors import LockTimeout
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading

log = logging.getLogger(__name__)

# One worker holds up to some hundred readings, or four bodies of the greatest length; and as much
# of paths that no station has.
QUEUE_BYTES = 320 * 1024
# One transaction holds no more, because a good reading has to wait for it.
CHUNK_BYTES = 64 * 1024
# The shortest time between two transactions, and the longest that a lone rejection waits.
PAUSE_SEC = 5.0
# Four stations that send nothing but garbage need some 100 bytes a second. A flood that lasts a
# whole day makes each worker write 700 MB, the WAL included: a card survives years of that.
BYTES_PER_SEC = 4096
# Of paths that no station has. Readings have 100 to 300 bytes.
LATEST_BODY_BYTES = 2000
# Anyone can name any path, and a home rarely adds as many boards at once: lists show the last
# reading of so many paths of each worker, those that have sent last.
PATHS_MAX = 20
# A sender repeats its backlog until the station is there, and has no more readings in it.
KEYS_MAX = 2000


class RejectedQueue:
    """One worker's rejected readings on their way into the table `rejected`.

    Any thread may call `take` and `take_unknown`, only the writer's thread the rest.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], float],
        count: Callable[[str], None] = lambda _endpoint: None,
        queue: str = "",
    ) -> None:
        """For the worker whose readings are in this queue.

        `clock` gives monotonic seconds; `count` is called with the endpoint of each reading of a
        station.
        """
        self._settings = settings
        self._database = database
        self._clock = clock
        self._count = count
        self._name = queue_notes.of_rejected(queue)
        self._lock = threading.Lock()
        self._waiting: deque[RejectedReading] = deque()
        self._waiting_bytes = {False: 0, True: 0}
        # Of each path that no station has the id of its row that lists show, and whether a station
        # could store that; the path that has sent last is the last one.
        self._listed: dict[str, tuple[int, bool]] = {}
        self._keys: dict[str, None] = {}
        self._dropped = 0
        self._not_before_sec = clock()
        self._failing = False
        # The commit that is tried: its readings, how many of the dropped ones it counts, and the
        # note before it; and what lists show of unknown paths after it.
        self._chunk: list[RejectedReading] = []
        self._tried_dropped = 0
        self._noted: int | None = None
        self._listed_then: dict[str, tuple[int, bool]] = {}

    @property
    def depth(self) -> int:
        """How many readings wait to be stored."""
        return len(self._waiting) + len(self._chunk)

    def take(self, reading: RejectedReading) -> None:
        """Take a rejected reading of a station; if there is no room, it is dropped and counted."""
        with self._lock:
            self._count(reading.endpoint)
            if self._has_room(reading):
                self._append(reading)
            else:
                self._dropped += 1

    def take_unknown(self, reading: RejectedReading) -> bool:
        """Take one of a path that no station has; whether lists show one of the path already.

        One for which there is no room, that repeats the key of another, or whose body is over
        LATEST_BODY_BYTES, is not kept.
        """
        with self._lock:
            fits = len(reading.body) <= LATEST_BODY_BYTES and self._has_room(reading)
            if fits and reading.key not in self._keys:
                self._append(reading)
                if reading.key:
                    self._keys[reading.key] = None
                if len(self._keys) > KEYS_MAX:
                    del self._keys[next(iter(self._keys))]
            return reading.endpoint in self._listed

    def step(self) -> None:
        """Store some of the readings that wait, if it is time; errors are logged and retried."""
        if self.depth and self._clock() >= self._not_before_sec:
            size_bytes = self._choose()
            self._store()
            self._not_before_sec = self._clock() + max(PAUSE_SEC, size_bytes / BYTES_PER_SEC)

    def finish(self) -> None:
        """Store all readings that wait, because the process ends; a failure is logged."""
        while self.depth:
            self._choose()
            if not self._store():
                log.error("Stopping with %d refused readings not kept", self.depth)
                return

    def _has_room(self, reading: RejectedReading) -> bool:
        return self._waiting_bytes[reading.is_unknown] + reading.size_bytes <= QUEUE_BYTES

    def _append(self, reading: RejectedReading) -> None:
        self._waiting.append(reading)
        self._waiting_bytes[reading.is_unknown] += reading.size_bytes

    def _choose(self) -> int:
        """Choose what the next commit stores, if none is in doubt; the size of it.

        It is the oldest that wait, at least one.
        """
        with self._lock:
            size_bytes = sum(reading.size_bytes for reading in self._chunk)
            if not self._chunk:
                self._tried_dropped = self._dropped
                while self._waiting:
                    more_bytes = self._waiting[0].size_bytes
                    if self._chunk and size_bytes + more_bytes > CHUNK_BYTES:
                        break
                    size_bytes += more_bytes
                    self._chunk.append(self._waiting.popleft())
            return size_bytes

    def _store(self) -> bool:
        """Commit what was chosen; whether it no longer waits."""
        dropped = self._tried_dropped
        try:
            is_count_due = self._commit()
        except Exception as error:
            self._fail(error)
            if kind_of(error) == "store":
                return False
            self._settle(is_refused=True)
            return True
        self._failing = False
        self._settle()
        if dropped:
            log.warning("%d refused readings were not kept, they came too fast", dropped)
        if is_count_due:
            try:
                # The bounds are looked at without the lock of a commit.
                with self._database.reader.begin() as connection:
                    surplus = rejected.surplus(connection, self._settings)
                if surplus:
                    with self._database.commit() as connection:
                        evicted = rejected.evict(connection, surplus)
                        counters.add(connection, rejected.EVICTED, evicted)
                    if evicted:
                        log.info(
                            "The table of rejected readings is full: the oldest %d are gone",
                            evicted,
                        )
            except Exception as error:
                self._fail(error)
        return True

    def _commit(self) -> bool:
        """Store it, if an earlier try has not; whether the table has to be counted."""
        with self._database.commit() as connection:
            noted = queue_notes.up_to(connection, self._name)
            if self._noted is not None and noted > self._noted:
                return True
            self._noted = noted
            kept = rejected.keep(connection, self._chunk, self._settings)
            unknown = [reading for reading in self._chunk if reading.is_unknown]
            listed, hidden = dict(self._listed), []
            for endpoint in {reading.endpoint for reading in unknown} & listed.keys():
                hidden.append(listed.pop(endpoint))
            for reading in unknown:
                newest = kept.newest[reading.endpoint]
                listed[reading.endpoint] = newest, bool(reading.is_storable)
            while len(listed) > PATHS_MAX:
                hidden.append(listed.pop(next(iter(listed))))
            for number, is_storable in hidden:
                rejected.hide(connection, number, is_storable=is_storable)
            self._listed_then = listed
            counters.add(connection, rejected.DROPPED, self._tried_dropped)
            queue_notes.note(connection, self._name, noted, noted + 1)
        return kept.is_count_due

    def _settle(self, *, is_refused: bool = False) -> None:
        """Forget what was tried: it is stored, or the database refuses it."""
        with self._lock:
            chunk, self._chunk, self._noted = self._chunk, [], None
            for reading in chunk:
                self._waiting_bytes[reading.is_unknown] -= reading.size_bytes
                if is_refused:
                    self._keys.pop(reading.key, None)
            if is_refused:
                self._dropped += Counter(reading.is_unknown for reading in chunk)[False]
            else:
                self._dropped -= self._tried_dropped
                self._listed = self._listed_then

    def _fail(self, error: Exception) -> None:
        if not self._failing:
            log.error("Cannot keep refused readings: %s", reason_of(error))
        self._failing = True
        if not isinstance(error, LockTimeout):
            with suppress(LockTimeout):
                self._database.forget()
