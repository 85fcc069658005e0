"""Which requests go without Flask, and that their answers are the same."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.readings.parse import BODY_MAX_BYTES
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.web.app import create_app
from flask10x.web.ingest.fast_path import FastPath, Lanes
from tests.conftest import MakeSettings

GOOD = b'{"pressure": 1013.25, "temperature": "25.1C"}'
# What a browser says of a request that its user typed: allowed, and Flask's way.
FLASKS_WAY = {"Sec-Fetch-Site": "none"}


@pytest.fixture
def asked_flask(app: Flask) -> Iterator[list[str]]:
    """The paths of requests that went Flask's way."""
    paths: list[str] = []

    def note() -> None:
        from flask import request  # noqa: PLC0415

        paths.append(request.path)

    app.before_request_funcs[None].insert(0, note)
    yield paths


def post(client: FlaskClient, body: bytes, **given: Any) -> Any:
    return client.post("/data", data=body, **{"content_type": "application/json"} | given)


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        b"{}",
        b"[1]",
        b'{"pressure": "\xc2\xb0", "temperature": "1 \xef\xbc\xa3"}',
        b'{"pressure": 1e999, "temperature": "\\ud800"}',
        b"{",
        b"\xff\xfe",
        b" " * BODY_MAX_BYTES,
    ],
)
def test_both_ways_give_the_same_answer(
    client: FlaskClient, asked_flask: list[str], body: bytes
) -> None:
    short, usual = post(client, body), post(client, body, headers=FLASKS_WAY)
    # An array may be one of readings, which is Flask's to look at.
    assert asked_flask == ["/data"] * (2 if body == b"[1]" else 1)
    assert (short.status, list(short.headers), short.data) == (
        usual.status,
        list(usual.headers),
        usual.data,
    )


def test_a_full_queue_and_a_bug_have_the_usual_answers(
    client: FlaskClient, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise KeyError("a bug")

    for change in (writer.refuse_new, lambda: monkeypatch.setattr(writer, "submit", full)):
        change()
        short, usual = post(client, GOOD), post(client, GOOD, headers=FLASKS_WAY)
        assert (short.status, list(short.headers)) == (usual.status, list(usual.headers))
        assert short.data == usual.data
        assert short.status_code >= 500


UNUSUAL: list[dict[str, Any]] = [
    {"data": b""},
    {"headers": {"Idempotency-Key": "1"}},
    {"query_string": "dry_run=1"},
    {"data": b"[" + GOOD + b"]"},
    {"headers": {"Origin": "http://evil.example"}},
    {"headers": {"Sec-Fetch-Site": "cross-site"}},
    {"content_type": "application/json; charset=utf-8"},
    {"content_type": "text/plain"},
    {"content_type": None},
    {"data": b" " * (BODY_MAX_BYTES + 1)},
    {"environ_overrides": {"CONTENT_LENGTH": "+5"}},
    {"environ_overrides": {"CONTENT_LENGTH": "\u0665"}},
    {"environ_overrides": {"CONTENT_LENGTH": ""}},
    {"environ_overrides": {"CONTENT_LENGTH": str(len(GOOD) + 1)}},
]


def test_whatever_is_out_of_the_ordinary_goes_flasks_way(
    client: FlaskClient, asked_flask: list[str]
) -> None:
    for given in UNUSUAL:
        body = given.get("data", GOOD)
        post(client, body, **{name: value for name, value in given.items() if name != "data"})
        assert asked_flask == ["/data"], given
        asked_flask.clear()


@pytest.mark.parametrize(("method", "path"), [("GET", "/data"), ("POST", "/data9"), ("GET", "/")])
def test_other_routes_are_flasks(
    client: FlaskClient, asked_flask: list[str], method: str, path: str
) -> None:
    client.open(path, method=method)
    assert asked_flask == [path]


def test_an_added_station_goes_both_ways(make_settings: MakeSettings) -> None:
    balcony = replace(BUILT_IN.all[0], endpoint="balcony", csv_name="balcony.csv")
    settings = replace(make_settings(), stations=Stations((*BUILT_IN.all, balcony)))
    app = create_app(settings)
    try:
        client = app.test_client()
        for headers in ({}, FLASKS_WAY):
            answer = client.post("/balcony", json={"pressure": 1}, headers=headers)
            assert answer.json == {
                "error": "validation failed",
                "details": {"temperature": "required field missing"},
            }
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/balcony"}
        assert Lanes(settings)(environ, b"{}") == "at_once"
    finally:
        app.extensions["flask10x"].close()


def test_a_body_that_breaks_off_is_flasks_to_tell(app: Flask, asked_flask: list[str]) -> None:
    statuses: list[str] = []
    start: Callable[..., Any] = lambda status, *_: statuses.append(status)  # noqa: E731
    environ = app.test_request_context("/data", method="POST", data=GOOD).request.environ
    environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "100"}
    environ["wsgi.input"] = BytesIO(GOOD)
    list(app.wsgi_app(environ, start))
    assert asked_flask == ["/data"]


@pytest.mark.parametrize("closed_by", ["ALLOWED_HOSTS", "WRITE_TOKENS_FILE"])
def test_a_service_that_does_not_let_everybody_in_checks_each_request(
    make_settings: MakeSettings, app: Flask, tmp_path: Any, closed_by: str
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("* write-0123456789abcdef\n")
    tokens.chmod(0o600)
    value = tokens if closed_by == "WRITE_TOKENS_FILE" else "flask10x.example"
    assert isinstance(app.wsgi_app, FastPath)
    checked = create_app(make_settings(**{closed_by: value}))
    store: Store = checked.extensions["flask10x"]
    try:
        assert not isinstance(checked.wsgi_app, FastPath)
        client = checked.test_client()
        assert post(client, GOOD, headers={"Host": "evil.example"}).status_code in (400, 401)
    finally:
        store.close()
