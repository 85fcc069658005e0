"""`stations.toml`: the stations that the operator has added, and every mistake in the file."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from gettext import gettext as _
from pathlib import Path
from typing import Any

from flask10x.config import toml
from flask10x.config.reserved_names import RESERVED_COLUMNS, RESERVED_ENDPOINTS
from flask10x.config.station_keys import (
    BAND_KEYS,
    COLUMN,
    ENDPOINT,
    FAULT_CODES,
    FAULT_KEYS,
    MEASUREMENT_KEYS,
    STATION_KEYS,
    column_wanted,
    endpoint_wanted,
)
from flask10x.config.toml import Document, Key, KeyPath, Mistake, Tables, nearly_right, wrong
from flask10x.errors import SettingsError, StationsError
from flask10x.readings.bands import Band
from flask10x.readings.csv_lines import FORMULA_BEGINNINGS, is_formula
from flask10x.readings.longest_line import longest_line_bytes
from flask10x.readings.stations import BUILT_IN, Fault, Measurement, Station, Stations


def measurement_mistakes(path: KeyPath, found: Collection[Measurement]) -> Iterator[Mistake]:
    """Of the measurements of one station, whose table has this path."""
    yield from _path_mistakes(path, found)
    for key in ("csv_header", "ambient"):
        yield from _repeated(path, key, (((m.column,), getattr(m, key)) for m in found))
    # Of two with one path the path is what is wrong, not a field that nobody has written.
    first = {m.path: m for m in reversed([*found])}
    named = [m for m in found if m.influx or first[m.path] is m]
    yield from _repeated(path, "influx", (((m.column,), m.influx or m.path) for m in named))


def station_mistakes(path: KeyPath, found: Collection[Station]) -> Iterator[Mistake]:
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


def _path_mistakes(path: KeyPath, found: Collection[Measurement]) -> Iterator[Mistake]:
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


def _repeated(path: KeyPath, key: str, pairs: Iterable[tuple[KeyPath, Any]]) -> Iterator[Mistake]:
    """Whoever has what another one before it has; empty ones count for nothing."""
    owners: dict[Any, KeyPath] = {}
    for owner, value in pairs:
        if value and value in owners:
            text = _("{other} has the same").format(other=".".join(map(str, owners[value])))
            yield Mistake((*path, *owner, key), text)
        owners.setdefault(value, owner)


def _unit_mistakes(path: KeyPath, found: Iterable[Station]) -> Iterator[Mistake]:
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


MAX_STATIONS = 200
MAX_MEASUREMENTS = 16
# Each is a byte of every reading and a row of the filter form (docs/decisions/0004). Stations share
# the columns of what they both measure.
MAX_COLUMNS = 200
MAX_FAULTS = 8
# Each is a text under the cursor of a chart.
MAX_BANDS = 8
# What a place of the queue holds (`recording/shared_queue.py`); a test compares the two.
LINE_BYTES = 1664
FAULTS_EXAMPLE = '[{ value = -127, sensor = "DS18B20" }]'
BANDS_EXAMPLE = '[{ above = 1000, label = "Air the room" }]'
TOP = "stations"


class StationTables(Tables):
    """What `tomllib` has read, as stations; `mistakes` has what is wrong with it."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__()
        self._data = data

    def stations(self, file: str) -> Stations:
        """The built-in ones first, then the others in their order; incomplete after mistakes."""
        for key in self._data:
            if key != TOP:
                self.unknown((key,), [TOP])
        tables = self.table((TOP,), self._data.get(TOP, {})) or {}
        built = {endpoint: self._station(endpoint, raw) for endpoint, raw in tables.items()}
        known = [built.pop(s.endpoint, None) or s for s in BUILT_IN.all]
        found = [*known, *(station for station in built.values() if station)]
        if len(found) > MAX_STATIONS:
            self.wrong((TOP,), _("more than {n} stations").format(n=MAX_STATIONS), is_table=True)
        self.mistakes += station_mistakes((TOP,), found)
        stations = Stations(tuple(found), file)
        if len(stations.columns) > MAX_COLUMNS:
            text = _("more than {n} columns, all stations together: let them share some")
            self.wrong((TOP,), text.format(n=MAX_COLUMNS), is_table=True)
        return stations

    def _station(self, endpoint: str, raw: Any) -> Station | None:
        path: KeyPath = (TOP, endpoint)
        former = BUILT_IN.by_endpoint.get(endpoint)
        before = len(self.mistakes)
        if not ENDPOINT.fullmatch(endpoint):
            self.wrong(path, nearly_right(endpoint, ENDPOINT, endpoint_wanted()), True)
        if endpoint in RESERVED_ENDPOINTS:
            self.wrong(path, _("the service answers /{name} itself").format(name=endpoint), True)
        given = self.table(path, raw)
        if given is None:
            return None
        measurements = self._measurements(path, given.pop("measurements", {}), former)
        values = self._values(path, given, STATION_KEYS, former, others=("measurements",))
        if len(self.mistakes) > before:
            return None
        values["measurements"] = measurements
        built = replace(former, **values) if former else Station(endpoint=endpoint, **values)
        if (too_long := longest_line_bytes(built) - LINE_BYTES) > 0:
            text = _("paths and names are {n} bytes too long, all together")
            self.wrong((*path, "measurements"), text.format(n=too_long), is_table=True)
        return built

    def _measurements(
        self, station: KeyPath, raw: Any, former: Station | None
    ) -> tuple[Measurement, ...]:
        path = (*station, "measurements")
        known = {m.column: m for m in former.measurements} if former else {}
        given = self.table(path, raw)
        if given is None:
            return ()
        found = dict(known)
        for column, inner in given.items():
            built = self._measurement((*path, column), inner, known.get(column))
            if built:
                found[column] = built
        if not given and not known:
            text = _("there is none; write [{table}]")
            self.wrong(path, text.format(table=".".join(map(str, (*path, "temperature")))))
        if len(found) > MAX_MEASUREMENTS:
            self.wrong(path, _("more than {n} measurements").format(n=MAX_MEASUREMENTS), True)
        self.mistakes += measurement_mistakes(path, found.values())
        return tuple(found.values())

    def _measurement(
        self, path: KeyPath, raw: Any, former: Measurement | None
    ) -> Measurement | None:
        column = str(path[-1])
        before = len(self.mistakes)
        if not COLUMN.fullmatch(column):
            self.wrong(path, nearly_right(column, COLUMN, column_wanted()), is_table=True)
        elif column in RESERVED_COLUMNS:
            self.wrong(path, _("the database has {name} for itself").format(name=column), True)
        given = self.table(path, raw)
        if given is None:
            return None
        faults = self._faults((*path, "faults"), given.pop("faults", None))
        bands = self._bands((*path, "bands"), given.pop("bands", None))
        others = ("faults", "bands")
        values = self._values(path, given, MEASUREMENT_KEYS, former, others=others)
        if len(self.mistakes) > before:
            return None
        lists = {"faults": faults, "bands": bands}
        values |= {name: found for name, found in lists.items() if found is not None}
        built = replace(former, **values) if former else Measurement(column=column, **values)
        low, high = built.minimum, built.maximum
        if low is not None and high is not None and low >= high:
            text = _("is {low}, not below maximum {high}").format(low=low, high=high)
            self.wrong((*path, "minimum" if "minimum" in given else "maximum"), text)
        return built

    def _faults(self, path: KeyPath, raw: Any) -> tuple[Fault, ...] | None:
        if raw is None:
            return None
        tables = self._list(path, raw, FAULTS_EXAMPLE, MAX_FAULTS)
        found = [self._fault((*path, number), inner) for number, inner in enumerate(tables)]
        repeated = [v for v, n in Counter(fault.value for fault in found if fault).items() if n > 1]
        for value in repeated:
            self.wrong(path, _("{value} is there twice").format(value=value))
        return tuple(fault for fault in found if fault)

    def _fault(self, path: KeyPath, raw: Any) -> Fault | None:
        before = len(self.mistakes)
        given = self.table(path, raw)
        if given is None:
            return None
        values = self._values(path, given, FAULT_KEYS, None)
        if len(self.mistakes) > before:
            return None
        is_kept = values.setdefault("warning_only", FAULT_CODES.get(values.get("code", ""), False))
        code = values.setdefault("code", "fault_value_kept" if is_kept else "fault_value")
        if FAULT_CODES[code] != is_kept:
            text = _("{code} goes with warning_only = {value}")
            value = str(FAULT_CODES[code]).lower()
            self.wrong((*path, "reason"), text.format(code=code, value=value))
        return Fault(**values)

    def _bands(self, path: KeyPath, raw: Any) -> tuple[Band, ...] | None:
        if raw is None:
            return None
        tables = self._list(path, raw, BANDS_EXAMPLE, MAX_BANDS)
        found = [self._band((*path, number), inner) for number, inner in enumerate(tables)]
        for key in ("above", "below"):
            limits = Counter(getattr(band, key) for band in found if band)
            for value in (value for value, n in limits.items() if n > 1 and value is not None):
                text = _("{key} = {value} is there twice")
                self.wrong(path, text.format(key=key, value=value))
        return tuple(band for band in found if band)

    def _band(self, path: KeyPath, raw: Any) -> Band | None:
        before = len(self.mistakes)
        given = self.table(path, raw)
        if given is None:
            return None
        values = self._values(path, given, BAND_KEYS, None)
        if ("above" in given) == ("below" in given):
            self.wrong(path, _("one of above and below is needed"))
        return None if len(self.mistakes) > before else Band(**values)

    def _list(self, path: KeyPath, raw: Any, example: str, most: int) -> list[Any]:
        """A list of at most so many; anything else is noted, and empty."""
        if isinstance(raw, list) and len(raw) <= most:
            return raw
        wanted = _("a list such as {example} is needed, of {n} at most")
        self.wrong(path, str(wrong(raw, wanted.format(example=example, n=most))))
        return []

    def _values(
        self,
        path: KeyPath,
        given: Mapping[str, Any],
        keys: Iterable[Key],
        former: Station | Measurement | None,
        others: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """The fields that the keys of a table give, and the defaults of a new one."""
        found = self.fields(path, given, keys, others=others, is_new=former is None)
        for key in keys if former else ():
            value = found.get(key.field, kept := getattr(former, key.field))
            if key.fixed and value != kept:
                text = _("is {value} at the built-in station, and stays so")
                self.wrong((*path, key.name), text.format(value=repr(kept)))
        return found


# `stations.toml`: the stations that the operator has added, and what was adjusted of others.
#
# The built-in stations are always there; an entry for one changes only what it names. What each
# key may be: `station_keys.py`, and docs/en/reference/stations-file.md.

NAME = "stations.toml"


def read(place: str, raw: Any) -> Stations:
    """The stations of the file with this path; raises SettingsError, StationsError."""
    path = toml.path_of(place, raw)
    try:
        return load(path)
    except FileNotFoundError:
        text = _("{place}: there is no file {path}; flask10x stations init makes it")
        raise SettingsError(text.format(place=place, path=path)) from None


def default(given: Mapping[str, Any]) -> Stations:
    """Those of `stations.toml` in the data folder; without one, BUILT_IN."""
    try:
        return load(given["data_dir"] / NAME)
    except (FileNotFoundError, NotADirectoryError):
        return BUILT_IN


def load(path: Path) -> Stations:
    """The stations of this file.

    Raises StationsError that names every mistake with its line, and FileNotFoundError.
    """
    return parse(toml.read_document(path), path)


def formula_headings(stations: Stations) -> list[str]:
    """A line for each heading of these stations that a spreadsheet takes for a formula.

    No mistake of the file: a service that does not start loses readings.
    """
    text = _(
        "{file}: stations.{station}.measurements.{column}: csv_header is {heading}, which a"
        " spreadsheet takes for a formula; {instead} is none"
    )
    lines = []
    for station, one in ((s, m) for s in stations.all for m in s.measurements):
        if is_formula(one.csv_header):
            instead = one.csv_header.lstrip(FORMULA_BEGINNINGS).lstrip() or one.column
            named = {"file": stations.file, "station": station.endpoint, "column": one.column}
            shown = {"heading": repr(one.csv_header), "instead": repr(instead)}
            lines.append(text.format(**named, **shown))
    return lines


def parse(written: bytes, path: Path) -> Stations:
    """The stations of a file with these bytes; raises StationsError with every mistake."""
    file = Document(written, path, StationsError)
    tables = StationTables(file.data)
    stations = tables.stations(str(path))
    file.check(tables.mistakes)
    return stations
