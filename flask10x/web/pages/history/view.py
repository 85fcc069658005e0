"""The history as a page; the same query string as JSON and CSV (docs/en/reference/http-api.md)."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from flask import render_template, request, url_for

from flask10x.config.settings import is_checkout
from flask10x.database.cursors import Cursor
from flask10x.errors import QueryError
from flask10x.history import pages
from flask10x.history.pages import HistoryPage
from flask10x.history.parameters import HTML, PAGE_ROWS, SERIES, parse_query
from flask10x.history.query import OPERATORS, Query
from flask10x.readings.derived import (
    derived_by_station,
    derived_names,
    measurement_of,
    names_of_readings,
)
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.numbers import DIGITS, NO_VALUE
from flask10x.readings.stations import Measurement, Stations
from flask10x.readings.times import SECOND_MS, LocalText, is_date, iso_text, local_text
from flask10x.system import clock
from flask10x.translation import N_, Translation
from flask10x.web import context, preferences, read_errors
from flask10x.web.captions import OPERATORS as OPERATOR_NAMES
from flask10x.web.captions import caption, problems
from flask10x.web.cards import AGE_KINDS, Card, age_text, cards
from flask10x.web.page import Page
from flask10x.web.pages.alerts import marks
from flask10x.web.pages.alerts.marks import CardMark
from flask10x.web.pages.history.model import (
    Age,
    CardValue,
    ChartArea,
    Form,
    Halt,
    HistoryModel,
    LastReading,
    NoRows,
    QuickRange,
    Ranges,
    ReadingsTable,
    StationCard,
    TableLinks,
    Updates,
    WiderRange,
    chips,
    column,
    comparisons,
    limits_of,
    removed_days,
    station_tables,
)
from flask10x.web.ranges import QUICK, is_future, name_of_length, neighbours, quick_name, wider

blueprint = Page(
    "history_page",
    __name__,
    text=N_("History"),
    group="main",
    since="-24h",
)
read_errors.register(blueprint)

# `make static` puts it there; a wheel brings it along, or is not built.
CHARTS = Path(__file__).parents[2] / "static" / "vendor" / "uPlot.iife.min.js"
# A sensor in brackets at the end of a name.
_SENSOR = re.compile(r"(?<=.)\s*[(（][^()（）]+[)）]$")
# The trial reading of README.md.
TRIAL = (
    "curl -H 'Content-Type: application/json' "
    """-d '{"pressure": "1013.2hPa", "temperature": 25.1}'"""
)
Pairs = list[tuple[str, str]]
_OWN = "history_page.as_page"
# How readings are looked at, which no filter changes.
_VIEW = ("raw", "compare", "off")
# Each station's newest `received_at`; None when it has no reading.
Newest = dict[str, int | None]


@blueprint.get("/history")
def as_page() -> tuple[str, int]:
    """Cards, filters, charts and a page of the table; 400 with the form when the query is wrong."""
    store, t, now_ms = context.store(), preferences.texts(), clock.now_ms()
    given = list(request.args.items(multi=True))
    try:
        query = parse_query(given, store.settings, now_ms, HTML)
        with context.view() as view:
            shown = _Shown(cards(view, store), bool(view.corrections))
            page = pages.page(view, query, pages.patience_sec(store.settings))
            newest = {endpoint: times.received_at for endpoint, times in view.newest.items()}
            newest_id, gone = view.last_id, view.removed
    except QueryError as error:
        return _refused(error, t, now_ms), 400
    days = removed_days(store.settings, query, page, gone)
    table = _table(query, page, newest, newest_id, days, t, now_ms)
    return _rendered(shown, _form(query, {}, t, now_ms), table, t), 200


class _Shown(NamedTuple):
    """What the page shows whatever the query is."""

    cards: list[Card]
    is_corrected: bool
    """Whether any reading is shown otherwise than it was stored."""


def _refused(error: QueryError, t: Translation, now_ms: int) -> str:
    with context.view() as view:
        shown = _Shown(cards(view, context.store()), bool(view.corrections))
    return _rendered(shown, _form(None, error.details, t, now_ms), None, t)


def _rendered(shown: _Shown, form: Form, table: ReadingsTable | None, t: Translation) -> str:
    marked = marks.of_stations(context.store().settings, t, clock.now_ms())
    model = HistoryModel(
        halt=_halt(),
        cards=[_card(card, marked.get(card.station.endpoint, []), t) for card in shown.cards],
        form=form,
        charts=_charts(t, is_corrected=shown.is_corrected),
        table=table,
    )
    return render_template("history/template.html", model=model)


def _stations() -> Stations:
    return context.store().settings.stations


def _halt() -> Halt | None:
    store = context.store()
    damage, copied = store.database.damage, store.gauges.rescued
    if not (reason := damage.obstacle):
        return None
    return Halt(
        reason=reason,
        known=damage.known,
        taken_away=bool(store.gauges.taken_away),
        copy=str(store.database.path.with_name(copied)) if copied else "",
    )


# --- Addresses: this page with a change ------------------------------------------------------


def _kept(*without: str) -> Pairs:
    """The parameters as they came, so that a time counted back from now stays one."""
    given = request.args.items(multi=True)
    return [(name, value) for name, value in given if value.strip() and name not in without]


def _only(*names: str) -> Pairs:
    return [pair for pair in _kept() if pair[0] in names]


def _address(endpoint: str, pairs: Pairs) -> str:
    # Which lines are switched off means something to this page alone.
    fit = [pair for pair in pairs if endpoint == _OWN or pair[0] != "off"]
    path, text = url_for(endpoint), urlencode(fit, safe=":")
    return f"{path}?{text}" if text else path


def _ranged(start: str | None, end: str | None = None) -> str:
    """This page over another range of time, from its first rows."""
    pairs = _kept("from", "to", "cursor")
    pairs += [("from", start)] if start else []
    pairs += [("to", end)] if end else []
    return _address(_OWN, pairs)


def _same_query(endpoint: str, query: Query, cursor: Cursor | None = None, **more: str) -> str:
    """The same query at another route; a time counted back from now is fixed."""
    own_page = endpoint == _OWN
    order = not own_page or query.order != HTML.order
    own = query.query_string(cursor, limit=own_page, order=order, compare=own_page)
    off = urlencode(_only("off") if own_page else [])
    parts = (own, off, urlencode(more))
    joined = "&".join(part for part in parts if part)
    return url_for(endpoint) + (f"?{joined}" if joined else "")


def _absolute(path: str) -> str:
    return request.host_url.rstrip("/") + path


# --- Cards -----------------------------------------------------------------------------------


def _card(card: Card, alerts: list[CardMark], t: Translation) -> StationCard:
    endpoint = card.station.endpoint
    chosen = request.args.getlist("endpoint") == [endpoint]
    kept = [pair for pair in _kept("endpoint", "cursor", "measurement") if "__" not in pair[0]]
    silence = card.silence
    kind = AGE_KINDS[silence.state]
    return StationCard(
        station=card.station,
        name=station_name(card.station, t),
        url=_address(_OWN, kept + [("endpoint", endpoint)] * (not chosen)),
        chosen=chosen,
        state=silence.state,
        after_sec=silence.after_sec,
        age=None if silence.age_sec is None else _age(kind, silence.age_sec, card.received_at, t),
        values=_card_values(card, t),
        alerts=alerts,
    )


def _card_values(card: Card, t: Translation) -> list[CardValue]:
    units, now_ms = Counter(value.unit for value in card.values), clock.now_ms()
    return [
        CardValue(
            label=column(value.column, _stations(), t).label,
            text=value.text,
            unit="" if value.text == NO_VALUE else value.unit,
            close=value.close,
            is_told=units[value.unit] == 1 and value.unit in DIGITS and value.text != NO_VALUE,
            missing=value.missing,
            age=_age("age", max(0, now_ms - at) // SECOND_MS, at, t)
            if (at := value.received_at) is not None
            else None,
            band=value.band,
        )
        for value in card.values
    ]


def _age(kind: str, seconds: int, at: int | None, t: Translation) -> Age:
    zone = context.store().settings.zone
    return Age(
        kind=kind,
        seconds=seconds,
        text=age_text(kind, seconds, t),
        iso=iso_text(at, zone) if at is not None and is_date(at) else None,
        time=None if at is None else local_text(at, zone),
    )


# --- Filters and charts ----------------------------------------------------------------------


def _form(query: Query | None, details: dict[str, str], t: Translation, now_ms: int) -> Form:
    """The filters of a query, or of one that is wrong (None), with what is wrong with it."""
    given = [name for name, value in request.args.items() if value.strip()]
    conditions = sum("__" in name for name in given)
    stations = _stations()
    return Form(
        args=request.args,
        problems=problems(details, stations, t),
        stations=stations.all,
        columns=[column(name, stations, t) for name in stations.columns],
        computed_of_reading=[column(name, stations, t) for name in names_of_readings(stations)],
        computed=[column(name, stations, t) for name in derived_names(stations)],
        operators=list(OPERATORS.values()),
        operator_names={key: t(text) for key, text in OPERATOR_NAMES.items()},
        page_rows=PAGE_ROWS,
        conditions=conditions,
        open=bool(details),
        conditions_open=bool(conditions) or any("__" in name for name in details),
        chips=chips(query, _kept("cursor"), partial(_address, _OWN), t) if query else [],
        unfiltered_url=_address(_OWN, _only("from", "to", *_VIEW)),
        ranges=_ranges(query, now_ms),
        comparisons=comparisons(
            request.args.get("compare", "").strip(), request.args.getlist("endpoint"), stations, t
        ),
        rejected_url=_address("rejected.as_page", _only("endpoint", "from", "to")),
    )


def _ranges(query: Query | None, now_ms: int) -> Ranges:
    until_now = quick_name(request.args.get("from", ""), request.args.get("to", ""))
    chosen = query and (until_now or name_of_length(query.since, query.until))
    quick = [
        QuickRange(name=name, url=_ranged(start), chosen=name == chosen)
        for name, start in QUICK.items()
    ]
    if query is None:
        return Ranges(quick=quick)
    zone = context.store().settings.zone
    earlier, later = neighbours(query.since, query.until, now_ms, zone)
    return Ranges(
        quick=quick,
        dates=None if until_now else _dates(query, zone),
        earlier=_ranged(earlier.start, earlier.end) if earlier else None,
        later=_ranged(later.start, later.end) if later else None,
    )


def _dates(query: Query, zone: tzinfo | None) -> str:
    """`2025-08-24 09:00:00 – 2025-08-25 08:59:59`, open where the range is."""
    since, until = (bound and local_text(bound.ms, zone) for bound in (query.since, query.until))
    return f"{since or ''} – {until or ''}".strip()


def _charts(t: Translation, *, is_corrected: bool) -> ChartArea:
    raw = "raw" in request.args
    turned = _kept("raw", "cursor") + [("raw", "1")] * (not raw)
    stations = _stations()
    computed = [measurement_of(stations, name) for name in derived_names(stations)]
    shown = [*stations.by_column.values(), *computed]
    names = {
        "stations": {s.endpoint: station_name(s, t) for s in _stations().all},
        "columns": {one.column: column_name(one, t) for one in shown},
        "quantities": quantity_names(shown, t),
        "digits": dict(DIGITS),
        "limits": {
            name: limits_of(one, t)
            for own in derived_by_station(stations).values()
            for name, one in own.items()
            if one.is_of_reading
        },
    }
    return ChartArea(
        made=CHARTS.is_file(),
        remedy=t(
            "The charts are not installed: make static fetches them (needs a network). "
            "Everything else works."
        )
        if is_checkout()
        else t(
            "This installation lacks a file, the chart library: install Flask10X again. "
            "Everything else works."
        ),
        url=_address(
            "history.as_series", _kept("order", "limit", "cursor", *HTML.own - SERIES.own)
        ),
        texts=json.dumps(names, ensure_ascii=False),
        raw=raw,
        turned_url=_address("history_page.as_page", turned) if raw or is_corrected else None,
    )


# --- The table -------------------------------------------------------------------------------


def _table(
    query: Query,
    page: HistoryPage,
    newest: Newest,
    newest_id: int,
    days: int | None,
    t: Translation,
    now_ms: int,
) -> ReadingsTable:
    text_of, of_readings = LocalText(context.store().settings.zone), query.of_readings()
    turned = [("order", "asc")] if query.order == "desc" else []
    return ReadingsTable(
        caption=caption(query, t),
        number=len(page.rows),
        reached=None if page.reached is None else text_of(page.reached),
        removed_days=days,
        oldest_first=query.order == "asc",
        turned_url=_address(_OWN, _kept("order", "cursor") + turned),
        stations=station_tables(page.rows, of_readings, text_of, t),
        links=_links(query, page),
        curl=f"curl {shlex.quote(_absolute(_same_query('history.as_json_file', of_readings)))}",
        updates=_updates(query, newest_id),
        no_rows=None if page.rows else _no_rows(query, newest, t, now_ms),
    )


def _links(query: Query, page: HistoryPage) -> TableLinks:
    # A file has no values that need several readings, but what they come from.
    of_readings = query.of_readings()
    return TableLinks(
        next=_same_query(_OWN, query, page.next) if page.next else None,
        prev=_same_query(_OWN, query, page.prev) if page.prev else None,
        start=_address(_OWN, _kept("cursor")) if query.cursor else None,
        csv=_same_query("history.as_csv", of_readings),
        excel=_same_query("history.as_csv", of_readings, bom="1"),
        json=_same_query("history.as_json_file", of_readings),
    )


def _updates(query: Query, newest_id: int) -> Updates | None:
    ended = request.args.get("to", "").strip() not in ("", "now")
    if query.cursor or query.order != "desc" or ended:
        return None
    of_readings = query.of_readings()
    chosen = (*of_readings.measurements, *of_readings.derived)
    kept = _kept("order", "limit", "cursor", "measurement", *HTML.own)
    url = _address("history.as_json", [*kept, *(("measurement", name) for name in chosen)])
    return Updates(url=url, last_id=newest_id)


def _no_rows(query: Query, newest: Newest, t: Translation, now_ms: int) -> NoRows:
    zone = context.store().settings.zone
    times = {s: newest[s.endpoint] for s in query.stations}
    known = [at for at in times.values() if at is not None]
    # Where nothing has ever come in, no range holds more.
    name = wider(query, max(known), now_ms) if known else None
    narrowed = query.filters or query.incomplete or query.cursor
    plain = _address(_OWN, _only("endpoint", "from", "to", *_VIEW))
    return NoRows(
        future=is_future(query, now_ms),
        last=[
            LastReading(
                station=station_name(s, t), time=None if at is None else local_text(at, zone)
            )
            for s, at in times.items()
        ],
        wider=WiderRange(name=name, url=_ranged(QUICK[name])) if name else None,
        unfiltered_url=plain if narrowed else None,
        trial=None
        if any(at is not None for at in newest.values())
        else f"{TRIAL} {shlex.quote(_absolute('/data'))}",
    )


def quantity_names(measurements: Iterable[Measurement], t: Translation) -> dict[str, str]:
    """The name of each quantity: that of the column called so.

    Where there is none it is another column's, without the sensor in brackets at its end.
    """
    names: dict[str, str] = {}
    for measurement in measurements:
        name = column_name(measurement, t)
        if measurement.column == measurement.quantity:
            names[measurement.quantity] = name
        else:
            names.setdefault(measurement.quantity, _SENSOR.sub("", name))
    return names
