"""What a database server reports about itself: its standbys, and the history of its data."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection

# `quorum`: as many of those as have to.
SYNCHRONOUS = ("sync", "quorum")


@dataclass(frozen=True, slots=True)
class Origin:
    """The history of a database: after a failover it may be another one."""

    system_identifier: str
    """Of the cluster: one that was made from a dump has another one."""
    timeline: int
    """It counts the promotions of standbys."""

    def __str__(self) -> str:
        return f"{self.system_identifier}/{self.timeline}"


@dataclass(frozen=True, slots=True)
class Standby:
    """A server that follows; None means that the role may not see it, or that it is unknown."""

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
        present = len(self.standbys) if self.hidden else self.synchronous
        return present < self.waits_for

    @property
    def place(self) -> str:
        """`10.0.0.5:5432`."""
        return f"{self.host or 'a socket'}:{self.port}" if self.port else "a socket"


class Server(Protocol):
    """What can be asked of a server; raises what reading a database raises."""

    VERSIONS: tuple[int, int]
    """The first and the last version that this program was run on."""
    ENCODING: str
    """The only one that has all letters."""

    def primary(self, connection: "Connection") -> Primary:
        """The server and its standbys now."""

    def version(self, connection: "Connection") -> tuple[str, int]:
        """The version as the server writes it, and its first number."""

    def encoding(self, connection: "Connection") -> str:
        """How the database keeps texts."""
