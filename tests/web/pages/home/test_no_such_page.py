"""An address that there is not: a page for people, JSON for programs."""

import re

import pytest
from flask.testing import FlaskClient

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_a_browser_gets_a_page_in_the_readers_language(client: FlaskClient) -> None:
    answer = client.get("/nosuch", headers=BROWSER | {"Accept-Language": "ja"})
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "ページが見つかりません" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Accept" in answer.headers["Vary"]


def test_it_has_the_switches_of_all_pages(client: FlaskClient) -> None:
    answer = client.get("/nosuch?lang=ja&theme=dark", headers=BROWSER)
    assert (answer.status_code, answer.location) == (303, "/nosuch")
    page = client.get("/nosuch", headers=BROWSER).text
    assert "ページが見つかりません" in page and 'data-theme="dark"' in page
    assert client.get("/nosuch?lang=ja").status_code == 404


@pytest.mark.parametrize("path", ["//elsewhere.example", "/\\elsewhere.example", "///x"])
def test_a_switch_leads_to_no_other_server(client: FlaskClient, path: str) -> None:
    answer = client.get(f"http://localhost{path}?lang=ja", headers=BROWSER)
    assert "\\" not in answer.location and not answer.location.startswith("//")


def test_the_page_that_was_meant_is_named(client: FlaskClient) -> None:
    page = client.get("/histroy/", headers=BROWSER).text
    assert "Perhaps you meant" in page and 'href="/history?from=-24h">History</a></p>' in page
    below = client.get("/notes/today", headers=BROWSER).text
    assert 'Perhaps you meant: <a href="/notes">Notes</a>' in below
    assert "Perhaps you meant" not in client.get("/" + "x" * 400, headers=BROWSER).text


@pytest.mark.parametrize("path", ["/nonsense", "/login", "/graph", "/store", "/index.html"])
def test_what_is_like_no_page_suggests_none_but_shows_all(client: FlaskClient, path: str) -> None:
    page = client.get(path, headers=BROWSER).text
    assert "Perhaps you meant" not in page
    shown = page.partition('<ul class="links">')[2]
    assert re.findall(r">(\w[\w ]*)</a>", shown) == [
        *("Home", "History", "Records", "Alerts"),
        *("Health", "Settings", "Notes", "Rejected readings", "API"),
    ]


def test_an_address_of_a_board_says_what_it_is_for(client: FlaskClient) -> None:
    answer = client.get("/data", headers=BROWSER)
    assert answer.status_code == 405
    assert "Boards send their readings" in answer.text
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/notes/write", "/notes/undo", "/alerts/mute"])
def test_an_address_of_a_form_leads_to_its_page(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == 405
    page = answer.text
    assert "Boards send their readings" not in page
    assert f'Perhaps you meant: <a href="{path.rpartition("/")[0]}"' in page


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html;q=0.5,*/*"])
def test_programs_get_json(client: FlaskClient, accept: str | None) -> None:
    answer = client.get("/nosuch", headers={} if accept is None else {"Accept": accept})
    assert (answer.status_code, answer.json) == (404, {"error": "not found"})


def test_what_is_posted_is_answered_as_json(client: FlaskClient) -> None:
    answer = client.post("/nosuch", headers=BROWSER, json={})
    assert answer.status_code == 404 and answer.is_json


def test_other_refusals_stay_json(client: FlaskClient) -> None:
    answer = client.get("/api/v1/latest?station=nosuch", headers=BROWSER)
    assert answer.status_code == 404 and answer.is_json
