"""What the worker answers by itself."""

import json
from http import HTTPStatus

import pytest
from gunicorn.http.errors import (
    ConfigurationProblem,
    ExpectationFailed,
    InvalidHeader,
    InvalidResponseHeader,
    LimitRequestLine,
)

from flask10x.server.refusals import SHOWN_CHARS, answer, status_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidHeader("A"), 400),
        (ConfigurationProblem("of the sender"), 400),
        (LimitRequestLine(1, 2), 414),
        (ExpectationFailed("wonders"), 417),
        (InvalidResponseHeader("ours"), 500),
        (KeyError("ours"), 500),
    ],
)
def test_the_status_says_whose_mistake_it_is(error: Exception, status: int) -> None:
    assert status_of(error) == status


def test_what_was_sent_ends_no_line_of_the_answer() -> None:
    head, body = answer(HTTPStatus.BAD_REQUEST, "a\r\nb: é\x1b" + "x" * 999).split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    assert body.isascii()
    shown = json.loads(body)
    assert shown["error"] == "bad request"
    assert (shown["hint"][:7], len(shown["hint"])) == ("a\r\nb: é", SHOWN_CHARS)


def test_without_a_hint_there_is_none() -> None:
    body = answer(HTTPStatus.INTERNAL_SERVER_ERROR).rpartition(b"\r\n")[2]
    assert json.loads(body) == {"error": "internal server error"}
