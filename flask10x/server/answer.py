"""Answers to boards, ready as bytes: gunicorn makes each head once, and only the date changes."""

import time
from functools import lru_cache
from types import SimpleNamespace

from gunicorn import util
from gunicorn.http.wsgi import Response

DATE = b"Date: "
# The answers to a station differ in their status and their length.
HEADS_MAX = 256


class Answer:
    """The answer to a POST with a Content-Length, byte for byte as gunicorn would send it."""

    def __init__(self, version: tuple[int, int]) -> None:
        """For a request with this version of HTTP."""
        self._version = version

    def start_response(self, status: str, headers: list[tuple[str, str]]) -> None:
        """For the application, which answers with these (PEP 3333)."""
        self._status, self._headers = status, tuple(headers)

    def whole(self, body: bytes, *, is_last: bool) -> bytes:
        """Return head and body; raises what gunicorn raises about wrong headers."""
        before, after = _head(self._version, self._status, self._headers, is_last)
        return b"".join((before, _date(int(time.time())), after, body))


class _Sent(bytearray):
    """A socket that keeps what gunicorn sends."""

    sendall = bytearray.extend


@lru_cache(HEADS_MAX)
def _head(
    version: tuple[int, int], status: str, headers: tuple[tuple[str, str], ...], is_last: bool
) -> tuple[bytes, bytes]:
    """What stands before and after the date."""
    sent = _Sent()
    request = SimpleNamespace(version=version, method="POST", should_close=lambda: is_last)
    response = Response(request, sent, None)
    response.start_response(status, [*headers])
    if response.chunked:
        raise AssertionError("the answer to a board has no Content-Length")
    response.send_headers()
    before, _, after = bytes(sent).partition(DATE)
    return before + DATE, after[after.index(b"\r\n") :]


@lru_cache(1)
def _date(epoch_sec: int) -> bytes:
    return bytes(util.http_date(epoch_sec), "ascii")
