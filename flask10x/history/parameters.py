"""Reads a query string of the history and returns a checked `Query`.

Nothing is guessed or ignored: a QueryError names each parameter that is unknown, malformed or
repeated, so an answer is never wider than the request.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import TypeVar

from flask10x.config.settings import Settings
from flask10x.database.cursors import MAX_CURSOR_ID, parse_cursor
from flask10x.errors import QueryError, nearest
from flask10x.history.buckets import MAX_BUCKETS, MIN_BUCKETS
from flask10x.history.query import MOVES, OPERATORS, Bound, Filter, Order, Query
from flask10x.readings.derived import (
    derived_by_station,
    derived_names,
    measurement_of,
    names_of_readings,
)
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.stations import Stations
from flask10x.readings.times import iso_text, local_text, parse_bound, span_sec

ORDERS: dict[str, Order] = {"asc": "asc", "desc": "desc"}
T = TypeVar("T")

MAX_LIMIT = 1000
# The form has some hundred fields, or as many as there are names; a hostile query has thousands.
MAX_PARAMETERS = 150
# For suggestions: each comparison of two names costs some 30 µs.
MAX_COMPARED = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryDefaults:
    """How a route reads a query string, and what it adds to one that leaves something out."""

    order: Order
    whole: bool = False
    """Whether a query without `limit` asks for all rows instead of HISTORY_MAX."""
    blank_is_absent: bool = False
    """Whether `from=` means no `from`, as a browser sends the empty fields of a form."""
    rows: int | None = None
    """How many rows answer a query without `limit`, where HISTORY_MAX would be too many."""
    has_charts: bool = False
    """Whether the route shows derived values that need more than one reading."""
    parameters: frozenset[str] = frozenset()
    """The parameters of `ONLY` that the route accepts."""


# Parameters that mean nothing to the other routes, and the route that they belong to.
ONLY = {
    "since": "/history/json",
    "bom": "/history.csv",
    "buckets": "/history/series",
    "compare": "/history/series",
    "off": "/history",
    "together": "/history",
    "unfolded": "/history",
}
JSON = QueryDefaults(order="latest", parameters=frozenset({"since"}))
CSV = QueryDefaults(order="latest", whole=True, parameters=frozenset({"bom"}))
SERIES = QueryDefaults(
    order="latest", whole=True, has_charts=True, parameters=frozenset({"buckets", "compare"})
)
JSON_FILE = QueryDefaults(order="latest", whole=True)
# As many rows as a phone loads quickly and a person reads at a time.
PAGE_ROWS = 50
HTML = QueryDefaults(
    order="desc",
    blank_is_absent=True,
    rows=PAGE_ROWS,
    has_charts=True,
    parameters=frozenset({"compare", "off", "together", "unfolded"}),
)


def parse_query(
    pairs: Sequence[tuple[str, str]], settings: Settings, now_ms: int, view: QueryDefaults
) -> Query:
    """Return the query of the decoded parameters; relative times are counted from `now_ms`.

    Raises QueryError, which names every wrong parameter.
    """
    stations = settings.stations
    names = _known_names(stations)
    most = max(MAX_PARAMETERS, len(names) + len(stations.all))
    if len(pairs) > most:
        raise QueryError({"query": Reason("too_many_parameters", n=most)})
    errors = _wrong_names(pairs, view, names)
    if view.blank_is_absent:
        pairs = [(name, value) for name, value in pairs if value.strip()]
    reader = _Reader(pairs, settings, now_ms, errors)
    reader.view_of_charts()
    query = Query(
        registry=stations,
        endpoints=reader.endpoints(),
        measurements=reader.measurements(),
        derived=reader.derived(view),
        since=reader.bound("from", end=False),
        until=reader.bound("to", end=True),
        filters=reader.filters(),
        incomplete=reader.read("incomplete", _yes) or False,
        order=reader.read("order", _order) or view.order,
        limit=reader.read("limit", whole_number(1, MAX_LIMIT)),
        cursor=reader.read("cursor", parse_cursor),
        newer_than=reader.read("since", _id),
        bom=reader.read("bom", _yes) or False,
        raw=reader.read("raw", _yes) or False,
        buckets=reader.read("buckets", whole_number(MIN_BUCKETS, MAX_BUCKETS)),
        zone=settings.zone,
        now_ms=now_ms,
        compare=reader.comparison(),
        default_limit=_default_limit(view, settings),
    )
    if query.since and query.until and query.since.ms > query.until.ms:
        errors["from"] = Reason("from_after_to")
    if query.newer_than is not None:
        unfit = (name for name in ("order", "cursor") if name in reader.values)
        errors |= dict.fromkeys(unfit, Reason("not_with_since"))
    if errors:
        raise QueryError(errors)
    return query


def _default_limit(view: QueryDefaults, settings: Settings) -> int | None:
    if view.whole:
        return None
    return min(view.rows or settings.history_max, settings.history_max)


class _Reader:
    """Reads the parameters one by one and collects their errors."""

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        settings: Settings,
        now_ms: int,
        errors: dict[str, Reason],
    ) -> None:
        self._pairs = pairs
        self.values = dict(pairs)
        self._stations: Stations = settings.stations
        self._zone: tzinfo | None = settings.zone
        self._now_ms = now_ms
        self._errors = errors

    def read(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return the parsed value; None when it is absent, or wrong and among the errors."""
        if name not in self.values or name in self._errors:
            return None
        try:
            if not self.values[name].strip():
                raise WrongValue(Reason("blank"))
            return parse(self.values[name])
        except WrongValue as error:
            self._errors[name] = error.reason
            return None

    def endpoints(self) -> tuple[str, ...]:
        return self._choice("endpoint", "unknown_station", tuple(self._stations.by_endpoint))

    def measurements(self) -> tuple[str, ...]:
        columns = self._stations.columns
        derived = derived_names(self._stations)
        return self._choice("measurement", "unknown_measurement", columns, derived)

    def derived(self, view: QueryDefaults) -> tuple[str, ...]:
        names = derived_names(self._stations)
        chosen = [value for key, value in self._pairs if key == "measurement"]
        derived = tuple(name for name in names if name in chosen)
        of_readings = names_of_readings(self._stations)
        if not view.has_charts and any(name not in of_readings for name in derived):
            self._errors["measurement"] = Reason("other_route", path=ONLY["buckets"])
        return derived

    def _choice(
        self, name: str, code: str, names: tuple[str, ...], others: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Return the chosen ones of `names`, in their order; `others` are allowed, too."""
        chosen = [value for key, value in self._pairs if key == name]
        possible = (*names, *others)
        if unknown := [value for value in chosen if value not in possible]:
            shown = ", ".join(names)
            self._errors[name] = unknown_name(code, unknown[0], possible, known=shown)
        return tuple(each for each in names if each in chosen)

    def comparison(self) -> str:
        names = (*MOVES, *self._stations.by_endpoint)

        def read(text: str) -> str:
            if text not in names:
                raise WrongValue(
                    unknown_name("unknown_comparison", text, names, known=", ".join(names))
                )
            return text

        return self.read("compare", read) or ""

    def view_of_charts(self) -> None:
        """Check which lines are switched off, `data2.co2,data4.co2`, and what else is chosen."""
        self.read("off", self._lines)
        self.read("together", _yes)
        self.read("unfolded", _yes)

    def _lines(self, text: str) -> None:
        stations, derived = self._stations.by_endpoint, derived_names(self._stations)
        for line in text.split(","):
            endpoint, _, column = line.partition(".")
            if endpoint not in stations:
                shown = ", ".join(stations)
                raise WrongValue(unknown_name("unknown_station", endpoint, stations, known=shown))
            names = (*stations[endpoint].columns, *derived)
            if column not in names:
                shown = ", ".join(names)
                raise WrongValue(unknown_name("unknown_measurement", column, names, known=shown))

    def bound(self, name: str, *, end: bool) -> Bound | None:
        return self.read(name, lambda text: self._bound(text, end))

    def _bound(self, text: str, end: bool) -> Bound:
        ms = parse_bound(text, self._zone, self._now_ms, end=end)
        if span_sec(text) is not None:
            return Bound(ms, iso_text(ms, self._zone), local_text(ms, self._zone))
        return Bound(ms, text.strip(), text.strip())

    def filters(self) -> tuple[Filter, ...]:
        derived = derived_by_station(self._stations)
        columns: dict[str, tuple[str, frozenset[str] | None]] = {
            column: (measurement.unit, None)
            for column, measurement in self._stations.by_column.items()
        }
        for name in names_of_readings(self._stations):
            endpoints = frozenset(endpoint for endpoint, names in derived.items() if name in names)
            columns[name] = measurement_of(self._stations, name).unit, endpoints
        return tuple(
            Filter(column, operator, value, unit, endpoints)
            for column, (unit, endpoints) in columns.items()
            for operator in OPERATORS.values()
            if (value := self.read(f"{column}__{operator.key}", operator.parse)) is not None
        )


# One value chooses, several choose several.
REPEATABLE = ("endpoint", "measurement")


@lru_cache(maxsize=1)
def _known_names(stations: Stations) -> dict[str, None]:
    """Return the names of all parameters, in the order of suggestions."""
    names = (
        *("endpoint", "measurement", "from", "to", "incomplete", "order", "limit", "cursor"),
        "raw",
        *ONLY,
        *(
            f"{column}__{key}"
            for column in (*stations.columns, *names_of_readings(stations))
            for key in OPERATORS
        ),
    )
    return dict.fromkeys(names)


def _wrong_names(
    pairs: Sequence[tuple[str, str]], view: QueryDefaults, names: dict[str, None]
) -> dict[str, Reason]:
    """Return errors for parameters that are unknown, of another route, or wrongly repeated."""
    counted = Counter(name for name, _ in pairs)
    unknown = [name for name in counted if name not in names]
    errors = dict.fromkeys(unknown, Reason("unknown_parameter"))
    for name in unknown[: max(1, MAX_COMPARED // len(names))]:
        errors[name] = unknown_name("unknown_parameter", name, names)
    for name, times in counted.items():
        if name in ONLY and name not in view.parameters:
            errors[name] = Reason("other_route", path=ONLY[name])
        if times > 1 and name not in REPEATABLE:
            errors.setdefault(name, Reason("given_times", n=times))
    return errors


def unknown_name(code: str, wrong: str, names: Iterable[str], **values: str) -> Reason:
    """Return the reason, with a suggestion when one of these names is similar."""
    near = nearest(wrong.lower(), names)
    return Reason(f"{code}_near", near=near, **values) if near else Reason(code, **values)


def _order(text: str) -> Order:
    if text not in ORDERS:
        raise WrongValue(Reason("order_needed"))
    return ORDERS[text]


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return the reader of a number from `low` to `high`; it raises WrongValue."""

    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) and low <= int(text) <= high:
            return int(text)
        raise WrongValue(Reason("whole_number_needed", low=low, high=high))

    return parse


def _yes(text: str) -> bool:
    if text != "1":
        raise WrongValue(Reason("yes_needed"))
    return True


def _id(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,19}", text) and int(text) <= MAX_CURSOR_ID:
        return int(text)
    raise WrongValue(Reason("id_needed"))
