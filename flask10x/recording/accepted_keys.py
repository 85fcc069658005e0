"""Keys of accepted readings: a reading whose key is among them is a repeat and is not stored again.

A sender adds a key to a reading if it may send it again after a lost answer. The transaction that
stores the reading also stores the key in the table `accepted_keys`, so both exist or neither, in
whichever worker they arrive.

The table is bounded: keys belong to generations, and those of the newest two are in use. When the
newest one has IDEMPOTENCY_MAX_ROWS keys, the next one begins, and older generations are deleted a
piece at a time by the commits that follow, twice as fast as new keys come. The number of keys of
the newest one is stored where the engine keeps the last id of a table, in a page that each INSERT
of a reading changes anyway (`database/queue_notes.py`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from itertools import islice
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.exc import SQLAlchemyError

from flask10x.database import dialects
from flask10x.database.database import Database
from flask10x.database.expressions import LATER, number_of, upsert
from flask10x.database.tables import accepted_keys
from flask10x.recording.entry import Entry
from flask10x.system import clock

# With 128 bits no two keys have the same digest, even if a sender constructs them.
DIGEST_BYTES = 16
# SQLite takes 32,766 parameters in one statement
# (https://www.sqlite.org/limits.html#max_variable_number).
KEYS_A_QUERY = 10_000
# A commit with keys deletes at least so many of the expired ones.
EXPIRED_ROWS_MIN = 100
# No table has a name like this.
_COUNT = "accepted keys"

# Built once: SQLAlchemy needs longer to build a statement than SQLite to run it.
_COLUMNS = accepted_keys.c
_PRIMARY_KEY = (_COLUMNS.generation, _COLUMNS.digest)
_NEWEST = select(func.max(_COLUMNS.generation))
_OF_TWO = [_NEWEST.scalar_subquery(), _NEWEST.scalar_subquery() - 1]
_IS_ASKED_FOR = and_(
    _COLUMNS.generation.in_(_OF_TWO), _COLUMNS.digest.in_(bindparam("digests", expanding=True))
)
_FIND = select(*_PRIMARY_KEY, _COLUMNS.at).where(_IS_ASKED_FOR).order_by(_COLUMNS.generation)
# With what a commit needs besides, so that it asks once; one row without a key if there is none.
_FIND_WITH_STATE = (
    select(
        *_PRIMARY_KEY,
        _COLUMNS.at,
        _NEWEST.scalar_subquery().label("newest"),
        number_of(_COUNT).label("kept"),
    )
    .select_from(select(literal(1)).subquery().outerjoin(accepted_keys, _IS_ASKED_FOR))
    .order_by(_COLUMNS.generation)
)
_KEEP = upsert(accepted_keys).execution_options(**{LATER: True})
_EXPIRED = select(*_PRIMARY_KEY).where(_COLUMNS.generation < bindparam("before"))
_REMOVE = (
    delete(accepted_keys)
    .where(tuple_(*_PRIMARY_KEY).in_(_EXPIRED.limit(bindparam("rows_max"))))
    .execution_options(**{LATER: True})
)


def key_of(endpoint: str, sent: bytes) -> str:
    """The key of a reading of this station that was sent with these bytes as its key.

    It has 32 hexadecimal digits, as `Writer.submit` takes it.
    """
    return _digest(b"key", endpoint, sent)


def key_of_body(endpoint: str, body: bytes) -> str:
    """The key of a reading that only its body identifies; no sender's key equals it."""
    return _digest(b"body", endpoint, body)


def is_repeat(accepted_ms: int | None, now_ms: int, window_ms: int) -> bool:
    """Whether a reading that comes now repeats the one with its key that was accepted then.

    `window_ms` is that of `Entry`. It holds in both directions: the clock may have been set back.
    """
    if accepted_ms is None:
        return False
    return not window_ms or abs(now_ms - accepted_ms) < window_ms


def accepted_ms_by_key(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """When the last reading with each of these keys came, in UTC epoch milliseconds.

    Keys without a stored reading are left out. Raises sqlalchemy.exc.DBAPIError.
    """
    return {row.digest.hex(): row.at for row in _rows(connection, keys)}


def repeated(database: Database, windows: Mapping[str, int]) -> set[str]:
    """The keys of readings that, if they come now, repeat one that is stored.

    Each key has its window, as in `Writer.submit`. It is for an answer that does not wait for the
    commit, which alone decides: a repeat of a reading that still waits, or of a database that can't
    be read, is not recognised here.
    """
    if not windows:
        return set()
    now_ms = clock.now_ms()
    with suppress(SQLAlchemyError), database.reader.begin() as connection:
        accepted_ms = accepted_ms_by_key(connection, windows)
        return {
            key
            for key, window_ms in windows.items()
            if is_repeat(accepted_ms.get(key), now_ms, window_ms)
        }
    return set()


class AcceptedKeys:
    """The stored keys of the entries of one transaction, and those that it adds."""

    def __init__(self, connection: Connection, keys: Collection[str]) -> None:
        """For entries with these keys, "" being none. Without a key no statement is run."""
        self._connection = connection
        rows = list(_rows(connection, filter(None, keys), _FIND_WITH_STATE))
        self._generation = self._count = 0
        if rows:
            self._generation, self._count = rows[0].newest or 0, rows[0].kept or 0
        rows = [row for row in rows if row.digest is not None]
        self._accepted_ms = {row.digest.hex(): row.at for row in rows}
        self._generations = {row.digest.hex(): row.generation for row in rows}
        self._new: dict[str, int] = {}

    def has(self, entry: Entry) -> bool:
        """Whether the entry repeats a reading that is stored or was added here."""
        if not entry.key:
            return False
        accepted_ms = self._accepted_ms.get(entry.key)
        return is_repeat(accepted_ms, entry.arrived_at, entry.repeat_window_ms)

    def add(self, entry: Entry) -> None:
        """Add the key of an entry that was stored."""
        if entry.key:
            self._accepted_ms[entry.key] = self._new[entry.key] = entry.arrived_at

    def write(self, rows_max: int) -> None:
        """Store the keys that were added; a generation is full with `rows_max` of them."""
        if not self._new:
            return
        generation, count = self._generation, self._count
        if count >= rows_max:
            generation, count = generation + 1, 0
        rows = [
            {"generation": generation, "digest": bytes.fromhex(key), "at": at}
            for key, at in self._new.items()
        ]
        self._connection.execute(_KEEP, rows)
        renewed = sum(self._generations.get(key) == generation for key in self._new)
        count += len(rows) - renewed
        if count != self._count:
            engine = dialects.statements_of(self._connection)
            engine.set_sequence(self._connection, _COUNT, count)
        expired_rows = max(EXPIRED_ROWS_MIN, 2 * len(rows))
        self._connection.execute(_REMOVE, {"before": generation - 1, "rows_max": expired_rows})


def _rows(connection: Connection, keys: Iterable[str], find: Select[Any] = _FIND) -> Iterator[Any]:
    """The rows of these keys, those of the newest generation last."""
    remaining = iter(keys)
    while digests := [bytes.fromhex(key) for key in islice(remaining, KEYS_A_QUERY)]:
        yield from connection.execute(find, {"digests": digests})


def _digest(kind: bytes, endpoint: str, content: bytes) -> str:
    whole = endpoint.encode() + b"\0" + content
    return blake2b(whole, digest_size=DIGEST_BYTES, person=kind).hexdigest()
