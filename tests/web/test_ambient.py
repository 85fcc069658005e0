"""Ambient's addresses: which readings are taken, for which channel, and what is answered."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.readings import protocols
from flask10x.recording.writer import Writer
from flask10x.system import clock
from flask10x.web.app import create_app
from flask10x.web.ingest.ambient_routes import FORM_FIELDS_MAX
from flask10x.web.ingest.batch import ITEMS_MAX
from flask10x.web.limits import BATCH_MAX_BYTES
from tests.conftest import MakeSettings
from tests.support.balcony import BALCONY_TOML, stored
from tests.support.rows import select

CHANNEL = "/api/v2/channels/12345"
# 2026-11-26 12:02:00 in Tokyo.
NOW_MS = 1_795_662_120_000


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: NOW_MS)


@pytest.fixture
def settings(tmp_path: Path, make_settings: MakeSettings) -> Settings:
    (tmp_path / "stations.toml").write_text(BALCONY_TOML, encoding="utf-8")
    return make_settings()


def body_of(answer: TestResponse) -> Any:
    return answer.json


def test_readings_with_times_are_stored_once(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    body = {
        "writeKey": "any",
        "data": [
            {"created": "2026-11-26 12:00:00", "d1": 25.1, "d2": 52},
            {"created": NOW_MS - 60_000, "d1": "25.2", "d2": "53%"},
        ],
    }
    answer = client.post(f"{CHANNEL}/dataarray", json=body)
    assert (answer.status_code, answer.json) == (
        200,
        {"accepted": 2, "duplicate": 0, "refused": 0},
    )
    assert stored(writer, database) == [
        ("balcony", NOW_MS - 120_000, NOW_MS, 25.1, 52.0),
        ("balcony", NOW_MS - 60_000, NOW_MS, 25.2, 53.0),
    ]
    again = client.post(f"{CHANNEL}/dataarray", json=body)
    assert (again.status_code, again.json) == (200, {"accepted": 0, "duplicate": 2, "refused": 0})
    assert len(stored(writer, database)) == 2


def test_equal_readings_without_times_are_several(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    body = {"writeKey": "any", "d1": 25.1, "d2": 52}
    for _ in range(2):
        assert client.post(f"{CHANNEL}/data", json=body).status_code == 200
    assert stored(writer, database) == [("balcony", NOW_MS, None, 25.1, 52.0)] * 2


def test_what_is_wrong_is_said_and_kept(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    bad = {"d1": 151, "created": "2019-12-31 12:00:00"}
    some = client.post(f"{CHANNEL}/dataarray", json={"data": [{"d1": 1, "d2": 2}, {"d1": 151}]})
    assert some.status_code == 200
    assert body_of(some)["results"] == [
        {"status": "enqueued"},
        {
            "error": "validation failed",
            "details": {
                "temperature": "above maximum 150",
                "air": "required field missing",
            },
        },
    ]
    for path, body in (
        ("data", json.dumps(bad)),
        ("data", "{"),
        ("dataarray", '{"d1": 1}'),
        ("urldataarray", "data[0][d1]=warm"),
    ):
        answer = client.post(f"{CHANNEL}/{path}", data=body)
        assert (answer.status_code, body_of(answer)["refused"]) == (400, 1), path
    assert len(stored(writer, database)) == 1
    writer.rejected_queue.finish()
    kept = select(database.path, "SELECT endpoint, body FROM rejected")
    assert [endpoint for endpoint, _ in kept] == ["balcony"] * 5
    # A body that can't be read is kept as it came.
    assert kept[2] == ("balcony", b"{")


@pytest.mark.parametrize("created", [True, [NOW_MS], {"ms": NOW_MS}, "soon", float("nan"), 10**30])
def test_no_time_is_taken_for_now(
    client: FlaskClient, writer: Writer, database: Database, created: object
) -> None:
    body = {"data": [{"d1": 25.1, "d2": 52}, {"d1": 25.2, "d2": 53, "created": created}]}
    answer = client.post(f"{CHANNEL}/dataarray", json=body)
    good, bad = body_of(answer)["results"]
    assert (good, bad["error"], [*bad["details"]]) == (
        {"status": "enqueued"},
        "validation failed",
        ["measured_at"],
    )
    assert stored(writer, database) == [("balcony", NOW_MS, None, 25.1, 52.0)]
    writer.rejected_queue.finish()
    assert select(database.path, "SELECT endpoint FROM rejected") == [("balcony",)]


def test_an_unknown_channel_and_a_body_too_large(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = client.post("/api/v2/channels/999/data", json={"d1": 1})
    assert (answer.status_code, answer.json) == (
        404,
        {
            "error": "unknown channel",
            "hint": 'no station of stations.toml has ambient_channel = "999"',
        },
    )
    many = {"data": [{"d1": 1, "d2": 1}] * (ITEMS_MAX + 1)}
    with monkeypatch.context() as patched:
        # A MiB of empty ones would take 100 MiB as items.
        patched.setattr(protocols, "ambient_items", pytest.fail)
        assert client.post(f"{CHANNEL}/dataarray", json=many).status_code == 413
        patched.setattr(protocols, "payload_of_form", pytest.fail)
        form = b"a=&" * (FORM_FIELDS_MAX + 1)
        assert client.post(f"{CHANNEL}/urldataarray", data=form).status_code == 413
    assert client.post(f"{CHANNEL}/data", data=b" " * (BATCH_MAX_BYTES + 1)).status_code == 413
    # Comments are no readings.
    assert client.put(f"{CHANNEL}/data", json={}).status_code == 405


@pytest.mark.usefixtures("database")
def test_the_write_key_is_the_token(tmp_path: Path, make_settings: MakeSettings) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("balcony 0123456789abcdef\ndata fedcba9876543210\n")
    tokens.chmod(0o600)
    app = create_app(make_settings(WRITE_TOKENS_FILE=tokens))
    refused = {"error": "unauthorized", "hint": "writeKey has to be a token of this station"}
    try:
        for key, status in (("0123456789abcdef", 200), ("fedcba9876543210", 401), ("", 401)):
            body = {"writeKey": key, "d1": 25.1, "d2": 52}
            answer = app.test_client().post(f"{CHANNEL}/data", json=body)
            assert answer.status_code == status
            assert (answer.json == refused) is (status == 401)
    finally:
        app.extensions["flask10x"].close()


def test_a_trial_leaves_no_trace(
    client: FlaskClient, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = client.post(f"{CHANNEL}/data?dry_run=1", json={"d1": "77F", "d2": 52})
    assert answer.status_code == 200
    (result,) = body_of(answer)["results"]
    assert result["reading"] == {"temperature": 25.0, "air": {"humidity": 52.0}}
    client.post("/api/v2/channels/999/data?dry_run=1", json={"d1": 1})
    assert (writer.depth, writer.rejected_queue.depth, caplog.messages) == (0, 0, [])


@pytest.mark.parametrize("door", [f"{CHANNEL}/data", "/api/v1/readings"])
def test_no_depth_is_an_error_of_the_service(client: FlaskClient, door: str) -> None:
    for depth in range(900, 1000):
        nested = "[" * depth + "]" * depth
        data = f'{{"created": {NOW_MS}, "d1": {nested}, "x": {nested}}}'
        if door == "/api/v1/readings":
            data = f'[{{"endpoint": "balcony", "data": {data}}}]'
        assert client.post(door, data=data, content_type="application/json").status_code == 400
