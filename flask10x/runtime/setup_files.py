"""Files that pages of the setup have changed, on every host of a database.

Each change is also a row of `setup_files`. A host whose file is an older one of those takes the
newest. A file that was edited by hand there stays as it is, and a warning names it.
"""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from flask10x.config import settings as settings_file
from flask10x.config import station_file
from flask10x.config.alerts import file as alert_file
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.running_service import running
from flask10x.database.tables import setup_files
from flask10x.errors import LockTimeout, SettingsError
from flask10x.runtime.administrators import digest_of
from flask10x.system import clock, own_files

log = logging.getLogger(__name__)

# As many as each host keeps to be undone; a host that was away for longer is changed by hand.
KEPT = 50
# Two hosts may change a file in the same moment; the second number is then the next one.
TRIES = 3


class FileChange(NamedTuple):
    """A file that a page changes."""

    path: Path
    former: bytes | None
    """As it was; None: there was none."""
    data: bytes | None
    """As it becomes; None: it goes."""


def paths(settings: Settings) -> dict[str, Path]:
    """Return where this host has each file that pages change, whether or not it is there."""
    return {
        station_file.NAME: Path(settings.stations.file or settings.data_dir / station_file.NAME),
        alert_file.NAME: Path(settings.alerts.file or settings.data_dir / alert_file.NAME),
        settings_file.NAME: settings.data_dir / settings_file.NAME,
    }


def present(path: Path) -> bytes | None:
    """Return the bytes of the file; None where there is none. Raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def publish(settings: Settings, database: Database, change: FileChange) -> None:
    """Note the change for the other hosts, if there may be any; raises what a commit raises."""
    host = database.hosts.name
    names = [name for name, path in paths(settings).items() if path == change.path]
    if host is None or not names:
        return
    values = {
        "name": names[0],
        "host": host,
        "changed_at": clock.now_ms(),
        "former_digest": digest_of(change.former),
        "digest": digest_of(change.data),
        "content": None if change.data is None else change.data.decode(),
    }
    for left in reversed(range(TRIES)):
        try:
            with database.commit() as connection:
                _insert(connection, values)
        except IntegrityError:
            if not left:
                raise
        else:
            return


def _insert(connection: Connection, values: dict[str, object]) -> None:
    table = setup_files.c
    newest = select(func.max(table.number)).where(table.name == values["name"])
    number = (connection.execute(newest).scalar() or 0) + 1
    connection.execute(insert(setup_files).values(number=number, **values))
    old = (table.name == values["name"]) & (table.number <= number - KEPT)
    connection.execute(delete(setup_files).where(old))


def reload(settings: Settings) -> None:
    """Let the service that this worker belongs to read its files again.

    Does nothing where only a restart does that, as with a development server.
    """
    try:
        service = running(settings)
    except OSError:
        return
    # The workers' parent reloads by this signal.
    if service is not None and service.pid == str(os.getppid()):
        os.kill(os.getppid(), signal.SIGHUP)


class SetupFiles:
    """A periodic task of one worker of each host: it takes over what other hosts have changed."""

    def __init__(
        self, settings: Settings, database: Database, reload: Callable[[Settings], None] = reload
    ) -> None:
        self._settings = settings
        self._database = database
        self._reload = reload
        self._seen: dict[str, int] = {}

    def step(self) -> None:
        """Look at each file that was changed since; raises what a query raises, and OSError."""
        table = setup_files.c
        query = select(table.name, func.max(table.number)).group_by(table.name)
        with self._database.query() as connection:
            newest = {row[0]: row[1] for row in connection.execute(query)}
        if newest == self._seen:
            return
        is_taken = [
            self._take(name, path)
            for name, path in paths(self._settings).items()
            if newest.get(name) != self._seen.get(name)
        ]
        self._seen = newest
        if any(is_taken):
            self._reload(self._settings)

    def _take(self, name: str, path: Path) -> bool:
        """Whether the file of this host has become the newest one."""
        table = setup_files.c
        query = select(setup_files).where(table.name == name).order_by(table.number)
        with self._database.query() as connection:
            rows = connection.execute(query).all()
        former = present(path)
        digest, newest = digest_of(former), rows[-1]
        if digest == newest.digest:
            return False
        known = {row.digest for row in rows} | {row.former_digest for row in rows}
        if digest not in known:
            text = "%s was edited on this host; the change of %s is not taken over: make it by hand"
            log.warning(text, path, newest.host)
            return False
        data = None if newest.content is None else newest.content.encode()
        try:
            replace(FileChange(path, former, data))
        except (LockTimeout, SettingsError) as error:
            log.warning("The change of %s is not taken over: %s", newest.host, error)
            return False
        log.info("%s was changed as on %s", path, newest.host)
        return True


def replace(change: FileChange) -> None:
    """Put the file in place, with the former one beside it (`stations.toml.before`).

    Raises SettingsError when it was changed meanwhile, LockTimeout when another change of it takes
    too long, and OSError; then the file is as it was.
    """
    path, former = change.path, change.former
    own_files.replace(path, change.data, former, path.with_name(f"{path.name}.before"))
