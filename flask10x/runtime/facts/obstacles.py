"""Why readings can't be stored now: what `/readyz`, the rule `database` and `/status` say."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.errors import LockTimeout
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges

Kind = Literal["damaged", "suspected", "dead", "full", "trouble", "elsewhere", "unwritable"]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that keeps readings from being stored."""

    kind: Kind
    text: str
    """In English, for programs and messages."""
    reason: str = ""
    """What the database or the disk has said, where it is that; else empty."""


def obstacles(database: Database, writer: Writer, gauges: Gauges) -> list[Obstacle]:
    """All that are known; when there are none, whether the database takes a write lock now.

    That may wait for as long as a commit does; nothing is written. Empty when readings are stored.
    """
    return known(database, writer, gauges) or _unwritable(database)


def known(database: Database, writer: Writer, gauges: Gauges) -> list[Obstacle]:
    """Those that some worker has met already: a look into memory only."""
    damage = database.damage
    if obstacle := damage.obstacle:
        if damage.known:
            return [Obstacle("damaged", obstacle, damage.reason)]
        return [Obstacle("suspected", obstacle, damage.suspicion)]
    found = []
    if writer.dead:
        found.append(Obstacle("dead", "the writer thread has died"))
    if writer.full:
        text = f"the queue is full: {writer.depth} readings wait"
        found.append(Obstacle("full", text))
    if writer.trouble and not writer.dead:
        text = f"readings cannot be stored: {writer.trouble}"
        found.append(Obstacle("trouble", text, writer.trouble))
    if not found and gauges.trouble():
        found.append(Obstacle("elsewhere", "another worker cannot store readings"))
    return found


def _unwritable(database: Database) -> list[Obstacle]:
    try:
        with database.promptly():
            database.probe()
    except (DBAPIError, TimeoutError, LockTimeout) as error:
        reason = reason_of(error)
        return [Obstacle("unwritable", f"the database cannot be written: {reason}", reason)]
    return []
