"""A POST to no station: the 404 says what helps, and the last body is kept for the operator."""

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask10x.database.database import Database
from flask10x.recording import rejected
from flask10x.recording.rejected_queue import PATHS_MAX
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support.both_engines import refuse, refuse_no_more
from tests.support.rows import execute, select

ALL_STATIONS = "0123456789abcdef-all"
ONE_STATION = "0123456789abcdef-one"
NOT_FOUND = {"error": "not found"}
AT = 1_756_000_000
KEPT = "SELECT endpoint, body, reasons FROM rejected WHERE earlier IS NULL ORDER BY id"
REASONS = '{"endpoint": "there is no such station"}'


def kept(database: Database) -> list[tuple[str, str]]:
    rows = select(database.path, KEPT)
    assert {reasons for *_, reasons in rows} <= {REASONS}
    return [(endpoint, body.decode()) for endpoint, body, _ in rows]


def store_later(writer: Writer) -> None:
    """As its thread does when it is time again."""
    writer.rejected_queue._not_before_sec = 0
    writer.rejected_queue.step()


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/balcony", "no station 'balcony'; add one: flask10x stations add balcony"),
        (
            "/data5",
            "no station 'data5' (did you mean /data?); add one: flask10x stations add data5",
        ),
        ("/Data2/", "did you mean /data2?"),
        ("/DATA", "did you mean /data?"),
        ("/BALCONY", "no station 'balcony'; add one: flask10x stations add balcony"),
        ("/", None),
        ("/b alcony", None),
        ("/1balcony", None),
        ("/openapi", None),
        ("/balcony/1", None),
        ("/<script>", None),
        ("/b\u0130lcony", None),
        ("/balcony%0a", None),
        ("/b" * 16, None),
        ("/" + "b" * 33, None),
        # Of writers to InfluxDB, before they write.
        ("/query?q=CREATE+DATABASE", None),
    ],
)
def test_the_hint_of_a_post_to_no_station(client: FlaskClient, path: str, hint: str | None) -> None:
    answer = client.post(path, json={})
    if path == "/":
        assert (answer.status_code, answer.json) == (405, {"error": "method not allowed"})
        return
    assert (answer.status_code, answer.json) == (404, NOT_FOUND | ({"hint": hint} if hint else {}))


def test_only_a_post_is_meant_for_a_station(client: FlaskClient) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = client.open("/balcony", method=method, json={})
        assert (answer.status_code, answer.json) == (404, NOT_FOUND)


def test_a_trial_leaves_no_trace(
    client: FlaskClient, writer: Writer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    hint = "no station 'balcony'; add one: flask10x stations add balcony"
    assert client.post("/balcony?dry_run=1", json={}).json == NOT_FOUND | {"hint": hint}
    store_later(writer)
    assert kept(database) == [] == caplog.messages


def test_the_last_body_of_each_endpoint_is_kept(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    client.post("/balcony", data="{}")
    client.post("/balcony", json={"temperature": 1})
    client.post("/cellar", data="no JSON")
    store_later(writer)
    assert kept(database) == [("balcony", '{"temperature": 1}'), ("cellar", "no JSON")]

    client.post("/data", json={})
    client.post("/balcony", json={"temperature": 2})
    store_later(writer)
    rows = [("cellar", "no JSON"), ("balcony", '{"temperature": 2}')]
    assert select(database.path, "SELECT count(*) FROM rejected WHERE endpoint = 'data'") == [(1,)]
    execute(database.path, "DELETE FROM rejected WHERE endpoint = 'data'")
    assert kept(database) == rows
    with database.reader.begin() as connection:
        found = [rejected.latest(connection, name) for name in ("balcony", "cellar", "attic")]
    assert [one and one.body for one in found] == [b'{"temperature": 2}', b"no JSON", None]

    # Whoever purges them, or makes a reading of one, gets the next as a row of its own.
    execute(database.path, "UPDATE rejected SET reading_id = 1 WHERE endpoint = 'balcony'")
    execute(database.path, "DELETE FROM rejected WHERE endpoint = 'cellar'")
    for endpoint in ("balcony", "cellar"):
        client.post(f"/{endpoint}", json={"temperature": 3})
    store_later(writer)
    body = '{"temperature": 3}'
    assert kept(database) == [rows[1], ("balcony", body), ("cellar", body)]


def test_strangers_do_not_fill_the_table(
    client: FlaskClient,
    writer: Writer,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for number in range(PATHS_MAX + 5):
        for body in ({"n": 1}, {"n": number}):
            assert client.post(f"/s{number}", json=body).status_code == 404
    client.post("/s0", data="x" * 2001)
    store_later(writer)
    rows = [(f"s{n}", json.dumps({"n": n})) for n in range(5, PATHS_MAX + 5)]
    assert kept(database) == rows
    # Once a minute of all new ones, and of each that lists show.
    for _ in range(2):
        client.post("/s7", json={})
    lines = [line for line in caplog.messages if "no such station" in line]
    assert lines == [f"/{name} refused: no such station, from 127.0.0.1" for name in ("s0", "s7")]


def test_what_the_database_refuses_is_not_tried_for_ever(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    execute(database.path, refuse("rejected", "NEW.endpoint = 'balcony'", "no"))
    client.post("/balcony", json={})
    store_later(writer)
    assert writer.rejected_queue.depth == 0
    execute(database.path, refuse_no_more("rejected"))
    client.post("/balcony", json={})
    assert kept(database) == []
    assert writer.close(0) == 0
    assert kept(database) == [("balcony", "{}")]


def test_who_may_not_write_is_answered_but_nothing_of_it_is_kept(
    make_settings: MakeSettings, database: Database, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.touch(0o640)
    tokens.write_text(f"* {ALL_STATIONS}\ndata {ONE_STATION}\n")
    app = create_app(make_settings(WRITE_TOKENS_FILE=tokens))
    store: Store = app.extensions["flask10x"]
    for endpoint, token in (("a", ""), ("b", ONE_STATION), ("c", ALL_STATIONS)):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        assert app.test_client().post(f"/{endpoint}", json={}, headers=headers).status_code == 404
    assert [one.name for one in store.gauges.unknown_names()] == ["c"]
    store.close()
    assert kept(database) == [("c", "{}")]


def test_the_page_and_the_list_show_it(client: FlaskClient, writer: Writer) -> None:
    client.post("/balcony", json={"temperature": 1})
    store_later(writer)
    page = client.get("/history/rejected").text
    assert "balcony" in page and "there is no such station" in page
    page = client.get("/history/rejected", headers={"Accept-Language": "ja"}).text
    assert "そのようなセンサーはありません" in page
    found = client.get("/history/rejected/json").json
    assert found is not None
    assert (found[0]["endpoint"], found[0]["body"]) == ("balcony", '{"temperature": 1}')


def test_items_of_a_batch_wait_with_their_times_if_they_have_a_key(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    """Its sender keeps them until the station is there, and sends them again and again."""
    items = [
        {"endpoint": "balcony", "data": {"temperature": n}, "id": f"b{n}", "measured_at": AT + n}
        for n in range(5)
    ]
    unnamed = [{"endpoint": "balcony", "data": {"temperature": 9}}] * 2
    for _ in range(3):
        answer = client.post("/api/v1/readings", json=[*items, *unnamed, items[0]])
        assert answer.status_code == 404
    store_later(writer)
    query = "SELECT measured_at, digest IS NULL FROM rejected WHERE earlier IS {} ORDER BY id"
    waiting = select(database.path, query.format("NOT NULL"))
    assert waiting == [((AT + n) * 1000, 0) for n in range(5)]
    assert select(database.path, query.format("NULL")) == [(None, 1)]
