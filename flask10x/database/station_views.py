"""Two views for each station, for people at a shell, for Grafana and the like.

A view that somebody else has made is left to him, whatever its name.
"""

from itertools import product

from sqlalchemy import Connection

from flask10x.database import dialects
from flask10x.database.dialects import Statements
from flask10x.readings.stations import Measurement, Station, Stations

# The views of each station, by what their names begin with; the measurements follow.
_VIEWS = {
    # As in the first migration: in the zone of whoever looks.
    "v_": "SELECT id, {local_time} AS time, ",
    # For Grafana and others that want seconds. A condition on `received_at` finds the index, one on
    # `time` does not (docs/decisions/0030).
    "epoch_": "SELECT id, received_at / 1000 AS time, received_at, ",
}


def stale(connection: Connection, stations: Stations) -> dict[str, tuple[str, str]]:
    """The views that are to be made: by name what is there now, and what is to be there."""
    engine = dialects.of(connection)
    there = engine.views(connection)
    found = {}
    for station, (prefix, selected) in product(stations.all, _VIEWS.items()):
        name = f"{prefix}{station.endpoint}"
        old, ours = there.get(name), _start(engine, name, selected)
        new = ours + _rest(engine, station)
        if old != new and (old is None or old.startswith(ours)):
            found[name] = old or "", new
    return found


def renew(connection: Connection, stations: Stations) -> None:
    """Make those views, in place of what is there."""
    engine = dialects.of(connection)
    for name, (old, new) in stale(connection, stations).items():
        engine.make_view(connection, name, new, replaces=bool(old))


def _start(engine: Statements, name: str, selected: str) -> str:
    """What its statement begins with; one that begins otherwise is somebody else's."""
    return f"CREATE VIEW {engine.quote(name)} AS {selected.format(local_time=engine.LOCAL_TIME)}"


def _rest(engine: Statements, station: Station) -> str:
    names = ", ".join(_column(engine, measurement) for measurement in station.measurements)
    return f"{names} FROM readings WHERE endpoint = '{station.endpoint}'"


def _column(engine: Statements, measurement: Measurement) -> str:
    """Named by its path; by its column where that is too long for a name."""
    path, column = measurement.path, measurement.column
    longest = engine.NAME_BYTES
    if path == column or (longest is not None and len(path.encode()) > longest):
        return engine.quote(column)
    return f"{engine.quote(column)} AS {engine.quote(path)}"
