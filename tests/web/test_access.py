"""Who is answered, seen through the test client; what only a real server shows is in e2e."""

import base64
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask10x.database.database import Database
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.store import Store
from flask10x.system import pace
from flask10x.web.app import create_app
from flask10x.web.limits import CONFLICTS
from tests.conftest import MakeSettings
from tests.support.pages import ADDRESSES
from tests.support.rows import select

WRITE = "write-0123456789abcdef"
WRITE_2 = "write-2-0123456789abcdef"
READ = "read-0123456789abcdef=="
BODIES: dict[str, dict[str, object]] = {
    "data": {"pressure": 1, "temperature": 2},
    "data2": {"co2": 1, "temperature": 2, "humidity": 3, "pressure": 4, "gas_res": 5},
    "data3": {"temperature": 2, "humidity": 3, "pressure": 4, "gas_res": 5},
    "data4": {
        "mh_z19": {"co2": 1},
        "mq_2": {"analog_value": 1, "voltage": 1},
        "ds18b20": {"temperature": 1},
        "dht11": {"temperature": 1, "humidity": 1},
    },
}
OPEN = ["/", "/healthz", "/readyz", "/static/flask10x.css"]
READING = [path for path in ADDRESSES if path not in OPEN]
READING += ["/history/json", "/history.csv", "/history/rejected/json"]
READING += ["/metrics", "/metrics/details", "/metrics/prometheus"]

MakeClient = Callable[..., FlaskClient]


@pytest.fixture
def make_client(make_settings: MakeSettings, database: Database) -> Iterator[MakeClient]:
    """A client of an application with these settings."""
    stores: list[Store] = []

    def make(**given: object) -> FlaskClient:
        app = create_app(make_settings(**given))
        stores.append(app.extensions["flask10x"])
        return app.test_client()

    yield make
    for store in stores:
        store.close()


def secret(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def locked(make_client: MakeClient, tmp_path: Path) -> FlaskClient:
    """A client of an application that wants a token for writing and for reading."""
    return make_client(
        WRITE_TOKENS_FILE=secret(tmp_path / "write", f"* {WRITE}\ndata2 {WRITE_2}\n"),
        READ_TOKENS_FILE=secret(tmp_path / "read", f"* {READ}\n"),
    )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(password: str, user: str = "") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def refused(answer: TestResponse, *challenges: str) -> bool:
    """Whether this is the whole 401, as a board and as a browser need it.

    The header `Connection` is the server's (PEP 3333): tests/e2e/test_closing.py.
    """
    return (
        answer.status_code == 401
        and answer.json
        == {"error": "unauthorized", "hint": "send the header Authorization: Bearer <token>"}
        and answer.headers["Content-Length"] == str(len(answer.data))
        and "Connection" not in answer.headers
        and answer.headers.getlist("WWW-Authenticate")
        == [f'{challenge} realm="flask10x"' for challenge in challenges]
    )


# Tokens


def test_everything_is_open_by_default(client: FlaskClient) -> None:
    for path in (*READING, *OPEN):
        answer = client.get(path)
        assert answer.status_code == 200
        answer.close()
    for endpoint, body in BODIES.items():
        assert client.post(f"/{endpoint}", json=body).status_code == 200


@pytest.mark.parametrize("path", OPEN)
def test_what_shows_no_reading_stays_open(locked: FlaskClient, path: str) -> None:
    answer = locked.get(path)
    assert answer.status_code == 200
    answer.close()


@pytest.mark.parametrize("path", READING)
def test_reading_needs_a_token(locked: FlaskClient, path: str) -> None:
    for headers in ({}, bearer(WRITE), bearer(READ[:-1]), bearer(f"{READ}0"), basic(WRITE)):
        assert refused(locked.get(path, headers=headers), "Basic", "Bearer")
    for headers in (bearer(READ), basic(READ), basic(READ, user="家族")):
        assert locked.get(path, headers=headers).status_code == 200
        assert locked.head(path, headers=headers).status_code == 200


@pytest.mark.parametrize("endpoint", BODIES)
def test_writing_needs_a_token(locked: FlaskClient, database: Database, endpoint: str) -> None:
    store: Store = locked.application.extensions["flask10x"]
    body = BODIES[endpoint]
    for headers in ({}, bearer(READ), bearer(WRITE[:-1]), bearer("*"), basic(READ)):
        assert refused(locked.post(f"/{endpoint}", json=body, headers=headers), "Bearer")
    assert store.writer.depth == 0
    for headers in (bearer(WRITE), basic(WRITE)):
        answer = locked.post(f"/{endpoint}", json=body, headers=headers)
        assert (answer.status_code, answer.json) == (200, {"status": "enqueued"})
    store.writer.step()
    assert select(database.path, "SELECT endpoint FROM readings") == [(endpoint,)] * 2


def test_the_token_of_one_station(locked: FlaskClient) -> None:
    given = bearer(WRITE_2)
    answers = {e: locked.post(f"/{e}", json=b, headers=given) for e, b in BODIES.items()}
    assert {e for e, answer in answers.items() if answer.status_code == 200} == {"data2"}
    assert all(refused(answer, "Bearer") for e, answer in answers.items() if e != "data2")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {WRITE},{WRITE}",
        f"Bearer {WRITE}, Bearer {WRITE}",
        f"Bearer token={WRITE}",
        f"Token {READ}x",
        "Bearer \xe9\xff\x80",
        "Bearer <script>alert(1)</script>",
        "Basic",
        "Basic !!!",
        "Basic ÿ",
        f"Basic {READ}",
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Basic " + base64.b64encode(READ.encode()).decode(),
        "Digest username=x",
        "Bearer " + "x" * 10_000,
    ],
)
def test_any_text_in_the_header(locked: FlaskClient, header: str) -> None:
    asked = {"Authorization": header}
    assert refused(locked.get("/history/json", headers=asked), "Basic", "Bearer")
    assert refused(locked.post("/data", json=BODIES["data"], headers=asked), "Bearer")


def test_access_is_decided_before_the_body_is_read(locked: FlaskClient) -> None:
    class Untouchable:
        def read(self, *_: object) -> bytes:
            raise AssertionError("the body was read")

        readline = __iter__ = read

    asked = {"wsgi.input": Untouchable(), "CONTENT_LENGTH": "10", "CONTENT_TYPE": "text/plain"}
    assert refused(locked.post("/data", environ_overrides=asked), "Bearer")


def test_a_stranger_fills_no_table(locked: FlaskClient, database: Database) -> None:
    store: Store = locked.application.extensions["flask10x"]
    for _ in range(20):
        locked.post("/data", data=b"garbage")
    store.writer.rejected_queue.step()
    store.writer.step()
    assert select(database.path, "SELECT count(*) FROM rejected") == [(0,)]
    locked.post("/data", data=b"garbage", headers=bearer(WRITE))
    store.writer.rejected_queue.step()
    assert select(database.path, "SELECT count(*) FROM rejected") == [(1,)]


def test_writing_and_reading_each_by_itself(make_client: MakeClient, tmp_path: Path) -> None:
    writing = make_client(WRITE_TOKENS_FILE=secret(tmp_path / "write", f"* {WRITE}\n"))
    assert writing.get("/history/json").status_code == 200
    assert writing.post("/data", json=BODIES["data"]).status_code == 401
    reading = make_client(READ_TOKENS_FILE=secret(tmp_path / "read", f"* {READ}\n"))
    assert reading.get("/history/json").status_code == 401
    assert reading.post("/data", json=BODIES["data"]).status_code == 200


def test_every_view_of_tomorrow_needs_a_token(locked: FlaskClient) -> None:
    open_rules = {*OPEN, "/static/<path:filename>", "/favicon.ico"}
    open_rules |= {"/api/v1/time", "/ping", "/health"}
    rules = [r for r in locked.application.url_map.iter_rules() if r.rule not in open_rules]
    assert {r.rule for r in rules} >= {*READING, *(f"/{s.endpoint}" for s in BUILT_IN.all)}
    for rule in rules:
        for method in (rule.methods or set()) - {"HEAD"}:
            assert locked.open(rule.rule, method=method).status_code == 401, (method, rule)


# The log


def test_the_log_names_station_and_peer_but_no_token(
    locked: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    locked.post("/data2", json={}, headers=bearer("guessed-token-guessed"))
    locked.get("/metrics")
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (logging.WARNING, "/data2 refused: wrong token, from 127.0.0.1"),
        (logging.WARNING, "/metrics refused: no token, from 127.0.0.1"),
    ]


def test_a_peer_at_a_socket_file_has_no_address(
    locked: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    locked.get("/metrics", environ_overrides={"REMOTE_ADDR": ""})
    assert caplog.messages == ["/metrics refused: no token, from a local client"]


@pytest.mark.parametrize(
    ("peer", "said", "shown"),
    [
        ("127.0.0.1", "192.168.1.7", "192.168.1.7 through 127.0.0.1"),
        ("::1", "2001:DB8::7", "2001:db8::7 through ::1"),
        ("", "192.168.1.7", "192.168.1.7 through a socket file"),
        ("127.0.0.1", "fe80::7%a b", "fe80::7 through 127.0.0.1"),
        # Anybody else could say what they like.
        ("192.168.1.9", "192.168.1.7", "192.168.1.9"),
        ("127.0.0.1", "192.168.1.7, 10.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "<b>", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("", "nobody", "a local client"),
        ("odd", "192.168.1.7", "odd"),
    ],
)
def test_a_proxy_on_this_machine_says_for_whom_it_asks(
    locked: FlaskClient, caplog: pytest.LogCaptureFixture, peer: str, said: str, shown: str
) -> None:
    locked.get("/metrics", environ_overrides={"REMOTE_ADDR": peer, "HTTP_X_REAL_IP": said})
    assert caplog.messages == [f"/metrics refused: no token, from {shown}"]


def test_a_flood_is_a_line_a_minute(
    locked: FlaskClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: now[0]))
    for _ in range(50):
        locked.post("/data", json={})
    locked.post("/data2", json={})
    now[0] += 60
    locked.post("/data", json={})
    now[0] += 60
    locked.post("/data", json={})
    assert caplog.messages == [
        "/data refused: no token, from 127.0.0.1",
        "/data2 refused: no token, from 127.0.0.1",
        "/data refused: no token, from 127.0.0.1 (49 more since the last such line)",
        "/data refused: no token, from 127.0.0.1",
    ]


# Host names

# An empty label, and one that is too long.
NO_NAMES = ("..", ".", "raspberrypi.local..", "a" * 5000)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("raspberrypi.local", 200),
        ("RaspberryPi.local:8888", 200),
        ("pi.home.arpa:8888", 200),
        ("home.arpa", 200),
        ("raspberrypi.local.", 200),
        ("raspberrypi.local.:8888", 200),
        ("pi.home.arpa.", 200),
        ("localhost.:8888", 200),
        ("raspberrypi.local..", 400),
        ("evil.example.", 400),
        (".", 400),
        ("localhost", 200),
        ("localhost:8888", 200),
        ("127.0.0.1:8888", 200),
        ("192.168.1.20", 200),
        ("[::1]:8888", 200),
        ("[fe80::1]", 200),
        ("evil.example", 400),
        ("evil.example:8888", 400),
        ("raspberrypi.local.evil.example", 400),
        ("evilhome.arpa", 400),
        ("192.168.1.20.evil.example", 400),
        ("localhost.evil.example", 400),
        ("raspberrypi.local@evil.example", 400),
        ("evil.example#raspberrypi.local", 400),
        ("raspberrypi.local,evil.example", 400),
        ("999.1.1.1", 400),
        ("2130706433", 400),
        ("[::1", 400),
        ("..", 400),
        ("<script>alert(1)</script>", 400),
        ("\xe9vil", 400),
        ("a" * 5000, 400),
    ],
)
def test_host_names(make_client: MakeClient, host: str, status: int) -> None:
    client = make_client(ALLOWED_HOSTS="raspberrypi.local,.home.arpa")
    asked = {"HTTP_HOST": host}
    answer = client.get("/history/json", environ_overrides=asked)
    assert answer.status_code == status
    if status == 400:
        hint = "the name in the address is not in ALLOWED_HOSTS"
        assert answer.json == {"error": "unknown host", "hint": hint}
        assert "Connection" not in answer.headers
    # Always (contract, section 2), under any name; what can be none is no request (RFC 9110, 7.2).
    health = client.get("/healthz", environ_overrides=asked)
    assert health.status_code == (400 if host in NO_NAMES else 200)
    posted = client.post("/data", json=BODIES["data"], environ_overrides=asked)
    assert posted.status_code == status


def test_a_dot_at_the_end_of_an_allowed_name_is_none_of_it(make_client: MakeClient) -> None:
    client = make_client(ALLOWED_HOSTS="raspberrypi.local.,.home.arpa.")
    for host in ("raspberrypi.local", "raspberrypi.local.", "pi.home.arpa"):
        assert client.get("/metrics", environ_overrides={"HTTP_HOST": host}).status_code == 200


def test_any_host_name_by_default(client: FlaskClient) -> None:
    for host in ("evil.example", "<script>", "", "a,b", "\xe9"):
        posted = client.post("/data", json=BODIES["data"], environ_overrides={"HTTP_HOST": host})
        assert posted.status_code == 200


# Pages of other origins


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://evil.example:8888"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "localhost"},
        {"Origin": "https://[::"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ],
)
@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_a_page_of_another_origin_posts_nothing(
    client: FlaskClient,
    database: Database,
    store: Store,
    headers: dict[str, str],
    content_type: str | None,
) -> None:
    body = b'{"pressure": 1, "temperature": 2}'
    answer = client.post("/data", data=body, content_type=content_type, headers=headers)
    assert (answer.status_code, answer.json) == (
        403,
        {"error": "forbidden", "hint": "a page of another origin may not post"},
    )
    assert "Connection" not in answer.headers
    assert store.writer.depth == 0
    store.writer.rejected_queue.step()
    assert select(database.path, "SELECT count(*) FROM rejected") == [(0,)]


@pytest.mark.parametrize("form", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_posts_nothing_even_where_no_origin_is_sent(client: FlaskClient, form: str) -> None:
    body = b'{"pressure": 1, "temperature": 2}'
    assert client.post("/data", data=body, content_type=form).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "https://LOCALHOST", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_sensors_and_our_own_pages_post(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/data", json=BODIES["data"], headers=headers).status_code == 200


def test_null_is_another_origin_also_without_a_host(client: FlaskClient) -> None:
    asked = {"HTTP_HOST": ""}
    headers = {"Origin": "null"}
    answer = client.post("/data", json={}, headers=headers, environ_overrides=asked)
    assert answer.status_code == 403


def test_reading_is_no_ones_business_but_the_browsers(client: FlaskClient) -> None:
    headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.get("/history/json", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/readings", "/healthz", "/", "/nothing"])
def test_lines_of_a_header_that_differ_are_refused_everywhere(
    client: FlaskClient, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {CONFLICTS: {"Host": "pi, other", "Content-Type": "a, b"}}
    method = "POST" if path.startswith("/api") else "GET"
    answer = client.open(path, method=method, json=[], environ_overrides=environ)
    assert (answer.status_code, answer.json) == (
        400,
        {"error": "repeated header", "hint": "Host, Content-Type: send one line, or equal ones"},
    )
    assert "refused: lines of Host, Content-Type that differ, from 127.0.0.1" in caplog.text


def test_a_token_is_asked_for_before_such_a_body_is_kept(
    locked: FlaskClient, database: Database
) -> None:
    environ = {CONFLICTS: {"Host": "pi, other"}}
    assert locked.post("/data", data=b"{}", environ_overrides=environ).status_code == 401
    assert select(database.path, "SELECT count(*) FROM rejected") == [(0,)]
