"""Pages that skip the hours without a match hold the same rows as those that read everything."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from sqlalchemy import event

from flask10x.config.settings import Settings
from flask10x.database.cursors import Cursor
from flask10x.database.database import Database
from flask10x.history import pages, rollups, search
from flask10x.history.parameters import CSV, JSON, parse_query
from flask10x.history.query import Bound, Query
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from tests.support.corrections import corrected
from tests.support.reference import (
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
from tests.support.rows import execute, insert_readings, pico

HOUR = 3_600_000
# 2025-08-24 09:00:00 in Tokyo, a whole hour of UTC.
NINE = 1_755_993_600_000
# Readings of 60 times, three of them in an hour or two.
COUNT, PACE_MS, TIMES = 300, 25 * 60_000, 60


def page(database: Database, query: Query, search_sec: float = math.inf) -> pages.HistoryPage:
    with database.reader.begin() as connection:
        return pages.page(View(connection, query.registry), query, search_sec)


def ids(database: Database, settings: Settings, text: str) -> list[int]:
    found = page(database, parse_query(parse_qsl(text), settings, T, JSON))
    return [row.id for row in found.rows]


def store_only(database: Database, *readings: Reading) -> None:
    with database.commit() as connection:
        insert_readings(connection, readings)


def follow(database: Database) -> None:
    while rollups.follow(BUILT_IN, database):
        pass


@pytest.fixture
def page_values(database: Database) -> Iterator[list[Any]]:
    """The values bound to each statement from here on that reads rows of a page."""
    found: list[Any] = []

    @event.listens_for(database.reader, "before_cursor_execute")
    def note(_connection: object, _cursor: object, text: str, values: Any, *_rest: object) -> None:
        if "LIMIT" in text and "received_at" in text:
            # By name on PostgreSQL.
            found.append([*values.values()] if isinstance(values, dict) else values)

    yield found
    event.remove(database.reader, "before_cursor_execute", note)


# --- The reference in plain Python, with roll-ups of a part of the log -------------------------


@pytest.fixture(
    scope="module",
    params=[120, *(pytest.param(some, marks=pytest.mark.long) for some in (290, COUNT))],
)
def reference(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Reference]:
    """The readings up to some id are rolled up, the rest is late, or imported."""
    with empty_in(tmp_path_factory.mktemp("hours")) as found:
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
# Small ones, so that there are many looks and many pieces.
SIZES = st.tuples(st.sampled_from([1, 3, 24]), st.sampled_from([1, 2, 7]))
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
@given(questions(), WINDOWS, ORDERS, st.integers(4, 60), SIZES, st.sampled_from([math.inf, 0]))
def test_all_pages_together_are_the_reference(
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
    parameters: dict[str, Any],
    window: Window,
    order: str | None,
    limit: int,
    sizes: tuple[int, int],
    search_sec: float,
) -> None:
    monkeypatch.setattr(search, "FIRST_LOOK_HOURS", sizes[0])
    monkeypatch.setattr(search, "PIECE_HOURS", sizes[1])
    expected = [row.id for row in inside(matching(reference.stored, parameters), window)]
    first = question(reference, parameters, JSON, order=order, limit=limit)
    first = replace(first, since=bound(window[0]), until=bound(window[1]))
    last = page(reference.database, first, search_sec)
    forward = [last]
    while last.next:
        last = page(reference.database, replace(first, cursor=last.next), search_sec)
        forward.append(last)
    backward = [last]
    while last.prev:
        last = page(reference.database, replace(first, cursor=last.prev), search_sec)
        backward.append(last)
    for parts in (forward, backward[::-1]):
        flat = [row.id for one in (parts if order else parts[::-1]) for row in one.rows]
        assert flat == (expected[::-1] if order == "desc" else expected)
    # Only a search that ends early makes a short page that is not the last one.
    short = [one for one in forward[:-1] if len(one.rows) < limit]
    assert all(one.reached is not None for one in short)
    if search_sec:
        assert not short and all(one.reached is None for one in forward + backward)
        assert [one.rows for one in backward[::-1]] == [one.rows for one in forward]


@given(questions(), WINDOWS, st.sampled_from(["before", "after"]), PLACES, st.integers(0, COUNT))
def test_any_cursor_splits_the_reference(
    reference: Reference,
    parameters: dict[str, Any],
    window: Window,
    side: Any,
    ms: int,
    number: int,
) -> None:
    rows = inside(matching(reference.stored, parameters), window)
    if side == "before":
        expected = [row.id for row in rows if row.place < (ms, number)][-5:]
    else:
        expected = [row.id for row in rows if row.place > (ms, number)][:5]
    query = question(reference, parameters, JSON, order="asc", limit=5)
    query = replace(query, since=bound(window[0]), until=bound(window[1]))
    query = replace(query, cursor=Cursor(side, ms, number))
    assert [row.id for row in page(reference.database, query).rows] == expected


@limits(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(questions(), ORDERS, st.integers(4, 60), st.sampled_from([0.0, 60.0]))
def test_a_download_is_the_reference(
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
    parameters: dict[str, Any],
    order: str | None,
    page_rows: int,
    search_sec: float,
) -> None:
    monkeypatch.setattr(pages, "SEARCH_SEC", search_sec)
    monkeypatch.setattr(search, "PIECE_HOURS", 2)
    expected = [row.id for row in matching(reference.stored, parameters)]
    query = question(reference, parameters, CSV, order=order)
    found = pages.rows_in_pages(reference.database, query, page_rows)
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
    database: Database, settings: Settings, page_values: list[Any], text: str
) -> None:
    store_only(database, *(pico(1000 + n, NINE + n * HOUR) for n in range(10)))
    store_only(database, Reading("data", NINE + 10 * HOUR, (1010, 20.0)))
    store_only(database, Reading("data3", NINE, (20.0, 50.0, 1000.0, 5000.0)))
    follow(database)
    assert ids(database, settings, text) == []
    assert page_values == []


def hours_of(values: Any) -> list[int]:
    """The hours that a statement was given, counted from nine."""
    lists = [value for value in values if isinstance(value, str) and value.startswith("[")]
    return sorted(hour - NINE // HOUR for value in lists for hour in json.loads(value))


def test_only_the_hours_of_a_match_are_read(
    database: Database, settings: Settings, page_values: list[Any]
) -> None:
    store_only(database, *(pico(1000 + n % 10, NINE + n * HOUR) for n in range(40)))
    follow(database)
    assert ids(database, settings, "endpoint=data&pressure__gte=1009&limit=3") == [20, 30, 40]
    assert [hours_of(values) for values in page_values] == [[9, 19, 29, 39]]


def test_each_station_has_hours_of_its_own(
    database: Database, settings: Settings, page_values: list[Any]
) -> None:
    store_only(
        database,
        *(pico(1000 + n % 10, NINE + n * HOUR) for n in range(20)),
        *(Reading("data3", NINE + n * HOUR, (1.0, 1.0, 1000.0 + (n - 5), 1.0)) for n in range(16)),
    )
    follow(database)
    assert ids(database, settings, "pressure__gte=1009") == [10, 35, 36, 20]
    # The last hour of a look is read of all stations that have the measurement.
    assert [hours_of(values) for values in page_values] == [[9, 9, 9, 14, 15, 19]]


def test_an_hour_is_read_from_its_first_to_its_last_millisecond(
    database: Database, settings: Settings
) -> None:
    times = (0, HOUR, 2 * HOUR - 1, 2 * HOUR, 3 * HOUR)
    store_only(database, *(pico(n, NINE + ms) for n, ms in enumerate(times)))
    follow(database)
    assert ids(database, settings, "pressure__gte=1&pressure__lte=2") == [2, 3]


def test_a_filter_that_many_match_is_one_statement(
    database: Database, settings: Settings, page_values: list[Any]
) -> None:
    store_only(database, *(pico(1000 + n, NINE + n * HOUR // 2) for n in range(100)))
    follow(database)
    assert ids(database, settings, "pressure__gt=1000&limit=2") == [99, 100]
    assert len(page_values) == 1


def test_conditions_that_only_seem_to_meet_cost_few_statements(
    database: Database, settings: Settings, page_values: list[Any]
) -> None:
    # Every other hour has a low pressure and a high temperature, but no reading has both.
    for n in range(0, 2000, 2):
        at = NINE + n * HOUR
        store_only(database, Reading("data", at, (900, 10.0)), Reading("data", at, (1000, 30.0)))
    follow(database)
    assert ids(database, settings, "pressure__lt=950&temperature__gt=25") == []
    assert len(page_values) < 100


def test_a_long_backlog_is_not_looked_through(
    database: Database, settings: Settings, page_values: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_ROWS_BEHIND", 5)
    store_only(database, *(pico(n, NINE + n * HOUR) for n in range(6)))
    assert ids(database, settings, "pressure__eq=9") == []
    assert len(page_values) == 1
    execute(database.path, "DELETE FROM readings WHERE id = 6")
    rollups.follow(BUILT_IN, database)
    assert ids(database, settings, "pressure__eq=9") == []
    assert len(page_values) == 1


def test_deleted_readings_do_no_harm(database: Database, settings: Settings) -> None:
    store_only(database, *(pico(n, NINE + n * HOUR) for n in range(6)))
    follow(database)
    execute(database.path, "DELETE FROM readings WHERE id IN (3, 6)")
    assert ids(database, settings, "pressure__gte=2") == [4, 5]


@pytest.mark.sqlite_only("the plans of SQLite; tests/postgres/test_plans.py has PostgreSQL's")
def test_nothing_is_sorted_and_every_step_is_a_range_of_a_key(
    database: Database, settings: Settings
) -> None:
    values = [
        (s, (*(None,) * (len(s.columns) > 2), *[9.0] * 9)[: len(s.columns)]) for s in BUILT_IN.all
    ]
    store_only(database, *(Reading(s.endpoint, NINE, row) for s, row in values))
    follow(database)
    found: set[str] = set()

    @event.listens_for(database.reader, "before_cursor_execute")
    def explain(_connection: object, cursor: Any, text: str, values: Any, *_: object) -> None:
        if "rollups" in text and "LIMIT" in text:
            plan = cursor.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
            found.update(re.sub("_[0-9]+ ", " ", detail) for *_numbers, detail in plan)

    texts = ("temperature__gt=5", "incomplete=1", "humidity__lt=15&temperature__gt=7&incomplete=1")
    for text in texts:
        for order in ("asc", "desc"):
            assert ids(database, settings, f"{text}&order={order}&cursor=after:0:0")
    steps = {detail for detail in found if detail.startswith(("SEARCH", "USE TEMP"))}
    key = "SEARCH rollups USING PRIMARY KEY (endpoint=? AND measurement=? AND hour"
    assert steps == {
        f"{key}>? AND hour<?)",
        f"{key}=?)",
        "SEARCH rollups USING INDEX ix_rollups_missing (endpoint=? AND hour>? AND hour<?)",
        "SEARCH readings USING INDEX ix_readings_endpoint_received_at"
        " (endpoint=? AND received_at>? AND received_at<?)",
    }
    scans = {detail for detail in found if detail.startswith("SCAN")}
    assert scans == {"SCAN anon VIRTUAL TABLE INDEX 1:"}


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_search_that_ends_early_says_how_far_it_got(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    # Both conditions hold in each hour, and never at once but in the third reading.
    for n in range(6):
        at = NINE + n * HOUR
        store_only(database, Reading("data", at, (900, 10.0)), Reading("data", at, (1000, 30.0)))
    store_only(database, Reading("data", NINE + 2 * HOUR + 1, (900, 30.0)))
    follow(database)
    monkeypatch.setattr(search, "PIECE_HOURS", 2)
    text = f"pressure__lt=950&temperature__gt=25&order={order}"
    query = parse_query(parse_qsl(text), settings, T, JSON)
    first = page(database, query, 0)
    assert (first.rows, first.reached) == (
        [],
        NINE + (2 * HOUR if order == "asc" else 4 * HOUR - 1),
    )
    second = page(database, replace(query, cursor=first.next), 0)
    assert [row.id for row in second.rows] == [13]
    whole = page(database, query)
    assert ([row.id for row in whole.rows], whole.reached, whole.next) == ([13], None, None)


def test_hours_that_can_match_are_read_by_pieces_after_a_long_time_without_any(
    database: Database, settings: Settings, page_values: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store_only(database, *(pico(1000, NINE + n * HOUR) for n in range(40, 340)))
    for n in range(40):
        at = NINE + n * HOUR
        store_only(database, Reading("data", at, (900, 10.0)), Reading("data", at, (1000, 30.0)))
    follow(database)
    monkeypatch.setattr(search, "FIRST_LOOK_HOURS", 8)
    monkeypatch.setattr(search, "PIECE_HOURS", 5)
    assert ids(database, settings, "endpoint=data&pressure__eq=950") == []
    assert [hours_of(values) for values in page_values] == [
        [*range(first - 4, first + 1)] for first in range(39, 0, -5)
    ]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_search_of_stored_values_of_a_corrected_sensor_ends_early(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    store_only(database, *(pico(1000 + n, NINE + n * HOUR) for n in range(40)))
    follow(database)
    monkeypatch.setattr(search, "PIECE_HOURS", 5)
    with corrected(database, [("data", "pressure", None, None, 1.0, -500.0)]):
        text = f"endpoint=data&pressure__eq=1020&raw=1&order={order}"
        query: Query | None = parse_query(parse_qsl(text), settings, T, JSON)
        assert query
        assert page(database, query, 0).reached is not None
        found = []
        while query:
            part = page(database, query, 0)
            found += [row.id for row in part.rows]
            query = replace(query, cursor=part.next) if part.next else None
        assert found == [21]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_later_reading_where_a_search_ended_stands_on_one_page(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    for n in range(6):
        at = NINE + n * HOUR
        store_only(database, Reading("data", at, (900, 10.0)), Reading("data", at, (1000, 30.0)))
    follow(database)
    # Not rolled up yet; in the last millisecond of an hour, and in the first of the next.
    later = [4 * HOUR - 1, 4 * HOUR, 2 * HOUR - 1, 2 * HOUR]
    store_only(database, *(Reading("data", NINE + ms, (900, 30.0)) for ms in later))
    monkeypatch.setattr(search, "PIECE_HOURS", 2)
    text = f"pressure__lt=950&temperature__gt=25&order={order}"
    query: Query | None = parse_query(parse_qsl(text), settings, T, JSON)
    found = []
    while query:
        part = page(database, query, 0)
        found += [row.id for row in part.rows]
        query = replace(query, cursor=part.next) if part.next else None
    assert found == ([15, 16, 13, 14] if order == "asc" else [14, 13, 16, 15])
