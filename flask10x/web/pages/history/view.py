"""The history as a page; the same query string as JSON and CSV (docs/en/reference/http-api.md)."""

import io
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from flask import Response, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from flask10x.config.settings import is_checkout
from flask10x.database.cursors import Cursor
from flask10x.errors import QueryError
from flask10x.history import annotations, charts, pages
from flask10x.history.annotations import WrittenNote
from flask10x.history.corrections import Correction
from flask10x.history.pages import HistoryPage
from flask10x.history.parameters import HTML, PAGE_ROWS, SERIES, parse_query
from flask10x.history.query import OPERATORS, Bound, Query
from flask10x.history.view import View
from flask10x.readings.derived import (
    derived_by_station,
    derived_names,
    measurement_of,
    names_of_readings,
)
from flask10x.readings.labels import Moments, column_name, range_of, station_name
from flask10x.readings.numbers import DIGITS
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import parse_bound
from flask10x.system import clock
from flask10x.translation import N_, Translation
from flask10x.web import context, preferences
from flask10x.web.alerts import AlertReader, alerts_of_stations
from flask10x.web.captions import OPERATORS as OPERATOR_NAMES
from flask10x.web.captions import Link, caption, ends, printed, problems
from flask10x.web.cards import Card, cards, is_of_sensor, shown_stations, trial_command
from flask10x.web.notes import NotesReader
from flask10x.web.page import Page
from flask10x.web.pages.history.model import (
    ASKED_FIRST,
    Pairs,
    chips,
    comparisons,
    limits_of,
    month_before,
    months,
    on_chip,
    period,
    removed_days,
    station_tables,
)
from flask10x.web.ranges import (
    QUICK,
    bound_text,
    is_future,
    name_of_length,
    neighbours,
    quick_name,
    wider,
)

# What a family looks at first. Programs that ask for no range still get what they always got.
LAST_DAY = "-24h"
ALL = "all"
"""`from` of this page for everything; the other routes have no `from` then."""

# As many notes, and corrections, as are read below the charts; a link leads to all of them.
MOST_NOTED = 12

blueprint = Page(
    "history_page",
    __name__,
    text=N_("History"),
    place="head",
    since=LAST_DAY,
)

# `make static` puts it there; a wheel brings it along, or is not built.
CHARTS = Path(__file__).parents[2] / "static" / "vendor" / "uPlot.iife.min.js"
# A sensor in brackets at the end of a name.
_SENSOR = re.compile(r"(?<=.)\s*[(（][^()（）]+[)）]$")
_OWN = "history_page.as_page"
# What readers switch in the charts, which means something to this page alone.
_OF_CHARTS = ("off", "together", "unfolded")
# A pressure, to a hectopascal or better.
USUAL_DIGITS = 5
MINUTE_MS = 60_000
# Names of the machine at which the reader sits; another one would look for the service at itself.
LOOPBACK = ("localhost", "127.", "[::1]")
# How readings are looked at, which no filter changes.
_VIEW = ("raw", "compare", *_OF_CHARTS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What the page shows of one snapshot of the database."""

    cards: list[Card]
    is_corrected: bool
    """Whether any reading is shown otherwise than it was stored."""
    newest: dict[str, int | None]
    """Each station's newest `received_at`; None when it has no reading."""
    last_id: int
    usual: Mapping[tuple[str, str], tuple[float, float]]
    """Where the values of each endpoint and column usually are (`charts.usual_ranges`)."""
    removed_days: int | None
    """After how many days older readings were removed, where the page has the oldest."""
    page: HistoryPage | None
    """None when the query was wrong."""
    notes: list[WrittenNote]
    corrections: list[Correction]
    """What was written of this time, the newest first."""

    @property
    def stations(self) -> list[Station]:
        """Those of the cards, in the order of downloads."""
        listed = [card.station for card in self.cards]
        return [one for one in context.store().settings.stations.all if one in listed]


@blueprint.get("/history")
def as_page() -> tuple[str, int]:
    """Cards, filters, charts and a page of the table; 400 with the form when the query is wrong."""
    store, t, now_ms = context.store(), preferences.texts(), clock.now_ms()
    query, details = None, {}
    try:
        query = _query(now_ms)
        content = _content(query, t)
    except QueryError as error:
        query, details = None, error.details
        content = _content(None, t)
    marked = alerts_of_stations(store.settings)
    page = render_template(
        "history/template.html",
        halt=_halt(),
        reader=AlertReader(store.settings, t, now_ms),
        cards=[
            (card, _card_url(card), marked.get(card.station.endpoint, ()), on_chip(card))
            for card in content.cards
        ],
        colours=store.settings.stations.colours,
        all_stations_url=_address(_OWN, _of_all_stations()),
        form=_form(query, details, content.stations, t),
        ranges=_ranges(query, now_ms, t),
        charts=_charts(content, t),
        noted={
            "reader": NotesReader(store.settings, t, now_ms),
            "notes": content.notes[:MOST_NOTED],
            "corrections": content.corrections[:MOST_NOTED],
        },
        table=_table(query, content.page, content, t, now_ms) if query and content.page else None,
    )
    return page, 400 if details else 200


@blueprint.get("/history/address.svg")
def as_qr_code() -> Response:
    """The address of the page with this query, as a QR code for a phone.

    Raises QueryError when the page would refuse the query, or a code cannot hold it.
    """
    # Only who looks at a code needs it.
    import segno  # noqa: PLC0415

    _query(clock.now_ms())
    text = request.query_string.decode("ascii", "replace")
    address = f"{request.host_url.rstrip('/')}{url_for(_OWN)}?{text}"
    try:
        code = segno.make_qr(address, error="l")
    except segno.DataOverflowError:
        raise QueryError({"query": Reason("too_long_for_code")}) from None
    picture = io.BytesIO()
    # Dark on light in any colours of the page, or not every phone reads it.
    code.save(picture, kind="svg", xmldecl=False, omitsize=True, border=3, light="#fff")
    return Response(picture.getvalue(), mimetype="image/svg+xml")


def _query(now_ms: int) -> Query:
    pairs = [pair for pair in _pairs() if not _is_all(pair)]
    query = parse_query(pairs, context.store().settings, now_ms, HTML)
    return replace(query, endpoints=query.endpoints or _not_hidden())


def _not_hidden() -> tuple[str, ...]:
    """The stations of a page that names none, where some are hidden; empty: all of them."""
    stations = context.store().settings.stations.all
    shown = tuple(station.endpoint for station in stations if not station.hidden)
    return () if _only("endpoint") or len(shown) == len(stations) else shown


def _as_named(query: Query) -> Query:
    """The query with the stations that the address of the page names."""
    return replace(query, endpoints=()) if _not_hidden() else query


def _content(query: Query | None, t: Translation) -> Content:
    store = context.store()
    named = [*request.args.getlist("endpoint"), request.args.get("compare", "")]
    with context.view() as view:
        shown = cards(view, store, t, shown_stations(view, store, named))
        page = pages.page(view, query, pages.patience_sec(store.settings)) if query else None
        notes, corrections = _written(view, query) if query else ([], [])
        removed = None
        if query and page:
            removed = removed_days(store.settings, query, page, view.removed)
        return Content(
            cards=shown,
            is_corrected=bool(view.corrections),
            newest={endpoint: times.received_at for endpoint, times in view.newest.items()},
            last_id=view.last_id,
            usual=charts.usual_ranges(view),
            removed_days=removed,
            page=page,
            notes=notes,
            corrections=corrections,
        )


def _written(view: View, query: Query) -> tuple[list[WrittenNote], list[Correction]]:
    """The notes and corrections within the range of the query, the newest first."""
    endpoints = [station.endpoint for station in query.stations]
    first_ms = query.since.ms if query.since else 0
    ends = (first_ms, query.until.ms if query.until else view.now_ms)
    notes = annotations.notes_within(view.connection, endpoints, *ends)[::-1]
    return notes, annotations.corrections_within(view.written_corrections, endpoints, *ends)


def _halt() -> dict[str, object] | None:
    """Why nothing is stored, when the database is damaged or suspected; None while it is stored."""
    store = context.store()
    damage, copied = store.database.damage, store.gauges.rescued
    if not (reason := damage.obstacle):
        return None
    return {
        # As `/readyz` says it, in English.
        "reason": reason,
        # A suspicion may go by.
        "is_known": damage.is_damaged,
        "is_taken_away": bool(store.gauges.taken_away),
        "rescued": store.database.path.with_name(copied) if copied else "",
    }


# --- Addresses: this page with a change ------------------------------------------------------


def _pairs() -> Pairs:
    """The parameters as they came, and the range where they name none: the last day.

    Who turns the pages of a table is somewhere in all of it.
    """
    pairs = list(request.args.items(multi=True))
    names = {name for name, value in pairs if value.strip()}
    if names & {"from", "to"}:
        return pairs
    others = [pair for pair in pairs if pair[0] not in ("from", "to")]
    return [*others, ("from", ALL if "cursor" in names else LAST_DAY)]


def _is_all(pair: tuple[str, str]) -> bool:
    return pair[0] == "from" and pair[1].strip() == ALL


def _parameters(*without: str) -> Pairs:
    """The parameters of this view; a time counted back from now stays one."""
    return [(name, value) for name, value in _pairs() if value.strip() and name not in without]


def _only(*names: str) -> Pairs:
    return [pair for pair in _parameters() if pair[0] in names]


def _address(endpoint: str, pairs: Pairs) -> str:
    # The word for all means something to this page alone, too.
    fit = [
        pair for pair in pairs if endpoint == _OWN or not (pair[0] in _OF_CHARTS or _is_all(pair))
    ]
    path, text = url_for(endpoint), urlencode(fit, safe=":")
    return f"{path}?{text}" if text else path


def _ranged(start: str | None, end: str | None = None) -> str:
    """This page over another range of time, from its first rows."""
    pairs = _parameters("from", "to", "cursor")
    pairs += [("from", start or ALL)] if start or not end else []
    pairs += [("to", end)] if end else []
    return _address(_OWN, pairs)


def _same_query(endpoint: str, query: Query, cursor: Cursor | None = None, **more: str) -> str:
    """The same query at another route; a time counted back from now is fixed."""
    own_page = endpoint == _OWN
    query = _as_named(query) if own_page else query
    order = not own_page or query.order != HTML.order
    text = query.query_string(cursor, limit=own_page, order=order, compare=own_page)
    is_all = query.since is None and query.until is None
    own = [*([("from", ALL)] if is_all else []), *_only(*_OF_CHARTS)] if own_page else []
    parts = (text, urlencode(own), urlencode(more))
    joined = "&".join(part for part in parts if part)
    return url_for(endpoint) + (f"?{joined}" if joined else "")


# --- Cards, filters and charts ---------------------------------------------------------------


def _card_url(card: Card) -> str:
    """Return this page with the station among those that are chosen, or no longer.

    Without any of them the page shows all.
    """
    chosen, endpoint = request.args.getlist("endpoint"), card.station.endpoint
    others = [each for each in chosen if each != endpoint]
    if len(others) == len(chosen):
        others.append(endpoint)
    return _address(_OWN, [*_of_all_stations(), *(("endpoint", each) for each in others)])


def _of_all_stations() -> Pairs:
    """Return this view without a choice of stations, and what goes with one."""
    kept = _parameters("endpoint", "cursor", "measurement")
    return [pair for pair in kept if "__" not in pair[0]]


def _form(
    query: Query | None, details: dict[str, str], listed: Sequence[Station], t: Translation
) -> dict[str, object]:
    """The filters of a query, or of one that is wrong (None), with what is wrong with it.

    The stations to choose from are those that are `listed`.
    """
    conditions = sum("__" in name for name, value in request.args.items() if value.strip())
    stations, endpoints = context.store().settings.stations, request.args.getlist("endpoint")

    # The columns that any of them shows, and those that the query names.
    named = {measurement.column for station in listed for measurement in station.shown}
    computed = derived_by_station(stations)
    named |= {name for station in listed for name in computed[station.endpoint]}
    named |= {*request.args.getlist("measurement")}
    named |= {name.partition("__")[0] for name, value in _pairs() if value.strip()}

    def measurements(names: Iterable[str]) -> list[Measurement]:
        return [measurement_of(stations, name) for name in names]

    return {
        "args": MultiDict(_pairs()),
        "problems": problems(details, stations, t),
        "stations": listed,
        "columns": measurements(name for name in stations.columns if name in named),
        "derived": measurements(name for name in derived_names(stations) if name in named),
        # Those of the derived values that conditions can compare.
        "derived_of_reading": measurements(
            name for name in names_of_readings(stations) if name in named
        ),
        "operators": OPERATORS.values(),
        # Each is said of every measurement.
        "operator_names": {key: t(text) for key, text in OPERATOR_NAMES.items()},
        "page_rows": PAGE_ROWS,
        "conditions": conditions,
        "is_open": bool(details),
        "has_open_conditions": bool(conditions) or any("__" in name for name in details),
        "chips": chips(query, _parameters("cursor"), partial(_address, _OWN), t) if query else [],
        "unfiltered_url": _address(_OWN, _only("from", "to", *_VIEW)),
        "comparisons": [
            Link(
                name=name,
                url=_address(_OWN, _parameters("compare") + [("compare", value)] * bool(value)),
                is_chosen=value == request.args.get("compare", "").strip(),
            )
            for value, name in comparisons(endpoints, listed, t).items()
        ],
        "rejected_url": _address("rejected.as_page", _only("endpoint", "from", "to")),
    }


def _ranges(query: Query | None, now_ms: int, t: Translation) -> dict[str, object]:
    """The ranges of time to choose, and the neighbours of this one, where it has any."""
    pairs = dict(pair for pair in _pairs() if not _is_all(pair))
    until_now = quick_name(pairs.get("from", ""), pairs.get("to", ""))
    chosen = query and (until_now or name_of_length(query.since, query.until))
    zone = context.store().settings.zone
    shown: dict[str, object] = {
        "quick": [
            Link(name=name, url=_ranged(start), is_chosen=name == chosen)
            for name, start in QUICK.items()
        ],
        "months": {
            year: [Link(name=name, url=_ranged(*ends)) for name, ends in named]
            for year, named in months(now_ms, zone, t).items()
        },
    }
    if query is None:
        return shown
    earlier, later = neighbours(query.since, query.until, now_ms, zone)
    # `Sun 24 Aug, 09:00 – 12:00`, open where the range is.
    dates = " – ".join(ends(query, t, now_ms)).strip()
    if query.since and query.until:
        dates = range_of(query.since.ms, query.until.ms, zone, t, now_ms)
    return shown | {
        "dates": "" if until_now else dates,
        "period": period(query, now_ms, zone, t),
        "printed": printed(_as_named(query), now_ms, t),
        "earlier": earlier and _ranged(*earlier),
        "later": later and _ranged(*later),
    }


def _charts(content: Content, t: Translation) -> dict[str, object]:
    """What the scripts draw, and where they get it."""
    is_raw, stations = "raw" in request.args, context.store().settings.stations
    turned = _parameters("raw", "cursor") + [("raw", "1")] * (not is_raw)
    derived = [measurement_of(stations, name) for name in derived_names(stations)]
    measurements = [*stations.by_column.values(), *derived]
    names = {
        "stations": {station.endpoint: station_name(station, t) for station in stations.all},
        "colours": stations.colours,
        "columns": {each.column: column_name(each, t) for each in measurements},
        "quantities": quantity_names(measurements, t),
        # Those that are folded, and the stations whose lines are not parted by their values alone.
        "raw": sorted({each.quantity for each in measurements if is_of_sensor(each)}),
        "charts": {each.endpoint: each.chart for each in stations.all if each.chart},
        # By what lines share a chart, in any range.
        "usual": {
            ".".join(place): [float(f"{end:.{USUAL_DIGITS}g}") for end in ends]
            for place, ends in content.usual.items()
        },
        # Of each station what is only drawn when its measurement is asked for.
        "hidden": {
            each.endpoint: [m.column for m in each.measurements if m.hidden]
            for each in stations.all
            if each.shown != each.measurements
        },
        # The lines that keep their place although they may have no value.
        "silent": {
            card.station.endpoint: {
                v.measurement.column: v.measurement.quantity for v in card.values
            }
            for card in content.cards
            if not card.is_well
        },
        "digits": dict(DIGITS),
        "limits": {
            name: limits_of(each, t)
            for by_name in derived_by_station(stations).values()
            for name, each in by_name.items()
            if each.is_of_reading
        },
    }
    series = _parameters("order", "limit", "cursor", *HTML.parameters - SERIES.parameters)
    series += [("endpoint", endpoint) for endpoint in _not_hidden()]
    return {
        "are_installed": CHARTS.is_file(),
        # In a checkout another thing brings the library than in a package.
        "is_checkout": is_checkout(),
        "url": _address("history.as_series", series),
        # Names that the scripts show.
        "texts": json.dumps(names, ensure_ascii=False),
        "is_raw": is_raw,
        "turned_url": _address(_OWN, turned) if is_raw or content.is_corrected else None,
    }


# --- The table -------------------------------------------------------------------------------


def _table(
    query: Query, page: HistoryPage, content: Content, t: Translation, now_ms: int
) -> dict[str, object]:
    """A page of readings, and where its neighbours, other orders and files of it are."""
    of_readings, fixed = query.of_readings(), _fixed(query, now_ms)
    time_of = Moments(query.zone, t, now_ms, with_second=True)
    turned = [("order", "asc")] if query.order == "desc" else []
    json_url = _same_query("history.as_json_file", of_readings)
    month, days = month_before(now_ms, query.zone, t) or ("", None)
    of_month = None
    if days:
        since, until = (
            Bound(parse_bound(text, query.zone, now_ms, end=is_end), text, text)
            for text, is_end in zip(days, (False, True), strict=True)
        )
        of_month = _files(replace(of_readings, since=since, until=until))
    shared_period = ""
    if fixed.since and fixed.until:
        # To the minute, in a picture: `Sat 28 Nov, 23:43 – Sun 29 Nov, 23:43`.
        first_ms, last_ms = (end.ms // MINUTE_MS * MINUTE_MS for end in (fixed.since, fixed.until))
        shared_period = range_of(first_ms, last_ms + MINUTE_MS - 1, query.zone, t, now_ms)
    return {
        "caption": caption(_as_named(query), t, now_ms),
        "n": len(page.rows),
        # How far a search that ended early has looked.
        "reached": None if page.reached is None else time_of(page.reached),
        "removed_days": content.removed_days,
        # Who asks for a page, an order or a part of the rows looks at rows.
        "is_open": query.limit is not None
        or query.order != HTML.order
        or bool(query.cursor or query.has_conditions),
        "is_oldest_first": query.order == "asc",
        "turned_url": _address(_OWN, _parameters("order", "cursor") + turned),
        "stations": station_tables(page.rows, of_readings, time_of, t),
        "next": page.next and _same_query(_OWN, query, page.next),
        "prev": page.prev and _same_query(_OWN, query, page.prev),
        "start": query.cursor and _address(_OWN, _parameters("cursor")),
        # A file has no values that need several readings, but what they come from.
        "files": _files(of_readings),
        "month": month,
        "files_of_month": of_month,
        "files_of_all": _files(replace(of_readings, since=None, until=None)),
        "share": request.host_url.rstrip("/") + (shared := _same_query(_OWN, fixed)),
        "qr": shared.replace(url_for(_OWN), url_for("history_page.as_qr_code"), 1),
        "shared_period": shared_period,
        # Where it leads elsewhere on another machine.
        "is_of_this_machine": request.host.startswith(LOOPBACK),
        # Where the address names no range, the page says that there is more.
        "all_url": "" if {"from", "to", "cursor"} & set(request.args) else _ranged(ALL),
        "curl": f"curl {shlex.quote(request.host_url.rstrip('/') + json_url)}",
        "updates_url": _updates_url(query),
        "last_id": content.last_id,
        "no_rows": None if page.rows else _no_rows(query, content, t, now_ms),
    }


def _files(query: Query) -> dict[str, str]:
    """The address of each file of the query's readings by its name, in the order of the page."""
    return {
        "CSV": _same_query("history.as_csv", query),
        "Excel": _same_query("history.as_csv", query, bom="1"),
        "JSON": _same_query("history.as_json_file", query),
    }


def _fixed(query: Query, now_ms: int) -> Query:
    """Return the query with the ends that it has now, so that whoever gets it sees the same.

    Only in whole seconds, for a shorter address is a code that is read from further away.
    """
    if query.since is None:
        return query
    ends_ms = (query.since.ms, query.until.ms if query.until else now_ms)
    since, until = (
        Bound(ms, text := bound_text(ms, query.zone, end=is_end), text)
        for ms, is_end in zip(ends_ms, (False, True), strict=True)
    )
    return replace(query, since=since, until=until)


def _updates_url(query: Query) -> str | None:
    """Return where to ask for newer readings; None on a page that these don't belong on."""
    ended = request.args.get("to", "").strip() not in ("", "now")
    if query.cursor or query.order != "desc" or ended:
        return None
    of_readings = query.of_readings()
    pairs = _parameters("order", "limit", "cursor", "measurement", *HTML.parameters)
    pairs += [("endpoint", endpoint) for endpoint in _not_hidden()]
    pairs += [("measurement", name) for name in (*of_readings.measurements, *of_readings.derived)]
    return _address("history.as_json", pairs)


def _no_rows(query: Query, content: Content, t: Translation, now_ms: int) -> dict[str, object]:
    """What helps on a page without rows."""
    time_of, newest = Moments(query.zone, t, now_ms), content.newest
    listed = [station for station in content.stations if station in query.stations]
    times = {station: newest[station.endpoint] for station in listed}
    sent = [at for at in times.values() if at is not None]
    # Where nothing has ever come in, no range holds more.
    name = wider(query, max(sent), now_ms) if sent else None
    narrowed = query.filters or query.incomplete or query.cursor
    return {
        "is_future": is_future(query, now_ms),
        "last": {station: at and time_of(at) for station, at in times.items()},
        "wider": Link(name=name, url=_ranged(QUICK[name])) if name else None,
        "unfiltered_url": _address(_OWN, _only("endpoint", "from", "to", *_VIEW))
        if narrowed
        else "",
        "trial": "" if any(at is not None for at in newest.values()) else trial_command(),
    }


def quantity_names(measurements: Iterable[Measurement], t: Translation) -> dict[str, str]:
    """The name of each quantity, in the order of their charts: that of the column called so.

    Where there is none it is another column's, without the sensor in brackets at its end. What
    people ask of a room comes first.
    """
    listed = list(measurements)
    asked = [quantity for quantity in ASKED_FIRST if any(m.quantity == quantity for m in listed)]
    names = dict.fromkeys(asked, "")
    for measurement in listed:
        name = column_name(measurement, t)
        if measurement.column == measurement.quantity:
            names[measurement.quantity] = name
        elif not names.get(measurement.quantity):
            names[measurement.quantity] = _SENSOR.sub("", name)
    return names
