"""Answers for people and programs that read, compressed with gzip when they ask for it.

The standard library does it in a page of code. Never on what a sensor gets (short answers that old
boards must understand), and never on a streamed download, whose broken end has to be seen.
"""

import gzip
import re
from functools import lru_cache
from http import HTTPStatus

from flask import Flask, Response, request

# Below this the headers and a packet's end eat the gain.
LEAST_BYTES = 1000
# Level 6 costs a page twice the time of 4 and saves 4 % more.
LEVEL = 5
# Of a file that is compressed once.
KEPT_LEVEL = 9
# Comments are for who reads the source; they were a quarter of the weight of the scripts. Those on
# lines of their own go, but not the licence of others, `/*! … */`.
WITH_COMMENTS = frozenset(("text/javascript", "text/css"))
COMMENTS = re.compile(rb"^[ \t]*(?://[^\n]*|/\*(?!!)(?:[^*]|\*(?!/))*\*/)[ \t]*\n", re.MULTILINE)
TEXTS = frozenset(("text/html", "text/css", "text/javascript", "image/svg+xml"))
JSON = re.compile(r"application/(?:.+\+)?json")


def init_app(app: Flask) -> None:
    """Compress what qualifies of everything that the application answers to a GET."""
    app.after_request(_compress)


def _compress(answer: Response) -> Response:
    is_text = answer.mimetype in TEXTS or JSON.fullmatch(answer.mimetype or "")
    if request.method not in ("GET", "HEAD") or not is_text:
        return answer
    static = request.endpoint == "static"
    if answer.is_streamed and not static:
        return answer
    answer.vary.add("Accept-Encoding")
    takes_gzip = request.accept_encodings.best_match(["gzip", "identity"]) == "gzip"
    if not takes_gzip or answer.status_code == HTTPStatus.PARTIAL_CONTENT:
        return answer
    answer.direct_passthrough = False
    body = answer.get_data()
    answer.close()
    if len(body) >= LEAST_BYTES:
        if static:
            answer.set_data(_packed_once(body, answer.mimetype))
        else:
            answer.set_data(gzip.compress(body, LEVEL, mtime=0))
        answer.headers["Content-Encoding"] = "gzip"
        etag, _ = answer.get_etag()
        if etag:
            # Not the same bytes as without compression, but the same content.
            answer.set_etag(etag, weak=True)
    return answer


# Our files are the same for everybody, and fewer than these; a Pi takes some milliseconds for the
# largest, once.
@lru_cache(maxsize=128)
def _packed_once(body: bytes, mimetype: str | None) -> bytes:
    if mimetype in WITH_COMMENTS:
        body = COMMENTS.sub(b"", body)
    return gzip.compress(body, KEPT_LEVEL, mtime=0)
