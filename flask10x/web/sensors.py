"""Boards with the sensors that are chosen for them: what they send, their wires, their program."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from flask10x.config.settings import Settings
from flask10x.translation import N_, Translation
from flask10x.web.programs import Target, rendered


@dataclass(frozen=True, slots=True)
class SensorKind:
    """A sensor that people connect to a board."""

    name: str
    about: str
    """What it measures, in English."""
    values: Mapping[str, float]
    """What it sends, with likely values."""
    most: int
    """How many of it a board can have: addresses, pins."""
    tasmota: str = ""
    """Its name in Tasmota's messages; empty: Tasmota sends no number of it."""


SENSORS = {
    "dht22": SensorKind(
        "DHT22",
        N_("temperature, humidity"),
        {"temperature": 21.5, "humidity": 45.0},
        4,
        "AM2301",
    ),
    "bme280": SensorKind(
        "BME280",
        N_("temperature, humidity, pressure"),
        {"temperature": 21.5, "humidity": 45.0, "pressure": 1013.2},
        2,
        "BME280",
    ),
    "scd4x": SensorKind(
        "SCD4x",
        N_("CO₂, temperature, humidity"),
        {"co2": 650.0, "temperature": 21.5, "humidity": 45.0},
        1,
        "SCD40",
    ),
    "ds18b20": SensorKind("DS18B20", N_("temperature"), {"temperature": 21.5}, 4, "DS18B20"),
    "soil": SensorKind(
        N_("Soil moisture"), N_("a probe with a voltage"), {"soil_moisture": 40.0}, 3
    ),
    "door": SensorKind(N_("Door contact"), N_("1 while it is open"), {"door": 0.0}, 4),
}
TASMOTA = {"co2": "CarbonDioxide", "temperature": "Temperature"}
TASMOTA |= {"humidity": "Humidity", "pressure": "Pressure"}


@dataclass(frozen=True, slots=True)
class BoardKind:
    """A board, or a program that sends."""

    name: str
    about: str
    program: str
    """The template of its program."""
    file: str
    """How the program is called where it goes."""
    topic: str = ""
    """The topic of MQTT to which it publishes; empty: it posts."""


BOARDS = {
    "pico": BoardKind("Pico W", N_("MicroPython"), "pico.py", "main.py"),
    "esp32": BoardKind("ESP32", N_("MicroPython"), "pico.py", "main.py"),
    "esphome": BoardKind(
        "ESPHome", N_("ESP32 with a file of settings"), "esphome.yaml", "{name}.yaml"
    ),
    "tasmota": BoardKind(
        "Tasmota", N_("by MQTT"), "tasmota.txt", "tasmota.txt", "tele/{name}/SENSOR"
    ),
    "shell": BoardKind(N_("Shell"), N_("on a Raspberry Pi, by cron"), "shell.sh", "send-{name}.sh"),
    "mqtt": BoardKind(
        "MQTT", N_("any program, by a broker"), "mqtt.sh", "{name}.sh", "home/{name}"
    ),
}
# GPIO numbers by board and use.
_OF_ESP32 = {
    **{"i2c": (21, 22), "dht22": (4, 16, 17, 18), "ds18b20": (23,)},
    **{"soil": (32, 33, 34), "door": (25, 26, 27, 14)},
}
PINS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "pico": {
        **{"i2c": (4, 5), "dht22": (15, 14, 13, 12), "ds18b20": (22,)},
        **{"soil": (26, 27, 28), "door": (16, 17, 18, 19)},
    },
    "esp32": _OF_ESP32,
    "esphome": _OF_ESP32,
    "shell": {
        **{"i2c": (2, 3), "dht22": (17, 27, 22, 23), "ds18b20": (4,)},
        **{"door": (5, 6, 13, 19)},
    },
}
PREFIXES = {"pico": "GP"}
# Where a pin is on the boards of which all have the same: the datasheet of the Pico W (figure 2)
# and the 40 pins of a Raspberry Pi.
_PICO: dict[str | int, int] = {"3V3": 36, "GND": 38, 4: 6, 5: 7, 12: 16, 13: 17, 14: 19, 15: 20}
_PICO |= {16: 21, 17: 22, 18: 24, 19: 25, 22: 29, 26: 31, 27: 32, 28: 34}
_RASPBERRY_PI: dict[str | int, int] = {"3V3": 1, "GND": 6, 2: 3, 3: 5, 4: 7, 5: 29, 6: 31}
_RASPBERRY_PI |= {13: 33, 17: 11, 19: 35, 22: 15, 23: 16, 27: 13}
PLACES: Mapping[str, Mapping[str | int, int]] = {"pico": _PICO, "shell": _RASPBERRY_PI}
# Above it a message has more measurements than a station.
MOST_VALUES = 16


@dataclass(frozen=True, slots=True)
class Sensor:
    """One of those on a board."""

    kind: str
    """A key of SENSORS."""
    number: int
    """From 0."""
    name: str
    """Of its values where several sensors measure the same: `ds18b20_2`."""


def sensors_of(counts: Mapping[str, int]) -> list[Sensor]:
    """Return each sensor of a board that has so many of each kind."""
    return [
        Sensor(kind, number, kind if counts[kind] == 1 else f"{kind}_{number + 1}")
        for kind in SENSORS
        for number in range(counts.get(kind, 0))
    ]


def is_flat(sensors: list[Sensor]) -> bool:
    """Whether no two measure the same, so that the values need no names of sensors."""
    names = [name for sensor in sensors for name in SENSORS[sensor.kind].values]
    return len(names) == len({*names})


def body_of(board: str, sensors: list[Sensor]) -> dict[str, object]:
    """Return a likely body of the board."""
    if board == "tasmota":
        body: dict[str, object] = {"Time": "2026-01-01T09:00:00"}
        for sensor in sensors:
            kind = SENSORS[sensor.kind]
            number = "" if sensor.name == sensor.kind else f"-{sensor.number + 1}"
            values = {TASMOTA[path]: value for path, value in kind.values.items()}
            body[f"{kind.tasmota}{number}"] = values
        return body | {"PressureUnit": "hPa", "TempUnit": "C"}
    if is_flat(sensors):
        return {n: v for sensor in sensors for n, v in SENSORS[sensor.kind].values.items()}
    return {sensor.name: dict(SENSORS[sensor.kind].values) for sensor in sensors}


class Wire(NamedTuple):
    """A wire from a board to a sensor."""

    colour: str
    """What it carries: `power`, `ground`, `sda`, `scl` or `data`."""
    pin: str
    """At the board: `GP4`."""
    place: int | None
    """The number of this pin on the board; None where boards differ."""
    end: str
    """At the sensor: `SDA`."""


def wires(board: str, sensors: list[Sensor]) -> Iterator[tuple[str, list[Wire]]]:
    """Yield the name of each sensor and its wires; no sensor for a board without pins."""
    if (pins := PINS.get(board)) is None:
        return
    for sensor in sensors:
        name = SENSORS[sensor.kind].name
        alone = sensor.name == sensor.kind
        ends = _ends(sensor, pins)
        yield (
            name if alone else f"{name} {sensor.number + 1}",
            [_wire(board, end, pin) for end, pin in ends.items()],
        )


def _ends(sensor: Sensor, pins: Mapping[str, tuple[int, ...]]) -> dict[str, str | int]:
    """By each end at the sensor, the GPIO number or the name of its pin."""
    bus = {"SDA": pins["i2c"][0], "SCL": pins["i2c"][1]}
    power: dict[str, str | int] = {"VCC": "3V3", "GND": "GND"}
    if sensor.kind in ("bme280", "scd4x"):
        return power | bus | ({"SDO": "3V3"} if sensor.number else {})
    if sensor.kind not in pins:
        # A Raspberry Pi can't measure a voltage.
        ads1115 = {f"ADS1115 {end}": pin for end, pin in (power | bus).items()}
        return power | ads1115 | {"AOUT": f"ADS1115 A{sensor.number}"}
    pin = pins[sensor.kind][min(sensor.number, len(pins[sensor.kind]) - 1)]
    if sensor.kind == "door":
        return {N_("one wire"): pin, N_("the other wire"): "GND"}
    return power | {"AOUT" if sensor.kind == "soil" else "DATA": pin}


def _wire(board: str, end: str, pin: str | int) -> Wire:
    colours = {"3V3": "power", "GND": "ground"}
    signal = end.removeprefix("ADS1115 ").lower()
    colour = colours.get(str(pin)) or (signal if signal in ("sda", "scl") else "data")
    name = pin if isinstance(pin, str) else f"{PREFIXES.get(board, 'GPIO')}{pin}"
    return Wire(colour, name, PLACES.get(board, {}).get(pin), end)


def program(
    board: str, sensors: list[Sensor], target: Target, settings: Settings, t: Translation
) -> str:
    """Return the program, or the settings, of a board with these sensors."""
    broker = urlsplit(settings.mqtt_url)
    return rendered(
        BOARDS[board].program,
        target,
        body_of(board, sensors),
        t,
        board=board,
        sensors=sensors,
        kinds={sensor.kind for sensor in sensors},
        is_flat=is_flat(sensors),
        values_of={kind: list(SENSORS[kind].values) for kind in SENSORS},
        pins=PINS.get(board, {}),
        broker=broker.hostname or target.host,
        broker_port=broker.port or 1883,
        broker_user=broker.username or "flask10x",
        topic=BOARDS[board].topic.format(name=target.endpoint),
    )
