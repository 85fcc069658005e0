"""Roll-ups of local days are what the readings give, in any zone, at any moment."""

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, tzinfo
from math import fsum
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest

from flask10x.config import settings as settings_module
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.history import charts, days, rollup_check, rollups
from flask10x.history.charts import Chart
from flask10x.history.parameters import SERIES, parse_query
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import zone_name_of
from tests.support import compared_rollups
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database
from tests.support.rows import execute, insert_readings, select

HOUR = 3_600_000
DAY = 24 * HOUR
EPOCH = date(1970, 1, 1)
# Around a change of the clock, in each zone.
STARTS = {
    "Asia/Tokyo": datetime(2025, 8, 20, tzinfo=UTC),
    "Asia/Kolkata": datetime(2025, 8, 20, tzinfo=UTC),
    "Asia/Kathmandu": datetime(2025, 8, 20, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2025, 4, 1, tzinfo=UTC),
    "Europe/Berlin": datetime(2025, 10, 20, tzinfo=UTC),
    "America/Santiago": datetime(2025, 9, 1, tzinfo=UTC),
    "Pacific/Apia": datetime(2011, 12, 25, tzinfo=UTC),
}
SPAN_DAYS = 12


def some(zone: str, count: int, seed: int) -> list[Reading]:
    chance, first = random.Random(seed), round(STARTS[zone].timestamp() * 1000)
    return [
        Reading(
            "data",
            first + chance.randrange(SPAN_DAYS * DAY),
            (chance.uniform(-1e3, 1e3), chance.choice([None, chance.gauss(0, 1)])),
        )
        for _ in range(count)
    ]


def store(database: Database, readings: list[Reading]) -> None:
    with database.commit() as connection:
        insert_readings(connection, readings)


def follow_hours(database: Database) -> None:
    while rollups.follow(BUILT_IN, database):
        pass


def make_days(database: Database, zone: tzinfo | None) -> int:
    """Make all days; in how many pieces."""
    pieces = 0
    while days.follow(BUILT_IN, database, zone, rollups.save_at_once):
        pieces += 1
    return pieces


def stored_days(database: Database) -> list[tuple[object, ...]]:
    return select(database.path, "SELECT * FROM rollup_days ORDER BY endpoint, measurement, day")


def expected(readings: list[Reading], zone: ZoneInfo) -> dict[tuple[str, str], list[float]]:
    """The values of each local date and measurement."""
    found: dict[tuple[str, str], list[float]] = {}
    for one in readings:
        day = str(datetime.fromtimestamp(one.received_at / 1000, zone).date())
        for name, value in zip(("pressure", "temperature"), one.values, strict=True):
            values = found.setdefault((day, name), [])
            if value is not None:
                values.append(value)
    return found


def assert_days(database: Database, readings: list[Reading], zone: str) -> None:
    wanted = expected(readings, ZoneInfo(zone))
    columns = "day, measurement, count, total, minimum, maximum"
    found = [
        (str(EPOCH + timedelta(number)), *row)
        for number, *row in select(database.path, f"SELECT {columns} FROM rollup_days")
    ]
    assert {(row[0], row[1]) for row in found} == set(wanted)
    for day, name, count, total, least, greatest in found:
        values = wanted[day, name]
        assert (count, least, greatest) == (
            len(values),
            min(values, default=None),
            max(values, default=None),
        )
        assert total == pytest.approx(fsum(values), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("zone", STARTS)
def test_days_are_those_of_the_calendar_and_stay_so(database: Database, zone: str) -> None:
    early, late = some(zone, 150, 1), some(zone, 30, 2)
    store(database, early)
    follow_hours(database)
    assert stored_days(database) == []
    make_days(database, ZoneInfo(zone))
    assert_days(database, early, zone)
    # From now on they are kept with the hours.
    store(database, late)
    follow_hours(database)
    assert_days(database, early + late, zone)
    kept = stored_days(database)
    execute(database.path, "DELETE FROM rollup_zone")
    make_days(database, ZoneInfo(zone))
    assert stored_days(database) == kept
    assert list(rollup_check.rebuild(BUILT_IN, database, ZoneInfo(zone)))[-1] == 0
    assert stored_days(database) == kept


def differing(database: Database) -> list[tuple[str, int]]:
    looked = compared_rollups.of_days(BUILT_IN, database)
    return [(one.endpoint, one.number) for found in looked for one in found.differences]


def test_verify_names_each_day_that_differs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "PIECE_DAYS", 4)
    store(database, some("Asia/Kolkata", 150, 7))
    follow_hours(database)
    assert next(compared_rollups.of_days(BUILT_IN, database)).compared == 0
    make_days(database, ZoneInfo("Asia/Kolkata"))
    assert differing(database) == []
    compared = sum(one.compared for one in compared_rollups.of_days(BUILT_IN, database))
    assert compared == len({row[2] for row in stored_days(database)})
    first, *_, last = sorted({int(str(row[2])) for row in stored_days(database)})
    execute(
        database.path,
        f"UPDATE rollup_days SET total = total + 1e-9 WHERE day = {first}",
        f"DELETE FROM rollup_days WHERE day = {last} AND measurement = 'pressure'",
        f"INSERT INTO rollup_days VALUES ('data', 'pressure', {last + 3}, 1, 1, 1, 1, 1)",
        "INSERT INTO rollup_days VALUES ('data3', 'pressure', 7, 1, 1, 1, 1, 1)",
    )
    assert sorted(differing(database)) == [
        *(("data", day) for day in (first, last, last + 3)),
        ("data3", 7),
    ]


def test_another_zone_makes_them_anew_in_pieces(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = some("Asia/Tokyo", 120, 3)
    readings += [Reading("data4", r.received_at, (r.values[0], *[None] * 5)) for r in readings[:50]]
    monkeypatch.setattr(days, "PIECE_DAYS", 5)
    store(database, readings)
    make_days(database, ZoneInfo("Asia/Tokyo"))
    follow_hours(database)
    in_tokyo = stored_days(database)
    assert make_days(database, ZoneInfo("America/New_York")) > 5
    assert stored_days(database) != in_tokyo
    with database.reader.begin() as connection:
        made = days.made(connection)
        assert made is not None
        assert (made.are_all, made.zone) == (True, "America/New_York")
    make_days(database, ZoneInfo("Asia/Tokyo"))
    assert stored_days(database) == in_tokyo


def test_who_rolls_up_between_two_pieces_loses_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "PIECE_DAYS", 3)
    zone, readings = ZoneInfo("Asia/Kolkata"), some("Asia/Kolkata", 300, 4)
    store(database, readings[:100])
    follow_hours(database)
    for number in range(100, 300, 20):
        days.follow(BUILT_IN, database, zone, rollups.save_at_once)
        store(database, readings[number : number + 20])
        follow_hours(database)
    make_days(database, zone)
    assert_days(database, readings, "Asia/Kolkata")


def test_days_of_a_zone_that_nobody_knows_are_forgotten(database: Database) -> None:
    readings = some("Asia/Tokyo", 50, 5)
    store(database, readings[:25])
    follow_hours(database)
    make_days(database, UTC)
    execute(database.path, "UPDATE rollup_zone SET zone = 'Mars/Olympus'")
    store(database, readings[25:])
    follow_hours(database)
    assert select(database.path, "SELECT * FROM rollup_zone") == []
    assert make_days(database, ZoneInfo("Asia/Tokyo")) > 0
    assert_days(database, readings, "Asia/Tokyo")


def test_an_hour_whose_readings_are_gone_counts_whole(database: Database) -> None:
    """As after their removal: the day that it begins in has it."""
    store(database, some("Asia/Kolkata", 150, 6))
    follow_hours(database)
    execute(database.path, "DELETE FROM readings")
    make_days(database, ZoneInfo("Asia/Kolkata"))
    (of_days,) = select(database.path, "SELECT sum(readings), sum(count) FROM rollup_days")
    assert of_days == select(database.path, "SELECT sum(readings), sum(count) FROM rollups")[0]


# --- Charts ----------------------------------------------------------------------------------


Charted = tuple[Callable[[str], Chart], list[Chart], list[Chart]]
RANGES = (
    "from=2024-01-05 09:30&to=2025-02-03 17:20",
    "from=2024-01-05 09:30&to=2026-02-03 17:20",
    "from=2024-01-05 09:30&to=2026-02-03 17:20&buckets=30",
    "from=2024-02-05 09:30&to=2026-02-03 17:20&buckets=3",
    "from=2024-02-05&to=2024-05-03 17:20",
    "from=1970-01-01&to=2400-01-01",
    "from=2024-02-05 00:10&to=2024-02-05 23:50&buckets=2",
)


@pytest.fixture(
    scope="module", params=["Asia/Tokyo", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"]
)
def charted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Charted]:
    """The charts of two years and a half, some of it late: before there are days, and after."""
    settings = settings_module.load(
        {
            **environment_of(tmp_path_factory.mktemp("days")),
            "FLASK10X_TIMEZONE": request.param,
        }
    )
    lay_new_database(database_path(settings))
    chance, first = random.Random(8), 1_700_000_000_000
    readings = [
        Reading("data", first + chance.randrange(900 * DAY), (chance.uniform(900, 1100), None))
        for _ in range(500)
    ]
    with closing(Database(settings)) as database:
        store(database, readings[:450])
        follow_hours(database)
        store(database, readings[450:])

        def chart(text: str) -> Chart:
            query = parse_query(parse_qsl(text), settings, first, SERIES)
            with database.reader.begin() as connection:
                return charts.chart(View(connection, query.registry), query)

        of_hours = [chart(text) for text in RANGES]
        make_days(database, ZoneInfo(request.param))
        yield chart, of_hours, [chart(text) for text in RANGES]


@pytest.mark.parametrize("number", range(len(RANGES)))
def test_a_chart_of_days_is_that_of_the_readings(
    charted: Charted, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chart, of_hours, of_days = charted
    monkeypatch.setattr("flask10x.history.view.MOST_ROWS_BEHIND", -1)
    of_readings = chart(RANGES[number])
    assert of_readings.source == "readings"
    for found in (of_hours[number], of_days[number]):
        assert (found.window, found.readings) == (of_readings.window, of_readings.readings)
        for line, raw in zip(found.lines, of_readings.lines, strict=True):
            assert line.places == raw.places
            for place in line.places:
                one, other = line.buckets[place], raw.buckets[place]
                assert (one.count, one.minimum, one.maximum) == (
                    *(other.count, other.minimum, other.maximum),
                )
                assert one.total == pytest.approx(other.total, rel=1e-12)


def test_the_name_of_the_zone_stands_in_the_database(database: Database) -> None:
    make_days(database, ZoneInfo("Asia/Tokyo"))
    assert select(database.path, "SELECT zone FROM rollup_zone") == [
        (zone_name_of(ZoneInfo("Asia/Tokyo")),)
    ]


def test_where_a_line_usually_is_is_known_once_there_are_days(database: Database) -> None:
    first = round(STARTS["Asia/Tokyo"].timestamp() * 1000)
    store(
        database,
        [
            Reading("data", first + number * HOUR, (1000.0, 20.0 + 4 * (number % 24 >= 12)))
            for number in range(SPAN_DAYS * 24)
        ],
    )
    follow_hours(database)
    zone = ZoneInfo("Asia/Tokyo")

    def usual() -> dict[tuple[str, str], tuple[float, float]]:
        with database.reader.begin() as connection:
            view = View(connection, BUILT_IN, zone, first + SPAN_DAYS * DAY)
            return dict(charts.usual_ranges(view))

    assert usual() == {}
    make_days(database, zone)
    ranges = usual()
    assert {*ranges} == {("data", "pressure"), ("data", "temperature")}
    assert ranges["data", "pressure"] == (1000, 1000)
    low, high = ranges["data", "temperature"]
    assert (low, high) == pytest.approx((20, 24))
