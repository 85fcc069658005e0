"""Hosts on one database, each with a folder of CSV files of its own."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history import days, rollups
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from tests.support import databases, postgres
from tests.support.postgres import PostgresServer
from tests.support.rows import insert_readings

NAME = "PicodataX.csv"
HEADER = b"current_time,Pressure,Tempereture\r\n"
FIRST_MS = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo


class CsvHosts:
    """The database, what each host sets, and its files."""

    def __init__(self, folder: Path, url: str, server: PostgresServer, name: str) -> None:
        self.folder = folder
        self.url = url
        self._server = server
        self._name = name
        self._opened: list[Database] = []

    def environment(self, host: str, **given: object) -> dict[str, str]:
        """Of a command on this host."""
        data_dir = self.folder / host
        data_dir.mkdir(exist_ok=True)
        values = {"DATA_DIR": data_dir, "HOST_NAME": host, "TIMEZONE": "Asia/Tokyo"}
        values |= {"DATABASE_URL": self.url} | given
        return {f"FLASK10X_{key}": str(value) for key, value in values.items()}

    def opened(self, host: str, **given: object) -> tuple[Settings, Database]:
        """What a process on this host has."""
        settings = settings_module.load(self.environment(host, **given))
        self._opened.append(Database(settings))
        return settings, self._opened[-1]

    def file(self, host: str) -> Path:
        """The host's file of `/data`."""
        return self.folder / host / "csv" / NAME

    def lines(self, host: str) -> int:
        """How many rows it has."""
        content = self.file(host).read_bytes()
        assert content.startswith(HEADER)
        return content.count(b"\r\n") - 1

    def store(self, *numbers: int, at_ms: int = FIRST_MS) -> None:
        """Store a reading of `/data` for each number, as a service does."""
        _settings, database = self.opened("that-serves")
        rows = (Reading("data", at_ms + 1000 * n, (990.5 + n, 25.0)) for n in numbers)
        with database.commit() as connection:
            insert_readings(connection, rows)

    def follow(self, database: Database) -> None:
        """Bring the roll-ups up to date."""
        while rollups.follow(BUILT_IN, database):
            pass
        while days.follow(BUILT_IN, database, ZoneInfo("Asia/Tokyo"), rollups.save_at_once):
            pass

    def run(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """What an SQL statement gives."""
        with self._server.connect(self._name) as connection:
            done = connection.execute(statement.encode(), parameters or None)
            return done.fetchall() if done.description else []

    def close(self) -> None:
        """Close what was opened."""
        for database in self._opened:
            database.close()


@contextmanager
def csv_hosts(folder: Path) -> Iterator[CsvHosts]:
    """A new database of the shared server."""
    name, server = f"csv_{uuid.uuid4().hex}", postgres.shared()
    server.create(name, databases.template())
    hosts = CsvHosts(folder, server.url(name), server, name)
    try:
        yield hosts
    finally:
        hosts.close()
        server.drop(name)
