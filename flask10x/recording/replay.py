"""Replay: rejected readings checked again by today's settings; what is good now is stored, once.

The reading and the mark that it was replayed are one transaction, so neither a crash nor a second
replay at the same time stores it twice; nor is one stored whose key was accepted meanwhile. It
keeps the time at which it came in, and a late one the time at which it was measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import dialects
from flask10x.database.database import Database
from flask10x.database.error_codes import kind_of, reason_of
from flask10x.database.insert import insert_row
from flask10x.readings import parse
from flask10x.readings.parse import InvalidReading, Reading
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Stations
from flask10x.recording import batch, rejected
from flask10x.recording.entry import Entry
from flask10x.recording.rejected import Kept, Selection
from flask10x.recording.repeats import AcceptedKeys, accepted_ms_by_key

REPEATED: dict[str, str] = {"key": Reason("already_stored")}


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a replay has made of one rejected reading."""

    id: int
    """Of the rejected reading."""
    endpoint: str
    good: bool
    """Whether it is stored now, or in a dry run would be."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why not; for a good one its warnings."""


def replay(
    settings: Settings, database: Database, selection: Selection, *, dry_run: bool = False
) -> Iterator[ReplayOutcome]:
    """Store what is good now of the selection; an outcome for each that was not replayed before.

    Works while the service runs: in transactions of some milliseconds. What was
    yielded is committed. Raises LockTimeout or sqlalchemy.exc.DBAPIError; a later call goes on
    from there.
    """
    waiting = replace(selection, replayed=False)
    last_id = 0
    while True:
        with database.reader.begin() as connection:
            rows = rejected.next_after(connection, waiting, last_id)
            stored = accepted_ms_by_key(connection, {kept.key for kept in rows if kept.key})
        if not rows:
            return
        last_id = rows[-1].id
        checked = [
            (kept, REPEATED if kept.key in stored else _check(settings, kept)) for kept in rows
        ]
        if dry_run or not any(isinstance(result, Reading) for _, result in checked):
            yield from (_outcome(kept, result) for kept, result in checked)
            continue
        with database.commit() as connection:
            outcomes = _store_good(connection, settings, checked)
        yield from outcomes


def _check(settings: Settings, kept: Kept) -> Reading | dict[str, str]:
    """The reading that it is today, or the reasons why it is none."""
    station = settings.stations.by_endpoint.get(kept.endpoint)
    if station is None:
        return {"endpoint": Reason("no_such_station")}
    payload, _ = parse.payload_of(kept.body, kept.media_type)
    partial = station.endpoint in settings.partial_readings
    late = kept.measured_at is not None
    measured_at = kept.measured_at if kept.measured_at is not None else kept.received_at
    try:
        reading = parse.parse(station, payload, measured_at, partial=partial)
    except InvalidReading as error:
        return error.details
    return replace(reading, arrived_at=kept.received_at) if late else reading


def _outcome(kept: Kept, result: Reading | dict[str, str]) -> ReplayOutcome:
    if isinstance(result, Reading):
        return ReplayOutcome(kept.id, kept.endpoint, True, result.remarks)
    return ReplayOutcome(kept.id, kept.endpoint, False, result)


def _store_good(
    connection: Connection,
    settings: Settings,
    checked: list[tuple[Kept, Reading | dict[str, str]]],
) -> list[ReplayOutcome]:
    """Store and mark; those that somebody else has replayed or purged meanwhile are left out."""
    still_waiting = rejected.waiting_ids(connection, [kept.id for kept, _ in checked])
    waiting = [(kept, result) for kept, result in checked if kept.id in still_waiting]
    keys = AcceptedKeys(connection, {kept.key for kept, _ in waiting})
    outcomes = []
    for kept, result in waiting:
        refusal = None
        if isinstance(result, Reading):
            entry = batch.entry_of(settings.stations, result, key=kept.key)
            refusal = _store(connection, settings.stations, kept, entry, keys)
        outcomes.append(_outcome(kept, refusal or result))
    keys.write(settings.idempotency_max_rows)
    return outcomes


def _store(
    connection: Connection, stations: Stations, kept: Kept, entry: Entry, keys: AcceptedKeys
) -> dict[str, str] | None:
    """None when it is stored and marked, or why it is not: a repeat, or refused again."""
    if keys.has(entry):
        return REPEATED
    try:
        reading_id = insert_row(connection, stations, entry.row)
    except Exception as error:
        if kind_of(error) == "store" or dialects.of(connection).rolled_back(connection):
            raise
        return {"database": reason_of(error)}
    keys.add(entry)
    rejected.mark_replayed(connection, kept.id, reading_id)
    batch.count(connection, entry.warned)
    return None
