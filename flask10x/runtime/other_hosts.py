"""What stations send to other hosts of the same database, which this host's workers do not hear.

The gauges of a host know when each station sent last, by a clock that nobody can set; silence,
alerts and pages go by them. So every few seconds the newest readings are looked through, by id, and
what has come by another host is noted as if it had come here: at the earliest at the last look, for
the clock of the other host may be wrong.
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
# What one look goes through; of more the newest tell when a station was heard last.
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
        """Of these stations. Both clocks give milliseconds."""
        self._database = database
        self._gauges = gauges
        self._endpoints = frozenset(endpoints)
        self._now_ms = now_ms
        self._monotonic_ms = monotonic_ms
        self._last_id: int | None = None
        self._looked_ms = 0
        self._look_at_ms = 0

    def step(self) -> bool:
        """Look if it is time; raises what a query raises."""
        began_ms = self._monotonic_ms()
        if began_ms < self._look_at_ms:
            return False
        self._look_at_ms = began_ms + LOOK_EVERY_MS
        with self._database.query() as connection:
            head = last_id(connection)
            found = self._new(connection, head)
        for endpoint, heard_at in found:
            if endpoint in self._endpoints:
                self._note(endpoint, self._now_ms() - heard_at)
        self._last_id, self._looked_ms = head, began_ms
        return True

    def _new(self, connection: Connection, head: int) -> list[tuple[str, int]]:
        if self._last_id is None or head <= self._last_id:
            return []
        after = max(self._last_id, head - SPAN_ROWS)
        rows = connection.execute(_HEARD, {"after": after, "until": head})
        return [(row.endpoint, row.heard_at) for row in rows]

    def _note(self, endpoint: str, age_ms: int) -> None:
        now_ms = self._monotonic_ms()
        heard_ms = now_ms - min(max(age_ms, 0), now_ms - self._looked_ms)
        if heard_ms > self._gauges.station(endpoint).last_received_ms:
            self._gauges.note_received(endpoint, heard_ms)


_IMPORTED = exists().where(readings.c.id.between(imports.c.first_id, imports.c.last_id))
_AT = func.coalesce(readings.c.arrived_at, readings.c.received_at)
_HEARD = (
    select(readings.c.endpoint, func.max(_AT).label("heard_at"))
    .where(readings.c.id > bindparam("after"), readings.c.id <= bindparam("until"))
    .where(~_IMPORTED)
    .group_by(readings.c.endpoint)
)
