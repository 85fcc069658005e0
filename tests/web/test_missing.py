"""The answers of an application whose database is missing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape

from flask10x.database.paths import database_path
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support.alert_rows import AlertRows
from tests.support.both_engines import POSTGRES

TOKEN = "read-0123456789abcdef"
WHY = "there was a database"


@pytest.fixture
def app(make_settings: MakeSettings, tmp_path: Path) -> Iterator[Flask]:
    tokens = tmp_path / "read"
    tokens.write_text(f"* {TOKEN}\n")
    tokens.chmod(0o600)
    settings = make_settings(DATA_DIR=tmp_path / "data", READ_TOKENS_FILE=tokens)
    app = create_app(settings, missing=WHY)
    yield app
    app.extensions["flask10x"].close()
    assert not settings.data_dir.exists(), "something was made on the wrong disk"


def test_readers_get_the_reason(client: FlaskClient) -> None:
    assert client.get("/history").status_code == 401
    answer = client.get("/history/json", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json == {"error": "database unavailable", "reason": WHY}


def test_what_needs_no_database_is_as_ever(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/").status_code == 200
    with client.get("/static/flask10x.css") as style:
        assert style.status_code == 200
    assert client.get("/nowhere").status_code == 404
    assert client.get("/data").status_code == 405


def test_the_language_can_be_chosen(client: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/history?lang=ja", headers=headers).status_code == 303
    page = client.get("/history", headers=headers)
    assert page.status_code == 503
    assert 'lang="ja"' in page.text
    # A server that is away is no reason to begin with a new database.
    assert ("flask10x migrate --new" in page.text) == (not POSTGRES)
    assert ("データベースサーバーに接続できません" in page.text) == POSTGRES


def test_every_route_answers(app: Flask, client: FlaskClient) -> None:
    """No view is called that would look for a store; also one that is added tomorrow."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for rule in app.url_map.iter_rules():
        for method in rule.methods or ():
            if not rule.arguments:
                answer = client.open(rule.rule, method=method, headers=headers)
                # The state of alerts lies on no disk of a database on a server, so an empty form
                # that would mute is looked at there.
                is_form = (
                    POSTGRES
                    and rule.rule in ("/alerts/mute", "/alerts/unmute")
                    and method == "POST"
                )
                is_former = rule.rule in ("/devices", "/uptime") and method != "OPTIONS"
                wanted = (400,) if is_form else (308,) if is_former else (200, 204, 503)
                assert answer.status_code in wanted, rule


@pytest.mark.sqlite_only("files that lie beside its file")
def test_a_rescued_copy_is_named_first(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(DATA_DIR=tmp_path / "a&b")
    settings.data_dir.mkdir()
    path = database_path(settings)
    for moment in ("20250824-080000", "20250824-090000"):
        copy = path.with_name(f"{path.name}.rescued-{moment}")
        copy.touch()
    app = create_app(settings, missing=WHY)
    client = app.test_client()
    for language in ("en", "ja"):
        client.set_cookie("lang", language)
        page = client.get("/history").text
        commands = re.findall("<pre[^>]*>(.*?)</pre>", page)
        assert commands == [
            f"flask10x restore {escape(str(copy))}",
            "flask10x restore FILE",
            "flask10x migrate --new",
        ]
    app.extensions["flask10x"].close()


def test_without_a_rescued_copy_none_is_named(client: FlaskClient) -> None:
    page = client.get("/history", headers={"Authorization": f"Bearer {TOKEN}"}).text
    helps = [WHY] if POSTGRES else ["flask10x restore FILE", "flask10x migrate --new"]
    assert re.findall("<(?:code|pre)[^>]*>(.*?)</(?:code|pre)>", page) == helps


def test_alerts_can_be_muted_while_the_database_is_missing(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(DATA_DIR=tmp_path / "other")
    app, form = create_app(settings, missing=WHY), {"rule": "database", "subject": ""}
    client = app.test_client()
    assert client.post("/alerts/mute", data=form | {"for": "1h"}).status_code == 503
    assert not settings.data_dir.exists(), "something was made on the wrong disk"
    settings.data_dir.mkdir()
    rows = AlertRows(settings.data_dir)
    rows.alert("database")
    assert client.post("/alerts/mute", data=form | {"for": "1h"}).status_code == 303
    assert "None muted." not in client.get("/alerts").text
    assert client.post("/alerts/unmute", data=form).status_code == 303
    assert "None muted." in client.get("/alerts").text
    app.extensions["flask10x"].close()
