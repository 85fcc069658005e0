"""Pages that skip the hours without a match hold the same rows as those that read everything."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from sqlalchemy import event

from flask10x import queries, rollups, zones
from flask10x.cursors import Cursor
from flask10x.filters import CSV, JSON, parse_query
from flask10x.question import Bound, Query
from flask10x.readings import Reading
from flask10x.rows import INSERT, row_of
from flask10x.settings import Settings
from flask10x.sqlite import Database
from flask10x.stations import STATIONS
from tests.reference import (
    OPTIONS,
    ORDERS,
    Reference,
    Stored,
    T,
    empty_in,
    invented,
    matching,
    question,
    store,
)
from tests.rows import execute, pico

HOUR = 3_600_000
# 2025-08-24 09:00:00 in Tokyo, a whole hour of UTC.
NINE = 1_755_993_600_000
# Readings of 60 times, three of them in an hour or two.
COUNT, PACE_MS, TIMES = 300, 25 * 60_000, 60


def page(database: Database, query: Query) -> queries.Page:
    with database.reader.begin() as connection:
        return queries.page(connection, query)


def ids(database: Database, settings: Settings, text: str) -> list[int]:
    found = page(database, parse_query(parse_qsl(text), settings, T, JSON))
    return [row.id for row in found.rows]


def store_only(database: Database, *readings: Reading) -> None:
    with database.commit() as connection:
        connection.exec_driver_sql(INSERT, [row_of(reading) for reading in readings])


def follow(database: Database) -> None:
    while rollups.follow(database):
        pass


@pytest.fixture
def pages(database: Database) -> Iterator[list[Any]]:
    """The values bound to each statement from here on that reads rows of a page."""
    found: list[Any] = []

    @event.listens_for(database.reader, "before_cursor_execute")
    def note(_connection: object, _cursor: object, text: str, values: Any, *_rest: object) -> None:
        if "LIMIT" in text:
            found.append(values)

    yield found
    event.remove(database.reader, "before_cursor_execute", note)


# --- The reference in plain Python, with roll-ups of a part of the log -------------------------


@pytest.fixture(scope="module", params=[120, 290, COUNT])
def reference(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Reference]:
    """The readings up to some id are rolled up, the rest is late, or imported."""
    with empty_in(tmp_path_factory.mktemp("zones")) as found:
        readings = invented(COUNT, PACE_MS, TIMES)
        for some in readings[: request.param], readings[request.param :]:
            if some:
                follow(found.database)
                store(found, some)
        if request.param == COUNT:
            follow(found.database)
        yield found


OTHER = st.fixed_dictionaries(
    {},
    optional={
        "temperature__gte": st.just("2.5"),
        "temperature__eq": st.sampled_from(["1", "0.5"]),
        "co2__lt": st.sampled_from(["0", "-1"]),
        "co2__isnull": st.sampled_from(["0", "1"]),
        "voltage__gt": st.sampled_from(["0", "2.5"]),
        "humidity__lte": st.just("-1"),
    },
)


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    """Questions without `from` and `to`: those of the reference are seconds apart."""
    both = draw(OPTIONS) | draw(OTHER)
    return {name: value for name, value in both.items() if name not in ("from", "to")}


PLACES = st.integers(-2, TIMES * PACE_MS // HOUR + 2).flatmap(
    lambda hour: st.sampled_from([NINE + hour * HOUR + ms for ms in (-1, 0, 1, HOUR // 2)])
)
WINDOWS = st.tuples(st.none() | PLACES, st.none() | PLACES).filter(
    lambda ends: ends[0] is None or ends[1] is None or ends[0] <= ends[1]
)
# Small ones, so that a span is full, and a gap is read across, after few hours.
SIZES = st.tuples(st.sampled_from([1, 3, 24]), st.sampled_from([1, 8]))
Window = tuple[int | None, int | None]


def bound(ms: int | None) -> Bound | None:
    return None if ms is None else Bound(ms, "", "")


def inside(rows: list[Stored], window: Window) -> list[Stored]:
    low, high = window
    return [
        row
        for row in rows
        if (low is None or row.received_at >= low) and (high is None or row.received_at <= high)
    ]


@limits(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(questions(), WINDOWS, ORDERS, st.integers(4, 60), SIZES)
def test_all_pages_together_are_the_reference(
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, Any],
    window: Window,
    order: str | None,
    limit: int,
    sizes: tuple[int, int],
) -> None:
    monkeypatch.setattr(zones, "FIRST_SPAN_HOURS", sizes[0])
    monkeypatch.setattr(zones, "FRUITLESS_SPANS", sizes[1])
    monkeypatch.setattr(zones, "FIRST_LOOK_HOURS", sizes[0])
    expected = [row.id for row in inside(matching(reference.stored, asked), window)]
    first = question(reference, asked, JSON, order=order, limit=limit)
    first = replace(first, since=bound(window[0]), until=bound(window[1]))
    last = page(reference.database, first)
    forward = [last]
    while last.next:
        last = page(reference.database, replace(first, cursor=last.next))
        forward.append(last)
    flat = [row.id for one in (forward if order else forward[::-1]) for row in one.rows]
    assert flat == (expected[::-1] if order == "desc" else expected)
    backward = [last]
    while last.prev:
        last = page(reference.database, replace(first, cursor=last.prev))
        backward.append(last)
    assert [one.rows for one in backward[::-1]] == [one.rows for one in forward]


@given(questions(), WINDOWS, st.sampled_from(["before", "after"]), PLACES, st.integers(0, COUNT))
def test_any_cursor_splits_the_reference(
    reference: Reference, asked: dict[str, Any], window: Window, side: Any, ms: int, number: int
) -> None:
    rows = inside(matching(reference.stored, asked), window)
    if side == "before":
        expected = [row.id for row in rows if row.place < (ms, number)][-5:]
    else:
        expected = [row.id for row in rows if row.place > (ms, number)][:5]
    query = question(reference, asked, JSON, order="asc", limit=5)
    query = replace(query, since=bound(window[0]), until=bound(window[1]))
    query = replace(query, cursor=Cursor(side, ms, number))
    assert [row.id for row in page(reference.database, query).rows] == expected


@given(questions(), ORDERS, st.integers(4, 60))
def test_a_download_is_the_reference(
    reference: Reference, asked: dict[str, Any], order: str | None, page_rows: int
) -> None:
    expected = [row.id for row in matching(reference.stored, asked)]
    query = question(reference, asked, CSV, order=order)
    found = queries.rows_in_pages(reference.database, query, page_rows)
    flat = [row.id for rows in found for row in rows]
    assert flat == (expected[::-1] if order == "desc" else expected)


# --- What is read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "pressure__gt=1010",
        "pressure__gte=1010.5",
        "pressure__lt=1000",
        "pressure__lte=999",
        "pressure__eq=1011",
        "endpoint=data&pressure__isnull=1",
        "incomplete=1&measurement=pressure",
        "endpoint=data&temperature__isnull=0&pressure__gt=1010",
        "endpoint=data&temperature__gt=25&pressure__gt=1009",
        "endpoint=data3&incomplete=1",
    ],
)
def test_what_nothing_matches_is_not_looked_for(
    database: Database, settings: Settings, pages: list[Any], text: str
) -> None:
    store_only(database, *(pico(1000 + n, NINE + n * HOUR) for n in range(10)))
    store_only(database, Reading("data", NINE + 10 * HOUR, (1010, 20.0)))
    store_only(database, Reading("data3", NINE, (20.0, 50.0, 1000.0, 5000.0)))
    follow(database)
    assert ids(database, settings, text) == []
    assert pages == []


def test_only_the_hours_of_a_match_are_read(
    database: Database, settings: Settings, pages: list[Any]
) -> None:
    store_only(database, *(pico(1000 + n % 10, NINE + n * HOUR) for n in range(40)))
    follow(database)
    assert ids(database, settings, "pressure__gte=1009&limit=3") == [20, 30, 40]
    times = [ms for values in pages for ms in values if isinstance(ms, int) and ms >= NINE]
    # The window has no end of its own, and neither has the span that reaches there.
    assert {(ms - NINE) // HOUR for ms in times} == {9, 19, 29, 39}


def test_an_hour_is_read_from_its_first_to_its_last_millisecond(
    database: Database, settings: Settings
) -> None:
    times = (0, HOUR, 2 * HOUR - 1, 2 * HOUR, 3 * HOUR)
    store_only(database, *(pico(n, NINE + ms) for n, ms in enumerate(times)))
    follow(database)
    assert ids(database, settings, "pressure__gte=1&pressure__lte=2") == [2, 3]


def test_a_filter_that_many_match_is_one_statement(
    database: Database, settings: Settings, pages: list[Any]
) -> None:
    store_only(database, *(pico(1000 + n, NINE + n * HOUR // 2) for n in range(100)))
    follow(database)
    assert ids(database, settings, "pressure__gt=1000&limit=2") == [99, 100]
    assert len(pages) == 1


def test_conditions_that_only_seem_to_meet_cost_few_statements(
    database: Database, settings: Settings, pages: list[Any]
) -> None:
    # Every other hour has a low pressure and a high temperature, but no reading has both.
    for n in range(0, 2000, 2):
        at = NINE + n * HOUR
        store_only(database, Reading("data", at, (900, 10.0)), Reading("data", at, (1000, 30.0)))
    follow(database)
    assert ids(database, settings, "pressure__lt=950&temperature__gt=25") == []
    assert len(pages) < 100


def test_a_long_backlog_is_not_looked_through(
    database: Database, settings: Settings, pages: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zones, "MOST_ROWS_BEHIND", 5)
    store_only(database, *(pico(n, NINE + n * HOUR) for n in range(6)))
    assert ids(database, settings, "pressure__eq=9") == []
    assert len(pages) == 1
    execute(database.path, "DELETE FROM readings WHERE id = 6")
    rollups.follow(database)
    assert ids(database, settings, "pressure__eq=9") == []
    assert len(pages) == 1


def test_deleted_readings_do_no_harm(database: Database, settings: Settings) -> None:
    store_only(database, *(pico(n, NINE + n * HOUR) for n in range(6)))
    follow(database)
    execute(database.path, "DELETE FROM readings WHERE id IN (3, 6)")
    assert ids(database, settings, "pressure__gte=2") == [4, 5]


def test_the_hours_are_a_range_of_their_key_and_come_as_they_are_asked_for(
    database: Database, settings: Settings
) -> None:
    store_only(database, *(Reading(s.endpoint, NINE, (1.0,) * len(s.columns)) for s in STATIONS))
    found: list[list[str]] = []

    @event.listens_for(database.reader, "before_cursor_execute")
    def explain(_connection: object, cursor: Any, text: str, values: Any, *_: object) -> None:
        if "FROM rollups" in text:
            plan = cursor.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
            found.append([detail for *_numbers, detail in plan if "rollups" in detail])
            assert not any("TEMP B-TREE" in step[-1] for step in plan)

    for text in ("co2__gt=5", "incomplete=1", "temperature__lt=5&humidity__gt=7&incomplete=1"):
        ids(database, settings, text)
    key = "USING PRIMARY KEY (endpoint=? AND measurement=? AND hour"
    assert all(key in step for plan in found for step in plan)
    assert [len(plan) for plan in found] == [2, 17, 6]
