"""Repeats: whether a reading with some key was accepted before, by an answer without a commit.

The transaction that stores a reading decides whether it is a duplicate (`accepted_keys.py`). This
only serves the answer that does not wait for the commit; a repeat that it misses is recognised in
the transaction. A request that waits for its commit gets it from the receipt.
"""

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from flask10x.database.database import Database
from flask10x.recording.accepted_keys import accepted_ms_by_key, is_repeat
from flask10x.recording.entry import Entry, entries_of, leftover_files
from flask10x.recording.shared_queue import SharedQueue, SharedQueues
from flask10x.system import clock


class Repeats:
    """Recognises repeats in one worker; any thread may call its methods."""

    def __init__(self, database: Database, queues: SharedQueues) -> None:
        """Nothing is opened or read yet."""
        self._database = database
        self._queues = queues
        self._lock = threading.Lock()
        self._waiting: dict[int, QueueKeys] = {}
        self._files: dict[Path, dict[str, int]] = {}

    def among(self, windows: Mapping[str, int]) -> set[str]:
        """The keys of readings that, if they come now, repeat one that waits or is stored.

        Each key has its window, as in `Writer.submit`. A key that cannot be looked up is left out.
        """
        now_ms = clock.now_ms()
        repeats: set[str] = set()

        def look(accepted_ms: Mapping[str, int]) -> None:
            for key, window_ms in windows.items():
                if is_repeat(accepted_ms.get(key), now_ms, window_ms):
                    repeats.add(key)

        # In the order in which a reading moves, from a queue to a file and from either into the
        # table, so that it is not missed while it moves.
        with suppress(OSError), self._lock:
            numbers = self._queues.not_empty()
            self._waiting = {number: self._waiting.get(number) or QueueKeys() for number in numbers}
            for number, keys in self._waiting.items():
                keys.follow(self._queues[number])
                look(keys.arrived_at)
            # A file is read once, even one without keys.
            former = self._files
            self._files = {
                path: former[path] if path in former else _keys_in(path)
                for path in leftover_files(self._database.path.parent)
            }
            for accepted_ms in self._files.values():
                look(accepted_ms)
        if remaining := windows.keys() - repeats:
            with suppress(SQLAlchemyError), self._database.reader.begin() as connection:
                look(accepted_ms_by_key(connection, remaining))
        return repeats


class QueueKeys:
    """The keys of the entries that wait in one queue; each entry is read once."""

    def __init__(self) -> None:
        self.arrived_at: dict[str, int] = {}
        """When the entry with each key came, in UTC epoch milliseconds."""
        self._numbers: dict[str, int] = {}
        self._last = 0

    def follow(self, queue: SharedQueue) -> None:
        """Add the entries since the last call, and forget the settled ones."""
        # In this order: an entry that is settled later is in the table when that is read.
        settled, last = queue.marks.settled, queue.marks.appended
        for entry in queue.keyed(max(self._last, settled) + 1, last):
            if _accept(self.arrived_at, entry):
                # The lowest numbers stay in front.
                self._numbers.pop(entry.key, None)
                self._numbers[entry.key] = entry.number
        self._last = last
        while self._numbers:
            key, number = next(iter(self._numbers.items()))
            if number > settled:
                return
            del self._numbers[key], self.arrived_at[key]


def _keys_in(path: Path) -> dict[str, int]:
    """When the entries of a file came, by their keys; none if it can't be read to its end."""
    arrived_at: dict[str, int] = {}
    try:
        for entry in entries_of(path):
            if entry.key:
                _accept(arrived_at, entry)
    except (OSError, ValueError):
        # Another worker has stored and removed the file, or it can't be stored as it is: then a
        # reading that is sent again had better be stored.
        return {}
    return arrived_at


def _accept(arrived_at: dict[str, int], entry: Entry) -> bool:
    """Add the entry, unless it is itself a repeat that will not be stored."""
    if is_repeat(arrived_at.get(entry.key), entry.arrived_at, entry.repeat_window_ms):
        return False
    arrived_at[entry.key] = entry.arrived_at
    return True
