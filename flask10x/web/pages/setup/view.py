"""`/setup`: each setting, its value, where that is from, and what it does; nothing is changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import render_template

from flask10x.config import environment_file
from flask10x.config.alerts.rules import Alerts
from flask10x.config.readers import Place
from flask10x.config.settings import FOLDERS, OF_THE_MASTER, PREFIX, ROWS, SECTIONS, Settings
from flask10x.database.paths import shown_name
from flask10x.readings.stations import Stations
from flask10x.readings.times import zone_name_of
from flask10x.translation import N_, Translation
from flask10x.web import context, preferences
from flask10x.web.page import Page
from flask10x.web.pages.status.commands import shell

blueprint = Page(
    "setup",
    __name__,
    text=N_("Settings"),
    group="setup",
    icon="M4 7h9m4 0h3M4 17h3m4 0h9M15 5v4m-6 6v4",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A setting as the page shows it."""

    name: str
    about: str
    value: str
    """Empty: it has none."""
    source: str
    """Where the value is from; empty: it is the default."""


@blueprint.get("/setup")
def as_page() -> str:
    """A table for each group of settings, and how they are changed where the service runs."""
    settings, t = context.store().settings, preferences.texts()
    own = shell(settings)
    return render_template(
        "setup/template.html",
        sections=[(t(title), list(_rows(settings, name, t))) for name, title in SECTIONS.items()],
        manner=own.manner,
        file=environment_file.SERVICE_FILE,
        restart=own.command("restart"),
        reload=own.reload,
    )


def _rows(settings: Settings, section: str, t: Translation) -> Iterable[Row]:
    for row in ROWS:
        if row.metadata["section"] == section:
            yield Row(
                f"{PREFIX}{row.name.upper()}",
                t(row.metadata["about"]),
                _value(settings, row.name, getattr(settings, row.name)),
                _source(settings, row.name, t),
            )


def _value(settings: Settings, name: str, value: Any) -> str:
    """The value as it is written in an environment; empty where there is none."""
    text = "" if value is None else str(value)
    match value:
        case Stations() | Alerts():
            text = value.file
        case Place():
            text = f"{value.latitude:g},{value.longitude:g}"
        case bool():
            text = text.lower()
        case frozenset() | tuple():
            text = ", ".join(sorted(value))
        case float():
            text = f"{value:g}"
    # The URL may have a password, and the zone is the system's where none is set.
    if name == "database_url":
        text = shown_name(settings)
    return zone_name_of(settings.zone) if name == "timezone" else text


def _source(settings: Settings, name: str, t: Translation) -> str:
    """The file that has the value, with its line where that is known; or the environment."""
    names = (name, "port") if name == "bind" else (name,)
    place = next((settings.places[each] for each in names if each in settings.places), None)
    if place is None:
        return ""
    file, _, _ = place.rpartition(": ")
    if not file:
        return t("environment")
    # The environment file is read at a start only; the TOML file at each reload.
    if PREFIX in place or name in (*OF_THE_MASTER, *FOLDERS):
        return file
    return t("{file}; a reload is enough", file=file)
