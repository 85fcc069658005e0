"""One service for each database: the lock that says so."""

import os
import time

from flask10x.errors import ServiceRunning
from flask10x.locks import FileLock, lock_path
from flask10x.settings import Settings
from flask10x.sqlite import database_path

# The workers of a master that was killed keep the lock until they have stored what they had;
# they notice within a second or two, and never stay longer than the drain.
ORPHANS_TIMEOUT_SEC = 30.0
POLL_SEC = 0.1


def hold_database(settings: Settings) -> FileLock:
    """The lock of the running service; keep it until the process ends.

    Raises ServiceRunning when another service has this database, and OSError when its folder
    can't be made or written.
    """
    path = database_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_path(path, "service"))
    deadline = time.monotonic() + ORPHANS_TIMEOUT_SEC
    while not lock.try_acquire():
        holder = lock.noted()
        if _alive(holder) or time.monotonic() >= deadline:
            lock.close()
            raise ServiceRunning(
                f"another Flask10X service (process {holder or 'unknown'}) already uses {path};"
                " stop it first, or give this one its own FLASK10X_DATA_DIR"
            )
        time.sleep(POLL_SEC)
    lock.note(f"{os.getpid()}\n")
    return lock


def _alive(pid: str) -> bool:
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
