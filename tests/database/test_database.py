"""The way to the database: who waits for whom."""

import threading
from contextlib import suppress

import pytest
from sqlalchemy.exc import DBAPIError

from flask10x.database.database import Database
from flask10x.errors import LockTimeout
from flask10x.system.locks import FairLock, lock_path
from tests.support.both_engines import POSTGRES, write_lock


def test_a_probe_that_waits_holds_up_no_commit(database: Database) -> None:
    """A question for `/readyz` once kept the writer from the lock, for a second each."""
    with write_lock(database.path):
        refused: list[bool] = []

        def ask() -> None:
            with pytest.raises(DBAPIError, match=r"database is locked|could not obtain lock"):
                database.probe()
            refused.append(True)

        asking = threading.Thread(target=ask)
        asking.start()
        lock, taken = FairLock(lock_path(database.path, "commit")), 0
        while asking.is_alive():
            with suppress(LockTimeout):
                lock.acquire(0)
                taken += 1
                lock.release()
            asking.join(0.01)
        lock.close()

    assert refused
    assert taken > 5, "the lock was free between the tries"
    database.probe()


def test_a_commit_after_a_probe_still_waits_for_others(database: Database) -> None:
    database.probe()

    with database.writer.connect() as connection:
        question = "SHOW lock_timeout" if POSTGRES else "PRAGMA busy_timeout"
        waits = connection.exec_driver_sql(question).scalar_one()

    assert waits == ("1s" if POSTGRES else 1000)
