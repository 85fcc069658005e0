"""Near names: a field that is missing because its name is not quite right."""

from collections.abc import Iterator, Mapping
from typing import Literal

from flask10x.errors import COMPARED_CHARS, nearest
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Station

# Comparing takes time for each, and an answer is short; a reading has a handful of fields.
STRANGE_MAX = 20


def near_names(station: Station, payload: Mapping[str, object]) -> Reason | Literal[""]:
    """A hint that names each strange field beside a missing one of nearly its name; else empty.

    Other strange fields are none of our business: senders add some (contract, section 1).
    """
    found = [pair for path, names in _objects(station) for pair in _near(path, names, payload)]
    if not found:
        return ""
    strange, near = (", ".join(names) for names in zip(*found, strict=True))
    return Reason("field_near", strange=strange, near=near)


def _objects(station: Station) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Each object of the station's payload, as the path to it, with the names in it."""
    names: dict[tuple[str, ...], set[str]] = {}
    for measurement in station.measurements:
        path = tuple(measurement.path.split("."))
        for depth, name in enumerate(path):
            names.setdefault(path[:depth], set()).add(name)
    yield from names.items()


def _near(
    path: tuple[str, ...], names: set[str], payload: Mapping[str, object]
) -> Iterator[tuple[str, str]]:
    holder: object = payload
    for name in path:
        holder = holder.get(name) if isinstance(holder, Mapping) else None
    if not isinstance(holder, Mapping):
        return
    missing = sorted(name for name in names if name not in holder)
    if not missing:
        return
    strange = (key for key in holder if key not in names and _shown(key))
    for key, _ in zip(strange, range(STRANGE_MAX), strict=False):
        if near := nearest(key.lower(), missing):
            yield ".".join((*path, key)), ".".join((*path, near))


def _shown(key: str) -> bool:
    """Whether it can stand in an answer and in the log; what can't is no slip of a known name."""
    return key.isprintable() and len(key) <= COMPARED_CHARS
