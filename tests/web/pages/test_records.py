"""`/records`: tables of a month, a year and all years."""

import csv
import io
import re
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from flask10x.database import removed
from flask10x.database.database import Database
from flask10x.database.removed import Removed
from flask10x.database.tables import readings as readings_table
from flask10x.history import charts, rollups
from flask10x.history.sums import Ids
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import DAY_MS, HOUR_MS, parse_bound
from flask10x.system import clock
from tests.support.corrections import apply_all, correct
from tests.support.html import words
from tests.support.rows import execute, insert_readings

TOKYO = ZoneInfo("Asia/Tokyo")


def at(text: str) -> int:
    return parse_bound(text, TOKYO, 0, end=False)


def bedroom(when: str, co2: float | None) -> Reading:
    return Reading("data2", at(when), (co2, 20.0, 50.0, 1000.0, None))


READINGS = (
    bedroom("2024-12-31 23:59:59", 420),
    bedroom("2025-08-01 00:00:00", 700),
    bedroom("2025-08-01 09:30:00", 1500),
    bedroom("2025-08-01 09:40:00", 900),
    bedroom("2025-08-01 23:59:59", 400),
    bedroom("2025-08-03 12:00:00", 1200),
    bedroom("2025-08-03 12:10:00", None),
    bedroom("2025-08-31 23:59:59", 650),
    bedroom("2025-09-01 00:00:00", 3000),
)
ADDRESS = "/records?endpoint=data2&measurement=co2"


@pytest.fixture(autouse=True)
def readings(database: Database) -> None:
    with database.commit() as connection:
        insert_readings(connection, READINGS)
    while rollups.follow(BUILT_IN, database):
        pass


def as_csv(client: FlaskClient, more: str) -> list[dict[str, str]]:
    answer = client.get(ADDRESS.replace("/records", "/records.csv") + more)
    assert (answer.status_code, answer.content_type) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_a_month_by_its_days(client: FlaskClient) -> None:
    rows = as_csv(client, "&period=2025-08")
    assert [row["period"] for row in rows] == [f"2025-08-{day:02d}" for day in range(1, 32)]
    assert rows[0] == {
        "period": "2025-08-01",
        "lowest": "400.0",
        "lowest_at": "2025-08-01 23:00:00",
        "mean": "875.0",
        "highest": "1500.0",
        "highest_at": "2025-08-01 09:00:00",
        "readings": "4",
    }
    assert rows[1] == dict.fromkeys(rows[0], "") | {"period": "2025-08-02", "readings": "0"}
    assert (rows[2]["mean"], rows[2]["readings"]) == ("1200.0", "1")
    assert rows[30]["highest"] == "650.0"


def test_a_year_by_its_months(client: FlaskClient) -> None:
    rows = as_csv(client, "&period=2025")
    assert [row["readings"] for row in rows] == [*["0"] * 7, "6", "1", *["0"] * 3]
    assert (rows[7]["highest"], rows[7]["highest_at"]) == ("1500.0", "2025-08-01 00:00:00")
    assert (rows[7]["lowest"], rows[7]["lowest_at"]) == ("400.0", "2025-08-01 00:00:00")


def test_all_years_and_the_records(client: FlaskClient) -> None:
    rows = as_csv(client, "&period=all")
    assert [(row["period"], row["lowest"], row["highest"]) for row in rows] == [
        ("2024", "420.0", "420.0"),
        ("2025", "400.0", "3000.0"),
    ]
    page = client.get(ADDRESS + "&period=all").text
    assert "Wed 31 Dec 2024" not in page
    assert "Fri 1 Aug 2025" in page.split("<tfoot")[1]
    lists = page.split('class="lists"')[1]
    assert lists.index("3000") < lists.index("1500") < lists.index("1200")
    assert "1 Sep 2025" in lists


def test_all_years_have_those_of_removed_readings(client: FlaskClient, database: Database) -> None:
    before = as_csv(client, "&period=all")
    hour, columns = READINGS[0].received_at // HOUR_MS, BUILT_IN.by_endpoint["data2"].columns
    with database.commit() as connection:
        removed.keep_removed_hours(
            connection, rollups.of_readings("data2", columns, connection, hour, Ids(1))
        )
        connection.execute(readings_table.delete().where(readings_table.c.id == 1))
        removed.note_removed(connection, "data2", Removed(1, READINGS[0].received_at, 1))
    assert as_csv(client, "&period=all") == before


def test_hours_beyond_a_limit(client: FlaskClient) -> None:
    """In a month each reading counts: of 09:30 and 09:40 one is above 1000."""
    rows = as_csv(client, "&period=2025-08&above=1000")
    assert [row["hours_above_1000.0"] for row in rows[:3]] == ["0.5", "", "1.0"]
    rows = as_csv(client, "&period=2025-08&below=1000")
    assert [row["hours_below_1000.0"] for row in rows[:3]] == ["2.5", "", "0.0"]
    # In a year an hour counts by its average, 1200 here.
    assert as_csv(client, "&period=2025&above=1000")[7]["hours_above_1000.0"] == "2.0"


def test_hours_of_a_year_are_the_same_with_and_without_roll_ups(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hours(limit: str) -> list[str]:
        return [list(row.values())[-1] for row in as_csv(client, f"&period=all&{limit}")]

    limits = ("above=1000", "above=600", "below=650", "above=3000")
    found = [hours(limit) for limit in limits]
    assert found[:2] == [["0.0", "3.0"], ["0.0", "5.0"]]
    monkeypatch.setattr(charts, "has_rollups", lambda *_args: False)
    assert [hours(limit) for limit in limits] == found


def test_corrections_are_applied_and_can_be_left_out(
    client: FlaskClient, database: Database
) -> None:
    hidden, adjusted = at("2025-08-01 09:30:00"), at("2025-08-03 00:00:00")
    with database.commit() as connection:
        correct(connection, "data2", "co2", hidden, hidden)
        correct(connection, "data2", "co2", adjusted, adjusted + DAY_MS - 1, offset=-300.0)
    apply_all(database)
    rows = as_csv(client, "&period=2025-08&above=850")
    assert (rows[0]["highest"], rows[0]["highest_at"]) == ("900.0", "2025-08-01 09:00:00")
    assert [row["hours_above_850.0"] for row in rows[:3]] == ["1.0", "", "1.0"]
    assert rows[2]["highest"] == "900.0"
    raw = as_csv(client, "&period=2025-08&raw=1")
    assert (raw[0]["highest"], raw[2]["highest"]) == ("1500.0", "1200.0")
    page = client.get(ADDRESS + "&period=2025-08").text
    assert "Corrections are applied." in page
    assert "raw=1" in page


def shown(client: FlaskClient, language: str) -> tuple[str, list[str]]:
    """The page and its rows, as a reader sees them."""
    address = ADDRESS + "&period=2025-08&above=1000"
    page = client.get(address, headers={"Accept-Language": language}).text
    body = re.split(r"</?tbody[^>]*>", page)[1]
    return page, [words(row) for row in re.findall(r"<tr[^>]*>.*?</tr>", body, re.DOTALL)]


def test_the_page_says_the_same_in_both_languages(client: FlaskClient) -> None:
    page, rows = shown(client, "en")
    assert rows[0] == "Fri 1 Aug 400 23:00\N{EN DASH}23:59 875 1500 09:00\N{EN DASH}09:59 0.5"
    assert "Hours above 1000 ppm" in page
    page, rows = shown(client, "ja")
    assert rows[0] == "8月1日（金） 400 23時台 875 1500 09時台 0.5"
    assert "1000 ppm 超の時間" in page


def test_links_lead_to_the_neighbours_and_the_chart(client: FlaskClient) -> None:
    page = client.get(ADDRESS + "&period=2025-08").text.replace("&amp;", "&")
    for link in (
        "/records?endpoint=data2&measurement=co2&period=2025-07",
        "/records?endpoint=data2&measurement=co2&period=2025-09",
        "/records.csv?endpoint=data2&measurement=co2&period=2025-08",
        "/history?endpoint=data2&measurement=co2&from=2025-08-01+00:00:00&to=2025-08-01+23:59:59",
        "/records?endpoint=data2&measurement=co2&period=2025-08&above=1000",
    ):
        assert f'"{link}"' in page, link
        assert client.get(link).status_code == 200


def test_no_link_leads_beyond_now(client: FlaskClient) -> None:
    assert 'title="Later"' in client.get(ADDRESS + "&period=2025").text
    for period in ("9998", "9998-11"):
        page = client.get(f"{ADDRESS}&period={period}").text
        assert 'title="Later"' not in page
        assert 'title="Earlier"' in page


def test_without_parameters_it_is_this_month_of_the_first_station_that_has_sent(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: at("2025-10-15 12:00:00"))
    page = client.get("/records").text
    assert "Bedroom, Temperature" in page
    assert "No data in this period." in page
    # A program gets what it has always got, so the page names what it shows.
    names = "endpoint=data2&amp;measurement=temperature&amp;period=2025-10"
    assert f'href="/records.csv?{names}"' in page
    name = client.get("/records.csv").headers["Content-Disposition"]
    assert "records_data2_co2_2025-10" in name


def test_without_a_measurement_a_station_shows_its_temperature(client: FlaskClient) -> None:
    page = client.get("/records?endpoint=data4&period=2025-08").text
    assert "Living room, Temperature (DS18B20)" in page


def test_the_bars_have_a_scale_of_round_values(client: FlaskClient) -> None:
    page = client.get(f"{ADDRESS}&period=2025-08").text
    head = page.partition('<svg class="scale"')[2].partition("</svg>")[0]
    # Of 400 to 1500 ppm, each line where the value is.
    assert re.findall(r'x="([\d.]+)%"[^>]*>([^<]+)<', head) == [
        ("9.1", "500"),
        ("54.5", "1000"),
        ("100.0", "1500"),
    ]
    assert page.count('<line class="tick" x1="545"') == 3
    assert "Range <small>ppm</small>" in page


def test_a_scale_ends_at_the_greatest_value(client: FlaskClient, database: Database) -> None:
    """Also where the least one and the range make a little less by their binary digits."""
    with database.commit() as connection:
        cold, mild = (
            Reading("data2", at(f"2025-10-01 {hour}:00:00"), (400, celsius, 50.0, 1000.0, None))
            for hour, celsius in (("09", -14.9), ("10", 10.0))
        )
        insert_readings(connection, (cold, mild))
    page = client.get("/records?endpoint=data2&measurement=temperature&period=2025-10").text
    head = page.partition('<svg class="scale"')[2].partition("</svg>")[0]
    assert re.findall(r'x="([\d.]+)%"', head)[-1] == "100.0"


def test_a_range_that_no_step_divides_has_no_scale(client: FlaskClient, database: Database) -> None:
    with database.commit() as connection:
        narrow = bedroom("2025-10-01 09:00:00", 0.0), bedroom("2025-10-01 10:00:00", 5e-324)
        insert_readings(connection, narrow)
    answer = client.get(f"{ADDRESS}&period=2025-10")
    assert answer.status_code == 200
    assert 'class="tick"' not in answer.text


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("endpoint=dataa2", "unknown station (did you mean data2? known: "),
        ("endpoint=data&measurement=co2", "unknown measurement"),
        ("period=August", "a month such as 2025-08"),
        ("above=x", "a plain number"),
        ("above=1&below=2", "choose one of them"),
        ("raw=yes", "1"),
        ("perriod=2025", "did you mean period?"),
        ("period=2025&period=2024", "given 2 times"),
    ],
)
def test_a_wrong_query_is_named(client: FlaskClient, query: str, reason: str) -> None:
    answer = client.get(f"/records?{query}")
    assert answer.status_code == 400
    assert reason in answer.text
    assert client.get(f"/records.csv?{query}").status_code == 400


def test_the_empty_field_of_a_form_asks_for_nothing(client: FlaskClient) -> None:
    assert client.get("/records?endpoint=data2&above=").status_code == 200
    answer = client.get("/records.csv?endpoint=data2&above=")
    assert (answer.status_code, [*answer.get_json()["details"]]) == (400, ["above"])


def test_an_empty_house(client: FlaskClient, database: Database) -> None:
    execute(database.path, "DELETE FROM readings")
    for period in ("2025-08", "2025"):
        page = client.get(f"/records?endpoint=data3&period={period}")
        assert page.status_code == 200
        assert "No data in this period" in page.text
    assert client.get("/records?endpoint=data3&period=all").status_code == 200


@pytest.mark.parametrize(
    ("now", "asked", "rows"),
    [
        # Two days say little of a month, and those to come nothing.
        ("2025-09-02 12:00:00", "", 31),
        ("2025-09-03 12:00:00", "", 3),
        # Without a month before; two days have a reading of a clock that is ahead.
        ("2025-08-02 12:00:00", "", 4),
        ("2025-09-02 12:00:00", "&period=2025-09", 2),
        ("2025-09-02 12:00:00", "&period=2025", 9),
    ],
)
def test_the_page_opens_on_a_month_with_days_and_has_none_to_come(
    client: FlaskClient,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    now: str,
    asked: str,
    rows: int,
) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: at(now))
    with database.commit() as connection:
        insert_readings(connection, [bedroom("2025-09-01 12:00:00", 700)])
    page = client.get(f"/records?endpoint=data2{asked}").text
    body = page.partition("<tbody")[2].partition("</tbody>")[0]
    assert body.count("<tr") == rows
    # A program gets this month, to its end.
    month = now[:7]
    given = client.get("/records.csv?endpoint=data2").text.splitlines()[1:]
    assert given[0].startswith(f"{month}-01,") and len(given) in (30, 31)


def test_the_limit_is_in_the_order_of_the_words(client: FlaskClient) -> None:
    for language, pattern in (
        ("en", r'Count the hours</span>.*<select id="side".*<input name="above"'),
        ("ja", r'条件に合う時間を集計</span>.*<input name="above".*<select id="side"'),
    ):
        page = client.get("/records?period=2025-08", headers={"Accept-Language": language}).text
        assert re.search(pattern, page, re.S)


def test_only_stations_that_have_sent_or_are_asked_for_can_be_chosen(client: FlaskClient) -> None:
    def chosen(address: str) -> list[str]:
        page = client.get(address).text.partition('aria-label="Station"')[2].partition("</nav>")[0]
        return re.findall(r"endpoint=(\w+)", page)

    assert chosen(ADDRESS) == chosen("/records?period=x") == ["data2"]
    assert chosen("/records?endpoint=data4") == ["data2", "data4"]
