"""Charts show what corrections say, from readings, hours and days alike."""

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.history import charts, days, rollups
from flask10x.history.charts import Chart
from flask10x.history.corrections import NONE, Corrections
from flask10x.history.parameters import SERIES, parse_query
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from tests.support.corrections import apply_all, correct
from tests.support.corrections import corrected as written
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database
from tests.support.rows import insert_readings

HOUR, DAY = 3_600_000, 86_400_000
# 2025-08-24 00:00:00 in Tokyo.
MIDNIGHT = 1_755_961_200_000
ZONE = ZoneInfo("Asia/Tokyo")
COLUMNS = ("pressure", "temperature")


Corrected = tuple[Settings, Database, list[Reading]]


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corrected]:
    """400 days of `/data`, some readings not rolled up; not to be changed."""
    folder = tmp_path_factory.mktemp("corrected")
    settings = settings_module.load({**environment_of(folder), "FLASK10X_TIMEZONE": "Asia/Tokyo"})
    lay_new_database(database_path(settings))
    chance = random.Random(5)
    readings = [
        Reading(
            "data",
            MIDNIGHT + chance.randrange(400 * DAY),
            (chance.uniform(900, 1100), chance.uniform(-10, 30)),
        )
        for _ in range(800)
    ]
    with closing(Database(settings)) as database:
        with database.commit() as connection:
            insert_readings(connection, readings[:760])
        while rollups.follow(BUILT_IN, database):
            pass
        while days.follow(BUILT_IN, database, ZONE, rollups.save_at_once):
            pass
        with database.commit() as connection:
            insert_readings(connection, readings[760:])
        correct_much(database, readings)
        apply_all(database)
        yield settings, database, readings


def correct_much(database: Database, readings: list[Reading]) -> None:
    with database.commit() as connection:
        # Parts of hours and days, whole ones, one without an end, both ways of one reading.
        correct(connection, "data", "pressure", MIDNIGHT + 5, MIDNIGHT + 3 * DAY + 123)
        correct(connection, "data", "pressure", MIDNIGHT + 9 * DAY, MIDNIGHT + 12 * DAY - 1)
        correct(
            connection,
            *("data", "pressure", MIDNIGHT + 20 * DAY + HOUR // 3, MIDNIGHT + 60 * DAY + 7),
            gain=1.5,
            offset=-20.0,
        )
        correct(connection, "data", "temperature", MIDNIGHT + 300 * DAY, None, offset=0.5)
        for one in readings[100:130]:
            correct(connection, "data", None, one.received_at, one.received_at)


def chart(of: Corrected, text: str) -> Chart:
    settings, database, _ = of
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in text.split("&"))]
    query = parse_query(pairs, settings, MIDNIGHT, SERIES)
    with database.reader.begin() as connection:
        return charts.chart(View(connection, query.registry), query)


def known(database: Database) -> Corrections:
    with database.reader.begin() as connection:
        return View(connection, BUILT_IN).corrections


def assert_shown(readings: list[Reading], found: Chart, corrections: Corrections) -> None:
    """Each bucket holds the values that the corrections show, taken one by one."""
    assert found.window
    wanted: dict[tuple[str, int], list[float]] = {}
    for one in readings:
        if not found.window.first_ms <= one.received_at <= found.window.last_ms:
            continue
        for name, stored in zip(COLUMNS, one.values, strict=True):
            value = corrections.shown("data", name, one.received_at, stored)
            if value is not None:
                wanted.setdefault((name, found.window.place(one.received_at)), []).append(value)
    buckets = {
        (line.measurement.column, place): bucket
        for line in found.lines
        for place, bucket in line.buckets.items()
    }
    assert set(buckets) == set(wanted)
    for key, values in wanted.items():
        bucket = buckets[key]
        assert bucket.count == len(values)
        assert bucket.average == pytest.approx(sum(values) / len(values), rel=1e-9, abs=1e-9)
        assert bucket.minimum == pytest.approx(min(values), rel=1e-12)
        assert bucket.maximum == pytest.approx(max(values), rel=1e-12)


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("endpoint=data", "day"),
        ("from=2025-08-20 03:17&to=2026-09-30 10:10", "day"),
        ("from=2025-08-20 03:17&to=2026-09-30 10:10&buckets=60", "week"),
        ("from=2025-08-20 03:17&to=2026-09-30 10:10&buckets=20", "month"),
        ("from=2025-08-20 03:17&to=2025-12-30 10:10", "6h"),
        ("from=2025-08-20 03:17&to=2025-09-10 10:10", "1h"),
        ("from=2025-08-20 03:17&to=2025-08-28 10:10", "30m"),
        ("from=2025-08-25&to=2025-08-25", "5m"),
    ],
)
def test_each_bucket_holds_what_is_shown(corrected: Corrected, text: str, step: str) -> None:
    _, database, readings = corrected
    found = chart(corrected, text)
    assert found.window is not None
    assert found.window.step.name == step
    assert_shown(readings, found, known(database))
    raw = chart(corrected, f"{text}&raw=1")
    assert_shown(readings, raw, NONE)
    assert [line.buckets for line in raw.lines] != [line.buckets for line in found.lines]


def test_a_chart_of_days_is_made_of_the_days(corrected: Corrected) -> None:
    """Else the tests above would prove nothing of them."""
    settings, database, readings = corrected
    query = parse_query([("endpoint", "data")], settings, MIDNIGHT, SERIES)
    with database.writer.connect() as connection, connection.begin() as nothing:
        connection.exec_driver_sql("UPDATE rollup_days SET maximum = 1e6")
        found = charts.chart(View(connection, query.registry), query)
        nothing.rollback()
    with pytest.raises(AssertionError):
        assert_shown(readings, found, known(database))


def test_what_is_hidden_altogether_has_no_line(corrected: Corrected) -> None:
    _, database, _ = corrected
    with written(database, [("data", "pressure", None, None)]):
        found = chart(corrected, "endpoint=data")
    assert [line.measurement.column for line in found.lines] == ["temperature"]
    with written(database, [("data", column, None, None) for column in COLUMNS]):
        hidden = chart(corrected, "endpoint=data")
    assert (hidden.lines, hidden.readings) == ([], 0)


def test_the_reference_clock() -> None:
    assert datetime.fromtimestamp(MIDNIGHT / 1000, ZONE).isoformat() == "2025-08-24T00:00:00+09:00"
