"""The disk: when too little is free, and when there is room again."""

import pytest

from flask10x.config.alerts.rules import Disk
from flask10x.errors import LockTimeout
from flask10x.health.disk import Room
from flask10x.runtime.alerting.service_watches import SlowWatch, full_disk
from tests.runtime.alerting.watches.home import Clock, Noted


class Card:
    """A disk of 1000 bytes."""

    def __init__(self) -> None:
        self.free = 200
        self.looks = 0
        self.error: OSError | None = None

    def room(self) -> Room:
        self.looks += 1
        if self.error:
            raise self.error
        return Room(self.free, 1000)


def watch_of(card: Card) -> SlowWatch:
    return full_disk(Disk(free_percent=5), card.room, lambda _: 12.9)


def test_it_is_over_only_when_some_more_is_free() -> None:
    card, clock, noted = Card(), Clock(), Noted()
    watch = watch_of(card)
    assert noted.step(watch, clock.moment()) == []
    card.free = 49
    assert noted.step(watch, clock.moment(after_sec=60)) == ["+"]
    assert noted.last[""].facts == {
        "free_bytes": 49,
        "free_percent": 4.9,
        "total_bytes": 1000,
        "full_in_days": 12,
    }
    card.free = 59
    assert noted.step(watch, clock.moment(after_sec=60)) == []
    card.free = 60
    assert noted.step(watch, clock.moment(after_sec=60)) == ["-"]
    card.free = 50
    assert noted.step(watch, clock.moment(after_sec=60)) == []


def test_it_is_looked_at_once_a_minute() -> None:
    card, clock, noted = Card(), Clock(), Noted()
    watch = watch_of(card)
    for _ in range(120):
        noted.step(watch, clock.moment(after_sec=1))
    assert card.looks == 2


def test_a_disk_that_does_not_answer_is_an_error_until_it_does() -> None:
    card, clock = Card(), Clock()
    watch = watch_of(card)
    card.error = OSError("gone")
    for _ in range(3):
        with pytest.raises(OSError, match="gone"):
            watch.step(clock.moment(after_sec=1), {})
    assert card.looks == 1
    card.error = None
    assert [verdict.is_firing for verdict in watch.step(clock.moment(after_sec=60), {})] == [False]


def test_a_database_that_cannot_be_read_only_leaves_out_when_it_is_full() -> None:
    def full_in_days(_now_ms: int) -> float:
        raise LockTimeout("no")

    card, noted = Card(), Noted()
    card.free = 10
    watch = full_disk(Disk(free_percent=5), card.room, full_in_days)
    assert noted.step(watch, Clock().moment()) == ["+"]
    assert noted.last[""].facts["full_in_days"] is None
