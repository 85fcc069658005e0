"""Which rows belong into a file and in which order: live ones by id, imported ones in between."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.rows import FileRows, IdSpan, Import, _page_of, in_file_order, live
from flask10x.readings.csv_lines import ParsedLine
from flask10x.readings.stations import BUILT_IN
from tests.support.csv_folder import FIRST_MS, imported, store
from tests.support.rows import execute

PICO = BUILT_IN.by_endpoint["data"]


def ids(spans: list[IdSpan]) -> list[int]:
    return [number for span in spans for number in range(span.after + 1, span.until + 1)]


def test_without_imports_it_is_one_span() -> None:
    assert list(live(3, 9, [])) == [IdSpan(3, 9)]
    assert list(live(9, 9, [])) == []
    assert in_file_order(3, 9, 0, []) == [IdSpan(3, 9)]


def test_imported_rows_are_not_live() -> None:
    taken = [Import(1, 4, 6, 0), Import(2, 1, 1, 0), Import(3, 9, 20, 0)]
    assert ids(list(live(0, 12, taken))) == [2, 3, 7, 8]
    assert ids(list(live(4, 12, taken))) == [7, 8]


def test_imported_rows_stand_where_the_file_had_them() -> None:
    before = Import(1, 4, 6, 0)
    between = Import(2, 8, 8, 3)
    rest = [1, 2, 3, 7, 9]
    assert ids(in_file_order(0, 9, 2, [before, between])) == [4, 5, 6, 1, 2, 3, 8, 7, 9]
    # An import after the last rebuild is in no file yet.
    assert ids(in_file_order(0, 9, 1, [before, between])) == [4, 5, 6, *rest]
    assert ids(in_file_order(0, 9, 0, [before, between])) == rest
    # A file that was begun after an archived one does not have what the archived one has.
    assert ids(in_file_order(2, 9, 2, [before, between])) == [3, 8, 7, 9]
    assert ids(in_file_order(3, 9, 2, [before, between])) == [7, 9]


def test_two_imports_at_one_place_stand_in_the_order_of_their_making() -> None:
    later_part_first = [Import(1, 5, 6, 0), Import(2, 3, 4, 0)]
    assert ids(in_file_order(0, 7, 2, later_part_first)) == [5, 6, 3, 4, 1, 2, 7]


@given(st.lists(st.booleans(), max_size=30), st.data())
def test_each_row_once(is_imported: list[bool], data: st.DataObject) -> None:
    """Each id comes once, whatever was imported and wherever its place is."""
    ranges: list[Import] = []
    number = 1
    for imported_now, group in itertools.groupby(is_imported):
        length = len(list(group))
        if imported_now:
            after = data.draw(st.integers(0, len(is_imported)))
            ranges.append(Import(len(ranges) + 1, number, number + length - 1, after))
        number += length
    numbers = ids(in_file_order(0, len(is_imported), len(ranges), ranges))
    assert sorted(numbers) == list(range(1, len(is_imported) + 1))
    alive = [number for number in numbers if not is_imported[number - 1]]
    assert alive == sorted(alive)


def test_pages(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask10x.export.rows.PAGE_ROWS", 2)
    store(settings, 0, 1, 2)
    execute(
        Path(settings.data_dir / "flask10x.sqlite3"),
        "INSERT INTO readings (endpoint, received_at, temperature) VALUES ('data3', 5, 1.5)",
    )
    store(settings, 3, 4)
    imported(settings, 2, 3)
    imported(settings, 6, 6, file="other.csv")
    rows = FileRows(database, PICO)
    assert rows.head == 6
    assert [[row[0] for row in page] for page in rows.pages(rows.new(0))] == [[1], [5, 6]]
    assert rows.count(rows.new(0)) == 3
    spans = in_file_order(0, 6, 1, rows.imports)
    assert [[row[0] for row in page] for page in rows.pages(spans)] == [[2, 3], [1], [5, 6]]
    assert list(rows.pages(rows.new(6))) == []
    assert next(rows.pages(rows.new(4)))[0] == (5, FIRST_MS + 3123, 993.5, 25.0)


def test_of_a_station_that_has_never_sent_no_row_is_looked_for(
    settings: Settings, database: Database
) -> None:
    """Each export would read the whole log."""
    store(settings, 0, 1)
    assert FileRows(database, PICO).new(0) == [IdSpan(0, 2)]
    assert FileRows(database, BUILT_IN.by_endpoint["data3"]).new(0) == []


def test_a_row_is_found_by_what_a_line_says(settings: Settings, database: Database) -> None:
    store(settings, 0, 1, 0)
    rows = FileRows(database, PICO)
    assert rows.find(ParsedLine(FIRST_MS, FIRST_MS + 999, (990.5, 25.0))) == [1, 3]
    assert rows.find(ParsedLine(FIRST_MS, FIRST_MS + 999, (990.5, None))) == []
    assert rows.find(ParsedLine(FIRST_MS + 1000, FIRST_MS + 1999, (990.5, 25.0))) == []


@pytest.mark.sqlite_only("the plans of SQLite; tests/postgres/test_plans.py has PostgreSQL's")
def test_pages_go_on_by_id_and_never_sort(settings: Settings, database: Database) -> None:
    """The station's index would be read whole and sorted for each page."""
    query = _page_of(PICO, 5000)
    with database.reader.begin() as connection:
        sql = str(query.compile(dialect=database.reader.dialect))
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {sql}", ("data", 1, 100, 5000, 0)
        ).all()
    assert [row[3] for row in plan] == [
        "SEARCH readings USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
    ]
