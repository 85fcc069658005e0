"""A batch: readings on their way into the table, and what its transaction does with them."""

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import counters, dialects
from flask10x.database.error_codes import kind_of, reason_of
from flask10x.database.insert import HEAD, insert_row, insert_rows, row_of
from flask10x.readings.parse import Reading, nested, warned_paths
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Stations
from flask10x.recording import rejected
from flask10x.recording.accepted_keys import AcceptedKeys
from flask10x.recording.entry import Entry, warnings_of
from flask10x.recording.rejected import RejectedReading

log = logging.getLogger(__name__)


class Receipt:
    """Tells a waiting request what has become of its reading.

    A server whose requests are greenlets passes an event of its own kind, and a function by which
    another thread sets it.
    """

    __slots__ = ("_event", "_is_settled", "_wake", "is_duplicate", "refusal")

    def __init__(
        self, event: threading.Event | None = None, wake: Callable[[], object] | None = None
    ) -> None:
        self._event = event or threading.Event()
        self._wake = wake or self._event.set
        self._is_settled = False
        self.refusal = ""
        """Why the database has refused the reading; empty when it is stored."""
        self.is_duplicate = False
        """Whether it was not stored because one with its key was before."""

    def settle(self, refusal: str = "", *, is_duplicate: bool = False) -> None:
        """Note what has become of the reading; only the first call counts."""
        if not self._is_settled:
            self.refusal, self.is_duplicate, self._is_settled = refusal, is_duplicate, True
            self._wake()

    def wait(self, timeout_sec: float) -> bool:
        """Whether the reading was settled in time; if not, it may still be stored later."""
        # A busy greenlet may be woken after its time although the receipt was settled before.
        return self._event.wait(timeout_sec) or self._is_settled


Refusal = tuple[Entry, str]


@dataclass(frozen=True, slots=True)
class NotStored:
    """The entries of a batch that its transaction settles without storing them."""

    refused: list[Refusal] = field(default_factory=list)
    """Those that the database has refused, and why."""
    duplicates: list[Entry] = field(default_factory=list)
    """Those that repeat a stored one."""


def entry_of(
    stations: Stations,
    reading: Reading,
    arrived_ms: int = 0,
    key: str = "",
    repeat_window_ms: int = 0,
) -> Entry:
    """The reading as an entry that has no number yet, with the counters of its warnings."""
    warned: tuple[str, ...] = ()
    if reading.warnings:
        paths = warned_paths(stations.by_endpoint[reading.endpoint], reading.warnings)
        warned = tuple(warnings_of(reading.endpoint) + path for path in paths)
    return Entry(row_of(stations, reading), warned, 0, arrived_ms, key, repeat_window_ms)


def count(connection: Connection, names: Iterable[str]) -> None:
    """Raise each counter by the number of times that it is named."""
    for name, times in Counter(names).items():
        counters.add(connection, name, times)


def insert_all(connection: Connection, entries: Sequence[Entry], settings: Settings) -> NotStored:
    """Insert a batch at once; raises when the database refuses a row of it."""
    keys = AcceptedKeys(connection, {entry.key for entry in entries})
    new: list[Entry] = []
    duplicates: list[Entry] = []
    for entry in entries:
        if keys.has(entry):
            duplicates.append(entry)
        else:
            keys.add(entry)
            new.append(entry)
    if new:
        insert_rows(connection, settings.stations, [entry.row for entry in new])
    count(connection, (name for entry in new for name in entry.warned))
    keys.write(settings.idempotency_max_rows)
    return NotStored(duplicates=duplicates)


def insert_each(connection: Connection, entries: Sequence[Entry], settings: Settings) -> NotStored:
    """Insert row by row; a row that the database refuses is kept among the rejected readings.

    It must be the first to write in its transaction: after a trigger's RAISE(ROLLBACK) it starts
    over. Raises an error of the store; then the transaction is lost.
    """
    refused: list[Refusal] = []
    while (duplicates := _insert_others(connection, entries, refused, settings)) is None:
        pass
    if refused:
        _keep(connection, refused, settings)
    return NotStored(refused, duplicates)


def _insert_others(
    connection: Connection, entries: Sequence[Entry], refused: list[Refusal], settings: Settings
) -> list[Entry] | None:
    """Insert the entries that are not among the refused ones; return the duplicates.

    Return None if a new refusal has undone the transaction, which is begun again. A refused entry
    leaves no key, so the next entry with its key is no repeat.
    """
    refused_ids = {id(entry) for entry, _ in refused}
    keys = AcceptedKeys(connection, {entry.key for entry in entries})
    duplicates: list[Entry] = []
    for entry in entries:
        if id(entry) in refused_ids:
            continue
        stored = insert_one(connection, settings.stations, entry, keys)
        if stored is None:
            duplicates.append(entry)
        elif isinstance(stored, Exception):
            refused.append((entry, reason_of(stored)))
            if dialects.statements_of(connection).begin_again(connection):
                return None
    keys.write(settings.idempotency_max_rows)
    return duplicates


def insert_one(
    connection: Connection, stations: Stations, entry: Entry, keys: AcceptedKeys
) -> int | Exception | None:
    """Insert one entry, and return its id; None if it is a duplicate.

    Return the error if the database refuses the row; it may also have ended the transaction. Raises
    an error of the store.
    """
    if keys.has(entry):
        return None
    try:
        number = insert_row(connection, stations, entry.row)
    except Exception as error:
        if kind_of(error) == "store":
            raise
        return error
    keys.add(entry)
    count(connection, entry.warned)
    return number


def log_refusals(refused: Iterable[Refusal]) -> None:
    """Log the rows of a committed batch that the database has refused."""
    for entry, reason in refused:
        row = json.dumps(entry.row)
        log.error("Database refused a reading (%s), it is among the rejected: %s", reason, row)


def _keep(connection: Connection, refused: Sequence[Refusal], settings: Settings) -> None:
    try:
        readings = [_refused(settings.stations, entry, reason) for entry, reason in refused]
        with dialects.statements_of(connection).attempt(connection):
            evicted = 0
            if rejected.keep(connection, readings, settings).is_count_due:
                evicted = rejected.evict(connection, rejected.surplus(connection, settings))
    except Exception as error:
        if kind_of(error) == "store" or dialects.statements_of(connection).begin_again(connection):
            raise
        # A trigger of the operator refuses these, too; the writer's log line remains.
        log.error("Database refused to keep refused readings: %s", reason_of(error))
    else:
        counters.add(connection, rejected.EVICTED, evicted)


def _refused(stations: Stations, entry: Entry, reason: str) -> RejectedReading:
    """The entry with a body that its row may have come from; without its station, by columns."""
    row = entry.row
    endpoint = row["endpoint"]
    if station := stations.by_endpoint.get(endpoint):
        payload = nested(station, map(row.get, station.columns))
    else:
        payload = {name: value for name, value in row.items() if name not in HEAD}
    body = json.dumps(payload).encode()
    reasons = {"database": Reason("database", words=reason)}
    return RejectedReading(
        endpoint,
        entry.arrived_at,
        "application/json",
        body,
        reasons,
        measured_at=row["received_at"] if "arrived_at" in row else None,
        key=entry.lasting_key,
    )
