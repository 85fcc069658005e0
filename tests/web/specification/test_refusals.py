"""What is answered without a token, a database or a known name of the host is as specified."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.web.specification.test_specification import (
    answer_to,
    in_earnest,
    operations,
    specification,
)

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
    check(waiting.test_client(), settings, {})


@pytest.mark.parametrize("host", ["pi.local", "elsewhere.example"])
@pytest.mark.parametrize("origin", ["", "http://elsewhere.example"], ids=["no page", "a page"])
def test_without_a_token(guarded: Settings, host: str, origin: str) -> None:
    app = create_app(guarded, missing="there was a database")
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    check(app.test_client(), guarded, headers)
    app.extensions["flask10x"].close()


def check(client: FlaskClient, settings: Settings, headers: dict[str, str]) -> None:
    document = specification(settings)
    for path, _, operation in operations(settings):
        answer = answer_to(client, in_earnest(path, operation), headers)
        content = operation["responses"][str(answer.status_code)].get("content", {"text/html": {}})
        if not answer.data:
            assert (answer.status_code, answer.mimetype) == (204, None), path
            continue
        rules = content.get(answer.mimetype)
        assert rules is not None, f"{path}: {answer.status_code} {answer.mimetype}"
        if answer.is_json:
            schema = jsonschema.Draft202012Validator(document | rules["schema"])
            errors = [error.message for error in schema.iter_errors(answer.json)]
            assert not errors, f"{path}: {answer.text}"
