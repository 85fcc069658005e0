"""A query of the history as a phrase in the reader's language."""

from dataclasses import dataclass

from flask10x.history.query import IS_NULL, Bound, Filter, Query
from flask10x.readings.bands import Band
from flask10x.readings.derived import measurement_of, names_of_readings
from flask10x.readings.labels import (
    band_name,
    column_name,
    end_of_range,
    moment,
    station_name,
)
from flask10x.readings.numbers import separated
from flask10x.readings.reasons import in_language
from flask10x.readings.stations import Stations
from flask10x.readings.times import FIRST_DATE_MS
from flask10x.translation import N_, Translation

OPERATORS = {
    "gt": N_("above"),
    "gte": N_("at least"),
    "lt": N_("below"),
    "lte": N_("at most"),
    "eq": N_("exactly"),
    "isnull": N_("missing"),
}
"""What the form calls the conditions on values."""
FIELDS = {
    "endpoint": N_("Stations"),
    "measurement": N_("Measurements"),
    "from": N_("From"),
    "to": N_("To"),
    "order": N_("Order"),
    "limit": N_("Rows per page"),
    "cursor": N_("Position of the page"),
    "since": N_("Since"),
    "incomplete": N_("Only incomplete readings"),
    "bom": N_("For Excel"),
    "query": N_("Query"),
    "buckets": N_("Buckets"),
    "compare": N_("Compare with"),
    "off": N_("Lines switched off"),
    "together": N_("Together"),
    "unfolded": N_("All charts"),
    "raw": N_("Values as stored"),
}
"""What the forms call their parameters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A link to a page, often one of several to choose from."""

    name: str
    url: str
    is_chosen: bool = False


def caption(query: Query, t: Translation, now_ms: int) -> str:
    """`Bedroom, from Sun 24 Aug, CO₂ ≥ 1000 ppm, newest first`."""
    since, until = ends(query, t, now_ms)
    times = [t("from {time}", time=since)] if since else []
    times += [t("to {time}", time=until)] if until else []
    order = t("newest first") if query.order == "desc" else t("oldest first")
    return t.listed([*_named(query, t), *times, *_conditions(query, t), order])


def printed(query: Query, now_ms: int, t: Translation) -> tuple[str, str]:
    """`Sat 28 Nov 2026, 07:35 – Sun 29 Nov 2026, 07:35` and `Bedroom, CO₂ ≥ 1000 ppm`, for paper.

    It is read in other years, and what was now when it was printed has a time.
    """
    # With its year, in whatever year it is.
    first, last = (
        moment(ms, query.zone, t, FIRST_DATE_MS)
        for ms in (query.since.ms if query.since else 0, query.until.ms if query.until else now_ms)
    )
    span = (
        t("{first} – {last}", first=first, last=last) if query.since else t("to {time}", time=last)
    )
    return span, t.listed([*_named(query, t), *_conditions(query, t)])


def _named(query: Query, t: Translation) -> list[str]:
    """The stations and measurements that a query names."""
    stations = query.registry
    names = [station_name(stations.by_endpoint[endpoint], t) for endpoint in query.endpoints]
    columns = [
        column_name(measurement_of(stations, name), t)
        for name in (*query.measurements, *query.derived)
    ]
    return [*(names or [t("all stations")]), *columns]


def _conditions(query: Query, t: Translation) -> list[str]:
    parts = [condition(each, query.registry, t) for each in query.filters]
    parts += [t("incomplete only")] if query.incomplete else []
    return parts + ([t("as stored, without corrections")] if query.raw else [])


def ends(query: Query, t: Translation, now_ms: int) -> tuple[str, str]:
    """The first and the last moment of the query as people write them; empty where it is open."""

    def text(bound: Bound | None, *, last: bool) -> str:
        if bound is None:
            return ""
        if bound.text != bound.phrase:
            # Counted back from now, where a second means nothing.
            return moment(bound.ms, query.zone, t, now_ms)
        return end_of_range(bound.ms, query.zone, t, now_ms, last=last)

    return text(query.since, last=False), text(query.until, last=True)


def label(name: str, stations: Stations, t: Translation) -> str | None:
    """What the form calls a parameter: `CO₂ at least`; None for one that it does not have."""
    column, _, key = name.rpartition("__")
    if column in stations.by_column or column in names_of_readings(stations):
        measurement, condition = measurement_of(stations, column), OPERATORS.get(key)
        return f"{column_name(measurement, t)} {t(condition) if condition else key}"
    return t(FIELDS[name]) if name in FIELDS else None


def badge(band: Band, t: Translation) -> str:
    """The mark of a value in this band: what to do, where the band's name is that of a zone."""
    name = band_name(band, t)
    return t.context("badge", "Air the room") if name == t("Air the room") else name


def problems(
    details: dict[str, str], stations: Stations, t: Translation
) -> dict[str, dict[str, str | None]]:
    """What a QueryError says of each parameter: the form's name for it, and the reason."""
    return {
        name: {"label": label(name, stations, t), "reason": in_language(reason, t)}
        for name, reason in details.items()
    }


def condition(each: Filter, stations: Stations, t: Translation) -> str:
    """`CO₂ ≥ 1000 ppm`."""
    name = column_name(measurement_of(stations, each.column), t)
    if each.operator is IS_NULL:
        return t("{name} missing", name=name) if each.value else t("{name} present", name=name)
    value = f"{separated(each.text)} {each.unit}".rstrip()
    return f"{name} {each.operator.label} {value}"
