"""Each station now: its newest reading, whether it is silent, and a card of it for pages."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from flask import request

from flask10x.database.error_codes import QueryTooLong
from flask10x.history.newest import OlderValue, missing_columns, newest_readings
from flask10x.history.pages import Row
from flask10x.history.silence import SilenceVerdict
from flask10x.history.view import View
from flask10x.readings.bands import Band, band_of
from flask10x.readings.derived import derived_by_station
from flask10x.readings.numbers import NO_VALUE, rounded
from flask10x.readings.stations import Measurement, Station, is_shown
from flask10x.readings.times import SECOND_MS, is_date, iso_text, local_text
from flask10x.runtime.station_watch import inactive_sec, silence_of
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.translation import Translation
from flask10x.web import context
from flask10x.web.context import alert_state
from flask10x.web.read_errors import UNREADABLE


@dataclass(frozen=True, kw_only=True, slots=True)
class Latest:
    """What is known of a station now."""

    station: Station
    silence: SilenceVerdict
    row: Row | None
    """Its newest reading, which may be older than that: a late one, or the next one is not stored
    yet. None while it has none."""
    older: Mapping[str, OlderValue]
    """The newest value of each column that the newest reading lacks, where one is known."""
    derived: Mapping[str, float | None]
    """What is computed from the newest reading, by name; empty where there is none."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The columns that the newest reading lacks."""
        return missing_columns(self.station, self.row)


def latest(
    view: View, store: Store, stations: Sequence[Station], *, raw: bool = False
) -> list[Latest]:
    """What is known of these stations, in their order; raises what reading raises.

    With `raw` the newest reading is as it was stored, also one that is hidden.
    """
    found = newest_readings(view, stations, raw=raw)
    silences = silences_now(stations, view.last_received, store)
    return [
        Latest(
            station=station,
            silence=silences[station.endpoint],
            row=newest.row,
            older=newest.older,
            derived=newest.derived,
        )
        for station, newest in zip(stations, found, strict=True)
    ]


def silences_now(
    stations: Sequence[Station], last: Mapping[str, int | None], store: Store
) -> dict[str, SilenceVerdict]:
    """Return whether each station is silent now, by endpoint.

    `last` is when the newest stored reading of each came, and may lack stations.
    """
    alerted = alert_state().current().silent
    return {
        station.endpoint: silence_of(
            station,
            last.get(station.endpoint),
            store.settings,
            store.gauges,
            is_alerted=station.endpoint in alerted,
        )
        for station in stations
    }


def inactivity_sec(store: Store, last: Mapping[str, int | None]) -> dict[str, int | None]:
    """Return for how many seconds each station has sent nothing; None if it never has.

    `last` is what the database knows of it, and may lack stations.
    """
    return {
        endpoint: inactive_sec(store.gauges.station(endpoint).last_received_ms, last.get(endpoint))
        for endpoint in store.settings.stations.by_endpoint
    }


# The sign of a degree and of a percentage is written closer to its number than a unit of letters.
CLOSE_UNITS = ("°C", "%")

# The trial reading of README.md.
TRIAL = (
    "curl -H 'Content-Type: application/json' "
    """-d '{"pressure": "1013.2hPa", "temperature": 25.1}'"""
)


# What a sensor gives before anything is made of it is not what people ask for.
_RAW_UNITS = frozenset({"V", "Ω"})
_RAW_QUANTITIES = frozenset({"analog_value"})


# What people ask of a room first; of a station without any of them it is its first measurement.
ASKED_FIRST = ("temperature", "co2", "humidity")
# What stands beside that, and in which order the others follow.
SECOND = ("co2", "humidity", "temperature", "pressure", "dew_point")
# So many are in a line below that; in a line, so that tiles beside each other have one height.
IN_LINE = 3
# Of derived values; the others are in charts and downloads for who asks for them.
COMPUTED = ("dew_point", "discomfort_index")


def rank(measurement: Measurement, asked: Sequence[str] = ASKED_FIRST) -> int:
    """Return the place of its quantity among those that are asked for, the first of all 0."""
    return asked.index(measurement.quantity) if measurement.quantity in asked else len(asked)


def main_measurement(station: Station) -> Measurement:
    """Return what people look at first of a station: what `stations.toml` says, or by `rank`."""
    shown = station.shown or station.measurements
    return min(shown, key=lambda each: (each.column != station.tile_main, rank(each)))


def is_of_sensor(measurement: Measurement) -> bool:
    """Whether a measurement is folded where others are shown: a voltage, a resistance, raw gas."""
    return measurement.unit in _RAW_UNITS or measurement.quantity in _RAW_QUANTITIES


def age_text(kind: str, seconds: int, t: Translation) -> str:
    """How long ago a station has sent, or a value was measured; scripts go on with it each second.

    `kind` is `age`, `awaited` or `silent`.
    """
    duration = t.duration(seconds)
    if kind == "awaited":
        return t("waiting; last data {duration} ago", duration=duration)
    if kind == "silent":
        return t("no data for {duration}", duration=duration)
    return t("{duration} ago", duration=duration)


@dataclass(frozen=True, kw_only=True, slots=True)
class Age:
    """How long ago a station sent, or a value was measured."""

    kind: str
    """Which text says it: `age`, `awaited` or `silent`."""
    seconds: int
    text: str
    iso: str
    """When that reading was received; empty while it is not stored yet, or no date."""
    time: str
    """The same for people; empty while it is not stored yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One measurement as a card shows it."""

    measurement: Measurement
    text: str
    """Rounded by its unit; a dash where no value is known."""
    is_missing: bool
    """Whether the newest reading lacks it: then it is the newest one there is."""
    age: Age | None
    """The age of a missing one; None for any other, and where none is known."""
    band: Band | None
    """The band that it lies in; None also where it is older than its station's usual interval."""

    @property
    def unit(self) -> str:
        """Empty where no value is known."""
        return self.measurement.unit if self.is_known else ""

    @property
    def is_close(self) -> bool:
        """Whether the unit is written close to its number."""
        return self.measurement.unit in CLOSE_UNITS

    @property
    def is_known(self) -> bool:
        """Whether any value is known: what no sensor has ever sent needs no place."""
        return not self.is_missing or self.age is not None


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of a station now."""

    station: Station
    silence: SilenceVerdict
    age: Age | None
    """Since its newest reading; None before the first."""
    values: tuple[Value, ...]
    """Those that pages show, each in its place; none when it has no reading."""
    derived: tuple[Value, ...]
    """What is computed from the newest reading; what can't be is left out."""

    @property
    def is_well(self) -> bool:
        """Whether the station sends, or is no longer watched."""
        return self.silence.state != "awaited" and not self.silence.is_missed

    @cached_property
    def main(self) -> Value | None:
        """What is shown large: what `stations.toml` says, where it was ever known.

        Else it is of what is asked first the first that is known now, or ever was. None where the
        station has no reading.
        """
        ranked = sorted(self.values, key=lambda value: rank(value.measurement))
        column = self.station.tile_main
        if chosen := [v for v in ranked if v.measurement.column == column and v.is_known]:
            return chosen[0]
        # A sensor that failed an hour ago is still that of the room, unless another one replaces
        # it.
        for value in ranked:
            if value.is_known:
                quantity = value.measurement.quantity
                same = (other for other in ranked if other.measurement.quantity == quantity)
                return next((other for other in same if not other.is_missing), value)
        return ranked[0] if ranked else None

    @cached_property
    def others(self) -> list[Value]:
        """What else is known, and of what is computed the few that say something at a glance."""

        def rank_beside(value: Value) -> int:
            measurement = value.measurement
            if measurement.column in SECOND and measurement.column in COMPUTED:
                return SECOND.index(measurement.column)
            # Another sensor of the same quantity tells less than one of another quantity.
            if self.main is not None and measurement.quantity == self.main.measurement.quantity:
                return len(SECOND) + 1
            return rank(measurement, SECOND)

        known = [value for value in self.values if value is not self.main and value.is_known]
        known += [value for value in self.derived if value.measurement.column in COMPUTED]
        return sorted(known, key=rank_beside)

    @cached_property
    def beside(self) -> list[Value]:
        """What is beside the main value, first what `stations.toml` says, and a line of others."""
        column = self.station.tile_second
        second = [v for v in self.others if v.measurement.column == column]
        rest = [v for v in self.others if v not in second and not is_of_sensor(v.measurement)]
        # Of a station that measures nothing else, better its voltage than nothing.
        return [*second, *rest][: 1 + IN_LINE] or self.others[:1]


def trial_command() -> str:
    """The command that sends a first reading: that of README.md."""
    return f"{TRIAL} {shlex.quote(request.host_url + 'data')}"


def shown_stations(view: View, store: Store, named: Collection[str] = ()) -> list[Station]:
    """Return the stations that people see, in the order of pages; raises what reading raises.

    A page also shows those that its address names: `named` are their endpoints.
    """
    return [
        station
        for station in view.stations.ordered
        if station.endpoint in named
        or is_shown(station, has_sent=_has_sent(station.endpoint, view, store))
    ]


def offered_stations(store: Store | Waiting, named: Collection[str] = ()) -> list[Station]:
    """Return the stations that a form offers: those of pages and the named ones.

    If pages show no station yet, or the database can't be read, it offers all.
    """
    if not isinstance(store, Waiting) and not store.database.damage.obstacle:
        with suppress(*UNREADABLE, QueryTooLong), context.view() as view:
            if shown_stations(view, store):
                return shown_stations(view, store, named)
    return list(store.settings.stations.ordered)


def _has_sent(endpoint: str, view: View, store: Store) -> bool:
    """Whether it has a reading: one that is not stored yet, or was removed since, counts."""
    return bool(
        store.gauges.station(endpoint).last_received_ms
        or view.newest[endpoint].received_at is not None
        or endpoint in view.removed
    )


def cards(
    view: View,
    store: Store,
    t: Translation,
    stations: Sequence[Station],
    found: Sequence[Latest] | None = None,
) -> list[Card]:
    """Return a card of each of these stations, from its newest reading.

    `found` is what `latest` has found of them, and maybe of others, where it was asked before.
    """
    derived_of, now_ms, zone = derived_by_station(view.stations), view.now_ms, view.zone

    def age(kind: str, seconds: int, received_at: int | None) -> Age:
        is_dated = received_at is not None and is_date(received_at)
        return Age(
            kind=kind,
            seconds=seconds,
            text=age_text(kind, seconds, t),
            iso=iso_text(received_at, zone) if received_at is not None and is_dated else "",
            time="" if received_at is None else local_text(received_at, zone),
        )

    def shown(measurement: Measurement, value: float | None, newest: Latest) -> Value:
        older = newest.older.get(measurement.column) if value is None else None
        text = older.value if older else value
        since = None
        if older:
            seconds = max(0, now_ms - older.received_at) // SECOND_MS
            since = age("age", seconds, older.received_at)
        is_receiving = newest.silence.state == "receiving"
        return Value(
            measurement=measurement,
            text=NO_VALUE if text is None else rounded(text, measurement.unit),
            is_missing=value is None,
            age=since,
            band=band_of(newest.station.bands_of(measurement), value) if is_receiving else None,
        )

    def card(newest: Latest) -> Card:
        station, silence, row = newest.station, newest.silence, newest.row
        seconds, received_at = silence.age_sec, row.received_at if row else None
        kind = silence.state if silence.state in ("awaited", "silent") else "age"
        kind = "age" if station.retired else kind
        computed = derived_of[station.endpoint].items()
        derived = ((each.measurement, newest.derived.get(name)) for name, each in computed)
        pairs = zip(station.measurements, row.values, strict=True) if row else ()
        return Card(
            station=station,
            silence=silence,
            age=None if seconds is None else age(kind, seconds, received_at),
            values=tuple(shown(*pair, newest) for pair in pairs if not pair[0].hidden),
            derived=tuple(shown(*pair, newest) for pair in derived if pair[1] is not None),
        )

    if found is None:
        found = latest(view, store, stations)
    of_station = {newest.station.endpoint: newest for newest in found}
    return [card(of_station[station.endpoint]) for station in stations]
