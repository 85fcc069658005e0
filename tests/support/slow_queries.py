"""A database in which a query that looks through hundreds of readings lasts for minutes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event

from flask10x.database.expressions import LATER
from flask10x.database.postgres import connections as of_postgres
from flask10x.database.sqlite import connections as of_sqlite
from tests.support.databases import ON_POSTGRES

# So many a query may look at on PostgreSQL; and so long the others take there.
FEW_ROWS = 200
MINUTES_SEC = 600.0


class Clock:
    """Stands in for the `time` of `sqlite`: each look at it finds a second more."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds


class SlowQueries:
    """From when it is made until `end`, or until the test ends."""

    def __init__(self, patch: pytest.MonkeyPatch, steps: int = 100) -> None:
        """On SQLite each look at the clock comes after so many steps of a statement."""
        self.clock = Clock()
        self._patch = patch
        self._ended = False
        if ON_POSTGRES:
            self._hinder()
        else:
            patch.setattr(of_sqlite, "time", self.clock)
            patch.setattr(of_sqlite, "STEPS_BETWEEN_LOOKS", steps)

    def end(self) -> None:
        """From here on a query is as fast as it is."""
        self._ended = True
        self._patch.setattr(of_sqlite, "STEPS_BETWEEN_LOOKS", 100_000)

    def _hinder(self) -> None:
        plain = of_postgres.PostgresConnections.limit

        @contextmanager
        def limit(
            connections: of_postgres.PostgresConnections,
            connection: Connection,
            timeout_sec: float,
        ) -> Iterator[None]:
            with plain(connections, connection, timeout_sec):
                driver: Any = connection.connection.driver_connection
                has_waiting = False

                @event.listens_for(connection, "before_cursor_execute", retval=True)
                def hinder(*given: Any) -> tuple[str, Any]:
                    nonlocal has_waiting
                    statement, parameters, context = given[2:5]
                    # What waits for this one has its rows only if it goes with it.
                    if not has_waiting:
                        driver.send_waiting()
                    has_waiting = bool(context.execution_options.get(LATER))
                    is_slow = timeout_sec < MINUTES_SEC and not self._ended
                    if is_slow and rows_looked_at(driver, statement, parameters) > FEW_ROWS:
                        _run(driver, "SET LOCAL statement_timeout = 1")
                        return "SELECT pg_sleep(60)", {}
                    return statement, parameters

                yield

        self._patch.setattr(of_postgres.PostgresConnections, "limit", limit)


def rows_looked_at(driver: Any, statement: str, parameters: Any) -> int:
    """How many readings PostgreSQL looks at for a statement."""
    if not statement.lstrip().startswith(("SELECT", "WITH")):
        return 0
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
    # As on a large table: of one page of the disk the index would not be asked.
    for way in ("seqscan", "bitmapscan"):
        _run(driver, f"SET LOCAL enable_{way} = off")
    ((plan,),) = _run(driver, explain, parameters or None).fetchall()
    for way in ("seqscan", "bitmapscan"):
        _run(driver, f"SET LOCAL enable_{way} = on")
    return _of_readings(plan[0]["Plan"])


def _run(driver: Any, statement: str, parameters: Any = None) -> Any:
    # One of the connection's own cursors would send what waits.
    import psycopg  # noqa: PLC0415

    return psycopg.ClientCursor(driver).execute(statement.encode(), parameters)


def _of_readings(node: dict[str, Any]) -> int:
    found = 0
    if node.get("Relation Name") == "readings":
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        found = int(rows * node["Actual Loops"])
    return found + sum(_of_readings(part) for part in node.get("Plans", ()))
