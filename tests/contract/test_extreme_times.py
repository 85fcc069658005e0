"""Times at the ends of the calendar and beyond them: no page falls over one, and none is hidden.

Bounds that a reader writes, `received_at` that somebody has written by hand, a wrong clock.
"""

import json
import math
import re
from datetime import tzinfo
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.history import local_time, pages, rollups
from flask10x.readings import times
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support import compared_rollups
from tests.support.databases import ON_POSTGRES, environment_of, examples
from tests.support.html import Outline
from tests.support.new_database import lay_new_database
from tests.support.rows import execute

DAY_MS = 86_400_000
# The years 1 and 9999 end to end, in UTC.
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
NO_DATES = (-(2**63), -(10**17), FIRST_MS - 1, LAST_MS + 1, 10**17, 2**63 - 1)
EDGES = (FIRST_MS, FIRST_MS + 5 * DAY_MS, -1, 0, 1000, LAST_MS - 5 * DAY_MS, LAST_MS)
# The two farthest from UTC, and some between them.
FARTHEST = ("Pacific/Kiritimati", "Etc/GMT+12")
BETWEEN = ("UTC", "Asia/Tokyo", "America/New_York")
ZONES = [*FARTHEST, *(pytest.param(zone, marks=pytest.mark.long) for zone in BETWEEN)]

READING = ("/history", "/history/json", "/history.csv", "/history.json", "/history/series")
REJECTED = ("/history/rejected", "/history/rejected/json")
OTHERS = ("/metrics", "/metrics/details", "/readyz", "/")
EMPTY = "''" if ON_POSTGRES else "x''"
TABLES = {
    "readings": "(endpoint, received_at, pressure, temperature) VALUES ('data', {}, {}, 20.0)",
    "rejected": "(endpoint, received_at, end_bytes, media_type, reasons, hint, body)"
    f" VALUES ('data', {{}}, {{}}, '', '{{{{}}}}', '', {EMPTY})",
}


def insert(settings: Settings, *times_ms: int) -> None:
    """A reading and a rejected one of each time, as somebody with the shell of the engine can."""
    rows = [
        f"INSERT INTO {table} {rest.format(at_ms, 900 + number)}"
        for table, rest in TABLES.items()
        for number, at_ms in enumerate(times_ms)
    ]
    execute(database_path(settings), *rows)


def check_answers(client: FlaskClient, path: str, query: str = "") -> None:
    """200, or 400 with the name of what is wrong; the body to its end, which is no half a file."""
    answer = client.get(f"{path}?{query}" if query else path)
    text = answer.get_data(as_text=True)
    assert answer.status_code in (200, 400), (path, query, text)
    if answer.status_code == 400 and answer.is_json:
        assert answer.get_json()["error"] == "invalid query"
        assert answer.get_json()["details"], (path, query)
    if answer.status_code == 200 and answer.is_json:
        json.loads(text)


def roll_up(database: Database) -> None:
    while rollups.follow(BUILT_IN, database):
        pass


# --- Bounds ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    "query",
    [
        "from=6020-01-01",
        "from=9999-12-31",
        "from=9999-12-31&to=9999-12-31",
        "from=9999-12-31T23:59-23:59",
        "to=9999-12-31T23:59-23:59",
        "from=1970-01-01&to=9999-12-31",
        "from=1970-01-01T00:00%2B23:59&to=1970-01-01",
        "to=1970-01-01T00:00%2B23:59",
        "from=2025-01-01&to=6020-01-01",
    ],
)
def test_a_bound_that_a_date_can_be_is_answered(client: FlaskClient, query: str) -> None:
    statuses = {path: client.get(f"{path}?{query}").status_code for path in (*READING, *REJECTED)}
    assert statuses == dict.fromkeys(statuses, 200)


@pytest.mark.parametrize("text", ["0001-01-01", "1969-12-31", "-3000w", "-999999999w", "12025-1-1"])
def test_a_bound_that_none_can_be_is_named_with_the_limits(client: FlaskClient, text: str) -> None:
    for path, name in product((*READING, *REJECTED), ("from", "to")):
        answer = client.get(f"{path}?{name}={text}")
        assert answer.status_code == 400, (path, name)
        said = answer.get_data(as_text=True)
        assert "1970" in said or "not a time" in said, (path, name, said)
        if answer.is_json:
            assert [*answer.get_json()["details"]] == [name], path


def test_no_neighbour_of_a_range_in_the_future_is_offered(client: FlaskClient) -> None:
    page = client.get("/history?from=6020-01-01").get_data(as_text=True)
    ranges = page.partition('class="ranges"')[2].partition("</nav>")[0]
    assert ranges and links(ranges, "from=2") == []


# --- Rows ------------------------------------------------------------------------------------


@pytest.fixture(params=ZONES)
def zoned(request: pytest.FixtureRequest, make_settings: MakeSettings) -> Settings:
    settings = make_settings(TIMEZONE=request.param)
    lay_new_database(database_path(settings))
    return settings


def test_rows_of_any_time_are_answered_with(zoned: Settings) -> None:
    insert(zoned, *NO_DATES, *EDGES)
    app = create_app(zoned)
    roll_up(app.extensions["flask10x"].database)
    for path in (*READING, *REJECTED, *OTHERS):
        for query in ("", "order=desc", "order=asc", "limit=2", "pressure__gt=0", "incomplete=1"):
            check_answers(app.test_client(), path, query)
    close(app)


def test_a_row_whose_time_is_no_date_is_shown_by_its_number(
    client: FlaskClient, settings: Settings
) -> None:
    insert(settings, 2**63 - 1, -(2**63))
    shown = {f"{2**63 - 1} ms", f"{-(2**63)} ms"}
    assert {one["timestamp"] for one in client.get("/history/json").get_json()} == shown
    assert {one["timestamp"] for one in client.get("/history.json").get_json()} == shown
    assert {one["timestamp"] for one in client.get("/history/rejected/json").get_json()} == shown
    for path in ("/history?from=all", "/history.csv", "/history/rejected"):
        text = client.get(path).get_data(as_text=True)
        assert all(time in text for time in shown), path
    assert client.get("/metrics").get_json()["last_received"]["data"] == f"{2**63 - 1} ms"


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("query", ["", "pressure__gte=0"])
@pytest.mark.parametrize("rolled_up", [False, True])
def test_paging_passes_rows_of_any_time_both_ways(
    client: FlaskClient,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    order: str,
    query: str,
    rolled_up: bool,
) -> None:
    # A search that ends early makes a short page (test_query_time.py), and on a busy machine so
    # would this one.
    monkeypatch.setattr(pages, "SEARCH_SEC", math.inf)
    all_times = sorted((*NO_DATES, *EDGES))
    insert(store.settings, *all_times)
    if rolled_up:
        roll_up(store.database)
    for path in ("/history/json", *([] if query or order == "asc" else [REJECTED[1]])):
        forth = pages_of(client, f"{path}?order={order}&limit=2&{query}", "next")
        seen = [one["timestamp"] for page in forth for one in page[1]]
        assert len(seen) == len(set(seen)) == len(all_times)
        back = pages_of(client, forth[-1][0], "prev")
        assert [page[1] for page in back[::-1]] == [page[1] for page in forth]


def pages_of(client: FlaskClient, path: str, name: str) -> list[tuple[str, list[dict[str, str]]]]:
    """All pages from this one on: the path and the rows of each."""
    found = []
    while path:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        found.append((path, answer.get_json()))
        links = dict(re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers.get("Link", "")))
        path = {there: url for url, there in links.items()}.get(name, "")
    return found


def links(page: str, part: str) -> list[str]:
    """The page's own links that hold this."""
    hrefs = [attributes["href"] or "" for attributes in Outline(page).all("a")]
    return [href for href in hrefs if href.startswith("/history") and part in href]


def test_every_link_of_a_page_with_such_rows_answers(
    client: FlaskClient, settings: Settings, store: Store
) -> None:
    insert(settings, *NO_DATES, *EDGES)
    roll_up(store.database)
    for path in ("/history?limit=2", "/history?limit=2&order=asc", "/history/rejected?limit=2"):
        page = client.get(path).get_data(as_text=True)
        for link in links(page, ""):
            assert client.get(link).status_code == 200, link


def test_hours_before_1970_are_rolled_up_like_others(settings: Settings, store: Store) -> None:
    times = (*NO_DATES, *EDGES, -3_600_000, -3_600_001, -7_200_000)
    insert(settings, *times)
    roll_up(store.database)
    looked = [*compared_rollups.hours(BUILT_IN, store.database)]
    assert sum(one.compared for one in looked) == len({at_ms // 3_600_000 for at_ms in times})
    assert [one.differences for one in looked if one.differences] == []
    with store.database.reader.begin() as connection:
        found = connection.exec_driver_sql(
            "SELECT sum(readings) FROM rollups WHERE measurement = 'pressure'"
        ).scalar_one()
    assert found == len(times)


def test_a_chart_shows_what_has_a_place_on_its_axis(
    client: FlaskClient, settings: Settings, store: Store
) -> None:
    insert(settings, *NO_DATES, 1_755_993_600_250, 1_755_993_660_250)
    roll_up(store.database)
    chart = client.get("/history/series").get_json()
    assert (chart["from_ms"], chart["to_ms"]) == (1_755_993_600_250, 1_755_993_660_250)
    assert chart["readings"] == 2
    insert(settings, -1)
    assert client.get("/history/series").get_json()["readings"] == 3
    assert client.get("/history/series?to=2025-08-25").get_json()["readings"] == 3


@pytest.mark.parametrize("rolled_up", [False, True])
def test_a_chart_of_the_whole_calendar_looks_at_few_of_its_days(
    client: FlaskClient,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    rolled_up: bool,
) -> None:
    insert(store.settings, *EDGES)
    if rolled_up:
        roll_up(store.database)
        insert(store.settings, *EDGES)
    days: list[int] = []

    def counted(second: int, zone: tzinfo | None) -> int:
        days.append(second)
        return times.utc_offset(second, zone)

    monkeypatch.setattr(local_time, "utc_offset", counted)
    chart = client.get("/history/series").get_json()
    on_axis = [ms for ms in EDGES if times.FIRST_DATE_MS <= ms <= times.LAST_DATE_MS]
    assert chart["readings"] == len(on_axis) * (2 if rolled_up else 1)
    number = len(days)
    # The calendar has 3.7 million days.
    assert number < 100_000


# --- The clock -------------------------------------------------------------------------------


@pytest.mark.tools
@pytest.mark.parametrize(
    "zone",
    [
        "Asia/Tokyo",
        pytest.param("America/New_York", marks=pytest.mark.long),
        pytest.param("Etc/GMT+12", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("now_ms", [0, DAY_MS // 2, DAY_MS, 364 * DAY_MS, -DAY_MS])
def test_the_pages_own_links_answer_with_the_clock_near_1970(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, zone: str, now_ms: int
) -> None:
    settings = make_settings(TIMEZONE=zone)
    lay_new_database(database_path(settings))
    insert(settings, 0, DAY_MS // 3)
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms)
    app = create_app(settings)
    client = app.test_client()
    for path in ("/history", "/history?from=-24h", "/history?from=-24h&limit=1&to=now"):
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        for link in links(answer.text, ""):
            assert client.get(link).status_code == 200, link
    close(app)


def close(app: Flask) -> None:
    store: Store = app.extensions["flask10x"]
    store.close()


@pytest.mark.parametrize("now_ms", [LAST_MS, LAST_MS + DAY_MS, 2**62])
def test_a_clock_at_the_end_of_the_calendar_breaks_no_page(
    client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, now_ms: int
) -> None:
    insert(settings, *NO_DATES)
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms)
    for path in (*READING, *REJECTED, "/metrics"):
        for query in ("", "from=-24h", "from=-365d&to=now", "from=2025-01-01"):
            check_answers(client, path, query)


# --- Anything --------------------------------------------------------------------------------

YEARS = st.sampled_from(["0000", "0001", "1969", "1970", "2025", "6020", "9998", "9999", "10000"])
CLOCKS = st.sampled_from(["", "T00:00", "T23:59", "T23:59:59.999", "T12:00:00", "T24:00"])
OFFSETS = st.sampled_from(["", "Z", "+00:00", "-23:59", "+23:59", "+14:00", "-12:00", "+24:00"])
DATES = st.sampled_from(["-01-01", "-12-31", "-02-29", ""])
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([*NO_DATES, *EDGES, 2**63, -(2**63) - 1, 2**31, 10**18, 10**19]),
)
TIMES = st.one_of(
    st.tuples(YEARS, DATES, CLOCKS, OFFSETS).map("".join),
    st.tuples(st.just("-"), st.integers(0, 10**9).map(str), st.sampled_from([*"smhdwy", "mo"])).map(
        "".join
    ),
    NUMBERS.map(str),
    st.just("now"),
)
CURSORS = st.tuples(st.sampled_from(["before", "after"]), NUMBERS, NUMBERS)
PARAMETERS = {
    "from": TIMES,
    "to": TIMES,
    "cursor": CURSORS.map(lambda parts: ":".join(map(str, parts))),
    "since": NUMBERS.map(str),
    "limit": st.one_of(st.sampled_from(["1", "1000"]), NUMBERS.map(str)),
    "buckets": st.one_of(st.sampled_from(["2", "600"]), NUMBERS.map(str)),
    "order": st.sampled_from(["asc", "desc", "latest"]),
    "endpoint": st.sampled_from(["data", "data2"]),
    "measurement": st.sampled_from(["pressure", "co2"]),
    "incomplete": st.just("1"),
    "bom": st.just("1"),
    "pressure__gt": NUMBERS.map(str),
    "pressure__isnull": st.sampled_from(["0", "1"]),
}
QUERIES = st.sets(st.sampled_from([*PARAMETERS]), max_size=4).flatmap(
    lambda names: st.fixed_dictionaries({name: PARAMETERS[name] for name in names})
)


@pytest.fixture(scope="module", params=ZONES)
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A service whose rows lie at all ends, half of them rolled up."""
    folder: Path = tmp_path_factory.mktemp("edge")
    settings = settings_module.load({**environment_of(folder), "FLASK10X_TIMEZONE": request.param})
    lay_new_database(database_path(settings))
    insert(settings, *NO_DATES, *EDGES)
    app = create_app(settings)
    roll_up(app.extensions["flask10x"].database)
    insert(settings, *NO_DATES, *EDGES)
    request.addfinalizer(lambda: close(app))
    return app.test_client()


@hypothesis_settings(max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from([*READING, *REJECTED]), given_query=QUERIES)
def test_no_query_string_makes_a_500(
    edge: FlaskClient, path: str, given_query: dict[str, str]
) -> None:
    check_answers(edge, path, urlencode(given_query))
