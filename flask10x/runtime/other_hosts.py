"""The readings that stations send to other hosts of the same database.

The gauges of a host have the time of the last reading of each station, by the monotonic clock;
silence, alerts and pages use them. So every few seconds the newest readings are queried, by id, and
one that came to another host is noted as if it had come here: at the earliest at the time of the
last query, for the clock of the other host may be wrong.
"""

from collections.abc import Callable, Collection

from sqlalchemy import bindparam, exists, func, select

from flask10x.database.database import Database, all_rows
from flask10x.database.dialects import last_id
from flask10x.database.tables import ARRIVAL, imports, readings
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
        monotonic_ms: Callable[[], int] = clock.monotonic_ms,
    ) -> None:
        """Watch these stations. `monotonic_ms` returns milliseconds."""
        self._database = database
        self._gauges = gauges
        self._endpoints = frozenset(endpoints)
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
        newest: list[tuple[str, int]] = []
        with self._database.query() as connection:
            head = last_id(connection)
            if self._last_id is not None and head > self._last_id:
                after = max(self._last_id, head - SPAN_ROWS)
                newest = all_rows(connection, _RECEIVED, {"after": after, "until": head})
        for endpoint, received_at in newest:
            if endpoint not in self._endpoints:
                continue
            now_ms, age_ms = self._monotonic_ms(), clock.now_ms() - received_at
            received_ms = now_ms - min(max(age_ms, 0), now_ms - self._looked_ms)
            if received_ms > self._gauges.station(endpoint).last_received_ms:
                self._gauges.note_received(endpoint, received_ms)
        self._last_id, self._looked_ms = head, began_ms
        return True


# First by themselves: a table without a fitting index beside them makes all plans of PostgreSQL 17
# cost the same where tables are not to be read whole, and it has read an index of all readings.
_NEW = (
    select(readings.c.id, readings.c.endpoint, ARRIVAL.label("at"))
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
