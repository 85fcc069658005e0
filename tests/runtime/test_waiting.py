"""A worker that waits for its database."""

from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.waiting import EQUAL_LOOKS, Waiting
from flask10x.system.gauges import Gauges
from tests.support.new_database import lay_new_database


def test_a_copy_that_is_still_written_is_not_taken(settings: Settings) -> None:
    waiting = Waiting(settings, Gauges(BUILT_IN.by_endpoint), 0)
    path = database_path(settings)
    assert not waiting.step()
    lay_new_database(path)
    whole = path.read_bytes()
    for end in range(512, len(whole), 512):
        path.write_bytes(whole[:end])
        assert not waiting.step()
    path.write_bytes(whole)
    assert [waiting.step() for _ in range(EQUAL_LOOKS)] == [False] * (EQUAL_LOOKS - 1) + [True]
    path.unlink()
    assert not waiting.step()


def test_its_end_is_no_killed_worker(settings: Settings) -> None:
    gauges = Gauges(BUILT_IN.by_endpoint)
    gauges.slot(0).claim(1234)
    waiting = Waiting(settings, gauges, 0)
    waiting.open()
    waiting.close()
    gauges.record_killed(1234)
    assert gauges.killed == 0
