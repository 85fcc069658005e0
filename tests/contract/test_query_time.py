"""A query that looks at too much is broken off, and nothing else suffers from it."""

import logging

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong
from flask10x.history import pages, rollups, search, view
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.writer import Writer
from tests.conftest import MakeSettings
from tests.support.databases import ON_POSTGRES
from tests.support.rows import pico, select
from tests.support.slow_queries import SlowQueries

# A query without end: only a bound ends it.
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
NOTHING = "pressure__gt=5000"
REASON = "took longer than 2 s: narrow it with from, to or endpoint"


# One a millisecond: those of the same millisecond are sorted by their ids, so all are looked at.
ROWS, FIRST_MS = 1600, 1_756_000_000_000


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """With the limit that a home has; other tests have a longer one."""
    return make_settings(QUERY_TIMEOUT_SEC="2")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, writer: Writer) -> SlowQueries:
    """A database in which a scan of them lasts for minutes."""
    for number in range(ROWS):
        writer.submit(pico(number, FIRST_MS + number))
    while writer.step():
        pass
    # What the cards look through is as little beside the table here as it is in a house.
    monkeypatch.setattr(view, "LATE_SPAN_ROWS", 4)
    # All cards are read by the same few statements.
    return SlowQueries(monkeypatch, steps=400)


@pytest.mark.sqlite_only("tests/postgres/test_log.py has the same of a server")
def test_sqlite_stops_by_itself(make_settings: MakeSettings, database: Database) -> None:
    impatient = Database(make_settings(QUERY_TIMEOUT_SEC="0.1"))
    with pytest.raises(QueryTooLong) as caught, impatient.query() as connection:
        connection.exec_driver_sql(ENDLESS).all()
    assert caught.value.details == {"query": REASON.replace("2 s", "0.1 s")}
    # The same connection, without and with a limit.
    with impatient.reader.begin() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    with impatient.query() as connection:
        assert connection.exec_driver_sql("SELECT 2").scalar_one() == 2
    assert impatient.reader.pool.checkedin() == 1  # type: ignore[attr-defined]
    impatient.close()


@pytest.mark.sqlite_only("PostgreSQL's limit ends with the transaction")
def test_a_connection_carries_no_limit_home(database: Database, slow: SlowQueries) -> None:
    with database.query() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    before = slow.clock.seconds
    with database.reader.begin() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM readings, readings").all()
    assert slow.clock.seconds == before


@pytest.mark.usefixtures("slow")
def test_json_says_what_to_do(client: FlaskClient) -> None:
    answer = client.get(f"/history/json?{NOTHING}")
    assert (answer.status_code, answer.get_json()) == (
        400,
        {"error": "invalid query", "details": {"query": REASON}},
    )


@pytest.mark.usefixtures("slow")
def test_the_page_shows_the_form_again(client: FlaskClient) -> None:
    answer = client.get(f"/history?{NOTHING}")
    assert (answer.status_code, answer.mimetype) == (400, "text/html")
    assert REASON in answer.text
    assert 'value="5000"' in answer.text


def test_a_download_gets_longer_but_not_for_ever(
    client: FlaskClient, slow: SlowQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = slow.clock.seconds
    answer = client.get(f"/history.csv?{NOTHING}")
    assert answer.status_code == 400
    assert answer.get_json()["details"] == {"query": REASON.replace("2 s", "20 s")}
    assert ON_POSTGRES or slow.clock.seconds - before > 20
    monkeypatch.setattr(pages, "DOWNLOAD_TIMES", 10_000)
    assert client.get(f"/history.csv?{NOTHING}").text.count("\r\n") == 1


@pytest.mark.usefixtures("slow")
def test_a_download_broken_off_in_the_middle_is_logged(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chunks = pages.rows_in_pages
    monkeypatch.setattr(
        pages,
        "rows_in_pages",
        lambda database, query, **given: chunks(database, query, 10, **given),
    )
    monkeypatch.setattr(pages, "DOWNLOAD_TIMES", 10_000)
    answer = client.get("/history.csv", buffered=False)
    parts = iter(answer.response)
    next(parts)
    monkeypatch.setattr(pages, "DOWNLOAD_TIMES", 0)
    with pytest.raises(QueryTooLong):
        list(parts)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [
        f"Download broken off: query: {REASON.replace('2 s', '0 s')}"
    ]


@pytest.mark.usefixtures("slow")
def test_readings_are_stored_as_before(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    assert client.get(f"/history/json?{NOTHING}").status_code == 400
    assert client.post("/data", json={"pressure": 1, "temperature": 2}).status_code == 200
    assert writer.step() == 1
    assert select(database.path, "SELECT count(*) FROM readings") == [(ROWS + 1,)]


def test_an_ordinary_page_is_none_of_this(client: FlaskClient, slow: SlowQueries) -> None:
    slow.end()
    assert len(client.get("/history/json?limit=300").get_json()) == 300


# --- Charts while the roll-ups are behind ------------------------------------------------------

LONG = "from=2025-07-01&to=2025-08-30"


def test_a_chart_that_waits_for_the_rollups_blames_no_query(
    client: FlaskClient, database: Database, slow: SlowQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As after a large import.
    monkeypatch.setattr("flask10x.history.view.MOST_ROWS_BEHIND", 100)
    monkeypatch.setattr(rollups, "PIECE_ROWS", ROWS // 4)
    for done in (0, ROWS // 4, ROWS // 2):
        answer = client.get(f"/history/series?{LONG}")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert answer.get_json() == {
            "error": "the charts are being prepared",
            "rollups_behind": {"done": done, "of": ROWS},
        }
        found = client.get("/metrics/details").get_json()
        assert found["rollups"] == {"done": done, "of": ROWS}
        rollups.follow(BUILT_IN, database)
    assert list(rollups.catch_up(BUILT_IN, database)) == [0]
    slow.end()
    answer = client.get(f"/history/series?{LONG}")
    assert (answer.status_code, answer.get_json()["source"]) == (200, "rollups")


@pytest.mark.parametrize(
    "query", [f"{LONG}&pressure__gt=1", f"{LONG}&incomplete=1", "from=2025-08-24"]
)
def test_a_chart_that_roll_ups_would_not_help_is_a_400(
    client: FlaskClient, slow: SlowQueries, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr("flask10x.history.view.MOST_ROWS_BEHIND", 100)
    answer = client.get(f"/history/series?{query}")
    assert (answer.status_code, answer.get_json()) == (
        400,
        {"error": "invalid query", "details": {"query": REASON}},
    )


# --- A search that ends early ----------------------------------------------------------------

# 2025-08-24 09:00:00 in Tokyo, a whole hour of UTC.
NINE, HOUR = 1_755_993_600_000, 3_600_000
BOTH = "pressure__lt=950&temperature__gt=25"


@pytest.fixture
def long_search(monkeypatch: pytest.MonkeyPatch, writer: Writer, database: Database) -> None:
    """Four hours in which both conditions hold, but at once only in the first; a piece each."""
    writer.submit(Reading("data", NINE, (940, 30.0)))
    for hour in range(4):
        writer.submit(Reading("data", NINE + hour * HOUR, (900, 10.0)))
        writer.submit(Reading("data", NINE + hour * HOUR, (1000, 30.0)))
    writer.step()
    rollups.follow(BUILT_IN, database)
    monkeypatch.setattr(search, "PIECE_HOURS", 1)
    monkeypatch.setattr(pages, "SEARCH_SEC", 0)


@pytest.mark.usefixtures("long_search")
def test_json_says_how_far_it_got_and_links_on(client: FlaskClient) -> None:
    answer, told = client.get(f"/history/json?{BOTH}"), []
    while answer.get_json() == []:
        told.append(answer.headers["X-Searched-To"])
        answer = client.get(answer.headers["Link"].split(">")[0][1:])
    assert told == [f"2025-08-24T{hour}:59:59.999+09:00" for hour in (11, 10, "09")]
    assert [row["data"]["pressure"] for row in answer.get_json()] == [940]
    assert "X-Searched-To" not in answer.headers
    assert 'rel="next"' not in answer.headers["Link"]


@pytest.mark.usefixtures("long_search")
def test_the_page_says_how_far_it_got_and_links_on(client: FlaskClient) -> None:
    text = client.get(f"/history?from=all&{BOTH}").text
    assert "Searched as far as Sun 24 Aug 2025, 11:59:59: all stations" in text
    assert "No reading" not in text
    assert 'rel="next"' in text
    japanese = client.get(f"/history?from=all&{BOTH}", headers={"Accept-Language": "ja"}).text
    assert "2025年8月24日（日）11:59:59まで検索しました" in japanese


@pytest.mark.usefixtures("long_search")
def test_a_download_goes_on_to_the_end(client: FlaskClient) -> None:
    assert client.get(f"/history.csv?{BOTH}").text.count("\r\n") == 2
    assert [row["data"]["pressure"] for row in client.get(f"/history.json?{BOTH}").get_json()] == [
        940
    ]


def test_the_search_ends_before_the_query_is_broken_off(make_settings: MakeSettings) -> None:
    assert pages.patience_sec(make_settings()) == pages.SEARCH_SEC
    assert pages.patience_sec(make_settings(QUERY_TIMEOUT_SEC="0.1")) == 0.05
