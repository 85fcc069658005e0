"""Derived values as lines of a chart: from averages, by roll-ups and corrections as well."""

from collections.abc import Sequence
from datetime import tzinfo
from urllib.parse import parse_qsl

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history import derived_lines
from flask10x.history.buckets import Line
from flask10x.history.charts import Chart
from flask10x.history.local_time import Step
from flask10x.history.parameters import SERIES, parse_query
from flask10x.history.rollups import catch_up
from flask10x.history.view import View
from flask10x.readings.derived import derived_by_station
from flask10x.readings.stations import BUILT_IN
from tests.support.corrections import corrected
from tests.support.rows import execute

# 2025-08-24 09:00:00 in Tokyo, the zone of the tests.
NINE = 1_755_993_600_000
MINUTE = 60_000
HOUR = 60 * MINUTE


@pytest.fixture(autouse=True)
def stored(database: Database) -> None:
    """Ten hours of the bedroom and the outside, every ten minutes."""
    rows = []
    for number in range(60):
        at = NINE + number * 10 * MINUTE
        rows.append(f"('data2', {at}, {20 + number * 0.1}, {60 - number * 0.2}, {1000 + number})")
        rows.append(f"('data3', {at}, {15 + number * 0.2}, 50, NULL)")
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, temperature, humidity, pressure) VALUES "
        + ",".join(rows),
    )


def chart(settings: Settings, database: Database, text: str) -> Chart:
    query = parse_query(parse_qsl(text), settings, NINE, SERIES)
    with database.reader.begin() as connection:
        return derived_lines.chart(View(connection, query.registry), query)


def the_line(settings: Settings, database: Database, text: str) -> Line:
    (line,) = chart(settings, database, text).lines
    return line


def averages(line: Line) -> list[float]:
    return [line.buckets[place].average or 0.0 for place in line.places]


def test_each_short_bucket_has_the_value_of_its_averages(
    settings: Settings, database: Database
) -> None:
    line = the_line(settings, database, "endpoint=data2&measurement=dew_point")
    dew_point = derived_by_station(BUILT_IN)["data2"]["dew_point"]
    expected = [dew_point.of_inputs([20 + n * 0.1, 60 - n * 0.2]) for n in range(60)]
    assert averages(line) == pytest.approx(expected)
    assert (line.measurement.unit, line.gap_ms) == ("°C", 30 * MINUTE)


def test_lines_stand_behind_those_of_their_station(settings: Settings, database: Database) -> None:
    found = chart(settings, database, "measurement=humidity&measurement=wbgt&measurement=dew_point")
    assert [(line.station.endpoint, line.measurement.column) for line in found.lines] == [
        *(("data2", "humidity"), ("data2", "dew_point"), ("data2", "wbgt")),
        *(("data3", "humidity"), ("data3", "dew_point"), ("data3", "wbgt")),
    ]


@pytest.mark.parametrize("rolled_up", [False, True])
def test_longer_buckets_are_averages_of_hours(
    settings: Settings, database: Database, rolled_up: bool
) -> None:
    if rolled_up:
        assert list(catch_up(settings.stations, database))
    text = "endpoint=data2&measurement=dew_point&buckets=4"
    found = chart(settings, database, text)
    assert found.window and found.window.step.name == "3h"
    dew_point = derived_by_station(BUILT_IN)["data2"]["dew_point"]
    hours = [
        dew_point.of_inputs([20.25 + hour * 0.6, 59.5 - hour * 1.2]) or 0.0 for hour in range(10)
    ]
    expected = [sum(hours[n : n + 3]) / len(hours[n : n + 3]) for n in range(0, 10, 3)]
    assert averages(found.lines[0]) == pytest.approx(expected)
    bucket = found.lines[0].buckets[0]
    assert bucket.count == 18
    assert bucket.minimum == pytest.approx(min(hours[:3]))


def test_the_trend_looks_back_before_the_range(settings: Settings, database: Database) -> None:
    line = the_line(
        settings, database, "endpoint=data2&measurement=pressure_trend&from=2025-08-24 13:00"
    )
    # 18 readings are three hours.
    assert averages(line) == [18.0] * 36
    early = the_line(settings, database, "endpoint=data2&measurement=pressure_trend")
    assert len(early.places) == 42


def test_the_difference_to_outside_leaves_conditions_to_the_inside(
    settings: Settings, database: Database
) -> None:
    text = "endpoint=data2&measurement=outdoor_difference&humidity__lte=59"
    line = the_line(settings, database, text)
    assert averages(line) == pytest.approx([5 - number * 0.1 for number in range(5, 60)])


def test_inputs_are_corrected_first(settings: Settings, database: Database) -> None:
    last = NINE + 10 * HOUR
    rows = [
        ("data2", "humidity", NINE, last, 1.0, 10.0),
        ("data2", "temperature", NINE, NINE + HOUR - 1),
    ]
    with corrected(database, rows):
        line = the_line(settings, database, "endpoint=data2&measurement=dew_point")
    dew_point = derived_by_station(BUILT_IN)["data2"]["dew_point"]
    expected = [dew_point.of_inputs([20 + n * 0.1, 70 - n * 0.2]) for n in range(6, 60)]
    assert averages(line) == pytest.approx(expected)


def test_many_years_are_computed_from_days(settings: Settings, database: Database) -> None:
    text = "endpoint=data2&measurement=dew_point&from=2020-01-01&to=2026-01-01"
    found = chart(settings, database, text)
    assert found.window and derived_lines.step_of_averages(found.window).name == "day"
    (line,) = found.lines
    assert line.buckets[line.places[0]].count == 60
    trend = text.replace("dew_point", "pressure_trend")
    assert chart(settings, database, trend).lines == []


def test_the_whole_calendar_costs_no_more_than_what_it_holds(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    def counted(step: Step, first_ms: int, last_ms: int, zone: tzinfo | None) -> Sequence[int]:
        found = starts(step, first_ms, last_ms, zone)
        begun.append(len(found))
        return found

    starts = Step.starts
    monkeypatch.setattr(Step, "starts", counted)
    for more in ("", "&humidity__gte=1", "&raw=1"):
        text = f"endpoint=data2&measurement=dew_point&from=1970-01-01&to=9999-12-31{more}"
        line = the_line(settings, database, text)
        assert [line.buckets[place].count for place in line.places] == [60]
    # The calendar has three million days.
    assert begun and max(begun) < 1000


def test_nothing_stored_is_no_line(settings: Settings, database: Database) -> None:
    execute(database.path, "DELETE FROM readings")
    assert chart(settings, database, "measurement=dew_point").window is None
