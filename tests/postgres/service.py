"""A service's objects on a server of the test's own: settings, a migrated database, a writer."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.recording.shared_queue import SharedQueues, WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges
from tests.e2e.service import wait_until
from tests.support.postgres import PostgresServer

NAME = "flask10x"
WITHIN_SEC = 60.0


def settings_on(server: PostgresServer, data_dir: Path, **given: object) -> Settings:
    """Settings on the server's database of this name, which is made and migrated."""
    if not server.exists(NAME):
        server.create(NAME)
    values = {"DATA_DIR": data_dir, "DATABASE_URL": server.url(NAME), "TIMEZONE": "Asia/Tokyo"}
    settings = settings_module.load(
        {f"FLASK10X_{name}": str(value) for name, value in (values | given).items()}
    )
    schema.upgrade(settings)
    return settings


@contextmanager
def writer_on(settings: Settings) -> Iterator[Writer]:
    """A writer whose steps the test does; what it has not stored by the end is given up."""
    gauges = Gauges(settings.stations.by_endpoint)
    queues = SharedQueues.anonymous(settings.write_queue_maxsize)
    with closing(Database(settings)) as database:
        writer = Writer(settings, database, WorkerSlot(gauges, queues, 0))
        try:
            yield writer
        finally:
            writer.close(0)


def rows(server: PostgresServer, query: str) -> list[tuple[Any, ...]]:
    """What a connection of the test's own sees."""
    with closing(server.connect(NAME)) as connection:
        return list(connection.execute(query.encode()).fetchall())


def name_standby(server: PostgresServer, name: str) -> None:
    """Have synchronous commits wait for this one."""
    with server.connect() as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'".encode())
        connection.execute("SELECT pg_reload_conf()")
    shown = "SHOW synchronous_standby_names"
    wait_until(lambda: rows(server, shown) == [(name,)], WITHIN_SEC, "it has its settings")


def follow(server: PostgresServer, standby: PostgresServer) -> None:
    """Wait until the standby has all that there is."""
    with server.connect() as connection:
        (at,) = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone() or ("",)

    def has_it() -> bool:
        with standby.connect() as connection:
            asked = connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (at,))
            return asked.fetchone() == (True,)

    wait_until(has_it, WITHIN_SEC, "the standby has what the primary has")
