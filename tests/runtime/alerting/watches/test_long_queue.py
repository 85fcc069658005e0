"""A queue that stays long."""

from flask10x.config.alerts.rules import Queue
from flask10x.config.settings import Settings
from flask10x.recording.shared_queue import SharedQueues
from flask10x.runtime.alerting.service_watches import long_queue
from tests.runtime.alerting.watches.home import Clock, Noted


def test_only_what_lasts_is_an_alert_and_only_what_is_calm_ends_it(settings: Settings) -> None:
    queues, clock, noted = SharedQueues.anonymous(5000), Clock(), Noted()
    watch = long_queue(Queue(for_sec=60), settings, queues)
    queues[3].use()
    marks = queues[3].marks

    def after(seconds: int, length: int) -> list[str]:
        marks.appended = marks.settled + length
        return noted.step(watch, clock.moment(after_sec=seconds))

    assert after(1, 4000) == []
    assert after(30, 1000) == []
    assert after(1, 4500) == []
    assert after(59, 4500) == []
    assert after(1, 4200) == ["+"]
    assert noted.last[""].facts == {"waiting": 4200, "threshold": 4000, "capacity": 5000}
    assert noted.last[""].since_ms == clock.wall_ms - 60_000
    # Between the half and the threshold it is neither.
    assert after(100, 2000) == []
    assert after(1, 1999) == []
    assert after(60, 0) == ["-"]
