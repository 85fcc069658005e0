"""Rows of the table of corrections, as the page writes them, and views with given corrections."""

from sqlalchemy import Connection, insert

from flask10x.database.tables import corrections
from flask10x.history.corrections import Corrections
from flask10x.history.view import View
from flask10x.readings.stations import Stations


def correct(
    connection: Connection,
    endpoint: str,
    measurement: str | None,
    first_ms: int | None,
    last_ms: int | None,
    **given: object,
) -> None:
    """Add a correction; it hides unless a gain or an offset is given."""
    row = {
        "endpoint": endpoint,
        "measurement": measurement,
        "first_ms": first_ms,
        "last_ms": last_ms,
        "kind": "adjust" if {"gain", "offset"} & set(given) else "hide",
        "reason": "test",
        "written_at": 0,
    }
    connection.execute(insert(corrections), [row | given])


def corrected_view(connection: Connection, stations: Stations, own: Corrections | None) -> View:
    """A view in which these corrections count instead of those of the table, if there are any."""
    view = View(connection, stations)
    if own is not None:
        view.corrections = own
    return view
