"""Repeats: whether a reading with some key was accepted before, as far as it is known at once.

Only an answer depends on it: what is a duplicate is decided when it would be stored
(`accepted_keys`), and a repeat that is not recognised here is found there. Whoever waits for a
commit need not ask: the receipt says it, and a reading that only waits is not yet committed.
"""

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from flask10x.database.engine import Database
from flask10x.recording import accepted_keys, leftover_file
from flask10x.recording.accepted_keys import is_repeat
from flask10x.recording.entry import Entry
from flask10x.recording.shared_queue import SharedQueue, SharedQueues
from flask10x.system import clock


class Repeats:
    """What one worker knows of keys; its methods may be called from any thread."""

    def __init__(self, database: Database, queues: SharedQueues) -> None:
        """Nothing is opened or read yet."""
        self._database = database
        self._queues = queues
        self._lock = threading.Lock()
        self._waiting: dict[int, QueueKeys] = {}
        self._files: dict[Path, dict[str, int]] = {}

    def is_known(self, key: str, repeat_window_ms: int = 0) -> bool:
        """Whether a reading that comes now repeats one that waits or is stored.

        The key and the window are those of `Writer.submit`. False also when nobody can say.
        """
        return bool(self.known({key: repeat_window_ms}))

    def known(self, windows: Mapping[str, int]) -> set[str]:
        """Those of these keys of which `is_known` holds, each with its window; for a batch."""
        now_ms = clock.now_ms()

        def repeated(accepted_ms: Mapping[str, int]) -> set[str]:
            return {
                key
                for key, window_ms in windows.items()
                if is_repeat(accepted_ms.get(key), now_ms, window_ms)
            }

        # In this order, which is that of a reading's way: from a queue to a file, from either into
        # the table. So it is not missed while it goes on.
        found: set[str] = set()
        with suppress(OSError), self._lock:
            for accepted_ms in chain(self._in_queues(), self._in_files()):
                found |= repeated(accepted_ms)
        if asked := windows.keys() - found:
            found |= repeated(self._stored(asked))
        return found

    def _in_queues(self) -> Iterable[Mapping[str, int]]:
        """When what waits in each queue came, by its keys."""
        numbers = self._queues.not_empty()
        self._waiting = {number: self._waiting.get(number) or QueueKeys() for number in numbers}
        for number, keys in self._waiting.items():
            keys.follow(self._queues[number])
            yield keys.arrived_at

    def _in_files(self) -> Iterable[Mapping[str, int]]:
        """When what lies in each file came; a file is read once, also one without keys."""
        known = self._files
        self._files = {
            path: known[path] if path in known else _keys_in(path)
            for path in leftover_file.waiting(self._database.path.parent)
        }
        yield from self._files.values()

    def _stored(self, keys: Iterable[str]) -> dict[str, int]:
        try:
            with self._database.reader.begin() as connection:
                return accepted_keys.accepted(connection, list(keys))
        except SQLAlchemyError:
            return {}


class QueueKeys:
    """The keys of what waits in one queue; reads each entry once."""

    def __init__(self) -> None:
        self.arrived_at: dict[str, int] = {}
        """When the entry with each key came, in UTC epoch milliseconds."""
        self._numbers: dict[str, int] = {}
        self._last = 0

    def follow(self, queue: SharedQueue) -> None:
        """Add what was appended since the last call, and forget what is settled."""
        # In this order: what is settled after this is in the table when that is asked.
        settled, last = queue.marks.settled, queue.marks.appended
        for entry in queue.keyed(max(self._last, settled) + 1, last):
            if _accept(self.arrived_at, entry):
                # Those of the lowest numbers stay in front.
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
    found: dict[str, int] = {}
    try:
        for entry in leftover_file.entries_of(path):
            if entry.key:
                _accept(found, entry)
    except (OSError, ValueError):
        # Another worker has stored and removed it, or nobody can store it as it is: then what is
        # sent again had better be stored.
        return {}
    return found


def _accept(arrived_at: dict[str, int], entry: Entry) -> bool:
    """Add the entry, unless it is itself a repeat that will not be stored."""
    if is_repeat(arrived_at.get(entry.key), entry.arrived_at, entry.repeat_window_ms):
        return False
    arrived_at[entry.key] = entry.arrived_at
    return True
