"""What the primary says of itself and of its standbys, as far as the role may see it.

Of the standbys a role without `pg_monitor` sees only that they are there
(https://www.postgresql.org/docs/17/monitoring-stats.html).
"""

import re
from dataclasses import dataclass

from sqlalchemy import Connection, text

# As `synchronous_standby_names` says how many have to have a commit; without a number one has to.
_NUMBER = re.compile(r"\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\(", re.IGNORECASE)
# `quorum`: as many of those as have to.
SYNCHRONOUS = ("sync", "quorum")
_PRIMARY = text("""
SELECT host(inet_server_addr()), inet_server_port(), current_setting('server_version'),
       current_setting('synchronous_standby_names'), pg_database_size(current_database()),
       pg_is_in_recovery()
""")
# What is not yet on the standby's disk: after that a synchronous COMMIT returns.
_STANDBYS = text("""
SELECT application_name, state, sync_state, extract(epoch FROM flush_lag)::float8,
       (CASE WHEN pg_is_in_recovery() THEN NULL
             ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn) END)::bigint
FROM pg_stat_replication ORDER BY application_name, pid
""")


@dataclass(frozen=True, slots=True)
class Standby:
    """One server that follows; None stands for what the role may not see, or what is not known."""

    name: str
    state: str | None
    sync: str | None
    lag_sec: float | None
    lag_bytes: int | None

    @property
    def is_synchronous(self) -> bool:
        """Whether a synchronous commit waits for it, and it answers."""
        return self.state == "streaming" and self.sync in SYNCHRONOUS


@dataclass(frozen=True, kw_only=True, slots=True)
class Primary:
    """The server that is written to, or a standby in its place."""

    host: str | None
    """Its address as it is known there; None where it is reached by a file."""
    port: int | None
    version: str
    database_bytes: int
    waits_for: int
    """How many standbys a synchronous commit waits for; 0: for none."""
    standbys: tuple[Standby, ...]
    is_standby: bool = False
    """Whether it follows another one, and takes no writes."""

    @property
    def hidden(self) -> bool:
        """Whether the role may not see more of the standbys than that they are there."""
        return any(standby.state is None for standby in self.standbys)

    @property
    def synchronous(self) -> int:
        """How many of them have what is committed synchronously; those that are seen."""
        return sum(standby.is_synchronous for standby in self.standbys)

    @property
    def commits_wait(self) -> bool:
        """Whether a synchronous commit waits until another standby comes."""
        seen = len(self.standbys) if self.hidden else self.synchronous
        return seen < self.waits_for

    @property
    def place(self) -> str:
        """`10.0.0.5:5432`."""
        return f"{self.host or 'a socket'}:{self.port}" if self.port else "a socket"


def primary(connection: Connection) -> Primary:
    """What is known now; raises what reading raises."""
    host, port, version, names, size, is_standby = connection.execute(_PRIMARY).one()
    return Primary(
        host=host,
        port=port,
        version=version,
        database_bytes=size,
        waits_for=wanted(names),
        standbys=tuple(Standby(*row) for row in connection.execute(_STANDBYS)),
        is_standby=is_standby,
    )


def wanted(names: str) -> int:
    """How many standbys have to have a commit where `synchronous_standby_names` is this."""
    if not names.strip():
        return 0
    found = _NUMBER.match(names)
    return int(found[1]) if found else 1
