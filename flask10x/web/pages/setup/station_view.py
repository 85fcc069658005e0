"""The pages of stations: their list, which can be ordered, a form of each, and of a new one."""

import logging
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from flask import abort, redirect, request, url_for
from werkzeug.wrappers import Response

from flask10x.config import house, readers, station_text
from flask10x.config import settings as settings_file
from flask10x.config.form import Fields
from flask10x.config.readers import WrongEntry
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.errors import LockTimeout, SettingsError
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.stations import Station, is_shown
from flask10x.recording import rejected
from flask10x.runtime import setup_files
from flask10x.system.wording import escape
from flask10x.translation import speaking, translation
from flask10x.web import administrators, context, preferences, senders
from flask10x.web.cards import cards, shown_stations
from flask10x.web.icons import ICONS, drawing, named_icon
from flask10x.web.pages.setup import boards, changes, station, stations
from flask10x.web.pages.setup.changes import ChangedMeanwhile
from flask10x.web.pages.setup.page import back_or_to, blueprint, refused, shown
from flask10x.web.pages.setup.station import File, Mistakes
from flask10x.web.pages.setup.stations import Candidate
from flask10x.web.read_errors import UNREADABLE
from flask10x.web.shell import shell

Answer = Response | tuple[str, int]
log = logging.getLogger(__name__)


@blueprint.get("/setup/stations")
def as_stations() -> tuple[str, int]:
    """All stations, the built-in ones without a reading folded, and boards of no station."""
    store, t, of = context.store(), preferences.texts(), station.file()
    other, cards_of = translation("en" if t.language == "ja" else "ja"), {}
    # Where that cannot be read, none is folded.
    heard = {*of.stations.by_endpoint}
    try:
        with context.view() as view:
            hidden = [one.endpoint for one in view.stations.all if one.hidden]
            listed = shown_stations(view, store, hidden)
            cards_of = {card.station.endpoint: card for card in cards(view, store, t, listed)}
            heard = {*cards_of}
    except (*UNREADABLE, QueryTooLong) as error:
        log.error("Cannot read the database: %s", reason_of(error))
    rows, folded = [], []
    for one in of.stations.ordered:
        # Here one that is hidden can be shown again.
        if not one.hidden and not is_shown(one, has_sent=one.endpoint in heard):
            folded.append(one)
            continue
        card, shown_first = cards_of.get(one.endpoint), []
        if card is not None and card.values:
            # As it will be, where the workers still have the former file.
            card = replace(card, station=one)
            shown_first = [*([card.main] if card.main else []), *card.beside[:1]]
        name, other_name = station_name(one, t), station_name(one, other)
        row = {
            "station": one,
            "name": name,
            "other_name": "" if other_name == name else other_name,
            "measured": t.listed(column_name(value.measurement, t) for value in shown_first),
            # None where it was never heard, or where that cannot be read.
            "age": card.age if card else None,
            "is_well": card is None or card.is_well,
        }
        rows.append(row)
    return shown(
        "setup/stations.html",
        senders=senders.sending(store, t),
        rows=rows,
        folded=folded,
        seen=changes.seen(of.data),
    )


@blueprint.post("/setup/stations", guard="setup")
def order() -> Response:
    """Put the stations in the order of the form, one of them moved where a button says so."""
    of = station.file()
    names = request.form.getlist("order") or [one.endpoint for one in of.stations.ordered]
    name = ""
    for button, by in (("up", -1), ("down", 1)):
        name = request.form.get(button, "")
        if name in names:
            at = names.index(name)
            names.insert(max(0, at + by), names.pop(at))
            break
    changes.make(station.order_edit(of, names))
    return back_or_to(
        "setup.as_stations", f"station-{name}" if name in of.stations.by_endpoint else ""
    )


@blueprint.get("/setup/stations/<name>")
def as_station(name: str) -> Answer:
    """The form of a station, or of a new one for the board that sends to this path."""
    if there := _there(name):
        return _form(*there, station.fields_of(there[1]), {})
    number = request.args.get("sent", type=int)
    if number is not None and administrators.browser() is not None:
        candidate = stations.of_file(name, number)
    else:
        candidate = stations.candidate(name)
    return _new_station(name, candidate, stations.fields_of(candidate) if candidate else {})


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


@blueprint.post("/setup/stations/<name>", guard="setup")
def save(name: str) -> Answer:
    """Make the station as the form says, or add it; 400 with the form when something is wrong."""
    there = _there(name)
    if there is None:
        return _add(name)
    of, one = there
    fields = station.sent(one, request.form)
    try:
        with speaking(preferences.texts().language):
            changes.make(station.edit_of(of, one, fields))
    except SettingsError as error:
        problems = error.by_field if isinstance(error, Mistakes) else {"file": str(error)}
        return _form(of, one, fields, problems)
    return back_or_to("setup.as_stations", f"station-{name}")


def _add(name: str) -> Answer:
    sent = request.form
    body = sent.get("body", "").encode("utf-8", "backslashreplace")
    candidate = stations.of_body(name, body) if body else stations.candidate(name)
    if candidate is None:
        return as_station(name)
    new, problems = stations.station_of(candidate, sent, preferences.texts())
    if not problems:
        try:
            stations.add(new, replays="replay" in sent)
        except (ChangedMeanwhile, LockTimeout, OSError, SettingsError) as error:
            # A form that was sent twice, at once, has added it.
            if _there(name):
                setup_files.reload(context.store().settings)
            elif isinstance(error, ChangedMeanwhile):
                raise
            else:
                problems = {"file": str(error)}
    if problems:
        return _new_station(name, candidate, sent, problems, station_text.entry(new))
    if board := boards.chosen(sent):
        came = {key: sent.getlist(key) for key in ("back", "later") if key in sent}
        query = urlencode({**board, **came, "path": name, "added": "1"}, doseq=True)
        return redirect(f"{url_for('setup.as_board')}?{query}", 303)
    return back_or_to("setup.as_stations", f"station-{name}")


def _form(of: File, one: Station, fields: Fields, problems: Fields) -> tuple[str, int]:
    return shown(
        "setup/station_edit.html",
        part="setup.as_stations",
        station=one,
        fields=fields,
        problems=problems,
        icons=ICONS,
        drawing=drawing,
        named_icon=named_icon(one),
        is_named=stations.is_named,
        band_numbers=lambda measurement: station.band_numbers(one, measurement),
        usual=lambda measurement: station.usual_bands(one, measurement),
        file=of.path,
        seen=changes.seen(of.data),
    )


def _new_station(
    name: str,
    candidate: Candidate | None,
    fields: Mapping[str, str],
    problems: Mapping[str, str] = MappingProxyType({}),
    entry: str = "",
) -> tuple[str, int]:
    """Return the form; `entry` is the station that it makes, for a file that can't be written."""
    settings = context.store().settings
    file = stations.file_of(settings)
    return shown(
        "setup/station.html",
        404 if candidate is None else 0,
        endpoint=name,
        candidate=candidate,
        fields=fields,
        problems=problems,
        file=file,
        seen=changes.seen(house.present(file)),
        entry=entry,
        units=stations.UNITS,
        is_named=stations.is_named,
        chosen=boards.chosen(fields) if problems else {},
        body_text=rejected.text_of,
        escape=escape,
        adding=shell(settings).flask10x("stations", "add", name),
    )


@blueprint.post("/setup/stations/<name>/ignore", guard="setup")
def ignore(name: str) -> Answer:
    """Offer a board that sends no more, or again; then `/setup/stations`."""
    t = preferences.texts()
    if not stations.is_free(name):
        abort(404)
    if place := changes.place_elsewhere("ignored_senders"):
        return refused(t("Nothing was changed: {place} is set. Change it there.", place=place), 409)

    def put(document: MutableMapping[str, Any]) -> None:
        # As the file is, also while the workers still read it.
        key = changes.key_of(document, "ignored_senders")
        try:
            ignored = {*readers.endpoints(document.get(key, ""))}
        except WrongEntry as error:
            raise error.of_setting(f"{settings_file.NAME}: {key}") from error
        changed = ignored - {name} if "again" in request.form else ignored | {name}
        changes.put(document, "ignored_senders", ",".join(sorted(changed)))

    edit = changes.settings_edit(name, put)
    kind = "offered" if "again" in request.form else "ignored"
    changes.make(replace(edit, kind=kind))
    return back_or_to("setup.as_stations")
