"""What is set of the house: the page `/setup/house`."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from flask10x.config import form, house, towns
from flask10x.config import settings as settings_file
from flask10x.config.settings import KEYS, PREFIX, ROWS, Settings
from flask10x.config.towns import Town
from flask10x.errors import SettingsError
from flask10x.readings.labels import moment
from flask10x.readings.times import zone_name_of
from flask10x.system import clock
from flask10x.translation import speaking
from flask10x.web import context, preferences
from flask10x.web.pages.setup import changes
from flask10x.web.pages.setup.page import blueprint, shown

Fields = dict[str, str]
NAMES = ("house_name", "timezone", "place", "altitude_m")
"""The settings of the house; backups have others."""


@blueprint.get("/setup/house")
def as_house() -> tuple[str, int]:
    """The form; with `q` towns of that name, with `town` what one of them says of a house."""
    fields = present()
    chosen = towns.town_of(request.args.get("town", ""))
    if chosen is not None:
        fields |= fields_of(chosen)
    return _form(fields, {}, chosen)


@blueprint.post("/setup/house", guard="setup")
def save_house() -> Response | tuple[str, int]:
    """Write what was changed to `settings.toml`; 400 with the form when something is wrong."""
    # What another place sets is not in the form.
    names = [name for name in NAMES if not changes.place_elsewhere(name)]
    fields = {name: request.form.get(name, "").strip() for name in names}
    if problems := saved(fields):
        return _form(present() | fields, problems)
    return redirect(url_for("setup.as_house", saved=1, changed=changes.made()), 303)


def fields_of(town: Town) -> Fields:
    """Return what a town says of a house in it, without what another place sets."""
    fields = {"timezone": town.zone, "place": town.place}
    if town.altitude_m is not None:
        fields["altitude_m"] = str(town.altitude_m)
    elsewhere = places_elsewhere()
    return {name: text for name, text in fields.items() if name not in elsewhere}


def saved(fields: Fields) -> Fields:
    """Write to `settings.toml` what these fields change; return what is wrong, by field."""
    with speaking(preferences.texts().language):
        values, problems = form.table_of([KEYS[name] for name in fields], fields)
        try:
            before = present()
            changed = [name for name in fields if fields[name] != before[name]]

            def edit(document: MutableMapping[str, Any]) -> None:
                for name in changed:
                    changes.put(document, name, values[name])

            # Also where nothing is changed: who was killed before has not let the service read it.
            is_there = _file(context.store().settings)[0] is not None
            if not problems and (changed or is_there):
                names = ", ".join(PREFIX + name.upper() for name in changed)
                changes.make(changes.settings_edit(names, edit))
        except SettingsError as error:
            problems = {"file": str(error)}
    return problems


def present() -> Fields:
    """What is set now: by the file as it is, also while the workers still read it."""
    settings = context.store().settings
    data, path = _file(settings)
    in_file = settings_file.parse(data or b"", path)
    fields = {name: str(in_file[name].raw) if name in in_file else "" for name in KEYS}
    return fields | {name: settings.text_of(name) for name in places_elsewhere()}


def _file(settings: Settings) -> tuple[bytes | None, Path]:
    path = house.paths(settings)[settings_file.NAME]
    return house.present(path), path


def places_elsewhere() -> Mapping[str, str]:
    """Where the settings are that this page cannot change, because another place goes first."""
    places = {name: changes.place_elsewhere(name) for name in KEYS}
    return {name: place for name, place in places.items() if place}


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
        fields=fields,
        problems=problems,
        names=NAMES,
        titles={name: t(key.words) for name, key in KEYS.items()},
        elsewhere=places_elsewhere(),
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
