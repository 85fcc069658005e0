"""`GET /events`: what an open page is told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from flask10x.database.database import Database
from flask10x.web.api import events
from tests.support.rows import execute

ROW = "INSERT INTO readings (endpoint, received_at, pressure) VALUES ('{}', 1000, 1000)"


def told(pieces: Iterator[Any]) -> Any:
    """The object of the next event."""
    text = next(pieces).decode()
    assert text.startswith("data: ") and text.endswith("\n\n")
    return json.loads(text.removeprefix("data: "))


def test_an_event_says_up_to_which_reading_and_of_which_stations(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(database.path, ROW.format("data"))
    monkeypatch.setattr(events, "STILL_SEC", 20)
    answer = client.get("/events")
    assert answer.status_code == 200
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    pieces = iter(answer.response)
    assert told(pieces) == {"last_id": None, "stations": None}
    assert told(pieces) == {"last_id": 1, "stations": None}
    execute(database.path, ROW.format("data3"), ROW.format("data2"))
    assert told(pieces) == {"last_id": 3, "stations": ["data2", "data3"]}
    monkeypatch.setattr(events, "STILL_SEC", 0.01)
    assert told(pieces) == {"last_id": 3, "stations": []}
    answer.close()


def test_a_parameter_is_refused(client: FlaskClient) -> None:
    answer = client.get("/events?endpoint=data")
    assert answer.status_code == 400
    assert answer.get_json()["details"] == {"endpoint": "unknown parameter"}


def test_more_pages_than_a_worker_follows_ask_later(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "open_pages_max", lambda: 1)
    first = client.get("/events")
    next(iter(first.response))
    answer = client.get("/events")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    first.close()
    client.get("/events").close()
