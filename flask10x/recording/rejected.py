"""Rejected readings, in the table `rejected` (docs/en/explanation/rejected-readings.md).

Those of a path that no station has are here, too, until the station is added. Lists show the last
one of each such path; those before it have `earlier` set.

The table has two bounds: REJECTED_MAX_ROWS and REJECTED_MAX_BYTES for what lists show, others for
the earlier ones. Where a bound is passed, the path that has the most loses its oldest readings. So
nobody who sends much pushes out one who sends little.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

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
from flask10x.database.database import Database
from flask10x.database.sqlite.connections import PAGE_BYTES
from flask10x.database.tables import rejected
from flask10x.readings.reasons import FIXED, Reason
from flask10x.system.wording import escape

DROPPED = "rejected_dropped"
"""Counts the rejected readings that were not kept, because they came too fast."""
EVICTED = "rejected_evicted"
"""Counts the rejected readings that were deleted to make room for newer ones."""

# The rest of a row: the small columns, and what SQLite adds to a page and to a row.
OTHER_BYTES = 84
# Of the earlier readings of paths that no station has: five days of a board that sends every 20 s.
EARLIER_ROWS_MAX = 25_000
# Readings have 100 to 300 bytes.
EARLIER_BYTES_MAX = 10_000_000
# A scanner sends few to each path, a home adds few boards.
EARLIER_PATHS_MAX = 100
# What the path that has the most keeps of its rows, and what all keep of a bound that is passed.
SHARE_LEFT = 0.9
# How often the table is counted, which reads it whole: after this part of its bounds, or after so
# many rows. A bound of the earlier readings may be passed by as much.
COUNTS_A_BOUND = 40
ROWS_BETWEEN_COUNTS = 2500
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
    coded: list[str] = []
    for text, record in zip(texts, records, strict=True):
        code, values = record or (FIXED.get(text, ""), {})
        try:
            coded.append(Reason.stored(text, code, values))
        except KeyError:
            coded.append(text)
    return dict(zip(reasons, coded, strict=False)), coded[-1] if hint else ""


def _texts(reasons: Mapping[str, str], hint: str) -> list[str]:
    return [*reasons.values(), *([hint] if hint else [])]


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
    """A replay recognises by it that it is stored (`accepted_keys.key_of`); empty: it has none."""
    is_storable: bool | None = None
    """Of a path that no station has: whether a station could store it, so that it is kept when the
    next one comes. None: it is of a station."""

    codes: str | None = field(init=False, repr=False)
    """The content of the column of that name, made once for all that ask for the size."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", codes_of(self.reasons, self.hint))

    @property
    def is_unknown(self) -> bool:
        """Whether no station has its path."""
        return self.is_storable is not None

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
    is_earlier: bool = False
    """Whether it waits for its station, and a later one of its path is shown in lists."""


class Waiting(NamedTuple):
    """How many readings of a path wait, and when the first and the last of them came."""

    readings: int
    first_ms: int
    last_ms: int


class Kept(NamedTuple):
    """What `keep` has done."""

    newest: dict[str, int]
    """By its endpoint the id of the last row that was inserted."""
    is_count_due: bool
    """Whether the caller has to see to the bounds of the table (`make_room`, `surplus`)."""


class Surplus(NamedTuple):
    """The rows of one endpoint that are over a bound."""

    endpoint: str
    is_earlier: bool
    rows: int
    """How many of its oldest rows go."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The rows that meet all conditions; an empty field is no condition."""

    ids: tuple[int, ...] = ()
    endpoints: tuple[str, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None
    replayed: bool | None = None
    earlier: bool | None = None

    def clauses(self) -> list[ColumnElement[bool]]:
        """The conditions in SQL."""
        columns = rejected.c
        # Said so that a planner knows how many they are.
        earlier = {True: columns.earlier.is_not(None), False: columns.earlier.is_(None)}
        conditions = (
            columns.id.in_(self.ids) if self.ids else None,
            columns.endpoint.in_(self.endpoints) if self.endpoints else None,
            None if self.since_ms is None else columns.received_at >= self.since_ms,
            None if self.until_ms is None else columns.received_at <= self.until_ms,
            None if self.replayed is None else columns.reading_id.is_not(None) == self.replayed,
            None if self.earlier is None else earlier[self.earlier],
        )
        return [condition for condition in conditions if condition is not None]


@dataclass(frozen=True, slots=True)
class RejectedPage:
    """Rows, newest first, and the cursors of the pages on either side."""

    rows: list[RejectedRow]
    older: Cursor | None
    newer: Cursor | None


def keep(connection: Connection, readings: Sequence[RejectedReading], settings: Settings) -> Kept:
    """Insert the readings in this order, as the newest.

    Of a path that no station has the last one is shown in lists. Those before it are inserted as
    earlier ones if a station could store them, and are left out if not.
    """
    ends = select(rejected.c.id, rejected.c.end_bytes).order_by(rejected.c.id.desc()).limit(1)
    former_id, former_bytes = connection.execute(ends).one_or_none() or (0, 0)
    last_of_path = {reading.endpoint: reading for reading in readings if reading.is_unknown}
    end_bytes, rows = former_bytes, []
    for reading in readings:
        is_earlier = reading.is_unknown and last_of_path[reading.endpoint] is not reading
        if is_earlier and not reading.is_storable:
            continue
        # Those of unknown paths come and go, and have a bound of their own.
        end_bytes += 0 if reading.is_unknown else reading.size_bytes
        place = {"end_bytes": end_bytes, "earlier": 1 if is_earlier else None}
        rows.append(_values(reading) | place)
    connection.execute(insert(rejected), rows)
    newest_id = func.max(rejected.c.id).label("newest_id")
    query = select(rejected.c.endpoint, newest_id).where(rejected.c.id > former_id)
    found = connection.execute(query.group_by(rejected.c.endpoint))
    newest: dict[str, int] = {row.endpoint: row.newest_id for row in found}
    row_step, byte_step = _steps(settings)
    is_due = (
        former_id // row_step != max(newest.values()) // row_step
        or former_bytes // byte_step != end_bytes // byte_step
    )
    return Kept(newest, is_due)


def hide(connection: Connection, number: int, *, is_storable: bool) -> None:
    """Take the row with this id out of the lists, because a later one of its path is there.

    It stays as an earlier one if a station could store it. One that a replay has stored is left.
    """
    waiting = rejected.c.id == number, rejected.c.reading_id.is_(None)
    if is_storable:
        connection.execute(update(rejected).where(*waiting).values(earlier=1))
    else:
        connection.execute(delete(rejected).where(*waiting))


def surplus(connection: Connection, settings: Settings) -> list[Surplus]:
    """What is over the bounds now. It reads the whole table."""
    columns = rejected.c
    texts = sum(map(func.length, (columns.reasons, columns.hint)), func.length(columns.body))
    page_bytes = (texts + OTHER_BYTES + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES
    is_earlier = columns.earlier.is_not(None)
    query = select(is_earlier, columns.endpoint, func.count(), func.sum(page_bytes))
    counted = connection.execute(query.group_by(is_earlier, columns.endpoint))
    sizes: dict[bool, dict[str, tuple[int, int]]] = {False: {}, True: {}}
    for earlier, name, rows, size_bytes in counted:
        sizes[bool(earlier)][name] = rows, int(size_bytes)
    row_step, byte_step = _steps(settings)
    # They are counted again before the bound is passed.
    listed_max = settings.rejected_max_rows - row_step + 1, settings.rejected_max_bytes - byte_step
    # Of too many paths those with the fewest readings go.
    fewest_first = sorted(sizes[True], key=lambda name: sizes[True][name])
    few = {name: sizes[True].pop(name) for name in fewest_first[:-EARLIER_PATHS_MAX]}
    gone = [Surplus(name, True, rows) for name, (rows, _) in few.items()]
    for earlier, maxima in ((False, listed_max), (True, (EARLIER_ROWS_MAX, EARLIER_BYTES_MAX))):
        left = dict(sizes[earlier])
        for measure, most in enumerate(maxima):
            # All stay, or the path that has the most makes room for new ones.
            share = 1 if sum(size[measure] for size in left.values()) <= most else SHARE_LEFT
            while sum(size[measure] for size in left.values()) > most * share:
                name = max(left, key=lambda one: left[one][measure])
                rows, size_bytes = left[name]
                fewer = int(rows * SHARE_LEFT)
                left[name] = fewer, size_bytes * fewer // rows
        for name, (rows, _) in sizes[earlier].items():
            if more := rows - left[name][0]:
                gone.append(Surplus(name, earlier, more))
    return gone


def evict(connection: Connection, surplus: Sequence[Surplus]) -> int:
    """Delete these; how many of them were shown in lists."""
    listed = 0
    for endpoint, is_earlier, rows in surplus:
        of_path = Selection(endpoints=(endpoint,), earlier=is_earlier).clauses()
        ids = select(rejected.c.id).where(*of_path).order_by(rejected.c.id).limit(rows)
        gone = delete(rejected).where(rejected.c.id.in_(ids.scalar_subquery()))
        deleted = connection.execute(gone).rowcount
        listed += 0 if is_earlier else deleted
    return listed


def _steps(settings: Settings) -> tuple[int, int]:
    """After how many ids, and after how many bytes, the table is counted."""
    rows = max(1, settings.rejected_max_rows // COUNTS_A_BOUND)
    return min(rows, ROWS_BETWEEN_COUNTS), settings.rejected_max_bytes // COUNTS_A_BOUND


def page(
    connection: Connection, selection: Selection, cursor: Cursor | None, rows: int
) -> RejectedPage:
    """A page of the selection at the cursor, without earlier rows; no cursor: the newest rows."""
    selection = replace(selection, earlier=False)
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
    """The row of this endpoint that came in last, with its whole body; None if there is none."""
    return _latest(connection, rejected.c.endpoint == endpoint)


def latest_of_no_station(connection: Connection, stations: Collection[str]) -> RejectedRow | None:
    """The last row of an endpoint that none of these stations has; None if there is none."""
    return _latest(connection, rejected.c.endpoint.not_in(stations))


def endpoints(connection: Connection) -> list[str]:
    """The endpoints of all rows, those of no station included; it reads the whole table."""
    return list(connection.execute(select(rejected.c.endpoint).distinct()).scalars())


def waiting(connection: Connection, endpoint: str) -> Waiting | None:
    """How many readings of this endpoint a replay would look at; None without any.

    It reads the whole table.
    """
    clauses = Selection(endpoints=(endpoint,), replayed=False).clauses()
    times = func.min(rejected.c.received_at), func.max(rejected.c.received_at)
    row = connection.execute(select(func.count(), *times).where(*clauses)).one()
    return Waiting(*row) if row[0] else None


def next_after(connection: Connection, selection: Selection, after_id: int) -> list[RejectedRow]:
    """The next rows of the selection after this id, oldest first, with their whole bodies."""
    query = _whole(selection).where(rejected.c.id > after_id).order_by(rejected.c.id)
    return [_row_of(row) for row in connection.execute(query.limit(ROWS_A_TRANSACTION))]


def still_waiting(connection: Connection, ids: Collection[int]) -> dict[int, bool]:
    """Of the rows with these ids those that no replay has stored, and whether each is earlier."""
    query = select(rejected.c.id, rejected.c.earlier.is_not(None)).where(rejected.c.id.in_(ids))
    found = connection.execute(query.where(rejected.c.reading_id.is_(None)))
    return {number: bool(is_earlier) for number, is_earlier in found}


def mark_replayed(connection: Connection, number: int, reading_id: int) -> None:
    """Note the reading that a replay has stored for this row."""
    values = {"reading_id": reading_id}
    connection.execute(update(rejected).where(rejected.c.id == number).values(values))


def forget(connection: Connection, number: int) -> None:
    """Delete the row with this id."""
    connection.execute(delete(rejected).where(rejected.c.id == number))


def show(connection: Connection, number: int, reasons: Mapping[str, str]) -> None:
    """Show the earlier row with this id in lists, as rejected by its station for these reasons."""
    values = {"earlier": None, "reasons": json.dumps(dict(reasons)), "codes": codes_of(reasons, "")}
    connection.execute(update(rejected).where(rejected.c.id == number).values(values))


def purge(database: Database, selection: Selection) -> Iterator[int]:
    """Delete the selection in short transactions; yields the number of rows of each."""
    ids = select(rejected.c.id).where(*selection.clauses()).order_by(rejected.c.id)
    some_ids = ids.limit(ROWS_A_TRANSACTION).scalar_subquery()
    while True:
        with database.commit() as connection:
            rows = connection.execute(delete(rejected).where(rejected.c.id.in_(some_ids))).rowcount
        if not rows:
            break
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
    times = [columns.measured_at, columns.digest, columns.earlier.is_not(None).label("is_earlier")]
    return [*head, *times, *texts, body.label("body"), length]


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
    values |= {"reasons": reasons, "hint": hint, "key": digest.hex() if digest else ""}
    return RejectedRow(**values | {"is_earlier": bool(row.is_earlier)})
