"""The fast path: readings of sensors bypass what Flask does around a view for browsers."""

import logging
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Literal

from flask import Flask
from werkzeug.http import HTTP_STATUS_CODES

from flask10x.config.settings import Settings
from flask10x.readings.parse import BODY_MAX_BYTES, begins_array
from flask10x.recording.batch import Receipt
from flask10x.runtime.store import Store
from flask10x.web.headers import ALWAYS
from flask10x.web.ingest.take import Outcome, note, repeat_window_ms, sent_of, take
from flask10x.web.limits import CONFLICTS, RECEIPT, takes_large_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

JSON_TYPE = "application/json"
# A request with one of these has a key, or conflicting headers. The first two come from browsers
# only, and then the request may be one that they may not send.
OUT_OF_THE_ORDINARY = ("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_IDEMPOTENCY_KEY", CONFLICTS)

Lane = Literal["at_once", "senders", "events", "others"]

# What takes no time, and an answer without an end, which would hold a thread for as long.
OF_THE_MAIN_THREAD: dict[str, Lane] = {"/healthz": "at_once", "/events": "events"}


class Lanes:
    """Assigns each request of one worker to a lane.

    A sender whose key has to be looked up in the database, or that brings many readings, is not
    answered at once; but it does not wait for pages and downloads either. With ACK=committed a key
    is looked up only for a dry run: otherwise the commit recognises repeats.
    """

    def __init__(self, settings: Settings) -> None:
        self._asks_keys = settings.ack != "committed"
        # Whether each body has a key, by path.
        self._posts = {
            f"/{station.endpoint}": repeat_window_ms(settings, station) > 0
            for station in settings.stations.all
        }

    def __call__(self, environ: "WSGIEnvironment", body: bytes) -> Lane:
        """The lane of a request with this head and body."""
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] != "POST":
            is_get = environ["REQUEST_METHOD"] == "GET"
            return OF_THE_MAIN_THREAD.get(path, "others") if is_get else "others"
        if path not in self._posts:
            return "senders" if takes_large_body(path) else "others"
        has_key = self._posts[path] or "HTTP_IDEMPOTENCY_KEY" in environ
        asks = has_key and (self._asks_keys or environ.get("QUERY_STRING"))
        return "senders" if asks or begins_array(body) else "at_once"


class FastPath:
    """Answers readings of sensors without what Flask does around a view for browsers.

    It is a WSGI application around Flask's, for a service that lets any sensor in. Nine of ten
    requests are a body of JSON for a station, with a Content-Length and from no browser. Of the
    checks before a view and the additions after it, only the usual headers concern them, and the
    checks cost more than the reading. All other requests reach the same function through Flask.
    """

    def __init__(self, app: Flask) -> None:
        self._dumps = app.json.dumps
        self._usual = app.wsgi_app
        self._store: Store = app.extensions["flask10x"]
        settings = self._store.settings
        self._by_path = {
            f"/{station.endpoint}": station
            for station in settings.stations.all
            if not repeat_window_ms(settings, station)
        }

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """The answer to a request, as WSGI has it (PEP 3333)."""
        station = self._by_path.get(environ["PATH_INFO"])
        if station is None or not _is_plain(environ):
            return self._usual(environ, start_response)
        length = int(environ["CONTENT_LENGTH"])
        raw = environ["wsgi.input"].read(length)
        if len(raw) < length or begins_array(raw):
            environ["wsgi.input"] = BytesIO(raw)
            return self._usual(environ, start_response)
        try:
            sent = sent_of(station, raw, JSON_TYPE)
            outcome = take(self._store, sent, environ.get(RECEIPT, Receipt))
        except Exception as error:
            log.error("Unexpected failure", exc_info=error)
            outcome = Outcome({"error": "internal server error"}, 500)
        note(self._store, station.endpoint, environ, raw, outcome.status)
        body = f"{self._dumps(outcome.body, separators=(',', ':'))}\n".encode()
        head = [("Content-Type", JSON_TYPE), ("Content-Length", str(len(body)))]
        status = f"{outcome.status} {HTTP_STATUS_CODES[outcome.status].upper()}"
        start_response(status, [*head, *outcome.headers, *ALWAYS.items()])
        return [body]


def _is_plain(environ: "WSGIEnvironment") -> bool:
    """Whether nothing about a request to a station is out of the ordinary."""
    length = environ.get("CONTENT_LENGTH", "")
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ.get("CONTENT_TYPE") == JSON_TYPE
        and length.isascii()
        and length.isdigit()
        and len(length) <= len(str(BODY_MAX_BYTES))
        and int(length) <= BODY_MAX_BYTES
        and environ.keys().isdisjoint(OUT_OF_THE_ORDINARY)
        and not environ.get("QUERY_STRING")
    )
