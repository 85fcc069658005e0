"""The names of stations, measurements, bands and moments, in the reader's language.

Labels of `stations.toml` are shown as they are, `label_ja` in Japanese. The names of built-in
stations and measurements are in the catalogue.
"""

from datetime import date, tzinfo

from flask10x.readings.bands import USUAL, Band
from flask10x.readings.derived import KINDS
from flask10x.readings.stations import BUILT_IN, Measurement, Station
from flask10x.readings.times import LocalText, is_date, local_text
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


class Moments:
    """`Sun 29 Nov, 07:35` for instants: local; with the year where that is not the year of now.

    One object belongs to one thread. It is fast when neighbours are of one day, and an instant that
    is no date is shown by its number.
    """

    def __init__(
        self, zone: tzinfo | None, t: Translation, now_ms: int, *, with_second: bool = False
    ) -> None:
        self._t, self._text_of = t, LocalText(zone)
        self._clock_chars = len("07:35:12") if with_second else len("07:35")
        self._this_year = local_text(now_ms, zone)[:4]
        self._days: dict[str, str] = {}

    def __call__(self, ms: int) -> str:
        text = self._text_of(ms)
        if not is_date(ms):
            return text
        day, clock = text.split(" ")
        if day not in self._days:
            self._days[day] = self._of_day(day)
        return self._days[day].replace(_CLOCK, clock[: self._clock_chars])

    def _of_day(self, day: str) -> str:
        parts = {**_parts(day, self._t), "clock": _CLOCK}
        if day[:4] == self._this_year:
            return self._t("{weekday} {day} {month}, {clock}", **parts)
        return self._t("{weekday} {day} {month} {year}, {clock}", **parts)


_CLOCK = "{clock}"


def moment(
    ms: int, zone: tzinfo | None, t: Translation, now_ms: int, *, with_second: bool = False
) -> str:
    """`Sun 29 Nov, 07:35`: as `Moments` says it."""
    return Moments(zone, t, now_ms, with_second=with_second)(ms)


def day_of(ms: int, zone: tzinfo | None, t: Translation, now_ms: int | None = None) -> str:
    """`Sun 29 Nov 2026`: the local day; without its year when that is the year of now."""
    text = local_text(ms, zone)
    if not is_date(ms):
        return text
    parts = _parts(text[:10], t)
    if now_ms is not None and text[:4] == local_text(now_ms, zone)[:4]:
        return t("{weekday} {day} {month}", **parts)
    return t("{weekday} {day} {month} {year}", **parts)


def end_of_range(ms: int, zone: tzinfo | None, t: Translation, now_ms: int, *, last: bool) -> str:
    """The first or `last` moment of a range: its day where that is whole, else minute or second."""
    clock = local_text(ms, zone)[11:]
    if clock == ("23:59:59" if last else "00:00:00"):
        return day_of(ms, zone, t, now_ms)
    is_minute = clock.endswith(":59" if last else ":00")
    return moment(ms, zone, t, now_ms, with_second=not is_minute)


def period_name(name: str, t: Translation) -> str:
    """`Sun 24 Aug` for 2025-08-24, `Aug 2025` for 2025-08, `2025` for that year."""
    parts = name.split("-")
    if len(parts) == 1:
        return t("{year}", year=name)
    if len(parts) == len(("year", "month")):
        return t("{month} {year}", year=parts[0], month=t(MONTHS[int(parts[1]) - 1]))
    return t("{weekday} {day} {month}", **_parts(name, t))


def between(first_ms: int, end_ms: int, zone: tzinfo | None, t: Translation, now_ms: int) -> str:
    """`Sun 29 Nov, 16:00 – 17:00`, `Sun 29 Nov, 23:00 – Mon 30 Nov, 01:00`: to the minute."""
    first, end = (moment(ms, zone, t, now_ms) for ms in (first_ms, end_ms))
    texts = [local_text(ms, zone) for ms in (first_ms, end_ms)]
    if texts[0][:10] == texts[1][:10] and is_date(first_ms):
        end = texts[1][11:16]
    return t("{first} – {last}", first=first, last=end)


def range_of(first_ms: int, last_ms: int, zone: tzinfo | None, t: Translation, now_ms: int) -> str:
    """`Sun 29 Nov, 07:35 – 08:35`, `Sat 28 Nov – Sun 29 Nov`; a single second is that moment."""
    first, last = local_text(first_ms, zone), local_text(last_ms, zone)
    if first == last:
        return moment(first_ms, zone, t, now_ms, with_second=not first.endswith(":00"))
    begin = end_of_range(first_ms, zone, t, now_ms, last=False)
    end = end_of_range(last_ms, zone, t, now_ms, last=True)
    if begin == end:
        return begin
    if first[:10] == last[:10]:
        begin = moment(first_ms, zone, t, now_ms, with_second=not first.endswith(":00"))
        end = last[11:].removesuffix(":59")
    return t("{first} – {last}", first=begin, last=end)


def _parts(day: str, t: Translation) -> dict[str, object]:
    date_of_day = date.fromisoformat(day)
    return {
        "weekday": t(WEEKDAYS[date_of_day.weekday()]),
        "day": date_of_day.day,
        "month": t(MONTHS[date_of_day.month - 1]),
        "year": date_of_day.year,
    }
