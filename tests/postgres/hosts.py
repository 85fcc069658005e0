"""Several hosts on one database: each with settings, a folder and locks of its own."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.postgres.hosts import TimedLease
from flask10x.system.locks import FileLock, lock_path
from tests.support import databases, postgres


class Hosts:
    """The database, and what each host sets."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._opened: list[Database] = []

    def environment(self, host: str, **given: object) -> dict[str, str]:
        """Of a service on this host."""
        data_dir = self.folder / host
        data_dir.mkdir(exist_ok=True)
        values = {"DATA_DIR": data_dir, "HOST_NAME": host, "TIMEZONE": "Asia/Tokyo"}
        values |= {"DATABASE_URL": postgres.shared().url(self.name)} | given
        return {f"FLASK10X_{key}": str(value) for key, value in values.items()}

    def settings(self, host: str, **given: object) -> Settings:
        """The same, read."""
        return settings_module.load(self.environment(host, **given))

    def database(self, host: str) -> Database:
        """A way to the database of a process on this host."""
        self._opened.append(Database(self.settings(host)))
        return self._opened[-1]

    def run(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """What an SQL statement gives."""
        with postgres.shared().connect(self.name) as connection:
            done = connection.execute(statement.encode(), parameters or None)
            return done.fetchall() if done.description else []

    def close(self) -> None:
        """Close what was opened."""
        for database in self._opened:
            database.close()


class HostClock:
    """The monotonic clock of a host, in seconds."""

    def __init__(self) -> None:
        self.now_sec = 100.0

    def __call__(self) -> float:
        return self.now_sec


class LeaseOfHost:
    """A lease as one process of a host sees it, with a clock that the test moves."""

    def __init__(self, hosts: Hosts, host: str, name: str = "monitor") -> None:
        self.clock = HostClock()
        self.database = hosts.database(host)
        self.lock = FileLock(lock_path(self.database.path, name))
        self.lease = TimedLease(self.database, name, host, self.lock, self.clock)

    def hold(self, after_sec: float = 60.0) -> bool:
        """Ask again when it is time."""
        self.clock.now_sec += after_sec
        return self.lease.hold()


@contextmanager
def hosts_in(folder: Path) -> Iterator[Hosts]:
    """A new database for hosts with folders in this one."""
    name = f"hosts_{uuid.uuid4().hex}"
    server = postgres.shared()
    server.create(name, databases.template())
    hosts = Hosts(folder, name)
    try:
        yield hosts
    finally:
        hosts.close()
        server.drop(name)
