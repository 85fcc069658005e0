"""A station that sends and is not there yet: what it would be, and added by a form."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.config import station_file, station_keys, station_text
from flask10x.config.readers import WrongEntry
from flask10x.config.settings import Settings
from flask10x.config.station_proposal import Proposal, example_of, propose
from flask10x.database.station_columns import add_missing
from flask10x.errors import LockTimeout, SettingsError
from flask10x.readings.parse import InvalidBody, decode
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedRow
from flask10x.runtime import setup_files
from flask10x.runtime.administrators import Browser
from flask10x.web import context
from flask10x.web.ingest.unknown_station import can_be_endpoint
from flask10x.web.pages.setup import changes
from flask10x.web.pages.setup.changes import Edit

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


def senders() -> list[str]:
    """Return the paths of no station to which bodies came that could be one's."""
    with context.view() as view:
        known = rejected.endpoints(view.connection)
    return [name for name in known if can_be_endpoint(name) and candidate(name)]


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


def add(browser: Browser, proposal: Proposal) -> None:
    """Add the station to the file, and let the service take it over.

    Raises SettingsError where the file would have a mistake, and what `changes.make` raises; then
    nothing is changed.
    """
    # Only a change needs it, and few homes make one.
    from flask10x.maintenance import station_changes  # noqa: PLC0415

    store = context.store()
    path = file_of(store.settings)
    data, former = station_changes.with_station(path, proposal.station)
    endpoint = proposal.station.endpoint

    def add_columns() -> None:
        try:
            add_missing(store.database, station_file.parse(data, path))
        except (DBAPIError, LockTimeout) as error:
            # The reload does it.
            log.warning("The columns of /%s are not there yet: %s", endpoint, error)

    changes.make(browser, Edit("station", endpoint, path, former, data), add_columns)


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
    setup_files.reload(settings)
    return True


def text_of(proposal: Proposal) -> str:
    """Return the entry as it would be in the file, for a file that can't be written."""
    return station_text.entry(proposal.station)
