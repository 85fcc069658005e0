"""One card a station at the top of the history page: latest values, age, state, what is missing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flask10x.history.silence import SilenceVerdict, State
from flask10x.history.view import View
from flask10x.readings.bands import Band, band_of
from flask10x.readings.derived import derived_by_station
from flask10x.readings.numbers import NO_VALUE, rounded
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.runtime.store import Store
from flask10x.translation import Translation
from flask10x.web.newest import Latest, latest

# The sign of a degree and of a percentage stands closer to its number than a unit of letters.
CLOSE_UNITS = ("°C", "%")

# Which texts say how long ago a station has sent.
AGE_KINDS: Mapping[State, str] = {
    "receiving": "age",
    "awaited": "awaited",
    "silent": "silent",
    "never": "age",
}


def age_text(kind: str, seconds: int, t: Translation) -> str:
    """How long ago a station has sent, or a value was measured; scripts go on with it each second.

    `kind` is `age`, `awaited` or `silent`.
    """
    duration = t.duration(seconds)
    if kind == "awaited":
        return t("awaited; last {duration} ago", duration=duration)
    if kind == "silent":
        return t("no data for {duration}", duration=duration)
    return t("{duration} ago", duration=duration)


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One measurement as a card shows it."""

    column: str
    text: str
    """Rounded by its unit; a dash where no value is known."""
    unit: str
    close: bool
    missing: bool
    """Whether the newest reading lacks it: then it is the newest one there is."""
    received_at: int | None
    """When that one was received, in UTC epoch milliseconds; None for one that is not missing, and
    where none is known."""
    band: Band | None
    """The band that it lies in; None too where it is no longer how things are now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What is known of a station now."""

    station: Station
    silence: SilenceVerdict
    received_at: int | None
    """UTC epoch milliseconds of its newest reading."""
    values: tuple[Value, ...]
    missing: tuple[str, ...]
    """The columns that the newest reading lacks."""
    derived: tuple[tuple[Measurement, Value], ...]
    """What is computed from the newest reading; what can't be is left out."""


def cards(view: View, store: Store) -> list[Card]:
    """A card of each station, from its newest reading."""
    stations = store.settings.stations
    return [_card(one, stations) for one in latest(view, store, stations.all)]


def _card(one: Latest, stations: Stations) -> Card:
    return Card(
        station=one.station,
        silence=one.silence,
        received_at=one.row.received_at if one.row else None,
        values=_values(one),
        missing=one.missing,
        derived=tuple(_derived(one, stations)),
    )


def _derived(one: Latest, stations: Stations) -> Iterator[tuple[Measurement, Value]]:
    for name, computed in derived_by_station(stations)[one.station.endpoint].items():
        value, measurement = one.derived.get(name), computed.measurement
        if value is not None:
            yield measurement, _value(measurement, value, one)


def _values(one: Latest) -> tuple[Value, ...]:
    """All of the station's, each in its place; none when it has no reading."""
    pairs = zip(one.station.measurements, one.row.values, strict=True) if one.row else ()
    return tuple(_value(measurement, value, one) for measurement, value in pairs)


def _value(measurement: Measurement, value: float | None, one: Latest) -> Value:
    older = one.older.get(measurement.column) if value is None else None
    known = older.value if older else value
    return Value(
        column=measurement.column,
        text=NO_VALUE if known is None else rounded(known, measurement.unit),
        unit=measurement.unit,
        close=measurement.unit in CLOSE_UNITS,
        missing=value is None,
        received_at=older.received_at if older else None,
        band=_band(measurement, value, one),
    )


def _band(measurement: Measurement, value: float | None, one: Latest) -> Band | None:
    if one.silence.state != "receiving":
        return None
    return band_of(one.station.bands_of(measurement), value)
