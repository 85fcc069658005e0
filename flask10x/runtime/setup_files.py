"""Files that pages of the setup have changed: file, list of changes and what is in force agree.

A change is noted first, then its file is written, then the service reads it. A process may be
killed anywhere in between, so once a second one worker of each host looks whether they agree.

On PostgreSQL each change is also a row of `setup_files`. A host whose file is an older one of those
takes the newest. A file that was edited by hand there stays as it is, and a warning names it.
"""

import logging
import os
import signal
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace as with_values
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from flask10x.config import settings as settings_file
from flask10x.config import station_file
from flask10x.config.alerts import file as alert_file
from flask10x.config.house import PARTS, SECRETS, House, paths, present
from flask10x.config.settings import Settings, process_user
from flask10x.config.toml import digest_of
from flask10x.database.database import Database
from flask10x.database.running_service import running
from flask10x.database.tables import setup_files
from flask10x.errors import LockTimeout, SettingsError
from flask10x.runtime.administrators import CHANGES, Administrators, Change
from flask10x.system import clock, own_files

log = logging.getLogger(__name__)

# As many as each host keeps to be undone; a host that was away for longer is changed by hand.
KEPT = 50
# Two hosts may change a file in the same moment; the second number is then the next one.
TRIES = 3
# A reload takes a second or two on a Pi. Who made a change has asked for one, unless it was killed.
RELOADED_SEC = 2.0


class FileChange(NamedTuple):
    """A file that a page changes."""

    path: Path
    former: bytes | None
    """As it was; None: there was none."""
    data: bytes | None
    """As it becomes; None: it goes."""


def write(settings: Settings, change: Change, file: FileChange) -> int:
    """Note the change as it is to become, and put its file in place; return its number.

    Raises LockTimeout, OSError, and SettingsError when the file was changed meanwhile; then file
    and note are as they were, or soon will be.
    """
    administrators = Administrators(settings)
    with administrators.changing():
        settle(administrators)
        number = administrators.note(with_values(change, is_settled=False))
        try:
            if file.data != file.former:
                replace(file)
        finally:
            # Or by the next look.
            with suppress(OSError):
                settle(administrators)
    return number


def put_house(
    settings: Settings, house: House, parts: Collection[str], name: str
) -> list[tuple[Path, bool]]:
    """Put these parts of a house in place, from the backup of this name.

    Returns the files that have changed, each with whether it replaced one, which is kept beside it.
    Pages can undo each change. Raises what `write` raises; then the parts before it are in place.
    """
    changed, places = [], paths(settings)
    for secret, content in house.secrets.items() if "alerts" in parts else ():
        path = settings.data_dir / SECRETS / secret
        if not path.exists():
            own_files.put_secret(path, content)
    for part in PARTS:
        path, data = places[PARTS[part]], house.files.get(part)
        former = present(path)
        if part not in parts or data == former:
            continue
        change = Change(
            number=0,
            at_ms=clock.now_ms(),
            browser=process_user(),
            kind="restored",
            name=name,
            path=str(path),
            before=None if former is None else former.decode(),
            after=digest_of(data),
        )
        write(settings, change, FileChange(path, former, data))
        changed.append((path, former is not None))
    return changed


def settle(administrators: Administrators) -> None:
    """Note what became of changes whose process was killed; raises OSError.

    If the file is as the change leaves it, it was written. Otherwise a new change is forgotten, and
    one that was to be undone stays. The caller keeps others from changing files.
    """
    for change in administrators.changes:
        digest = None if change.is_settled else _digest(Path(change.path))
        if digest == change.result:
            administrators.note(with_values(change, is_settled=True))
        elif digest and change.undone_ms is not None:
            administrators.note(with_values(change, undone_ms=None, is_settled=True))
        elif digest:
            administrators.forget(change)


def _digest(path: Path) -> str | None:
    """The SHA-256 of the file; None where it can't be read."""
    try:
        return digest_of(present(path))
    except SettingsError:
        return None


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes with each change of a file or folder; empty where it can't be looked at."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ino, found.st_size


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
    if is_reloaded(settings):
        # The workers' parent reloads by this signal.
        os.kill(os.getppid(), signal.SIGHUP)


def is_reloaded(settings: Settings) -> bool:
    """Return whether the service of this worker reads changed files again without a restart."""
    try:
        service = running(settings)
    except OSError:
        return False
    return service is not None and service.pid == str(os.getppid())


class SetupFiles:
    """A periodic task of one worker of each host: it ends what was begun on any of them."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        reload: Callable[[Settings], None] = reload,
    ) -> None:
        self._settings = settings
        self._database = database
        self._reload = reload
        self._folder = settings.data_dir / CHANGES
        self._in_force = {
            station_file.NAME: settings.stations.digest or digest_of(None),
            alert_file.NAME: settings.alerts.digest or digest_of(None),
            settings_file.NAME: settings.digest or digest_of(None),
        }
        self._seen: tuple[object, ...] = ()
        self._behind_since_sec: float | None = None
        # By path and SHA-256 of the file that each leaves.
        self._made: dict[tuple[Path, str], Change] = {}
        # Of each file: its digest when it was looked at last, and the number of all hosts' newest
        # change of it; and the digests of them all.
        self._looked: dict[str, tuple[str, int]] = {}
        self._known: dict[str, set[str]] = {}

    def step(self) -> None:
        """Look at what has changed; raises what a query raises, and OSError."""
        self._look_here()
        if self._database.hosts.name is not None:
            self._look_elsewhere()

    def _look_here(self) -> None:
        """Look at the files and changes of this host."""
        seen = tuple(map(_stamp, (*paths(self._settings).values(), self._folder)))
        if seen == self._seen and self._behind_since_sec is None:
            return
        try:
            self._made = self._settled()
        except LockTimeout:
            # A page is changing a file.
            return
        self._seen = seen
        if self._stays_behind():
            log.warning("What was set up is not in force yet: the service is asked to read it")
            self._reload(self._settings)

    def _settled(self) -> dict[tuple[Path, str], Change]:
        administrators = Administrators(self._settings)
        if not self._folder.exists() and administrators.is_new:
            return {}
        with administrators.changing(timeout_sec=0):
            settle(administrators)
        # What was made last comes last.
        return {(Path(c.path), c.result): c for c in reversed(administrators.changes)}

    def _stays_behind(self) -> bool:
        """Whether the service had time to read what pages have changed, and has not."""
        is_behind = False
        for name, path in paths(self._settings).items():
            digest = _digest(path)
            if digest is not None and digest != self._in_force[name]:
                is_behind |= (path, digest) in self._made or digest in self._known.get(name, ())
        now_sec = clock.monotonic_sec()
        since_sec = self._behind_since_sec or now_sec
        is_late = is_behind and now_sec - since_sec >= RELOADED_SEC
        self._behind_since_sec = since_sec if is_behind and not is_late else None
        return is_late

    def _look_elsewhere(self) -> None:
        """Look at what other hosts have changed, and at what they have not heard of."""
        table = setup_files.c
        query = select(table.name, func.max(table.number)).group_by(table.name)
        with self._database.query() as connection:
            newest = {row[0]: row[1] for row in connection.execute(query)}
        is_taken = False
        for name, path in paths(self._settings).items():
            digest, number = _digest(path) or "", newest.get(name, 0)
            looked = self._looked.get(name, ("", 0))
            is_made = (path, digest) in self._made and looked != (digest, number)
            if is_made or number != looked[1]:
                is_taken |= self._take(name, path)
                self._looked[name] = digest, number
                # What has come is looked at here, too.
                self._seen = ()
        if is_taken:
            self._reload(self._settings)

    def _take(self, name: str, path: Path) -> bool:
        """Whether the file of this host has become the newest one; publish what others miss."""
        table = setup_files.c
        query = select(setup_files).where(table.name == name).order_by(table.number)
        with self._database.query() as connection:
            rows = connection.execute(query).all()
        former = present(path)
        digest = digest_of(former)
        self._known[name] = {row.digest for row in rows} | {row.former_digest for row in rows}
        made = self._made.get((path, digest))
        if made is not None and (
            digest not in self._known[name] or _follows(made, rows[-1].digest, rows[-1].changed_at)
        ):
            text = rows[-1].content if rows else made.before
            before = None if text is None else text.encode()
            publish(self._settings, self._database, FileChange(path, before, former))
            return False
        if not rows or digest == rows[-1].digest:
            return False
        newest = rows[-1]
        if digest not in self._known[name]:
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


def _follows(change: Change, newest_digest: str, newest_ms: int) -> bool:
    """Whether the change was made after the newest one that hosts have heard of, and upon it.

    Then its process was killed before it told them. The file may be as it was once before, as after
    an undo, so its digest alone does not say which of the two is the newer one.
    """
    if change.undone_ms is not None:
        return change.after == newest_digest and change.undone_ms > newest_ms
    return digest_of(change.former) == newest_digest and change.at_ms > newest_ms


def replace(change: FileChange) -> None:
    """Put the file in place, with the former one beside it (`stations.toml.before`).

    Raises SettingsError when it was changed meanwhile, LockTimeout when another change of it takes
    too long, and OSError; then the file is as it was.
    """
    path, former = change.path, change.former
    own_files.replace(path, change.data, former, path.with_name(f"{path.name}.before"))
