"""Refused readings of endpoints that no station has: of each the newest, and no more.

They are kept for whoever adds the station. A board with a wrong address sends for months, and
strangers can name any endpoint. So each worker keeps few, and puts the next one into the same row
of the table `rejected`: they never make its other rows go.
"""

import threading
from collections.abc import Collection

from sqlalchemy import Connection, select

from flask10x.config.settings import Settings
from flask10x.database import tables
from flask10x.recording import rejected
from flask10x.recording.rejected import Kept, Refused

# A house rarely adds as many boards between two starts of a worker.
ENDPOINTS_MAX = 20
# Readings have 100 to 300 bytes.
LATEST_BODY_BYTES = 2000


class LatestRefused:
    """One worker's; `take` may be called from any thread, the rest belongs to the writer's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Refused] = {}
        # Endpoint -> id of its row; None before it has one.
        self._rows: dict[str, int | None] = {}
        self._stored: list[tuple[Refused, int]] = []

    @property
    def size_bytes(self) -> int:
        """What those take in the file that wait to be stored; 0 when none waits."""
        with self._lock:
            return sum(refused.size_bytes for refused in self._waiting.values())

    def take(self, refused: Refused) -> bool:
        """Take a refused reading in place of the one before.

        Returns False when it is of one endpoint too many since the worker started. A body over
        LATEST_BODY_BYTES is not kept.
        """
        with self._lock:
            if refused.endpoint not in self._rows and len(self._rows) >= ENDPOINTS_MAX:
                return False
            self._rows.setdefault(refused.endpoint, None)
            if len(refused.body) <= LATEST_BODY_BYTES:
                self._waiting[refused.endpoint] = refused
            return True

    def store(self, connection: Connection, settings: Settings) -> int:
        """Put those that wait into the table; the number of older rows that had to go."""
        with self._lock:
            waiting = [*self._waiting.values()]
        evicted, stored = 0, []
        # A commit that has failed may have been made all the same.
        tried = {
            refused.endpoint: number
            for refused, number in self._stored
            if rejected.holds(connection, number, refused)
        }
        for refused in waiting:
            row = tried.get(refused.endpoint, self._rows[refused.endpoint])
            number, gone = rejected.keep_latest(connection, refused, row, settings)
            stored.append((refused, number))
            evicted += gone
        self._stored = stored
        return evicted

    def settle(self) -> None:
        """Forget those that were stored, for they are committed."""
        with self._lock:
            for refused, number in self._stored:
                self._rows[refused.endpoint] = number
                if self._waiting.get(refused.endpoint) is refused:
                    del self._waiting[refused.endpoint]
        self._stored = []

    def forget(self) -> None:
        """Forget all that wait, for the database takes none."""
        with self._lock:
            self._waiting.clear()


def newest(connection: Connection, stations: Collection[str]) -> Kept | None:
    """The last body that came for none of these stations, or None when none is kept."""
    columns = tables.rejected.c
    others = select(columns.endpoint).where(columns.endpoint.not_in(stations))
    latest = others.order_by(columns.received_at.desc(), columns.id.desc()).limit(1)
    endpoint = connection.execute(latest).scalar_one_or_none()
    return None if endpoint is None else rejected.latest(connection, endpoint)
