"""The metadata of the tables for Datasette: names and units of columns, and hidden tables.

Its format: https://docs.datasette.io/en/stable/metadata.html. Units are in the descriptions,
which every version of Datasette shows.
"""

from gettext import gettext as _
from typing import Any

from flask10x.config.settings import Settings
from flask10x.database import tables
from flask10x.database.paths import database_path
from flask10x.readings.labels import label_of
from flask10x.readings.stations import Measurement, Station
from flask10x.translation import chosen

Table = dict[str, Any]


def metadata(settings: Settings) -> dict[str, Any]:
    """Return a file for `datasette --metadata`, in the language chosen for messages."""
    stations = settings.stations
    described: dict[str, Table] = {"readings": _readings(settings)}
    for station in stations.all:
        described[f"v_{station.endpoint}"] = _view(station)
        described[f"epoch_{station.endpoint}"] = {"hidden": True}
    others = {*tables.metadata.tables, "alembic_version", "sqlite_sequence"} - {"readings"}
    described |= {name: {"hidden": True} for name in sorted(others)}
    database = {"description": _("Readings of sensors at home"), "tables": described}
    # Datasette names a database like its file.
    return {"title": "Flask10X", "databases": {database_path(settings).stem: database}}


def _readings(settings: Settings) -> Table:
    measured = settings.stations.by_column.items()
    return {
        "description": _("A row for each reading, in the order of storing"),
        "sort_desc": "id",
        # Each is counted for the whole table otherwise, which takes long when it is large.
        "facets": [],
        "columns": {
            "id": _("grows in the order of storing"),
            "endpoint": _("the station's path"),
            "received_at": _("when it came, or was measured: ms since 1970, UTC"),
            "arrived_at": _("when a late one came: ms since 1970, UTC"),
            **{name: _described(measurement) for name, measurement in measured},
        },
    }


def _view(station: Station) -> Table:
    return {
        "description": label_of(station, chosen()),
        "sort_desc": "id",
        "columns": {
            "id": _("grows in the order of storing"),
            "time": _("local time of the viewer"),
            **{m.path: _described(m) for m in station.measurements},
        },
    }


def _described(measurement: Measurement) -> str:
    label = label_of(measurement, chosen()) or measurement.column
    return f"{label} [{measurement.unit}]" if measurement.unit else label
