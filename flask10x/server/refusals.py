"""Answers to requests that the application never sees, because they are incomplete or invalid."""

import json
from http import HTTPStatus

from gunicorn.http.errors import (
    ParseException,
)

from flask10x.web.headers import ALWAYS

# An answer has to be short (contract, section 7); what was sent may be long.
SHOWN_CHARS = 200
# What gunicorn's parser raises, by name: not every release has all of them.
STATUSES = {
    "ExpectationFailed": HTTPStatus.EXPECTATION_FAILED,
    "LimitRequestHeaders": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "LimitRequestLine": HTTPStatus.REQUEST_URI_TOO_LONG,
    "UnsupportedTransferCoding": HTTPStatus.NOT_IMPLEMENTED,
    "Late": HTTPStatus.REQUEST_TIMEOUT,
    # Derived from errors of the sender's, but they are the application's.
    "InvalidResponseHeader": HTTPStatus.INTERNAL_SERVER_ERROR,
    "InvalidResponseHeaderName": HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Incomplete(ParseException):  # type: ignore[misc]
    """A request that has begun and stays incomplete; the text is for the author of the sender."""


class Late(Incomplete):
    """A request that is not complete in time."""


def status_of(error: BaseException) -> HTTPStatus:
    """The status for an error of reading or of gunicorn's parser; 500 for other errors."""
    of_sender = isinstance(error, ParseException)
    usual = HTTPStatus.BAD_REQUEST if of_sender else HTTPStatus.INTERNAL_SERVER_ERROR
    return STATUSES.get(type(error).__name__, usual)


def answer(status: HTTPStatus, hint: str = "") -> bytes:
    """A whole answer, after which the connection ends: JSON with the usual headers."""
    body = {"error": status.phrase.lower()} | ({"hint": hint[:SHOWN_CHARS]} if hint else {})
    text = json.dumps(body) + "\n"
    headers = {"Content-Type": "application/json", **ALWAYS, "Content-Length": len(text)}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    first = f"HTTP/1.1 {status} {status.phrase}"
    return "\r\n".join([first, *lines, "Connection: close", "", text]).encode("ascii")
