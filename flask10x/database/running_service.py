"""One service for each database: the lock that says so, and what the running one answers."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from gettext import gettext as _
from http.client import HTTPConnection, HTTPException
from typing import Any

from flask10x.config.settings import EVERYWHERE, PREFIX, Settings, process_user
from flask10x.database.paths import database_path
from flask10x.errors import ServiceError, ServiceRunning, SettingsError
from flask10x.system.locks import FileLock, lock_path, note_of_holder
from flask10x.system.unix_http import UnixConnection

# The workers of a master that was killed keep the lock until they have stored what they had;
# they notice within a second or two, and never stay longer than the drain.
ORPHANS_TIMEOUT_SEC = 30.0
POLL_SEC = 0.1
# It answers in milliseconds; half of this is what a sender with a short temper waits.
ANSWER_TIMEOUT_SEC = 5.0

# The exit status of `flask10x migrate` when the database is damaged. The service starts anyway and
# answers 503 with the reason. It is here, because the master does not load Alembic.
DAMAGED_STATUS = 4
DAMAGED = "flask10x: the database is damaged: "


@dataclass(frozen=True, slots=True)
class Running:
    """The service that holds a database now: its process, its BIND, when it began (epoch)."""

    pid: str
    bind: str
    since: float

    def ask(self, path: str) -> dict[str, Any]:
        """The JSON object that it answers, whatever the status.

        Raises ServiceError when it gives no such answer within some seconds.
        """
        # A name that ALLOWED_HOSTS never refuses, whatever BIND calls this machine.
        headers = {"Connection": "close", "Host": "localhost"}
        try:
            with closing(connection_to(self.bind)) as connection:
                connection.request("GET", path, headers=headers)
                answer = json.loads(connection.getresponse().read())
        except (OSError, ValueError, HTTPException) as error:
            text = _("no answer from {address}: {reason}")
            raise ServiceError(
                text.format(address=f"{self.bind}{path}", reason=repr(error))
            ) from None
        if not isinstance(answer, dict):
            text = _("no object from {address}: {answer}")
            raise ServiceError(text.format(address=f"{self.bind}{path}", answer=f"{answer!r:.100}"))
        return answer

    def oldest_waiting_sec(self) -> float | None:
        """How long the reading that waits longest to be stored has waited; None when none waits.

        Readings accepted before that one are stored. Raises ServiceError as `ask` does.
        """
        answer = self.ask("/readyz")
        if "queue_oldest_seconds" not in answer:
            text = _("{address} says: {answer}")
            raise ServiceError(text.format(address=f"{self.bind}/readyz", answer=answer))
        seconds: float | None = answer["queue_oldest_seconds"]
        return seconds


def connection_to(bind: str, timeout_sec: float = ANSWER_TIMEOUT_SEC) -> HTTPConnection:
    """A connection, made at its first request, to a service on this machine with this BIND."""
    if bind.startswith("unix:"):
        return UnixConnection(bind.removeprefix("unix:"), timeout_sec)
    host, _, port = bind.rpartition(":")
    host = EVERYWHERE.get(host, host).strip("[]")
    return HTTPConnection(host, int(port), timeout=timeout_sec)


def running(settings: Settings) -> Running | None:
    """The service that has this database now, or None.

    Also works where nothing may be written; raises OSError when the lock can't be read.
    """
    note = note_of_holder(lock_path(database_path(settings), "service"))
    if note is None:
        return None
    pid, _, bind = note.text.partition(" ")
    return Running(pid, bind or settings.bind, note.written_at)


def hold_database(settings: Settings) -> FileLock:
    """The lock of the running service; keep it until the process ends.

    Raises ServiceRunning when another service has this database, and SettingsError when its
    folder can't be made or written.
    """
    path = database_path(settings)
    with naming_the_setting(settings):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_path(path, "service"))
    deadline = time.monotonic() + ORPHANS_TIMEOUT_SEC
    while not lock.try_acquire():
        holder = lock.line().partition(" ")[0]
        if _alive(holder) or time.monotonic() >= deadline:
            lock.close()
            text = _(
                "another Flask10X service (process {process}) already uses {path}; stop it first,"
                " or give this one its own FLASK10X_DATA_DIR"
            )
            raise ServiceRunning(text.format(process=holder or _("unknown"), path=path))
        time.sleep(POLL_SEC)
    lock.note(f"{os.getpid()} {settings.bind}\n")
    return lock


@contextmanager
def naming_the_setting(settings: Settings) -> Iterator[None]:
    """Turn an OSError of the database's folder into a SettingsError that says what to change."""
    try:
        yield
    except OSError as error:
        name, value = f"{PREFIX}DATA_DIR", str(settings.data_dir)
        if settings.data_dir not in database_path(settings).parents:
            name, value = f"{PREFIX}DATABASE_URL", settings.database_url
        text = _("{setting} is {value}: user {user} cannot write there: {reason}")
        if isinstance(error, FileExistsError | NotADirectoryError):
            text = _("{setting} is {value}: a file is in the place of a folder: {reason}")
        raise SettingsError(
            text.format(setting=name, value=value, user=process_user(), reason=error)
        ) from error


def _alive(pid: str) -> bool:
    if not pid.isdigit():
        # A holder that has not noted itself yet, or `check` looking whether there is one.
        return False
    try:
        with suppress(PermissionError):
            os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True
