"""Charts against a plain-Python reference, and `/history/series` as programs see it."""

import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history import charts, rollups
from flask10x.history.bucket_sums import PIECE_MS
from flask10x.history.charts import Chart
from flask10x.history.parameters import SERIES, parse_query
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.recording.writer import Writer
from tests.support.reference import (
    COLUMNS_OF,
    PARAMETERS,
    Reference,
    T,
    matching,
    question,
    stored_in,
)
from tests.support.rows import INFINITY, execute, insert_readings, pico

# 2025-08-24 09:00:00 in Tokyo, the zone of the tests.
NINE = 1_755_993_600_000
NINE_TEXT = "2025-08-24T09:00"
MINUTE, DAY = 60_000, 86_400_000


def chart(settings: Settings, database: Database, text: str) -> Chart:
    query = parse_query(parse_qsl(text), settings, NINE, SERIES)
    with database.reader.begin() as connection:
        return charts.chart(View(connection, query.registry), query)


def store(writer: Writer, *readings: Reading) -> None:
    for reading in readings:
        writer.submit(reading)
    while writer.depth:
        writer.step()


@pytest.fixture
def bedroom(writer: Writer) -> None:
    """Four readings of a minute's pace, one late by three, one without a gas value."""
    for minute, co2, gas in ((0, 600.0, 5000.0), (1, 620.0, None), (2, 610.0, 5200.0)):
        writer.submit(Reading("data2", NINE + minute * MINUTE, (co2, 25.0, 50.0, 996.5, gas)))
    writer.submit(Reading("data2", NINE + 6 * MINUTE, (500.0, 24.0, 49.0, 996.0, 5100.0)))
    writer.step()


# --- The answer ------------------------------------------------------------------------------


@pytest.mark.usefixtures("bedroom")
def test_the_answer(client: FlaskClient) -> None:
    url = "/history/series?endpoint=data2&measurement=co2&measurement=gas_resistance&buckets=4"
    answer = client.get(url)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    shared = {"endpoint": "data2", "interval_ms": MINUTE, "gap_ms": 3 * MINUTE, "has_begun": False}
    times = [NINE, NINE + 2 * MINUTE, NINE + 6 * MINUTE]
    co2 = {"endpoint": "data2", "measurement": "co2", "below": None}
    assert answer.get_json() == {
        "from": "2025-08-24T09:00:00.000+09:00",
        "to": "2025-08-24T09:06:00.000+09:00",
        "from_ms": NINE,
        "to_ms": NINE + 6 * MINUTE,
        "bucket_ms": 2 * MINUTE,
        "step": "2m",
        "starts_ms": None,
        "zone": "Asia/Tokyo",
        "source": "readings",
        "readings": 4,
        "series": [
            shared
            | {
                "measurement": "co2",
                "gaps": [],
                "quantity": "co2",
                "unit": "ppm",
                "times_ms": times,
                "min": [600.0, 610.0, 500.0],
                "avg": [610.0, 610.0, 500.0],
                "max": [620.0, 610.0, 500.0],
                "count": [2, 1, 1],
                "partial": [2],
            },
            shared
            | {
                "measurement": "gas_resistance",
                "gaps": [],
                "quantity": "gas_resistance",
                "unit": "Ω",
                "times_ms": times,
                "min": [5000.0, 5200.0, 5100.0],
                "avg": [5000.0, 5200.0, 5100.0],
                "max": [5000.0, 5200.0, 5100.0],
                "count": [1, 1, 1],
                "partial": [2],
            },
        ],
        "alerts": [],
        "bands": [
            co2 | {"above": 1000, "level": "notice", "label": "Air the room"},
            co2 | {"above": 1500, "level": "warning", "label": "Air the room now"},
        ],
        "first_ms": NINE,
        "removed_ms": None,
        "nights": None,
        "derived_step": None,
        "compared": None,
        "corrections": [],
        "notes": [],
    }


PACKED = {"Accept": "application/vnd.flask10x.series+json"}


@pytest.mark.usefixtures("bedroom")
def test_the_page_gets_the_same_packed(client: FlaskClient) -> None:
    url = "/history/series?endpoint=data2&measurement=co2&buckets=4"
    plain, answer = client.get(url), client.get(url, headers=PACKED)
    assert (answer.status_code, answer.content_type) == (200, PACKED["Accept"])
    assert "Accept" in answer.vary
    assert b" " not in answer.data.split(b'"series"')[1].split(b'"alerts"')[0]
    (line,) = answer.get_json()["series"]
    assert line == {
        "endpoint": "data2",
        "measurement": "co2",
        "quantity": "co2",
        "unit": "ppm",
        "interval_ms": MINUTE,
        "gap_ms": 3 * MINUTE,
        "times_ms": [NINE, 2 * MINUTE, 4 * MINUTE],
        "digits": 1,
        "avg": [6100, 0, -1100],
        "below": [100, 0, 0],
        "above": [100, 0, 0],
        "partial": [2],
        "has_begun": False,
        "gaps": [],
    }
    # The hours above a limit are of the page alone.
    as_plain = {**plain.get_json(), "series": [], "hours_above": []}
    assert answer.get_json() | {"series": []} == as_plain


def test_a_compared_line_is_packed_too(client: FlaskClient, writer: Writer) -> None:
    for ms, co2 in ((NINE - DAY, 600.0), (NINE - DAY + MINUTE, 640.0), (NINE, 500.0)):
        store(writer, Reading("data2", ms, (co2, 25.0, 50.0, 996.5, 5000.0)))
    url = f"/history/series?measurement=co2&from={NINE_TEXT}&to={NINE_TEXT}:59&compare=day"
    (line,) = client.get(url, headers=PACKED).get_json()["compared"]["series"]
    names = ("times_ms", "own_ms", "digits", "avg")
    assert [line[name] for name in names] == [[NINE], [NINE - DAY], 0, [600]]
    assert "below" not in line


@pytest.mark.usefixtures("bedroom")
def test_a_line_with_an_infinity_is_not_packed(client: FlaskClient, database: Database) -> None:
    execute(database.path, f"UPDATE readings SET co2 = {INFINITY} WHERE co2 = 500")
    url = "/history/series?measurement=co2&measurement=temperature&buckets=60"
    infinite, line = client.get(url, headers=PACKED).get_json()["series"]
    assert infinite["max"][-1] is None and "digits" not in infinite
    assert infinite["times_ms"] == [NINE, MINUTE, MINUTE, 4 * MINUTE]
    assert line["digits"] == 3


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", ""])
def test_programs_get_plain_json(client: FlaskClient, accept: str) -> None:
    answer = client.get("/history/series", headers={"Accept": accept})
    assert answer.content_type == "application/json"


def test_a_line_says_whether_it_lacks_something_at_the_beginning(
    client: FlaskClient, settings: Settings, database: Database, writer: Writer
) -> None:
    hour = 60 * MINUTE
    store(
        writer,
        Reading("data2", NINE, (600.0, 25.0, None, 996.5, None)),
        # A sensor that is added within the range, and one that was there before.
        Reading("data2", NINE + 2 * hour, (600.0, 25.0, None, 996.5, 5000.0)),
        Reading("data2", NINE + 5 * hour, (600.0, 25.0, 50.0, 996.5, None)),
        Reading("data2", NINE + 6 * hour, (600.0, 25.0, 50.0, 996.5, 5000.0)),
    )
    assert rollups.follow(settings.stations, database) == 0

    def begun(start: str) -> dict[str, bool]:
        names = "".join(f"&measurement={one}" for one in ("co2", "humidity", "gas_resistance"))
        answer = client.get(f"/history/series?endpoint=data2&from={start}{names}").get_json()
        return {line["measurement"]: line["has_begun"] for line in answer["series"]}

    assert begun("2025-08-24T13:30") == {"co2": True, "humidity": False, "gas_resistance": True}
    assert begun("2025-08-24T08:00") == {"co2": False, "humidity": False, "gas_resistance": False}
    # A line that has a value at the beginning lacks nothing there.
    assert begun("2025-08-24T15:00") == {"co2": False, "humidity": False, "gas_resistance": False}
    # Its hour has begun with it.
    assert begun("2025-08-24T14:30") == {"co2": True, "humidity": False, "gas_resistance": True}


def test_no_readings_at_all(client: FlaskClient) -> None:
    answer = client.get("/history/series").get_json()
    assert answer == {
        "from": None,
        "to": None,
        "from_ms": None,
        "to_ms": None,
        "bucket_ms": None,
        "step": None,
        "starts_ms": None,
        "zone": "Asia/Tokyo",
        "source": "readings",
        "readings": 0,
        "series": [],
        "alerts": [],
        "bands": [],
        "first_ms": None,
        "removed_ms": None,
        "nights": None,
        "derived_step": None,
        "compared": None,
        "corrections": [],
        "notes": [],
    }
    answer = client.get("/history/series?from=2025-08-24&to=2025-08-24").get_json()
    assert (answer["from_ms"], answer["bucket_ms"]) == (NINE - 9 * 60 * MINUTE, 5 * MINUTE)
    assert (answer["readings"], answer["series"]) == (0, [])


@pytest.mark.usefixtures("bedroom")
def test_a_range_without_ends_is_the_one_of_the_readings_that_match(client: FlaskClient) -> None:
    def ends(parameters: str) -> tuple[int, int]:
        answer = client.get(f"/history/series?{parameters}").get_json()
        return ((answer["from_ms"] - NINE) // MINUTE, (answer["to_ms"] - NINE) // MINUTE)

    assert ends("") == (0, 6)
    assert ends("co2__gt=600") == (1, 2)
    assert ends("incomplete=1") == (1, 1)
    assert ends("co2__gt=600&to=2025-08-24+09:30:00") == (1, 30)
    assert ends("from=2025-08-24+08:30&co2__lt=615") == (-30, 6)


@pytest.mark.usefixtures("bedroom")
def test_rows_pages_and_their_order_mean_nothing_to_a_chart(client: FlaskClient) -> None:
    whole = client.get("/history/series").get_json()
    url = f"/history/series?limit=1&order=desc&cursor=before:{NINE + MINUTE}:2"
    assert client.get(url).get_json() == whole


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("buckets=601", {"buckets": "a whole number from 2 to 600 is needed"}),
        ("buckets=1", {"buckets": "a whole number from 2 to 600 is needed"}),
        ("buckets=x", {"buckets": "a whole number from 2 to 600 is needed"}),
        ("since=1", {"since": "only /history/json understands it"}),
        ("limit=0", {"limit": "a whole number from 1 to 1000 is needed"}),
    ],
)
def test_a_bad_query_is_refused(client: FlaskClient, text: str, details: dict[str, str]) -> None:
    answer = client.get(f"/history/series?{text}")
    assert answer.status_code == 400
    assert answer.get_json() == {"error": "invalid query", "details": details}
    assert client.get("/history/json?buckets=5").get_json()["details"] == {
        "buckets": "only /history/series understands it"
    }


def test_a_database_that_cannot_be_read_is_a_503(client: FlaskClient, database: Database) -> None:
    execute(database.path, "ALTER TABLE readings RENAME TO away")
    answer = client.get("/history/series")
    execute(database.path, "ALTER TABLE away RENAME TO readings")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.get_json() == {"error": "database unavailable"}


# --- Gaps ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "interval_ms"),
    [
        ([0], None),
        ([0, 0], None),
        ([0, 20], 20_000),
        ([0, 20, 40, 3600], 20_000),
        ([0, 20, 40, 60, 60, 60, 60], 20_000),
        ([0, 21, 40], 20_000),
    ],
)
def test_the_usual_interval(
    database: Database,
    writer: Writer,
    settings: Settings,
    seconds: list[int],
    interval_ms: int | None,
) -> None:
    store(writer, *(pico(second, NINE + 1000 * second) for second in seconds))
    (line, _) = chart(settings, database, "").lines
    assert line.interval_ms == interval_ms
    assert line.gap_ms == (None if interval_ms is None else 3 * interval_ms)


def test_the_usual_interval_is_the_one_of_then_and_ignores_filters(
    database: Database, writer: Writer, settings: Settings
) -> None:
    store(writer, *(pico(n, NINE + n * MINUTE) for n in range(120)))
    store(writer, *(pico(n, NINE + 120 * MINUTE + n * 1000) for n in range(200)))
    assert chart(settings, database, "pressure__eq=100").lines[0].interval_ms == 1000
    early = chart(settings, database, "to=2025-08-24+09:30&pressure__lte=7").lines[0]
    assert early.interval_ms == MINUTE


# --- A reference in plain Python -------------------------------------------------------------


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with stored_in(tmp_path_factory.mktemp("reference")) as found:
        yield found


def expected(
    reference: Reference, parameters: dict[str, Any], found: Chart
) -> dict[tuple[str, str], dict[int, list[float]]]:
    """The values of each line in the order of storage, by the number of their bucket."""
    lines: dict[tuple[str, str], dict[int, list[float]]] = {}
    assert found.window
    for row in matching(reference.stored, parameters):
        number = found.window.place(row.received_at)
        for column in COLUMNS_OF[row.endpoint]:
            value = row.cells[column]
            if value is not None and column in parameters.get("measurement", [column]):
                line = lines.setdefault((row.endpoint, column), {})
                line.setdefault(number, []).append(value)
    return lines


@given(PARAMETERS, st.sampled_from([None, 2, 3, 7, 600]))
def test_a_chart_is_the_reference(
    reference: Reference, parameters: dict[str, Any], buckets: int | None
) -> None:
    query = question(reference, parameters, SERIES, buckets=buckets)
    with reference.database.reader.begin() as connection:
        found = charts.chart(View(connection, query.registry), query)
    rows = matching(reference.stored, parameters)
    assert found.readings == len(rows)
    if found.window is None:
        assert (rows, found.lines) == ([], [])
        return
    if "from" not in parameters and rows:
        assert found.window.first_ms == rows[0].received_at
    if "to" not in parameters and rows:
        assert found.window.last_ms == rows[-1].received_at
    lines = expected(reference, parameters, found)
    assert {(x.station.endpoint, x.measurement.column) for x in found.lines} == set(lines)
    for line in found.lines:
        values = lines[line.station.endpoint, line.measurement.column]
        assert set(line.buckets) == set(values)
        assert len(values) <= (buckets or 600)
        for number, bucket in line.buckets.items():
            some = values[number]
            assert (bucket.count, bucket.minimum, bucket.maximum) == (
                len(some),
                min(some),
                max(some),
            )
            assert bucket.total == pytest.approx(math.fsum(some), rel=1e-12, abs=1e-12)


def test_the_sums_of_a_long_range_come_in_pieces(
    database: Database, writer: Writer, settings: Settings
) -> None:
    day = 24 * 60 * MINUTE
    store(writer, *(pico(n, NINE + n * day // 2) for n in range(400)))
    found = chart(settings, database, "measurement=pressure&pressure__gte=0")
    assert found.window
    assert found.window.last_ms - found.window.first_ms > 5 * PIECE_MS
    assert found.readings == 400
    (line,) = found.lines
    assert sum(bucket.count for bucket in line.buckets.values()) == 400
    assert sum(bucket.total for bucket in line.buckets.values()) == sum(range(400))


# --- Long ranges -----------------------------------------------------------------------------


def test_a_year_shows_no_sawtooth_that_the_house_does_not_have(
    database: Database, settings: Settings
) -> None:
    """CO2 that goes up each night and down each day: buckets of 33 hours made waves of it."""
    readings = (
        Reading(
            "data2",
            NINE + n * 60 * MINUTE,
            (700 + 300 * math.sin(math.tau * n / 24), None, None, None, None),
        )
        for n in range(400 * 24)
    )
    with database.commit() as connection:
        insert_readings(connection, readings)
    for text in ("", "from=2025-09-01&to=2026-01-20", "co2__gte=0", "buckets=60"):
        (line,) = chart(settings, database, f"measurement=co2&endpoint=data2&{text}").lines
        whole = [line.buckets[place].average for place in line.places[1:-1]]
        if "from" in text:
            # Buckets of 6 hours: the same four, day after day.
            assert len({round(average or 0) for average in whole}) == 4
        else:
            assert whole == pytest.approx([700] * len(whole))


def test_the_reference_clock_is_what_the_questions_say() -> None:
    # `pairs_of` writes seconds after 10:46:40.
    assert T % MINUTE == 40_000
