"""`GET /api/v1/latest`: the newest values of one station or of all, with their age.

It is made for programs that ask again and again and keep nothing: Home Assistant, displays, prompts
(docs/en/howto/home-assistant.md). So every key is always there, null where there is no value.
"""

from collections.abc import Mapping
from math import isfinite

from flask import Response, jsonify

from flask10x.errors import nearest
from flask10x.readings.derived import derived_by_station
from flask10x.readings.labels import station_name
from flask10x.readings.parse import nested
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Station
from flask10x.readings.times import iso_text
from flask10x.translation import translation
from flask10x.web import context, json_text
from flask10x.web.cards import Latest, latest
from flask10x.web.page import Routes
from flask10x.web.parameters import Parameters

blueprint = Routes("latest", __name__)


@blueprint.get("/api/v1/latest")
def values() -> Response | tuple[Response, int]:
    """Answer with all stations by their endpoint; with `station`, with the object of that one.

    With `raw=1` the newest readings are as they were stored.
    """
    store, parameters = context.store(), Parameters("station", "raw")
    if "endpoint" in parameters.errors:
        # What the history calls a station.
        parameters.errors["endpoint"] = Reason("unknown_parameter_near", near="station")
    endpoint, raw = parameters.text("station"), parameters.flag("raw")
    parameters.check()
    registered = store.settings.stations
    if endpoint is not None and endpoint not in registered.by_endpoint:
        return jsonify(error="not found", hint=_hint(endpoint, registered.by_endpoint)), 404
    stations = registered.all if endpoint is None else (registered.by_endpoint[endpoint],)
    with context.view() as view:
        newest = latest(view, store, stations, raw=raw)
        objects = {row.station.endpoint: _object(row) for row in newest}
    answer = json_text.answer({"stations": objects} if endpoint is None else objects[endpoint])
    # The age in it is different a second later.
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _hint(endpoint: str, registered: Mapping[str, Station]) -> Reason:
    near, names = nearest(endpoint.lower(), registered), ", ".join(registered)
    if near:
        return Reason("unknown_station_near", near=near, known=names)
    return Reason("unknown_station", known=names)


def _object(latest_row: Latest) -> dict[str, object]:
    station, row = latest_row.station, latest_row.row
    stored = [_finite(value) for value in row.values] if row else [None] * len(station.columns)
    settings = context.store().settings
    zone, derived = settings.zone, derived_by_station(settings.stations)[station.endpoint]
    return {
        "endpoint": station.endpoint,
        "label": station_name(station, translation("en")),
        "label_ja": station_name(station, translation("ja")),
        "state": latest_row.silence.state,
        "age_s": latest_row.silence.age_sec,
        "received_at": iso_text(row.received_at, zone) if row else None,
        # Not `values`: in a template of Jinja that is a method of every object.
        "measurements": dict(zip(station.columns, stored, strict=True)),
        "units": {m.column: m.unit for m in station.measurements},
        "derived": {name: latest_row.derived.get(name) for name in derived},
        "derived_units": {name: computed.kind.unit for name, computed in derived.items()},
        "missing": list(latest_row.missing),
        "data": nested(station, stored),
    }


def _finite(value: float | None) -> float | None:
    """The value, or None for an infinity, which the sqlite3 shell can store and JSON lacks."""
    return value if value is not None and isfinite(value) else None
