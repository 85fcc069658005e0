"""SQLite computes the hours of a derived line as Python does from their averages."""

import math
from dataclasses import replace
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from flask10x.config.readers import at_altitude
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history import derived_lines, statements
from flask10x.history.buckets import Bucket, Line, Window
from flask10x.history.charts import Chart
from flask10x.history.corrections import NONE, Corrections, Segment
from flask10x.history.parameters import SERIES, parse_query
from flask10x.history.rollups import catch_up
from flask10x.readings.derived import Derived, derived_names
from flask10x.readings.stations import BUILT_IN
from tests.support.corrections import corrected_view
from tests.support.rows import execute

MINUTE = 60_000
HOUR = 60 * MINUTE
# 2025-10-22 00:00:00 in UTC; four days and an hour later Berlin's clocks are put back.
FIRST = 1_761_091_200_000
HOURS = 10 * 24
HOUSE = at_altitude(BUILT_IN, 35.0)
NAMES = "&".join(f"measurement={name}" for name in derived_names(HOUSE))
# What is in the middle of an hour cuts it.
CORRECTED = Corrections(
    {
        ("data2", "humidity"): (
            Segment(FIRST + 5 * HOUR, FIRST + 20 * HOUR + 7 * MINUTE, gain=0.9, offset=4.0),
            Segment(FIRST + 60 * HOUR, FIRST + 70 * HOUR - 1, hidden=True),
        ),
        ("data2", "pressure"): (
            Segment(FIRST + 100 * HOUR + 1, FIRST + 130 * HOUR + 40 * MINUTE, offset=-2.5),
            Segment(FIRST + 150 * HOUR + 1, FIRST + 150 * HOUR + 40 * MINUTE, hidden=True),
        ),
        ("data3", "temperature"): (
            Segment(FIRST + 30 * HOUR, FIRST + 33 * HOUR + 20 * MINUTE, hidden=True),
        ),
    }
)
WINDOWS = (
    ("Asia/Tokyo", 250, CORRECTED),
    ("Asia/Tokyo", 45, NONE),
    ("Asia/Kolkata", 15, CORRECTED),
    ("Asia/Kathmandu", 90, CORRECTED),
    ("Europe/Berlin", 15, CORRECTED),
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


def chart(
    settings: Settings,
    database: Database,
    text: str,
    zone: str = "Asia/Tokyo",
    corrections: Corrections = NONE,
) -> Chart:
    known = replace(settings, stations=HOUSE)
    query = parse_query(parse_qsl(text), known, FIRST + (HOURS + 1) * HOUR + 5 * MINUTE, SERIES)
    with database.reader.begin() as connection:
        return derived_lines.chart(
            corrected_view(connection, query.registry, corrections),
            replace(query, zone=ZoneInfo(zone)),
        )


def by_averages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no hour be computed by SQLite."""
    monkeypatch.setattr(derived_lines, "PIECES_MAX", 0)


def test_the_lines_are_those_of_the_averages(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [
        (f"{NAMES}&buckets={buckets}&from=-10d", zone, corrections)
        for zone, buckets, corrections in WINDOWS
    ]
    charts = [chart(settings, database, *each) for each in asked]
    steps = [found.window.step.name for found in charts if found.window]
    assert steps == ["1h", "6h", "day", "3h", "day"]
    by_averages(monkeypatch)
    for each, found in zip(asked, charts, strict=True):
        same_charts(found, chart(settings, database, *each))


def same_charts(found: Chart, wanted: Chart) -> None:
    # Of the bedroom all seven kinds, of the outside the four of temperature and humidity; a further
    # kind has a line where the weather is within its limits.
    assert len(found.lines) == len(wanted.lines) >= 7 + 4
    assert (found.source, found.readings) == ("rollups", wanted.readings)
    for line, other in zip(found.lines, wanted.lines, strict=True):
        assert line.measurement == other.measurement
        assert (line.interval_ms, line.places) == (other.interval_ms, other.places)
        for place in line.places:
            one, same = line.buckets[place], other.buckets[place]
            assert one.count == same.count
            # The last digit of a value of an hour may be rounded otherwise.
            pairs = zip(values_of(one), values_of(same), strict=True)
            assert all(math.isclose(a, b, abs_tol=0.0011) for a, b in pairs)


def values_of(bucket: Bucket) -> list[float]:
    found = [bucket.average, bucket.minimum, bucket.maximum]
    return [value for value in found if value is not None]


def test_most_hours_are_computed_by_sqlite(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[derived_lines.HourPiece] = []

    def add_hours(
        _connection: Connection,
        _line: Line,
        _one: Derived,
        piece: derived_lines.HourPiece,
        _window: Window,
    ) -> None:
        found.append(piece)

    monkeypatch.setattr(derived_lines, "_add_hours", add_hours)
    text = "endpoint=data2&measurement=dew_point&buckets=15&from=-10d"
    chart(settings, database, text, corrections=CORRECTED)
    # Of 241 hours the range lacks one; six are hidden or cut, four have late readings.
    assert sum(one.end - one.first for one in found) > 200
    assert {one.adjusted for one in found} == {((1.0, 0.0),) * 2, ((1.0, 0.0), (0.9, 4.0))}


def test_many_corrections_are_left_to_the_averages(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived_lines, "_add_hours", None)
    ends = [FIRST + number * 5 * HOUR + 7 * MINUTE for number in range(20)]
    own = {("data2", "humidity"): tuple(Segment(ms, ms + HOUR, hidden=True) for ms in ends)}
    text = "endpoint=data2&measurement=dew_point&buckets=15&from=-10d"
    assert chart(settings, database, text, corrections=Corrections(own)).lines


@pytest.mark.sqlite_only("not every SQLite has logarithms")
def test_an_sqlite_without_logarithms_leaves_all_to_the_averages(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.reader.begin() as connection:
        assert statements.has_functions(connection)
        monkeypatch.setattr(statements, "_NAMES", ("ln", "nosuch"))
        assert not statements.has_functions(connection)
    monkeypatch.setattr(derived_lines, "_add_hours", None)
    text = "endpoint=data2&measurement=dew_point&buckets=15&from=-10d"
    assert chart(settings, database, text).lines
