"""The database as the service has it: its first reading, what keeps readings out, its server."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.database.server import Primary
from flask10x.database.tables import ARRIVAL, imports, readings
from flask10x.errors import LockTimeout
from flask10x.health.words import SERVER
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges


class Import(NamedTuple):
    """The ids of readings that came from a file, and when they came."""

    endpoint: str
    file: str
    first_id: int
    last_id: int
    imported_at: int
    """UTC epoch milliseconds."""


_IMPORTS = select(*(imports.c[name] for name in Import._fields)).order_by(imports.c.first_id)


class FirstReading(NamedTuple):
    """The oldest stored reading that a station has sent."""

    id: int
    came_at: int
    """When it came, in UTC epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first reading of the database, and its imports."""

    first: FirstReading | None
    """None while all readings came from files."""
    imports: tuple[Import, ...]

    @property
    def at(self) -> int | None:
        """When the first reading came or the first import was made, in UTC epoch milliseconds.

        None while there was neither.
        """
        first = [] if self.first is None else [self.first.came_at]
        return min([*first, *(each.imported_at for each in self.imports)], default=None)

    def imported(self, from_id: int) -> int:
        """Return how many of the readings from this id on were imported from files."""
        return sum(
            imported.last_id - max(imported.first_id, from_id) + 1
            for imported in self.imports
            if imported.last_id >= from_id
        )


def beginning(connection: Connection) -> Beginning:
    """Query the beginning; raises what a query raises. A look-up in the index for each import."""
    rows = imports_of(connection)
    query = select(readings.c.id, ARRIVAL).order_by(readings.c.id).limit(1)
    passed = 0
    for imported in rows:
        # Between two imports there may be ids without a reading.
        if imported.first_id > passed + 1:
            between = query.where(readings.c.id > passed, readings.c.id < imported.first_id)
            if row := connection.execute(between).one_or_none():
                return Beginning(FirstReading(*row), rows)
        passed = max(passed, imported.last_id)
    row = connection.execute(query.where(readings.c.id > passed)).one_or_none()
    return Beginning(FirstReading(*row) if row else None, rows)


def imports_of(connection: Connection) -> tuple[Import, ...]:
    """Return all imports, in the order of their ids."""
    return tuple(map(Import._make, connection.execute(_IMPORTS).all()))


Kind = Literal[
    "missing",
    "unreachable",
    "damaged",
    "suspected",
    "dead",
    "full",
    "trouble",
    "elsewhere",
    "unwritable",
]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that keeps readings from being stored."""

    kind: Kind
    text: str
    """The text in English, for programs and messages."""
    reason: str = ""
    """The error of the database or the disk, where there is one; else empty."""


def obstacles(database: Database, writer: Writer, gauges: Gauges) -> list[Obstacle]:
    """Return what keeps readings from being stored; empty when they are stored.

    Without a known obstacle it tries to get a write lock, which may wait as long as a commit, and
    writes nothing.
    """
    if known := obstacles_met(database, writer, gauges):
        return known
    try:
        with database.promptly():
            database.probe()
    except (DBAPIError, TimeoutError, LockTimeout) as error:
        reason = reason_of(error)
        return [Obstacle("unwritable", f"the database cannot be written: {reason}", reason)]
    return []


def obstacles_met(database: Database, writer: Writer, gauges: Gauges) -> list[Obstacle]:
    """Return the obstacles that some worker has met; it only reads memory."""
    damage = database.damage
    if obstacle := damage.obstacle:
        if damage.is_damaged:
            return [Obstacle("damaged", obstacle, damage.reason)]
        return [Obstacle("suspected", obstacle, damage.suspicion)]
    met = []
    if writer.dead:
        met.append(Obstacle("dead", "the writer thread has died"))
    if writer.full:
        met.append(Obstacle("full", f"the queue is full: {writer.depth} readings wait"))
    if writer.trouble and not writer.dead:
        text = f"readings cannot be stored: {writer.trouble}"
        met.append(Obstacle("trouble", text, writer.trouble))
    if not met and gauges.trouble():
        met.append(Obstacle("elsewhere", "another worker cannot store readings"))
    return met


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice about the server; programs get it in English."""

    name: str
    """Its key in `words.SERVER`."""
    values: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return SERVER[self.name].format(**self.values)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerState:
    """The state of the database server."""

    primary: Primary | None = None
    reason: str = ""
    """Why it is not known; empty when it is."""
    is_synchronous: bool = False
    """Whether commits wait for standbys, where there are any."""

    @property
    def obstacles(self) -> list[Notice]:
        """The reasons why commits do not end."""
        primary = self.primary
        if primary is not None and primary.is_standby:
            return [Notice("standby")]
        if primary is None or not self.is_synchronous or not primary.commits_wait:
            return []
        standbys = len(primary.standbys) if primary.hidden else primary.synchronous
        return [Notice("commits_wait", {"found": standbys, "wanted": primary.waits_for})]

    @property
    def warnings(self) -> list[Notice]:
        """The risks that show only when a machine fails."""
        primary = self.primary
        if primary is None or primary.is_standby or not self.is_synchronous:
            return []
        notices = [] if primary.waits_for else [Notice("one_machine")]
        return [*notices, Notice("hidden")] if primary.hidden else notices

    def as_json(self) -> dict[str, Any]:
        """Return the object for `/readyz`."""
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
    """Return the state now, without a query when the server is known not to answer.

    None for a database that is a file.
    """
    if database.server is None:
        return None
    if reason := database.no_answer:
        return ServerState(reason=reason)
    try:
        with database.promptly(), database.query() as connection:
            primary = database.server.primary(connection)
    except (DBAPIError, TimeoutError, QueryTooLong) as error:
        return ServerState(reason=reason_of(error))
    return ServerState(primary=primary, is_synchronous=settings.commits_synchronously)
