"""What is answered without a token, a database or a known name of the host is as specified."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.web.app import create_app
from flask10x.web.specification.operation import Operation
from tests.conftest import MakeSettings
from tests.web.specification.test_specification import asked, operations, specification

jsonschema = pytest.importorskip("jsonschema", reason="the extra `tools` is missing: make tools")
pytestmark = pytest.mark.tools


@pytest.fixture
def guarded(make_settings: MakeSettings, tmp_path: Path) -> Settings:
    files = {"READ_TOKENS_FILE": tmp_path / "read", "WRITE_TOKENS_FILE": tmp_path / "write"}
    for file in files.values():
        file.write_text("* 0123456789abcdef\n")
        file.chmod(0o600)
    return make_settings(ALLOWED_HOSTS="pi.local", **files)


@pytest.fixture
def waiting(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings, missing="there was a database")
    yield app
    app.extensions["flask10x"].close()


def test_without_a_database(waiting: Flask, settings: Settings) -> None:
    document = specification(settings)
    for one in operations(settings):
        check(waiting.test_client(), one, document, {})


@pytest.mark.parametrize("host", ["pi.local", "elsewhere.example"])
@pytest.mark.parametrize("origin", ["", "http://elsewhere.example"], ids=["no page", "a page"])
def test_without_a_token(guarded: Settings, host: str, origin: str) -> None:
    app, document = create_app(guarded, missing="there was a database"), specification(guarded)
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    for one in operations(guarded):
        check(app.test_client(), one, document, headers)
    app.extensions["flask10x"].close()


def check(
    client: FlaskClient, one: Operation, document: dict[str, Any], headers: dict[str, str]
) -> None:
    answer = asked(client, one, headers)
    specified = one.answers[str(answer.status_code)]
    if "$ref" in specified:
        specified = document["components"]["responses"][specified["$ref"].split("/")[-1]]
    content = specified.get("content", {"text/html": {}})
    rules = content.get(answer.mimetype, content.get("*/*"))
    assert rules is not None, f"{one.path}: {answer.status_code} {answer.mimetype}"
    if answer.is_json:
        known = jsonschema.Draft202012Validator(document | rules["schema"])
        errors = [error.message for error in known.iter_errors(answer.json)]
        assert not errors, f"{one.path}: {answer.text}"
