"""The way to the database: who waits for whom."""

import sqlite3
import threading
from contextlib import closing

import pytest
from sqlalchemy.exc import DBAPIError

from flask10x.database.engine import Database
from flask10x.system.locks import FileLock, lock_path


def test_a_probe_that_waits_holds_up_no_commit(database: Database) -> None:
    """A question for `/readyz` once kept the writer from the lock, for a second each."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused: list[bool] = []

        def ask() -> None:
            with pytest.raises(DBAPIError, match="database is locked"):
                database.probe()
            refused.append(True)

        asking = threading.Thread(target=ask)
        asking.start()
        lock, taken = FileLock(lock_path(database.path, "commit")), 0
        while asking.is_alive():
            if lock.try_acquire():
                taken += 1
                lock.release()
            asking.join(0.01)
        lock.close()
        other.execute("ROLLBACK")

    assert refused
    assert taken > 5, "the lock was free between the tries"
    database.probe()


def test_a_commit_after_a_probe_still_waits_for_others(database: Database) -> None:
    database.probe()

    with database.writer.connect() as connection:
        waits_ms = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()

    assert waits_ms == 1000
