"""The readings that stations send to other hosts of the same database.

The gauges of a host have the time of the last reading of each station, by the monotonic clock;
silence, alerts and pages use them. So every few seconds the newest readings are queried, by id, and
one that came to another host is noted as if it had come here: at the earliest at the time of the
last query, for the clock of the other host may be wrong.
"""

from collections.abc import Callable, Collection

from sqlalchemy import Connection, bindparam, exists, func, select

from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.tables import imports, readings
from flask10x.system import clock
from flask10x.system.gauges import Gauges

# Shorter than any limit of silence that makes sense.
LOOK_EVERY_MS = 5_000
# How many ids one query goes through, the newest ones.
SPAN_ROWS = 20_000


class OtherHosts:
    """A periodic task of one worker of each host."""

    def __init__(
        self,
        database: Database,
        gauges: Gauges,
        endpoints: Collection[str],
        now_ms: Callable[[], int] = clock.now_ms,
        monotonic_ms: Callable[[], int] = clock.monotonic_ms,
    ) -> None:
        """Watch these stations. Both clocks return milliseconds."""
        self._database = database
        self._gauges = gauges
        self._endpoints = frozenset(endpoints)
        self._now_ms = now_ms
        self._monotonic_ms = monotonic_ms
        self._last_id: int | None = None
        self._looked_ms = 0
        self._look_at_ms = 0

    def step(self) -> bool:
        """Make the query if it is time; raises what a query raises."""
        began_ms = self._monotonic_ms()
        if began_ms < self._look_at_ms:
            return False
        self._look_at_ms = began_ms + LOOK_EVERY_MS
        with self._database.query() as connection:
            head = last_id(connection)
            newest = self._new(connection, head)
        for endpoint, received_at in newest:
            if endpoint in self._endpoints:
                self._note(endpoint, self._now_ms() - received_at)
        self._last_id, self._looked_ms = head, began_ms
        return True

    def _new(self, connection: Connection, head: int) -> list[tuple[str, int]]:
        if self._last_id is None or head <= self._last_id:
            return []
        after = max(self._last_id, head - SPAN_ROWS)
        rows = connection.execute(_RECEIVED, {"after": after, "until": head})
        return [(row.endpoint, row.received_at) for row in rows]

    def _note(self, endpoint: str, age_ms: int) -> None:
        now_ms = self._monotonic_ms()
        received_ms = now_ms - min(max(age_ms, 0), now_ms - self._looked_ms)
        if received_ms > self._gauges.station(endpoint).last_received_ms:
            self._gauges.note_received(endpoint, received_ms)


_AT = func.coalesce(readings.c.arrived_at, readings.c.received_at)
# First by themselves: a table without a fitting index beside them makes all plans of PostgreSQL 17
# cost the same where tables are not to be read whole, and it has read an index of all readings.
_NEW = (
    select(readings.c.id, readings.c.endpoint, _AT.label("at"))
    .where(readings.c.id > bindparam("after"), readings.c.id <= bindparam("until"))
    .cte("new")
    .prefix_with("MATERIALIZED")
)
_IMPORTED = exists().where(_NEW.c.id.between(imports.c.first_id, imports.c.last_id))
_RECEIVED = (
    select(_NEW.c.endpoint, func.max(_NEW.c.at).label("received_at"))
    .where(~_IMPORTED)
    .group_by(_NEW.c.endpoint)
)
