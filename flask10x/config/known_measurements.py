"""What fields of sensors are usually called, and what can be said of a number with such a name."""

import re
from dataclasses import dataclass

from flask10x.translation import N_


@dataclass(frozen=True, slots=True)
class KnownMeasurement:
    """A measurement that many boards send."""

    column: str
    """Its usual column; also what it measures."""
    unit: str
    minimum: float | None
    maximum: float | None
    names: frozenset[str]
    """What boards call it, in small letters and digits only."""
    label: str
    """Its English name; the catalogue has the Japanese one."""

    def holds(self, value: float) -> bool:
        """Whether the value is within the range."""
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)


def _known(
    column: str, unit: str, limits: tuple[float | None, float | None], names: str, label: str
) -> KnownMeasurement:
    return KnownMeasurement(column, unit, *limits, frozenset(names.split()), label)


# In this order: of two with one name the first whose range holds the value is meant.
KNOWN = (
    _known(
        "temperature",
        "°C",
        (-50, 150),
        "temperature temp tmp t tempc tempcelsius airtemp 温度 気温",
        N_("Temperature"),
    ),
    _known(
        "humidity", "%", (0, 100), "humidity hum humid h rh relativehumidity 湿度", N_("Humidity")
    ),
    _known(
        "pressure",
        "hPa",
        (0, 2000),
        "pressure press pres p baro barometer airpressure 気圧",
        N_("Pressure"),
    ),
    # As sensor.community's firmware and many libraries give it.
    _known(
        "pressure_pa",
        "Pa",
        (30_000, 120_000),
        "pressure press pres p baro airpressure",
        N_("Pressure"),
    ),
    _known("co2", "ppm", (0, 200_000), "co2 carbondioxide co2ppm 二酸化炭素", N_("CO2")),
    _known("voltage", "V", (0, None), "voltage volt volts v vcc vin 電圧", N_("Voltage")),
    _known(
        "battery_voltage", "V", (0, None), "battv vbat batteryvoltage batvoltage", N_("Battery")
    ),
    _known("gas_resistance", "Ω", (0, None), "gasresistance gasres gas", N_("Gas resistance")),
    _known(
        "illuminance", "lx", (0, None), "illuminance lux light brightness 照度", N_("Illuminance")
    ),
    _known("pm1", "µg/m³", (0, None), "pm1 pm01", N_("PM1")),
    _known("pm25", "µg/m³", (0, None), "pm25 sdsp2 p2", N_("PM2.5")),
    _known("pm10", "µg/m³", (0, None), "pm10 sdsp1 p1", N_("PM10")),
    _known("rssi", "dBm", (None, None), "rssi wifirssi signal", N_("Signal")),
)
# What tells when or by whom, and is no measurement.
NOT_MEASURED = frozenset(
    {
        *("time", "timestamp", "ts", "datetime", "date", "epoch", "currenttime", "measuredat"),
        *("ages", "id", "deviceid", "sensorid", "seq", "sequence", "version"),
    }
)


def plain_name(name: str) -> str:
    """The name in small letters and digits only: `PM2_5` is `pm25`."""
    return re.sub(r"[\W_]", "", name.lower())


def known_as(name: str, value: float | None) -> KnownMeasurement | None:
    """What a field of this name and value is; None when nobody knows.

    The name may begin with that of its sensor: `BME280_temperature`, `sht31-humidity`.
    """
    parts = re.split(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])", name)
    tails = [plain_name("".join(parts[begin:])) for begin in range(len(parts))]
    for tail in tails:
        meant = [known for known in KNOWN if tail in known.names]
        if meant:
            fits = [known for known in meant if value is None or known.holds(value)]
            return fits[0] if fits else meant[0]
    return None
