"""The short way: what sensors post, without what Flask does around a view for browsers."""

import logging
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Literal

from flask import Flask
from werkzeug.http import HTTP_STATUS_CODES

from flask10x.config.settings import Settings
from flask10x.readings.parse import BODY_MAX_BYTES, begins_array
from flask10x.readings.stations import Station
from flask10x.recording.batch import Receipt
from flask10x.runtime.store import Store
from flask10x.web.headers import ALWAYS
from flask10x.web.ingest.take import Outcome, note, repeat_window_ms, sent_of, take
from flask10x.web.limits import CONFLICTS, RECEIPT, takes_large_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Lane = Literal["at_once", "senders", "others"]


class Lanes:
    """Sorts the requests of one worker.

    A sender that has to wait until the database has been asked for its key, or brings many
    readings, is not answered at once; but it does not wait for pages and downloads either. With
    ACK=committed nobody asks for a key, unless it is a dry run: the commit says what is a repeat.
    """

    def __init__(self, settings: Settings) -> None:
        self._asks_keys = settings.ack != "committed"
        # Path -> whether each body has a key.
        self._posts = {
            f"/{station.endpoint}": repeat_window_ms(settings, station) > 0
            for station in settings.stations.all
        }

    def __call__(self, environ: "WSGIEnvironment", body: bytes) -> Lane:
        """By its head and its body."""
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] != "POST":
            is_health = path == "/healthz" and environ["REQUEST_METHOD"] == "GET"
            return "at_once" if is_health else "others"
        if path not in self._posts:
            return "senders" if takes_large_body(path) else "others"
        has_key = self._posts[path] or "HTTP_IDEMPOTENCY_KEY" in environ
        asks = has_key and (self._asks_keys or environ.get("QUERY_STRING"))
        return "senders" if asks or begins_array(body) else "at_once"


log = logging.getLogger(__name__)

JSON_TYPE = "application/json"
# Only browsers send them, and then the request may be one that they may not send.
OF_BROWSERS = ("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE")
# What asks for more than the usual, a key say, or is to be refused.
OUT_OF_THE_ORDINARY = (*OF_BROWSERS, "HTTP_IDEMPOTENCY_KEY", CONFLICTS)


class FastPath:
    """What sensors post, without what Flask does around a view for browsers.

    A WSGI application round Flask's, for a service that lets any sensor in. Nine of ten requests
    are a body of JSON for a station, with a Content-Length and from no browser. Of what is asked
    before a view and added after it, nothing but the usual headers concerns them, and asking costs
    more than the reading. Whatever is unlike that goes Flask's way to the same function.
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
        outcome = self._taken(station, raw, environ)
        note(self._store, station.endpoint, environ, raw, outcome.status)
        body = f"{self._dumps(outcome.body, separators=(',', ':'))}\n".encode()
        head = [("Content-Type", JSON_TYPE), ("Content-Length", str(len(body)))]
        status = f"{outcome.status} {HTTP_STATUS_CODES[outcome.status].upper()}"
        start_response(status, [*head, *outcome.headers, *ALWAYS.items()])
        return [body]

    def _taken(self, station: Station, raw: bytes, environ: "WSGIEnvironment") -> Outcome:
        try:
            sent = sent_of(station, raw, JSON_TYPE)
            return take(self._store, sent, environ.get(RECEIPT, Receipt))
        except Exception as error:
            log.error("Unexpected failure", exc_info=error)
            return Outcome({"error": "internal server error"}, 500)


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
