"""A proposal of a station from an example of its bodies; the operator checks it."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from gettext import gettext as _

from flask10x.config import station_keys as keys
from flask10x.config.readers import WrongEntry
from flask10x.config.station_file import MAX_MEASUREMENTS
from flask10x.config.station_keys import path, unit
from flask10x.readings.numbers import SPELLINGS, parse_number
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.translation import N_, translation


@dataclass(frozen=True, slots=True)
class Usual:
    """A measurement that many boards send."""

    column: str
    """Its usual column; also what it measures."""
    unit: str
    minimum: float | None
    maximum: float | None
    label: str
    """Its English name; the catalogue has the Japanese one."""
    names: str
    """Its names on boards, in small letters and digits only, with blanks between them."""

    def holds(self, value: float) -> bool:
        """Whether the value is within the range."""
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)


# Of two with the same name the first whose range holds the value is taken.
USUAL_MEASUREMENTS = (
    Usual(
        "temperature",
        "°C",
        -50,
        150,
        N_("Temperature"),
        "temperature temp tmp t tempc tempcelsius airtemp 温度 気温",
    ),
    Usual("humidity", "%", 0, 100, N_("Humidity"), "humidity hum humid h rh relativehumidity 湿度"),
    Usual(
        "pressure",
        "hPa",
        0,
        2000,
        N_("Pressure"),
        "pressure press pres p baro barometer airpressure 気圧",
    ),
    # As sensor.community's firmware and many libraries give it.
    Usual(
        "pressure_pa",
        "Pa",
        30_000,
        120_000,
        N_("Pressure"),
        "pressure press pres p baro airpressure",
    ),
    Usual("co2", "ppm", 0, 200_000, N_("CO2"), "co2 carbondioxide co2ppm 二酸化炭素"),
    Usual("voltage", "V", 0, None, N_("Voltage"), "voltage volt volts v vcc vin 電圧"),
    Usual("battery_voltage", "V", 0, None, N_("Battery"), "battv vbat batteryvoltage batvoltage"),
    Usual("battery_voltage", "V", 0, 5, N_("Battery"), "battery bat"),
    Usual("battery", "%", 0, 100, N_("Battery level"), "battery bat batterylevel batterypercent"),
    Usual("gas_resistance", "Ω", 0, None, N_("Gas resistance"), "gasresistance gasres gas"),
    Usual("illuminance", "lx", 0, None, N_("Illuminance"), "illuminance lux light brightness 照度"),
    Usual("pm1", "µg/m³", 0, None, N_("PM1"), "pm1 pm01"),
    Usual("pm25", "µg/m³", 0, None, N_("PM2.5"), "pm25 sdsp2 p2"),
    Usual("pm10", "µg/m³", 0, None, N_("PM10"), "pm10 sdsp1 p1"),
    Usual("soil_moisture", "%", 0, 100, N_("Soil moisture"), "soilmoisture 土壌水分"),
    # 1 for open.
    Usual("door", "", 0, 1, N_("Door open"), "door dooropen contact 扉"),
    Usual("rssi", "dBm", None, None, N_("Signal"), "rssi wifirssi signal"),
)
# Fields with a time or a sender, which are no measurements.
NOT_MEASURED = frozenset(
    {
        *("time", "timestamp", "ts", "datetime", "date", "epoch", "currenttime", "measuredat"),
        *("ages", "id", "deviceid", "sensorid", "seq", "sequence", "version"),
    }
)


_PLACES = {
    N_("Attic"): "attic",
    N_("Balcony"): "balcony veranda",
    N_("Basement"): "basement cellar",
    N_("Bathroom"): "bath bathroom",
    N_("Bedroom"): "bedroom",
    N_("Children's room"): "children kidsroom",
    N_("Closet"): "closet",
    N_("Corridor"): "corridor hall",
    N_("Door"): "door",
    N_("Entrance"): "entrance",
    N_("Freezer"): "freezer",
    N_("Refrigerator"): "fridge refrigerator",
    N_("Garage"): "garage",
    N_("Garden"): "garden",
    N_("Greenhouse"): "greenhouse",
    N_("Kitchen"): "kitchen",
    N_("Laundry room"): "laundry",
    N_("Living room"): "living livingroom",
    N_("Mailbox"): "mailbox",
    N_("Study"): "office study",
    N_("Outside"): "outdoor outside",
    N_("Pantry"): "pantry",
    N_("Plant"): "plant",
    N_("Shed"): "shed",
    N_("Stairs"): "stairs",
    N_("Tatami room"): "tatami",
    N_("Terrace"): "terrace",
    N_("Toilet"): "toilet",
    N_("Washroom"): "washroom",
    N_("Workshop"): "workshop",
}
PLACES = {name: label for label, names in _PLACES.items() for name in names.split()}
"""Names of stations by what their paths usually are, without hyphens and numbers."""


def labels_of(endpoint: str) -> tuple[str, str]:
    """The names that a path suggests, English and Japanese: `freezer-2` is Freezer 2, 冷凍庫2.

    A path that says nothing is its own name, and has no Japanese one.
    """
    match = re.fullmatch(r"(.*?)[_-]?([0-9]*)", endpoint)
    place = PLACES.get(plain_name(match[1])) if match else None
    if match is None or place is None:
        return endpoint, ""
    return f"{place} {match[2]}".strip(), f"{translation('ja')(place)}{match[2]}"


def plain_name(name: str) -> str:
    """The name in small letters and digits only: `PM2_5` is `pm25`."""
    return re.sub(r"[\W_]", "", name.lower())


def known_as(name: str, value: float | None) -> Usual | None:
    """The usual measurement with a name and a value; None for an unknown name.

    The name may begin with that of its sensor: `BME280_temperature`, `sht31-humidity`.
    """
    parts = re.split(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])", name)
    tails = [plain_name("".join(parts[begin:])) for begin in range(len(parts))]
    for tail in tails:
        named = [usual for usual in USUAL_MEASUREMENTS if tail in usual.names.split()]
        if named:
            fits = [usual for usual in named if value is None or usual.holds(value)]
            return fits[0] if fits else named[0]
    return None


# The quantity of a value with a unit, by the unit, for any name.
QUANTITIES = {"°C": "temperature", "hPa": "pressure", "V": "voltage"}
# A number and a unit that is not converted. A colon is that of a time or of an address.
TEXT_WITH_UNIT = re.compile(r"[+-]?[0-9][0-9.,]*\s*([^\d\s.,+:-][^\d\s.,+:]{0,15})\s*")
COLUMN_CHARS = 32
FAHRENHEIT = {"F": "°F"}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A station, and the fields of the body that are no measurements of it."""

    station: Station
    """It has no measurements if the body has no number."""
    left_out: tuple[tuple[str, str], ...]
    """Paths in the body, each with the reason."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of the body that is a measurement."""

    path: str
    value: float | None
    unit: str
    usual: Usual | None

    @property
    def name(self) -> str:
        return self.usual.column if self.usual else _plain_column(self.path.rpartition(".")[2])

    @property
    def holder(self) -> str:
        """The objects around it, as a part of a column's name."""
        return _plain_column(self.path.rpartition(".")[0])


class _NotMeasured(Exception):
    """A field is no measurement; the text says why."""


def example_of(body: Mapping[str, object]) -> Mapping[str, object]:
    """The object of the measurements: of an item of a batch only the part that has them."""
    inside = body.get("data")
    return inside if isinstance(inside, dict) and {"measured_at", "age_s"} & body.keys() else body


def sent_values(body: Mapping[str, object]) -> dict[str, object]:
    """Numbers and texts of a body, as they were sent, by the paths that a proposal has for them."""
    return {
        name: value
        for name, value in _leaves(body)
        if isinstance(value, int | float | str) and not isinstance(value, bool)
    }


def propose(endpoint: str, body: Mapping[str, object], stations: Stations) -> Proposal:
    """The station of this endpoint whose readings look like this body; `stations` exist already."""
    leaves = list(_leaves(body))
    units = _named_units(leaves)
    fields: list[_Field] = []
    left_out: list[tuple[str, str]] = []
    for name, value in leaves:
        try:
            if len(fields) == MAX_MEASUREMENTS:
                raise _NotMeasured(_("more than {n} measurements").format(n=MAX_MEASUREMENTS))
            fields.append(_field(name, value, units))
        except _NotMeasured as error:
            left_out.append((name, str(error)))
    return Proposal(_station(endpoint, fields, stations), tuple(left_out))


def station_of(endpoint: str, fields: Iterable[tuple[str, str]], stations: Stations) -> Station:
    """The station whose bodies have these fields: the path of each and the unit of its number."""
    parts = []
    for name, its_unit in fields:
        usual = known_as(name.rpartition(".")[2], None)
        is_usual = usual is not None and usual.unit == its_unit
        parts.append(_Field(name, None, its_unit, usual if is_usual else None))
    return _station(endpoint, parts, stations)


def _station(endpoint: str, fields: list[_Field], stations: Stations) -> Station:
    return Station(
        endpoint=endpoint,
        label=endpoint,
        csv_name=keys.csv_file_of(endpoint),
        colour=stations.free_colour,
        measurements=_measurements(fields, stations),
    )


def _leaves(holder: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for name, value in holder.items():
        # A path has dots between objects only.
        full_name = f"{above}{name.replace('.', ' . ')}"
        if isinstance(value, Mapping) and value and len(full_name) < keys.PATH_CHARS:
            yield from _leaves(value, f"{full_name}.")
        else:
            yield full_name, value


def _named_units(leaves: list[tuple[str, object]]) -> dict[str, str]:
    """Units in separate fields, such as Tasmota's `TempUnit`, by the usual column."""
    units = {}
    for name, value in leaves:
        about = known_as(re.sub(r"(?i)_?unit$", "", name), None)
        if isinstance(value, str) and name.lower().endswith("unit") and about:
            units[about.column] = value
    return units


def _field(name: str, value: object, units: Mapping[str, str]) -> _Field:
    try:
        path(name)
    except WrongEntry as error:
        raise _NotMeasured(str(error)) from None
    leaf = name.rpartition(".")[2]
    if plain_name(leaf) in NOT_MEASURED:
        raise _NotMeasured(_("it tells when or by whom"))
    number: float | None
    stored: str | None = None
    if isinstance(value, str):
        number, stored = _read(value)
    elif isinstance(value, bool) or not isinstance(value, int | float | None):
        raise _NotMeasured(_("it is no number"))
    else:
        number = value if value is not None and math.isfinite(value) else None
    usual = known_as(leaf, number)
    if number is None and usual is None:
        raise _NotMeasured(_("it is null here, and its name says nothing"))
    if usual is None or stored not in (None, usual.unit):
        return _Field(name, number, stored or "", None)
    foreign = units.get(usual.column, usual.unit) if stored is None else usual.unit
    if keys.same_unit(foreign) or foreign == usual.unit:
        return _Field(name, number, usual.unit, usual)
    with suppress(WrongEntry):
        return _Field(name, number, unit(FAHRENHEIT.get(foreign, foreign)), None)
    # A board that fails sends units that no station may have.
    return _Field(name, number, "", None)


def _read(text: str) -> tuple[float, str | None]:
    """The number of a text and its unit, None for none."""
    candidates: list[str] = ["", *filter(None, SPELLINGS)]
    if match := TEXT_WITH_UNIT.fullmatch(text):
        candidates.append(match[1])
    for candidate in candidates:
        try:
            return parse_number(text, unit(candidate)), candidate or None
        except ValueError:
            pass
    raise _NotMeasured(_("it is a text"))


def _measurements(fields: list[_Field], stations: Stations) -> tuple[Measurement, ...]:
    columns = {m.column: m for s in stations.all for m in s.measurements}
    quantities = {m.quantity: m.unit for m in columns.values()}
    times = Counter(field.name for field in fields)
    measurements: dict[str, Measurement] = {}
    for field in fields:
        names = _names(field, is_alone=times[field.name] == 1)
        column = next(name for name in names if _is_free(name, field.unit, measurements, columns))
        quantity = QUANTITIES.get(field.unit, field.usual.column if field.usual else column)
        if column in columns:
            quantity = columns[column].quantity
        elif quantities.get(quantity, field.unit) != field.unit:
            quantity = column
        quantities.setdefault(quantity, field.unit)
        measurements[column] = _measurement(field, column, quantity)
    return tuple(measurements.values())


def _is_free(
    name: str, unit: str, used: Mapping[str, Measurement], columns: Mapping[str, Measurement]
) -> bool:
    if not keys.COLUMN.fullmatch(name) or name in keys.RESERVED_COLUMNS or name in used:
        return False
    return name not in columns or columns[name].unit == unit


def _names(field: _Field, *, is_alone: bool) -> Iterator[str]:
    """Names for the column, the best first."""
    if is_alone:
        yield field.name
    if field.holder:
        yield _plain_column(f"{field.name}_{field.holder}")
    yield field.name
    yield _plain_column(f"{field.name}_{field.unit}")
    # There are fewer columns than these names.
    for number in range(2, 10_000):
        yield f"{field.name[: COLUMN_CHARS - 5].rstrip('_')}_{number}"


def _plain_column(name: str) -> str:
    """The name as a column can have it; `value` when nothing of it is left."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if plain[:1].isdigit():
        plain = f"m_{plain}"
    return plain[:COLUMN_CHARS].strip("_") or ("value" if name else "")


def _measurement(field: _Field, column: str, quantity: str) -> Measurement:
    measurement = Measurement(
        path=field.path, column=column, quantity=quantity, csv_header=column, unit=field.unit
    )
    usual = field.usual
    if usual is None:
        return measurement
    if column == usual.column:
        measurement = replace(
            measurement, label=usual.label, label_ja=translation("ja")(usual.label)
        )
    if field.value is None or usual.holds(field.value):
        measurement = replace(measurement, minimum=usual.minimum, maximum=usual.maximum)
    return measurement
