"""Replay: rejected readings are checked by today's settings, and valid ones are stored once.

The reading and the mark that it was replayed are one transaction, so neither a crash nor a second
replay at the same time stores it twice; a reading whose key was accepted meanwhile is not stored
either. It keeps the time at which it came in, and a late one the time at which it was measured.

Of the readings that came before there was a station for them those before the last one are deleted
once they are stored; those that are invalid for the station are shown as rejected by it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import dialects
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.readings import parse
from flask10x.readings.parse import InvalidReading, Reading
from flask10x.readings.reasons import Reason
from flask10x.recording import batch, rejected
from flask10x.recording.accepted_keys import AcceptedKeys, accepted_ms_by_key
from flask10x.recording.rejected import RejectedRow, Selection

REPEATED: dict[str, str] = {"key": Reason("already_stored")}


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """The result of the replay of one rejected reading."""

    id: int
    """Of the rejected reading."""
    endpoint: str
    good: bool
    """Whether it is stored now, or in a dry run would be."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why it was not stored; of a good one its warnings."""


def replay(
    settings: Settings, database: Database, selection: Selection, *, dry_run: bool = False
) -> Iterator[ReplayOutcome]:
    """Store the valid readings of the selection; an outcome for each not replayed before.

    It may run beside the service: its transactions take some milliseconds. Outcomes are yielded
    after their commit. Raises LockTimeout or sqlalchemy.exc.DBAPIError; a later call continues
    from there.
    """
    waiting = replace(selection, replayed=False)
    last_id = 0
    while True:
        with database.reader.begin() as connection:
            rows = rejected.next_after(connection, waiting, last_id)
            stored = accepted_ms_by_key(connection, {row.key for row in rows if row.key})
        if not rows:
            break
        last_id = rows[-1].id
        checked = [
            (row, REPEATED if row.key in stored else _check(settings, row))
            for row in rows
            if not row.is_earlier or row.endpoint in settings.stations.by_endpoint
        ]
        if dry_run or not any(r.is_earlier or isinstance(found, Reading) for r, found in checked):
            yield from (_outcome(row, result) for row, result in checked)
            continue
        with database.commit() as connection:
            outcomes = _store_good(connection, settings, checked)
        yield from outcomes


def _check(settings: Settings, row: RejectedRow) -> Reading | dict[str, str]:
    """The reading by today's settings, or the reasons why it is invalid."""
    station = settings.stations.by_endpoint.get(row.endpoint)
    if station is None:
        return {"endpoint": Reason("no_such_station")}
    payload, _ = parse.payload_of(row.body, row.media_type)
    partial = station.endpoint in settings.partial_readings
    late = row.measured_at is not None
    measured_at = row.measured_at if row.measured_at is not None else row.received_at
    try:
        reading = parse.parse(station, payload, measured_at, partial=partial)
    except InvalidReading as error:
        return error.details
    return replace(reading, arrived_at=row.received_at) if late else reading


def _outcome(row: RejectedRow, result: Reading | dict[str, str]) -> ReplayOutcome:
    if isinstance(result, Reading):
        return ReplayOutcome(row.id, row.endpoint, True, result.remarks)
    return ReplayOutcome(row.id, row.endpoint, False, result)


def _store_good(
    connection: Connection,
    settings: Settings,
    checked: list[tuple[RejectedRow, Reading | dict[str, str]]],
) -> list[ReplayOutcome]:
    """Store and mark the readings; those that were replayed or purged meanwhile are left out."""
    earlier = rejected.still_waiting(connection, [row.id for row, _ in checked])
    waiting = [(row, result) for row, result in checked if row.id in earlier]
    keys = AcceptedKeys(connection, {row.key for row, _ in waiting})
    outcomes = []
    for row, result in waiting:
        # The id of its reading, or the reasons why it is not stored.
        settled: int | dict[str, str]
        if isinstance(result, Reading):
            entry = batch.entry_of(settings.stations, result, key=row.key)
            stored = batch.insert_one(connection, settings.stations, entry, keys)
            if isinstance(stored, Exception):
                if dialects.statements_of(connection).begin_again(connection):
                    raise stored
                settled = {"database": reason_of(stored)}
            else:
                settled = REPEATED if stored is None else stored
        else:
            settled = result
        outcomes.append(_outcome(row, result if isinstance(settled, int) else settled))
        if earlier[row.id] and (isinstance(settled, int) or settled is REPEATED):
            rejected.forget(connection, row.id)
        elif isinstance(settled, int):
            rejected.mark_replayed(connection, row.id, settled)
        elif earlier[row.id]:
            rejected.show(connection, row.id, settled)
    keys.write(settings.idempotency_max_rows)
    return outcomes
