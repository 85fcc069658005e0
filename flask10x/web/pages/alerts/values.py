"""The newest value of what an alert is about: its own facts are those of when it began."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.alerts.alert import Alert
from flask10x.alerts.subjects import column_of, station_of
from flask10x.errors import QueryError
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.web import context
from flask10x.web.newest import Latest, latest

# Alerts of a number that goes on changing.
OF_VALUES = ("threshold", "rate")


@dataclass(frozen=True, slots=True)
class NewestValue:
    """A stored value, in the unit of its measurement."""

    value: float
    unit: str
    received_at: int
    """UTC epoch milliseconds."""


def newest_values(store: Store | Waiting, alerts: Iterable[Alert]) -> dict[str, NewestValue]:
    """By the subject of the alert; without those that can't be told now."""
    subjects = {one.subject for one in alerts if one.kind in OF_VALUES}
    endpoints = {station_of(one) for one in subjects}
    if isinstance(store, Waiting) or not subjects or store.database.damage.obstacle:
        return {}
    stations = [one for one in store.settings.stations.all if one.endpoint in endpoints]
    try:
        with context.view() as view:
            found = {one.station.endpoint: one for one in latest(view, store, stations, raw=True)}
    except (DBAPIError, TimeoutError, QueryError):
        return {}
    values = {one: _value(found.get(station_of(one)), column_of(one)) for one in subjects}
    return {subject: value for subject, value in values.items() if value is not None}


def _value(known: Latest | None, column: str) -> NewestValue | None:
    if known is None or known.row is None:
        return None
    pairs = zip(known.station.measurements, known.row.values, strict=True)
    return next(
        (
            NewestValue(value, one.unit, known.row.received_at)
            for one, value in pairs
            if one.column == column and value is not None
        ),
        None,
    )
