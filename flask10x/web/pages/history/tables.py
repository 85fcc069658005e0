"""The rows of a page as tables, one a station: each has the columns of its station only."""

from collections.abc import Sequence

from flask10x.history.derived.rows import derived_values
from flask10x.history.pages import Row
from flask10x.history.query import Query
from flask10x.readings.derived.registry import Derived
from flask10x.readings.labels import station_name
from flask10x.readings.rounding import NO_VALUE, rounded
from flask10x.readings.stations import Station
from flask10x.readings.times import LocalText
from flask10x.translation import Translation
from flask10x.web.pages.history.columns import column, limits_of
from flask10x.web.pages.history.model import Cell, StationTable, TableRow

# So many columns beside the time still fit a tablet, so many a phone (flask10x.css): a wider table
# moves sideways there, and on a phone each of its readings is a block.
TABLET_COLUMNS, PHONE_COLUMNS = 6, 2
# A longer word makes its column wider than its share.
LONGEST_WORD_CHARS = 14

BEYOND = Cell(text=NO_VALUE, exact=None, missing=False, beyond=True)


def station_tables(
    rows: Sequence[Row], query: Query, text_of: LocalText, t: Translation
) -> list[StationTable]:
    """A table of each station that has rows among these, in the order of the stations.

    The rows keep their order. Values are rounded; a cell has the exact one where that differs.
    """
    of_station: dict[str, list[Row]] = {}
    for row in rows:
        of_station.setdefault(row.endpoint, []).append(row)
    return [
        _table(station, of_station[station.endpoint], query, text_of, t)
        for station in query.stations
        if station.endpoint in of_station
    ]


def _table(
    station: Station, rows: list[Row], query: Query, text_of: LocalText, t: Translation
) -> StationTable:
    chosen = query.chosen(station)
    derived = query.chosen_derived(station)
    columns = [column(name, query.known, t) for name in (*chosen, *(one.name for one in derived))]
    beyond = [one for one in derived if any(one.is_beyond(_values(row, station)) for row in rows)]
    usual = all(len(w) <= LONGEST_WORD_CHARS for c in columns for w in c.label.split())
    return StationTable(
        endpoint=station.endpoint,
        name=station_name(station, t),
        columns=columns,
        rows=[_row(row, station, chosen, derived, text_of) for row in rows],
        limits=[limits_of(one, t) for one in beyond],
        fits=usual and len(columns) <= TABLET_COLUMNS,
        narrow=usual and len(columns) <= PHONE_COLUMNS,
    )


def _row(
    row: Row,
    station: Station,
    chosen: tuple[str, ...],
    derived: tuple[Derived, ...],
    text_of: LocalText,
) -> TableRow:
    pairs = zip(station.measurements, row.values, strict=True)
    cells = [_cell(value, m.unit) for m, value in pairs if m.column in chosen]
    computed, values = derived_values(row, station, derived), _values(row, station)
    cells += [
        BEYOND if one.is_beyond(values) else _cell(computed[one.name], one.kind.unit)
        for one in derived
    ]
    return TableRow(time=text_of(row.received_at), cells=cells, is_hidden=row.hidden)


def _values(row: Row, station: Station) -> dict[str, float | None]:
    return dict(zip(station.columns, row.values, strict=True))


def _cell(value: float | None, unit: str) -> Cell:
    if value is None:
        return Cell(text=NO_VALUE, exact=None, missing=True)
    text = rounded(value, unit)
    return Cell(text=text, exact=None if float(text) == value else str(value), missing=False)
