"""A chart beside another time or another station, on one axis."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from flask10x.database.database import Database
from tests.conftest import MakeApp
from tests.support.rows import execute

TOKYO, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
HOUR_MS = 3_600_000


def ms(text: str, zone: ZoneInfo = TOKYO) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def fill(database: Database, first: str, days: int, zone: ZoneInfo = TOKYO) -> None:
    """Each half hour the bedroom's CO2, a hundred times the number of the day, and others."""
    start, end = ms(first, zone), ms(first, zone) + days * 24 * HOUR_MS
    values = []
    for at in range(start, end, HOUR_MS // 2):
        day = datetime.fromtimestamp(at / 1000, zone).day
        values.append(f"('data2', {at}, {day * 100}, 20, NULL), ('data4', {at}, 400, NULL, 22)")
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, co2, temperature, temperature_dht11)"
        f" VALUES {','.join(values)}",
    )


def asked(client: FlaskClient, query: str) -> Any:
    answer = client.get(f"/history/series?{query}")
    assert answer.status_code == 200, answer.text
    return answer.get_json()["compared"]


CO2 = "endpoint=data2&measurement=co2"


def test_yesterday_stands_where_the_clock_shows_the_same(
    client: FlaskClient, database: Database
) -> None:
    fill(database, "2025-08-20", 5)
    found = asked(client, f"{CO2}&from=2025-08-24&to=2025-08-24&compare=day&buckets=24")
    (line,) = found.pop("series")
    assert found == {"by": "day", "bucket_ms": HOUR_MS, "has_leap_day": False}
    assert line["times_ms"] == [ms("2025-08-24") + n * HOUR_MS for n in range(24)]
    assert line["own_ms"] == [ms("2025-08-23") + n * HOUR_MS for n in range(24)]
    assert set(line["avg"]) == {2300.0}
    assert (line["endpoint"], line["measurement"], line["unit"]) == ("data2", "co2", "ppm")


def test_last_week_of_a_range_without_an_end_goes_on_until_now(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, "2025-08-10", 10)
    now = ms("2025-08-19 23:00") + 5 * HOUR_MS
    monkeypatch.setattr("flask10x.system.clock.now_ms", lambda: now)
    found = asked(client, f"{CO2}&from=2025-08-19&compare=week")
    (line,) = found["series"]
    assert line["own_ms"][0] == ms("2025-08-12")
    assert now - HOUR_MS < line["times_ms"][-1] <= now
    assert line["avg"][-1] == 1300.0


def test_a_year_ago_is_the_same_date_and_a_leap_day_is_said(
    client: FlaskClient, database: Database
) -> None:
    fill(database, "2024-02-27", 4)
    query = f"{CO2}&from=2025-02-27&to=2025-03-01&compare=year&buckets=72"
    found = asked(client, query)
    (line,) = found["series"]
    assert found["has_leap_day"] is True
    days = {datetime.fromtimestamp(at / 1000, TOKYO).day for at in line["times_ms"]}
    # The 29th had 2900 ppm.
    assert (days, set(line["avg"])) == ({27, 28, 1}, {2700.0, 2800.0, 100.0})
    found = asked(client, f"{CO2}&from=2025-02-27&to=2025-02-28&compare=year")
    assert found["has_leap_day"] is False


def test_another_station_is_compared_by_what_is_measured(
    client: FlaskClient, database: Database
) -> None:
    fill(database, "2025-08-24", 1)
    day = "from=2025-08-24&to=2025-08-24"
    found = asked(client, f"endpoint=data2&{day}&compare=data4")
    lines = found["series"]
    names = [(line["endpoint"], line["measurement"]) for line in lines]
    assert names == [("data4", "co2"), ("data4", "temperature_dht11")]
    assert lines[0]["times_ms"] == lines[0]["own_ms"]
    # What the chart has is not drawn once more.
    assert asked(client, f"{day}&compare=data4")["series"] == []
    found = asked(client, f"endpoint=data2&endpoint=data4&measurement=co2&{day}&compare=data4")
    assert found["series"] == []


def test_without_the_parameter_nothing_is_compared(client: FlaskClient, database: Database) -> None:
    assert client.get("/history/series").get_json()["compared"] is None
    empty: dict[str, object] = {"by": "day", "bucket_ms": None, "has_leap_day": False, "series": []}
    assert asked(client, "compare=day") == empty
    fill(database, "2025-08-24", 1)
    assert asked(client, "compare=day&from=2025-08-24&to=2025-08-24") == empty


def test_a_range_at_the_beginning_of_time_has_nothing_before_it(
    client: FlaskClient, database: Database
) -> None:
    fill(database, "1900-06-01", 1)
    assert asked(client, f"{CO2}&compare=year")["series"] == []


@pytest.mark.parametrize(
    ("day", "hours"), [("2025-03-30", [0, 1, *range(3, 24)]), ("2025-10-26", [*range(24)])]
)
def test_on_the_day_of_a_clock_change_each_hour_of_the_clock_has_its_own(
    make_app: MakeApp, database: Database, day: str, hours: list[int]
) -> None:
    here = datetime.fromisoformat(day)
    fill(database, str((here - timedelta(days=2)).date()), 4, BERLIN)
    client = make_app(TIMEZONE="Europe/Berlin").test_client()
    found = asked(client, f"{CO2}&from={day}&to={day}&compare=day&buckets=25")
    (line,) = found["series"]
    shown = [datetime.fromtimestamp(at / 1000, BERLIN).hour for at in line["times_ms"]]
    assert shown == hours
    own = [datetime.fromtimestamp(at / 1000, BERLIN).hour for at in line["own_ms"]]
    assert own == hours


def test_days_are_compared_with_days(client: FlaskClient, database: Database) -> None:
    fill(database, "2024-08-01", 28)
    fill(database, "2025-08-01", 28)
    found = asked(client, f"{CO2}&from=2025-08-01&to=2025-08-28&compare=year&buckets=30")
    (line,) = found["series"]
    assert line["times_ms"] == [ms(f"2025-08-{day:02d}") for day in range(1, 29)]
    assert line["avg"] == [day * 100.0 for day in range(1, 29)]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("days", "unknown comparison (did you mean day? known: day, week, year, data, data2"),
        ("", "is empty: leave the parameter out"),
        ("data9", "unknown comparison (did you mean data"),
    ],
)
def test_an_unknown_comparison_is_refused(client: FlaskClient, value: str, said: str) -> None:
    answer = client.get(f"/history/series?compare={value}")
    assert answer.status_code == 400
    assert answer.get_json()["details"]["compare"].startswith(said)


def test_other_routes_know_of_no_comparison(client: FlaskClient) -> None:
    for path in ("/history/json", "/history.csv", "/history.json"):
        answer = client.get(f"{path}?compare=day")
        assert answer.get_json()["details"] == {"compare": "only /history/series understands it"}
