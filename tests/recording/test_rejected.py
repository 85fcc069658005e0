"""The table of rejected readings: what is kept, for how long, and in what order it is shown."""

import json

import pytest

from flask10x.config.settings import Settings
from flask10x.database.cursors import Cursor
from flask10x.database.database import Database
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading, Selection
from tests.conftest import MakeSettings
from tests.support.rows import select

AT = 1_756_000_000_000


def refused(number: int, body: bytes = b"{}", endpoint: str = "data") -> RejectedReading:
    reasons = {"pressure": "required field missing"}
    return RejectedReading(
        endpoint, AT + number, "application/json", body, reasons, f"hint {number}"
    )


def keep(database: Database, settings: Settings, *wanted: RejectedReading) -> int:
    """Keep these, as a batch does; how many older ones have gone for them."""
    with database.commit() as connection:
        if not rejected.keep(connection, wanted, settings).is_count_due:
            return 0
        return rejected.evict(connection, rejected.surplus(connection, settings))


def listed(
    database: Database, cursor: str = "", rows: int = 100, **wanted: object
) -> tuple[list[int], str, str]:
    """Ids of the page, the cursors to its older and newer neighbours."""
    side, _, place = cursor.partition(":")
    at = Cursor("before" if side == "before" else "after", 0, int(place)) if cursor else None
    with database.reader.begin() as connection:
        page = rejected.page(connection, Selection(**wanted), at, rows)  # type: ignore[arg-type]
    ends = [f"{end.side}:{end.id}" if end else "" for end in (page.older, page.newer)]
    return [kept.id for kept in page.rows], ends[0], ends[1]


def test_everything_of_a_refused_reading_is_kept(database: Database, settings: Settings) -> None:
    body = '{"pressure": "°"}\x00\n'.encode() + b"\xff"
    assert keep(database, settings, refused(1, body)) == 0
    columns = "id, endpoint, received_at, reading_id, media_type, reasons, hint, body"
    assert select(database.path, f"SELECT {columns} FROM rejected") == [
        (
            *(1, "data", AT + 1, None, "application/json"),
            *('{"pressure": "required field missing"}', "hint 1", body),
        )
    ]
    with database.reader.begin() as connection:
        kept = rejected.by_id(connection, 1)
        assert rejected.by_id(connection, 2) is None
    assert kept is not None
    assert (kept.body, kept.body_bytes, kept.reasons, kept.reading_id) == (
        body,
        len(body),
        {"pressure": "required field missing"},
        None,
    )


def test_a_list_shows_the_beginning_of_a_long_body(database: Database, settings: Settings) -> None:
    keep(database, settings, refused(1, b"x" * 65536))
    with database.reader.begin() as connection:
        (kept,) = rejected.page(connection, Selection(), None, 10).rows
    assert (kept.body, kept.body_bytes) == (b"x" * 1000, 65536)


def test_texts_from_a_sender_can_be_kept_whatever_they_are(
    database: Database, settings: Settings
) -> None:
    odd = RejectedReading("data", AT, "x" * 5000, b"", {"a": "\ud800\x00'"}, "\x1b[2J")
    keep(database, settings, odd)
    ((media_type, reasons, hint),) = select(
        database.path, "SELECT media_type, reasons, hint FROM rejected"
    )
    assert (len(media_type), json.loads(reasons), hint) == (100, {"a": "\ud800\x00'"}, "\x1b[2J")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"co2": 1}', '{"co2": 1}'),
        ("気温".encode(), "気温"),
        (b"a\r\n\tb\x00\x1b[31m", r"a\r\n\tb\x00\x1b[31m"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("\u202e\u2028\U000e0001".encode(), r"\u202e\u2028\U000e0001"),
    ],
)
def test_a_body_is_shown_in_one_line_that_plays_no_tricks(body: bytes, text: str) -> None:
    assert rejected.text_of(body) == text


def test_the_number_of_rows_is_bounded_and_the_oldest_go(
    database: Database, make_settings: MakeSettings
) -> None:
    settings = make_settings(REJECTED_MAX_ROWS=20)
    evicted = [keep(database, settings, refused(n)) for n in range(1, 44)]
    ids = [number for (number,) in select(database.path, "SELECT id FROM rejected ORDER BY id")]
    # At the 21st row the newest 18 stay, and so on every three rows.
    assert [at for at, gone in enumerate(evicted, 1) if gone] == [21, 24, 27, 30, 33, 36, 39, 42]
    assert ids == list(range(25, 44))
    assert sum(evicted) == 24


def test_many_at_once_are_bounded_too(database: Database, make_settings: MakeSettings) -> None:
    settings = make_settings(REJECTED_MAX_ROWS=10)
    assert keep(database, settings, *(refused(n) for n in range(1, 101))) == 91
    assert select(database.path, "SELECT min(id), max(id) FROM rejected") == [(92, 100)]


def test_the_bytes_are_bounded(database: Database, make_settings: MakeSettings) -> None:
    settings = make_settings(REJECTED_MAX_BYTES=1_000_000)
    for number in range(1, 61):
        keep(database, settings, refused(number, b"x" * 60_000))
        ((rows, size),) = select(database.path, "SELECT count(*), sum(length(body)) FROM rejected")
        assert size <= 1_000_000
        assert rows >= min(number, 12)


@pytest.mark.sqlite_only("pages of the file are counted")
def test_what_is_counted_covers_what_the_file_needs(database: Database, settings: Settings) -> None:
    before = select(database.path, "PRAGMA page_count")[0][0]
    many = [refused(n, b"x" * (n * 7 % 1500)) for n in range(1, 501)]
    keep(database, settings, *many)
    needed = (select(database.path, "PRAGMA page_count")[0][0] - before) * 512
    counted = sum(reading.size_bytes for reading in many)
    # Interior pages are the few percent that are not counted.
    assert needed <= counted * 1.06


def test_pages_go_both_ways_and_new_rows_shift_nothing(
    database: Database, settings: Settings
) -> None:
    keep(database, settings, *(refused(n) for n in range(1, 8)))
    assert listed(database, rows=3) == ([7, 6, 5], "before:5", "")
    assert listed(database, "before:5", rows=3) == ([4, 3, 2], "before:2", "after:4")
    assert listed(database, "before:2", rows=3) == ([1], "", "after:1")
    keep(database, settings, refused(8))
    assert listed(database, "after:4", rows=3) == ([7, 6, 5], "before:5", "after:7")
    assert listed(database, "after:7", rows=3) == ([8], "before:8", "")
    assert listed(database, "after:8", rows=3) == ([], "before:9", "")
    assert listed(database, "before:1", rows=3) == ([], "", "after:0")


def test_a_selection_meets_all_its_conditions(database: Database, settings: Settings) -> None:
    keep(
        database,
        settings,
        refused(1),
        refused(2, endpoint="data4"),
        refused(3, endpoint="data4"),
        refused(4, endpoint="data2"),
    )
    with database.commit() as connection:
        rejected.mark_replayed(connection, 3, 77)
    assert listed(database, endpoints=("data4",))[0] == [3, 2]
    assert listed(database, endpoints=("data4", "data"))[0] == [3, 2, 1]
    assert listed(database, endpoints=("data4",), replayed=False)[0] == [2]
    assert listed(database, replayed=True)[0] == [3]
    assert listed(database, since_ms=AT + 2, until_ms=AT + 3)[0] == [3, 2]
    assert listed(database, ids=(1, 4, 9))[0] == [4, 1]
    with database.reader.begin() as connection:
        assert rejected.still_waiting(connection, [1, 2, 3, 4, 9]) == dict.fromkeys(
            (1, 2, 4), False
        )


def test_purge_deletes_the_selection_in_short_transactions(
    database: Database, settings: Settings
) -> None:
    keep(database, settings, *(refused(n) for n in range(450)), refused(1, endpoint="data4"))
    assert list(rejected.purge(database, Selection(endpoints=("data",)))) == [200, 200, 50]
    assert select(database.path, "SELECT id, endpoint FROM rejected") == [(451, "data4")]
    # An id is never used twice, so a replay takes no other reading than the one that was shown.
    assert list(rejected.purge(database, Selection())) == [1]
    keep(database, settings, refused(2))
    assert select(database.path, "SELECT id FROM rejected") == [(452,)]
