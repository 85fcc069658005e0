"""The names of stations, measurements, bands and moments, in the reader's language.

Labels of `stations.toml` are shown as they are, `label_ja` in Japanese. The names of built-in
stations and measurements are in the catalogue.
"""

from datetime import date, tzinfo

from flask10x.readings.bands import USUAL, Band
from flask10x.readings.derived import KINDS
from flask10x.readings.stations import BUILT_IN, Measurement, Station
from flask10x.readings.times import is_date, local_text
from flask10x.translation import MONTHS, N_, WEEKDAYS, Translation

STATIONS = {
    "data": N_("Pico"),
    "data2": N_("Bedroom"),
    "data3": N_("Outside"),
    "data4": N_("Living room"),
}
"""The built-in stations, shorter than their labels, which name the sensors too."""
COLUMNS = {
    "co2": N_("CO₂"),
    "temperature": N_("Temperature"),
    "humidity": N_("Humidity"),
    "pressure": N_("Pressure"),
    "gas_resistance": N_("Gas resistance"),
    "analog_value": N_("Gas (raw)"),
    "voltage": N_("Voltage"),
    "temperature_ds18b20": N_("Temperature (DS18B20)"),
    "temperature_dht11": N_("Temperature (DHT11)"),
    "humidity_dht11": N_("Humidity (DHT11)"),
}
"""The columns of the built-in stations, which other stations may have, too."""
_OWN_BANDS = frozenset(
    band for bands in (*USUAL.values(), *(kind.bands for kind in KINDS.values())) for band in bands
)


def station_name(station: Station, t: Translation) -> str:
    """A station's name: its label, or the short name of a built-in station without a new label."""
    label, built_in = label_of(station, t), BUILT_IN.by_endpoint.get(station.endpoint)
    name = STATIONS.get(station.endpoint)
    if name and built_in is not None and label == label_of(built_in, t):
        return t(name)
    return label or station.endpoint


def column_name(measurement: Measurement, t: Translation) -> str:
    """The name of a measurement: that of its column, its label, or the column itself."""
    if measurement.column in COLUMNS:
        return t(COLUMNS[measurement.column])
    return label_of(measurement, t) or measurement.column


def band_name(band: Band, t: Translation) -> str:
    """The name of a band."""
    return t(band.label) if is_own(band) else label_of(band, t)


def is_own(band: Band) -> bool:
    """Whether its name is ours, and not one that somebody has chosen."""
    return band in _OWN_BANDS


def label_of(named: Station | Measurement | Band, t: Translation) -> str:
    """The label in this language; "" without one."""
    return (t.language == "ja" and named.label_ja) or named.label


def moment(ms: int, zone: tzinfo | None, t: Translation, now_ms: int) -> str:
    """`Sun 29 Nov, 07:35`: local, to the minute; with its year when that is not the year of now."""
    if not is_date(ms):
        return local_text(ms, zone)
    is_this_year = is_date(now_ms) and local_text(now_ms, zone)[:4] == local_text(ms, zone)[:4]
    sentence = (
        N_("{weekday} {day} {month}, {clock}")
        if is_this_year
        else N_("{weekday} {day} {month} {year}, {clock}")
    )
    return t(sentence, **_parts(ms, zone, t))


def day_of(ms: int, zone: tzinfo | None, t: Translation) -> str:
    """`Sun 29 Nov 2026`: the local day, for what lies months ahead."""
    if not is_date(ms):
        return local_text(ms, zone)
    return t("{weekday} {day} {month} {year}", **_parts(ms, zone, t))


def _parts(ms: int, zone: tzinfo | None, t: Translation) -> dict[str, object]:
    text = local_text(ms, zone)
    day = date.fromisoformat(text[:10])
    return {
        "weekday": t(WEEKDAYS[day.weekday()]),
        "day": day.day,
        "month": t(MONTHS[day.month - 1]),
        "year": day.year,
        "clock": text[11:16],
    }
