"""A station that sends and is not there yet: what it would be, added by a form, and taken back."""

import logging
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.config import station_file, station_keys, station_text
from flask10x.config.readers import WrongEntry
from flask10x.config.settings import Settings
from flask10x.config.station_proposal import Proposal, example_of, propose
from flask10x.database.running_service import running
from flask10x.database.station_columns import add_missing
from flask10x.errors import LockTimeout, SettingsError
from flask10x.readings.parse import InvalidBody, decode
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedRow
from flask10x.runtime.administrators import Administrators, Browser, Change, digest_of
from flask10x.system import clock
from flask10x.web import context
from flask10x.web.ingest.unknown_station import can_be_endpoint

log = logging.getLogger(__name__)
LABELS = ("label", "label_ja")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A board that sends to a path of no station: its last body, and the station it would be."""

    row: RejectedRow
    proposal: Proposal


def candidate(endpoint: str) -> Candidate | None:
    """Return that of this endpoint; None where there is no body of it, or no number in the body."""
    settings = context.store().settings
    if not can_be_endpoint(endpoint) or endpoint in settings.stations.by_endpoint:
        return None
    with context.view() as view:
        row = rejected.latest(view.connection, endpoint)
    if row is None:
        return None
    try:
        body = example_of(decode(row.body))
    except InvalidBody:
        return None
    proposal = propose(endpoint, body, settings.stations)
    return Candidate(row, proposal) if proposal.station.measurements else None


def with_labels(proposal: Proposal, fields: Mapping[str, str]) -> tuple[Proposal, list[str]]:
    """Return the proposal with the names of a form, and the fields whose name is none."""
    labels = {name: fields[name].strip() for name in LABELS}
    wrong = []
    for name, text in labels.items():
        try:
            # Only the Japanese name may be missing.
            if text or name == "label":
                station_keys.label(text)
        except WrongEntry:
            wrong.append(name)
    label, label_ja = (labels[name] for name in LABELS)
    return replace(
        proposal, station=replace(proposal.station, label=label, label_ja=label_ja)
    ), wrong


def file_of(settings: Settings) -> Path:
    """Return the file of stations, whether or not it is there."""
    return Path(settings.stations.file or settings.data_dir / station_file.NAME)


def add(of: Administrators, browser: Browser, proposal: Proposal) -> None:
    """Add the station to the file, and let the service take it over.

    Raises SettingsError where the file would have a mistake or was changed meanwhile, and OSError
    or LockTimeout where it can't be written; then nothing is changed.
    """
    # Only a change needs it, and few homes make one.
    from flask10x.maintenance import station_changes  # noqa: PLC0415

    store = context.store()
    path = file_of(store.settings)
    data, former = station_changes.with_station(path, proposal.station)
    station_changes.replace_file(path, data, former)
    change = Change(
        number=0,
        at_ms=clock.now_ms(),
        browser=browser.name,
        station=proposal.station.endpoint,
        path=str(path),
        before=None if former is None else former.decode(),
        after=digest_of(data),
    )
    _note(of, change)
    log.info("Station /%s was added by %s", proposal.station.endpoint, browser.name)
    try:
        add_missing(store.database, station_file.parse(data, path))
    except (DBAPIError, LockTimeout) as error:
        # The reload does it.
        log.warning("The columns of /%s are not there yet: %s", proposal.station.endpoint, error)
    reload(store.settings)


def is_added_already(endpoint: str) -> bool:
    """Whether the file has the station, of which the service has not heard; if so, it is told.

    So it is when a form is sent twice, or whoever has added the station was killed before the end.
    """
    settings = context.store().settings
    path = file_of(settings)
    try:
        present = station_file.parse(path.read_bytes(), path).by_endpoint
    except (OSError, SettingsError):
        return False
    if endpoint not in present:
        return False
    reload(settings)
    return True


def undo(of: Administrators, change: Change) -> bool:
    """Put the file back as it was before the change; False when it was changed since then.

    Readings that were stored meanwhile stay. Raises OSError, LockTimeout or SettingsError when the
    file can't be written, or is being written by somebody else.
    """
    from flask10x.maintenance import station_changes  # noqa: PLC0415

    path = Path(change.path)
    present = path.read_bytes() if path.exists() else None
    if change.undone_ms is not None or present is None or digest_of(present) != change.after:
        return False
    before = None if change.before is None else change.before.encode()
    station_changes.replace_file(path, before, present)
    _note(of, replace(change, undone_ms=clock.now_ms()))
    log.info("Station /%s was taken back", change.station)
    reload(context.store().settings)
    return True


def _note(of: Administrators, change: Change) -> None:
    """The file is changed already, so what cannot be noted of it, as on a full disk, is logged."""
    try:
        of.note(change)
    except (OSError, LockTimeout) as error:
        log.warning("The change of /%s is not kept among the changes: %s", change.station, error)


def reload(settings: Settings) -> None:
    """Let the service read its files again, unless only a restart does it."""
    try:
        service = running(settings)
    except OSError:
        return
    # The workers' parent reloads by this signal; a development server has none.
    if service is not None and service.pid == str(os.getppid()):
        os.kill(os.getppid(), signal.SIGHUP)


def text_of(proposal: Proposal) -> str:
    """Return the entry as it would be in the file, for a file that can't be written."""
    return station_text.entry(proposal.station)
