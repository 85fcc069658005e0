"""The first steps of a new installation."""

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.runtime.administrators import Administrators
from flask10x.system import address, clock
from tests.conftest import MakeApp
from tests.support.html import words
from tests.web.pages.test_administrators import become


@pytest.fixture
def of(settings: Settings) -> Administrators:
    return Administrators(settings)


def test_each_page_of_the_setup_is_led_to(client: FlaskClient, of: Administrators) -> None:
    become(client, of)
    main = client.get("/setup/start").text.partition("<h1>")[2]
    for path in ("/setup/house", "/setup/new-station", "/setup/notifications", "/setup/files", "/"):
        assert f'href="{path}"' in main


def test_the_name_of_the_house_is_on_the_pages(make_app: MakeApp) -> None:
    page = make_app(HOUSE_NAME="<b>山の家").test_client().get("/").text
    assert "<title>Home – &lt;b&gt;山の家</title>" in page and "<b>山の家" not in page


def test_strangers_see_how_to_become_an_administrator(client: FlaskClient) -> None:
    page = client.get("/setup/start")
    assert page.status_code == 200 and "admin-link" in page.text


def test_the_code_is_of_an_address_that_a_phone_can_use(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "own_address", lambda: "192.168.0.7")
    page = client.get("/setup/start", headers={"Host": "localhost:8888"}).text
    assert "http://192.168.0.7:8888/" in page and "<svg" in page.partition('class="phone"')[2]
    page = client.get("/setup/start", headers={"Host": "pi.local"}).text
    assert "<code>http://pi.local/</code>" in page
    monkeypatch.setattr(address, "own_address", lambda: None)
    monkeypatch.setattr(address, "local_name", lambda _settings: None)
    page = client.get("/setup/start", headers={"Host": "127.0.0.1:8888"}).text
    assert 'class="phone"' not in page and "FLASK10X_BIND" in page


def test_a_board_that_sends_is_offered(client: FlaskClient) -> None:
    client.post("/freezer", json={"temperature": -18})
    assert "freezer is sending" in words(client.get("/setup/start").text)


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
    assert 'href="/setup/start"' in client.get("/").text
