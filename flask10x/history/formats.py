"""The history as text: objects of JSON, lines of CSV, names of files."""

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from itertools import pairwise
from operator import sub
from typing import Any

from flask10x.history.buckets import Bucket, Line, Window, gaps_before, partial_places
from flask10x.history.charts import Chart
from flask10x.history.pages import Row, derived_values
from flask10x.history.query import Query
from flask10x.readings.derived import Derived
from flask10x.readings.numbers import all_shortened, packing_digits, shortened
from flask10x.readings.parse import nested
from flask10x.readings.times import LocalText, iso_text, zone_name

# Without this mark Japanese Excel reads a CSV file as Shift_JIS.
BOM = "\ufeff"
# Of a bound in full, such as `2025-08-24T09:00+09:00`.
_OFFSET = re.compile(r"(?<=[0-9])([+-][0-9]{2}):([0-9]{2})(?=_|$)")


def json_text(value: object, *, is_dense: bool = False) -> str:
    """Return the value as JSON, with null for an infinity, and without spaces where dense.

    No sender can store an infinity, but an SQL shell can.
    """
    separators = (",", ":") if is_dense else None
    try:
        return json.dumps(value, allow_nan=False, separators=separators)
    except ValueError:
        plain = json.loads(json.dumps(value), parse_constant=lambda _name: None)
        return json.dumps(plain, allow_nan=False, separators=separators)


def as_object(row: Row, query: Query, text_of: Callable[[int], str]) -> dict[str, object]:
    """Return the row as the contract shows it (section 2), with the chosen measurements only.

    When derived values were requested, `derived` has those of the station. For raw values `hidden`
    and `corrected` say which of them are normally shown differently.
    """
    station = query.registry.by_endpoint[row.endpoint]
    chosen = query.chosen(station)
    shown: dict[str, object] = {
        "endpoint": row.endpoint,
        "timestamp": text_of(row.received_at),
        "data": nested(station, row.values, chosen) if chosen else {},
    }
    if query.derived:
        shown["derived"] = derived_values(row, station, query.chosen_derived(station))
    if query.raw and row.hidden:
        return shown | {"hidden": True}
    changed = [column for column in row.corrected if column in chosen]
    return shown | {"corrected": changed} if query.raw and changed else shown


def json_chunks(query: Query, pages: Iterable[list[Row]], zone: tzinfo | None) -> Iterator[str]:
    """Yield one array with a reading a line: a chunk for each page, and one for the end."""
    text_of, before = LocalText(zone), "[\n"
    for rows in pages:
        objects = [json_text(as_object(row, query, text_of)) for row in rows]
        if objects:
            yield before + ",\n".join(objects)
            before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def csv_chunks(query: Query, pages: Iterable[list[Row]], zone: tzinfo | None) -> Iterator[str]:
    """Yield the header with the rows of the first page, then a chunk for each page."""
    columns, text_of = (*query.columns, *query.derived), LocalText(zone)
    # Where each station's values go among the columns; a value that was not chosen goes last.
    places = {
        s.endpoint: [columns.index(c) if c in columns else len(columns) for c in s.columns]
        for s in query.stations
    }

    derived = {s.endpoint: query.chosen_derived(s) for s in query.stations} if query.derived else {}

    def line(row: Row) -> str:
        cells = [""] * (len(columns) + 1)
        for place, value in zip(places[row.endpoint], row.values, strict=True):
            cells[place] = "" if value is None else str(value)
        for name, value in _derived(row, query, derived).items():
            cells[columns.index(name)] = "" if value is None else str(value)
        return ",".join((text_of(row.received_at), row.endpoint, *cells[:-1])) + "\r\n"

    chunk = BOM * query.bom + ",".join(("timestamp", "endpoint", *columns)) + "\r\n"
    for rows in pages:
        yield chunk + "".join(map(line, rows))
        chunk = ""
    if chunk:
        yield chunk


def _derived(
    row: Row, query: Query, chosen: Mapping[str, Sequence[Derived]]
) -> dict[str, float | None]:
    derived = chosen.get(row.endpoint)
    return derived_values(row, query.registry.by_endpoint[row.endpoint], derived) if derived else {}


def file_name(query: Query, suffix: str) -> str:
    """Return a name such as `history_data2_co2_from-2025-08-24.csv`, in plain ASCII.

    The file for Excel is called `…_excel.csv`, so that neither replaces the other.
    """
    parts = ["history", "-".join(query.endpoints) or "all"]
    parts += ["-".join((*query.measurements, *query.derived))] if query.narrowed else []
    parts += [f"from {query.since.phrase}"] if query.since else []
    parts += [f"to {query.until.phrase}"] if query.until else []
    parts += ["raw"] if query.raw else []
    parts += ["excel"] if query.bom else []
    # An offset is written `+0900`, as ISO 8601 has it too; a clock's colons become dashes.
    name = _OFFSET.sub(r"\1\2", "_".join(parts))
    return re.sub(r"[^0-9A-Za-z._+-]+", "-", name) + suffix


def chart_object(
    chart: Chart,
    zone: tzinfo | None,
    now_ms: int | None = None,
    begun: Collection[tuple[str, str]] = (),
) -> dict[str, object]:
    """Return the chart as `/history/series` answers it (docs/en/reference/http-api.md).

    A bucket that ends after `now_ms`, UTC epoch milliseconds, is marked as partial. `begun` has the
    names of the lines that begin late (`charts.begun_before`).
    """
    window = chart.window
    return {
        "from": iso_text(window.first_ms, zone) if window else None,
        "to": iso_text(window.last_ms, zone) if window else None,
        "from_ms": window.first_ms if window else None,
        "to_ms": window.last_ms if window else None,
        "bucket_ms": window.bucket_ms if window else None,
        "step": window.step.name if window else None,
        "starts_ms": window.unequal_starts if window else None,
        "zone": zone_name(zone),
        "source": chart.source,
        "readings": chart.readings,
        "series": [
            _line_object(line, window, now_ms, has_begun=line.names in begun)
            for line in chart.lines
            if window
        ],
    }


def _averages(buckets: Sequence[Bucket], unit: str) -> list[float | None]:
    """Return the averages of thousands of buckets; None for a sum beyond what a double can hold."""
    # That is rare, so it is looked for in all of them at once.
    if not math.isfinite(sum(bucket.total for bucket in buckets)):
        return [shortened(bucket.average, unit) for bucket in buckets]
    return [*all_shortened([bucket.total / bucket.count for bucket in buckets], unit)]


def _line_object(
    line: Line, window: Window, now_ms: int | None, *, has_begun: bool
) -> dict[str, object]:
    places, starts, unit = line.places, window.starts, line.measurement.unit
    buckets = [line.buckets[place] for place in places]
    partial = {*partial_places(line, window, now_ms)}
    return {
        "endpoint": line.station.endpoint,
        "measurement": line.measurement.column,
        "quantity": line.measurement.quantity,
        "unit": unit,
        "interval_ms": line.interval_ms,
        "gap_ms": line.gap_ms,
        "times_ms": [starts[place] for place in places],
        "min": [bucket.minimum for bucket in buckets],
        "avg": _averages(buckets, unit),
        "max": [bucket.maximum for bucket in buckets],
        "count": [bucket.count for bucket in buckets],
        "partial": [number for number, place in enumerate(places) if place in partial],
        "has_begun": has_begun,
        "gaps": gaps_before(line, window, has_begun=has_begun),
    }


def packed(chart: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of a chart in a third of its bytes, as the page's script unpacks it.

    Times are a first one and differences; a line with `digits` has its values as whole numbers of
    that many digits behind the point: `avg` as a first one and differences, `below` and `above` how
    far `min` and `max` are from it.
    """
    starts, compared = chart["starts_ms"], chart["compared"]
    series = [_packed_line(line) for line in chart["series"]]
    packed_chart = {**chart, "starts_ms": starts and _differences(starts), "series": series}
    if compared is None:
        return packed_chart
    lines = [_packed_line(line) for line in compared["series"]]
    return {**packed_chart, "compared": {**compared, "series": lines}}


def _packed_line(line: Mapping[str, Any]) -> dict[str, Any]:
    line = {name: value for name, value in line.items() if name != "count"}
    line |= {name: _differences(line[name]) for name in ("times_ms", "own_ms") if name in line}
    # A compared line is only of averages.
    columns = [name for name in ("avg", "min", "max") if name in line]
    values = [value for name in columns for value in line[name]]
    # No sender can store an infinity; its line is as it is.
    if not values or None in values or (digits := packing_digits(values, line["unit"])) is None:
        return line
    scale = 10.0**digits
    whole = {name: [round(value * scale) for value in line.pop(name)] for name in columns}
    line |= {"digits": digits, "avg": _differences(whole["avg"])}
    if "min" in whole:
        line["below"] = [*map(sub, whole["avg"], whole["min"])]
        line["above"] = [*map(sub, whole["max"], whole["avg"])]
    return line


def _differences(numbers: Sequence[int]) -> list[int]:
    """Return the first number, and of each other one how much greater it is than the one before."""
    return [*numbers[:1], *(later - earlier for earlier, later in pairwise(numbers))]
