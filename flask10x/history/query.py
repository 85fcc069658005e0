"""A checked query of the history, and the query string that stands for it."""

from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Literal
from urllib.parse import urlencode

from flask10x.database.cursors import Cursor
from flask10x.history.operators import Filter
from flask10x.readings.derived.registry import Derived, derived_by_station
from flask10x.readings.stations import Station, Stations, columns_of

# `latest` is how the old server answered: the newest readings, the oldest of them first.
Order = Literal["latest", "asc", "desc"]


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of the range of time, inclusive."""

    ms: int
    text: str
    """As written; for a time counted back from now the instant it meant, so that links stay."""
    phrase: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A checked query; fields are what was given, None or empty where nothing was."""

    known: Stations
    """Those of the installation, which the query is about."""
    endpoints: tuple[str, ...] = ()
    measurements: tuple[str, ...] = ()
    """Columns of the table `readings`, in the registry's order; empty means all, if
    `derived` is empty too."""
    derived: tuple[str, ...] = ()
    """Names of derived values, in the order of their registry; only those asked for are shown."""
    since: Bound | None = None
    until: Bound | None = None
    filters: tuple[Filter, ...] = ()
    incomplete: bool = False
    """Only readings in which a chosen measurement of their station is missing."""
    order: Order = "latest"
    limit: int | None = None
    cursor: Cursor | None = None
    newer_than: int | None = None
    """Only readings stored after this id, in the order of ids (the parameter `since`)."""
    bom: bool = False
    """Whether a CSV begins with a byte order mark."""
    raw: bool = False
    """Whether values are shown as they were stored, without corrections."""
    buckets: int | None = None
    """The most buckets of a chart's line."""
    zone: tzinfo | None = None
    """In which days begin; None for the system's own."""
    now_ms: int | None = None
    """When it was asked."""
    compare: str = ""
    """What a chart is compared with: a key of `comparing.moves.MOVES` or an endpoint."""
    default_limit: int | None = None
    """How many rows answer a query without `limit`; None means all of them."""

    @property
    def stations(self) -> tuple[Station, ...]:
        """The stations asked for that have a chosen measurement, in the registry's order."""
        named = (s for s in self.known.all if not self.endpoints or s.endpoint in self.endpoints)
        return tuple(s for s in named if self.chosen(s) or self.chosen_derived(s))

    @property
    def narrowed(self) -> bool:
        """Whether only some measurements or derived values were asked for."""
        return bool(self.measurements or self.derived)

    def chosen(self, station: Station) -> tuple[str, ...]:
        """The station's columns that were chosen, in the registry's order."""
        if not self.narrowed:
            return station.columns
        return tuple(column for column in station.columns if column in self.measurements)

    def chosen_derived(self, station: Station) -> tuple[Derived, ...]:
        """The station's derived values that were chosen."""
        own = derived_by_station(self.known)[station.endpoint]
        return tuple(own[name] for name in self.derived if name in own)

    def needed(self, station: Station) -> tuple[str, ...]:
        """The station's columns that were chosen or that what was chosen is computed from."""
        inputs = (column for one in self.chosen_derived(station) for column in one.inputs)
        return tuple(dict.fromkeys([*self.chosen(station), *inputs]))

    def of_readings(self) -> "Query":
        """The query with what a reading alone can show: instead of others what these come from."""
        others = [
            one
            for station in self.stations
            for one in self.chosen_derived(station)
            if not one.is_of_reading
        ]
        if not others:
            return self
        inputs = {column for one in others for column in one.inputs} | {*self.measurements}
        names = {one.name for one in others}
        return replace(
            self,
            measurements=tuple(c for c in self.known.columns if c in inputs),
            derived=tuple(name for name in self.derived if name not in names),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The chosen columns of all stations asked for, each once."""
        columns = columns_of(self.stations)
        return tuple(c for c in columns if not self.narrowed or c in self.measurements)

    @property
    def rows(self) -> int | None:
        """The most rows that the answer holds; None means no limit."""
        return self.limit if self.limit is not None else self.default_limit

    def query_string(
        self,
        cursor: Cursor | None = None,
        *,
        limit: bool = True,
        order: bool = True,
        newer_than: int | None = None,
        compare: bool = True,
    ) -> str:
        """The canonical query string of this query, continued at `cursor` or after an id.

        `limit=False`, `order=False` and `compare=False` leave those out.
        """
        pairs = [("endpoint", endpoint) for endpoint in self.endpoints]
        pairs += [("measurement", column) for column in (*self.measurements, *self.derived)]
        pairs += [("from", self.since.text)] if self.since else []
        pairs += [("to", self.until.text)] if self.until else []
        pairs += [(one.name, one.text) for one in self.filters]
        pairs += [("incomplete", "1")] if self.incomplete else []
        pairs += [("order", self.order)] if order and self.order != "latest" else []
        pairs += [("limit", str(self.limit))] if limit and self.limit is not None else []
        pairs += [("cursor", str(cursor))] if cursor else []
        pairs += [("since", str(newer_than))] if newer_than is not None else []
        pairs += [("bom", "1")] if self.bom else []
        pairs += [("raw", "1")] if self.raw else []
        pairs += [("buckets", str(self.buckets))] if self.buckets is not None else []
        pairs += [("compare", self.compare)] if compare and self.compare else []
        return urlencode(pairs, safe=":")

    @property
    def caption(self) -> str:
        """The query as a phrase: `data2, from 2025-08-24, co2 ≥ 1000 ppm, newest first`."""
        parts = [", ".join(self.endpoints) or "all stations"]
        chosen = (*self.measurements, *self.derived)
        parts += ["only " + " and ".join(chosen)] if chosen else []
        parts += [f"from {self.since.phrase}"] if self.since else []
        parts += [f"to {self.until.phrase}"] if self.until else []
        parts += [one.phrase for one in self.filters]
        parts += ["incomplete"] if self.incomplete else []
        parts += ["raw values"] if self.raw else []
        parts.append("newest first" if self.order == "desc" else "oldest first")
        return ", ".join(parts)
