"""Rejected readings, in the table `rejected` (docs/en/explanation/rejected-readings.md).

The table is bounded by REJECTED_MAX_ROWS and REJECTED_MAX_BYTES; when either is passed, the
oldest tenth goes.
"""

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from flask10x.config.settings import Settings
from flask10x.database import counters, tables
from flask10x.database.cursors import Cursor
from flask10x.database.database import Database
from flask10x.database.error_codes import kind_of, reason_of
from flask10x.database.sqlite.connections import PAGE_BYTES
from flask10x.database.tables import rejected
from flask10x.errors import LockTimeout
from flask10x.readings.reasons import FIXED, Reason
from flask10x.system.logs import escape

# The column `codes` of a rejected reading: codes and values of its reasons, for pages.
#
# The columns `reasons` and `hint` hold the English texts, for people and programs. A text without
# values stands for its code. Where one has values, `codes` is a JSON array of `[code, {name:
# value}]` for each of the reasons, in their order, and then for the hint if there is one; null
# where the text is enough: `[null,["below_minimum",{"limit":"0"}]]`. That spares the usual
# refusal, a missing field, the bytes that would take its row a page of its own
# (`database/sqlite/connections.py`, PAGE_BYTES).


def codes_of(reasons: Mapping[str, str], hint: str) -> str | None:
    """What the column holds for these; None when the texts are enough."""
    records = [_record(text) for text in _texts(reasons, hint)]
    return json.dumps(records, separators=(",", ":")) if any(records) else None


def with_codes(
    reasons: Mapping[str, str], hint: str, codes: str | None
) -> tuple[dict[str, str], str]:
    """The texts as `Reason`s; one whose code is not known, as in old rows, stays a plain text."""
    texts = _texts(reasons, hint)
    records = json.loads(codes) if codes else []
    if len(records) != len(texts):
        records = [None] * len(texts)
    known = [_known(text, record) for text, record in zip(texts, records, strict=True)]
    return dict(zip(reasons, known, strict=False)), known[-1] if hint else ""


def _texts(reasons: Mapping[str, str], hint: str) -> list[str]:
    return [*reasons.values(), *([hint] if hint else [])]


def _record(text: str) -> tuple[str, dict[str, str]] | None:
    return (text.code, {**text.values}) if isinstance(text, Reason) and text.values else None


def _known(text: str, record: Any) -> str:
    code, values = record or (FIXED.get(text, ""), {})
    try:
        return Reason.stored(text, code, values)
    except KeyError:
        return text


DROPPED = "rejected_dropped"
"""Counts those that were not kept, because they came too fast."""
EVICTED = "rejected_evicted"
"""Counts those that were kept and had to go for newer ones."""

# What else is in a row: the small columns, and what SQLite adds to a page and to a row.
OTHER_BYTES = 84
# The largest body that is taken (BODY_MAX_BYTES), with room for its reasons.
LARGEST_ROW_BYTES = 80 * 1024
# Making room by the row would change two pages more with each refusal.
SHARE_LEFT_AFTER_EVICTION = 0.9
# What a list shows of a body: readings have 100 to 300 bytes.
LISTED_BODY_BYTES = 1000
# PostgreSQL takes shorter numbers here than a parameter is.
_BEGINNING: tuple[ColumnElement[int], ...] = (
    literal_column("1"),
    literal_column(str(LISTED_BODY_BYTES)),
)
# No type that means JSON is that long.
LONGEST_MEDIA_TYPE_CHARS = 100
# One transaction of a command: some milliseconds, during which readings only queue.
ROWS_A_TRANSACTION = 200


@dataclass(frozen=True, slots=True)
class Refused:
    """One refused reading, as it came in."""

    endpoint: str
    received_at: int
    """UTC epoch milliseconds."""
    media_type: str
    """Of its Content-Type, without parameters; empty when there was none."""
    body: bytes
    reasons: Mapping[str, str]
    """The details of the answer: path of a field to what is wrong with it, a `Reason`."""
    hint: str = ""
    """A `Reason` too, or empty."""
    measured_at: int | None = None
    """When a late one was measured, UTC epoch milliseconds; None when it has not said so."""
    key: str = ""
    """By which a replay knows that it is stored (`accepted_keys.key_of`); empty: by none."""

    codes: str | None = field(init=False, repr=False)
    """The reasons and the hint as the column of that name holds them; worked out once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", codes_of(self.reasons, self.hint))

    @property
    def size_bytes(self) -> int:
        """What it takes in the file, in whole pages; small ones share a page, so at most that."""
        texts = sum(len(path) + len(reason) for path, reason in self.reasons.items())
        texts += len(self.media_type) + len(self.hint) + len(self.codes or "")
        whole = OTHER_BYTES + len(self.body) + texts
        return -(-whole // PAGE_BYTES) * PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Kept:
    """One row of the table."""

    id: int
    endpoint: str
    received_at: int
    """UTC epoch milliseconds."""
    reading_id: int | None
    """The reading that a replay has made of it."""
    media_type: str
    reasons: dict[str, str]
    """As `Refused.reasons`; plain texts where no code is known, as in rows of older programs."""
    hint: str
    body: bytes
    """In a list only its beginning, LISTED_BODY_BYTES of it."""
    body_bytes: int
    """The length of the whole body."""
    measured_at: int | None = None
    """As `Refused.measured_at`."""
    key: str = ""
    """As `Refused.key`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which rows: those that meet everything that is given."""

    ids: tuple[int, ...] = ()
    endpoints: tuple[str, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None
    replayed: bool | None = None

    def clauses(self) -> list[ColumnElement[bool]]:
        """The conditions in SQL."""
        columns = rejected.c
        found: list[ColumnElement[bool]] = []
        if self.ids:
            found.append(columns.id.in_(self.ids))
        if self.endpoints:
            found.append(columns.endpoint.in_(self.endpoints))
        if self.since_ms is not None:
            found.append(columns.received_at >= self.since_ms)
        if self.until_ms is not None:
            found.append(columns.received_at <= self.until_ms)
        if self.replayed is not None:
            found.append(columns.reading_id.is_not(None) == self.replayed)
        return found


@dataclass(frozen=True, slots=True)
class RejectedPage:
    """Rows, the newest first, and where the pages on either side begin."""

    rows: list[Kept]
    older: Cursor | None
    newer: Cursor | None


def keep(connection: Connection, refused: Sequence[Refused], settings: Settings) -> int:
    """Insert them in this order; the number of older rows that had to go."""
    newest = select(rejected.c.end_bytes).order_by(rejected.c.id.desc()).limit(1)
    end_bytes = connection.execute(newest).scalar_one_or_none() or 0
    rows = []
    for one in refused:
        end_bytes += one.size_bytes
        rows.append(_values(one) | {"end_bytes": end_bytes})
    connection.execute(insert(rejected), rows)
    return _make_room(connection, settings.rejected_max_rows, settings.rejected_max_bytes)


def newest_id(connection: Connection) -> int:
    """The id of the last row that was inserted; 0 where there is none."""
    return connection.execute(select(func.max(rejected.c.id))).scalar_one() or 0


def holds(connection: Connection, number: int, refused: Refused) -> bool:
    """Whether the row with this id is this one."""
    of_row = rejected.c.id == number, rejected.c.endpoint == refused.endpoint
    came = rejected.c.received_at == refused.received_at, rejected.c.body == refused.body
    return connection.execute(select(rejected.c.id).where(*of_row, *came)).first() is not None


def keep_latest(
    connection: Connection, refused: Refused, number: int | None, settings: Settings
) -> tuple[int, int]:
    """Put it in the place of its endpoint's row with this id, so that the table does not grow.

    Where there is no such row, or a replay has made a reading of it, it is inserted. Its id, and
    the number of older rows that had to go.
    """
    if number is not None:
        of_row = rejected.c.id == number, rejected.c.endpoint == refused.endpoint
        waiting = *of_row, rejected.c.reading_id.is_(None)
        query = update(rejected).where(*waiting).values(_values(refused))
        if connection.execute(query).rowcount:
            return number, 0
    evicted = keep(connection, [refused], settings)
    return newest_id(connection), evicted


def page(
    connection: Connection, selection: Selection, cursor: Cursor | None, rows: int
) -> RejectedPage:
    """A page of the selection at the cursor; without one its newest rows."""
    side = cursor.side if cursor else "before"
    found = [_kept(row) for row in connection.execute(_listed(selection, cursor, rows + 1))]
    shown = found[:rows]
    onward = Cursor(side, shown[-1].received_at, shown[-1].id) if len(found) > rows else None
    back = _back(connection, selection, cursor, shown) if cursor else None
    if side == "before":
        return RejectedPage(shown, onward, back)
    return RejectedPage(shown[::-1], back, onward)


def by_id(connection: Connection, number: int) -> Kept | None:
    """The row with this id and its whole body, or None."""
    found = connection.execute(_whole(Selection(ids=(number,)))).one_or_none()
    return None if found is None else _kept(found)


def latest(connection: Connection, endpoint: str) -> Kept | None:
    """The row of this endpoint that came in last, with its whole body; None when there is none.

    That of an endpoint that no station has may stand before older ones (`latest_refused.py`).
    """
    of_endpoint = select(rejected.c.id).where(rejected.c.endpoint == endpoint)
    newest = of_endpoint.order_by(rejected.c.received_at.desc(), rejected.c.id.desc()).limit(1)
    number = connection.execute(newest).scalar_one_or_none()
    return None if number is None else by_id(connection, number)


def endpoints(connection: Connection) -> list[str]:
    """Whose refused readings are kept, stations or not; looks at all of them."""
    return list(connection.execute(select(rejected.c.endpoint).distinct()).scalars())


def next_after(connection: Connection, selection: Selection, after_id: int) -> list[Kept]:
    """The next rows of the selection behind this id, oldest first, with their whole bodies."""
    query = _whole(selection).where(rejected.c.id > after_id).order_by(rejected.c.id)
    return [_kept(row) for row in connection.execute(query.limit(ROWS_A_TRANSACTION))]


def waiting_ids(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Those of these ids whose rows are there and were not replayed."""
    query = select(rejected.c.id).where(rejected.c.id.in_(ids), rejected.c.reading_id.is_(None))
    return set(connection.execute(query).scalars())


def mark_replayed(connection: Connection, number: int, reading_id: int) -> None:
    """Note which reading this row has become."""
    values = {"reading_id": reading_id}
    connection.execute(update(rejected).where(rejected.c.id == number).values(values))


def purge(database: Database, selection: Selection) -> Iterator[int]:
    """Delete the selection in short transactions; yields the number of rows of each."""
    ids = select(rejected.c.id).where(*selection.clauses()).order_by(rejected.c.id)
    some_ids = ids.limit(ROWS_A_TRANSACTION).scalar_subquery()
    while True:
        with database.commit() as connection:
            gone = connection.execute(delete(rejected).where(rejected.c.id.in_(some_ids))).rowcount
        if not gone:
            return
        yield gone


def text_of(body: bytes) -> str:
    r"""The body for people: in one line; what could confuse a screen as `\n`, `\xff`, `\u202e`."""
    return escape(body.decode("utf-8", "backslashreplace"))


def _make_room(connection: Connection, max_rows: int, max_bytes: int) -> int:
    # Ids are given one by one, so their span is the number of rows, or more after a purge.
    ends = select(rejected.c.id, rejected.c.end_bytes).limit(1)
    oldest = connection.execute(ends.order_by(rejected.c.id)).one()
    newest = connection.execute(ends.order_by(rejected.c.id.desc())).one()
    # The oldest row's own size is not known here, so it is taken for the largest there can be.
    size_bytes = newest.end_bytes - oldest.end_bytes + LARGEST_ROW_BYTES
    if newest.id - oldest.id < max_rows and size_bytes <= max_bytes:
        return 0
    rows_left = int(max_rows * SHARE_LEFT_AFTER_EVICTION)
    bytes_left = int(max_bytes * SHARE_LEFT_AFTER_EVICTION) - LARGEST_ROW_BYTES
    first_left = connection.execute(
        select(func.min(rejected.c.id)).where(
            rejected.c.id > newest.id - rows_left,
            rejected.c.end_bytes > newest.end_bytes - bytes_left,
        )
    ).scalar_one()
    return connection.execute(delete(rejected).where(rejected.c.id < first_left)).rowcount


def _values(refused: Refused) -> dict[str, object]:
    return {
        "endpoint": refused.endpoint,
        "received_at": refused.received_at,
        "media_type": refused.media_type[:LONGEST_MEDIA_TYPE_CHARS],
        "reasons": json.dumps(dict(refused.reasons)),
        "hint": refused.hint,
        "body": refused.body,
        "codes": refused.codes,
        "measured_at": refused.measured_at,
        "digest": bytes.fromhex(refused.key) or None,
    }


def _columns(body: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    columns = rejected.c
    length = func.length(columns.body).label("body_bytes")
    head = [columns.id, columns.endpoint, columns.received_at, columns.reading_id]
    texts = [columns.media_type, columns.reasons, columns.hint, columns.codes]
    return [*head, columns.measured_at, columns.digest, *texts, body.label("body"), length]


def _whole(selection: Selection) -> Select[Any]:
    return select(*_columns(rejected.c.body)).where(*selection.clauses())


def _listed(selection: Selection, cursor: Cursor | None, rows: int) -> Select[Any]:
    number = rejected.c.id
    # SQLite's substr of an empty BLOB is NULL.
    beginning = func.coalesce(func.substr(rejected.c.body, *_BEGINNING), b"")
    query = select(*_columns(beginning)).where(*selection.clauses()).limit(rows)
    if cursor is None:
        return query.order_by(number.desc())
    if cursor.side == "before":
        return query.where(number < cursor.id).order_by(number.desc())
    return query.where(number > cursor.id).order_by(number)


def _back(
    connection: Connection, selection: Selection, cursor: Cursor, shown: list[Kept]
) -> Cursor | None:
    """Where the page on the cursor's far side begins, when a row is there."""
    beyond = cursor.opposite
    start = Cursor(beyond.side, shown[0].received_at, shown[0].id) if shown else beyond
    return start if connection.execute(_listed(selection, start, 1)).first() else None


def _kept(row: Any) -> Kept:
    values = row._asdict()
    codes, digest, texts = values.pop("codes"), values.pop("digest"), json.loads(row.reasons)
    reasons, hint = with_codes(texts, row.hint, codes)
    return Kept(
        **values | {"reasons": reasons, "hint": hint, "key": digest.hex() if digest else ""}
    )


# Refused readings of endpoints that no station has: of each the newest, and no more.
#
# They are kept for whoever adds the station. A board with a wrong address sends for months, and
# strangers can name any endpoint. So each worker keeps few, and puts the next one into the same
# row of the table `rejected`: they never make its other rows go.

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
            if holds(connection, number, refused)
        }
        for refused in waiting:
            row = tried.get(refused.endpoint, self._rows[refused.endpoint])
            number, gone = keep_latest(connection, refused, row, settings)
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


def latest_of_no_station(connection: Connection, stations: Collection[str]) -> Kept | None:
    """The last body that came for none of these stations, or None when none is kept."""
    columns = tables.rejected.c
    others = select(columns.endpoint).where(columns.endpoint.not_in(stations))
    newest_row = others.order_by(columns.received_at.desc(), columns.id.desc()).limit(1)
    endpoint = connection.execute(newest_row).scalar_one_or_none()
    return None if endpoint is None else latest(connection, endpoint)


log = logging.getLogger(__name__)

# The queue of refused readings, which the writer's thread stores when good ones leave it time.
#
# Garbage must not cost what good readings need: memory, the writer's time, the card. So few are
# held, they are stored a handful at a time with pauses in between, and what comes faster than that
# is dropped and counted.

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
        return bool(self.chunk) and holds(connection, self.newest, self.chunk[-1])


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
                evicted = keep(connection, chunk, self._settings)
                self._tried = _Tried(chunk, dropped, newest_id(connection))
            evicted += self.latest.store(connection, self._settings)
            counters.add(connection, DROPPED, dropped)
            counters.add(connection, EVICTED, evicted)
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
