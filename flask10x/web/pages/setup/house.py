"""`/setup/house`: the time zone, the place and the altitude of the house."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from flask10x.config import settings as settings_file
from flask10x.config import towns
from flask10x.config.readers import WrongEntry
from flask10x.config.settings import PREFIX, READERS, ROWS, Settings
from flask10x.config.towns import Town
from flask10x.errors import SettingsError
from flask10x.readings.labels import moment
from flask10x.readings.times import zone_name_of
from flask10x.runtime import setup_files
from flask10x.system import clock
from flask10x.translation import N_, chosen, speaking
from flask10x.web import administrators, context, preferences
from flask10x.web.pages.setup import changes, station
from flask10x.web.pages.setup.page import blueprint, shown, with_nearest

TITLES = {
    "house_name": N_("Name of the house"),
    "timezone": N_("Time zone"),
    "place": N_("Latitude, longitude"),
    "altitude_m": N_("Altitude in metres"),
}
NAMES = tuple(row.name for row in ROWS if row.metadata["section"] == "house")
"""The settings of this page, in its order."""
Fields = dict[str, str]


@blueprint.get("/setup/house")
def as_house() -> tuple[str, int]:
    """The form; with `q` towns of that name, with `town` what one of them says of a house."""
    fields = _present()
    chosen = towns.town_of(request.args.get("town", ""))
    if chosen is not None:
        fields |= _of_town(chosen)
    return _form(fields, {}, chosen)


@blueprint.post("/setup/house", guard="setup")
def save_house() -> Response | tuple[str, int]:
    """Write what was changed to `settings.toml`; 400 with the form when something is wrong."""
    browser, elsewhere, present = administrators.required(), _elsewhere(), _present()
    fields = {name: request.form.get(name, "").strip() for name in NAMES if name not in elsewhere}
    with speaking(preferences.texts().language):
        values, problems = _values(fields)
        if problems:
            return _form(present | fields, problems)
        changed = [name for name in fields if fields[name] != present[name]]

        def edit(document: MutableMapping[str, Any]) -> None:
            for name in changed:
                changes.put(document, name, values[name])

        try:
            names = ", ".join(PREFIX + name.upper() for name in changed)
            of = changes.settings_edit(names, edit)
        except SettingsError as error:
            return _form(present | fields, {"file": str(error)})
    changes.make(browser, of)
    return redirect(url_for("setup.as_house", saved=1), 303)


def _values(fields: Fields) -> tuple[dict[str, Any], Fields]:
    """What the file has for the fields, None where a key goes; and what is wrong, by field."""
    values: dict[str, Any] = {}
    problems: Fields = {}
    for name, text in fields.items():
        value = station.number(text) if name == "altitude_m" else text
        if name == "timezone":
            value = _zone(text)
        values[name] = value if text else None
        try:
            if text:
                READERS[name](value)
        except WrongEntry as error:
            problems[name] = error.needed
            if name == "altitude_m":
                problems[name] = with_nearest(chosen(), error.needed, text)
    return values, problems


def _zone(text: str) -> str:
    """The zone of this name in any capitals, or of a town with that name; else the text."""
    zones = {zone.lower(): zone for zone in available_timezones()}
    if (zone := zones.get(text.lower().replace(" ", "_"))) is not None:
        return zone
    found, _near = towns.search(text)
    same = {town.zone for town in found if text.lower() in (town.name.lower(), town.name_ja)}
    return same.pop() if len(same) == 1 else text


def _present() -> Fields:
    """What is set now: by the file as it is, also while the workers still read it."""
    settings = context.store().settings
    data, path = _file(settings)
    in_file = settings_file.parse(data or b"", path)
    fields = {}
    for name in NAMES:
        entry = in_file.get(name)
        fields[name] = _text(settings, name) if name in _elsewhere() else ""
        if not fields[name] and entry is not None:
            fields[name] = str(entry.raw)
    return fields


def _text(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if value is None:
        return ""
    if name == "place":
        return f"{value.latitude:g},{value.longitude:g}"
    return f"{value:g}" if name == "altitude_m" else str(value)


def _file(settings: Settings) -> tuple[bytes | None, Path]:
    path = setup_files.paths(settings)[settings_file.NAME]
    return setup_files.present(path), path


def _elsewhere() -> Mapping[str, str]:
    """Where the settings are that this page cannot change, because another place goes first."""
    places = {name: changes.place_elsewhere(name) for name in NAMES}
    return {name: place for name, place in places.items() if place}


def _of_town(town: Town) -> Fields:
    fields = {"timezone": town.zone, "place": town.place}
    if town.altitude_m is not None:
        fields["altitude_m"] = str(town.altitude_m)
    return {name: text for name, text in fields.items() if name not in _elsewhere()}


def _form(fields: Fields, problems: Fields, town: Town | None = None) -> tuple[str, int]:
    settings, t, now_ms = context.store().settings, preferences.texts(), clock.now_ms()
    question = request.args.get("q", "").strip()
    found, near = towns.search(question)
    data, path = _file(settings)
    zone = settings.zone
    if fields["timezone"] in available_timezones():
        zone = ZoneInfo(fields["timezone"])
    return shown(
        "setup/house.html",
        400 if problems else 200,
        fields=fields,
        problems=problems,
        names=NAMES,
        titles={name: t(TITLES[name]) for name in NAMES},
        elsewhere=_elsewhere(),
        abouts={row.name: t(row.metadata["about"]) for row in ROWS},
        zones=sorted(available_timezones()),
        clock=moment(now_ms, zone, t, now_ms),
        zone=zone_name_of(zone),
        question=question,
        towns=found,
        near=near,
        town=town,
        is_saved="saved" in request.args,
        file=path,
        seen=changes.seen(data),
    )
