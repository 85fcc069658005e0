"""Language and colours: by the browser, by a switch that sticks, without JavaScript."""

import pytest
from flask.testing import FlaskClient

from tests.support.html import Outline
from tests.support.pages import ADDRESSES


def language_of(client: FlaskClient, path: str, accepted: str | None) -> str | None:
    headers = {} if accepted is None else {"Accept-Language": accepted}
    answer = client.get(path, headers=headers)
    (html,) = Outline(answer.text).all("html")
    assert answer.headers["Content-Language"] == html["lang"]
    assert {"Accept-Language", "Cookie"} <= set(answer.headers["Vary"].split(", "))
    return html["lang"]


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (None, "en"),
        ("ja", "ja"),
        ("ja-JP,ja;q=0.9,en;q=0.8", "ja"),
        ("en-US,en;q=0.9,ja;q=0.8", "en"),
        ("fr, ja;q=0.5", "ja"),
        ("fr", "en"),
        ("*", "en"),
        ("x" * 1000, "en"),
    ],
)
def test_the_browsers_language(client: FlaskClient, accepted: str | None, expected: str) -> None:
    languages = {path: language_of(client, path, accepted) for path in ADDRESSES}
    assert languages == dict.fromkeys(ADDRESSES, expected)


@pytest.mark.parametrize("path", ADDRESSES)
def test_a_page_speaks_one_language_only(client: FlaskClient, path: str) -> None:
    text = client.get(path, headers={"Accept-Language": "en"}).text.replace("日本語", "")
    assert not [c for c in text if "ぁ" <= c <= "ヶ" or "一" <= c <= "龠"]
    assert "履歴" in client.get(path, headers={"Accept-Language": "ja"}).text


def test_a_switch_sticks_and_leaves_the_address(client: FlaskClient) -> None:
    answer = client.get("/history?endpoint=data2&lang=ja&from=-24h&co2__gt=1&theme=dark")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/history?endpoint=data2&from=-24h&co2__gt=1"
    for cookie in answer.headers.getlist("Set-Cookie"):
        assert "SameSite=Lax" in cookie and "Path=/" in cookie and "Max-Age=31536000" in cookie
    for path in ADDRESSES:
        (html,) = Outline(client.get(path, headers={"Accept-Language": "en"}).text).all("html")
        assert html == {"lang": "ja", "data-theme": "dark"}
    assert client.get("/?theme=auto").headers["Location"] == "/"
    (html,) = Outline(client.get("/").text).all("html")
    assert html["data-theme"] == "auto"


def test_a_part_of_the_setup_is_switched_too(client: FlaskClient) -> None:
    page = {"Accept": "text/html"}
    answer = client.get("/setup/stations?lang=ja", headers=page)
    assert answer.status_code == 303 and answer.location == "/setup/stations"
    assert 'lang="ja"' in client.get("/setup/stations", headers=page).text


def test_each_page_has_links_to_the_other_choices(client: FlaskClient) -> None:
    page = Outline(client.get("/history?from=-24h&co2__gt=1").text)
    switches = [a for a in page.all("a") if str(a["href"]).startswith("?")]
    assert [(a["href"], "aria-current" in a) for a in switches] == [
        ("?from=-24h&co2__gt=1&lang=ja", False),
        ("?from=-24h&co2__gt=1&lang=en", True),
        ("?from=-24h&co2__gt=1&theme=auto", True),
        ("?from=-24h&co2__gt=1&theme=light", False),
        ("?from=-24h&co2__gt=1&theme=dark", False),
    ]


@pytest.mark.parametrize("query", ["lang=fr", "theme=red", "lang=", "lang=JA"])
def test_another_choice_is_an_unknown_parameter(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/history?{query}x")
    assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (400, [])


def test_programs_get_no_cookie_and_no_redirect(client: FlaskClient) -> None:
    for path in ("/history/json", "/history.csv"):
        answer = client.get(f"{path}?lang=ja")
        assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (400, [])


def test_a_forged_cookie_is_ignored(client: FlaskClient) -> None:
    client.set_cookie("lang", "<b>")
    client.set_cookie("theme", '"><script>')
    (html,) = Outline(client.get("/history").text).all("html")
    assert html == {"lang": "en", "data-theme": "auto"}
