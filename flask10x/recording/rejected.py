"""Rejected readings, in the table `rejected` (docs/en/explanation/rejected-readings.md).

The table is bounded by REJECTED_MAX_ROWS and REJECTED_MAX_BYTES; when either is passed, the
oldest tenth goes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
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
from flask10x.database.cursors import Cursor
from flask10x.database.engine import Database
from flask10x.database.sqlite.connections import PAGE_BYTES
from flask10x.database.tables import rejected
from flask10x.recording import reason_codes
from flask10x.system.logs import escape

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
        object.__setattr__(self, "codes", reason_codes.codes_of(self.reasons, self.hint))

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
    reasons, hint = reason_codes.with_codes(texts, row.hint, codes)
    return Kept(
        **values | {"reasons": reasons, "hint": hint, "key": digest.hex() if digest else ""}
    )
