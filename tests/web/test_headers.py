"""The security headers of every answer, and that pages live with their policy."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.conftest import MakeApp
from tests.support.pages import ADDRESSES

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}
EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ANSWERS = [
    ("GET", "/healthz", 200),
    ("GET", "/metrics", 200),
    ("GET", "/history/json", 200),
    ("GET", "/history.csv", 200),
    ("GET", "/history/json?bogus=1", 400),
    ("GET", "/nowhere", 404),
    ("GET", "/data", 405),
    ("POST", "/data", 400),
    ("GET", "/static/flask10x.css", 200),
]
PAGES = [*ADDRESSES, "/history?bogus=1"]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_every_answer_has_them(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert EVERYWHERE.items() <= dict(answer.headers).items()
    assert "Content-Security-Policy" not in answer.headers
    answer.close()


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_the_policy(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert EVERYWHERE.items() <= dict(answer.headers).items()
    assert set(answer.headers["Content-Security-Policy"].split("; ")) == POLICY
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_an_unexpected_failure_has_them_too(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("flask10x.readings.parse.parse", bug)
    answer = client.post("/data", json={})
    assert answer.status_code == 500
    assert EVERYWHERE.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_nothing_that_its_policy_forbids(client: FlaskClient, path: str) -> None:
    text = client.get(path).text
    assert re.findall(r"<style|\sstyle=|\son\w+=|<base|javascript:", text) == []
    assert re.findall(r"<script(?![^>]*\ssrc=\"/static/)[^>]*>", text) == []
    assert re.findall(r"(?:src|action)=\"(?:https?:)?//", text) == []


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
@pytest.mark.parametrize("path", ["/history/json", "/metrics", "/data"])
def test_no_other_origin_is_ever_allowed(client: FlaskClient, origin: str, path: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    for method in ("GET", "POST", "OPTIONS"):
        answer = client.open(path, method=method, headers=asked)
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/history//json?limit=3"),
        ("POST", "/api//v1/readings"),
        ("GET", "/static//icon.svg"),
    ],
)
def test_an_address_with_two_slashes_leads_to_no_other_host(
    client: FlaskClient, method: str, path: str
) -> None:
    answer = client.open(path, method=method, headers={"Host": "elsewhere.example"})
    assert answer.status_code == 308
    assert answer.headers["Location"] == path.replace("//", "/")
    assert "elsewhere" not in answer.text


@pytest.mark.parametrize("token", ["", "a-token-of-32-letters-and-digits"])
def test_the_icon_for_which_browsers_ask_is_there(
    make_app: MakeApp, tmp_path: Path, token: str
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"* {token}\n")
    tokens.chmod(0o600)
    client = make_app(**({"READ_TOKENS_FILE": str(tokens)} if token else {})).test_client()
    answer = client.get("/favicon.ico")
    assert answer.status_code == 200 and answer.mimetype == "image/png"
    assert answer.data.startswith(b"\x89PNG")
