"""Muting from the page: what is taken, who may, and what is answered."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask10x.alerts import state_file
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.runtime.store import Store
from flask10x.web.app import create_app
from flask10x.web.pages.alerts import view
from tests.conftest import MakeSettings
from tests.support.alert_rows import HOUR_MS, AlertRows
from tests.web.pages.alerts.conftest import NOW_MS

FORM = {"rule": "silence", "subject": "data2", "for": "1h"}
WRITE, ONE, READ = "write-0123456789abcdef", "one-0123456789abcdef", "read-0123456789abcdef"


def muted(rows: AlertRows) -> list[tuple[str, str, int]]:
    # The state file is SQLite's on either engine.
    with closing(sqlite3.connect(rows.path)) as file:
        query = "SELECT rule, subject, until_ms FROM mutes ORDER BY rule, subject"
        return file.execute(query).fetchall()


def test_a_mute_is_stored_and_leads_back_to_the_page(client: FlaskClient, rows: AlertRows) -> None:
    answer = client.post("/alerts/mute", data=FORM)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/alerts#muted")
    assert muted(rows) == [("silence", "data2", NOW_MS + HOUR_MS)]
    page = client.get("/alerts").text
    assert "Muted until Sun 24 Aug, 13:00" in page
    answer = client.post("/alerts/unmute", data={"rule": "silence", "subject": "data2"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/alerts#muted")
    assert muted(rows) == []
    assert "None muted." in client.get("/alerts").text


def test_a_later_mute_takes_the_place_of_the_one_before(
    client: FlaskClient, rows: AlertRows
) -> None:
    client.post("/alerts/mute", data=FORM | {"for": "1w"})
    client.post("/alerts/mute", data=FORM)
    assert muted(rows) == [("silence", "data2", NOW_MS + HOUR_MS)]


def test_what_has_no_subject_is_the_service(client: FlaskClient, rows: AlertRows) -> None:
    assert (
        client.post("/alerts/mute", data=FORM | {"rule": "disk", "subject": ""}).status_code == 303
    )
    assert muted(rows) == [("disk", "", NOW_MS + HOUR_MS)]


def test_an_active_alert_of_a_rule_that_is_gone_can_be_muted(
    client: FlaskClient, rows: AlertRows
) -> None:
    rows.alert("old_rule", "shed.co2", kind="threshold")
    form = FORM | {"rule": "old_rule", "subject": "shed.co2"}
    assert client.post("/alerts/mute", data=form).status_code == 303
    assert client.post("/alerts/mute", data=form | {"subject": "shed"}).status_code == 400


@pytest.mark.parametrize(
    ("form", "details"),
    [
        ({"rule": "silense"}, {"rule": "no rule (did you mean silence?): silence, disk"}),
        ({"rule": "x" * 300}, {"rule": "no rule: silence, disk, database, backup"}),
        ({"subject": "data5"}, {"subject": "no subject of this rule (did you mean data?): data"}),
        ({"subject": "data2.co2"}, {"subject": "no subject of this rule (did you mean data2?)"}),
        ({"for": "2h"}, {"for": "one of 1h, morning, 1d, 1w is needed"}),
        ({"for": None}, {"for": "one value is needed"}),
        ({"rule": ["silence", "disk"]}, {"rule": "one value is needed"}),
    ],
)
def test_a_form_that_is_none_of_the_pages(
    client: FlaskClient, rows: AlertRows, form: dict[str, object], details: dict[str, str]
) -> None:
    given = {name: value for name, value in (FORM | form).items() if value is not None}
    answer = client.post("/alerts/mute", data=given)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"] == "invalid query"
    ((name, reason),) = answer.json["details"].items()
    assert {name: reason[: len(details[name])]} == details
    assert not rows.path.exists()


def test_the_log_says_who(
    client: FlaskClient, rows: AlertRows, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client.post("/alerts/mute", data=FORM)
    client.post("/alerts/unmute", data={"rule": "disk", "subject": ""})
    client.post("/alerts/unmute", data={"rule": "a\nb", "subject": "\u202e"})
    assert [one.message for one in caplog.records if "uted" in one.message] == [
        "Alerts of silence, data2 muted (1h), by 127.0.0.1",
        "Alerts of disk not muted any more, by 127.0.0.1",
        "Alerts of a\\nb, \\u202e not muted any more, by 127.0.0.1",
    ]


def test_a_file_that_cannot_be_written_to_is_a_503_with_the_page(
    client: FlaskClient, rows: AlertRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert view.WAITS_SEC < state_file.BUSY_TIMEOUT_SEC
    monkeypatch.setattr(view, "WAITS_SEC", 0.0)
    rows.alert("disk")
    with closing(sqlite3.connect(rows.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        answer = client.post("/alerts/mute", data=FORM)
        connection.execute("ROLLBACK")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "Nothing was changed" in answer.text
    assert "database is locked" in answer.text
    assert muted(rows) == []


# Who may


MakeClient = Callable[..., FlaskClient]


@pytest.fixture
def make_client(
    make_settings: MakeSettings, database: Database, tmp_path: Path
) -> Iterator[MakeClient]:
    """A client of an application that has these files of tokens."""
    stores: list[Store] = []

    def make(**files: str) -> FlaskClient:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o600)
        given = {f"{name.upper()}_TOKENS_FILE": tmp_path / name for name in files}
        app = create_app(make_settings(**given))
        stores.append(app.extensions["flask10x"])
        return app.test_client()

    yield make
    for store in stores:
        store.close()


def allowed(client: FlaskClient, token: str) -> tuple[bool, bool]:
    """Whether who has this token may see the page, and may mute."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    seen = client.get("/alerts", headers=headers).status_code
    done = client.post("/alerts/mute", data=FORM, headers=headers).status_code
    assert {seen, done} <= {200, 303, 401}
    return seen == 200, done == 303


@pytest.mark.usefixtures("rows")
def test_with_tokens_for_reading_one_of_these_mutes(make_client: MakeClient) -> None:
    client = make_client(read=f"* {READ}", write=f"* {WRITE}\ndata2 {ONE}")
    assert allowed(client, "") == (False, False)
    assert allowed(client, READ) == (True, True)
    assert allowed(client, WRITE) == (False, False)
    assert allowed(client, ONE) == (False, False)


def test_with_tokens_for_posting_only_the_one_for_all_stations_mutes(
    make_client: MakeClient,
) -> None:
    client = make_client(write=f"* {WRITE}\ndata2 {ONE}")
    assert allowed(client, "") == (True, False)
    assert allowed(client, WRITE) == (True, True)
    assert allowed(client, ONE) == (True, False)


def test_without_tokens_everybody_mutes(make_client: MakeClient) -> None:
    assert allowed(make_client(), "") == (True, True)


def test_a_browser_asks_for_the_token(make_client: MakeClient) -> None:
    for client in (make_client(read=f"* {READ}"), make_client(write=f"* {WRITE}")):
        answer = client.post("/alerts/mute", data=FORM)
        assert answer.status_code == 401
        assert answer.headers.getlist("WWW-Authenticate")[0].startswith("Basic")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/alerts/mute", "/alerts/unmute"])
def test_a_page_of_another_origin_mutes_nothing(
    client: FlaskClient, rows: AlertRows, path: str, headers: dict[str, str]
) -> None:
    answer = client.post(path, data=FORM, headers=headers)
    assert answer.status_code == 403
    assert not rows.path.exists()


def test_the_pages_own_form_may(client: FlaskClient, rows: AlertRows) -> None:
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/alerts/mute", data=FORM, headers=headers).status_code == 303
    assert len(muted(rows)) == 1


def test_an_unknown_host_mutes_nothing(
    make_settings: MakeSettings, database: Database, settings: Settings, rows: AlertRows
) -> None:
    app = create_app(make_settings(ALLOWED_HOSTS="pi.local"))
    try:
        answer = app.test_client().post("/alerts/mute", data=FORM, headers={"Host": "evil.example"})
        assert (answer.status_code, rows.path.exists()) == (400, False)
    finally:
        app.extensions["flask10x"].close()


@pytest.mark.parametrize("path", ["/alerts/mute", "/alerts/unmute"])
def test_a_link_mutes_nothing(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 405
