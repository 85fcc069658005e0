"""The examples of the page on late readings give the answers that it shows, in both languages."""

import json
import shlex

import pytest
from flask.testing import FlaskClient

from flask10x.recording.writer import Writer
from tests.contract.test_docs import LANGUAGES, example

PAGE = "howto/send-late"
ORIGIN = "http://localhost:8888"


def answer_to(client: FlaskClient, command: str) -> object:
    """What the service answers to this curl."""
    words = iter(shlex.split(command.replace("curl -s ", "")))
    headers, body, path = {}, "", ""
    for word in words:
        if word == "-H":
            name, _, headers[name] = next(words).partition(": ")
        elif word == "-d":
            body = next(words)
        else:
            path = word.removeprefix(ORIGIN)
    return client.post(path, data=body.encode(), headers=headers).get_json()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_shown_answers_are_the_programs(
    client: FlaskClient, writer: Writer, language: str
) -> None:
    for label in ("trial", "many", "own route", "first time", "again"):
        command = example(PAGE, language, label, "sh").splitlines()[-1]

        assert answer_to(client, command) == json.loads(example(PAGE, language, label)), label
        writer.step()
