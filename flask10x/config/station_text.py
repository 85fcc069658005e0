"""Stations as the text of `stations.toml`, which reads back as the same stations."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from flask10x.config.station_keys import BAND_KEYS, FAULT_KEYS, MEASUREMENT_KEYS, STATION_KEYS
from flask10x.config.toml import Key, schema_path
from flask10x.readings.bands import Band
from flask10x.readings.stations import BUILT_IN, Fault, Measurement, Station

# Values that need no line: they are those without the key.
_EMPTY = (None, "", (), False)
EXAMPLE = Path(__file__).with_name("stations_example.toml")
"""What a file begins with: every key with its meaning, and an example, all of it in comments."""


def rendered(stations: Iterable[Station]) -> str:
    """A whole file, with what each key is for, and these stations."""
    return head() + "".join(f"\n{entry(station)}" for station in stations)


def head() -> str:
    """What a file begins with: its schema for editors, and what each key is for."""
    text = EXAMPLE.read_text(encoding="utf-8")
    return text.replace("{schema}", schema_path("stations").as_uri(), 1)


def entry(station: Station) -> str:
    """The tables of one station, with all that is set."""
    former = BUILT_IN.by_endpoint.get(station.endpoint)
    lines = [f"[stations.{station.endpoint}]", *_lines(STATION_KEYS, station, former)]
    former_measurements = {m.column: m for m in former.measurements} if former else {}
    for measurement in station.measurements:
        lines += ["", f"[stations.{station.endpoint}.measurements.{measurement.column}]"]
        before = former_measurements.get(measurement.column)
        lines += _lines(MEASUREMENT_KEYS, measurement, before)
        if measurement.faults or (before and before.faults):
            lines.append(f"faults = {_tables(FAULT_KEYS, measurement.faults)}")
        if measurement.bands is not None:
            lines.append(f"bands = {_tables(BAND_KEYS, measurement.bands)}")
    return "".join(f"{line}\n" for line in lines)


def _lines(
    keys: Iterable[Key],
    holder: Station | Measurement | Fault | Band,
    former: Station | Measurement | None = None,
) -> Iterator[str]:
    for key in keys:
        value = getattr(holder, key.field)
        is_set = value not in _EMPTY or value is not getattr(former, key.field, value)
        if is_set or key.needed or (value == 0 and type(value) is not bool):
            yield f"{key.name} = {_WRITTEN.get(key.name, _text)(value)}"


def _tables(keys: Iterable[Key], holders: Iterable[Fault | Band]) -> str:
    """A list of tables, each on its own line."""
    lines = [f"    {{ {', '.join(_lines(keys, holder))} }},\n" for holder in holders]
    return "[\n" + "".join(lines) + "]" if lines else "[]"


def _text(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    # Texts of JSON are texts of TOML, as long as they can be printed.
    return json.dumps(value, ensure_ascii=False)


_WRITTEN: dict[str, Callable[[Any], str]] = {
    "partial": lambda accepts: '"accept"' if accepts else '"reject"',
    "influx_tags": lambda tags: (
        f"{{ {', '.join(f'{_text(name)} = {_text(value)}' for name, value in tags)} }}"
    ),
}
