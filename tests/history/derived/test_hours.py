"""A derived line is the same from roll-ups as from the readings that these are made of."""

import math
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest

from flask10x.config.readers import at_altitude
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history import derived_lines, rollups
from flask10x.history.buckets import Bucket
from flask10x.history.charts import Chart
from flask10x.history.parameters import SERIES, parse_query
from flask10x.history.rollups import catch_up
from flask10x.history.view import View
from flask10x.readings.derived import derived_names
from flask10x.readings.stations import BUILT_IN
from tests.support.corrections import corrected
from tests.support.rows import execute

MINUTE = 60_000
HOUR = 60 * MINUTE
# 2025-10-22 00:00:00 in UTC; four days and an hour later Berlin's clocks are put back.
FIRST = 1_761_091_200_000
HOURS = 10 * 24
HOUSE = at_altitude(BUILT_IN, 35.0)
NAMES = "&".join(f"measurement={name}" for name in derived_names(HOUSE))
# What is in the middle of an hour cuts it.
CORRECTED = (
    ("data2", "humidity", FIRST + 5 * HOUR, FIRST + 20 * HOUR + 7 * MINUTE, 0.9, 4.0),
    ("data2", "humidity", FIRST + 60 * HOUR, FIRST + 70 * HOUR - 1),
    ("data2", "pressure", FIRST + 100 * HOUR + 1, FIRST + 130 * HOUR + 40 * MINUTE, 1.0, -2.5),
    ("data2", "pressure", FIRST + 150 * HOUR + 1, FIRST + 150 * HOUR + 40 * MINUTE),
    ("data3", "temperature", FIRST + 30 * HOUR, FIRST + 33 * HOUR + 20 * MINUTE),
)
WINDOWS = (
    ("Asia/Tokyo", 250, "1h"),
    ("Asia/Tokyo", 45, "6h"),
    ("Asia/Kolkata", 15, "day"),
    ("Asia/Kathmandu", 90, "3h"),
    ("Europe/Berlin", 15, "day"),
)


def row(number: int, endpoint: str, at: int) -> str:
    if endpoint == "data3":
        return f"('data3', {at}, {15 + 9 * math.sin(number / 30)}, 50, NULL)"
    humidity = "NULL" if number % 90 < 3 else 60 + 39.9 * math.sin(number / 11)
    warm = 24 + 12 * math.sin(number / 23)
    return f"('data2', {at}, {warm}, {humidity}, {1000 + 20 * math.sin(number / 40)})"


def store(database: Database, rows: list[str]) -> None:
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, temperature, humidity, pressure) VALUES "
        + ",".join(rows),
    )


@pytest.fixture(autouse=True)
def stored(database: Database, settings: Settings) -> None:
    """Ten days of two stations rolled up, with two gaps, and late readings that are not."""
    numbers = [n for n in range(HOURS * 2) if not (200 < n < 230 or 300 <= n < 303)]
    store(
        database,
        [
            row(number, endpoint, FIRST + number * 30 * MINUTE + apart)
            for number in numbers
            for endpoint, apart in (("data2", 0), ("data3", 11 * MINUTE))
        ],
    )
    assert list(catch_up(settings.stations, database))
    late = [FIRST + hour * HOUR + 3 * MINUTE for hour in (40, 101, 105, HOURS, HOURS + 1)]
    store(database, [row(n, "data2", at) for n, at in enumerate(late, 7)])
    store(database, [row(17, "data3", FIRST + 180 * HOUR + 5 * MINUTE)])


def chart(settings: Settings, database: Database, buckets: int, zone: str) -> Chart:
    known = replace(settings, stations=HOUSE)
    pairs = parse_qsl(f"{NAMES}&buckets={buckets}&from=-10d")
    query = parse_query(pairs, known, FIRST + (HOURS + 1) * HOUR + 5 * MINUTE, SERIES)
    with database.reader.begin() as connection:
        view = View(connection, query.registry)
        return derived_lines.chart(view, replace(query, zone=ZoneInfo(zone)))


@pytest.mark.parametrize("rows", [(), CORRECTED])
def test_the_lines_are_those_of_the_readings(
    settings: Settings, database: Database, rows: tuple[tuple[Any, ...], ...]
) -> None:
    with corrected(database, rows):
        charts = [chart(settings, database, buckets, zone) for zone, buckets, _ in WINDOWS]
        steps = [found.window.step.name for found in charts if found.window]
        assert steps == [step for *_, step in WINDOWS]
        database.commit_change(rollups.forget)
        for (zone, buckets, _), found in zip(WINDOWS, charts, strict=True):
            same_charts(found, chart(settings, database, buckets, zone))


def same_charts(found: Chart, wanted: Chart) -> None:
    # Of the bedroom all seven kinds, of the outside the four of temperature and humidity; a further
    # kind has a line where the weather is within its limits.
    assert len(found.lines) == len(wanted.lines) >= 7 + 4
    assert (found.source, found.readings) == (wanted.source, wanted.readings)
    for line, other in zip(found.lines, wanted.lines, strict=True):
        assert line.measurement == other.measurement
        assert (line.interval_ms, line.places) == (other.interval_ms, other.places)
        for place in line.places:
            one, same = line.buckets[place], other.buckets[place]
            assert one.count == same.count
            pairs = zip(values_of(one), values_of(same), strict=True)
            assert all(math.isclose(a, b, abs_tol=1e-9) for a, b in pairs)


def values_of(bucket: Bucket) -> list[float]:
    found = [bucket.average, bucket.minimum, bucket.maximum]
    return [value for value in found if value is not None]
