"""New readings, told to the open pages of a process, whichever process or host has stored them.

While a page is open, a thread reads the counter of the log twice a second: one short query from
memory for all pages of the process, and nothing that reaches the card. Without a page there is no
thread. A page learns of a commit within 2 s, its own request included.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.tables import readings
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS, Guard

# A quarter of the 2 s; the rest is for the page, which asks for what it shows.
LOOK_EVERY_SEC = 0.5
# Of more rows at once, those of an import, the stations are not looked up.
NAMED_ROWS = 1000


@dataclass(frozen=True, slots=True)
class News:
    """What the last look has found."""

    last_id: int
    """The newest reading's."""
    after_id: int
    """That of the look before."""
    stations: tuple[str, ...] | None
    """Whose readings came in between; None for any."""


class Follower:
    """One open page: it waits for news, and ends when its client has gone or the process stops.

    A server whose requests are greenlets passes an event of its own kind, and a function by which
    another thread sets it.
    """

    is_ended = False

    def __init__(
        self, event: threading.Event | None = None, wake: Callable[[], object] | None = None
    ) -> None:
        self._event = event or threading.Event()
        self.wake = wake or self._event.set
        """Let `wait` return; any thread may call it."""

    def wait(self, timeout_sec: float) -> None:
        """Return when it was woken since the last call, or after this time."""
        self._event.wait(timeout_sec)
        self._event.clear()

    def end(self) -> None:
        """Let it end; only the thread that waits, or one of a server's main loop, calls it."""
        self.is_ended = True
        self._event.set()


class NewReadings:
    """Looks for new readings while somebody follows them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._followers: set[Follower] = set()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.news: News | None = None
        """What was found last; None before the first look."""

    @property
    def number(self) -> int:
        """How many follow."""
        return len(self._followers)

    @contextmanager
    def followed_by(self, follower: Follower) -> Iterator[None]:
        """In the block the follower is woken for news. Raises RuntimeError without a thread."""
        try:
            with self._lock:
                self._followers.add(follower)
                if self._thread is None and not self._stop.is_set():
                    thread = threading.Thread(target=self._run, name="new readings", daemon=True)
                    thread.start()
                    self._thread = thread
            yield
        finally:
            with self._lock:
                self._followers.discard(follower)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if (thread := self._thread) is not None:
            thread.join()

    def _run(self) -> None:
        guard = Guard(self.look, "New readings cannot be looked for")
        while True:
            with self._lock:
                if not self._followers or self._stop.is_set():
                    self._thread, self.news = None, None
                    return
            guard.run()
            self._stop.wait(LOOK_EVERY_SEC)

    def look(self) -> None:
        """Look once; a database that can't be read is the matter of others, and has no news."""
        try:
            news = self._newer()
        except DATABASE_ERRORS:
            return
        if news is None:
            return
        self.news = news
        with self._lock:
            for follower in self._followers:
                follower.wake()

    def _newer(self) -> News | None:
        with self._database.query() as connection:
            head = last_id(connection)
            if self.news is None:
                return News(head, head, ())
            after = self.news.last_id
            if head == after:
                return None
            if not 0 < head - after <= NAMED_ROWS:
                return News(head, after, None)
            stations = connection.execute(_STATIONS, {"after": after, "until": head}).scalars()
            return News(head, after, tuple(stations))


_STATIONS = (
    select(readings.c.endpoint)
    .distinct()
    .where(readings.c.id > bindparam("after"), readings.c.id <= bindparam("until"))
    .order_by(readings.c.endpoint)
)
