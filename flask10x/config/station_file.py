"""`stations.toml`: the stations that the operator has added, and every mistake in the file."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask10x.config import station_keys as keys
from flask10x.config import toml
from flask10x.config.readers import WrongEntry, nearly
from flask10x.config.toml import Document, KeyPath, Mistake, Tables, nearly_right
from flask10x.errors import StationsError
from flask10x.readings.bands import Band
from flask10x.readings.csv_lines import FORMULA_BEGINNINGS, is_formula
from flask10x.readings.stations import (
    BUILT_IN,
    Fault,
    Measurement,
    Station,
    Stations,
    longest_line_bytes,
)
from flask10x.translation import chosen
from flask10x.translation import message as _


def measurement_mistakes(path: KeyPath, measurements: Collection[Measurement]) -> Iterator[Mistake]:
    """Of the measurements of one station, whose table has this path."""
    yield from _path_mistakes(path, measurements)
    for key in ("csv_header", "ambient"):
        yield from _repeated(path, key, (((m.column,), getattr(m, key)) for m in measurements))
    # Where two have one path, the path is reported, and not a field that is not in the file.
    first = {m.path: m for m in reversed([*measurements])}
    named = [m for m in measurements if m.influx or first[m.path] is m]
    yield from _repeated(path, "influx", (((m.column,), m.influx or m.path) for m in named))


def station_mistakes(path: KeyPath, stations: Collection[Station]) -> Iterator[Mistake]:
    """Of all stations, whose table has this path."""
    names = (((s.endpoint,), s.csv_name.casefold()) for s in stations)
    yield from _repeated(path, "csv_file", names)
    for key in ("ambient_channel", "mqtt_topic"):
        yield from _repeated(path, key, (((s.endpoint,), getattr(s, key)) for s in stations))
    lines = (((s.endpoint,), (s.influx, *sorted(s.influx_tags))) for s in stations if s.influx)
    yield from _repeated(path, "influx", lines)
    for station in stations:
        if station.influx_tags and not station.influx:
            yield Mistake(
                (*path, station.endpoint, "influx_tags"),
                _("needs the key influx, which is missing"),
            )
        yield from _tile_mistakes((*path, station.endpoint), station)
    yield from _unit_mistakes(path, stations)


def _tile_mistakes(path: KeyPath, station: Station) -> Iterator[Mistake]:
    """A tile shows measurements of its station that are not hidden, each once."""
    shown = [measurement.column for measurement in station.shown]
    for key in ("tile_main", "tile_second"):
        column = getattr(station, key)
        if column in station.columns and column not in shown:
            yield Mistake((*path, key), _("{name} is hidden").format(name=column))
        elif column and column not in shown:
            text = _("the station has no measurement {name}").format(name=column)
            yield Mistake((*path, key), nearly(text, column, shown))
    if station.tile_main and station.tile_main == station.tile_second:
        text = _("{other} has the same").format(other="tile_main")
        yield Mistake((*path, "tile_second"), text)


def _path_mistakes(path: KeyPath, measurements: Collection[Measurement]) -> Iterator[Mistake]:
    """One number of a body is one measurement, and no path leads through a number."""
    owners: dict[str, str] = {}
    for measurement in measurements:
        for name in (measurement.path, *measurement.aliases):
            for other, column in owners.items():
                if f"{other}.".startswith(f"{name}.") or f"{name}.".startswith(f"{other}."):
                    key = "path" if name == measurement.path else "aliases"
                    text = _("{name} is taken by {other}").format(name=name, other=column)
                    yield Mistake((*path, measurement.column, key), text)
                    break
            owners[name] = measurement.column
    aliases = (((m.column,), name) for m in measurements for name in m.partial_aliases)
    yield from _repeated(path, "partial_aliases", aliases)


def _repeated(path: KeyPath, key: str, pairs: Iterable[tuple[KeyPath, Any]]) -> Iterator[Mistake]:
    """A mistake of each owner whose value an owner before it has; empty values do not count."""
    owners: dict[Any, KeyPath] = {}
    for owner, value in pairs:
        if value and value in owners:
            text = _("{other} has the same").format(other=".".join(map(str, owners[value])))
            yield Mistake((*path, *owner, key), text)
        owners.setdefault(value, owner)


def _unit_mistakes(path: KeyPath, stations: Iterable[Station]) -> Iterator[Mistake]:
    """A column has one unit and one quantity everywhere, and a quantity one unit: one axis."""
    columns: dict[str, tuple[str, Measurement]] = {}
    quantities: dict[str, tuple[str, Measurement]] = {}
    for station, measurement in ((s, m) for s in stations for m in s.measurements):
        place = (*path, station.endpoint, "measurements", measurement.column)
        pair = (station.endpoint, measurement)
        endpoint, first = columns.setdefault(measurement.column, pair)
        for key in ("unit", "quantity"):
            if (value := getattr(first, key)) != getattr(measurement, key):
                text = _("the column {column} has {value} at {station}")
                text = text.format(column=first.column, value=repr(value), station=endpoint)
                yield Mistake((*place, key), text)
        endpoint, first = quantities.setdefault(measurement.quantity, pair)
        if first.column != measurement.column and first.unit != measurement.unit:
            text = _("the quantity {quantity} has {value} at {station}")
            text = text.format(quantity=first.quantity, value=repr(first.unit), station=endpoint)
            yield Mistake((*place, "unit"), text)


MAX_STATIONS = 200
MAX_MEASUREMENTS = 16
# Each is a byte of every reading and a row of the filter form (docs/decisions/0004). Stations share
# the columns of what they both measure.
MAX_COLUMNS = 200
MAX_FAULTS = 8
# Each band is a text under the cursor of a chart.
MAX_BANDS = 8
# The size of an entry of the queue (`recording/shared_queue.py`); a test compares the two.
LINE_BYTES = 1664
FAULTS_EXAMPLE = '[{ value = -127, sensor = "DS18B20" }]'
BANDS_EXAMPLE = '[{ above = 1000, label = "Air the room" }]'
TOP = "stations"


class StationTables(Tables):
    """What `tomllib` has read, as stations; `mistakes` has what is wrong with it."""

    def stations(self, data: Mapping[str, Any], file: str) -> Stations:
        """The built-in ones first, then the others in their order; incomplete after mistakes."""
        for key in data:
            if key != TOP:
                self.unknown((key,), [TOP])
        tables = self.table((TOP,), data.get(TOP, {}))
        by_endpoint = {endpoint: self._station(endpoint, raw) for endpoint, raw in tables.items()}
        first = [by_endpoint.pop(s.endpoint, None) or s for s in BUILT_IN.all]
        stations = Stations(
            (*first, *(station for station in by_endpoint.values() if station)), file
        )
        if len(stations.all) > MAX_STATIONS:
            self.wrong((TOP,), _("more than {n} stations").format(n=MAX_STATIONS), is_table=True)
        self.mistakes += station_mistakes((TOP,), stations.all)
        if len(stations.columns) > MAX_COLUMNS:
            text = _("more than {n} columns, all stations together: let them share some")
            self.wrong((TOP,), text.format(n=MAX_COLUMNS), is_table=True)
        return stations

    def _station(self, endpoint: str, raw: Any) -> Station | None:
        path: KeyPath = (TOP, endpoint)
        built_in = BUILT_IN.by_endpoint.get(endpoint)
        before = len(self.mistakes)
        if not keys.ENDPOINT.fullmatch(endpoint):
            self.wrong(
                path, nearly_right(endpoint, keys.ENDPOINT, chosen()(keys.ENDPOINT_NEEDED)), True
            )
        if endpoint in keys.RESERVED_ENDPOINTS:
            self.wrong(path, _("/{name} is an address of the service").format(name=endpoint), True)
        values = self.fields(
            path, raw, keys.STATION_KEYS, others=("measurements",), built_in=built_in
        )
        if isinstance(raw, dict):
            measurements = self._measurements(path, raw.get("measurements", {}), built_in)
        if values is None or len(self.mistakes) > before:
            return None
        values["measurements"] = measurements
        station = replace(built_in, **values) if built_in else Station(endpoint=endpoint, **values)
        if (too_long := longest_line_bytes(station) - LINE_BYTES) > 0:
            text = _("paths and names are {n} bytes too long, all together")
            self.wrong((*path, "measurements"), text.format(n=too_long), is_table=True)
        return station

    def _measurements(
        self, station: KeyPath, raw: Any, built_in: Station | None
    ) -> tuple[Measurement, ...]:
        path = (*station, "measurements")
        by_column = {m.column: m for m in built_in.measurements} if built_in else {}
        before = len(self.mistakes)
        tables = self.table(path, raw)
        if len(self.mistakes) > before:
            return ()
        for column, inner in tables.items():
            measurement = self._measurement((*path, column), inner, by_column.get(column))
            if measurement:
                by_column[column] = measurement
        if not tables and not built_in:
            text = _("the station has no measurement: write [{table}]")
            self.wrong(path, text.format(table=".".join(map(str, (*path, "temperature")))))
        if len(by_column) > MAX_MEASUREMENTS:
            self.wrong(path, _("more than {n} measurements").format(n=MAX_MEASUREMENTS), True)
        self.mistakes += measurement_mistakes(path, by_column.values())
        return tuple(by_column.values())

    def _measurement(
        self, path: KeyPath, raw: Any, built_in: Measurement | None
    ) -> Measurement | None:
        column = str(path[-1])
        before = len(self.mistakes)
        if not keys.COLUMN.fullmatch(column):
            self.wrong(
                path, nearly_right(column, keys.COLUMN, chosen()(keys.COLUMN_NEEDED)), is_table=True
            )
        elif column in keys.RESERVED_COLUMNS:
            self.wrong(path, _("{name} is a name that the database uses").format(name=column), True)
        values = self.fields(
            path, raw, keys.MEASUREMENT_KEYS, others=("faults", "bands"), built_in=built_in
        )
        lists: dict[str, Any] = {}
        for key, read in (("faults", self._faults), ("bands", self._bands)):
            if isinstance(raw, dict) and key in raw:
                lists[key] = read((*path, key), raw[key])
        if values is None or len(self.mistakes) > before:
            return None
        values |= lists
        measurement = (
            replace(built_in, **values) if built_in else Measurement(column=column, **values)
        )
        low, high = measurement.minimum, measurement.maximum
        if low is not None and high is not None and low >= high:
            text = _("is {low}, not below maximum {high}").format(low=low, high=high)
            self.wrong((*path, "minimum" if "minimum" in values else "maximum"), text)
        return measurement

    def _faults(self, path: KeyPath, raw: Any) -> tuple[Fault, ...]:
        faults = []
        for place, table in self._list(path, raw, FAULTS_EXAMPLE, MAX_FAULTS):
            if (values := self.fields(place, table, keys.FAULT_KEYS)) is None:
                continue
            usual_kept = keys.FAULT_CODES.get(values.get("code", ""), False)
            is_kept = values.setdefault("warning_only", usual_kept)
            code = values.setdefault("code", "fault_value_kept" if is_kept else "fault_value")
            if keys.FAULT_CODES[code] != is_kept:
                text = _("{code} goes with warning_only = {value}")
                written = str(keys.FAULT_CODES[code]).lower()
                self.wrong((*place, "reason"), text.format(code=code, value=written))
            faults.append(Fault(**values))
        for value, number in Counter(fault.value for fault in faults).items():
            if number > 1:
                self.wrong(path, _("{value} is there twice").format(value=value))
        return tuple(faults)

    def _bands(self, path: KeyPath, raw: Any) -> tuple[Band, ...]:
        bands = []
        for place, table in self._list(path, raw, BANDS_EXAMPLE, MAX_BANDS):
            values = self.fields(place, table, keys.BAND_KEYS)
            if isinstance(table, dict) and ("above" in table) == ("below" in table):
                self.wrong(place, _("one of above and below is needed"))
            elif values is not None:
                bands.append(Band(**values))
        for key in ("above", "below"):
            for value, number in Counter(getattr(band, key) for band in bands).items():
                if value is not None and number > 1:
                    text = _("{key} = {value} is there twice")
                    self.wrong(path, text.format(key=key, value=value))
        return tuple(bands)

    def _list(
        self, path: KeyPath, raw: Any, example: str, most: int
    ) -> Iterator[tuple[KeyPath, Any]]:
        """Yield the path and the table of each entry of a list."""
        if isinstance(raw, list) and len(raw) <= most:
            yield from (((*path, number), table) for number, table in enumerate(raw))
            return
        needed = _("a list such as {example} is needed, of {n} at most")
        self.wrong(path, str(WrongEntry(raw, needed.format(example=example, n=most))))


# The built-in stations are always there; an entry for one changes only the keys that it has.

NAME = "stations.toml"


def default(settings: Mapping[str, Any]) -> Stations:
    """Those of `stations.toml` in the data folder; without one, BUILT_IN."""
    try:
        return load(settings["data_dir"] / NAME)
    except (FileNotFoundError, NotADirectoryError):
        return BUILT_IN


def load(path: Path) -> Stations:
    """The stations of this file.

    Raises StationsError that names every mistake with its line, and FileNotFoundError.
    """
    return parse(toml.read_document(path), path)


def formula_headings(stations: Stations) -> list[str]:
    """A line for each heading of these stations that a spreadsheet takes for a formula.

    They are no mistakes of the file, because a service that does not start loses readings.
    """
    text = _(
        "{file}: stations.{station}.measurements.{column}: csv_header is {heading}, which a"
        " spreadsheet takes for a formula; {instead} is none"
    )
    lines = []
    for station, measurement in ((s, m) for s in stations.all for m in s.measurements):
        heading, column = measurement.csv_header, measurement.column
        if is_formula(heading):
            instead = heading.lstrip(FORMULA_BEGINNINGS).lstrip() or column
            place = {"file": stations.file, "station": station.endpoint, "column": column}
            lines.append(text.format(**place, heading=repr(heading), instead=repr(instead)))
    return lines


def mistakes(content: bytes, path: Path) -> list[Mistake]:
    """Return what is wrong with a file with these bytes; raises StationsError if it is no TOML."""
    tables = StationTables()
    tables.stations(Document(content, path, StationsError).data, str(path))
    return tables.mistakes


def parse(content: bytes, path: Path) -> Stations:
    """The stations of a file with these bytes; raises StationsError with every mistake."""
    document = Document(content, path, StationsError)
    tables = StationTables()
    stations = tables.stations(document.data, str(path))
    document.check(tables.mistakes)
    return replace(stations, digest=toml.digest_of(content))
