"""A query that looks at too much is broken off, and nothing else suffers from it."""

import logging
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from flask10x import queries, sqlite
from flask10x.errors import QueryTooLong
from flask10x.sqlite import Database
from flask10x.writer import Writer
from tests.conftest import MakeSettings
from tests.rows import pico, select

# A query without end: only a bound ends it.
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
NOTHING = "pressure__gt=5000"
REASON = "took longer than 2 s: narrow it with from, to or endpoint"


class Clock:
    """Stands in for the `time` of `sqlite`: each look at it finds a second more."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, writer: Writer) -> Iterator[Clock]:
    """A database in which a scan of 400 rows lasts for minutes."""
    for number in range(400):
        writer.submit(pico(number))
    writer.step()
    clock = Clock()
    monkeypatch.setattr(sqlite, "time", clock)
    monkeypatch.setattr(sqlite, "STEPS_BETWEEN_LOOKS", 100)
    yield clock


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


def test_a_connection_carries_no_limit_home(database: Database, slow: Clock) -> None:
    with database.query() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    before = slow.seconds
    with database.reader.begin() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM readings, readings").all()
    assert slow.seconds == before


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
    client: FlaskClient, slow: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = slow.seconds
    answer = client.get(f"/history.csv?{NOTHING}")
    assert answer.status_code == 400
    assert answer.get_json()["details"] == {"query": REASON.replace("2 s", "20 s")}
    assert slow.seconds - before > 20
    monkeypatch.setattr(queries, "DOWNLOAD_TIMES", 10_000)
    assert client.get(f"/history.csv?{NOTHING}").text.count("\r\n") == 1


@pytest.mark.usefixtures("slow")
def test_a_download_broken_off_in_the_middle_is_logged(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chunks = queries.rows_in_pages
    monkeypatch.setattr(
        queries, "rows_in_pages", lambda database, query: chunks(database, query, 10)
    )
    monkeypatch.setattr(queries, "DOWNLOAD_TIMES", 10_000)
    answer = client.get("/history.csv", buffered=False)
    parts = iter(answer.response)
    next(parts)
    monkeypatch.setattr(queries, "DOWNLOAD_TIMES", 0)
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
    assert select(database.path, "SELECT count(*) FROM readings") == [(401,)]


@pytest.mark.usefixtures("slow")
def test_an_ordinary_page_is_none_of_this(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "STEPS_BETWEEN_LOOKS", 100_000)
    assert len(client.get("/history/json?limit=300").get_json()) == 300
