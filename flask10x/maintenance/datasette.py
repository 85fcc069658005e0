"""What Datasette says of our tables: names and units of columns, and what is the program's own.

Its format: https://docs.datasette.io/en/stable/metadata.html. Units stand in the descriptions,
which every version of Datasette shows.
"""

from gettext import gettext as _
from typing import Any

from flask10x.config.settings import Settings
from flask10x.database import tables
from flask10x.database.paths import database_path
from flask10x.readings.stations import Measurement, Station

Table = dict[str, Any]


def metadata(settings: Settings, *, japanese: bool) -> dict[str, Any]:
    """A file for `datasette --metadata`, in the language chosen for messages.

    `japanese` says which of a station's two labels is taken.
    """
    stations = settings.stations
    described: dict[str, Table] = {"readings": _readings(settings, japanese)}
    for station in stations.all:
        described[f"v_{station.endpoint}"] = _view(station, japanese)
        described[f"epoch_{station.endpoint}"] = {"hidden": True}
    others = {*tables.metadata.tables, "alembic_version", "sqlite_sequence"} - {"readings"}
    described |= {name: {"hidden": True} for name in sorted(others)}
    database = {"description": _("Readings of sensors at home"), "tables": described}
    # Datasette names a database like its file.
    return {"title": "Flask10X", "databases": {database_path(settings).stem: database}}


def _readings(settings: Settings, japanese: bool) -> Table:
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
            **{name: _described(measurement, japanese) for name, measurement in measured},
        },
    }


def _view(station: Station, japanese: bool) -> Table:
    label = (japanese and station.label_ja) or station.label
    return {
        "description": label,
        "sort_desc": "id",
        "columns": {
            "id": _("grows in the order of storing"),
            "time": _("local time of whoever looks"),
            **{m.path: _described(m, japanese) for m in station.measurements},
        },
    }


def _described(measurement: Measurement, japanese: bool) -> str:
    label = (japanese and measurement.label_ja) or measurement.label or measurement.column
    return f"{label} [{measurement.unit}]" if measurement.unit else label
