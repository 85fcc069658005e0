"""Litestream beside a database file: whether it carries the changes of the file to a replica.

Litestream (deploy/litestream/) is a program of its own. Beside the database it keeps the folder
`.NAME-litestream` and, as we configure it, a socket that answers what it does. Nothing here opens
the database.
"""

import json
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

from flask10x.system.unix_http import UnixConnection

SOCKET = "litestream.sock"
# It answers from memory; one that is stuck must not hold up a page.
ANSWER_WITHIN_SEC = 0.5
ANSWER_MAX_BYTES = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Replica:
    """How far the replica of a database file is."""

    is_running: bool
    """Whether Litestream answers."""
    synced_at: int | None
    """When the replica last had all that was committed, in UTC epoch milliseconds.

    As Litestream says; where it does not say so, a time up to which the replica has everything,
    some minutes early. None while nothing is known to be in it.
    """


def folder_beside(path: Path) -> Path:
    """Where Litestream keeps the changes that are on their way."""
    return path.with_name(f".{path.name}-litestream")


def is_used(path: Path) -> bool:
    """Whether Litestream has been started for this database and not been removed since."""
    return folder_beside(path).is_dir()


def replica_of(path: Path) -> Replica | None:
    """How far the replica of the database is; None without one. Raises OSError."""
    if not is_used(path):
        return None
    try:
        socket_path = path.with_name(SOCKET)
        with closing(UnixConnection(socket_path, ANSWER_WITHIN_SEC)) as connection:
            connection.request("GET", "/list")
            answer: Any = json.loads(connection.getresponse().read(ANSWER_MAX_BYTES))
        databases = answer["databases"]
        (own,) = (each for each in databases if Path(each["path"]).resolve() == path.resolve())
        said = own.get("last_sync_at")
        synced_at = int(datetime.fromisoformat(said).timestamp() * 1000) if said else None
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return Replica(is_running=False, synced_at=_known_synced_at(path))
    return Replica(is_running=True, synced_at=synced_at or _known_synced_at(path))


def _known_synced_at(path: Path) -> int | None:
    """Since when changes are kept here: all before them are in the replica.

    Litestream deletes a change here some minutes after the replica has it, never before.
    """
    times = []
    with suppress(FileNotFoundError):
        for file in (folder_beside(path) / "ltx" / "0").iterdir():
            with suppress(FileNotFoundError):
                times.append(file.stat().st_mtime_ns // 1_000_000)
    return min(times, default=None)
