"""What the open pages of a process are told of new readings."""

from pathlib import Path

import pytest

from flask10x.database.database import Database
from flask10x.runtime import new_readings
from flask10x.runtime.new_readings import Follower, NewReadings, News
from tests.support.rows import execute

ROW = "INSERT INTO readings (endpoint, received_at, pressure) VALUES ('{}', 1000, 1000)"


def insert(path: Path, *endpoints: str) -> None:
    execute(path, *(ROW.format(endpoint) for endpoint in endpoints))


def test_each_look_tells_how_far_the_log_is_and_of_which_stations(database: Database) -> None:
    readings = NewReadings(database)
    readings.look()
    assert readings.news == News(0, 0, ())
    insert(database.path, "data3", "data", "data3")
    readings.look()
    assert readings.news == News(3, 0, ("data", "data3"))
    readings.look()
    assert readings.news == News(3, 0, ("data", "data3"))
    insert(database.path, "data2")
    readings.look()
    assert readings.news == News(4, 3, ("data2",))


def test_the_stations_of_many_readings_are_not_looked_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_readings, "NAMED_ROWS", 2)
    readings = NewReadings(database)
    readings.look()
    insert(database.path, "data", "data", "data2")
    readings.look()
    assert readings.news == News(3, 0, None)


def test_a_thread_looks_while_somebody_follows_and_ends_with_the_last(database: Database) -> None:
    readings, follower = NewReadings(database), Follower()
    with readings.followed_by(follower):
        follower.wait(20)
        assert readings.news == News(0, 0, ())
        insert(database.path, "data")
        follower.wait(20)
        assert readings.news == News(1, 0, ("data",))
        # Another one needs no thread of its own.
        with readings.followed_by(Follower()):
            assert readings.number == 2
    assert readings.number == 0
    readings.close()
    assert readings.news is None


def test_a_database_that_cannot_be_read_has_no_news(database: Database) -> None:
    readings = NewReadings(database)
    execute(database.path, "ALTER TABLE readings RENAME TO gone")
    readings.look()
    before = readings.news
    # With an id, for on PostgreSQL the next one is looked up in `readings`.
    insert_gone = ROW.replace("readings (", "gone (id, ").replace("VALUES (", "VALUES (9, ")
    execute(database.path, insert_gone.format("data"))
    readings.look()
    assert readings.news == before
