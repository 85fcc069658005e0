"""`/openapi.json` and the page `/api`."""

import html
import re
import shlex
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.translation import translation
from flask10x.web.app import create_app, declared
from flask10x.web.specification.document import operations, specification
from tests.conftest import MakeSettings

READ, WRITE = "read-0123456789abcdef", "write-0123456789abcdef"


def page(client: FlaskClient, language: str = "en", **headers: str) -> str:
    answer = client.get("/api", headers={"Accept-Language": language, **headers})
    assert answer.status_code == 200
    return answer.text


def commands(text: str) -> list[str]:
    return [
        html.unescape(command) for command in re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL)
    ]


def test_programs_get_the_specification_once(client: FlaskClient, settings: Settings) -> None:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.json == specification(settings, declared(settings))
    tag = answer.headers["ETag"]
    again = client.get("/openapi.json", headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    packed = client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    headers = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}
    assert client.get("/openapi.json", headers=headers).status_code == 304


def test_the_address_is_relative_to_where_the_service_is(client: FlaskClient) -> None:
    answer = client.get("/openapi.json", base_url="http://pi.local/house/")
    assert answer.json is not None
    assert answer.json["servers"] == [{"url": "/house"}]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_has_every_operation(
    client: FlaskClient, settings: Settings, language: str
) -> None:
    text = page(client, language)
    for path, method, _ in operations(specification(settings, declared(settings))):
        assert f"<code>{method.upper()} {path}</code>" in text
    # What all pages have, and nothing that this one needs.
    assert re.findall(r'<script[^>]*src="([^"]*)', text) == ["/static/site.js"]


def test_the_page_is_in_the_readers_language(client: FlaskClient) -> None:
    assert "Takes a reading of this station: Bedroom" in page(client)
    assert "このセンサーの測定値を受け付けます: 寝室" in page(client, "ja")


def test_what_the_specification_says_is_said_in_japanese(
    client: FlaskClient, settings: Settings
) -> None:
    document = specification(settings, declared(settings))
    texts = {part["description"] for part in document["components"]["responses"].values()}
    for methods in document["paths"].values():
        for operation in methods.values():
            texts |= {part.get("description", "") for part in operation["responses"].values()}
            texts |= {part.get("description", "") for part in operation.get("parameters", ())}
    for name, part in document["components"]["parameters"].items():
        texts |= set() if "__" in name else {part["description"]}
    t = translation("ja")
    assert [text for text in texts - {""} if t(text) == text] == []
    assert "トークンがないか、正しくありません。" in page(client, "ja")
    assert "The token is missing or wrong." in page(client)


def test_commands_are_for_the_address_of_this_reader(client: FlaskClient) -> None:
    text = page(client, Host="pi.local:8888")
    pasted = commands(text)
    assert "curl -s http://pi.local:8888/healthz" in pasted
    posts = [command for command in pasted if "--data-binary" in command]
    assert len(posts) > 5
    assert all(shlex.split(command)[-1].endswith("?dry_run=1") for command in posts)
    assert "$TOKEN" not in text


def test_a_strange_name_of_the_host_cannot_leave_its_word(client: FlaskClient) -> None:
    for command in commands(page(client, Host="a'$(reboot)")):
        assert "$(reboot)" not in command or "$(reboot)" in shlex.split(command)[-1]
        assert shlex.split(command)[0] == "curl"


@pytest.fixture
def guarded(make_settings: MakeSettings, tmp_path: Path) -> Flask:
    files = {}
    for name, token in (("READ", READ), ("WRITE", WRITE)):
        file = tmp_path / name
        file.write_text(f"* {token}\n")
        file.chmod(0o600)
        files[f"{name}_TOKENS_FILE"] = file
    return create_app(make_settings(**files), missing="there was a database")


def test_tokens_are_required_and_explained_also_without_a_database(guarded: Flask) -> None:
    client = guarded.test_client()
    assert client.get("/openapi.json").status_code == 401
    assert client.get("/api").status_code == 401
    bearer = {"Authorization": f"Bearer {READ}"}
    answer = client.get("/openapi.json", headers=bearer)
    assert answer.json is not None
    assert answer.json["paths"]["/data"]["post"]["security"] == [{"write": []}]
    text = client.get("/api", headers=bearer).text
    with_token = 'curl -s -H "Authorization: Bearer $TOKEN"'
    assert f"{with_token} http://localhost/metrics" in commands(text)
    assert "curl -s http://localhost/healthz" in commands(text)
    assert "read -rs TOKEN" in text
    guarded.extensions["flask10x"].close()
