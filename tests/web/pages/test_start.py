"""The first steps of a new installation, each of which can be left out."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.config.toml import schema_line
from flask10x.runtime.administrators import Administrators
from flask10x.system import address, clock
from flask10x.web.pages.setup.house import STEPS
from tests.conftest import MakeApp, MakeSettings
from tests.support.html import words
from tests.web.pages.test_administrators import become, token_of


@pytest.fixture
def of(settings: Settings) -> Administrators:
    return Administrators(settings)


def file_of(settings: Settings) -> Path:
    return settings.data_dir / "settings.toml"


def test_each_step_can_be_left_out_and_gone_back_from(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    become(client, of)
    order = [*STEPS, "done"]
    for before, step, after in zip(["", *order], order, [*order[1:], ""], strict=False):
        page = client.get(f"/setup/start/{step}").text
        links = page.partition('<div class="actions">')[2].partition("</div>")[0]
        assert re.findall('href="/setup/start/([a-z]+)"', links) == [*filter(None, (after, before))]
    first = client.get("/setup/start").text
    assert words(first) == words(client.get("/setup/start/house").text)
    assert not file_of(settings).exists() and of.changes == []
    assert client.get("/setup/start/nothing").status_code == 404


def test_what_is_typed_is_kept_and_the_next_step_follows(
    client: FlaskClient, of: Administrators, settings: Settings, make_settings: MakeSettings
) -> None:
    token = become(client, of)
    answer = client.post("/setup/start/house", data={"token": token, "house_name": "  山の家 "})
    assert answer.headers["Location"] == "/setup/start/place"
    answer = client.post("/setup/start/place", data={"token": token, "place": "43.1,141.4"})
    assert answer.headers["Location"] == "/setup/start/board"
    written = 'house_name = "山の家"\nplace = "43.1,141.4"\n'
    assert file_of(settings).read_text() == schema_line("settings") + written
    loaded = make_settings()
    assert loaded.house_name == "山の家" and loaded.place is not None
    assert [change.name for change in of.changes] == ["FLASK10X_PLACE", "FLASK10X_HOUSE_NAME"]
    assert client.post("/setup/start/board", data={"token": token}).status_code == 404


def test_the_name_of_the_house_is_on_the_pages(make_app: MakeApp) -> None:
    page = make_app(HOUSE_NAME="<b>山の家").test_client().get("/").text
    assert "<title>Home – &lt;b&gt;山の家</title>" in page and "<b>山の家" not in page


@pytest.mark.parametrize(
    ("step", "field", "text", "reason"),
    [
        ("house", "house_name", "x" * 41, "a text of 1 to 40 characters is needed, in one line"),
        ("place", "place", "Tokyo", "latitude and longitude in degrees"),
        ("place", "place", "139.7,35.7", "a latitude from -90 to 90 comes first"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_kept(
    client: FlaskClient, of: Administrators, settings: Settings, step: str, field: str, text: str,
    reason: str,
) -> None:  # fmt: skip
    token = become(client, of)
    answer = client.post(f"/setup/start/{step}", data={"token": token, field: text})
    assert answer.status_code == 400
    assert reason in answer.text.partition(f'id="error-{field}">')[2].partition("<")[0]
    assert f'name="{field}" value="{text}"' in answer.text
    assert not file_of(settings).exists()


def test_what_the_environment_sets_is_shown_and_not_changed(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    token = become(client, of)
    page = client.get("/setup/start/place").text
    assert "Set in FLASK10X_TIMEZONE: change it there." in words(page)
    form = {"token": token, "timezone": "Europe/Berlin", "place": ""}
    assert client.post("/setup/start/place", data=form).status_code == 303
    assert not file_of(settings).exists()


def test_strangers_see_the_steps_and_change_nothing(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    assert "admin-link" in client.get("/setup/start").text
    assert client.post("/setup/start/house", data={"house_name": "x"}).status_code == 403
    assert not file_of(settings).exists() and of.changes == []


def test_the_code_is_of_an_address_that_a_phone_can_use(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "own_address", lambda: "192.168.0.7")
    page = client.get("/setup/start/board", headers={"Host": "localhost:8888"}).text
    assert "http://192.168.0.7:8888/" in page and "<svg" in page.partition('class="phone"')[2]
    page = client.get("/setup/start/board", headers={"Host": "pi.local"}).text
    assert "<code>http://pi.local/</code>" in page
    monkeypatch.setattr(address, "own_address", lambda: None)
    monkeypatch.setattr(address, "local_name", lambda _settings: None)
    page = client.get("/setup/start/board", headers={"Host": "127.0.0.1:8888"}).text
    assert 'class="phone"' not in page and "FLASK10X_BIND" in page


def test_a_board_that_sends_is_offered_in_its_step(client: FlaskClient) -> None:
    client.post("/freezer", json={"temperature": -18})
    assert "freezer is sending" in words(client.get("/setup/start/board").text)


def test_an_administrators_browser_is_led_there_while_the_house_is_empty(
    client: FlaskClient, of: Administrators
) -> None:
    assert "/setup/start" not in client.get("/").text
    link = of.new_link(clock.now_ms())
    assert 'name="start"' not in client.get(f"/setup/link/{link}").text
    page = client.get(f"/setup/link/{link}?start=1").text
    assert 'name="start" value="1"' in page
    answer = client.post("/setup/link", data={"link": link, "start": "1"})
    assert answer.headers["Location"] == "/setup/start"
    assert token_of(client.get("/setup/start").text)
    assert 'href="/setup/start"' in client.get("/").text


def test_once_gone_through_they_are_not_offered_any_more(
    client: FlaskClient, of: Administrators
) -> None:
    become(client, of)
    client.get("/setup/start/backup")
    assert "five short steps" in words(client.get("/").text)
    client.application.test_client().get("/setup/start/done")
    assert not of.has_begun
    client.get("/setup/start/done")
    assert of.has_begun and "five short steps" not in words(client.get("/").text)
