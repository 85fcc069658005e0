"""What browsers may keep of the pages, and what makes them an app on a phone."""

import json
import re
from pathlib import Path

from flask.testing import FlaskClient

from tests.conftest import MakeApp

TOKEN = "a-token-of-sufficient-length-1234"


def test_pages_shown_with_a_token_are_kept_nowhere(
    client: FlaskClient, make_app: MakeApp, tmp_path: Path
) -> None:
    for path in ("/", "/history"):
        assert client.get(path).headers["Cache-Control"] == "no-cache"
    tokens = tmp_path / "tokens"
    tokens.write_text(f"* {TOKEN}\n")
    tokens.chmod(0o600)
    guarded = make_app(READ_TOKENS_FILE=tokens).test_client()
    shown = ("/", "/history", "/status", "/history/series", "/history.csv", "/notes.json")
    for path in (*shown, "/api/v1/notes", "/records.csv"):
        answer = guarded.get(path, auth=("any", TOKEN), buffered=True)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store"), path
    for path in ("/static/site.js", "/healthz"):
        answer = guarded.get(path, buffered=True)
        assert answer.headers.get("Cache-Control") != "no-store", path


def test_the_worker_looks_after_all_pages(client: FlaskClient) -> None:
    answer = client.get("/static/service_worker.js", buffered=True)
    assert answer.headers["Service-Worker-Allowed"] == "/"
    below = client.get(
        "/static/service_worker.js", environ_overrides={"SCRIPT_NAME": "/house"}, buffered=True
    )
    assert below.headers["Service-Worker-Allowed"] == "/house/"
    other = client.get("/static/site.js", buffered=True)
    assert "Service-Worker-Allowed" not in other.headers


def test_every_icon_of_the_manifest_is_there(client: FlaskClient) -> None:
    answer = client.get("/static/app.webmanifest", buffered=True)
    assert answer.mimetype == "application/manifest+json"
    for icon in json.loads(answer.text)["icons"]:
        found = client.get(f"/static/{icon['src']}", buffered=True)
        assert (found.status_code, found.mimetype) == (200, icon["type"])
    assert "manifest-src 'self'" in client.get("/").headers["Content-Security-Policy"]


def test_each_page_says_when_it_was_made(client: FlaskClient) -> None:
    page = client.get("/history").text
    assert re.search(r"These are the last values, as of \w{3} \d+ \w{3}, \d\d:\d\d\.", page)
