"""The days on `/status`, and `/api/v1/uptime`: the share of the expected readings that came."""

import re
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from flask10x.database.database import Database
from flask10x.history import rollups
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import HOUR_MS, parse_bound
from flask10x.system import clock
from tests.support.html import words
from tests.support.rows import execute, insert_readings

TOKYO = ZoneInfo("Asia/Tokyo")
INTERVAL_MS = 600_000


def at(text: str) -> int:
    return parse_bound(text, TOKYO, 0, end=False)


NOW, FIRST = at("2025-08-24 12:10:00"), at("2025-08-22 12:00:00")
SILENT = range(at("2025-08-23 03:00:00"), at("2025-08-23 06:00:00"))


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: NOW)


@pytest.fixture
def readings(database: Database) -> None:
    """Every ten minutes for two days, with three silent hours, and a few of another station."""
    times = [ms for ms in range(FIRST, NOW, INTERVAL_MS) if ms not in SILENT]
    with database.commit() as connection:
        insert_readings(connection, [Reading("data", ms, (1000.0, 25.0)) for ms in times])
        few = [Reading("data3", ms, (9.0, 50.0, 1000.0, 1.0)) for ms in times[-3:]]
        insert_readings(connection, few)
    for _ in rollups.complete(BUILT_IN, database, TOKYO):
        pass


def rows_of(client: FlaskClient, kind: str) -> dict[str, tuple[object, object, object]]:
    rows = client.get("/api/v1/uptime").get_json()["stations"]["data"][kind]
    return {row["name"]: (row["readings"], row["expected"], row["share"]) for row in rows}


@pytest.mark.usefixtures("readings")
def test_days_and_months_count_from_the_first_reading_to_the_last_full_hour(
    client: FlaskClient,
) -> None:
    answer = client.get("/api/v1/uptime").get_json()
    assert (answer["until"], answer["prepared"]) == ("2025-08-24T12:00:00.000+09:00", True)
    assert list(answer["stations"]) == ["data", "data3"]
    of_data = answer["stations"]["data"]
    assert of_data["first"] == "2025-08-22T12:00:00.000+09:00"
    assert of_data["usual_interval_seconds"] == 600
    days = rows_of(client, "days")
    assert (len(days), next(iter(days))) == (30, "2025-08-24")
    assert days["2025-08-24"] == (72, 72, 1)
    assert days["2025-08-23"] == (126, 144, 0.875)
    assert days["2025-08-22"] == (72, 72, 1)
    assert days["2025-08-21"] == (0, None, None)
    months = rows_of(client, "months")
    assert (len(months), list(months)[-1]) == (12, "2024-09")
    assert months["2025-08"] == (270, 288, 0.9375)
    assert months["2025-07"] == (0, None, None)


@pytest.mark.usefixtures("readings")
def test_the_longest_gaps_are_full_hours_without_a_reading(client: FlaskClient) -> None:
    assert client.get("/api/v1/uptime").get_json()["stations"]["data"]["gaps"] == [
        {
            "from": "2025-08-23T03:00:00.000+09:00",
            "to": "2025-08-23T06:00:00.000+09:00",
            "seconds": 10_800,
        }
    ]


@pytest.mark.usefixtures("readings")
def test_a_station_without_a_rhythm_has_counts_and_no_share(client: FlaskClient) -> None:
    of_outside = client.get("/api/v1/uptime").get_json()["stations"]["data3"]
    assert of_outside["usual_interval_seconds"] is None
    # The one of the hour that is not full is not counted.
    assert of_outside["days"][0] == {
        "name": "2025-08-24",
        "readings": 2,
        "expected": None,
        "share": None,
    }


@pytest.mark.usefixtures("readings")
def test_removed_readings_are_counted(client: FlaskClient, database: Database) -> None:
    before = client.get("/api/v1/uptime").get_json()
    execute(database.path, f"DELETE FROM readings WHERE received_at < {NOW - 24 * HOUR_MS}")
    assert client.get("/api/v1/uptime").get_json() == before


def test_readings_that_are_not_rolled_up_yet_are_counted(
    client: FlaskClient, database: Database
) -> None:
    """The follower of the roll-ups comes once an hour."""
    for _ in rollups.complete(BUILT_IN, database, TOKYO):
        pass
    times = [ms for ms in range(FIRST, NOW, INTERVAL_MS) if ms not in SILENT]
    until = times.index(at("2025-08-23 20:30:00"))
    for part in (times[:until], times[until:]):
        with database.commit() as connection:
            insert_readings(connection, [Reading("data", ms, (1000.0, 25.0)) for ms in part])
        if part[0] == FIRST:
            while rollups.follow(BUILT_IN, database):
                pass
    with database.commit() as connection:
        insert_readings(connection, [Reading("data3", times[-9], (9.0, 50.0, 1000.0, 1.0))])
    before = client.get("/api/v1/uptime").get_json()
    days = rows_of(client, "days")
    assert (days["2025-08-24"], days["2025-08-23"]) == ((72, 72, 1), (126, 144, 0.875))
    assert [len(before["stations"][one]["gaps"]) for one in ("data", "data3")] == [1, 1]
    while rollups.follow(BUILT_IN, database):
        pass
    assert client.get("/api/v1/uptime").get_json() == before


@pytest.mark.usefixtures("readings")
def test_the_page_has_the_days_in_both_languages(client: FlaskClient) -> None:
    for language, day, label in (
        ("en", "Sat 23 Aug: 87.5 %", "Days with missing readings, of the last 30: 1"),
        ("ja", "8月23日（土）: 87.5 %", "直近30日のうち欠測のある日: 1日"),
    ):
        client.set_cookie("lang", language)
        page = client.get("/status").text
        assert f'role="img" aria-label="{label}"' in page
        text = words(page)
        assert day in text
        # What is whole needs no line, and what was before the first reading has none.
        assert ": 100 %" not in text and ": 0 %" not in text
        gap = {"en": "Sat 23 Aug, 03:00 – 06:00 (3 h)", "ja": "8月23日（土）03:00〜06:00（3時間）"}
        assert gap[language] in text


@pytest.mark.usefixtures("readings")
def test_a_day_is_filled_from_below_by_what_is_missing(client: FlaskClient) -> None:
    of_data = client.get("/status").text.partition('id="data"')[2].partition("</svg>")[0]
    drawn = dict(re.findall(r'<path class="(\w+)" d="([^"]*)"', of_data))
    # Yesterday, of which an eighth is missing; the day before and today are whole.
    assert drawn == {
        "whole": "M27 0h.86v8h-.86zM29 0h.86v8h-.86z",
        "some": "M28 0h.86v8h-.86z",
        "missing": "M28 8v-1h.86v1z",
    }


def test_without_readings_there_are_no_days(client: FlaskClient) -> None:
    assert '<svg class="strip' not in client.get("/status").text
    assert client.get("/api/v1/uptime").get_json()["stations"] == {}


def test_while_days_are_not_counted_the_page_says_so(
    client: FlaskClient, database: Database
) -> None:
    with database.commit() as connection:
        insert_readings(connection, [Reading("data", FIRST, (1000.0, 25.0))])
    while rollups.follow(BUILT_IN, database):
        pass
    assert "are being counted" in client.get("/status").text
    assert client.get("/api/v1/uptime").get_json()["prepared"] is False


@pytest.mark.usefixtures("readings")
@pytest.mark.sqlite_only("the statements of its driver are counted")
def test_it_asks_five_statements(client: FlaskClient, database: Database) -> None:
    statements: list[str] = []
    store = client.application.extensions["flask10x"]
    engine = store.database.reader

    def note(*values: object) -> None:
        statements.append(str(values[2]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert client.get("/api/v1/uptime").status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len([one for one in statements if one.startswith(("SELECT", "WITH"))]) <= 5
