"""What administrators change in files that the service reads: written, kept, and taken back.

A form carries the digest of the file that its page was made from, so that what was written by hand
meanwhile is never lost: the form is refused then.
"""

import logging
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flask import g, request
from sqlalchemy.exc import DBAPIError

from flask10x.config import house, station_file, toml
from flask10x.config import settings as settings_file
from flask10x.config.alerts import file as alert_file
from flask10x.config.house import present
from flask10x.config.toml import digest_of
from flask10x.errors import Flask10xError, LockTimeout, SettingsError
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.runtime import setup_files
from flask10x.runtime.administrators import Change
from flask10x.runtime.setup_files import FileChange, reload
from flask10x.system import clock
from flask10x.translation import N_
from flask10x.web import administrators, context

log = logging.getLogger(__name__)
SEEN_FIELD = "file"
"""The field of a form with the digest of the file as it was when the page was made."""
SENTENCES = {
    "station": N_("Station {name} was added to {path}."),
    "ignored": N_("{name} is not offered as a station any more, by {path}."),
    "offered": N_("{name} is offered as a station again, by {path}."),
    "settings": N_("Changed in {path}: {name}."),
    "changed": N_("Station {name} was changed in {path}."),
    "order": N_("The stations were put in another order in {path}."),
    "channel": N_("The channel {name} of notifications was changed."),
    "channel_added": N_("The channel {name} of notifications was added."),
    "channel_removed": N_("The channel {name} of notifications was removed."),
    "rule": N_("The rule was changed: {name}."),
    "rule_added": N_("A rule was added: {name}."),
    "rule_on": N_("The rule was switched on: {name}."),
    "rule_off": N_("The rule was switched off: {name}."),
    "rule_removed": N_("The rule was removed: {name}."),
    "restored": N_("{path} was restored from the backup {name}."),
    "notifications": N_("Times and language of notifications were changed in {path}."),
}
"""By kind of change, what the page says of it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A file, and what it is to become."""

    kind: str
    """A key of SENTENCES."""
    name: str
    """What the change is about: an endpoint, the name of a channel, of a setting."""
    path: Path
    former: bytes | None
    """The file as it is; None: there is none."""
    data: bytes | None
    """The file as it is to become, which its own reader has checked; None: it goes."""
    replays: bool = False
    """As `Change.replays`."""


class ChangedMeanwhile(Flask10xError):
    """The file, which the text names, is no longer the one that the form was made from."""


def seen(data: bytes | None) -> str:
    """Return what a form carries in SEEN_FIELD for a file of these bytes."""
    return digest_of(data)


def make(edit: Edit) -> None:
    """Write the file, keep the change, and let the service read the file.

    Raises ChangedMeanwhile, LockTimeout, OSError, and SettingsError where another file would not
    fit any more; then nothing is changed.
    """
    if request.form.get(SEEN_FIELD, seen(edit.former)) != seen(edit.former):
        raise ChangedMeanwhile(str(edit.path))
    if edit.data == edit.former:
        # Who made it before may have been killed before the service was to read it.
        reload(context.store().settings)
        return
    _check(edit)
    browser = administrators.required()
    change = Change(
        number=0,
        at_ms=clock.now_ms(),
        browser=browser.name,
        kind=edit.kind,
        name=edit.name,
        path=str(edit.path),
        before=None if edit.former is None else edit.former.decode(),
        after=digest_of(edit.data),
        replays=edit.replays,
    )
    _write(edit, change)
    log.info("%s: %s was changed by %s", edit.path, edit.name, browser.name)
    reload(context.store().settings)


def made() -> int | None:
    """Return the number of the change that this request has made or taken back; None without."""
    number: int | None = g.get("change_made")
    return number


def undo(change: Change) -> bool:
    """Put the file back as it was before the change; False when it was changed since then.

    Raises ChangedMeanwhile, LockTimeout, OSError, and SettingsError where the service could not
    start with it.
    """
    path = Path(change.path)
    former = present(path)
    before = change.former
    # Who took it back by hand, or was killed then, finds it undone.
    if change.undone_ms is not None or not (former == before or seen(former) == change.after):
        return False
    edit = Edit(change.kind, change.name, path, former, before)
    if before != former:
        _check(edit)
    _write(edit, replace(change, undone_ms=clock.now_ms()))
    log.info("%s: %s was taken back", path, change.name)
    reload(context.store().settings)
    return True


def place_elsewhere(setting: str) -> str:
    """Return where a setting is that wins over `settings.toml`; empty where none does."""
    settings = context.store().settings
    place, ours = settings.places.get(setting, ""), house.paths(settings)[settings_file.NAME]
    return "" if place.startswith(f"{ours}: ") else place


def settings_edit(name: str, edit: Callable[[MutableMapping[str, Any]], None]) -> Edit:
    """Return the edit of `settings.toml` that changes its keys.

    Raises SettingsError where the service could not start with it, or the file has mistakes
    already; the text names the setting.
    """
    path = house.paths(context.store().settings)[settings_file.NAME]
    former = present(path)
    settings_file.parse(former or b"", path)
    beginning = toml.schema_line("settings").encode() if former is None else former
    data = toml.edited(beginning, edit)
    settings_file.load(file=data)
    return Edit("settings", name, path, former, data)


def put(document: MutableMapping[str, Any], name: str, value: Any) -> None:
    """Give a key of `settings.toml` this value, None takes it out; also one in capitals."""
    key = key_of(document, name)
    if value is None:
        document.pop(key, None)
    else:
        document[key] = value


def key_of(document: Mapping[str, Any], name: str) -> str:
    """Return the key of a setting as it is in the document, or as it would be."""
    return next((each for each in document if each.lower() == name), name)


def _check(edit: Edit) -> None:
    """Raises SettingsError where the service could not start with the files as they become.

    Rules of alerts name stations, and their limits are within those of a measurement.
    """
    paths = house.paths(context.store().settings)
    stations, alerts = paths[station_file.NAME], paths[alert_file.NAME]
    if edit.path == paths[settings_file.NAME]:
        settings_file.load(file=edit.data or b"")
    elif edit.path == alerts and edit.data is not None:
        alert_file.parse(edit.data, alerts, _stations(present(stations), stations))
    elif edit.path == stations:
        become, rules = _stations(edit.data, stations), present(alerts)
        if rules is None:
            return
        try:
            alert_file.parse(rules, alerts, _stations(edit.former, stations))
        except SettingsError:
            # Its own mistakes are corrected there.
            return
        alert_file.parse(rules, alerts, become)


def _stations(data: bytes | None, path: Path) -> Stations:
    return BUILT_IN if data is None else station_file.parse(data, path)


def _write(edit: Edit, change: Change) -> None:
    """Note the change and write its file, here and by and by on other hosts."""
    store, file = context.store(), FileChange(edit.path, edit.former, edit.data)
    try:
        g.change_made = setup_files.write(store.settings, change, file)
    except SettingsError as error:
        raise ChangedMeanwhile(str(edit.path)) from error
    try:
        setup_files.publish(store.settings, store.database, file)
    except (DBAPIError, LockTimeout) as error:
        log.warning("Other hosts do not learn of the change of %s yet: %s", edit.path, error)
