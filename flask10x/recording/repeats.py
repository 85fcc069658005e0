"""Repeats: whether a reading with some key was accepted before, as far as it is known at once.

Only an answer depends on it: what is a duplicate is decided when it would be stored
(`accepted_keys`), and a repeat that is not recognised here is found there. Whoever waits for a
commit need not ask: the receipt says it, and a reading that only waits is not yet committed.
"""

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from flask10x.database import dialects
from flask10x.database.database import Database
from flask10x.database.expressions import upsert
from flask10x.database.tables import accepted_keys
from flask10x.recording.entry import Entry, entries_of, leftover_files
from flask10x.recording.shared_queue import SharedQueue, SharedQueues
from flask10x.system import clock

# Keys of readings: by them a repeat is known, whichever worker it comes to.
#
# A sender gives a key with a reading when it may send it again because it has not heard the
# answer. The transaction that stores the reading keeps the key in the table `accepted_keys`, so
# there is one exactly when there is the other.
#
# The table is bounded: keys belong to generations, and those of the newest two are known. When the
# newest one has IDEMPOTENCY_MAX_ROWS the next one begins, and what is older than two goes a piece
# at a time with the commits that follow, twice as fast as new ones come. How many the newest one
# has is kept where the engine keeps the last id of a table, a page that each INSERT of a reading
# changes anyway (`database/queue_notes.py`).

# 128 bits: no two keys ever have the same digest, also among those that somebody has thought out.
DIGEST_BYTES = 16
# SQLite takes 32,766 parameters in one statement (https://www.sqlite.org/limits.html#max_variable_number).
KEYS_A_QUERY = 10_000
# The least that a commit with keys removes of those that have had their time.
GONE_ROWS_MIN = 100
# No table has a name like this.
_COUNT = "accepted keys"


def key_of(endpoint: str, given: bytes) -> str:
    """The key of a reading of this station for which its sender has given these bytes.

    It has 32 hexadecimal digits, and is what `Writer.submit` takes.
    """
    return _digest(b"key", endpoint, given)


def key_of_body(endpoint: str, body: bytes) -> str:
    """The key of a reading that is known by its body alone; no sender's key is the same."""
    return _digest(b"body", endpoint, body)


def is_repeat(accepted_ms: int | None, now_ms: int, window_ms: int) -> bool:
    """Whether a reading that comes now repeats the one with its key that came then.

    `window_ms` is that of `Entry`. Both sides count: a clock may have been set back in between.
    """
    if accepted_ms is None:
        return False
    return not window_ms or abs(now_ms - accepted_ms) < window_ms


def accepted_ms_by_key(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """When the last reading with each of these keys came, in UTC epoch milliseconds.

    Keys that are not known are left out. Raises sqlalchemy.exc.DBAPIError.
    """
    return {row.digest.hex(): row.at for row in _rows(connection, keys)}


class AcceptedKeys:
    """What one transaction knows of the keys of its entries, and adds to them."""

    def __init__(self, connection: Connection, keys: Collection[str]) -> None:
        """Of entries with these keys, "" for none. Without one it asks and writes nothing."""
        self._connection = connection
        rows = list(_rows(connection, filter(None, keys)))
        self._accepted_ms = {row.digest.hex(): row.at for row in rows}
        self._generations = {row.digest.hex(): row.generation for row in rows}
        self._new: dict[str, int] = {}

    def has(self, entry: Entry) -> bool:
        """Whether the entry repeats a reading that is stored, or that was added here."""
        if not entry.key:
            return False
        accepted_ms = self._accepted_ms.get(entry.key)
        return is_repeat(accepted_ms, entry.arrived_at, entry.repeat_window_ms)

    def add(self, entry: Entry) -> None:
        """After the entry was stored."""
        if entry.key:
            self._accepted_ms[entry.key] = self._new[entry.key] = entry.arrived_at

    def write(self, rows_max: int) -> None:
        """Keep the keys that were added; `rows_max` fill a generation."""
        if not self._new:
            return
        generation = self._connection.execute(_NEWEST).scalar_one() or 0
        count = _count(self._connection)
        if count >= rows_max:
            generation, count = generation + 1, 0
        rows = [
            {"generation": generation, "digest": bytes.fromhex(key), "at": at}
            for key, at in self._new.items()
        ]
        self._connection.execute(_KEEP, rows)
        renewed = sum(self._generations.get(key) == generation for key in self._new)
        _note_count(self._connection, count + len(rows) - renewed)
        gone_rows = max(GONE_ROWS_MIN, 2 * len(rows))
        self._connection.execute(_REMOVE, {"before": generation - 1, "rows_max": gone_rows})


# Made once: to put one together takes longer than SQLite takes for it.
_COLUMNS = accepted_keys.c
_PRIMARY_KEY = (_COLUMNS.generation, _COLUMNS.digest)
_NEWEST = select(func.max(_COLUMNS.generation))
_OF_TWO = [_NEWEST.scalar_subquery(), _NEWEST.scalar_subquery() - 1]
_FIND = (
    select(*_PRIMARY_KEY, _COLUMNS.at)
    .where(
        _COLUMNS.generation.in_(_OF_TWO), _COLUMNS.digest.in_(bindparam("digests", expanding=True))
    )
    .order_by(_COLUMNS.generation)
)
_KEEP = upsert(accepted_keys)
_GONE = select(*_PRIMARY_KEY).where(_COLUMNS.generation < bindparam("before"))
_REMOVE = delete(accepted_keys).where(tuple_(*_PRIMARY_KEY).in_(_GONE.limit(bindparam("rows_max"))))


def _rows(connection: Connection, keys: Iterable[str]) -> Iterator[Any]:
    """The rows of these keys, those of the newest generation last."""
    left = iter(keys)
    while some := [bytes.fromhex(key) for key in islice(left, KEYS_A_QUERY)]:
        yield from connection.execute(_FIND, {"digests": some})


def _count(connection: Connection) -> int:
    """How many keys the newest generation has."""
    return dialects.of(connection).sequence(connection, _COUNT)


def _note_count(connection: Connection, count: int) -> None:
    dialects.of(connection).set_sequence(connection, _COUNT, count)


def _digest(kind: bytes, endpoint: str, content: bytes) -> str:
    whole = endpoint.encode() + b"\0" + content
    return blake2b(whole, digest_size=DIGEST_BYTES, person=kind).hexdigest()


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
            for path in leftover_files(self._database.path.parent)
        }
        yield from self._files.values()

    def _stored(self, keys: Iterable[str]) -> dict[str, int]:
        try:
            with self._database.reader.begin() as connection:
                return accepted_ms_by_key(connection, list(keys))
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
        for entry in entries_of(path):
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
