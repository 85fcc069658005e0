"""The files that make an installation this house: its stations, settings and alerts.

A backup has them beside the readings (`maintenance/house_copy.py`), and pages change them
(`runtime/setup_files.py`).
"""

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask10x.config import readers, secrets, station_file, toml
from flask10x.config import settings as settings_file
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts.rules import CHANNELS, Alerts, Channel, Command
from flask10x.config.settings import KEYS, ROWS, Settings, process_user
from flask10x.errors import RestoreError, SettingsError
from flask10x.readings.stations import BUILT_IN
from flask10x.translation import message as _

SECRETS = "channels"
"""The folder in the data folder with the secrets that were typed into forms."""
READINGS = "readings"
"""The part of a backup that is its database."""
PARTS = {
    "stations": station_file.NAME,
    "settings": settings_file.NAME,
    "alerts": alert_file.NAME,
}
"""The name of each file, by the part of a backup that it is."""
# As `web/pages/setup/channels.py` calls the file with a secret.
_SECRET_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}-[0-9a-f]{8}")
_SECRET_KEYS = {
    key.name
    for _class, keys in CHANNELS.values()
    for key in keys
    if key.read is readers.secret_place
}


def paths(settings: Settings) -> dict[str, Path]:
    """Return where this host has each file that pages change, whether or not it is there."""
    return {
        station_file.NAME: Path(settings.stations.file or settings.data_dir / station_file.NAME),
        alert_file.NAME: Path(settings.alerts.file or settings.data_dir / alert_file.NAME),
        settings_file.NAME: settings.data_dir / settings_file.NAME,
    }


def present(path: Path) -> bytes | None:
    """Return the bytes of the file; None if there is no such file. Raises SettingsError."""
    try:
        return toml.read_document(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


@dataclass(frozen=True, slots=True)
class House:
    """The files of a house, here or in a backup."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By part; a part without a file is missing."""
    secrets: dict[str, bytes] = field(default_factory=dict, repr=False)
    """The secrets that were typed into forms, by the names of their files."""


def house_of(settings: Settings, *, with_secrets: bool = False) -> House:
    """Return the files of this installation; raises SettingsError or OSError."""
    places = paths(settings)
    files = {part: present(places[name]) for part, name in PARTS.items()}
    named = {}
    if with_secrets:
        folder = settings.data_dir / SECRETS
        for place in secret_places(settings.alerts):
            if is_typed(place) and Path(place).parent == folder:
                named[Path(place).name] = secrets.read_secret(place, place)
    return House({part: data for part, data in files.items() if data is not None}, named)


def secret_places(alerts: Alerts) -> list[str]:
    """Return the paths of the secrets of all channels, and the names of credentials."""
    return [place for channel in alerts.channels for place in _secret_places(channel)]


def is_typed(place: str) -> bool:
    """Return whether a secret was typed into a form, by the path of its file."""
    path = Path(place)
    return path.parent.name == SECRETS and _SECRET_NAME.fullmatch(path.name) is not None


def names_in(part: str, data: bytes | None) -> list[str]:
    """Return the names in a file, for people: stations, settings with values, rules and channels.

    Return an empty list for an unreadable file.
    """
    with suppress(ValueError, AttributeError):
        document = tomllib.loads((data or b"").decode())
        if part == "settings":
            return [f"{name} = {value}" for name, value in document.items()]
        if part == "stations":
            stations = document.get("stations", {}).items()
            return [str(table.get("label", name)) for name, table in stations]
        return [name for kind in ("rules", "channels") for name in document.get(kind, ())]
    return []


def fitted(settings: Settings, house: House) -> House:
    """Return the house with the paths of this installation's data folder.

    Only secrets that were typed into forms are in it; other paths stay as they are.
    """
    alerts = house.files.get("alerts")
    if alerts is None:
        return house
    folder = settings.data_dir / SECRETS

    def edit(document: MutableMapping[str, Any]) -> None:
        for channel in document.get("channels", {}).values():
            for key in _SECRET_KEYS & channel.keys():
                if is_typed(str(channel[key])):
                    toml.put(channel, {key: str(folder / Path(channel[key]).name)})

    with suppress(SettingsError, ValueError, AttributeError):
        return House(house.files | {"alerts": toml.edited(alerts, edit)}, house.secrets)
    # `check` names the mistake.
    return house


def check(
    settings: Settings, house: House, parts: Collection[str], *, by_page: bool = False
) -> Settings:
    """Check that the service starts with these parts of the house; return its settings then.

    What is asked for `by_page` may only set what a form sets: a file may come from anywhere.
    Raises RestoreError, which names the file and its mistake.
    """
    places = paths(settings)
    for part in parts:
        if part not in house.files:
            raise RestoreError(_("the backup has no {name}").format(name=PARTS[part]))
        folder = places[PARTS[part]].resolve().parent
        if folder.is_dir() and not os.access(folder, os.W_OK):
            text = _(
                "{user} cannot write into {folder}: run this as the user that can, or with --only"
            )
            raise RestoreError(text.format(user=process_user(), folder=folder))
    data = {
        part: house.files[part] if part in parts else present(places[name])
        for part, name in PARTS.items()
    }
    try:
        stations, alerts = BUILT_IN, Alerts()
        if data["stations"] is not None:
            stations = station_file.parse(data["stations"], places[station_file.NAME])
        if data["alerts"] is not None:
            alerts = alert_file.parse(data["alerts"], places[alert_file.NAME], stations)
        loaded = settings_file.load(stations=stations, alerts=alerts, file=data["settings"] or b"")
        secrets.load_tokens(loaded)
    except SettingsError as error:
        text = _("the service could not start with the files of the backup: {reason}")
        raise RestoreError(text.format(reason=error)) from error
    for part in parts if by_page else ():
        if place := next(_beyond_forms(part, house.files[part], alerts), ""):
            text = _("{name} has {place}, which no form sets; restore this file by the command")
            raise RestoreError(text.format(name=PARTS[part], place=place))
    return loaded


def lacking(restored: Settings, house: House) -> dict[str, list[str]]:
    """Return the files of secrets that have to be made again, by channel or setting.

    `restored` are the settings with the house, as `check` returns them.
    """
    places = {channel.name: [*_secret_places(channel)] for channel in restored.alerts.channels}
    for row in ROWS:
        if row.metadata["read"] is readers.secret_place and (place := getattr(restored, row.name)):
            places[row.name] = [place]
    lost: dict[str, list[str]] = {}
    for name, named in places.items():
        for place in named:
            if is_typed(place) and Path(place).name in house.secrets:
                continue
            try:
                secrets.read_secret(name, place)
            except SettingsError:
                lost.setdefault(name, []).append(place)
    return lost


def _secret_places(channel: Channel) -> Iterator[str]:
    places = (getattr(channel, key, "") for key in sorted(_SECRET_KEYS))
    return (place for place in places if place)


def _beyond_forms(part: str, data: bytes, alerts: Alerts) -> Iterator[str]:
    """Yield what only somebody with a shell may set."""
    if part == "settings":
        entries: Mapping[str, Any] = tomllib.loads(data.decode())
        yield from (name for name in entries if name.lower() not in KEYS)
    if part == "alerts":
        for channel in alerts.channels:
            is_of_form = (
                not isinstance(channel, Command)
                and not channel.loopback
                and all(map(is_typed, _secret_places(channel)))
            )
            if not is_of_form:
                yield f"[channels.{channel.name}]"
