"""Replay: rejected readings are checked by today's settings, and valid ones are stored once.

The reading and the mark that it was replayed are one transaction, so neither a crash nor a second
replay at the same time stores it twice; a reading whose key was accepted meanwhile is not stored
either. It keeps the time at which it came in, and a late one the time at which it was measured.

Readings that came before there was a station for them are taken out of their own table, too
(`unknown_readings.py`); those that are invalid for the station become rejected ones of it.
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
from flask10x.recording import batch, rejected, unknown_readings
from flask10x.recording.entry import Entry
from flask10x.recording.rejected import RejectedReading, RejectedRow, Selection
from flask10x.recording.repeats import AcceptedKeys, accepted_ms_by_key
from flask10x.recording.unknown_readings import Condition, UnknownReading

# Checked in the transaction, too: a tenth of a second on a Pi.
UNKNOWN_ROWS_A_TRANSACTION = 100
REPEATED: dict[str, str] = {"key": Reason("already_stored")}


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """The result of the replay of one rejected reading."""

    id: int
    """Of the rejected reading; 0 for one that came before there was a station for it."""
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
        checked = [(row, REPEATED if row.key in stored else _check(settings, row)) for row in rows]
        if dry_run or not any(isinstance(result, Reading) for _, result in checked):
            yield from (_outcome(row, result) for row, result in checked)
            continue
        with database.commit() as connection:
            outcomes = _store_good(connection, settings, checked)
        yield from outcomes
    if condition := selection.of_unknown:
        yield from replay_unknown(settings, database, condition, dry_run=dry_run)


def replay_unknown(
    settings: Settings, database: Database, condition: Condition, *, dry_run: bool = False
) -> Iterator[ReplayOutcome]:
    """The same for those that came before there was a station for them."""
    with database.reader.begin() as connection:
        present = unknown_readings.endpoints(connection)
    names = [name for name in present if name in (condition.endpoints or present)]
    for name in filter(settings.stations.by_endpoint.__contains__, names):
        of_name = condition._replace(endpoints=(name,))
        if dry_run:
            with database.reader.begin() as connection:
                rows = map(_row_of, unknown_readings.rows(connection, of_name))
            yield from (_outcome(row, _check(settings, row)) for row in rows)
            continue
        outcomes: list[ReplayOutcome] | None = None
        while outcomes is None or outcomes:
            # Looked up, stored and deleted in one: another replay sees all of it or nothing.
            with database.commit() as connection:
                outcomes = _store_unknown(connection, settings, of_name)
            yield from outcomes


def _store_unknown(
    connection: Connection, settings: Settings, condition: Condition
) -> list[ReplayOutcome]:
    """Take some out and store them; those that are invalid become rejected ones of the station."""
    found = unknown_readings.take_out(connection, condition, UNKNOWN_ROWS_A_TRANSACTION)
    rows = [*map(_row_of, found)]
    keys = AcceptedKeys(connection, {row.key for row in rows})
    outcomes = []
    for row in rows:
        result = _check(settings, row)
        refusal = None
        if isinstance(result, Reading):
            entry = batch.entry_of(settings.stations, result, key=row.key)
            stored = _insert(connection, settings.stations, entry, keys)
            refusal = None if isinstance(stored, int) else stored
        outcomes.append(_outcome(row, refusal or result))
    refused = [
        RejectedReading(
            *(row.endpoint, row.received_at, row.media_type, row.body, outcome.reasons),
            measured_at=row.measured_at,
            key=row.key,
        )
        for row, outcome in zip(rows, outcomes, strict=True)
        if not outcome.good and outcome.reasons is not REPEATED
    ]
    if refused:
        rejected.keep(connection, refused, settings)
    keys.write(settings.idempotency_max_rows)
    return outcomes


def _row_of(reading: UnknownReading) -> RejectedRow:
    return RejectedRow(
        id=0,
        endpoint=reading.endpoint,
        received_at=reading.received_at,
        reading_id=None,
        media_type=reading.media_type,
        reasons={},
        hint="",
        body=reading.body,
        body_bytes=len(reading.body),
        measured_at=reading.measured_at,
        key=reading.key,
    )


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
    """Store and mark the readings; those that were replayed, purged or replaced are left out."""
    still_waiting = rejected.still_waiting(connection, [row for row, _ in checked])
    waiting = [(row, result) for row, result in checked if row.id in still_waiting]
    keys = AcceptedKeys(connection, {row.key for row, _ in waiting})
    outcomes = []
    for row, result in waiting:
        refusal = None
        if isinstance(result, Reading):
            entry = batch.entry_of(settings.stations, result, key=row.key)
            refusal = _store(connection, settings.stations, row, entry, keys)
        outcomes.append(_outcome(row, refusal or result))
    keys.write(settings.idempotency_max_rows)
    return outcomes


def _store(
    connection: Connection, stations: Stations, row: RejectedRow, entry: Entry, keys: AcceptedKeys
) -> dict[str, str] | None:
    """Store and mark one reading; None, or the reasons why it is not stored."""
    result = _insert(connection, stations, entry, keys)
    if isinstance(result, int):
        rejected.mark_replayed(connection, row.id, result)
        return None
    return result


def _insert(
    connection: Connection, stations: Stations, entry: Entry, keys: AcceptedKeys
) -> int | dict[str, str]:
    """Store one reading; its id, or the reasons why it is not stored."""
    if keys.has(entry):
        return REPEATED
    try:
        reading_id = insert_row(connection, stations, entry.row)
    except Exception as error:
        if kind_of(error) == "store" or dialects.of(connection).rolled_back(connection):
            raise
        return {"database": reason_of(error)}
    keys.add(entry)
    batch.count(connection, entry.warned)
    return reading_id
