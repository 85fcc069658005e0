"""Which readings are in no CSV file yet, and since when."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Row, Select, func, not_, select

from flask10x.database.expressions import unindexed
from flask10x.database.tables import exports, imports, readings
from flask10x.readings import csv_names
from flask10x.readings.stations import Station, Stations

# How far the first reading that waits is looked for behind the last one that was exported, before
# the index is asked: milliseconds. Stations send by turns, so it is mostly among the first dozen.
LOOK_ROWS = 5000
# More are not counted: milliseconds on a PC, and nobody needs the number any more.
COUNT_MAX = 100_000

_ARRIVED = func.coalesce(readings.c.arrived_at, readings.c.received_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportLag:
    """How far one station's CSV file is behind."""

    station: Station
    is_exported: bool
    """Whether an export has ever written it; if not, nothing is said of what waits."""
    changed_at: int | None
    """When an export has changed it last, in UTC epoch milliseconds; None when none has."""
    oldest_at: int | None
    """When the oldest reading came that is not in it; None when all are."""
    waiting: int
    """How many are not in it; COUNT_MAX stands for that many or more."""


def export_lags(connection: Connection, stations: Stations) -> list[ExportLag]:
    """One for each station, in their order.

    A reading that came late, after newer ones of its station were exported, is only found when it
    is among the LOOK_ROWS behind them; so is one that came while the clock was wrong.
    """
    known = {row.name: row for row in connection.execute(select(exports))}
    return [_lag(connection, station, known.get(station.csv_name)) for station in stations.all]


def _lag(
    connection: Connection, station: Station, known: Row[tuple[object, ...]] | None
) -> ExportLag:
    is_other = known is not None and known.endpoint not in (None, station.endpoint)
    if known is None or not known.size_bytes or is_other:
        return ExportLag(
            station=station, is_exported=False, changed_at=None, oldest_at=None, waiting=0
        )
    conditions = _waiting_of(connection, station, known.last_id)
    last = known.last_received_at
    near = _oldest(station, conditions).where(readings.c.id <= known.last_id + LOOK_ROWS)
    oldest = connection.execute(near.order_by(readings.c.id).limit(1)).one_or_none()
    newer = [readings.c.endpoint == station.endpoint, *conditions]
    if last is not None:
        newer.append(readings.c.received_at > last)
    if oldest is None:
        far = select(_ARRIVED.label("at")).where(*newer).order_by(readings.c.received_at).limit(1)
        oldest = connection.execute(far).one_or_none()
    waiting = 0
    if oldest is not None:
        some = select(readings.c.id).where(*newer).limit(COUNT_MAX).subquery()
        waiting = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return ExportLag(
        station=station,
        is_exported=True,
        changed_at=(known.changed_ns or 0) // 1_000_000 or None,
        oldest_at=oldest.at if oldest else None,
        waiting=max(waiting, 1) if oldest else 0,
    )


def _oldest(station: Station, conditions: Sequence[ColumnElement[bool]]) -> Select[tuple[int]]:
    # By the index it would read all of the station's entries.
    of_station = unindexed(readings.c.endpoint) == station.endpoint
    return select(_ARRIVED.label("at")).where(of_station, *conditions)


def _waiting_of(
    connection: Connection, station: Station, last_id: int
) -> list[ColumnElement[bool]]:
    """What holds for what an export would append: not for what came from the station's own file."""
    query = select(imports).where(
        imports.c.endpoint == station.endpoint, imports.c.last_id > last_id
    )
    own = [
        row for row in connection.execute(query) if csv_names.is_of(station, Path(row.file).name)
    ]
    number = readings.c.id
    return [number > last_id, *(not_(number.between(row.first_id, row.last_id)) for row in own)]
