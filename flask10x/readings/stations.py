"""Stations: what each sender sends, and where it goes. The four of contract, section 1, as data.

Validation, columns, CSV headers, filters and pages all come from a `Stations`. That of a running
service is `settings.stations`: the four built-in ones, adjusted and added to by the operator's
`stations.toml` (`config/station_file.py`). Never an `if` for a station.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from types import MappingProxyType
from typing import Any

from flask10x.readings.bands import USUAL, Band


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A number that a sensor or its driver returns when a measurement has failed."""

    value: float
    sensor: str
    code: str
    """The code of its reason (`readings/reasons.py`)."""
    warning_only: bool = False
    """Whether it can also be a true value, which is stored with a warning."""


# The number of a DS18B20's driver, for the sensor itself ends at -55 °C; and the number with which
# its register begins at power-on (data sheet, "Temperature register format").
DS18B20_FAULTS = (
    Fault(value=-127, sensor="DS18B20", code="sensor_silent"),
    Fault(value=85, sensor="DS18B20", code="after_power_on", warning_only=True),
)
MH_Z19_FAULTS = (Fault(value=-1, sensor="MH-Z19", code="program_silent"),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One number of a reading: its place in the payload, and its names elsewhere."""

    path: str
    """Where the payload holds it, dots between the objects: `mh_z19.co2`."""
    column: str
    """Its column in the table `readings`, and its name in history filters."""
    quantity: str
    """What it measures: those of one quantity have one unit and one axis of a chart."""
    csv_header: str
    """Its heading in the station's CSV file, the old misspellings included."""
    unit: str
    """The unit in which it is stored; empty for a bare number."""
    minimum: float | None = None
    maximum: float | None = None
    faults: tuple[Fault, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other paths, looked at in this order when the payload has nothing at `path`."""
    partial_aliases: tuple[str, ...] = ()
    """Further paths, tried after the aliases where incomplete readings are accepted; the answer
    names the one that was used. Paths and aliases of other measurements are left out."""
    label: str = ""
    """The name of the column on pages that have no other name for it; empty: the column."""
    label_ja: str = ""
    ambient: str = ""
    """Its field in Ambient, `d1` to `d8`; empty: none."""
    influx: str = ""
    """Its field in the line protocol; empty: the path."""
    hidden: bool = False
    """Whether pages leave it out; it is stored and exported as any other."""
    bands: tuple[Band, ...] | None = None
    """The bands of `stations.toml`; None: the usual ones (`Station.bands_of`), empty: no bands."""


# Two readings that are lost in a row are no silence yet.
SILENT_INTERVALS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Station:
    """One sender: its endpoint, its CSV file and its measurements in the file's column order."""

    endpoint: str
    label: str
    csv_name: str
    measurements: tuple[Measurement, ...]
    label_ja: str = ""
    """The label of Japanese pages; empty: the same as `label`."""
    interval_sec: int | None = None
    """How often it sends; None: unknown."""
    accepts_partial: bool = False
    """Whether its incomplete readings are accepted, unless PARTIAL_READINGS says otherwise."""
    repeat_window_sec: int | None = None
    """How long a body like the one before counts as a repeat; None: REPEAT_WINDOW_SEC, 0: never."""
    retention_days: int | None = None
    """After how many days its readings are removed; None: RETENTION_DAYS, 0: never."""
    ambient_channel: str = ""
    """Its channel in Ambient's addresses; empty: none."""
    influx: str = ""
    """Its measurement in the line protocol; empty: none."""
    influx_tags: tuple[tuple[str, str], ...] = ()
    """The tags that a line must have to be of this station."""
    mqtt_topic: str = ""
    """The topic that `flask10x mqtt` subscribes to for it; empty: none."""
    outside: bool = False
    """Whether it is outdoors, where the bands for rooms do not apply."""
    chart: str = ""
    """`own`: its lines have charts of their own, `shared`: they are with those of other stations;
    empty: as its values fit theirs."""
    altitude_m: float | None = None
    """The altitude of its barometer above sea level; None: unknown."""
    order: int | None = None
    """Its place among the stations on pages, the lowest first; None: after those with one."""
    colour: int | None = None
    """The number of its colour on pages; None: the next that no station has, in their order."""
    icon: str = ""
    """Its drawing on pages (`config/station_keys.ICONS`, `none`); empty: by its names."""
    tile_main: str = ""
    """The column that its tile shows large; empty: what is asked of a room first."""
    tile_second: str = ""
    """The column beside that; empty: what is asked next."""
    hidden: bool = False
    """Whether pages leave it out; boards, programs and CSV files know it as any other."""
    retired: bool = False
    """Whether it sends no more: no silence is reported, and the home has no tile of it."""
    columns: tuple[str, ...] = field(init=False)
    csv_header: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        used = {name for m in self.measurements for name in (m.path, *m.aliases)}
        measurements = []
        for measurement in self.measurements:
            free = tuple(name for name in measurement.partial_aliases if name not in used)
            measurements.append(replace(measurement, partial_aliases=free))
        object.__setattr__(self, "measurements", tuple(measurements))
        object.__setattr__(self, "columns", tuple(m.column for m in self.measurements))
        headers = ("current_time", *(m.csv_header for m in self.measurements))
        object.__setattr__(self, "csv_header", headers)

    @property
    def shown(self) -> tuple[Measurement, ...]:
        """The measurements that pages show."""
        return tuple(measurement for measurement in self.measurements if not measurement.hidden)

    def bands_of(self, measurement: Measurement) -> tuple[Band, ...]:
        """The bands of a measurement: those of `stations.toml`, or the usual ones of a room."""
        if measurement.bands is not None:
            return measurement.bands
        return () if self.outside else USUAL.get((measurement.quantity, measurement.unit), ())

    def silent_after_sec(self, at_least_sec: int) -> int:
        """The seconds without a reading until it is silent: three intervals, if it has one."""
        return max(at_least_sec, SILENT_INTERVALS * (self.interval_sec or 0))


# With 19 digits and a sign, which no time and no number of an entry needs.
_LONGEST_INTEGER = -(2**63)
# -2.2250738585072014e-308: no double is longer.
_LONGEST_NUMBER = -sys.float_info.min
_KEY_DIGITS = 32


def longest_line_bytes(station: Station) -> int:
    """The bytes of the longest line: every number at its longest, and a warning of each field.

    A station with more than `recording.shared_queue.LINE_BYTES` has no room in the queue.
    """
    row: dict[str, object] = {"endpoint": station.endpoint}
    row |= dict.fromkeys(("received_at", "arrived_at"), _LONGEST_INTEGER)
    row |= dict.fromkeys(station.columns, _LONGEST_NUMBER)
    line = {
        "number": _LONGEST_INTEGER,
        "row": row,
        "warned": [measurement.path for measurement in station.measurements],
        "arrived_ms": _LONGEST_INTEGER,
        "key": "f" * _KEY_DIGITS,
        "repeat_window_ms": _LONGEST_INTEGER,
    }
    return len(json.dumps(line, separators=(",", ":"))) + len("\n")


def columns_of(stations: Iterable[Station]) -> tuple[str, ...]:
    """The columns these stations fill, each once, in the registry's order."""
    return tuple(dict.fromkeys(column for station in stations for column in station.columns))


# The style sheet has so many `--series-…`.
COLOURS = 12


@dataclass(frozen=True, eq=False, slots=True)
class Stations:
    """The stations of an installation, in the order of downloads."""

    all: tuple[Station, ...]
    file: str = ""
    """The path of the file that has added to the built-in ones or adjusted them; empty: none."""
    digest: str = field(default="", compare=False)
    """The SHA-256 of that file as it was read; empty: none."""
    by_endpoint: Mapping[str, Station] = field(init=False)
    columns: tuple[str, ...] = field(init=False)
    """The columns of the table `readings` that they fill, each once."""
    by_column: Mapping[str, Measurement] = field(init=False)
    """A measurement of each column, the first that has a label: what the column means and its unit
    are the same in all of them."""

    def __post_init__(self) -> None:
        by_endpoint = MappingProxyType({s.endpoint: s for s in self.all})
        object.__setattr__(self, "by_endpoint", by_endpoint)
        object.__setattr__(self, "columns", columns_of(self.all))
        object.__setattr__(self, "by_column", _by_column(self.all))

    @property
    def ordered(self) -> tuple[Station, ...]:
        """All of them as pages show them: by their `order`, then those without one."""
        return tuple(sorted(self.all, key=lambda s: (s.order is None, s.order or 0)))

    @property
    def colours(self) -> dict[str, tuple[int, int]]:
        """Which colour each station has, from 1, and how many times all were given out before it.

        That follows from its number: neither `order` nor a filter changes it, nor does a station
        that goes, if the number is in the file.
        """
        numbers = self._colour_numbers().items()
        return {name: ((n - 1) % COLOURS + 1, (n - 1) // COLOURS) for name, n in numbers}

    @property
    def free_colour(self) -> int:
        """The number of the colour that the next station has."""
        taken = self._colour_numbers().values()
        return next(number for number in count(1) if number not in taken)

    def _colour_numbers(self) -> dict[str, int]:
        taken = {s.colour for s in self.all}
        free = (number for number in count(1) if number not in taken)
        return {s.endpoint: s.colour or next(free) for s in self.all}

    def __reduce__(self) -> tuple[type["Stations"], tuple[tuple[Station, ...], str, str]]:
        """Another process builds it from its stations, because a mapping proxy can't be pickled."""
        return Stations, (self.all, self.file, self.digest)


def _by_column(stations: Iterable[Station]) -> dict[str, Measurement]:
    by_column: dict[str, Measurement] = {}
    for measurement in (m for station in stations for m in station.measurements):
        first = by_column.setdefault(measurement.column, measurement)
        if measurement.label and not first.label:
            by_column[measurement.column] = measurement
    return by_column


# The unit of each quantity that the built-in stations measure, and its range (contract, section 1).
_QUANTITIES: Mapping[str, tuple[str, float | None, float | None]] = MappingProxyType(
    {
        "temperature": ("°C", -50, 150),
        "humidity": ("%", 0, 100),
        "pressure": ("hPa", 0, 2000),
        "co2": ("ppm", 0, 200_000),
        "gas_resistance": ("Ω", 0, None),
        "analog_value": ("", 0, None),
        "voltage": ("V", 0, None),
    }
)


def _measurement(
    csv_header: str, quantity: str, path: str = "", sensor: str = "", **others: Any
) -> Measurement:
    """A measurement of a built-in station; of one of two sensors of a quantity by the sensor."""
    unit, minimum, maximum = _QUANTITIES[quantity]
    column = f"{quantity}_{sensor}" if sensor else quantity
    if sensor:
        path = f"{sensor}.{quantity}"
        others["partial_aliases"] = (f"{sensor}_{quantity}", column)
    return Measurement(
        path=path or quantity,
        column=column,
        quantity=quantity,
        csv_header=csv_header,
        unit=unit,
        minimum=minimum,
        maximum=maximum,
        **others,
    )


BUILT_IN = Stations(
    (
        Station(
            endpoint="data",
            label="Pico (BME280)",
            colour=1,
            csv_name="PicodataX.csv",
            measurements=(
                _measurement("Pressure", "pressure"),
                _measurement("Tempereture", "temperature"),
            ),
        ),
        Station(
            endpoint="data2",
            label="Bedroom (MH-Z19, BME680)",
            colour=2,
            csv_name="BedRoomEnv.csv",
            measurements=(
                _measurement("CO2", "co2", faults=MH_Z19_FAULTS),
                _measurement("Tempereture", "temperature"),
                _measurement("Humidity", "humidity"),
                _measurement("Pressure", "pressure"),
                _measurement("GasResistance", "gas_resistance", "gas_res"),
            ),
        ),
        Station(
            endpoint="data3",
            label="Outside (BME680)",
            colour=3,
            csv_name="OutsideEnv.csv",
            outside=True,
            measurements=(
                _measurement("Temperature-outside", "temperature"),
                _measurement("Humidity-outside", "humidity"),
                _measurement("Pressure-outside", "pressure"),
                _measurement("GasResistance-outside", "gas_resistance", "gas_res"),
            ),
        ),
        Station(
            endpoint="data4",
            label="Living room (MH-Z19, MQ-2, DS18B20, DHT11)",
            colour=4,
            csv_name="LR_env.csv",
            measurements=(
                _measurement(
                    "CO2",
                    "co2",
                    "mh_z19.co2",
                    partial_aliases=("co2", "co2_ppm"),
                    faults=MH_Z19_FAULTS,
                ),
                _measurement(
                    "AnalogValue",
                    "analog_value",
                    "mq_2.analog_value",
                    partial_aliases=("analog_value", "mq2_analog"),
                ),
                _measurement(
                    "Voltage", "voltage", "mq_2.voltage", partial_aliases=("voltage", "mq2_voltage")
                ),
                _measurement(
                    "Temperature_DS18B20", "temperature", sensor="ds18b20", faults=DS18B20_FAULTS
                ),
                _measurement("Temperature_DHT11", "temperature", sensor="dht11"),
                _measurement("Humidity_DHT11", "humidity", sensor="dht11"),
            ),
        ),
    )
)


def is_shown(station: Station, *, has_sent: bool) -> bool:
    """Return whether people see a station on pages.

    A built-in one waits for its first reading, unless `stations.toml` changes more than its place.
    """
    if station.hidden:
        return False
    return has_sent or replace(station, order=None) != BUILT_IN.by_endpoint.get(station.endpoint)
