"""What a server says of itself, as far as the role may see it; see `database.server.Server`.

Of the standbys a role without `pg_monitor` sees only that they are there
(https://www.postgresql.org/docs/17/monitoring-stats.html).
"""

import re

from sqlalchemy import Connection, text

from flask10x.database.server import Primary, Standby

VERSIONS = (15, 17)
ENCODING = "UTF8"
_VERSION = "SELECT current_setting('server_version'), current_setting('server_version_num')::bigint"
# As `synchronous_standby_names` says how many have to have a commit; without a number one has to.
_NUMBER = re.compile(r"\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\(", re.IGNORECASE)
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


def primary(connection: Connection) -> Primary:
    """What is known now; raises what reading raises."""
    host, port, version, names, size, is_standby = connection.execute(_PRIMARY).one()
    return Primary(
        host=host,
        port=port,
        version=version,
        database_bytes=size,
        waits_for=synchronous_standbys(names),
        standbys=tuple(Standby(*row) for row in connection.execute(_STANDBYS)),
        is_standby=is_standby,
    )


def synchronous_standbys(names: str) -> int:
    """How many standbys have to have a commit where `synchronous_standby_names` is this."""
    if not names.strip():
        return 0
    number = _NUMBER.match(names)
    return int(number[1]) if number else 1


def version(connection: Connection) -> tuple[str, int]:
    """The version as the server writes it, and its first number."""
    shown, number = connection.exec_driver_sql(_VERSION).one()
    return str(shown), int(number) // 10_000


def encoding(connection: Connection) -> str:
    """How the database keeps texts; ENCODING is the only one that has all."""
    return str(connection.exec_driver_sql("SHOW server_encoding").scalar_one())
