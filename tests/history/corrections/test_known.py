"""Which corrections count, against a plain look at each millisecond."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from flask10x.database.database import Database
from flask10x.history import corrections
from flask10x.history.corrections import Corrections, Segment
from flask10x.history.view import View
from flask10x.readings.stations import BUILT_IN
from tests.support.corrections import correct


def loaded(database: Database, *rows: tuple[Any, ...]) -> Corrections:
    with database.commit() as connection:
        for endpoint, column, first_ms, last_ms, given in rows:
            correct(connection, endpoint, column, first_ms, last_ms, **given)
    with database.reader.begin() as connection:
        return View(connection, BUILT_IN).corrections


def test_without_any_nothing_is_corrected(database: Database) -> None:
    assert not loaded(database)


def test_open_ends_reach_over_all_readings(database: Database) -> None:
    found = loaded(database, ("data2", "co2", None, None, {"offset": -20.0}))
    assert found.shown("data2", "co2", -(10**15), 420.0) == 400.0
    assert found.shown("data2", "co2", 10**15, 420.0) == 400.0
    assert found.shown("data2", "temperature", 0, 420.0) == 420.0


def test_of_two_offsets_the_later_one_counts_alone(database: Database) -> None:
    found = loaded(
        database,
        ("data2", "co2", 0, 99, {"offset": 1.0}),
        ("data2", "co2", 50, 59, {"gain": 2.0}),
    )
    assert found.of("data2", "co2") == (
        Segment(0, 49, offset=1.0),
        Segment(50, 59, gain=2.0),
        Segment(60, 99, offset=1.0),
    )


def test_what_is_hidden_stays_hidden_under_a_later_offset(database: Database) -> None:
    found = loaded(
        database,
        ("data2", "co2", 10, 19, {}),
        ("data2", None, 30, 30, {}),
        ("data2", "co2", 0, 99, {"offset": 1.0}),
    )
    shown = [found.shown("data2", "co2", at, 1.0) for at in (9, 10, 19, 20, 29, 30, 31)]
    assert shown == [2.0, None, None, 2.0, 2.0, None, 2.0]
    assert [bool(found.hidden_at("data2", at)) for at in (10, 30)] == [False, True]
    assert found.shown("data2", "humidity", 30, 50.0) is None


def test_pieces_that_are_corrected_alike_are_one(database: Database) -> None:
    found = loaded(database, ("data", None, 0, 9, {}), ("data", None, 5, 20, {}))
    assert found.whole == {"data": (Segment(0, 20, hidden=True),)}


def test_what_is_undone_counts_no_more(database: Database) -> None:
    assert loaded(database, ("data", None, 0, 9, {}))
    with database.commit() as connection:
        connection.execute(text("UPDATE corrections SET undone_at = 1"))
    assert not loaded(database)


def test_what_the_page_would_not_write_counts_for_nothing(database: Database) -> None:
    found = loaded(
        database,
        ("data", "pressure", 9, 0, {}),
        ("data", "pressure", 0, 9, {"gain": -1.0}),
        ("data", "pressure", 0, 9, {"offset": float("inf")}),
    )
    assert found.of("data", "pressure") == ()


ENDS = st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda ends: ends[0] <= ends[1])
WAYS = st.sampled_from([(True, 1.0, 0.0), (False, 2.0, 0.0), (False, 1.0, 3.0)])


@given(st.lists(st.tuples(ENDS, WAYS), max_size=6))
def test_each_moment_is_as_the_rows_say(rows: list[tuple[tuple[int, int], Any]]) -> None:
    entries = tuple(
        corrections.Correction(
            "data", "co2", *ends, "hide" if way[0] else "adjust", way[1], way[2], id=n
        )
        for n, (ends, way) in enumerate(rows)
    )
    found = corrections.resolved(entries)
    for at in range(-1, 14):
        value: float | None = 10.0
        for (first, last), (_, gain, offset) in rows:
            value = gain * 10 + offset if first <= at <= last else value
        if any(first <= at <= last and way[0] for (first, last), way in rows):
            value = None
        assert found.shown("data", "co2", at, 10.0) == value
    pieces = found.segments("data", "co2", -1, 13)
    assert [ms for s in pieces for ms in range(s.first_ms, s.last_ms + 1)] == [*range(-1, 14)]
