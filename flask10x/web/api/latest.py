"""`GET /api/v1/latest`: the newest values of one station or of all, with their age.

Made for programs that ask again and again and keep nothing: Home Assistant, displays, prompts
(docs/en/howto/home-assistant.md). So every key is always there, and what is not known is null.
"""

from collections.abc import Mapping
from math import isfinite

from flask import Response, jsonify, request

from flask10x.errors import QueryError, nearest
from flask10x.readings.derived import derived_by_station
from flask10x.readings.labels import station_name
from flask10x.readings.parse import nested
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Station
from flask10x.readings.times import iso_text
from flask10x.translation import translation
from flask10x.web import context, read_errors
from flask10x.web.json_text import readable
from flask10x.web.newest import Latest, latest
from flask10x.web.page import Routes

blueprint = Routes("latest", __name__)
read_errors.register(blueprint)

STATION, RAW = "station", "raw"


@blueprint.get("/api/v1/latest")
def values() -> Response | tuple[Response, int]:
    """All stations by their endpoint; with `station` the object of that one alone.

    With `raw=1` the newest readings are as they were stored.
    """
    store, (wanted, raw) = context.store(), _asked()
    known = store.settings.stations
    if wanted is not None and wanted not in known.by_endpoint:
        return jsonify(error="not found", hint=_hint(wanted, known.by_endpoint)), 404
    stations = known.all if wanted is None else (known.by_endpoint[wanted],)
    with context.view() as view:
        newest = latest(view, store, stations, raw=raw)
        found = {one.station.endpoint: _object(one) for one in newest}
    body = readable({"stations": found} if wanted is None else found[wanted])
    answer = Response(body + "\n", mimetype="application/json")
    # The age in it is another one a second later.
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _asked() -> tuple[str | None, bool]:
    """The endpoint asked for, None for all, and whether for stored values; raises QueryError."""
    given = request.args.to_dict(flat=False)
    wrong = {name: _unknown(name) for name in given if name not in (STATION, RAW)}
    for name in (STATION, RAW):
        if len(given.get(name, [])) > 1:
            wrong[name] = Reason("given_times", n=len(given[name]))
    station, raw = request.args.get(STATION), request.args.get(RAW)
    if station == "":
        wrong.setdefault(STATION, Reason("blank"))
    if raw not in (None, "1"):
        wrong.setdefault(RAW, Reason("yes_needed"))
    if wrong:
        raise QueryError(wrong)
    return station, raw is not None


def _unknown(name: str) -> Reason:
    # What the history calls a station.
    near = STATION if name == "endpoint" else nearest(name, [STATION, RAW])
    return Reason("unknown_parameter_near", near=near) if near else Reason("unknown_parameter")


def _hint(wanted: str, known: Mapping[str, Station]) -> Reason:
    near, names = nearest(wanted.lower(), known), ", ".join(known)
    if near:
        return Reason("unknown_station_near", near=near, known=names)
    return Reason("unknown_station", known=names)


def _object(one: Latest) -> dict[str, object]:
    station, row = one.station, one.row
    found = [_finite(value) for value in row.values] if row else [None] * len(station.columns)
    settings = context.store().settings
    zone, own = settings.zone, derived_by_station(settings.stations)[station.endpoint]
    return {
        "endpoint": station.endpoint,
        "label": station_name(station, translation("en")),
        "label_ja": station_name(station, translation("ja")),
        "state": one.silence.state,
        "age_s": one.silence.age_sec,
        "received_at": iso_text(row.received_at, zone) if row else None,
        # Not `values`: in a template of Jinja that is a method of every object.
        "measurements": dict(zip(station.columns, found, strict=True)),
        "units": {m.column: m.unit for m in station.measurements},
        "derived": {name: one.derived.get(name) for name in own},
        "derived_units": {name: computed.kind.unit for name, computed in own.items()},
        "missing": list(one.missing),
        "data": nested(station, found),
    }


def _finite(value: float | None) -> float | None:
    """JSON knows no infinity; somebody with the sqlite3 shell can store one."""
    return value if value is not None and isfinite(value) else None
