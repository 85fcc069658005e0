"""Pages of so many stations and columns that a statement reads the values once, for all of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from flask10x.database.cursors import Cursor
from flask10x.history import pages, rollups, search, statements
from flask10x.history.parameters import JSON
from flask10x.history.view import View
from flask10x.readings.stations import BUILT_IN
from tests.support.reference import (
    ORDERS,
    PARAMETERS,
    Reference,
    empty_in,
    invented,
    matching,
    question,
    store,
)

CACHED = (statements.page_statement, search.rows_statement)
COUNT, ROLLED_UP = 300, 250
PACE_MS, TIMES = 600_000, 60


@pytest.fixture(scope="module", autouse=True)
def wide() -> Iterator[None]:
    """The four stations are too many from here on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "WIDE_CELLS", 0)
        for function in CACHED:
            function.cache_clear()
        yield
    for function in CACHED:
        function.cache_clear()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with empty_in(tmp_path_factory.mktemp("wide")) as found:
        readings = invented(COUNT, PACE_MS, TIMES)
        store(found, readings[:ROLLED_UP])
        while rollups.follow(BUILT_IN, found.database):
            pass
        store(found, readings[ROLLED_UP:])
        yield found


@settings(max_examples=30)
@given(PARAMETERS, ORDERS, st.integers(1, 50), st.booleans())
def test_all_pages_together_are_the_reference(
    reference: Reference, parameters: dict[str, Any], order: str | None, limit: int, hours: bool
) -> None:
    behind = search.MOST_ROWS_BEHIND if hours else -1
    expected = matching(reference.stored, parameters)
    if order != "asc":
        expected.reverse()
    found: list[pages.Row] = []
    cursor: Cursor | None = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "MOST_ROWS_BEHIND", behind)
        while cursor or not found:
            query = question(reference, parameters, JSON, order=order, limit=limit, cursor=cursor)
            with reference.database.reader.begin() as connection:
                page = pages.page(View(connection, query.registry), query)
            found += page.rows if order else page.rows[::-1]
            if not (cursor := page.next):
                break
    assert [row.id for row in found] == [row.id for row in expected]
    assert [row.values for row in found] == [tuple(row.cells.values()) for row in expected]


@pytest.mark.sqlite_only("the plans of SQLite; tests/postgres/test_plans.py has PostgreSQL's")
def test_values_are_read_by_the_primary_key_and_nothing_is_walked(reference: Reference) -> None:
    plans = []

    def explain(_connection: object, cursor: Any, text: str, values: Any, *_rest: object) -> None:
        if "heads" in text:
            plan = cursor.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
            plans.append([detail for *_numbers, detail in plan])

    event.listen(reference.database.reader, "before_cursor_execute", explain)
    try:
        with reference.database.reader.begin() as connection:
            pages.page(View(connection, BUILT_IN), question(reference, {}, JSON))
            pages.page(
                View(connection, BUILT_IN), question(reference, {"temperature__gt": "1"}, JSON)
            )
    finally:
        event.remove(reference.database.reader, "before_cursor_execute", explain)
    of_all, of_hours = plans
    index = "USING COVERING INDEX ix_readings_endpoint_received_at (endpoint=?)"
    by_key = "SEARCH readings USING INTEGER PRIMARY KEY (rowid=?)"
    assert [step for step in of_all if "readings" in step] == [
        *[f"SEARCH readings {index}"] * 4,
        by_key,
    ]
    assert of_hours.count(by_key) == 1
    walked = [step for step in (*of_all, *of_hours) if step.startswith("SCAN")]
    assert [step for step in walked if "VIRTUAL TABLE" not in step] == ["SCAN heads"] * 2
