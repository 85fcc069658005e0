"""Derived values: computed from measurements at each request, and never stored.

This module is the registry of them. Each formula has its source and is written once, for Python
and for SQL.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal, Protocol

from flask10x.readings.bands import Band
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.translation import N_, translation


class Functions(Protocol):
    """The functions in formulas: of numbers here, of SQL expressions in `history/statements`."""

    def ln(self, value: Any, /) -> Any:
        """The natural logarithm of a number above 0."""

    def exp(self, value: Any, /) -> Any:
        """e to the power of the value."""

    def below(self, value: Any, pieces: Sequence[tuple[float, Any]], otherwise: Any, /) -> Any:
        """The piece of the first limit above the value, or `otherwise`; the limits ascend."""


class _Python:
    """For plain numbers."""

    ln = staticmethod(math.log)
    exp = staticmethod(math.exp)

    def below(self, value: Any, pieces: Sequence[tuple[float, Any]], otherwise: Any, /) -> Any:
        return next((piece for limit, piece in pieces if value < limit), otherwise)


PYTHON: Functions = _Python()


# The formulas of derived values, each with its source.
#
# Arguments and results are floats, or expressions of SQL with the functions for those. The
# limits of each formula are in the kinds below; the formulas do not check them.

CELSIUS_ZERO_K = 273.15
# WMO-No. 8, Guide to Meteorological Instruments and Methods of Observation, annex 4.B: the Magnus
# formula with the coefficients of Sonntag (1990), over water, from -45 to 60 °C. Its factor for
# moist air, f(p) = 1.005 at most, is left out: in the dew point it cancels out.
MAGNUS_HPA, MAGNUS_FACTOR, MAGNUS_C = 6.112, 17.62, 243.12
# 100 Pa/hPa * 1000 g/kg / 461.5 J/(kg K), the gas constant of water vapour.
VAPOUR_GK_PER_HPA = 216.68
# 気象庁「気象観測の手引き」, on the pressure at sea level: gravity (the standard one here), the gas
# constant of dry air, and half of 0.5 °C per 100 m as the mean temperature below the station.
GRAVITY_M_S2, DRY_AIR_J_KG_K, HALF_LAPSE_C_M = 9.80665, 287.05, 0.0025


def saturation_hpa(temperature: Any, functions: Functions) -> Any:
    """The vapour pressure over water, in hPa, at which air of this temperature is saturated."""
    return MAGNUS_HPA * functions.exp(MAGNUS_FACTOR * temperature / (MAGNUS_C + temperature))


def dew_point(temperature: Any, humidity: Any, functions: Functions) -> Any:
    """The temperature in °C at which the vapour of the air begins to condense (over water).

    WMO-No. 8, annex 4.B: the formula of the saturation, solved for the temperature.
    """
    exponent = functions.ln(humidity / 100.0) + MAGNUS_FACTOR * temperature / (
        MAGNUS_C + temperature
    )
    return MAGNUS_C * exponent / (MAGNUS_FACTOR - exponent)


def absolute_humidity(temperature: Any, humidity: Any, functions: Functions) -> Any:
    """The mass of water vapour in the air, in g/m³.

    The equation of state of water vapour, with the saturation of WMO-No. 8.
    """
    vapour_hpa = humidity / 100.0 * saturation_hpa(temperature, functions)
    return VAPOUR_GK_PER_HPA * vapour_hpa / (temperature + CELSIUS_ZERO_K)


def discomfort_index(temperature: Any, humidity: Any, _functions: Functions) -> Any:
    """不快指数, the temperature-humidity index: a number that reads like °F.

    As in 新版NHK気象ハンドブック and all over Japan.
    """
    return 0.81 * temperature + 0.01 * humidity * (0.99 * temperature - 14.3) + 46.3


def wbgt(temperature: Any, humidity: Any, _functions: Functions) -> Any:
    """An estimate of the wet-bulb globe temperature in °C, without sun and without wind.

    小野雅司, 登内道彦「通常気象要素を用いたWBGT（湿球黒球温度）の推定」, 日本生気象学会雑誌 50(4),
    2014, pages 147-157, with a radiation and a speed of the wind of 0.
    """
    return 0.735 * temperature + 0.0374 * humidity + 0.00292 * temperature * humidity - 4.064


def sea_level_pressure(
    pressure: Any, temperature: Any, altitude_m: float, functions: Functions
) -> Any:
    """The pressure at sea level below the station, in hPa.

    気象庁「気象観測の手引き」: the hypsometric formula, with the mean virtual temperature of the
    air that would be below the station.
    """
    mean = temperature + HALF_LAPSE_C_M * altitude_m
    virtual_k = CELSIUS_ZERO_K + mean + moisture_c(mean, functions)
    return pressure * functions.exp(GRAVITY_M_S2 * altitude_m / (DRY_AIR_J_KG_K * virtual_k))


def moisture_c(mean: Any, functions: Functions) -> Any:
    """The correction of this mean temperature for the usual moisture of the air, in °C.

    The table of 気象庁「気象観測の手引き」.
    """
    return functions.below(
        mean,
        (
            (-30.0, 0.09),
            (0.0, 0.000489 * mean * mean + 0.0300 * mean + 0.550),
            (20.0, 0.002850 * mean * mean + 0.0165 * mean + 0.550),
            (33.8, -0.006933 * mean * mean + 0.4687 * mean - 4.580),
        ),
        3.34,
    )


Source = Literal["reading", "earlier", "outside"]
"""What it is computed from: one reading, also an earlier one of the station, or also one of the
station outside."""
Limits = tuple[float, float]

# 気象庁 publishes no sea-level pressure of higher stations.
HIGHEST_M = 800
# The shore of the Dead Sea.
LOWEST_M = -430
TREND_HOURS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of derived value."""

    name: str
    """Its name in queries and files."""
    quantity: str
    unit: str
    label: str
    """Its English name on pages; the catalogue has the Japanese one."""
    inputs: tuple[str, ...]
    """The quantities it needs, in the order of the formula's arguments."""
    limits: tuple[Limits, ...]
    """The range of each input; beyond it there is no value."""
    result: Limits
    """The range of the value itself; beyond it there is no value."""
    formula: Callable[..., Any] | None = None
    """The formula for one reading; None where other readings are needed."""
    needs_altitude: bool = False
    source: Source = "reading"
    bands: tuple[Band, ...] = ()


# The range of the Magnus formula; below 1 % no sensor of a house is right.
_MAGNUS: tuple[Limits, ...] = ((-45, 60), (1, 100))
UNITS: Mapping[str, str] = MappingProxyType(
    {"temperature": "°C", "humidity": "%", "pressure": "hPa"}
)
"""The unit in which an input must be measured."""

_ALL = (
    Kind(
        name="dew_point",
        quantity="temperature",
        unit="°C",
        label=N_("Dew point"),
        inputs=("temperature", "humidity"),
        limits=_MAGNUS,
        result=(-45, 60),
        formula=dew_point,
    ),
    Kind(
        name="absolute_humidity",
        quantity="absolute_humidity",
        unit="g/m³",
        label=N_("Absolute humidity"),
        inputs=("temperature", "humidity"),
        limits=_MAGNUS,
        result=(0, 200),
        formula=absolute_humidity,
    ),
    # No range is published. These are the temperatures for which the words that go with the index
    # (from below 50 "cold" to above 85 "unbearably hot") mean something.
    Kind(
        name="discomfort_index",
        quantity="discomfort_index",
        unit="",
        label=N_("Discomfort index"),
        inputs=("temperature", "humidity"),
        limits=((0, 45), (1, 100)),
        result=(0, 120),
        formula=discomfort_index,
    ),
    # Fitted to the summers of six Japanese cities, so it does not hold for cold air.
    Kind(
        name="wbgt",
        quantity="wbgt",
        unit="°C",
        label=N_("Estimated WBGT"),
        inputs=("temperature", "humidity"),
        limits=((20, 40), (20, 100)),
        result=(0, 60),
        formula=wbgt,
        # 日本生気象学会「日常生活における熱中症予防指針」Ver.4 (2022): from these values on.
        bands=(
            Band(above=25, label=N_("Caution")),
            Band(above=28, level="warning", label=N_("Severe caution")),
            Band(above=31, level="warning", label=N_("Danger")),
        ),
    ),
    # The range of weather charts. A value beyond it shows a broken sensor or a wrong ALTITUDE_M.
    Kind(
        name="sea_level_pressure",
        quantity="sea_level_pressure",
        unit="hPa",
        label=N_("Sea-level pressure"),
        inputs=("pressure", "temperature"),
        limits=((800, 1150), (-50, 50)),
        result=(850, 1100),
        formula=sea_level_pressure,
        needs_altitude=True,
    ),
    Kind(
        name="pressure_trend",
        quantity="pressure_trend",
        unit="hPa",
        label=N_("3-hour pressure trend"),
        inputs=("pressure",),
        limits=((300, 1150),),
        result=(-100, 100),
        source="earlier",
    ),
    Kind(
        name="outdoor_difference",
        quantity="temperature_difference",
        unit="°C",
        label=N_("Indoor minus outdoor"),
        inputs=("temperature",),
        limits=((-50, 150),),
        result=(-200, 200),
        source="outside",
    ),
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})
"""Each kind by its name, in the order in which they are shown."""


# Which derived values a station has.
#
# Temperature and humidity of one sensor belong together (`temperature_dht11` with
# `humidity_dht11`, or two of one object of the payload); a humidity whose sensor has no
# temperature is paired with the station's first. The values of the first pair have the name of
# their kind, those of another pair end with the name of its sensor: `dew_point_dht11`.

Pair = tuple[Measurement, ...]
# More than any sensor or formula is exact to.
RESULT_DIGITS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """One derived value of one station."""

    name: str
    """Its name in queries and files; it means the same at all stations."""
    kind: Kind
    endpoint: str
    inputs: tuple[str, ...]
    """The station's columns that it is computed from, in the order of the formula."""
    altitude_m: float = 0.0
    """The altitude of the station, where the kind needs it."""
    outside: tuple[str, str] | None = None
    """The endpoint and the column of the temperature outside, where the kind needs it."""

    @property
    def is_of_reading(self) -> bool:
        """Whether a reading alone is enough to compute it."""
        return self.kind.source == "reading"

    @property
    def measurement(self) -> Measurement:
        """The derived value as a measurement, for code that shows measurements."""
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
        """The value for a reading's values by column; None if an input is missing or out of range.

        Only for derived values with `is_of_reading`.
        """
        return self.of_inputs([values.get(column) for column in self.inputs])

    def of_inputs(self, inputs: list[float | None]) -> float | None:
        """As `of`, for the values of the inputs in their order."""
        numbers = [value for value in inputs if value is not None]
        if self.kind.formula is None or len(numbers) < len(inputs) or self._are_beyond(numbers):
            return None
        altitude = [self.altitude_m] if self.kind.needs_altitude else []
        return self.within(self.kind.formula(*numbers, *altitude, PYTHON))

    def is_beyond(self, values: Mapping[str, float | None]) -> bool:
        """Whether a reading has all inputs and one of them is outside the limits of the kind."""
        numbers = [v for column in self.inputs if (v := values.get(column)) is not None]
        return len(numbers) == len(self.inputs) and self._are_beyond(numbers)

    def _are_beyond(self, inputs: list[float]) -> bool:
        limits = zip(inputs, self.kind.limits, strict=True)
        return not all(low <= value <= high for value, (low, high) in limits)

    def change(self, value: float | None, other: float | None) -> float | None:
        """The value minus the other value; None as in `of`.

        Only for derived values without `is_of_reading`: the other value is the earlier pressure or
        the temperature outside.
        """
        if value is None or other is None or self._are_beyond([value]) or self._are_beyond([other]):
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

    Where a column has the name of a derived value, the derived value is left out: a board that
    sends its dew point has measured it.
    """
    outside = outdoor_temperature(stations)
    return {
        station.endpoint: {
            derived.name: derived
            for derived in _of_station(station, outside)
            if derived.name not in stations.by_column
        }
        for station in stations.all
    }


def derived_names(stations: Stations) -> tuple[str, ...]:
    """The names of all derived values of the stations, in the order of the kinds."""
    kinds, by_name = [*KINDS], _by_name(stations)
    return tuple(sorted(by_name, key=lambda name: (kinds.index(by_name[name].kind.name), name)))


def names_of_readings(stations: Stations) -> tuple[str, ...]:
    """The names of the derived values that can be computed from a reading alone."""
    by_name = _by_name(stations)
    return tuple(name for name in derived_names(stations) if by_name[name].is_of_reading)


def measurement_of(stations: Stations, name: str) -> Measurement:
    """What a column or a derived value of this name is; KeyError when it is neither."""
    if name in stations.by_column:
        return stations.by_column[name]
    return _by_name(stations)[name].measurement


@lru_cache(maxsize=8)
def _by_name(stations: Stations) -> Mapping[str, Derived]:
    """A derived value of each name: those of two stations with one name are of one kind."""
    of_stations = derived_by_station(stations).values()
    return {name: derived for by_name in of_stations for name, derived in by_name.items()}


def outdoor_temperature(stations: Stations) -> tuple[str, str] | None:
    """The endpoint and the column of the first temperature that is measured outside."""
    for station in stations.all:
        for measurement in _measuring(station, "temperature") if station.outside else ():
            return station.endpoint, measurement.column
    return None


def _of_station(station: Station, outside: tuple[str, str] | None) -> Iterator[Derived]:
    for kind in KINDS.values():
        if kind.needs_altitude and station.altitude_m is None:
            continue
        if kind.source == "outside" and (station.outside or outside is None):
            continue
        names: set[str] = set()
        for number, pair in enumerate(_pairs(station, kind.inputs), 1):
            # Further pairs end with the name of their sensor, such as `_dht11`.
            endings = [m.column.removeprefix(m.quantity) for m in pair]
            ending = next((each for each in endings if each.startswith("_")), f"_{number}")
            name = f"{kind.name}{ending}" if names else kind.name
            if name not in names:
                names.add(name)
                yield Derived(
                    name=name,
                    kind=kind,
                    endpoint=station.endpoint,
                    inputs=tuple(measurement.column for measurement in pair),
                    altitude_m=station.altitude_m or 0.0 if kind.needs_altitude else 0.0,
                    outside=outside if kind.source == "outside" else None,
                )


def _pairs(station: Station, quantities: tuple[str, ...]) -> Iterator[Pair]:
    """The measurements of each pair: one of each quantity, of one sensor where possible."""
    main = "humidity" if "humidity" in quantities else quantities[0]
    for measurement in _measuring(station, main):
        ending = measurement.column.removeprefix(measurement.quantity)
        parent = measurement.path.rpartition(".")[0]
        pair: list[Measurement] = []
        for quantity in quantities:
            # The one by the same sensor, else the first one.
            others = [measurement] if quantity == main else _measuring(station, quantity)
            by_name = [other for other in others if other.column == quantity + ending]
            by_path = [o for o in others if parent and o.path.rpartition(".")[0] == parent]
            pair += [*by_name, *by_path, *others][:1]
        if len(pair) == len(quantities):
            yield tuple(pair)


def _measuring(station: Station, quantity: str) -> list[Measurement]:
    unit = UNITS[quantity]
    return [m for m in station.measurements if (m.quantity, m.unit) == (quantity, unit)]
