"""What a reader may ask of the history: a query string in, a checked `Query` out.

Nothing is guessed or ignored: a parameter that is unknown, malformed or given twice is named in
a QueryError, so no answer is ever wider than what was asked.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal, TypeVar
from urllib.parse import urlencode

from flask10x.errors import QueryError
from flask10x.operators import OPERATORS, Filter
from flask10x.settings import Settings
from flask10x.stations import BY_ENDPOINT, COLUMNS, STATIONS, Station
from flask10x.times import is_relative, iso_text, local_text, parse_bound

# `latest` is how the old server answered: the newest readings, the oldest of them first.
Order = Literal["latest", "asc", "desc"]
ORDERS: dict[str, Order] = {"asc": "asc", "desc": "desc"}
Side = Literal["before", "after"]
T = TypeVar("T")

MAX_LIMIT = 1000
# The form has about forty fields; a hostile query string has thousands.
MAX_PARAMETERS = 100
# Suggestions cost some milliseconds a name.
MAX_SUGGESTIONS = 5
# The last millisecond of the year 9999, and more rows than any disk holds: both fit 64 bits.
MAX_CURSOR_MS, MAX_CURSOR_ID = 253_402_300_799_999, 10**18


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of the range of time, inclusive."""

    ms: int
    text: str
    """As written; for a time counted back from now the instant it meant, so that links stay."""
    phrase: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two rows of the order (received_at, id): `before:<ms>:<id>`, `after:…`."""

    side: Side
    received_at: int
    id: int

    def __str__(self) -> str:
        return f"{self.side}:{self.received_at}:{self.id}"

    @property
    def opposite(self) -> "Cursor":
        """The cursor whose rows are exactly those that this one leaves out; ids begin at 1."""
        if self.side == "before":
            return Cursor("after", self.received_at, max(self.id - 1, 0))
        return Cursor("before", self.received_at, min(self.id + 1, MAX_CURSOR_ID))


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A checked question; fields are what was given, None or empty where nothing was."""

    endpoints: tuple[str, ...] = ()
    since: Bound | None = None
    until: Bound | None = None
    filters: tuple[Filter, ...] = ()
    order: Order = "latest"
    limit: int | None = None
    cursor: Cursor | None = None
    default_limit: int | None = None
    """How many rows answer a query without `limit`; None means all of them."""

    @property
    def stations(self) -> tuple[Station, ...]:
        """The stations asked for, in the registry's order; all of them when none was named."""
        return tuple(s for s in STATIONS if not self.endpoints or s.endpoint in self.endpoints)

    @property
    def rows(self) -> int | None:
        """The most rows that the answer holds; None means no limit."""
        return self.limit if self.limit is not None else self.default_limit

    def query_string(self, cursor: Cursor | None = None, *, limit: bool = True) -> str:
        """The canonical query string of this question, continued at `cursor`."""
        pairs = [("endpoint", endpoint) for endpoint in self.endpoints]
        pairs += [("from", self.since.text)] if self.since else []
        pairs += [("to", self.until.text)] if self.until else []
        pairs += [(one.name, one.text) for one in self.filters]
        pairs += [("order", self.order)] if self.order != "latest" else []
        pairs += [("limit", str(self.limit))] if limit and self.limit is not None else []
        pairs += [("cursor", str(cursor))] if cursor else []
        return urlencode(pairs, safe=":")

    @property
    def caption(self) -> str:
        """The question as a phrase: `data2, from 2025-08-24, co2 ≥ 1000 ppm, newest first`."""
        parts = [", ".join(self.endpoints) or "all stations"]
        parts += [f"from {self.since.phrase}"] if self.since else []
        parts += [f"to {self.until.phrase}"] if self.until else []
        parts += [one.phrase for one in self.filters]
        parts.append("newest first" if self.order == "desc" else "oldest first")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """How one route reads a query string that leaves something out."""

    order: Order
    whole: bool = False
    """Whether a query without `limit` asks for all rows, not for HISTORY_MAX of them."""
    blank_is_absent: bool = False
    """Whether `from=` means no `from`, as a browser sends the empty fields of a form."""


JSON = View(order="latest")
CSV = View(order="latest", whole=True)
HTML = View(order="desc", blank_is_absent=True)


def parse_query(
    pairs: Sequence[tuple[str, str]], settings: Settings, now_ms: int, view: View
) -> Query:
    """The question that the decoded parameters ask, in any order; relative times from `now_ms`.

    Raises QueryError that names every parameter that is wrong.
    """
    if len(pairs) > MAX_PARAMETERS:
        raise QueryError({"query": f"more than {MAX_PARAMETERS} parameters"})
    errors = _wrong_names(pairs)
    if view.blank_is_absent:
        pairs = [(name, value) for name, value in pairs if value.strip()]
    reader = _Reader(pairs, settings.zone, now_ms, errors)
    query = Query(
        endpoints=reader.endpoints(),
        since=reader.bound("from", end=False),
        until=reader.bound("to", end=True),
        filters=reader.filters(),
        order=reader.read("order", _order) or view.order,
        limit=reader.read("limit", _limit),
        cursor=reader.read("cursor", parse_cursor),
        default_limit=None if view.whole else settings.history_max,
    )
    if query.since and query.until and query.since.ms > query.until.ms:
        errors["from"] = "is later than `to`"
    if errors:
        raise QueryError(errors)
    return query


def parse_cursor(text: str) -> Cursor:
    """Reads `before:<received_at>:<id>` or `after:…`; raises ValueError for anything else."""
    match = re.fullmatch(r"(before|after):([0-9]{1,15}):([0-9]{1,19})", text)
    if not match or int(match[2]) > MAX_CURSOR_MS or int(match[3]) > MAX_CURSOR_ID:
        raise ValueError("not a cursor: take it from a `next` or `prev` link")
    return Cursor("before" if match[1] == "before" else "after", int(match[2]), int(match[3]))


class _Reader:
    """Reads the known parameters one by one and collects what is wrong with them."""

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        zone: tzinfo | None,
        now_ms: int,
        errors: dict[str, str],
    ) -> None:
        self._endpoints = [value for name, value in pairs if name == "endpoint"]
        self._given = dict(pairs)
        self._zone = zone
        self._now_ms = now_ms
        self._errors = errors

    def read(self, name: str, parse: Callable[[str], T]) -> T | None:
        """The parsed value; None when it is absent, or wrong and now among the errors."""
        if name not in self._given or name in self._errors:
            return None
        try:
            if not self._given[name].strip():
                raise ValueError("is empty: leave the parameter out")
            return parse(self._given[name])
        except ValueError as error:
            self._errors[name] = str(error)
            return None

    def endpoints(self) -> tuple[str, ...]:
        unknown = [value for value in self._endpoints if value not in BY_ENDPOINT]
        if unknown:
            known = ", ".join(BY_ENDPOINT)
            self._errors["endpoint"] = f"unknown station{_hint(unknown[0], BY_ENDPOINT)}: {known}"
        return tuple(endpoint for endpoint in BY_ENDPOINT if endpoint in self._endpoints)

    def bound(self, name: str, *, end: bool) -> Bound | None:
        return self.read(name, lambda text: self._bound(text, end))

    def _bound(self, text: str, end: bool) -> Bound:
        ms = parse_bound(text, self._zone, self._now_ms, end=end)
        if is_relative(text):
            return Bound(ms, iso_text(ms, self._zone), local_text(ms, self._zone))
        return Bound(ms, text.strip(), text.strip())

    def filters(self) -> tuple[Filter, ...]:
        found: list[Filter] = []
        for column in COLUMNS:
            for one in OPERATORS.values():
                value = self.read(f"{column}__{one.key}", one.read)
                if value is not None:
                    found.append(Filter(column, one, value))
        return tuple(found)


KNOWN_NAMES: tuple[str, ...] = (
    *("endpoint", "from", "to", "order", "limit", "cursor"),
    *(f"{column}__{key}" for column in COLUMNS for key in OPERATORS),
)


def _wrong_names(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Parameters that are unknown, or given twice where once is meant."""
    counted = Counter(name for name, _ in pairs)
    unknown = [name for name in counted if name not in KNOWN_NAMES]
    errors = dict.fromkeys(unknown, "unknown parameter")
    for name in unknown[:MAX_SUGGESTIONS]:
        errors[name] += _hint(name, KNOWN_NAMES)
    for name, times in counted.items():
        if times > 1 and name != "endpoint":
            errors.setdefault(name, f"given {times} times")
    return errors


def _hint(wrong: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(wrong[:50], list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _order(text: str) -> Order:
    if text not in ORDERS:
        raise ValueError("asc or desc is needed")
    return ORDERS[text]


def _limit(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise ValueError(f"a whole number from 1 to {MAX_LIMIT} is needed")
