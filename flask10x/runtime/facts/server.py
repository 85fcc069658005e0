"""The server of a database on PostgreSQL: which one it is, and on how many machines a commit is."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.database.server import Primary

NOTICES = {
    "one_machine": (
        "no synchronous standby: what is committed is on one machine (synchronous_standby_names is"
        " empty)"
    ),
    "commits_wait": (
        "commits wait for a synchronous standby: {found} of {wanted} that"
        " synchronous_standby_names asks for"
    ),
    "standby": (
        "this server is a standby, which takes no writes: name the primary in"
        " FLASK10X_DATABASE_URL, or all servers of the cluster"
    ),
    "hidden": (
        "what the standbys are at is hidden from this role: GRANT pg_monitor TO it to have it said"
        " here"
    ),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What programs and people are told of the server; programs in English."""

    name: str
    """Of NOTICES; the pages say it by this name in both languages."""
    values: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return NOTICES[self.name].format(**self.values)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerState:
    """What could be told."""

    primary: Primary | None = None
    reason: str = ""
    """Why nothing could."""
    is_synchronous: bool = False
    """Whether commits are to wait for standbys, where there are any to wait for."""

    @property
    def obstacles(self) -> list[Notice]:
        """What keeps commits from coming to an end."""
        known = self.primary
        if known is not None and known.is_standby:
            return [Notice("standby")]
        if known is None or not self.is_synchronous or not known.commits_wait:
            return []
        found = len(known.standbys) if known.hidden else known.synchronous
        return [Notice("commits_wait", {"found": found, "wanted": known.waits_for})]

    @property
    def warnings(self) -> list[Notice]:
        """What nobody notices before a machine dies."""
        known = self.primary
        if known is None or known.is_standby or not self.is_synchronous:
            return []
        found = [] if known.waits_for else [Notice("one_machine")]
        return [*found, Notice("hidden")] if known.hidden else found

    def as_json(self) -> dict[str, Any]:
        """As `/readyz` has it."""
        if self.primary is None:
            return {"engine": "postgresql", "reason": self.reason}
        return {
            "engine": "postgresql",
            "host": self.primary.host,
            "port": self.primary.port,
            "version": self.primary.version,
            "synchronous_standbys": None if self.primary.hidden else self.primary.synchronous,
            "standbys": [
                {
                    "name": standby.name or None,
                    "state": standby.state,
                    "sync": standby.sync,
                    "lag_seconds": standby.lag_sec,
                    "lag_bytes": standby.lag_bytes,
                }
                for standby in self.primary.standbys
            ],
        }


def server_state(settings: Settings, database: Database) -> ServerState | None:
    """What can be said now; it asks no server of which it is known that it does not answer.

    None for a database that is a file.
    """
    if database.server is None:
        return None
    if reason := database.no_answer:
        return ServerState(reason=reason)
    try:
        with database.promptly(), database.query() as connection:
            found = database.server.primary(connection)
    except (DBAPIError, TimeoutError, QueryTooLong) as error:
        return ServerState(reason=reason_of(error))
    return ServerState(primary=found, is_synchronous=settings.commits_synchronously)
