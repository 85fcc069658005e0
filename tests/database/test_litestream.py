"""How far the replica of a database is: what Litestream says, and what its folder shows."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.database.sqlite import litestream
from flask10x.database.sqlite.connections import FRAME_HEADER_BYTES, PAGE_BYTES, WAL_BYTES
from flask10x.database.sqlite.litestream import Replica, folder_beside, replica_of
from tests.support.new_database import lay_new_database

pytestmark = pytest.mark.sqlite_only("Litestream replicates files of SQLite")
NAME = "flask10x.sqlite3"
# 2025-08-24 00:00 UTC.
MIDNIGHT_MS = 1_755_993_600_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database whose oldest change on its way is of midnight."""
    changes = folder_beside(tmp_path / NAME) / "ltx" / "0"
    changes.mkdir(parents=True)
    for number in (2, 3):
        change = changes / f"{number:016x}-{number:016x}.ltx"
        change.touch()
        os.utime(change, (0, MIDNIGHT_MS / 1000 + number - 2))
    return tmp_path / NAME


@contextmanager
def answering(path: Path, body: str) -> Iterator[None]:
    """What listens on Litestream's socket, and gives this answer to one request."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path.with_name(litestream.SOCKET)))
        listening.listen()

        def answer() -> None:
            sock, _ = listening.accept()
            with sock:
                assert sock.recv(1000).startswith(b"GET /list HTTP/1.1\r\n")
                sock.sendall(
                    f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
                )

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


def listed(path: Path, more: str = "") -> str:
    return f'{{"databases":[{{"path":"{path}","status":"replicating"{more}}}]}}\n'


def test_without_its_folder_there_is_no_replica(tmp_path: Path) -> None:
    assert replica_of(tmp_path / NAME) is None


def test_litestream_says_when_it_had_everything(path: Path) -> None:
    said = listed(path, ',"last_sync_at":"2025-08-24T09:00:00.12345678+09:00"')
    with answering(path, said):
        assert replica_of(path) == Replica(is_running=True, synced_at=MIDNIGHT_MS + 123)


def test_before_it_has_reached_the_replica_its_folder_says_it(path: Path) -> None:
    with answering(path, listed(path)):
        assert replica_of(path) == Replica(is_running=True, synced_at=MIDNIGHT_MS)


def test_where_it_does_not_run_the_oldest_change_on_its_way_counts(path: Path) -> None:
    assert replica_of(path) == Replica(is_running=False, synced_at=MIDNIGHT_MS)
    path.with_name(litestream.SOCKET).touch()
    assert replica_of(path) == Replica(is_running=False, synced_at=MIDNIGHT_MS)
    for change in folder_beside(path).rglob("*.ltx"):
        change.unlink()
    assert replica_of(path) == Replica(is_running=False, synced_at=None)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "null",
        '{"databases":null}',
        '{"databases":[]}',
        '{"databases":[{}]}',
        listed(Path("/another.sqlite3")),
        '{"databases":[{"path":"PATH","last_sync_at":"yesterday"}]}',
        '{"databases":[{"path":"PATH","last_sync_at":7}]}',
    ],
)
def test_an_answer_of_something_else_counts_as_none(path: Path, said: str) -> None:
    with answering(path, said.replace("PATH", str(path))):
        assert replica_of(path) == Replica(is_running=False, synced_at=MIDNIGHT_MS)


def test_beside_litestream_our_checkpoints_come_late(settings: Settings) -> None:
    pages = WAL_BYTES // (PAGE_BYTES + FRAME_HEADER_BYTES)
    assert limit_of(settings) == pages
    folder_beside(database_path(settings)).mkdir()
    assert 2 * pages <= limit_of(settings) <= 2 * pages + 1


def limit_of(settings: Settings) -> int:
    lay_new_database(database_path(settings))
    database = Database(settings)
    try:
        with database.writer.connect() as connection:
            pages: int = connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar_one()
            return pages
    finally:
        database.close()
