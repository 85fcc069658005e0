"""A value that somebody points at, in a chart or a table, and what the page `/notes` says of it."""

from collections.abc import Sequence
from typing import NamedTuple

from flask import current_app, url_for

from flask10x.errors import QueryError
from flask10x.history import annotations
from flask10x.history.corrections import Correction
from flask10x.history.pages import EndOfRange, Row, end_rows, extreme_id, row_of
from flask10x.history.view import View
from flask10x.readings.derived import derived_by_station
from flask10x.readings.labels import column_name, moment, station_name
from flask10x.readings.numbers import NO_VALUE, read_back, rounded
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS, SECOND_MS
from flask10x.translation import N_, Translation
from flask10x.web.ranges import bound_text, history_url

# So much before and after a reading shows what it stands out from, and each reading is a point.
AROUND_MS = HOUR_MS // 4
MINUTE_MS = 60 * SECOND_MS
WHICH = {"near": "", "highest": N_("highest here"), "lowest": N_("lowest here")}
"""Which reading of a range is meant, in the place of a number, and what it is called then."""
# As many as a chart has lines that a reader can tell apart.
MOST_LINES = 24
# A number of a row has no more digits.
MOST_DIGITS = 18


class Pointed(NamedTuple):
    """A reading, and the column that is meant; None for all of it."""

    row: Row
    """As it was stored."""
    column: str | None
    which: str
    """A key of WHICH."""


def name_of(text: str) -> tuple[int, str | None] | None:
    """The number and the column of `20001.co2`; None for what is no name of a value."""
    number, _, column = text.partition(".")
    if not (number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS):
        return None
    return int(number), column or None


def of_name(view: View, text: str) -> Pointed | None:
    """The reading, or the value, of this name; None when there is none any more."""
    name = name_of(text)
    row = row_of(view, name[0]) if name else None
    if name is None or row is None:
        return None
    columns = view.stations.by_endpoint[row.endpoint].columns
    return Pointed(row, name[1], "near") if name[1] is None or name[1] in columns else None


def in_range(
    view: View, which: str, abouts: Sequence[str], ends: tuple[int, int], *, raw: bool
) -> list[Pointed]:
    """Return the readings of a point of a chart: of each line the one nearest to the middle.

    Of a single line also those with the highest and the lowest value, and the one that `which`
    names is first. Raises QueryError for a line that there is not.
    """
    pointed: list[Pointed] = []
    for about in abouts[:MOST_LINES]:
        station, column = _line(view, about)
        end, middle_ms = EndOfRange(station.endpoint, *ends), sum(ends) // 2
        halves = [end._replace(last_ms=middle_ms), end._replace(first_ms=middle_ms, newest=False)]
        rows = [row for row in end_rows(view, halves, raw=raw) if row]
        nearest = min(rows, key=lambda row: abs(row.received_at - middle_ms), default=None)
        numbers = {"near": nearest.id if nearest else None}
        if column and len(abouts) == 1:
            for name in ("highest", "lowest"):
                is_highest = name == "highest"
                numbers[name] = extreme_id(view, end, column, highest=is_highest, raw=raw)
        pointed += _different(view, numbers, which, column)
    return pointed


def _line(view: View, about: str) -> tuple[Station, str | None]:
    """The station and the column; a derived value has none, and is that of a whole reading."""
    endpoint, _, name = about.partition(".")
    station = view.stations.by_endpoint.get(endpoint)
    if station is None:
        raise QueryError({"about": Reason("no_such_station")})
    if name and name not in (*station.columns, *derived_by_station(view.stations)[endpoint]):
        raise QueryError({"about": Reason("unknown_measurement", known=", ".join(station.columns))})
    return station, name if name in station.columns else None


def _different(
    view: View, numbers: dict[str, int | None], which: str, column: str | None
) -> list[Pointed]:
    """Each reading once, the one that is asked for first; without a name where there is only it."""
    names: dict[int, str] = {}
    for name in (which, *numbers):
        if (number := numbers.get(name)) is not None:
            names.setdefault(number, name)
    rows = [(row_of(view, number), name) for number, name in names.items()]
    is_alone = len(names) == 1
    pointed = [Pointed(row, column, "near" if is_alone else name) for row, name in rows if row]
    # The reading in the middle may lack this value; and an extreme that it has, too, is none.
    different = {value: each for each in pointed[::-1] if (value := _value(view, each)) is not None}
    return list(different.values())[::-1] or pointed[:1]


def _value(view: View, pointed: Pointed) -> float | None:
    row, column, _ = pointed
    columns = view.stations.by_endpoint[row.endpoint].columns
    return row.values[columns.index(column)] if column else row.id


def described(view: View, pointed: Sequence[Pointed], t: Translation) -> dict[str, object] | None:
    """Return what the page says of them, and of others that may be meant; None without any."""
    if not pointed:
        return None
    row, column, _ = pointed[0]
    station, value = view.stations.by_endpoint[row.endpoint], _value(view, pointed[0])
    several = len({each.row.endpoint for each in pointed}) > 1
    first_ms = (row.received_at - AROUND_MS) // MINUTE_MS * MINUTE_MS
    rule_url = ""
    if not several and column and value is not None and "setup" in current_app.blueprints:
        about = f"{row.endpoint}.{column}"
        text = rounded(value, view.stations.by_column[column].unit)
        rule_url = url_for("setup.as_rule", kind="threshold", about=about, value=text)
    return {
        "station": t("Several stations") if several else station_name(station, t),
        "time": _time(view, row, t),
        "choices": [
            _choice(view, each, t, named=several) for each in _with_whole(pointed, station)
        ],
        # What hides it, or a value of it.
        "hidden": _hidden(view, pointed),
        "around_url": history_url(
            bound_text(max(first_ms, 0), view.zone, end=False),
            bound_text(first_ms + 2 * AROUND_MS, view.zone, end=True),
            endpoint=None if several else row.endpoint,
            measurement=column,
        ),
        # Where a rule is made with this value as its limit; empty: it can't be.
        "rule_url": rule_url,
    }


def _time(view: View, row: Row, t: Translation) -> str:
    return moment(row.received_at, view.zone, t, view.now_ms or row.received_at, with_second=True)


def _with_whole(pointed: Sequence[Pointed], station: Station) -> list[Pointed]:
    """Of a single reading also all of it, or each of its values."""
    if len({each.row.id for each in pointed}) > 1 or len(station.columns) == 1:
        return list(pointed)
    row, column, which = pointed[0]
    if column:
        return [pointed[0], Pointed(row, None, which)]
    pairs = zip(station.columns, row.values, strict=True)
    values = [Pointed(row, name, which) for name, value in pairs if value is not None]
    return [pointed[0], *values]


def _choice(view: View, pointed: Pointed, t: Translation, *, named: bool) -> dict[str, str]:
    """Return one of the values that may be meant: its name in the form, its words, its value.

    A whole reading has no value.
    """
    row, column, which = pointed
    station = view.stations.by_endpoint[row.endpoint]
    label = f"{station_name(station, t)}: " if named else ""
    common = {"time": _time(view, row, t), "remark": t(WHICH[which]) if WHICH[which] else ""}
    if column is None:
        label += t("All values of this reading")
        return common | {"name": str(row.id), "label": label}
    measurement = view.stations.by_column[column]
    stored = row.values[station.columns.index(column)]
    shown = view.corrections.shown(row.endpoint, column, row.received_at, stored)
    # What is hidden is said as it was stored.
    value = stored if shown is None else shown
    text = NO_VALUE if value is None else rounded(value, measurement.unit)
    return common | {
        "name": f"{row.id}.{column}",
        "label": label + column_name(measurement, t),
        "value": text,
        "unit": measurement.unit,
        # In full, where that is not the same number.
        "exact": "" if value is None or read_back(text) == value else str(value),
        "stored": "" if stored is None or value == stored else rounded(stored, measurement.unit),
    }


def _hidden(view: View, pointed: Sequence[Pointed]) -> list[Correction]:
    hiding: dict[int, Correction] = {}
    for row, column, _ in pointed:
        ends = (row.received_at, row.received_at)
        for each in annotations.corrections_within(view.written_corrections, [row.endpoint], *ends):
            is_of_it = column is None or each.measurement in (None, column)
            if each.kind == "hide" and is_of_it:
                hiding[each.id] = each
    return list(hiding.values())
