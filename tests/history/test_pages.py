"""Pages of readings against a plain-Python reference, their query plans, and paging in motion."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from flask10x.config.settings import Settings
from flask10x.database.cursors import Cursor
from flask10x.database.database import Database
from flask10x.history import pages, search, view
from flask10x.history.pages import HistoryPage, Row
from flask10x.history.parameters import CSV, JSON, QueryDefaults, parse_query
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.writer import Writer
from tests.support.reference import ORDERS, PARAMETERS, Reference, T, matching, question, stored_in
from tests.support.rows import insert_readings, pico


def ask(settings: Settings, text: str, view: QueryDefaults = JSON) -> Query:
    return parse_query(parse_qsl(text, keep_blank_values=True), settings, T, view)


def page(database: Database, query: Query) -> HistoryPage:
    with database.reader.begin() as connection:
        return pages.page(View(connection, query.registry), query)


def ids(rows: list[Row]) -> list[int]:
    return [row.id for row in rows]


def store(writer: Writer, *readings: Reading) -> None:
    for reading in readings:
        writer.submit(reading)
    while writer.depth:
        writer.step()


# --- What a page holds -----------------------------------------------------------------------


def test_rows_carry_their_values_in_the_stations_order(
    database: Database, writer: Writer, settings: Settings
) -> None:
    store(
        writer,
        Reading("data4", T, (650.0, 1.0, 2.0, None, 3.0, 4.0)),
        Reading("data2", T + 1, (440.0, 26.5, 48.0, 996.5, None)),
        Reading("data", T + 2, (1013.25, 25.0)),
    )
    expected = [
        Row(1, "data4", T, (650.0, 1.0, 2.0, None, 3.0, 4.0)),
        Row(2, "data2", T + 1, (440.0, 26.5, 48.0, 996.5, None)),
        Row(3, "data", T + 2, (1013.25, 25.0)),
    ]
    assert page(database, ask(settings, "")) == HistoryPage(expected, None, None)
    assert page(database, ask(settings, "endpoint=data4")).rows == expected[:1]
    assert page(database, ask(settings, "endpoint=data&endpoint=data2")).rows == expected[1:]


def test_an_empty_database(database: Database, settings: Settings) -> None:
    for text in ("", "order=asc", "endpoint=data", "cursor=before:5:5", "co2__gt=1"):
        assert page(database, ask(settings, text)) == HistoryPage([], None, None)
    assert list(pages.rows_in_pages(database, ask(settings, "", CSV))) == []


def test_a_page_without_a_limit_is_a_mistake(database: Database, settings: Settings) -> None:
    with pytest.raises(ValueError, match="a page needs a limit"):
        page(database, ask(settings, "", CSV))


def test_rows_of_one_millisecond_are_ordered_by_id(
    database: Database, writer: Writer, settings: Settings
) -> None:
    store(writer, *(Reading(name, T, (1.0, 2.0)) for name in ("data", "data", "data")))
    store(writer, Reading("data2", T, (1.0, 2.0, 3.0, 4.0, 5.0)), pico(1, T - 1))
    assert ids(page(database, ask(settings, "")).rows) == [5, 1, 2, 3, 4]
    first = page(database, ask(settings, "order=desc&limit=2"))
    assert (ids(first.rows), first.next) == ([4, 3], Cursor("before", T, 3))
    assert ids(page(database, ask(settings, f"order=desc&limit=2&cursor={first.next}")).rows) == [
        2,
        1,
    ]


@pytest.mark.parametrize(
    ("order", "first", "second", "third"),
    [
        ("", [6, 7], [4, 5], [2, 3]),
        ("order=desc&", [7, 6], [5, 4], [3, 2]),
        ("order=asc&", [1, 2], [3, 4], [5, 6]),
    ],
)
def test_paging_there_and_back(
    database: Database,
    writer: Writer,
    settings: Settings,
    order: str,
    first: list[int],
    second: list[int],
    third: list[int],
) -> None:
    store(writer, *(pico(n, T + n) for n in range(1, 8)))

    def at(cursor: Cursor | None) -> HistoryPage:
        assert cursor
        return page(database, ask(settings, f"{order}limit=2&cursor={cursor}"))

    one = page(database, ask(settings, f"{order}limit=2"))
    two = at(one.next)
    three = at(two.next)
    four = at(three.next)
    assert [ids(p.rows) for p in (one, two, three)] == [first, second, third]
    assert len(four.rows) == 1
    assert (one.prev, four.next) == (None, None)
    assert [ids(at(p.prev).rows) for p in (four, three, two)] == [third, second, first]
    # Back on the first page the way forward is open and there is nothing before.
    assert at(two.prev).next == one.next
    assert at(two.prev).prev is None


def test_rows_that_arrive_while_paging_neither_shift_nor_repeat(
    database: Database, writer: Writer, settings: Settings
) -> None:
    store(writer, *(pico(n, T + n) for n in range(1, 7)))
    one = page(database, ask(settings, "order=desc&limit=2"))
    store(writer, pico(7, T + 7), pico(8, T + 8))
    two = page(database, ask(settings, f"order=desc&limit=2&cursor={one.next}"))
    store(writer, pico(9, T + 9))
    three = page(database, ask(settings, f"order=desc&limit=2&cursor={two.next}"))
    assert [ids(p.rows) for p in (one, two, three)] == [[6, 5], [4, 3], [2, 1]]
    back = page(database, ask(settings, f"order=desc&limit=2&cursor={two.prev}"))
    newer = page(database, ask(settings, f"order=desc&limit=2&cursor={back.prev}"))
    newest = page(database, ask(settings, f"order=desc&limit=2&cursor={newer.prev}"))
    assert [ids(p.rows) for p in (back, newer, newest)] == [[6, 5], [8, 7], [9]]
    assert newest.prev is None


def test_a_page_beyond_the_end_leads_back(
    database: Database, writer: Writer, settings: Settings
) -> None:
    store(writer, pico(1, T), pico(2, T))
    beyond = page(database, ask(settings, f"cursor=before:{T}:1"))
    assert beyond == HistoryPage([], None, Cursor("after", T, 0))
    assert ids(page(database, ask(settings, f"cursor={beyond.prev}")).rows) == [1, 2]
    beyond = page(database, ask(settings, f"order=asc&cursor=after:{T}:2"))
    assert beyond == HistoryPage([], None, Cursor("before", T, 3))


# --- What is new -----------------------------------------------------------------------------


def newer(database: Database, query: Query) -> tuple[list[int], int]:
    assert query.newer_than is not None
    with database.reader.begin() as connection:
        found = pages.newer(View(connection, query.registry), query, query.newer_than)
    return ids(found.rows), found.last_id


def test_what_is_new_comes_in_the_order_of_storage_late_ones_too(
    database: Database, writer: Writer, settings: Settings
) -> None:
    store(writer, pico(1, T + 9), pico(2, T + 8))
    assert newer(database, ask(settings, "since=2")) == ([], 2)
    store(writer, pico(3, T), Reading("data3", T + 1, (1.0, 2.0, 3.0, None)), pico(5, T + 10))
    assert newer(database, ask(settings, "since=0")) == ([1, 2, 3, 4, 5], 5)
    assert newer(database, ask(settings, "since=2")) == ([3, 4, 5], 5)
    assert newer(database, ask(settings, "since=2&limit=2")) == ([3, 4], 4)
    assert newer(database, ask(settings, "since=4&limit=2")) == ([5], 5)
    assert newer(database, ask(settings, "since=2&endpoint=data")) == ([3, 5], 5)
    assert newer(database, ask(settings, "since=2&pressure__gt=4")) == ([5], 5)
    assert newer(database, ask(settings, "since=2&pressure__eq=9")) == ([], 5)
    assert newer(database, ask(settings, "since=0&incomplete=1")) == ([4], 5)
    assert newer(database, ask(settings, "since=0&measurement=co2")) == ([], 5)
    assert newer(database, ask(settings, "since=0&from=2025-08-25")) == ([], 5)


def test_an_id_beyond_the_end_leads_back_to_it(
    database: Database, writer: Writer, settings: Settings
) -> None:
    assert newer(database, ask(settings, "since=7")) == ([], 0)
    store(writer, pico(1))
    assert newer(database, ask(settings, "since=7")) == ([], 1)


def test_one_answer_looks_through_a_bounded_part_of_the_log(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "NEWER_SPAN_ROWS", 10)
    with database.commit() as connection:
        insert_readings(connection, (pico(n, T + n) for n in range(1, 26)))
    answers: list[tuple[list[int], int]] = []
    since = 0
    while not answers or answers[-1][1] != since:
        since = answers[-1][1] if answers else 0
        answers.append(newer(database, ask(settings, f"since={since}&pressure__gte=24")))
    assert answers == [([], 10), ([], 20), ([24, 25], 25), ([], 25)]


def test_what_is_new_without_a_limit_is_a_mistake(database: Database, settings: Settings) -> None:
    with (
        pytest.raises(ValueError, match="a page needs a limit"),
        database.reader.begin() as connection,
    ):
        pages.newer(View(connection, settings.stations), ask(settings, "", CSV), 0)


def test_last_received(database: Database, writer: Writer) -> None:
    store(writer, pico(1, T + 5), pico(2, T), Reading("data3", T + 1, (1.0, 2.0, 3.0, 4.0)))
    found = {"data": T + 5, "data2": None, "data3": T + 1, "data4": None}
    with database.reader.begin() as connection:
        assert View(connection, BUILT_IN).last_received == found
        assert {
            name: times.received_at for name, times in View(connection, BUILT_IN).newest.items()
        } == found


def test_a_late_reading_was_received_when_it_arrived(
    database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it was measured before others of its station, or, by its own clock, after all."""
    day_ms = 86_400_000
    bedroom = replace(Reading("data2", T, (1.0, 2.0, 3.0, 4.0, 5.0)), arrived_at=T + 9)
    early = replace(pico(2, T - day_ms), arrived_at=T + 2)
    ahead = replace(Reading("data3", T + day_ms, (1.0, 2.0, 3.0, 4.0)), arrived_at=T + 1)
    store(writer, pico(1, T), early, ahead, bedroom, Reading("data3", T + 5, (1.0, 2.0, 3.0, 4.0)))
    found = {"data": T + 2, "data2": T + 9, "data3": T + 5, "data4": None}
    with database.reader.begin() as connection:
        assert View(connection, BUILT_IN).last_received == found
        assert View(connection, BUILT_IN).newest["data3"].received_at == T + day_ms
        # Of what has come long ago, only the one that was measured last.
        monkeypatch.setattr(view, "LATE_SPAN_ROWS", 0)
        found = {"data": T, "data2": T + 9, "data3": T + 1, "data4": None}
        assert View(connection, BUILT_IN).last_received == found


# --- Downloads -------------------------------------------------------------------------------


# The rows of a question, of seven that are stored.
DOWNLOADS = {
    "": [1, 2, 3, 4, 5, 6, 7],
    "order=asc": [1, 2, 3, 4, 5, 6, 7],
    "order=desc": [7, 6, 5, 4, 3, 2, 1],
    "limit=3": [5, 6, 7],
    "limit=3&order=asc": [1, 2, 3],
    "limit=3&order=desc": [7, 6, 5],
    f"cursor=before:{T + 3}:3": [1, 2],
    f"cursor=after:{T + 3}:3": [4, 5, 6, 7],
    f"cursor=before:{T + 3}:3&order=desc": [2, 1],
    f"cursor=after:{T + 3}:3&order=desc": [7, 6, 5, 4],
    "pressure__gt=2&pressure__lt=6": [3, 4, 5],
}


def test_a_download_has_every_row_once(
    database: Database, writer: Writer, settings: Settings
) -> None:
    store(writer, *(pico(n, T + n) for n in range(1, 8)))
    wrong = []
    for text, page_rows in product(DOWNLOADS, (1, 2, 3, 7, 8, 100)):
        parts = list(pages.rows_in_pages(database, ask(settings, text, CSV), page_rows))
        ids = [row.id for rows in parts for row in rows]
        lengths = [len(rows) for rows in parts]
        are_pages = "limit" in text or all(1 <= length <= page_rows for length in lengths)
        if ids != DOWNLOADS[text] or not are_pages:
            wrong.append((text, page_rows, ids, lengths))
    assert wrong == []


def test_a_download_holds_no_connection_between_two_pages(
    database: Database, writer: Writer, settings: Settings
) -> None:
    store(writer, *(pico(n, T + n) for n in range(1, 6)))
    opened: list[str] = []
    event.listen(database.reader, "checkout", lambda *_: opened.append("out"))
    event.listen(database.reader, "checkin", lambda *_: opened.append("in"))
    for _ in pages.rows_in_pages(database, ask(settings, "", CSV), 2):
        assert opened.count("out") == opened.count("in")
    for _ in pages.rows_in_pages(database, ask(settings, "limit=4", CSV), 2):
        assert opened.count("out") == opened.count("in")
    assert opened.count("out") == 4


# --- Query plans -----------------------------------------------------------------------------


@pytest.fixture
def plans(database: Database) -> Iterator[list[list[str]]]:
    """The plan of each SELECT from here on, as SQLite tells it."""
    found: list[list[str]] = []

    @event.listens_for(database.reader, "before_cursor_execute")
    def explain(
        _connection: object, cursor: Any, statement: str, parameters: Any, *_rest: object
    ) -> None:
        # What nearly every answer needs is asked of tables of a few rows.
        is_of_few = "FROM corrections" in statement or "FROM followers" in statement
        if statement.startswith("SELECT") and not is_of_few:
            plan = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            found.append([detail for *_numbers, detail in plan])

    yield found
    event.remove(database.reader, "before_cursor_execute", explain)


INDEX = "SEARCH readings USING INDEX ix_readings_endpoint_received_at"


@pytest.mark.sqlite_only("the plans of SQLite; tests/postgres/test_plans.py has PostgreSQL's")
@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", "(endpoint=?)"),
        ("order=asc", "(endpoint=?)"),
        ("cursor=before:1756000000000:5", "(endpoint=? AND received_at<?)"),
        ("order=asc&cursor=after:1756000000000:5", "(endpoint=? AND received_at>?)"),
        ("from=2025-08-24", "(endpoint=? AND received_at>?)"),
        ("to=2025-08-24", "(endpoint=? AND received_at<?)"),
        (
            "from=2025-08-01&to=2025-08-24&cursor=before:1755000000000:5&temperature__gt=5",
            "(endpoint=? AND received_at>? AND received_at<?)",
        ),
        ("co2__isnull=1&limit=5", "(endpoint=?)"),
    ],
)
def test_each_branch_is_a_range_of_the_index_and_nothing_is_sorted(
    database: Database,
    settings: Settings,
    plans: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    limits: str,
) -> None:
    # No part of the window is left out; test_hour_statements.py is about those.
    monkeypatch.setattr(search, "MOST_ROWS_BEHIND", -1)
    page(database, ask(settings, text))
    steps = next(plan for plan in plans if INDEX in " ".join(plan))
    searches = [step for step in steps if "readings" in step]
    # `data4` has no `temperature`, so it can't match and has no branch.
    assert searches == [f"{INDEX} {limits}"] * (3 if "temperature" in text else 4)
    assert {step.split(" (")[0] for step in steps} - {searches[0].split(" (")[0]} == {
        "MERGE",
        "LEFT",
        "RIGHT",
    }


@pytest.mark.sqlite_only("the plans of SQLite; tests/postgres/test_plans.py has PostgreSQL's")
@pytest.mark.parametrize(
    "text", ["", "&endpoint=data", "&endpoint=data&from=2025-08-24", "&incomplete=1&co2__gt=5"]
)
def test_what_is_new_is_a_range_of_ids(
    database: Database, writer: Writer, settings: Settings, plans: list[list[str]], text: str
) -> None:
    store(writer, pico(1))
    newer(database, ask(settings, f"since=0{text}"))
    primary_key = "SEARCH readings USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
    assert plans[-1] == [primary_key]


@pytest.mark.sqlite_only("the plans of SQLite; tests/postgres/test_plans.py has PostgreSQL's")
def test_one_station_is_one_search(
    database: Database, settings: Settings, plans: list[list[str]]
) -> None:
    page(database, ask(settings, "endpoint=data2&cursor=before:1756000000000:5"))
    # The page, the row that the cursor was made of, and what lies beyond.
    assert plans == [
        [f"{INDEX} (endpoint=? AND received_at<?)"],
        [f"{INDEX} (endpoint=? AND received_at>? AND received_at<?)"],
        [f"{INDEX} (endpoint=? AND received_at>?)"],
    ]


@pytest.mark.sqlite_only("the plans of SQLite; tests/postgres/test_plans.py has PostgreSQL's")
def test_a_deep_page_has_the_plan_of_the_one_before(
    database: Database, writer: Writer, settings: Settings, plans: list[list[str]]
) -> None:
    store(writer, *(pico(n, T + n) for n in range(20)))
    cursor = page(database, ask(settings, "limit=2")).next
    plans.clear()
    while cursor:
        cursor = page(database, ask(settings, f"limit=2&cursor={cursor}")).next
    assert len(plans) == 18
    assert len({tuple(plan) for plan in plans[::2]}) == 1
    assert len({tuple(plan) for plan in plans[1::2]}) == 1


@pytest.mark.sqlite_only("the plans of SQLite; tests/postgres/test_plans.py has PostgreSQL's")
@pytest.mark.parametrize("cursor", [f"before:{T + 10}:11", f"after:{T + 989}:990"])
def test_a_bound_beyond_the_cursor_does_not_make_sqlite_walk_to_it(
    database: Database, writer: Writer, settings: Settings, cursor: str
) -> None:
    # Both ends stand in the query, yet SQLite must enter the index at the nearer one.
    store(writer, *(pico(n, T + n) for n in range(1000)))
    steps: list[int] = []

    @event.listens_for(database.reader, "checkout")
    def count_steps(driver: sqlite3.Connection, *_rest: object) -> None:
        driver.set_progress_handler(lambda: steps.append(1), 100)

    query = ask(settings, f"from=2025-08-01&to=2025-09-30&limit=5&cursor={cursor}")
    assert len(page(database, query).rows) == 5
    # Walking the 989 rows between costs over 100 rounds of 100 instructions.
    assert len(steps) < 20


@pytest.mark.sqlite_only("the plans of SQLite; tests/postgres/test_plans.py has PostgreSQL's")
def test_last_received_takes_one_step_into_the_index_for_each_station(
    database: Database, plans: list[list[str]]
) -> None:
    with database.reader.begin() as connection:
        assert View(connection, BUILT_IN).last_received
    times, recent = filter(None, [[s for s in p if "readings" in s] for p in plans])
    covering = INDEX.replace("USING INDEX", "USING COVERING INDEX")
    assert times == [f"{covering} (endpoint=?)", f"{INDEX} (endpoint=?)"] * 4
    assert recent == ["SEARCH readings USING INTEGER PRIMARY KEY (rowid>?)"]


# --- A reference in plain Python -------------------------------------------------------------


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with stored_in(tmp_path_factory.mktemp("reference")) as found:
        yield found


@given(PARAMETERS, ORDERS, st.integers(1, 50))
def test_all_pages_together_are_the_reference(
    reference: Reference, parameters: dict[str, Any], order: str | None, limit: int
) -> None:
    expected = [row.id for row in matching(reference.stored, parameters)]
    forward: list[list[int]] = []
    cursor: Cursor | None = None
    last: HistoryPage | None = None
    while last is None or cursor:
        query = question(reference, parameters, JSON, order=order, limit=limit, cursor=cursor)
        last = page(reference.database, query)
        forward.append(ids(last.rows))
        cursor = last.next
    flat = [number for rows in forward for number in rows]
    if order is None:
        flat = [number for rows in reversed(forward) for number in rows]
    assert flat == (expected[::-1] if order == "desc" else expected)
    assert all(len(rows) == limit for rows in forward[:-1])
    backward = [ids(last.rows)]
    while last.prev:
        query = question(reference, parameters, JSON, order=order, limit=limit, cursor=last.prev)
        last = page(reference.database, query)
        backward.append(ids(last.rows))
    assert backward[::-1] == forward


@given(
    PARAMETERS,
    ORDERS,
    st.integers(1, 50),
    st.sampled_from(["before", "after"]),
    st.integers(-1, 13),
    st.integers(0, 121),
)
def test_any_cursor_splits_the_reference(
    reference: Reference,
    parameters: dict[str, Any],
    order: str | None,
    limit: int,
    side: str,
    second: int,
    number: int,
) -> None:
    place = (T + 1000 * second, number)
    rows = matching(reference.stored, parameters)
    if side == "before":
        rows = [row for row in rows if row.place < place][-limit:]
    else:
        rows = [row for row in rows if row.place > place][:limit]
    expected = [row.id for row in rows]
    cursor = f"{side}:{place[0]}:{place[1]}"
    query = question(reference, parameters, JSON, order=order, limit=limit, cursor=cursor)
    found = ids(page(reference.database, query).rows)
    assert found == (expected[::-1] if order == "desc" else expected)


@given(PARAMETERS, ORDERS, st.integers(1, 50))
def test_a_download_is_the_reference(
    reference: Reference, parameters: dict[str, Any], order: str | None, page_rows: int
) -> None:
    expected = [row.id for row in matching(reference.stored, parameters)]
    query = question(reference, parameters, CSV, order=order)
    parts = pages.rows_in_pages(reference.database, query, page_rows)
    found = [row.id for rows in parts for row in rows]
    assert found == (expected[::-1] if order == "desc" else expected)


@given(PARAMETERS, st.integers(1, 50), st.integers(0, 121))
def test_what_is_new_is_the_reference(
    reference: Reference, parameters: dict[str, Any], limit: int, since: int
) -> None:
    rows = sorted(matching(reference.stored, parameters), key=lambda row: row.id)
    expected = [row.id for row in rows if row.id > since]
    found: list[int] = []
    last = -1
    while last != since:
        last = since
        query = question(reference, parameters, JSON, limit=limit, since=since)
        some, since = newer(reference.database, query)
        assert len(some) <= limit
        found += some
    assert found == expected
