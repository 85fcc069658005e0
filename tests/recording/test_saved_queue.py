"""Queues whose entries a stop has put into a file, while other workers run on."""

import itertools
from pathlib import Path

from sqlalchemy import event

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.recording.entry import leftover_files
from flask10x.recording.leftovers import Leftovers
from tests.recording.test_group_commit import Workers, stored, workers  # noqa: F401
from tests.support.rows import pico


def store_files(settings: Settings, database: Database) -> None:
    clock = itertools.count(step=3600)
    leftovers = Leftovers(settings, database, lambda: float(next(clock)))
    while leftover_files(database.path.parent):
        leftovers.step()
    leftovers.close()


def test_what_comes_after_a_file_does_not_count_as_what_is_in_it(
    workers: Workers,  # noqa: F811
    settings: Settings,
    database: Database,
) -> None:
    """A reload while the database is out of reach, and the new worker is the first to commit."""
    for number in (1, 2):
        workers.first.submit(pico(number))
    assert workers.first.close(0) == 2
    workers.first = workers.worker(0)
    workers.first.submit(pico(3))
    assert workers.first.step() == 1
    store_files(settings, database)
    assert stored(database) == [3, 1, 2]


def test_of_a_queue_without_an_owner_only_the_master_makes_a_file(
    workers: Workers,  # noqa: F811
    database: Database,
    tmp_path: Path,
) -> None:
    """Its next owner may append to it in the same moment."""
    workers.second.submit(pico(1))
    workers.gauges.slot(1).release()
    assert workers.first.close(0) == 0
    assert leftover_files(tmp_path) == []
    workers.second = workers.worker(1)
    workers.second.submit(pico(2))
    assert workers.second.step() == 2
    assert stored(database) == [1, 2]


def test_what_a_killed_worker_has_left_at_the_end_of_the_service_goes_into_a_file(
    workers: Workers,  # noqa: F811
    settings: Settings,
    database: Database,
) -> None:
    """Also when it had stored some of it and could not say so any more."""
    for number in (1, 2):
        workers.second.submit(pico(number))
    workers.first.step()
    workers.queues[1].marks.settled = 0
    workers.second.submit(pico(3))
    Leftovers(settings, database, lambda: 0.0).save_rest(workers.queues)
    assert workers.queues.length() == 0
    store_files(settings, database)
    assert stored(database) == [1, 2, 3]


def test_a_slot_that_is_taken_over_during_a_commit_leaves_nothing_in_doubt(
    workers: Workers,  # noqa: F811
    settings: Settings,
    database: Database,
) -> None:
    """Another worker stores what the owner has just put into a file, and notes it of the file."""
    for number in (1, 2):
        workers.first.submit(pico(number))
    taken: list[Path] = []

    def take_over(*arguments: object) -> None:
        if "INSERT INTO readings" in str(arguments[2]) and not taken:
            assert workers.first.close(0) == 2
            taken.extend(leftover_files(database.path.parent))
            workers.first = workers.worker(0)

    event.listen(database.writer, "before_cursor_execute", take_over)
    assert workers.second.step() == 2
    event.remove(database.writer, "before_cursor_execute", take_over)
    assert len(taken) == 1
    store_files(settings, database)
    assert stored(database) == [1, 2]
