"""One card a station at the top of the history page: latest values, age, state, what is missing."""

from dataclasses import dataclass

from sqlalchemy import Connection

from flask10x.history.pages import Row
from flask10x.readings.rounding import rounded
from flask10x.readings.stations import Station
from flask10x.runtime.store import Store
from flask10x.web.latest.newest import Latest, State, latest

# The sign of a degree and of a percentage stands closer to its number than a unit of letters.
CLOSE_UNITS = ("°C", "%")


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One measurement as a card shows it."""

    column: str
    text: str
    unit: str
    close: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What is known of a station now."""

    station: Station
    state: State
    age_sec: int | None
    """Whole seconds since it sent; None when it never did."""
    received_at: int | None
    """UTC epoch milliseconds of its newest reading."""
    values: tuple[Value, ...]
    missing: tuple[str, ...]
    """The columns that the newest reading lacks."""


def cards(connection: Connection, store: Store) -> list[Card]:
    """A card of each station, from its newest reading."""
    return [_card(one) for one in latest(connection, store, store.settings.stations.all)]


def _card(one: Latest) -> Card:
    return Card(
        station=one.station,
        state=one.state,
        age_sec=one.age_sec,
        received_at=one.row.received_at if one.row else None,
        values=_values(one.station, one.row),
        missing=one.missing,
    )


def _values(station: Station, row: Row | None) -> tuple[Value, ...]:
    pairs = zip(station.measurements, row.values, strict=True) if row else ()
    return tuple(
        Value(
            column=measurement.column,
            text=rounded(value, measurement.unit),
            unit=measurement.unit,
            close=measurement.unit in CLOSE_UNITS,
        )
        for measurement, value in pairs
        if value is not None
    )
