"""Why readings can't be stored now, in words: what `/readyz` says."""

from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.errors import LockTimeout
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges


def obstacles(database: Database, writer: Writer, gauges: Gauges) -> list[str]:
    """All that are known; when there are none, whether the database takes a write lock now.

    That may wait for as long as a commit does; nothing is written. Empty when readings are stored.
    """
    return known(database, writer, gauges) or _unwritable(database)


def known(database: Database, writer: Writer, gauges: Gauges) -> list[str]:
    """Those that some worker has met already: a look into memory only."""
    if obstacle := database.damage.obstacle:
        return [obstacle]
    reasons = []
    if writer.dead:
        reasons.append("the writer thread has died")
    if writer.full:
        reasons.append(f"the queue is full: {writer.depth} readings wait")
    if writer.trouble and not writer.dead:
        reasons.append(f"readings cannot be stored: {writer.trouble}")
    if not reasons and gauges.trouble():
        reasons.append("another worker cannot store readings")
    return reasons


def _unwritable(database: Database) -> list[str]:
    try:
        with database.promptly():
            database.probe()
    except (DBAPIError, TimeoutError, LockTimeout) as error:
        return [f"the database cannot be written: {reason_of(error)}"]
    return []
