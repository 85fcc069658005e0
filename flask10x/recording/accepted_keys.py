"""Keys of readings: by them a repeat is known, whichever worker it comes to.

A sender gives a key with a reading when it may send it again because it has not heard the answer.
The transaction that stores the reading keeps the key in the table `accepted_keys`, so there is one
exactly when there is the other.

The table is bounded: keys belong to generations, and those of the newest two are known. When the
newest one has IDEMPOTENCY_MAX_ROWS the next one begins, and what is older than two goes a piece at
a time with the commits that follow, twice as fast as new ones come. How many the newest one has is
kept where the engine keeps the last id of a table, a page that each INSERT of a reading changes
anyway (`database/queue_notes.py`).
"""

from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_

from flask10x.database import dialects
from flask10x.database.expressions import upsert
from flask10x.database.tables import accepted_keys
from flask10x.recording.entry import Entry

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


def accepted(connection: Connection, keys: Collection[str]) -> dict[str, int]:
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
