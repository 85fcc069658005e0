"""Line protocol over HTTP: statuses and bodies as writers to InfluxDB expect them."""

import gzip
import logging
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.recording.writer import Writer
from flask10x.system import clock
from flask10x.web.app import create_app
from flask10x.web.ingest.batch import ITEMS_MAX
from flask10x.web.ingest.influx_routes import LINES_MAX
from flask10x.web.limits import BATCH_MAX_BYTES
from tests.conftest import MakeSettings
from tests.support import foreign_requests as sent
from tests.support.balcony import BALCONY_TOML, stored
from tests.support.rows import select

V1, V2 = "/write?db=home", "/api/v2/write?org=house&bucket=home"
# A second after the last line of Telegraf's.
NOW_MS = 1_795_665_611_000
GOOD, BAD = "balcony,node=esp8266-123 temperature=25.1,humidity=52", "cpu,host=pi usage=1"
NO_STATION = "no station of stations.toml has the measurement and tags 'cpu,host=pi'"


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: NOW_MS)


@pytest.fixture
def settings(tmp_path: Path, make_settings: MakeSettings) -> Settings:
    (tmp_path / "stations.toml").write_text(BALCONY_TOML, encoding="utf-8")
    return make_settings()


def body_of(answer: TestResponse) -> Any:
    return answer.json


def test_clients_find_a_server(client: FlaskClient) -> None:
    for ask in (client.get, client.head):
        answer = ask("/ping")
        assert (answer.status_code, answer.data) == (204, b"")
        assert answer.headers["X-Influxdb-Version"] == "1.8.10"
    answer = client.get("/health")
    assert (answer.status_code, answer.headers["X-Influxdb-Version"]) == (200, "1.8.10")
    assert answer.json == {
        "name": "influxdb",
        "message": "ready for queries and writes",
        "status": "pass",
        "checks": [],
        "version": "1.8.10",
    }


def test_a_damaged_database_is_no_health(client: FlaskClient) -> None:
    client.application.extensions["flask10x"].database.damage.report("a page is broken")
    answer = client.get("/health")
    assert (answer.status_code, answer.json["status"]) == (503, "fail")  # type: ignore[index]
    assert "a page is broken" in answer.json["message"]  # type: ignore[index]
    assert client.get("/ping").status_code == 204


@pytest.mark.parametrize("address", [V1, V2])
def test_good_lines_are_a_204_without_a_body(
    client: FlaskClient, writer: Writer, database: Database, address: str
) -> None:
    packed = gzip.compress(sent.TELEGRAF_LINES)
    headers = {"Content-Encoding": "gzip"}
    for _ in range(2):
        answer = client.post(address, data=packed, headers=headers)
        assert (answer.status_code, answer.data) == (204, b"")
    # The second time it was a repeat.
    assert stored(writer, database) == [
        ("balcony", NOW_MS - 11_000, NOW_MS, 25.1, 52.5),
        ("balcony", NOW_MS - 1_000, NOW_MS, 25.2, 53.0),
    ]
    for nothing in (b"# nothing\n", b""):
        assert client.post(address, data=nothing).status_code == 204
        tried = client.post(f"{address}&dry_run=1", data=nothing)
        body = body_of(tried)
        assert (tried.status_code, body["results"], body["lines"]) == (200, [], [])


@pytest.mark.parametrize("address", [V1, V2])
def test_the_good_lines_are_stored_whatever_the_others_are(
    client: FlaskClient, writer: Writer, database: Database, address: str
) -> None:
    body = f"{BAD}\n{GOOD}\nbalcony,node=esp8266-123 temperature=nan,humidity=1\nm f=\n"
    answer = client.post(address, data=body)
    text = (
        f"partial write: line 1: {NO_STATION};"
        " line 3: temperature: invalid numeric string: 'nan';"
        " line 4: unable to parse 'm f=': missing fields dropped=3"
    )
    expected = {"error": text}
    if address == V2:
        expected = {"code": "invalid", "message": text, "line": 1}  # type: ignore[dict-item]
    assert (answer.status_code, answer.json) == (400, expected)
    assert stored(writer, database) == [("balcony", NOW_MS, None, 25.1, 52.0)]
    writer.rejected_queue.finish()
    assert select(database.path, "SELECT endpoint, body FROM rejected") == [
        ("balcony", b'{"temperature": "nan", "air": {"humidity": 1.0}}')
    ]


def test_nothing_good(client: FlaskClient) -> None:
    answer = client.post(V1, data=BAD)
    assert (answer.status_code, answer.json) == (400, {"error": f"line 1: {NO_STATION}"})


@pytest.mark.parametrize(
    ("data", "encoding", "status", "message"),
    [
        (b"x", "gzip", 400, "gzip: "),
        (gzip.compress(GOOD.encode(), mtime=0)[:-9], "gzip", 400, "gzip: the body ends early"),
        (
            gzip.compress(GOOD.encode(), mtime=0) * 2,
            "gzip",
            400,
            "gzip: the body goes on behind its end",
        ),
        (b"x", "br", 400, "unknown Content-Encoding (known: gzip, identity)"),
        (b"#" * (BATCH_MAX_BYTES + 1), "identity", 413, "more than 1048576 bytes"),
        (
            gzip.compress(b"#" * (BATCH_MAX_BYTES + 1), mtime=0),
            "gzip",
            413,
            "more than 1048576 bytes unp",
        ),
        (b"m\n" * (LINES_MAX + 1), "", 413, "more than 5000 lines"),
        (f"{GOOD}\n".encode() * (ITEMS_MAX + 1), "", 413, "more than 1000 readings"),
    ],
)
def test_a_body_that_is_not_taken(
    client: FlaskClient, data: bytes, encoding: str, status: int, message: str
) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    one, two = (client.post(address, data=data, headers=headers) for address in (V1, V2))
    assert (one.status_code, two.status_code) == (status, status)
    assert body_of(one)["error"].startswith(message)
    assert body_of(two)["message"].startswith(message)
    # Telegraf halves its batch then.
    assert body_of(two).get("maxLength") == (BATCH_MAX_BYTES if status == 413 else None)


def test_a_precision(client: FlaskClient, writer: Writer, database: Database) -> None:
    body = f"{GOOD} {NOW_MS // 1000 - 60}"
    assert client.post(f"{V2}&precision=s", data=body).status_code == 204
    assert stored(writer, database) == [("balcony", NOW_MS - 60_000, NOW_MS, 25.1, 52.0)]
    # Without it they are nanoseconds, and the year is 1970.
    early = client.post(V2, data=body)
    assert (early.status_code, body_of(early)["code"]) == (400, "invalid")
    assert "before 2020" in body_of(early)["message"]
    wrong = client.post(f"{V1}&precision=day", data=body)
    assert (wrong.status_code, wrong.json) == (
        400,
        {"error": "invalid precision (known: n, ns, u, us, ms, s, m, h)"},
    )


def test_a_full_queue_asks_again(client: FlaskClient, writer: Writer) -> None:
    writer.close(timeout_sec=1)
    answer = client.post(V2, data=GOOD)
    assert (answer.status_code, body_of(answer)["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "5"


def test_lines_that_are_refused_again_and_again_are_said_once_a_minute(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for second in range(3):
        assert client.post(f"{V1}&dry_run=0", data=f"cpu usage={second}x 5{second}x").json
    assert len(caplog.messages) == 1
    # What is asked in earnest is said, also with a dry_run=0.
    client.post(f"{V1}&dry_run=0&precision=day", data=GOOD)
    assert caplog.messages[1].startswith("/write refused: invalid precision")


def test_a_trial_leaves_no_trace(
    client: FlaskClient, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = client.post(f"{V1}&dry_run=1", data=f"{BAD}\n{GOOD}")
    assert answer.status_code == 200
    assert body_of(answer)["lines"] == [{"line": 1, "error": NO_STATION}]
    (result,) = body_of(answer)["results"]
    assert result["reading"] == {"temperature": 25.1, "air": {"humidity": 52.0}}
    client.post(f"{V1}&dry_run=1&precision=day", data=GOOD)
    assert (writer.depth, writer.rejected_queue.depth, caplog.messages) == (0, 0, [])


def test_a_station_may_be_called_health(
    database: Database, make_settings: MakeSettings, tmp_path: Path
) -> None:
    named = BALCONY_TOML.replace("[stations.balcony", "[stations.health")
    (tmp_path / "stations.toml").write_text(named, encoding="utf-8")
    app = create_app(make_settings())
    client = app.test_client()
    reading = {"temperature": 21, "air": {"humidity": 50}}
    assert client.post("/health", json=reading).json == {"status": "enqueued"}
    assert client.get("/health").json["status"] == "pass"  # type: ignore[index]
    app.extensions["flask10x"].close()
