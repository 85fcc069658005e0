"""A POST to a path that no station has gets a 404 that says how to add the station.

The last body of each such endpoint is kept (`recording/rejected_queue.py`), so that
`flask10x stations add` can propose the entry; and the readings before it, to be stored once the
station is there.
"""

import logging
import re

from flask import Flask, Response, jsonify, request

from flask10x.config.station_keys import ENDPOINT, RESERVED_ENDPOINTS
from flask10x.config.station_proposal import sent_values
from flask10x.errors import nearest
from flask10x.readings.parse import InvalidReading, payload_of
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Stations
from flask10x.recording.accepted_keys import key_of
from flask10x.recording.rejected import RejectedReading
from flask10x.recording.rejected_queue import LATEST_BODY_BYTES
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.system.pace import Pace
from flask10x.web.access import Access, sender
from flask10x.web.ingest.options import means_dry_run, request_key
from flask10x.web.ingest.take import DRY_RUN

log = logging.getLogger(__name__)
# What the text of a number begins with: `21.5C`, `−3`.
NUMBER = re.compile(r"\s*[+\-\u2212]?[0-9\uff10-\uff19]")


class UnknownStations:
    """One worker's answers for paths that do not exist."""

    def __init__(self, store: Store, access: Access) -> None:
        """Bodies are kept if `access` lets their sender write."""
        self._store = store
        self._stations = store.settings.stations
        self._access = access
        self._pace = Pace()

    def init_app(self, app: Flask) -> None:
        """Answer every 404 of the application."""
        app.register_error_handler(404, self._answer)

    def _answer(self, _error: Exception) -> tuple[Response, int]:
        # Paths are matched as they are written, but `/Data2/` is a misspelt /data2.
        name = request.path.strip("/").lower()
        if request.method != "POST" or not can_be_endpoint(name):
            return jsonify(error="not found"), 404
        # A dry run leaves no trace, in whatever spelling.
        if request.args.get(DRY_RUN) == "0" or not any(map(means_dry_run, request.args)):
            self._note(name)
        return jsonify(error="not found", hint=hint(name, self._stations)), 404

    def _note(self, name: str) -> None:
        body = b""
        if is_writer := self._access.lets_write(name):
            if name not in self._stations.by_endpoint:
                body = request.stream.read(LATEST_BODY_BYTES + 1)
            number, gauges = self._store.slot.number, self._store.gauges
            gauges.note_unknown(number, name, request.path, sender(), body=body)
        is_known = name in self._stations.by_endpoint
        if is_writer and not is_known:
            rejected = RejectedReading(
                *(name, clock.now_ms(), request.mimetype, body),
                {"endpoint": Reason("no_such_station")},
                key=_key(name),
                is_storable=is_storable(body, request.mimetype),
            )
            is_known = self._store.writer.rejected_queue.take_unknown(rejected)
        # Strangers can send any name, so all names that are new are one kind.
        more = self._pace.turn(name if is_known else "")
        if more is not None:
            log.warning("/%s refused: no such station, from %s%s", name, sender(), more)


def _key(name: str) -> str:
    """The key that the sender gave the reading; empty without one that can be used."""
    try:
        key = request_key()
    except InvalidReading:
        return ""
    return key_of(name, key) if key else ""


def is_storable(body: bytes, media_type: str) -> bool:
    """Whether the body has a number that a station could store.

    Which measurement it is takes too long to say for each body that comes.
    """
    if not 0 < len(body) <= LATEST_BODY_BYTES:
        return False
    payload, _ = payload_of(body, media_type)
    return any(
        not isinstance(value, str) or NUMBER.match(value) for value in sent_values(payload).values()
    )


def can_be_endpoint(name: str) -> bool:
    """Whether a station can have this name; other names are not repeated in answers or the log."""
    return ENDPOINT.fullmatch(name) is not None and name not in RESERVED_ENDPOINTS


def hint(name: str, stations: Stations) -> str:
    """One line of advice for a path that no station has; `name` is the path in small letters."""
    if name in stations.by_endpoint:
        return f"did you mean /{name}?"
    near = nearest(name, stations.by_endpoint)
    meant = f" (did you mean /{near}?)" if near else ""
    return f"no station '{name}'{meant}; add one: flask10x stations add {name}"
