"""JSON Schemas of the TOML files, for editors: names, types and limits of keys.

They are made from the tables that the readers of these files use, so they say the same. What keys
and tables mean to each other (names that exist, limits in the right order) the program alone knows:
`flask10x stations check`, `flask10x alerts check`, `flask10x check`.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from flask10x.config import settings as settings_file
from flask10x.config import station_keys as keys
from flask10x.config.alerts import rules
from flask10x.config.alerts.file import MAX_CHANNELS, MAX_RULES
from flask10x.config.readers import SCHEMAS, any_case
from flask10x.config.station_file import MAX_BANDS, MAX_FAULTS, MAX_MEASUREMENTS, MAX_STATIONS
from flask10x.config.toml import Key
from flask10x.readings.stations import BUILT_IN

Schema = dict[str, Any]
# A measurement of a built-in station, and one that a file adds.
KNOWN, NEW = "known", "new"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMES = ("stations", "alerts", "settings", "flask10x")
"""The files with a schema, without `.toml`; the last one is what `FLASK10X_CONFIG` names."""


def text_of(name: str) -> str:
    """What the file of `schema_path` has to have in it."""
    of = {"stations": stations, "alerts": alerts, "settings": settings, "flask10x": all_settings}
    made = {"$schema": DIALECT, "title": f"{name}.toml", **of[name]()}
    return json.dumps(made, indent=2) + "\n"


def settings() -> Schema:
    """Of `settings.toml`, which may not have what only a restart changes."""
    return _settings(row for row in settings_file.READERS if row not in settings_file.NOT_IN_FILE)


def all_settings() -> Schema:
    """Of the file that `FLASK10X_CONFIG` names."""
    return _settings(settings_file.READERS)


def _settings(names: Iterable[str]) -> Schema:
    of_rows = {row.name: row.metadata for row in settings_file.ROWS}
    rows, spellings = {}, {}
    for name in names:
        rows[name] = dict(SCHEMAS[settings_file.READERS[name]])
        if of_row := of_rows.get(name):
            rows[name]["description"] = of_row["about"]
        # In capitals, as in the environment, it is the same setting.
        spellings[any_case([name])] = {"$ref": f"#/properties/{name}"}
    return _table(rows, patternProperties=spellings)


def stations() -> Schema:
    """Of the file of stations."""
    built_in = {
        station.endpoint: _station(
            _measurements({m.column: _part(KNOWN) for m in station.measurements})
        )
        for station in BUILT_IN.all
    }
    new = _station(_measurements({}), needed=["measurements"])
    new["properties"]["measurements"]["minProperties"] = 1
    taken = "|".join(sorted(keys.RESERVED_ENDPOINTS))
    names = {"pattern": f"^(?!(?:{taken})$){keys.ENDPOINT.pattern}$"}
    of_stations = _table(built_in, rest=new, propertyNames=names, maxProperties=MAX_STATIONS)
    needed = [key.name for key in keys.MEASUREMENT_KEYS if key.needed]
    parts = {KNOWN: _measurement([]), NEW: _measurement(needed)}
    return _table({"stations": of_stations}) | {"$defs": parts}


def _station(measurements: Schema, needed: Iterable[str] = ()) -> Schema:
    return _table({**_keys(keys.STATION_KEYS), "measurements": measurements}, needed=needed)


def _measurements(known: Mapping[str, Schema]) -> Schema:
    taken = "|".join(sorted(keys.RESERVED_COLUMNS))
    names = {"pattern": f"^(?!(?:{taken})$){keys.COLUMN.pattern}$"}
    return _table(known, rest=_part(NEW), propertyNames=names, maxProperties=MAX_MEASUREMENTS)


def _part(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _measurement(needed: Iterable[str]) -> Schema:
    lists = {
        "faults": _list(_of(keys.FAULT_KEYS), MAX_FAULTS),
        "bands": _list(_of(keys.BAND_KEYS) | _one_of("above", "below"), MAX_BANDS),
    }
    return _table({**_keys(keys.MEASUREMENT_KEYS), **lists}, needed=needed)


def alerts() -> Schema:
    """Of the file of alerts."""
    of_kinds: dict[str, Schema] = {kind: _rule(kind, is_named=False) for kind in rules.KINDS}
    # A rule whose name is that of a kind is of that kind.
    named: dict[str, Schema] = {kind: _rule(kind, is_named=True) for kind in rules.KINDS}
    channels = [
        _table({**_keys(own), "kind": {"const": kind}}, needed=["kind", *_needed(own)])
        | (_one_of("url", "url_file") if kind in rules.KINDS_WITH_URL else {})
        for kind, (_class, own) in rules.CHANNELS.items()
    ]
    names = {"pattern": f"^{keys.ENDPOINT.pattern}$"}
    rest = {"oneOf": [*of_kinds.values()]}
    return _table(
        {
            **_keys(rules.keys_of(rules.Alerts)),
            "quiet_hours": _of(rules.keys_of(rules.QuietHours)),
            "rules": _table(named, rest=rest, propertyNames=names, maxProperties=MAX_RULES),
            "channels": _table(
                {}, rest={"oneOf": channels}, propertyNames=names, maxProperties=MAX_CHANNELS
            ),
        }
    )


def _rule(kind: str, *, is_named: bool) -> Schema:
    own = rules.RULES[kind][1]
    table = _table(
        {**_keys((*own, *rules.RULE_KEYS)), "kind": {"const": kind}},
        needed=[*_needed(own), *([] if is_named else ["kind"])],
    )
    pair = {"threshold": ("above", "below"), "rate": ("rise", "fall")}.get(kind)
    if any(key.name == "from" for key in own):
        table["dependentRequired"] = {"from": ["to"], "to": ["from"]}
    return table | _one_of(*pair) if pair else table


def _of(of: Iterable[Key]) -> Schema:
    of = [*of]
    return _table(_keys(of), needed=_needed(of))


def _keys(of: Iterable[Key]) -> dict[str, Schema]:
    return {key.name: SCHEMAS[key.read] for key in of}


def _needed(of: Iterable[Key]) -> list[str]:
    return [key.name for key in of if key.needed]


def _table(
    properties: Mapping[str, Schema],
    *,
    needed: Iterable[str] = (),
    rest: Schema | None = None,
    **more: Any,
) -> Schema:
    """A table with these keys; others are refused, or are `rest`."""
    table: Schema = {"type": "object", "properties": dict(properties)}
    if needed := [*needed]:
        table["required"] = needed
    return table | {"additionalProperties": False if rest is None else rest} | more


def _list(items: Schema, longest: int) -> Schema:
    return {"type": "array", "items": items, "maxItems": longest}


def _one_of(first: str, second: str) -> Schema:
    """Exactly one of these keys is there."""
    return {"oneOf": [{"required": [first]}, {"required": [second]}]}
