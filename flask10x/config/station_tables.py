"""The tables of `stations.toml` as stations, and every mistake in them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from gettext import gettext as _
from typing import Any

from flask10x.config.reserved_names import RESERVED_COLUMNS, RESERVED_ENDPOINTS
from flask10x.config.station_comparisons import measurement_mistakes, station_mistakes
from flask10x.config.station_keys import (
    BAND_KEYS,
    FAULT_KEYS,
    MEASUREMENT_KEYS,
    STATION_KEYS,
)
from flask10x.config.station_values import (
    COLUMN,
    ENDPOINT,
    FAULT_CODES,
    column_wanted,
    endpoint_wanted,
)
from flask10x.config.toml.keys import Key
from flask10x.config.toml.lines import Path
from flask10x.config.toml.tables import Tables
from flask10x.config.toml.values import nearly_right, wrong
from flask10x.readings.bands import Band
from flask10x.readings.longest_line import longest_line_bytes
from flask10x.readings.stations import BUILT_IN, Fault, Measurement, Station, Stations

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
        path: Path = (TOP, endpoint)
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
        self, station: Path, raw: Any, former: Station | None
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

    def _measurement(self, path: Path, raw: Any, former: Measurement | None) -> Measurement | None:
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

    def _faults(self, path: Path, raw: Any) -> tuple[Fault, ...] | None:
        if raw is None:
            return None
        tables = self._list(path, raw, FAULTS_EXAMPLE, MAX_FAULTS)
        found = [self._fault((*path, number), inner) for number, inner in enumerate(tables)]
        repeated = [v for v, n in Counter(fault.value for fault in found if fault).items() if n > 1]
        for value in repeated:
            self.wrong(path, _("{value} is there twice").format(value=value))
        return tuple(fault for fault in found if fault)

    def _fault(self, path: Path, raw: Any) -> Fault | None:
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

    def _bands(self, path: Path, raw: Any) -> tuple[Band, ...] | None:
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

    def _band(self, path: Path, raw: Any) -> Band | None:
        before = len(self.mistakes)
        given = self.table(path, raw)
        if given is None:
            return None
        values = self._values(path, given, BAND_KEYS, None)
        if ("above" in given) == ("below" in given):
            self.wrong(path, _("one of above and below is needed"))
        return None if len(self.mistakes) > before else Band(**values)

    def _list(self, path: Path, raw: Any, example: str, most: int) -> list[Any]:
        """A list of at most so many; anything else is noted, and empty."""
        if isinstance(raw, list) and len(raw) <= most:
            return raw
        wanted = _("a list such as {example} is needed, of {n} at most")
        self.wrong(path, str(wrong(raw, wanted.format(example=example, n=most))))
        return []

    def _values(
        self,
        path: Path,
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
