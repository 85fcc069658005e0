"""The stations that are there: their list, which can be ordered, and a form of each."""

import logging
from dataclasses import dataclass, replace
from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from flask10x.config.form import Fields
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.errors import SettingsError
from flask10x.readings.bands import LEVELS
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.stations import BUILT_IN, Station
from flask10x.runtime.administrators import Browser
from flask10x.translation import speaking, translation
from flask10x.web import administrators, context, preferences
from flask10x.web.cards import Age, Card, cards
from flask10x.web.icons import ICONS
from flask10x.web.pages.home import model as home
from flask10x.web.pages.setup import changes, station
from flask10x.web.pages.setup.page import blueprint, shown
from flask10x.web.pages.setup.station import File, Mistakes
from flask10x.web.read_errors import UNREADABLE

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """A station in the list."""

    station: Station
    name: str
    other_name: str
    """In the other language; empty where it is the same."""
    values: str
    """What its tile shows first; empty while that is not known."""
    age: Age | None
    """Since it was last heard; None where it never was, or where that cannot be read."""
    is_well: bool


def listed() -> dict[str, Any]:
    """Return what the list needs, in the order of pages."""
    of, known = station.file(), _cards()
    return {
        "rows": [_row(one, known.get(one.endpoint)) for one in of.stations.ordered],
        "seen": changes.seen(of.data),
    }


def _cards() -> dict[str, Card]:
    """The card of each station that is in force; none where the database can't be read."""
    store = context.store()
    try:
        with context.view() as view:
            return {card.station.endpoint: card for card in cards(view, store, preferences.texts())}
    except (*UNREADABLE, QueryTooLong) as error:
        log.error("Cannot read the database: %s", reason_of(error))
        return {}


def _row(one: Station, card: Card | None) -> Row:
    t = preferences.texts()
    other = translation("en" if t.language == "ja" else "ja")
    name, other_name = station_name(one, t), station_name(one, other)
    values = []
    if card is not None and card.values:
        # As it will be, where the workers still have the former file.
        card = replace(card, station=one)
        main = home.main_of(card)
        values = [main, *home.beside(card, main)[:1]]
    return Row(
        station=one,
        name=name,
        other_name="" if other_name == name else other_name,
        values=t.listed(column_name(value.measurement, t) for value in values),
        age=card.age if card else None,
        is_well=card is None or card.is_well,
    )


@blueprint.post("/setup/stations", guard="setup")
def order() -> Response:
    """Put the stations in the order of the form, one of them moved where a button says so."""
    browser, of = administrators.required(), station.file()
    names = request.form.getlist("order") or [one.endpoint for one in of.stations.ordered]
    name = ""
    for button, by in (("up", -1), ("down", 1)):
        if button in request.form:
            name = request.form[button]
            names = station.moved(names, name, by)
    changes.make(browser, station.order_edit(of, names))
    anchor = f"station-{name}" if name in of.stations.by_endpoint else None
    return redirect(url_for("setup.as_stations", _anchor=anchor), 303)


def form_of(name: str) -> tuple[str, int] | None:
    """Return the form of the station of this name; None where it is none."""
    there = _there(name)
    return _form(*there, station.fields_of(there[1]), {}) if there else None


def _there(name: str) -> tuple[File, Station] | None:
    """The station of this name in the file; None where it is none.

    Raises SettingsError where the file of a station that is in force has mistakes.
    """
    try:
        of = station.file()
    except SettingsError:
        if name in context.store().settings.stations.by_endpoint:
            raise
        return None
    one = of.stations.by_endpoint.get(name)
    return (of, one) if one else None


def save(browser: Browser, name: str) -> Response | tuple[str, int] | None:
    """Make the station of this name as the form says; None where it is none.

    The answer is the list, or a 400 with the form as it was sent when something is wrong. Raises
    NotWritten.
    """
    there = _there(name)
    if there is None:
        return None
    of, one = there
    fields = station.sent(one, request.form)
    try:
        with speaking(preferences.texts().language):
            changes.make(browser, station.edit_of(of, one, fields))
    except Mistakes as error:
        return _form(of, one, fields, error.by_field)
    except SettingsError as error:
        return _form(of, one, fields, {"file": str(error)})
    return redirect(url_for("setup.as_stations", _anchor=f"station-{name}"), 303)


def _form(of: File, one: Station, fields: Fields, problems: Fields) -> tuple[str, int]:
    built_in = BUILT_IN.by_endpoint.get(one.endpoint)
    return shown(
        "setup/station_edit.html",
        400 if problems else 200,
        part="setup.as_stations",
        station=one,
        fields=fields,
        problems=problems,
        icons=ICONS,
        levels=LEVELS,
        is_named=station.is_named,
        band_numbers=lambda measurement: station.band_numbers(one, measurement),
        usual=lambda measurement: station.usual_bands(one, measurement),
        house_altitude_m=context.store().settings.altitude_m,
        is_built_in=built_in is not None,
        file=of.path,
        seen=changes.seen(of.data),
    )
