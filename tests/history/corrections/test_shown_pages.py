"""Pages, downloads and conditions go by what is shown; the reference does so in plain Python."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import settings as limits
from sqlalchemy import select

from flask10x.database.database import Database
from flask10x.database.tables import measurement, readings
from flask10x.history import pages, rollups, search
from flask10x.history.corrections import Corrections
from flask10x.history.formats import as_object
from flask10x.history.pages import HistoryPage
from flask10x.history.parameters import CSV, JSON
from flask10x.history.query import Query
from flask10x.history.statements import shown_value
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import HOUR_MS
from tests.support.corrections import apply_all, correct
from tests.support.databases import examples
from tests.support.reference import (
    OPTIONS,
    Reference,
    Stored,
    T,
    empty_in,
    invented,
    matching,
    question,
    store,
)
from tests.support.rows import insert_readings, pico

# Readings a third of an hour apart, so that a correction begins and ends within hours, and roll-ups
# of some of them, so that a search goes by both.
PACE_MS, TIMES, COUNT, ROLLED_UP = HOUR_MS // 3, 60, 260, 200


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with empty_in(tmp_path_factory.mktemp("corrected")) as found:
        readings = invented(COUNT, PACE_MS, TIMES)
        store(found, readings[:ROLLED_UP])
        while rollups.follow(BUILT_IN, found.database):
            pass
        store(found, readings[ROLLED_UP:])
        with found.database.commit() as connection:
            add_corrections(connection)
        apply_all(found.database)
        yield found


def add_corrections(connection: Any) -> None:
    def at(third: int) -> int:
        return T + third * PACE_MS

    correct(connection, "data", "temperature", None, None, offset=-1.0)
    correct(connection, "data2", "co2", at(10), at(30), gain=2.0, offset=0.5)
    correct(connection, "data2", "co2", at(25), at(28) + 1)
    correct(connection, "data2", "temperature", at(3), None, gain=0.5)
    correct(connection, "data3", "gas_resistance", at(5), at(40))
    correct(connection, "data3", None, at(12), at(12))
    correct(connection, "data4", None, at(20), at(33))
    correct(connection, "data4", None, at(41), at(41))
    correct(connection, "data4", "voltage", at(44), at(44))


def as_shown(reference: Reference) -> list[Stored]:
    """The readings that are shown, with the values that are shown."""
    with reference.database.reader.begin() as connection:
        corrections = View(connection, BUILT_IN).corrections
    return [
        replace(row, cells=_cells(row, corrections))
        for row in reference.stored
        if not corrections.hidden_at(row.endpoint, row.received_at)
    ]


def _cells(row: Stored, corrections: Corrections) -> dict[str, float | None]:
    return {
        column: corrections.shown(row.endpoint, column, row.received_at, value)
        for column, value in row.cells.items()
    }


def page(database: Database, query: Query) -> HistoryPage:
    with database.reader.begin() as connection:
        return pages.page(View(connection, query.registry), query)


QUESTIONS = OPTIONS.map(
    lambda given: {name: value for name, value in given.items() if name not in ("from", "to")}
)


@limits(max_examples=examples(60))
@given(QUESTIONS)
def test_a_page_and_a_download_hold_what_matches_as_it_is_shown(
    reference: Reference, parameters: dict[str, Any]
) -> None:
    expected = [(row.id, *row.cells.values()) for row in matching(as_shown(reference), parameters)]
    query = question(reference, parameters, JSON, order="asc", limit=1000)
    rows = page(reference.database, query).rows
    assert [(row.id, *row.values) for row in rows] == expected
    query = question(reference, parameters, CSV, order="asc")
    lists = pages.rows_in_pages(reference.database, query, 7)
    assert [(row.id, *row.values) for rows in lists for row in rows] == expected


@limits(max_examples=examples(30))
@given(QUESTIONS)
def test_raw_values_are_the_stored_ones(reference: Reference, parameters: dict[str, Any]) -> None:
    expected = [(row.id, *row.cells.values()) for row in matching(reference.stored, parameters)]
    query = question(reference, parameters | {"raw": "1"}, JSON, order="asc", limit=1000, raw=1)
    rows = page(reference.database, query).rows
    assert [(row.id, *row.values) for row in rows] == expected


@limits(max_examples=examples(30))
@given(QUESTIONS)
def test_a_small_look_at_hours_finds_the_same(
    reference: Reference, parameters: dict[str, Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "FIRST_LOOK_HOURS", 3)
        patch.setattr(search, "PIECE_HOURS", 2)
        query = question(reference, parameters, JSON, order="desc", limit=50)
        found = page(reference.database, query).rows
    expected = [row.id for row in matching(as_shown(reference), parameters)][::-1][:50]
    assert [row.id for row in found] == expected


@given(QUESTIONS)
@limits(max_examples=examples(30))
def test_what_is_new_is_as_it_is_shown(reference: Reference, parameters: dict[str, Any]) -> None:
    query = question(reference, parameters, JSON, since=0, limit=1000)
    with reference.database.reader.begin() as connection:
        found = pages.newer(View(connection, query.registry), query, 0).rows
    expected = matching(as_shown(reference), parameters)
    assert [row.id for row in found] == sorted(row.id for row in expected)


# --- Marks, and many corrections ---------------------------------------------------------------


def test_rows_say_what_is_shown_otherwise(database: Database) -> None:
    with database.commit() as connection:
        insert_readings(connection, [pico(1000.0, T + n) for n in range(4)])
        correct(connection, "data", "pressure", T + 1, T + 1, offset=2.0)
        correct(connection, "data", "pressure", T + 2, T + 2)
        correct(connection, "data", None, T + 3, T + 3)
    query = Query(registry=BUILT_IN, endpoints=("data",), order="asc", limit=9)
    shown, raw = page(database, query), page(database, replace(query, raw=True))
    assert [row.values[0] for row in shown.rows] == [1000.0, 1002.0, None]
    assert [row.corrected for row in shown.rows] == [(), ("pressure",), ("pressure",)]
    assert [row.values[0] for row in raw.rows] == [1000.0] * 4
    assert [row.hidden for row in raw.rows] == [False, False, False, True]
    objects = [as_object(row, replace(query, raw=True), str) for row in raw.rows]
    assert [one.get("corrected") for one in objects] == [None, ["pressure"], ["pressure"], None]
    assert [one.get("hidden") for one in objects] == [None, None, None, True]
    assert set(as_object(shown.rows[1], query, str)) == {"endpoint", "timestamp", "data"}


def test_a_hidden_reading_without_values_is_marked(database: Database) -> None:
    with database.commit() as connection:
        insert_readings(connection, [Reading("data2", T, (1.0, None, None, None, None))])
        correct(connection, "data2", "co2", T, T)
        correct(connection, "data2", None, T, T)
    query = Query(registry=BUILT_IN, order="asc", limit=9, raw=True)
    assert page(database, query).rows[0].hidden


@pytest.mark.parametrize("text", ["co2__gte=0", "incomplete=1", "incomplete=1&co2__gte=0", ""])
def test_a_thousand_corrections_are_not_too_deep_for_sqlite(
    database: Database, make_settings: Any, text: str
) -> None:
    with database.commit() as connection:
        insert_readings(
            connection, [Reading("data2", T + n, (1.0, None, 1.0, 1.0, 1.0)) for n in range(2100)]
        )
        for n in range(500):
            correct(connection, "data2", "co2", T + 4 * n, T + 4 * n)
            correct(connection, "data2", "co2", T + 4 * n + 1, T + 4 * n + 2)
            correct(connection, "data2", None, T + 4 * n + 3, T + 4 * n + 3)
    while rollups.follow(BUILT_IN, database):
        pass
    asked = dict(parse_qsl(text))
    query = question(Reference(make_settings(), database, []), asked, JSON, limit=200)
    found = page(database, replace(query, endpoints=("data2",))).rows
    assert len(found) == (100 if "co2" in text else 200)


@pytest.mark.parametrize(
    ("gain", "offset"), [(1e10, -2.5), (1e300, 0.0), (2.0, 1e200), (0.5, 0.0), (1e-300, 1.5)]
)
def test_what_no_double_can_hold_is_infinite_or_nothing_on_each_engine(
    database: Database, gain: float, offset: float
) -> None:
    sizes = (5e-324, 1e-320, 1e-20, 2.5, 1e200, 1.7e308)
    values = [None, 0.0, *sizes, *(-size for size in sizes)]
    rows = [Reading("data3", T + n, (1.0, 1.0, 1.0, value)) for n, value in enumerate(values)]
    with database.commit() as connection:
        insert_readings(connection, rows)
        correct(connection, "data3", "gas_resistance", None, None, gain=gain, offset=offset)
    with database.reader.begin() as connection:
        corrections = View(connection, BUILT_IN).corrections
        shown = shown_value(
            measurement("gas_resistance"),
            readings.c.received_at,
            corrections.of("data3", "gas_resistance"),
        )
        found = connection.execute(select(shown).order_by(readings.c.received_at)).scalars().all()
    expected = [
        corrections.shown("data3", "gas_resistance", T + n, value) for n, value in enumerate(values)
    ]
    assert found[0] is expected[0] is None
    # PostgreSQL has none of the products that are nearly 0.
    assert found[1:] == pytest.approx(expected[1:], rel=0, abs=1e-323)
