"""A reading as a row of the table."""

from typing import Any

from flask10x.readings.parse import Reading
from flask10x.readings.stations import COLUMNS, STATIONS

InsertRow = tuple[Any, ...]

NAMES = ("endpoint", "received_at", "arrived_at", *COLUMNS)
_PLACES = {s.endpoint: [COLUMNS.index(column) for column in s.columns] for s in STATIONS}


def row_of(reading: Reading) -> InsertRow:
    """The reading as parameters of `INSERT`; columns of other stations are None."""
    cells: list[float | None] = [None] * len(COLUMNS)
    for place, value in zip(_PLACES[reading.endpoint], reading.values, strict=True):
        cells[place] = value
    return (reading.endpoint, reading.received_at, reading.arrived_at, *cells)


def reading_of(row: InsertRow) -> Reading:
    """The reading that `row_of` has made this row of."""
    endpoint, received_at, arrived_at, *cells = row
    values = tuple([cells[place] for place in _PLACES[endpoint]])
    return Reading(endpoint, received_at, values, arrived_at=arrived_at)
