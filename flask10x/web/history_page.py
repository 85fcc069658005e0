"""The history as a page; the same query string as JSON and CSV (docs/en/reference/http-api.md)."""

import json
import shlex
from pathlib import Path
from urllib.parse import urlencode

from flask import Blueprint, render_template, request, url_for

from flask10x.database.cursors import Cursor
from flask10x.database.engine import last_id
from flask10x.errors import QueryError
from flask10x.history import pages
from flask10x.history.operators import OPERATORS, UNITS
from flask10x.history.pages import HistoryPage, Row
from flask10x.history.parameters import HTML, parse_query
from flask10x.history.query import Query
from flask10x.readings.stations import BY_ENDPOINT, COLUMNS, STATIONS
from flask10x.readings.times import LocalText, iso_text, local_text
from flask10x.runtime.store import Store
from flask10x.web import context, preferences, read_errors
from flask10x.web.cards import Card, cards
from flask10x.web.ranges import QUICK, neighbours, quick_name, wider
from flask10x.web.texts.captions import caption, problems
from flask10x.web.texts.catalog import Texts

blueprint = Blueprint("history_page", __name__)
read_errors.register(blueprint)

# `make static` puts it there; a wheel brings it along.
CHARTS = Path(__file__).parent / "static" / "vendor" / "uPlot.iife.min.js"
# What the scripts of the page say.
SCRIPT_TEXTS = ("age.", "silent.", "span.", "plot.", "live.")
MISSING = "–"
# The trial reading of README.md.
TRIAL = (
    "curl -H 'Content-Type: application/json' "
    """-d '{"pressure": "1013.2hPa", "temperature": 25.1}'"""
)
Pairs = list[tuple[str, str]]


@blueprint.get("/history")
def as_page() -> tuple[str, int]:
    """Cards, filters, charts and a page of the table; 400 with the form when the query is wrong."""
    store, t, now_ms = context.store(), preferences.texts(), context.now_ms()
    given = list(request.args.items(multi=True))
    try:
        query = parse_query(given, store.settings, now_ms, HTML)
        with store.database.query() as connection:
            found = cards(connection, store)
            page = pages.page(connection, query, pages.patience_sec(store.settings))
            newest = pages.last_received(connection)
            newest_id = last_id(connection)
    except QueryError as error:
        return _refused(store, error, t, now_ms), 400
    view = _top(found, t) | _form(query, {}, t, now_ms) | _charts(t)
    view |= _table(query, page, newest, t) | _live(query, newest_id)
    if not page.rows:
        view |= _empty(query, newest, t, now_ms)
    return render_template("history.html", **view), 200


def _refused(store: Store, error: QueryError, t: Texts, now_ms: int) -> str:
    with store.database.query() as connection:
        found = cards(connection, store)
    view = _top(found, t) | _form(None, error.details, t, now_ms) | _charts(t)
    return render_template("history.html", **view)


# --- Addresses: this view with a change ------------------------------------------------------


def _kept(*without: str) -> Pairs:
    """The parameters as they came, so that a time counted back from now stays one."""
    given = request.args.items(multi=True)
    return [(name, value) for name, value in given if value.strip() and name not in without]


def _address(endpoint: str, pairs: Pairs) -> str:
    path, asked = url_for(endpoint), urlencode(pairs, safe=":")
    return f"{path}?{asked}" if asked else path


def _ranged(start: str | None, end: str | None = None) -> str:
    """This view over another range of time, from its first page."""
    pairs = _kept("from", "to", "cursor")
    pairs += [("from", start)] if start else []
    pairs += [("to", end)] if end else []
    return _address("history_page.as_page", pairs)


def _answer(endpoint: str, query: Query, cursor: Cursor | None = None, **also: str) -> str:
    """The same question to another route; a time counted back from now is fixed."""
    own_page = endpoint == "history_page.as_page"
    order = not own_page or query.order != HTML.order
    asked = query.query_string(cursor, limit=own_page, order=order)
    more = urlencode(also)
    joined = "&".join(part for part in (asked, more) if part)
    return url_for(endpoint) + (f"?{joined}" if joined else "")


# --- The parts of the page -------------------------------------------------------------------


def _top(found: list[Card], t: Texts) -> dict[str, object]:
    return {"cards": [_card(card, t) for card in found]}


def _card(card: Card, t: Texts) -> dict[str, object]:
    zone, at = context.store().settings.zone, card.received_at
    endpoint = card.station.endpoint
    chosen = request.args.getlist("endpoint") == [endpoint]
    kept = [pair for pair in _kept("endpoint", "cursor", "measurement") if "__" not in pair[0]]
    kind = "silent" if card.state == "silent" else "age"
    return {
        "station": card.station,
        "name": t.station(card.station),
        "url": _address("history_page.as_page", kept + [("endpoint", endpoint)] * (not chosen)),
        "chosen": chosen,
        "state": card.state,
        "kind": kind,
        "age_sec": card.age_sec,
        "age": None if card.age_sec is None else t.lasting(kind, card.age_sec),
        "iso": None if at is None else iso_text(at, zone),
        "time": None if at is None else local_text(at, zone),
        "values": card.values,
        "missing": t("caption.join").join(map(t.column, card.missing)),
    }


def _form(query: Query | None, details: dict[str, str], t: Texts, now_ms: int) -> dict[str, object]:
    """What the form shows: the parameters as they came, and what is wrong with them."""
    given = [name for name, value in request.args.items() if value.strip()]
    return {
        "query": query,
        "args": request.args,
        "problems": problems(details, t),
        "stations": STATIONS,
        "columns": COLUMNS,
        "units": UNITS,
        "operators": OPERATORS.values(),
        "page_rows": HTML.rows,
        "ranges": _ranges(query, now_ms),
        "rejected_url": _address("rejected.as_page", _only("endpoint", "from", "to")),
        "conditions": {
            "set": sum("__" in name for name in given),
            "wrong": any("__" in name for name in details),
            "unusual": not {"measurement", "incomplete"}.isdisjoint(given),
        },
    }


def _only(*names: str) -> Pairs:
    return [pair for pair in _kept() if pair[0] in names]


def _ranges(query: Query | None, now_ms: int) -> dict[str, object]:
    chosen = quick_name(request.args.get("from", ""), request.args.get("to", ""))
    quick = [
        {"name": name, "url": _ranged(start), "chosen": query is not None and name == chosen}
        for name, start in QUICK.items()
    ]
    if query is None:
        return {"quick": quick}
    zone = context.store().settings.zone
    earlier, later = neighbours(query.since, query.until, now_ms, zone)
    return {
        "quick": quick,
        "earlier": earlier and _ranged(earlier.start, earlier.end),
        "later": later and _ranged(later.start, later.end),
    }


def _charts(t: Texts) -> dict[str, object]:
    names = {
        "stations": {s.endpoint: t.station(s) for s in STATIONS},
        "columns": {column: t.column(column) for column in COLUMNS},
        "texts": t.named(*SCRIPT_TEXTS),
    }
    return {
        "charts": {
            "made": CHARTS.is_file(),
            "url": _address("history.as_series", _kept("order", "limit", "cursor")),
            "texts": json.dumps(names, ensure_ascii=False),
        }
    }


def _table(
    query: Query, page: HistoryPage, newest: dict[str, int | None], t: Texts
) -> dict[str, object]:
    text_of, columns = LocalText(context.store().settings.zone), _columns(query, newest)
    return {
        "caption": caption(query, t),
        "reached": None if page.reached is None else text_of(page.reached),
        "headings": columns,
        "labels": [t.column(column) for column in columns],
        "rows": [
            {
                "time": text_of(row.received_at),
                "station": t.station(BY_ENDPOINT[row.endpoint]),
                "cells": _cells(row, columns),
            }
            for row in page.rows
        ],
        "curl": f"curl {shlex.quote(_absolute(_answer('history.as_json_file', query)))}",
        "urls": {
            "next": page.next and _answer("history_page.as_page", query, page.next),
            "prev": page.prev and _answer("history_page.as_page", query, page.prev),
            "start": query.cursor and _address("history_page.as_page", _kept("cursor")),
            "csv": _answer("history.as_csv", query),
            "excel": _answer("history.as_csv", query, bom="1"),
            "json": _answer("history.as_json_file", query),
        },
    }


def _columns(query: Query, newest: dict[str, int | None]) -> tuple[str, ...]:
    """The columns asked for; of those that nobody named, not the ones of stations never heard."""
    heard = {c for s in query.stations if newest[s.endpoint] is not None for c in s.columns}
    return tuple(c for c in query.columns if c in query.measurements or c in heard)


def _absolute(path: str) -> str:
    return request.host_url.rstrip("/") + path


def _cells(row: Row, columns: tuple[str, ...]) -> list[str]:
    """Each column's text: a dash for a missing value, nothing for a column of other stations."""
    values = dict(zip(BY_ENDPOINT[row.endpoint].columns, row.values, strict=True))
    return [MISSING if values.get(c, "") is None else str(values.get(c, "")) for c in columns]


def _live(query: Query, newest_id: int) -> dict[str, object]:
    """Where to ask for newer readings; nowhere on a page that they don't belong on."""
    ended = request.args.get("to", "").strip() not in ("", "now")
    if query.cursor or query.order != "desc" or ended:
        return {}
    url = _address("history.as_json", _kept("order", "limit", "cursor"))
    return {"live": {"url": url, "last_id": newest_id}}


def _empty(query: Query, newest: dict[str, int | None], t: Texts, now_ms: int) -> dict[str, object]:
    zone = context.store().settings.zone
    times = {s: newest[s.endpoint] for s in query.stations}
    known = [at for at in times.values() if at is not None]
    # Where nothing has ever come in, no range holds more.
    name = wider(query, max(known), now_ms) if known else None
    narrowed = bool(query.filters or query.incomplete or query.cursor)
    return {
        "last": [(t.station(s), at and local_text(at, zone)) for s, at in times.items()],
        "wider": name and {"name": name, "url": _ranged(QUICK[name])},
        "trial": None if any(newest.values()) else f"{TRIAL} {shlex.quote(_absolute('/data'))}",
        "plain": narrowed and _address("history_page.as_page", _only("endpoint", "from", "to")),
    }
