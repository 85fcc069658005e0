"""What a server says of itself: its version, how it keeps texts, who has what it has committed."""

from dataclasses import dataclass

from sqlalchemy import Connection

# The first and the last version that this program was run on.
VERSIONS = (15, 17)
ENCODING = "UTF8"
_VERSION = "SELECT current_setting('server_version'), current_setting('server_version_num')::bigint"
# Columns of others' connections are NULL for whoever may not see them: `pg_monitor` may
# (https://www.postgresql.org/docs/17/monitoring-stats.html).
_STANDBYS = """
    SELECT current_setting('synchronous_standby_names') <> '',
           count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')),
           count(*) FILTER (WHERE sync_state IS NULL)
    FROM pg_stat_replication
"""


@dataclass(frozen=True, slots=True)
class Standbys:
    """Whether a commit waits for another machine."""

    are_asked_for: bool
    """Whether the server has to have one for a commit (`synchronous_standby_names`)."""
    synchronous: int
    """How many follow now for which a commit waits."""
    hidden: int
    """How many follow of which this user may not see that."""


def version(connection: Connection) -> tuple[str, int]:
    """The version as the server writes it, and its first number."""
    text, number = connection.exec_driver_sql(_VERSION).one()
    return str(text), int(number) // 10_000


def encoding(connection: Connection) -> str:
    """How the database keeps texts; ENCODING is the only one that has all."""
    return str(connection.exec_driver_sql("SHOW server_encoding").scalar_one())


def standbys(connection: Connection) -> Standbys:
    """Who follows the server for the sake of its commits."""
    return Standbys(*connection.exec_driver_sql(_STANDBYS).one())


def size_bytes(connection: Connection) -> int:
    """How much the database takes on the server's disk."""
    size = "SELECT pg_database_size(current_database())"
    return int(connection.exec_driver_sql(size).scalar_one())
