"""Readings of one request: the batch route, and arrays to a station's route."""

import json
import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from flask10x.database.database import Database
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.web.app import create_app
from flask10x.web.ingest.batch import ITEMS_MAX, LOGGED_MAX
from flask10x.web.limits import BATCH_MAX_BYTES
from tests.conftest import MakeSettings
from tests.support.rows import select

DOOR = "/api/v1/readings"
GOOD = {"pressure": 1013.25, "temperature": "25.1C"}
# 2025-08-24 11:00:12 in Tokyo.
NOW_MS = 1_756_000_812_345


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: NOW_MS)


def item(**more: object) -> dict[str, object]:
    return {"endpoint": "data", "data": GOOD} | more


def stored(writer: Writer, database: Database) -> list[tuple[Any, ...]]:
    while writer.step():
        pass
    return select(database.path, "SELECT endpoint, received_at, arrived_at FROM readings")


def rejected_rows(store: Store) -> list[tuple[Any, ...]]:
    store.writer.rejected_queue.finish()
    query = "SELECT endpoint, received_at, measured_at, reasons, body FROM rejected"
    return select(store.database.path, query)


def test_each_item_has_a_result_and_the_good_ones_are_stored(
    client: FlaskClient, store: Store, writer: Writer, database: Database
) -> None:
    answer = client.post(
        DOOR,
        json={
            "readings": [
                item(),
                item(data={"pressure": -1, "temperature": "寒い"}, age_s=60),
                item(endpoint="data4", data=GOOD, measured_at="2025-08-24T00:00:00Z"),
                item(endpoint="/data3", data={"temprature": 1}),
                item(endpoint="balcony"),
                item(endpoint="Data2"),
                item(endpoint="\u202e" * 5000),
                item(endpoint=["data"]),
                {"data": GOOD},
                7,
                item(measured_at=1_755_999_900),
            ]
        },
    )
    assert answer.status_code == 200
    body = answer.json or {}
    assert {name: body[name] for name in ("accepted", "duplicate", "refused")} == {
        "accepted": 2,
        "duplicate": 0,
        "refused": 9,
    }
    results = body["results"]
    assert results[0] == results[10] == {"status": "enqueued"}
    assert results[1] == {
        "error": "validation failed",
        "details": {
            "pressure": "below minimum 0",
            "temperature": "invalid numeric string: '寒い'",
        },
    }
    assert results[2]["details"]["mh_z19"] == "required field missing"
    assert results[3]["hint"] == "unknown field temprature: did you mean temperature?"
    assert results[4]["error"] == "unknown station"
    assert results[4]["hint"].endswith("flask10x stations add balcony")
    assert results[5]["hint"] == "did you mean /data2?"
    assert results[6] == {"error": "unknown station"}
    assert results[7]["details"] == {"endpoint": "unsupported type: list"}
    assert results[8]["details"] == {"endpoint": "required field missing"}
    assert results[9]["hint"].startswith("JSON number instead of an object")
    assert stored(writer, database) == [
        ("data", NOW_MS, None),
        ("data", 1_755_999_900_000, NOW_MS),
    ]
    rejected = {row[0]: row for row in rejected_rows(store)}
    assert rejected["data"][1:3] == (NOW_MS, NOW_MS - 60_000)
    assert json.loads(rejected["data"][4]) == {"pressure": -1, "temperature": "寒い"}
    assert rejected["data4"][2] == 1_755_993_600_000
    assert json.loads(rejected["balcony"][4]) == GOOD
    assert set(rejected) == {"data", "data3", "data4", "balcony"}


@pytest.mark.parametrize(
    ("more", "details"),
    [
        (
            {"measured_at": NOW_MS},
            {"measured_at": "these are milliseconds: send seconds since 1970"},
        ),
        (
            {"measured_at": 1_755_000_000, "age_s": 5},
            {"age_s": "measured_at and age_s are both given: send one of them"},
        ),
        (
            {"timestamp": 5, "mesured_at": 6},
            {
                "timestamp": "unknown key: an item has endpoint, data, measured_at, age_s, id",
                "mesured_at": "unknown key (did you mean measured_at?)",
            },
        ),
        (
            {"id": 1.5, "data": []},
            {
                "data": "must be an object",
                "id": "a text of 1 to 255 bytes, or a whole number, is needed",
            },
        ),
        ({"data": None}, {"data": "required field missing"}),
    ],
)
def test_what_is_said_of_an_item_is_checked_and_then_all_of_it_is_kept(
    client: FlaskClient, store: Store, more: dict[str, object], details: dict[str, str]
) -> None:
    answer = client.post(DOOR, json=[item(**more)])
    assert (answer.status_code, answer.json) == (
        400,
        {
            "accepted": 0,
            "duplicate": 0,
            "refused": 1,
            "results": [{"error": "validation failed", "details": details}],
        },
    )
    ((endpoint, _, measured_at, _, body),) = rejected_rows(store)
    assert (endpoint, measured_at, json.loads(body)) == ("data", None, item(**more))


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b"[]", None),
        (b'{"endpoint": "data", "data": {}}', None),
        (b'{"readings": [{}], "device": "pico"}', None),
        (json.dumps([item()] * (ITEMS_MAX + 1)).encode(), None),
        (b'[{"endpoint": "data"', "JSON ends early: Expecting ',' delimiter at line 1 column 21"),
        (b"", "the body is empty: send one JSON object"),
    ],
)
def test_a_body_that_is_no_array_is_refused_as_a_whole(
    client: FlaskClient, body: bytes, hint: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post(DOOR, data=body, content_type="application/json")
    reason = "an array of 1 to 1000 readings is needed, or an object with nothing but `readings`"
    expected: dict[str, object] = {"error": "validation failed", "details": {"readings": reason}}
    assert (answer.status_code, answer.json) == (400, expected | ({"hint": hint} if hint else {}))
    assert caplog.messages[-1].startswith(f"{DOOR} refused: ")


def test_the_limit_of_a_body(client: FlaskClient) -> None:
    body = json.dumps([item()]).encode()
    exact = body + b" " * (BATCH_MAX_BYTES - len(body))
    assert client.post(DOOR, data=exact, content_type="application/json").status_code == 200
    answer = client.post(DOOR, data=exact + b" ", content_type="application/json")
    assert (answer.status_code, answer.json) == (
        413,
        {"error": "body too large", "limit_bytes": 1048576},
    )


@pytest.mark.parametrize(
    "query",
    ["dryrun=1", "dry_run=yes", "ack=1", "dry_run=1&dry_run=0", "&".join(map(str, range(500)))],
)
def test_a_wrong_question_stores_nothing(client: FlaskClient, writer: Writer, query: str) -> None:
    answer = client.post(f"{DOOR}?{query}", json=[item()])
    assert (answer.status_code, (answer.json or {})["error"]) == (400, "invalid query")
    assert len(answer.data) < 300
    assert writer.depth == 0


MISSPELT = (
    *("dryrun", "dry-run", "Dry_Run", "DRY_RUN", "DRYRUN", "dryRun", "dry_rn", "drynun"),
    *("dri_run", "dyrun", "dry_runs", "dry_run[]", "dry_run%20", "dry+run", "%EF%BD%84ry_run"),
    *("ry_run", "xdry_run"),
    "%EF%BC%A4%EF%BC%B2%EF%BC%B9%EF%BC%BF%EF%BC%B2%EF%BC%B5%EF%BC%AE",
)
OTHERS = (
    *("device=pico", "run=7", "duration=3", "ack=1", "t=1&x=2", "", "key=dry_run"),
    *("dry=1", "laundryrun=1", "dayrun=1", "isDryRun=0", "dry_runtime=5", "dr=1", "drun=1"),
    *("dry_run_id=5", "dry_burner=1", "dry_urn=1"),
)


def test_a_misspelt_trial_is_not_stored(client: FlaskClient, writer: Writer) -> None:
    store: Store = client.application.extensions["flask10x"]
    for name in MISSPELT:
        for path in ("/data", "/write", "/api/v1/readings"):
            answer = client.post(f"{path}?{name}=1", json={"pressure": 1000, "temperature": 20})
            assert answer.status_code == 400, name
            (reason,) = (answer.json or {})["details"].values()
            assert reason == "unknown parameter (did you mean dry_run?)", name
        client.post(f"/balcony?{name}=1", json={"t": 1})
        assert (writer.depth, store.writer.rejected_queue.depth) == (0, 0), name


def test_other_parameters_are_ignored_as_ever(client: FlaskClient, writer: Writer) -> None:
    for number, query in enumerate(OTHERS, 1):
        answer = client.post(f"/data?{query}", json={"pressure": 1000, "temperature": 20})
        assert (answer.status_code, writer.depth) == (200, number), query


def test_all_of_an_unknown_station_are_kept_by_their_sender(client: FlaskClient) -> None:
    """A program throws away what gets a 400."""
    gone = {"endpoint": "balcony", "data": {"t": 1}}
    answer = client.post(DOOR, json=[gone, gone])
    assert (answer.status_code, (answer.json or {})["refused"]) == (404, 2)
    assert client.post(DOOR, json=[gone, item(data={})]).status_code == 400
    assert client.post(DOOR, json=[gone, item()]).status_code == 200


def test_a_thousand_mistakes_make_some_lines(
    client: FlaskClient, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = client.post(DOOR, json=[item(data={})] * ITEMS_MAX)
    assert (answer.status_code, (answer.json or {})["refused"]) == (400, ITEMS_MAX)
    assert len(caplog.messages) == LOGGED_MAX + 1
    assert caplog.messages[-1] == f"{ITEMS_MAX - LOGGED_MAX} more of a batch were not stored"
    assert 0 < store.writer.rejected_queue.depth < ITEMS_MAX


@pytest.mark.usefixtures("database")
def test_a_queue_that_gets_full_asks_again(make_settings: MakeSettings) -> None:
    app = create_app(make_settings(WRITE_QUEUE_MAXSIZE=3))
    try:
        answer = app.test_client().post(DOOR, json=[item(data={}), *[item()] * 4])
        body = answer.json or {}
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert (body["accepted"], body["failed"], body["refused"]) == (3, 1, 1)
        assert body["results"][4] == {"status": "queued_failed"}
    finally:
        app.extensions["flask10x"].close()


def test_one_id_is_one_reading(
    client: FlaskClient, writer: Writer, database: Database, store: Store
) -> None:
    body = [item(id="a"), item(id="a"), item(id=7), item(id="7"), item(id="a", endpoint="data3")]
    for _ in range(2):
        answer = client.post(DOOR, json=body).json or {}
        assert answer["results"][1] == {"status": "duplicate"}
        writer.step()
    assert (answer["accepted"], answer["duplicate"], answer["refused"]) == (0, 4, 1)
    assert len(stored(writer, database)) == 2
    assert client.post(DOOR, json=body[:1]).json == {
        "accepted": 0,
        "duplicate": 1,
        "refused": 0,
        "results": [{"status": "duplicate"}],
    }
    # The station was heard all the same.
    assert store.gauges.station("data").last_received_ms > 0


def test_a_key_of_a_batch_is_one_for_each_of_its_items(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    headers = {"Idempotency-Key": "night-1"}
    for accepted, body in ((2, [item(), item()]), (1, [item(), item(), item()])):
        answer = client.post(DOOR, json=body, headers=headers).json or {}
        assert answer["accepted"] == accepted
        writer.step()
    assert len(stored(writer, database)) == 3
    wrong = client.post(DOOR, json=[item()], headers={"Idempotency-Key": "k" * 256})
    assert (wrong.status_code, (wrong.json or {})["details"]) == (
        400,
        {"Idempotency-Key": "1 to 255 bytes are needed"},
    )


def test_what_waits_for_its_commit_learns_there_that_it_is_a_repeat(client: FlaskClient) -> None:
    body = [item(id=1), item(id=1), item(id=2)]
    store: Store = client.application.extensions["flask10x"]
    store.writer.start()
    statuses = [
        [result["status"] for result in (answer.json or {})["results"]]
        for answer in (client.post(f"{DOOR}?ack=committed", json=body) for _ in range(2))
    ]
    assert statuses == [["committed", "duplicate", "committed"], ["duplicate"] * 3]


def test_a_late_reading_is_logged_with_its_time(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client.post(DOOR, json=[item(age_s=0.5)])
    assert caplog.messages == [
        "/data OK enqueued pressure=1013.25 temperature=25.1"
        " measured_at=2025-08-24T11:00:11.845+09:00 queue_size=1"
    ]


def test_a_stations_route_takes_an_array_of_readings_and_items(
    client: FlaskClient, store: Store, writer: Writer, database: Database
) -> None:
    answer = client.post(
        "/data",
        json=[
            *(GOOD, {"data": GOOD, "age_s": 10}, 7, GOOD | {"temperature": None}),
            {"endpoint": "data4", "data": GOOD},
        ],
    )
    results = (answer.json or {})["results"]
    assert answer.status_code == 200
    assert results[:2] == [{"status": "enqueued"}] * 2
    assert results[2]["hint"].startswith("JSON number instead of an object")
    assert results[3]["details"] == {"temperature": "required field missing"}
    assert results[4]["details"] == {
        "endpoint": "this is the route of data: send other stations to /api/v1/readings"
    }
    assert stored(writer, database) == [
        ("data", NOW_MS, None),
        ("data", NOW_MS - 10_000, NOW_MS),
    ]
    assert [row[4] for row in rejected_rows(store)] == [
        b"7",
        json.dumps(GOOD | {"temperature": None}).encode(),
        json.dumps({"data": GOOD, "endpoint": "data4"}).encode(),
    ]
    too_many = client.post("/data", data=b"[" + b"{}," * ITEMS_MAX + b"{}]")
    assert list((too_many.json or {})["details"]) == ["readings"]


@pytest.mark.usefixtures("database")
def test_the_token_has_to_be_one_for_each_station(
    make_settings: MakeSettings, tmp_path: Any
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("data own-0123456789abcdef\n* all-0123456789abcdef\n")
    tokens.chmod(0o600)
    app = create_app(make_settings(WRITE_TOKENS_FILE=tokens))
    try:
        client = app.test_client()

        both = [item(), item(endpoint="data2", data={})]

        def post(token: str, body: Any = both) -> Any:
            return client.post(DOOR, json=body, headers={"Authorization": f"Bearer {token}"})

        assert post("none-0123456789abcdef").status_code == 401
        answer = post("own-0123456789abcdef")
        assert answer.status_code == 200
        assert answer.json["results"][0] == {"status": "enqueued"}
        assert answer.json["results"][1]["error"] == "unauthorized"
        # Its sender throws away what gets a 400.
        assert post("own-0123456789abcdef", [item(endpoint="data2")]).status_code == 401
        every = post("all-0123456789abcdef").json["results"]
        assert every[1]["error"] == "validation failed"
        assert client.get("/api/v1/time").status_code == 200
    finally:
        app.extensions["flask10x"].close()


def test_boards_get_the_time(client: FlaskClient) -> None:
    answer = client.get("/api/v1/time")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "time": "2025-08-24T02:00:12Z",
        "epoch_s": 1_756_000_812,
        "epoch_ms": NOW_MS,
        "local": "2025-08-24 11:00:12",
        "utc_offset_s": 32400,
    }
