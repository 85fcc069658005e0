"""Which derived values a station has: the one registry of them.

Temperature and humidity of one sensor belong together (`temperature_dht11` with `humidity_dht11`,
or two of one object of the payload); a humidity without a temperature of its own goes with the
station's first. The first pair's values are called like their kind, those of another one with its
ending: `dew_point_dht11`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite

from flask10x.readings.derived.functions import PYTHON
from flask10x.readings.derived.kinds import KINDS, UNITS, Kind
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.translation import translation

Pair = tuple[Measurement, ...]
# More than any sensor or formula is exact to.
RESULT_DIGITS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """One derived value of one station."""

    name: str
    """As queries and files call it; two stations' values of one name mean the same."""
    kind: Kind
    endpoint: str
    inputs: tuple[str, ...]
    """The station's columns that it is computed from, in the order of the formula."""
    altitude_m: float = 0.0
    """That of the station, where the kind needs it."""
    outside: tuple[str, str] | None = None
    """The endpoint and the column of the temperature outside, where the kind needs it."""

    @property
    def is_of_reading(self) -> bool:
        """Whether a reading alone is enough to compute it."""
        return self.kind.source == "reading"

    @property
    def measurement(self) -> Measurement:
        """It as a measurement, for what shows those: names, unit, quantity."""
        return Measurement(
            path=self.name,
            column=self.name,
            quantity=self.kind.quantity,
            csv_header=self.name,
            unit=self.kind.unit,
            label=self.kind.label + _in_brackets(self, " (", ")"),
            label_ja=translation("ja")(self.kind.label) + _in_brackets(self, "（", "）"),
            bands=self.kind.bands,
        )

    def of(self, values: Mapping[str, float | None]) -> float | None:
        """The value of a reading, by column; None where something is missing or beyond its limits.

        Only for those that `is_of_reading`.
        """
        found = [values.get(column) for column in self.inputs]
        return self.of_inputs(found)

    def of_inputs(self, inputs: list[float | None]) -> float | None:
        """The same from the values of its inputs, in their order."""
        given = [value for value in inputs if value is not None]
        if self.kind.formula is None or len(given) < len(inputs) or self._are_beyond(given):
            return None
        altitude = [self.altitude_m] if self.kind.needs_altitude else []
        return self.within(self.kind.formula(*given, *altitude, PYTHON))

    def is_beyond(self, values: Mapping[str, float | None]) -> bool:
        """Whether a reading has all that is needed, and lies outside the limits of the kind."""
        given = [values.get(column) for column in self.inputs]
        numbers = [value for value in given if value is not None]
        return len(numbers) == len(given) and self._are_beyond(numbers)

    def _are_beyond(self, inputs: list[float]) -> bool:
        limits = zip(inputs, self.kind.limits, strict=True)
        return not all(low <= value <= high for value, (low, high) in limits)

    def change(self, value: float | None, other: float | None) -> float | None:
        """How much greater the value is than the other one; None as in `of`.

        For those that are not `is_of_reading`: the other one is the earlier pressure, or the
        temperature outside.
        """
        low, high = self.kind.limits[0]
        if value is None or other is None or not (low <= value <= high and low <= other <= high):
            return None
        return self.within(value - other)

    def within(self, value: float) -> float | None:
        """The value, rounded to RESULT_DIGITS; None when it is beyond the limits of the kind."""
        low, high = self.kind.result
        return round(value, RESULT_DIGITS) if isfinite(value) and low <= value <= high else None


def _in_brackets(derived: Derived, before: str, after: str) -> str:
    ending = derived.name.removeprefix(derived.kind.name).strip("_")
    return f"{before}{ending.upper()}{after}" if ending else ""


@lru_cache(maxsize=8)
def derived_by_station(stations: Stations) -> Mapping[str, Mapping[str, Derived]]:
    """The derived values of each endpoint by name, in the order in which they are shown.

    A name that a column of the installation has is the column's: a board that sends its dew point
    has measured it.
    """
    outside = outdoor_temperature(stations)
    return {
        station.endpoint: {
            one.name: one
            for one in _of_station(station, outside)
            if one.name not in stations.by_column
        }
        for station in stations.all
    }


def derived_names(stations: Stations) -> tuple[str, ...]:
    """The names of all that the stations have, each once, in the order of the kinds."""
    names = {
        name: one for own in derived_by_station(stations).values() for name, one in own.items()
    }
    kinds = [*KINDS]
    return tuple(sorted(names, key=lambda name: (kinds.index(names[name].kind.name), name)))


def names_of_readings(stations: Stations) -> tuple[str, ...]:
    """Of these the names of those that a reading alone is enough to compute."""
    every = derived_by_station(stations).values()
    found = {name for own in every for name, one in own.items() if one.is_of_reading}
    return tuple(name for name in derived_names(stations) if name in found)


def measurement_of(stations: Stations, name: str) -> Measurement:
    """What a column or a derived value of this name is; KeyError when it is neither."""
    if name in stations.by_column:
        return stations.by_column[name]
    found = (own[name] for own in derived_by_station(stations).values() if name in own)
    for derived in found:
        return derived.measurement
    raise KeyError(name)


def outdoor_temperature(stations: Stations) -> tuple[str, str] | None:
    """The endpoint and the column of the first temperature that is measured outside."""
    for station in stations.all:
        for one in _measuring(station, "temperature") if station.outside else ():
            return station.endpoint, one.column
    return None


def _of_station(station: Station, outside: tuple[str, str] | None) -> Iterator[Derived]:
    for kind in KINDS.values():
        if kind.needs_altitude and station.altitude_m is None:
            continue
        if kind.source == "outside" and (station.outside or outside is None):
            continue
        taken: set[str] = set()
        for number, pair in enumerate(_pairs(station, kind.inputs), 1):
            name = kind.name if not taken else f"{kind.name}{_ending(pair, number)}"
            if name not in taken:
                taken.add(name)
                yield Derived(
                    name=name,
                    kind=kind,
                    endpoint=station.endpoint,
                    inputs=tuple(one.column for one in pair),
                    altitude_m=station.altitude_m or 0.0 if kind.needs_altitude else 0.0,
                    outside=outside if kind.source == "outside" else None,
                )


def _pairs(station: Station, quantities: tuple[str, ...]) -> Iterator[Pair]:
    """The measurements that belong together, one of each quantity, those of a sensor of its own."""
    main = "humidity" if "humidity" in quantities else quantities[0]
    for one in _measuring(station, main):
        pair = tuple(one if q == main else _partner(station, one, q) for q in quantities)
        found = tuple(each for each in pair if each is not None)
        if len(found) == len(quantities):
            yield found


def _partner(station: Station, one: Measurement, quantity: str) -> Measurement | None:
    """The measurement of this quantity by the same sensor, else the first one."""
    others = _measuring(station, quantity)
    ending = one.column.removeprefix(one.quantity)
    by_name = [other for other in others if other.column == quantity + ending]
    parent = one.path.rpartition(".")[0]
    by_path = [other for other in others if parent and other.path.rpartition(".")[0] == parent]
    return next(iter([*by_name, *by_path, *others]), None)


def _measuring(station: Station, quantity: str) -> list[Measurement]:
    unit = UNITS[quantity]
    return [m for m in station.measurements if (m.quantity, m.unit) == (quantity, unit)]


def _ending(pair: Pair, number: int) -> str:
    """The ending of the names of a second pair's values: `_dht11`."""
    endings = (m.column.removeprefix(m.quantity) for m in pair if m.column != m.quantity)
    return next((e for e in endings if e.startswith("_")), f"_{number}")
