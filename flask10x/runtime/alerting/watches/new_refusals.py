"""The readings that were refused since the last step: one look for all rules that go by them."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, Select, select

from flask10x.alerts.alert import Moment
from flask10x.database.dialects import last_id
from flask10x.database.engine import Database
from flask10x.database.tables import rejected
from flask10x.recording import reason_codes
from flask10x.system.gauges import Gauges

# They are stored at most every 5 s (`recording/rejected_queue.py`).
LOOK_PAUSE_MS = 5000
# Also when no worker has counted any: a killed one may have.
LOOK_EVERY_MS = 60_000
# How many ids one step looks through, and how many of the newest are given at the first step.
SPAN_ROWS = 500
REPLAYED_ROWS = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedReading:
    """One refused reading of a station."""

    endpoint: str
    received_at: int
    """When it came, in UTC epoch milliseconds."""
    measured_at: int
    """When it was measured; the same for one that has not said so."""
    reasons: Mapping[str, str]
    """As `recording.rejected.Kept`."""
    hint: str


class NewRefusals:
    """What some rules look at; make one for all of them."""

    def __init__(self, database: Database, gauges: Gauges, endpoints: Collection[str]) -> None:
        """Of these stations. Refused readings that no station has are none of them."""
        self._database = database
        self._gauges = gauges
        self._endpoints = tuple(endpoints)
        self._moment: Moment | None = None
        self._found: Sequence[RefusedReading] = ()
        self._error: Exception | None = None
        self._last_id: int | None = None
        self._counted = -1
        self._look_at_ms = 0
        self._soon_ms = 0
        self._has_more = False

    def of(self, now: Moment) -> Sequence[RefusedReading]:
        """What is new at this step, oldest first; the same for whoever asks at it.

        Raises as a query does.
        """
        if now is not self._moment:
            self._moment = now
            self._found, self._error = (), None
            try:
                self._found = self._look() if self._is_time(now) else ()
            except Exception as error:
                self._error = error
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._found

    def _is_time(self, now: Moment) -> bool:
        if self._last_id is None:
            return True
        if now.monotonic_ms < self._soon_ms:
            return False
        self._soon_ms = now.monotonic_ms + LOOK_PAUSE_MS
        counted = sum(self._gauges.station_totals(name).refused for name in self._endpoints)
        is_time = self._has_more or now.monotonic_ms >= self._look_at_ms
        if counted != self._counted:
            # What was counted may be stored only after the next look.
            is_time = self._has_more = True
        else:
            self._has_more = False
        self._counted = counted
        if is_time:
            self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
        return is_time

    def _look(self) -> list[RefusedReading]:
        with self._database.query() as connection:
            head = last_id(connection, "rejected")
            if self._last_id is None:
                after, until = head - REPLAYED_ROWS, head
            else:
                after, until = self._last_id, min(head, self._last_id + SPAN_ROWS)
            found = [_refusal(row) for row in connection.execute(self._between(after, until))]
        self._last_id = until
        self._has_more = self._has_more or until < head
        return found

    def _between(self, after: int, until: int) -> Select[tuple[str, int, int, str, str, str]]:
        columns = rejected.c
        return (
            select(
                *(columns.endpoint, columns.received_at, columns.measured_at),
                *(columns.reasons, columns.hint, columns.codes),
            )
            .where(columns.id > after, columns.id <= until)
            .where(columns.endpoint.in_(self._endpoints))
            .order_by(columns.id)
        )


def _refusal(row: Row[tuple[str, int, int, str, str, str]]) -> RefusedReading:
    reasons, hint = reason_codes.with_codes(json.loads(row.reasons), row.hint, row.codes)
    return RefusedReading(
        endpoint=row.endpoint,
        received_at=row.received_at,
        measured_at=row.received_at if row.measured_at is None else row.measured_at,
        reasons=reasons,
        hint=hint,
    )
