"""Charts of removed readings are made of what is kept of them: hours at the finest."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from flask10x.database import removed
from flask10x.database.database import Database
from flask10x.database.removed import Removed
from flask10x.database.tables import readings
from flask10x.history import charts, days, rollups
from flask10x.history.buckets import Window
from flask10x.history.local_time import DAY
from flask10x.history.query import Query
from flask10x.history.sums import Ids
from flask10x.history.view import View
from flask10x.readings.stations import BUILT_IN
from tests.support.rows import insert_readings, pico

HOUR = 3_600_000
# 2025-08-24 09:00:00 in Tokyo
NINE = 1_755_993_600_000


@pytest.fixture
def chart(client: FlaskClient, database: Database) -> FlaskClient:
    """Four hours of two readings each, of which the first two hours' are removed."""
    with database.commit() as connection:
        stored = [pico(n, NINE + n * HOUR // 2) for n in range(8)]
        insert_readings(connection, stored)
    while rollups.follow(BUILT_IN, database):
        pass
    while days.follow(BUILT_IN, database, ZoneInfo("Asia/Tokyo"), rollups.save_at_once):
        pass
    columns = BUILT_IN.by_endpoint["data"].columns
    with database.commit() as connection:
        for hour in (NINE // HOUR, NINE // HOUR + 1):
            gone = rollups.of_readings("data", columns, connection, hour, Ids(4))
            removed.keep_removed_hours(connection, gone)
        connection.execute(readings.delete().where(readings.c.id <= 4))
        removed.note_removed(connection, "data", Removed(4, NINE + 3 * HOUR // 2, 4))
    return client


def series(client: FlaskClient, query: str) -> dict[str, Any]:
    answer = client.get(f"/history/series?endpoint=data&measurement=pressure{query}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def test_all_there_ever_was_in_hours(chart: FlaskClient) -> None:
    answer = series(chart, "")
    assert (answer["from_ms"], answer["step"]) == (NINE, "1h")
    assert answer["removed_ms"] == NINE + 3 * HOUR // 2
    (line,) = answer["series"]
    assert line["times_ms"] == [NINE + n * HOUR for n in range(4)]
    assert (line["min"], line["max"]) == ([0, 2, 4, 6], [1, 3, 5, 7])
    assert line["count"] == [2, 2, 2, 2]


def test_a_short_range_is_widened_to_whole_hours(chart: FlaskClient) -> None:
    answer = series(chart, "&from=2025-08-24T09:10:00&to=2025-08-24T09:40:00")
    assert (answer["from_ms"], answer["to_ms"]) == (NINE, NINE + HOUR - 1)
    (line,) = answer["series"]
    assert (line["times_ms"], line["avg"], line["count"]) == ([NINE], [0.5], [2])


def test_a_range_of_readings_that_are_there_is_as_fine_as_ever(chart: FlaskClient) -> None:
    answer = series(chart, "&from=2025-08-24T11:00:00&to=2025-08-24T13:00:00")
    assert answer["removed_ms"] is None
    assert answer["step"] != "1h"
    assert answer["source"] == "readings"


def test_only_an_end_before_all_readings_that_are_left(chart: FlaskClient) -> None:
    answer = series(chart, "&to=2025-08-24T10:20:00")
    assert (answer["from_ms"], answer["to_ms"]) == (NINE, NINE + 2 * HOUR - 1)
    (line,) = answer["series"]
    assert (line["times_ms"], line["count"]) == ([NINE, NINE + HOUR], [2, 2])
    assert series(chart, "&to=2025-08-24T08:00:00")["from_ms"] is None


def test_conditions_see_readings_only(chart: FlaskClient) -> None:
    (line,) = series(chart, "&pressure__gte=3")["series"]
    assert sum(line["count"]) == 4


def test_the_first_hour_of_all_may_begin_a_day_before_its_readings(database: Database) -> None:
    """In Nepal midnight is at a quarter past 18 h UTC."""
    nepal, eighteen = ZoneInfo("Asia/Kathmandu"), NINE + 18 * HOUR
    with database.commit() as connection:
        insert_readings(connection, [pico(n, eighteen + n * HOUR // 3) for n in range(1, 6)])
    while rollups.follow(BUILT_IN, database):
        pass
    columns = BUILT_IN.by_endpoint["data"].columns
    with database.commit() as connection:
        gone = rollups.of_readings("data", columns, connection, eighteen // HOUR, Ids(2))
        removed.keep_removed_hours(connection, gone)
        connection.execute(readings.delete().where(readings.c.id <= 2))
        removed.note_removed(connection, "data", Removed(2, eighteen + 2 * HOUR // 3, 2))
    while days.follow(BUILT_IN, database, nepal, rollups.save_at_once):
        pass
    query = Query(registry=BUILT_IN, zone=nepal, measurements=("pressure",))
    window = Window(NINE - 9 * 24 * HOUR, NINE + 9 * 24 * HOUR, DAY, nepal)
    with database.reader.begin() as connection:
        (line,) = charts.chart(View(connection, query.registry), query, window=window).lines
    assert [bucket.count for _, bucket in sorted(line.buckets.items())] == [2, 3]
