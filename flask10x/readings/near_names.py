"""Near names: a field that is missing because its name is not quite right."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from flask10x.errors import COMPARED_CHARS, nearest
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Measurement, Station

# Comparing takes time for each, and an answer is short; a reading has a handful of fields.
STRANGE_MAX = 20

Path = tuple[str, ...]


def near_names(
    station: Station, payload: Mapping[str, object], *, partial: bool = False
) -> Reason | Literal[""]:
    """A hint that names each strange field beside a missing one of nearly its name; else empty.

    Or one for an item of a batch that was sent alone, whose time would be lost. Other strange
    fields are none of our business: senders add some (contract, section 1). With `partial` partial
    aliases are no strange fields.
    """
    paths = [[*_paths(m, partial=partial)] for m in station.measurements]
    known = _objects(paths)
    wanted = _objects(one for one in paths if not _is_there(one, payload))
    found = [
        pair for path, names in wanted.items() for pair in _near(path, names, known[path], payload)
    ]
    if not found:
        is_item = "data" not in known[()] and isinstance(payload.get("data"), Mapping)
        return Reason("item_alone") if is_item and wanted else ""
    strange, near = (", ".join(names) for names in zip(*found, strict=True))
    return Reason("field_near", strange=strange, near=near)


def _objects(measurements: Iterable[Iterable[Path]]) -> dict[Path, set[str]]:
    """Each object that holds one of them, as the path to it, with the names that they have there.

    A measurement is its paths: under the names of its aliases too.
    """
    names: dict[Path, set[str]] = {}
    for paths in measurements:
        for path in paths:
            for depth, name in enumerate(path):
                names.setdefault(path[:depth], set()).add(name)
    return names


def _paths(measurement: Measurement, *, partial: bool) -> Iterator[Path]:
    more = measurement.partial_aliases if partial else ()
    for path in (measurement.path, *measurement.aliases, *more):
        yield tuple(path.split("."))


def _is_there(paths: Iterable[Path], payload: Mapping[str, object]) -> bool:
    return any(_at(path, payload) is not None for path in paths)


def _at(path: Path, payload: Mapping[str, object]) -> object:
    found: object = payload
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _near(
    path: Path, wanted: set[str], known: set[str], payload: Mapping[str, object]
) -> Iterator[tuple[str, str]]:
    """Each strange name of the object at `path` with the missing one of the wanted it is near."""
    holder = _at(path, payload)
    if not isinstance(holder, Mapping):
        return
    missing = sorted(name for name in wanted if name not in holder)
    if not missing:
        return
    strange = (key for key in holder if key not in known and _shown(key))
    for key, _ in zip(strange, range(STRANGE_MAX), strict=False):
        if near := nearest(key.lower(), missing):
            yield ".".join((*path, key)), ".".join((*path, near))


def _shown(key: str) -> bool:
    """Whether it can stand in an answer and in the log; what can't is no slip of a known name."""
    return key.isprintable() and len(key) <= COMPARED_CHARS
