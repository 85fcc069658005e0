"""What two entries of `stations.toml` must not have alike, or must."""

from collections.abc import Collection, Iterable, Iterator
from gettext import gettext as _
from typing import Any

from flask10x.config.toml.lines import Path
from flask10x.config.toml.mistakes import Mistake
from flask10x.readings.stations import Measurement, Station


def measurement_mistakes(path: Path, found: Collection[Measurement]) -> Iterator[Mistake]:
    """Of the measurements of one station, whose table has this path."""
    yield from _path_mistakes(path, found)
    for key in ("csv_header", "ambient"):
        yield from _repeated(path, key, (((m.column,), getattr(m, key)) for m in found))
    # Of two with one path the path is what is wrong, not a field that nobody has written.
    first = {m.path: m for m in reversed([*found])}
    named = [m for m in found if m.influx or first[m.path] is m]
    yield from _repeated(path, "influx", (((m.column,), m.influx or m.path) for m in named))


def station_mistakes(path: Path, found: Collection[Station]) -> Iterator[Mistake]:
    """Of all stations, whose table has this path."""
    names = (((s.endpoint,), s.csv_name.casefold()) for s in found)
    yield from _repeated(path, "csv_file", names)
    for key in ("ambient_channel", "mqtt_topic"):
        yield from _repeated(path, key, (((s.endpoint,), getattr(s, key)) for s in found))
    lines = (((s.endpoint,), (s.influx, *sorted(s.influx_tags))) for s in found if s.influx)
    yield from _repeated(path, "influx", lines)
    for station in found:
        if station.influx_tags and not station.influx:
            yield Mistake((*path, station.endpoint, "influx_tags"), _("there is no influx"))
    yield from _unit_mistakes(path, found)


def _path_mistakes(path: Path, found: Collection[Measurement]) -> Iterator[Mistake]:
    """One number of a body is one measurement, and no path leads through a number."""
    owners: dict[str, str] = {}
    for measurement in found:
        for name in (measurement.path, *measurement.aliases):
            for taken in filter(lambda taken: _overlap(taken, name), owners):
                key = "path" if name == measurement.path else "aliases"
                text = _("{name} is taken by {other}").format(name=name, other=owners[taken])
                yield Mistake((*path, measurement.column, key), text)
                break
            owners[name] = measurement.column
    aliases = (((m.column,), name) for m in found for name in m.partial_aliases)
    yield from _repeated(path, "partial_aliases", aliases)


def _overlap(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _repeated(path: Path, key: str, pairs: Iterable[tuple[Path, Any]]) -> Iterator[Mistake]:
    """Whoever has what another one before it has; empty ones count for nothing."""
    owners: dict[Any, Path] = {}
    for owner, value in pairs:
        if value and value in owners:
            text = _("{other} has the same").format(other=".".join(map(str, owners[value])))
            yield Mistake((*path, *owner, key), text)
        owners.setdefault(value, owner)


def _unit_mistakes(path: Path, found: Iterable[Station]) -> Iterator[Mistake]:
    """A column has one unit and one quantity everywhere, and a quantity one unit: one axis."""
    columns: dict[str, tuple[str, Measurement]] = {}
    quantities: dict[str, tuple[str, Measurement]] = {}
    for station in found:
        for measurement in station.measurements:
            here = (*path, station.endpoint, "measurements", measurement.column)
            mine = (station.endpoint, measurement)
            other, same = columns.setdefault(measurement.column, mine)
            for key in ("unit", "quantity"):
                if getattr(same, key) != getattr(measurement, key):
                    text = _("the column {column} has {value} at {station}")
                    text = text.format(
                        column=same.column, value=repr(getattr(same, key)), station=other
                    )
                    yield Mistake((*here, key), text)
            other, same = quantities.setdefault(measurement.quantity, mine)
            if same.column != measurement.column and same.unit != measurement.unit:
                text = _("the quantity {quantity} has {value} at {station}")
                text = text.format(quantity=same.quantity, value=repr(same.unit), station=other)
                yield Mistake((*here, "unit"), text)
