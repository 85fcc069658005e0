"""Rejected readings, in the table `rejected` (docs/en/explanation/rejected-readings.md).

The table is bounded by REJECTED_MAX_ROWS and REJECTED_MAX_BYTES; when it exceeds either, its
oldest tenth is deleted.
"""

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
from flask10x.database import counters
from flask10x.database.cursors import Cursor
from flask10x.database.database import Database
from flask10x.database.error_codes import kind_of, reason_of
from flask10x.database.sqlite.connections import PAGE_BYTES
from flask10x.database.tables import rejected
from flask10x.errors import LockTimeout
from flask10x.readings.reasons import FIXED, Reason
from flask10x.recording import unknown_readings
from flask10x.recording.unknown_readings import Condition, UnknownReading, Waiting
from flask10x.system.wording import escape

# The column `codes` of a rejected reading: codes and values of its reasons, for pages.
#
# The columns `reasons` and `hint` hold the English texts, for people and programs. The code of a
# text without values follows from the text. If any text has values, `codes` is a JSON array of
# `[code, {name: value}]` for each reason, in their order, and then for the hint if there is one;
# null where the text is enough: `[null,["below_minimum",{"limit":"0"}]]`. So the usual rejection, a
# missing field, needs no bytes that would give its row a page of its own
# (`database/sqlite/connections.py`, PAGE_BYTES).


def codes_of(reasons: Mapping[str, str], hint: str) -> str | None:
    """The content of the column for these texts; None if the texts are enough."""
    records = [
        (text.code, {**text.values}) if isinstance(text, Reason) and text.values else None
        for text in _texts(reasons, hint)
    ]
    return json.dumps(records, separators=(",", ":")) if any(records) else None


def with_codes(
    reasons: Mapping[str, str], hint: str, codes: str | None
) -> tuple[dict[str, str], str]:
    """The reasons and the hint as `Reason`s; a text without a code stays a plain text."""
    texts = _texts(reasons, hint)
    records = json.loads(codes) if codes else []
    if len(records) != len(texts):
        records = [None] * len(texts)
    coded = [_with_code(text, record) for text, record in zip(texts, records, strict=True)]
    return dict(zip(reasons, coded, strict=False)), coded[-1] if hint else ""


def _texts(reasons: Mapping[str, str], hint: str) -> list[str]:
    return [*reasons.values(), *([hint] if hint else [])]


def _with_code(text: str, record: Any) -> str:
    code, values = record or (FIXED.get(text, ""), {})
    try:
        return Reason.stored(text, code, values)
    except KeyError:
        return text


DROPPED = "rejected_dropped"
"""Counts the rejected readings that were not kept, because they came too fast."""
EVICTED = "rejected_evicted"
"""Counts the rejected readings that were deleted to make room for newer ones."""

# The rest of a row: the small columns, and what SQLite adds to a page and to a row.
OTHER_BYTES = 84
# The largest body that is accepted (BODY_MAX_BYTES), with room for its reasons.
LARGEST_ROW_BYTES = 80 * 1024
# If each rejection made room for itself alone, it would change two pages more.
SHARE_LEFT_AFTER_EVICTION = 0.9
# A list shows this much of a body: readings have 100 to 300 bytes.
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
class RejectedReading:
    """One rejected reading, as it came in."""

    endpoint: str
    received_at: int
    """UTC epoch milliseconds."""
    media_type: str
    """Of its Content-Type, without parameters; empty when there was none."""
    body: bytes
    reasons: Mapping[str, str]
    """The details of the answer: by the path of a field, a `Reason` that says what is wrong."""
    hint: str = ""
    """A `Reason` too, or empty."""
    measured_at: int | None = None
    """When it was measured, UTC epoch milliseconds; None if its sender gave no time."""
    key: str = ""
    """By which a replay recognises that it is stored (`repeats.key_of`); empty: it has none."""
    is_storable: bool = False
    """Of a path that no station has: whether a station could store it, so that it is kept when the
    next one comes."""

    codes: str | None = field(init=False, repr=False)
    """The content of the column of that name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", codes_of(self.reasons, self.hint))

    @property
    def size_bytes(self) -> int:
        """The most that its row takes in the file, in whole pages: small rows share a page."""
        texts = sum(len(path) + len(reason) for path, reason in self.reasons.items())
        texts += len(self.media_type) + len(self.hint) + len(self.codes or "")
        whole = OTHER_BYTES + len(self.body) + texts
        return -(-whole // PAGE_BYTES) * PAGE_BYTES


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One row of the table."""

    id: int
    endpoint: str
    received_at: int
    """UTC epoch milliseconds."""
    reading_id: int | None
    """Of the reading that a replay has stored for it, or None."""
    media_type: str
    reasons: dict[str, str]
    """As `RejectedReading.reasons`; texts without a code are plain."""
    hint: str
    body: bytes
    """The whole body; in a list its first LISTED_BODY_BYTES."""
    body_bytes: int
    """The length of the whole body."""
    measured_at: int | None = None
    """As `RejectedReading.measured_at`."""
    key: str = ""
    """As `RejectedReading.key`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The rows that meet all conditions; an empty field is no condition."""

    ids: tuple[int, ...] = ()
    endpoints: tuple[str, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None
    replayed: bool | None = None

    @property
    def of_unknown(self) -> Condition | None:
        """The same of `unknown_readings`, which have no id here and no replay has stored; or None,
        where none of them meets it."""
        if self.ids or self.replayed:
            return None
        return Condition(self.endpoints, self.since_ms, self.until_ms)

    def clauses(self) -> list[ColumnElement[bool]]:
        """The conditions in SQL."""
        columns = rejected.c
        conditions = (
            columns.id.in_(self.ids) if self.ids else None,
            columns.endpoint.in_(self.endpoints) if self.endpoints else None,
            None if self.since_ms is None else columns.received_at >= self.since_ms,
            None if self.until_ms is None else columns.received_at <= self.until_ms,
            None if self.replayed is None else columns.reading_id.is_not(None) == self.replayed,
        )
        return [condition for condition in conditions if condition is not None]


@dataclass(frozen=True, slots=True)
class RejectedPage:
    """Rows, newest first, and the cursors of the pages on either side."""

    rows: list[RejectedRow]
    older: Cursor | None
    newer: Cursor | None


def keep(connection: Connection, readings: Sequence[RejectedReading], settings: Settings) -> int:
    """Insert the readings in this order; the number of older rows that were deleted for them."""
    newest = select(rejected.c.end_bytes).order_by(rejected.c.id.desc()).limit(1)
    end_bytes = connection.execute(newest).scalar_one_or_none() or 0
    rows = []
    for reading in readings:
        end_bytes += reading.size_bytes
        rows.append(_values(reading) | {"end_bytes": end_bytes})
    connection.execute(insert(rejected), rows)
    return _make_room(connection, settings.rejected_max_rows, settings.rejected_max_bytes)


def newest_id(connection: Connection) -> int:
    """The id of the last row that was inserted; 0 if there is none."""
    return connection.execute(select(func.max(rejected.c.id))).scalar_one() or 0


def holds(connection: Connection, number: int, reading: RejectedReading) -> bool:
    """Whether the row with this id holds this reading."""
    of_row = rejected.c.id == number, rejected.c.endpoint == reading.endpoint
    came = rejected.c.received_at == reading.received_at, rejected.c.body == reading.body
    return connection.execute(select(rejected.c.id).where(*of_row, *came)).first() is not None


def replace_waiting(
    connection: Connection, number: int, endpoint: str, reading: RejectedReading
) -> bool:
    """Put the reading in the place of this endpoint's row with this id; whether that waits there.

    If there is no such row, or a replay has stored a reading for it, nothing is changed.
    """
    of_row = rejected.c.id == number, rejected.c.endpoint == endpoint
    waiting = *of_row, rejected.c.reading_id.is_(None)
    query = update(rejected).where(*waiting).values(_values(reading))
    return bool(connection.execute(query).rowcount)


def page(
    connection: Connection, selection: Selection, cursor: Cursor | None, rows: int
) -> RejectedPage:
    """A page of the selection at the cursor; without a cursor the newest rows."""
    side = cursor.side if cursor else "before"
    result = [_row_of(row) for row in connection.execute(_listed(selection, cursor, rows + 1))]
    of_page = result[:rows]
    onward = Cursor(side, of_page[-1].received_at, of_page[-1].id) if result[rows:] else None
    back = _back(connection, selection, cursor, of_page) if cursor else None
    if side == "before":
        return RejectedPage(of_page, onward, back)
    return RejectedPage(of_page[::-1], back, onward)


def by_id(connection: Connection, number: int) -> RejectedRow | None:
    """The row with this id and its whole body, or None."""
    row = connection.execute(_whole(Selection(ids=(number,)))).one_or_none()
    return None if row is None else _row_of(row)


def latest(connection: Connection, endpoint: str) -> RejectedRow | None:
    """The row of this endpoint that came in last, with its whole body; None if there is none.

    Its id need not be the highest: a row of an unknown endpoint is reused (`LatestRejected`).
    """
    return _latest(connection, rejected.c.endpoint == endpoint)


def latest_of_no_station(connection: Connection, stations: Collection[str]) -> RejectedRow | None:
    """The last row of an endpoint that none of these stations has; None if there is none."""
    return _latest(connection, rejected.c.endpoint.not_in(stations))


def endpoints(connection: Connection) -> list[str]:
    """The endpoints of all rows, those of no station included; it reads the whole table."""
    return list(connection.execute(select(rejected.c.endpoint).distinct()).scalars())


def waiting(connection: Connection, endpoint: str) -> Waiting | None:
    """How many readings of this endpoint a replay would look at, those of `unknown_readings`
    included; None without any. It reads both tables whole."""
    clauses = Selection(endpoints=(endpoint,), replayed=False).clauses()
    times = func.min(rejected.c.received_at), func.max(rejected.c.received_at)
    here = Waiting(*connection.execute(select(func.count(), *times).where(*clauses)).one())
    there = unknown_readings.waiting(connection, Condition((endpoint,)))
    found = [one for one in (here, there) if one and one.readings]
    if not found:
        return None
    counts, firsts, lasts = zip(*found, strict=True)
    return Waiting(sum(counts), min(firsts), max(lasts))


def next_after(connection: Connection, selection: Selection, after_id: int) -> list[RejectedRow]:
    """The next rows of the selection after this id, oldest first, with their whole bodies."""
    query = _whole(selection).where(rejected.c.id > after_id).order_by(rejected.c.id)
    return [_row_of(row) for row in connection.execute(query.limit(ROWS_A_TRANSACTION))]


def still_waiting(connection: Connection, rows: Iterable[RejectedRow]) -> set[int]:
    """The ids of those that exist, were not replayed, and hold what was read.

    The row of an unknown endpoint may hold the next reading by now (`LatestRejected`).
    """
    expected = {row.id: (row.endpoint, row.received_at, row.key, row.body_bytes) for row in rows}
    of_row = rejected.c.id, rejected.c.endpoint, rejected.c.received_at, rejected.c.digest
    length = func.length(rejected.c.body).label("body_bytes")
    query = select(*of_row, length).where(rejected.c.id.in_(expected))
    found = connection.execute(query.where(rejected.c.reading_id.is_(None)))
    return {
        row.id
        for row in found
        if expected[row.id]
        == (row.endpoint, row.received_at, (row.digest or b"").hex(), row.body_bytes)
    }


def mark_replayed(connection: Connection, number: int, reading_id: int) -> None:
    """Note the reading that a replay has stored for this row."""
    values = {"reading_id": reading_id}
    connection.execute(update(rejected).where(rejected.c.id == number).values(values))


def purge(database: Database, selection: Selection) -> Iterator[int]:
    """Delete the selection in short transactions, with what of `unknown_readings` meets it; yields
    the number of rows of each."""
    ids = select(rejected.c.id).where(*selection.clauses()).order_by(rejected.c.id)
    some_ids = ids.limit(ROWS_A_TRANSACTION).scalar_subquery()
    while True:
        with database.commit() as connection:
            rows = connection.execute(delete(rejected).where(rejected.c.id.in_(some_ids))).rowcount
        if not rows:
            break
        yield rows
    if condition := selection.of_unknown:
        with database.commit() as connection:
            rows = unknown_readings.purge(connection, condition)
        if rows:
            yield rows


def text_of(body: bytes) -> str:
    r"""The body in one line, with characters that confuse a screen as `\n`, `\xff`, `\u202e`."""
    return escape(body.decode("utf-8", "backslashreplace"))


def _latest(connection: Connection, condition: ColumnElement[bool]) -> RejectedRow | None:
    # By the id first: a sort of whole rows would read every body.
    newest_first = rejected.c.received_at.desc(), rejected.c.id.desc()
    query = select(rejected.c.id).where(condition).order_by(*newest_first).limit(1)
    number = connection.execute(query).scalar_one_or_none()
    return None if number is None else by_id(connection, number)


def _make_room(connection: Connection, max_rows: int, max_bytes: int) -> int:
    # Ids are consecutive, so their span is the number of rows, or more after a purge.
    ends = select(rejected.c.id, rejected.c.end_bytes).limit(1)
    oldest = connection.execute(ends.order_by(rejected.c.id)).one()
    newest = connection.execute(ends.order_by(rejected.c.id.desc())).one()
    # The size of the oldest row is unknown here, so the largest possible one is assumed.
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


def _values(reading: RejectedReading) -> dict[str, object]:
    return {
        "endpoint": reading.endpoint,
        "received_at": reading.received_at,
        "media_type": reading.media_type[:LONGEST_MEDIA_TYPE_CHARS],
        "reasons": json.dumps(dict(reading.reasons)),
        "hint": reading.hint,
        "body": reading.body,
        "codes": reading.codes,
        "measured_at": reading.measured_at,
        "digest": bytes.fromhex(reading.key) or None,
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
    connection: Connection, selection: Selection, cursor: Cursor, of_page: list[RejectedRow]
) -> Cursor | None:
    """The cursor of the page on the other side; None if it has no row."""
    beyond = cursor.opposite
    start = Cursor(beyond.side, of_page[0].received_at, of_page[0].id) if of_page else beyond
    return start if connection.execute(_listed(selection, start, 1)).first() else None


def _row_of(row: Any) -> RejectedRow:
    values = row._asdict()
    codes, digest, texts = values.pop("codes"), values.pop("digest"), json.loads(row.reasons)
    reasons, hint = with_codes(texts, row.hint, codes)
    return RejectedRow(
        **values | {"reasons": reasons, "hint": hint, "key": digest.hex() if digest else ""}
    )


# Readings of unknown endpoints: the newest of each endpoint is a row here, for the operator to add
# the station by. Those before it, if the station could store them, are `unknown_readings`.
#
# A board with a wrong address sends for months, and strangers can name any endpoint. So each worker
# has few places, and stores the next one in the same row of the table `rejected`: they never evict
# other rows. An endpoint of which nothing is known yet gets a place that was needed only once, or
# not for a day, and only once it has sent again: who names many endpoints once needs no place.

# A home rarely adds as many boards between two starts of a worker.
ENDPOINTS_MAX = 20
# Readings have 100 to 300 bytes.
LATEST_BODY_BYTES = 2000
# Further endpoints that have sent once, with what they have sent: at most a megabyte.
NEWCOMERS_MAX = 500
# A board that sleeps longer than this is no loss for what the next one brings.
PLACE_KEPT_SEC = 86_400.0
# A sender that repeats its backlog for hours has no more readings in it.
KEYS_MAX = 2000


@dataclass(slots=True)
class _Place:
    """What a worker has of one endpoint."""

    endpoint: str
    row: int | None = None
    """The id of its row in `rejected`; None before it has one."""
    row_of: str = ""
    """The endpoint of that row: of a place that was another's it is still that one."""
    held: RejectedReading | None = None
    """What the row holds."""
    waiting: list[RejectedReading] = field(default_factory=list)
    """What is still to be stored; of these, so many are in the transaction that is tried now:"""
    tried: int = 0
    times: int = 0
    heard_sec: float = 0.0
    keys: dict[str, None] = field(default_factory=dict)
    """The last keys of its readings: a sender repeats them until the station is there."""

    def is_repeat(self, key: str) -> bool:
        """Whether a reading with this key has come before; from now on it has."""
        if not key:
            return False
        is_repeat = key in self.keys
        self.keys[key] = None
        if len(self.keys) > KEYS_MAX:
            del self.keys[next(iter(self.keys))]
        return is_repeat


class LatestRejected:
    """Those of one worker; any thread may call `take`, only the writer's thread the rest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._newcomers: dict[str, RejectedReading] = {}
        self._waiting_bytes = 0
        # The rows since the table of unknown readings was last counted; at first it is unknown.
        self._uncounted = unknown_readings.ROWS_BETWEEN_COUNTS
        self._inserted = 0
        self.stored: list[tuple[RejectedReading, int]] = []
        """The last reading of each endpoint that the last call of `store` has stored, and its id
        in `rejected`."""

    @property
    def size_bytes(self) -> int:
        """The size in the file of what the next call of `store` stores; 0 if nothing waits."""
        with self._lock:
            return sum(
                reading.size_bytes
                for place, count in self._next()
                for reading in place.waiting[:count]
            )

    def take(self, reading: RejectedReading) -> bool:
        """Take a rejected reading; one before it that can't be stored later is forgotten.

        Return False if its endpoint is one too many. A body over LATEST_BODY_BYTES is not kept.
        """
        with self._lock:
            place = self._places.get(reading.endpoint) or self._new_place(reading)
            if place is None:
                return False
            place.times += 1
            place.heard_sec = self._clock()
            if len(reading.body) <= LATEST_BODY_BYTES and not place.is_repeat(reading.key):
                self._add(place, reading)
            return True

    def _new_place(self, reading: RejectedReading) -> _Place | None:
        """The place of an endpoint that has none; None if there is no room for another one."""
        if len(self._places) < ENDPOINTS_MAX:
            place = _Place(reading.endpoint)
        elif (free := self._free()) and (first := self._newcomers.pop(reading.endpoint, None)):
            del self._places[free.endpoint]
            place = _Place(reading.endpoint, free.row, free.row_of)
            place.is_repeat(first.key)
            self._add(place, first)
        else:
            if reading.is_storable:
                self._newcomers[reading.endpoint] = reading
            if len(self._newcomers) > NEWCOMERS_MAX:
                del self._newcomers[next(iter(self._newcomers))]
            return None
        self._places[place.endpoint] = place
        return place

    def _free(self) -> _Place | None:
        """The place that is needed least; None if all are needed."""
        ended_sec = self._clock() - PLACE_KEPT_SEC
        free = [
            place
            for place in self._places.values()
            if not place.waiting and (place.times == 1 or place.heard_sec < ended_sec)
        ]
        return min(free, key=lambda place: place.heard_sec, default=None)

    def _add(self, place: _Place, reading: RejectedReading) -> None:
        is_full = self._waiting_bytes + reading.size_bytes > QUEUE_BYTES
        if len(place.waiting) > place.tried and (is_full or not place.waiting[-1].is_storable):
            dropped = place.waiting.pop()
            self._waiting_bytes -= dropped.size_bytes
            place.keys.pop(dropped.key, None)
        place.waiting.append(reading)
        self._waiting_bytes += reading.size_bytes

    def _next(self) -> list[tuple[_Place, int]]:
        """The places of the next transaction, and how many of the waiting readings of each."""
        portions, left_bytes = [], CHUNK_BYTES
        for place in self._places.values():
            count = 0
            for reading in place.waiting:
                if left_bytes < CHUNK_BYTES and reading.size_bytes > left_bytes:
                    break
                left_bytes -= reading.size_bytes
                count += 1
            if count:
                portions.append((place, count))
        return portions

    def store(self, connection: Connection, settings: Settings) -> int:
        """Store readings that wait; the number of older rows of `rejected` that were deleted."""
        with self._lock:
            portions = [(place, place.waiting[:count]) for place, count in self._next()]
            for place, batch in portions:
                place.tried = len(batch)
        evicted, self.stored, self._inserted = 0, [], 0
        for place, batch in portions:
            number, deleted = self._store(connection, place, batch, settings)
            self.stored.append((batch[-1], number))
            evicted += deleted
        if self._uncounted + self._inserted >= unknown_readings.ROWS_BETWEEN_COUNTS:
            unknown_readings.make_room(connection)
            self._inserted = -self._uncounted
        return evicted

    def _store(
        self,
        connection: Connection,
        place: _Place,
        batch: list[RejectedReading],
        settings: Settings,
    ) -> tuple[int, int]:
        """Store these; the id of the row of the last one, and how many older rows are deleted."""
        last, earlier, row, evicted = batch[-1], batch[:-1], place.row, 0
        if row is not None and replace_waiting(connection, row, place.row_of, last):
            earlier = [place.held, *earlier] if place.held else earlier
        else:
            evicted = keep(connection, [last], settings)
            row = newest_id(connection)
        unknown = [_unknown(reading) for reading in earlier if reading.is_storable]
        unknown_readings.keep(connection, unknown)
        self._inserted += len(unknown)
        return row, evicted

    def settle(self) -> None:
        """Forget the stored readings, because they are committed."""
        with self._lock:
            self._uncounted += self._inserted
            self._inserted = 0
            for reading, number in self.stored:
                place = self._places[reading.endpoint]
                stored = place.waiting[: place.tried]
                del place.waiting[: place.tried]
                self._waiting_bytes -= sum(one.size_bytes for one in stored)
                place.row, place.row_of, place.held = number, place.endpoint, reading
                place.tried = 0
            self.stored = []

    def forget(self) -> None:
        """Forget all readings that wait, because the database refuses them."""
        with self._lock:
            for place in self._places.values():
                place.waiting.clear()
                place.keys.clear()
                place.tried = 0
            self._waiting_bytes = 0
            self.stored = []


def _unknown(reading: RejectedReading) -> UnknownReading:
    times = reading.received_at, reading.measured_at
    return UnknownReading(reading.endpoint, *times, reading.key, reading.media_type, reading.body)


log = logging.getLogger(__name__)

# The queue of rejected readings, which the writer's thread stores when good readings leave it time.
#
# Garbage must not take memory, the writer's time or the card from good readings. So few are held,
# they are stored a handful at a time with pauses in between, and those that come faster are dropped
# and counted.

# One worker holds up to some hundred readings, or four bodies of the greatest length.
QUEUE_BYTES = 320 * 1024
# One transaction holds no more, because a good reading has to wait for it.
CHUNK_BYTES = 64 * 1024
# The shortest time between two transactions, and the longest that a lone rejection waits.
PAUSE_SEC = 5.0
# Four stations that send nothing but garbage need some 100 bytes a second. A flood that lasts a
# whole day makes each worker write 700 MB, the WAL included: a card survives years of that.
BYTES_PER_SEC = 4096


@dataclass(frozen=True, slots=True)
class _Tried:
    """A commit that has failed but may have been made: it is repeated with the same rows."""

    chunk: list[RejectedReading]
    dropped: int
    last: RejectedReading
    """The reading that it has stored last."""
    last_id: int
    """The id of its row, if the commit was made."""


class RejectedQueue:
    """One worker's rejected readings on their way into the table `rejected`.

    Any thread may call `take`, only the writer's thread the rest. Readings of unknown endpoints
    are in `latest`.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], float],
        count: Callable[[str], None] = lambda _endpoint: None,
    ) -> None:
        """`clock` gives monotonic seconds; `count` is called with the endpoint of each reading."""
        self._settings = settings
        self._database = database
        self._clock = clock
        self._count = count
        self._lock = threading.Lock()
        self._waiting: deque[RejectedReading] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._not_before_sec = clock()
        self._failing = False
        self._tried: _Tried | None = None
        self.latest = LatestRejected(clock)

    @property
    def depth(self) -> int:
        """How many readings wait to be stored."""
        return len(self._waiting)

    def take(self, reading: RejectedReading) -> None:
        """Take a rejected reading; if there is no room, it is dropped and counted."""
        with self._lock:
            self._count(reading.endpoint)
            if self._waiting_bytes + reading.size_bytes > QUEUE_BYTES:
                self._dropped += 1
                return
            self._waiting.append(reading)
            self._waiting_bytes += reading.size_bytes

    def step(self) -> None:
        """Store some of the readings that wait, if it is time; errors are logged and retried."""
        latest_bytes = self.latest.size_bytes
        if not (self._waiting or latest_bytes) or self._clock() < self._not_before_sec:
            return
        chunk, size_bytes = self._chunk()
        self._store(chunk, size_bytes)
        size_bytes += latest_bytes
        self._not_before_sec = self._clock() + max(PAUSE_SEC, size_bytes / BYTES_PER_SEC)

    def finish(self) -> None:
        """Store all readings that wait, because the process ends; a failure is logged."""
        while self._waiting or self.latest.size_bytes:
            if not self._store(*self._chunk()):
                log.error("Stopping with %d refused readings not kept", self.depth)
                return

    def _chunk(self) -> tuple[list[RejectedReading], int]:
        """The oldest readings that wait, at least one if any does, and their size."""
        if self._tried:
            return self._tried.chunk, sum(reading.size_bytes for reading in self._tried.chunk)
        chunk: list[RejectedReading] = []
        size_bytes = 0
        with self._lock:
            for reading in self._waiting:
                if chunk and size_bytes + reading.size_bytes > CHUNK_BYTES:
                    break
                chunk.append(reading)
                size_bytes += reading.size_bytes
        return chunk, size_bytes

    def _store(self, chunk: list[RejectedReading], size_bytes: int) -> bool:
        # Without a row a failed commit could not be checked.
        dropped = self._tried.dropped if self._tried else self._dropped if chunk else 0
        try:
            evicted = self._commit(chunk, dropped)
        except Exception as error:
            self._fail(error)
            if kind_of(error) == "store":
                return False
            self._tried = None
            self._settle(chunk, size_bytes, dropped=-len(chunk))
            self.latest.forget()
            return True
        self._failing, self._tried = False, None
        self.latest.settle()
        self._settle(chunk, size_bytes, dropped)
        if dropped:
            log.warning("%d refused readings were not kept, they came too fast", dropped)
        if evicted:
            log.info("The table of rejected readings is full: the oldest %d are gone", evicted)
        return True

    def _commit(self, chunk: list[RejectedReading], dropped: int) -> int:
        with self._database.commit() as connection:
            tried = self._tried
            if tried and holds(connection, tried.last_id, tried.last):
                return 0
            evicted = 0
            if chunk:
                evicted = keep(connection, chunk, self._settings)
                self._tried = _Tried(chunk, dropped, chunk[-1], newest_id(connection))
            evicted += self.latest.store(connection, self._settings)
            if self.latest.stored and not chunk:
                self._tried = _Tried(chunk, dropped, *self.latest.stored[-1])
            counters.add(connection, DROPPED, dropped)
            counters.add(connection, EVICTED, evicted)
        return evicted

    def _settle(self, chunk: list[RejectedReading], size_bytes: int, dropped: int) -> None:
        """Forget a chunk that is stored, and take `dropped` off the count of dropped readings."""
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
