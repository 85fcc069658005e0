"""The disk: when too little is free, and when there is room again."""

import os
from types import SimpleNamespace

import pytest

from flask10x.config.alerts.rules import Disk
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import LockTimeout
from flask10x.runtime.alerting import service_watches
from flask10x.runtime.alerting.service_watches import CheckWatch
from tests.runtime.alerting.watches.home import Clock, Noted


class Card:
    """A disk of 1000 bytes, with its watch."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.free = 200
        self.looks = 0
        self.error: OSError | None = None
        self.watch = CheckWatch(Disk(free_percent=5), settings, database)

    def room(self, _folder: object) -> SimpleNamespace:
        self.looks += 1
        if self.error:
            raise self.error
        return SimpleNamespace(f_frsize=1, f_blocks=1000, f_bavail=self.free)


@pytest.fixture
def card(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card(settings, database)
    monkeypatch.setattr(os, "statvfs", card.room)
    full = SimpleNamespace(full_in_days=12.9)
    monkeypatch.setattr(service_watches, "card", lambda *_: full)
    return card


def test_it_is_over_only_when_some_more_is_free(card: Card) -> None:
    clock, noted, watch = Clock(), Noted(), card.watch
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


def test_it_is_looked_at_once_a_minute(card: Card) -> None:
    clock, noted, watch = Clock(), Noted(), card.watch
    for _ in range(120):
        noted.step(watch, clock.moment(after_sec=1))
    assert card.looks == 2


def test_a_disk_that_does_not_answer_is_an_error_until_it_does(card: Card) -> None:
    clock, watch = Clock(), card.watch
    card.error = OSError("gone")
    for _ in range(3):
        with pytest.raises(OSError, match="gone"):
            watch.step(clock.moment(after_sec=1), {})
    assert card.looks == 1
    card.error = None
    assert [verdict.is_firing for verdict in watch.step(clock.moment(after_sec=60), {})] == [False]


def test_a_database_that_cannot_be_read_only_leaves_out_when_it_is_full(
    card: Card, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def query() -> None:
        raise LockTimeout("no")

    noted = Noted()
    card.free = 10
    monkeypatch.setattr(database, "query", query)
    assert noted.step(card.watch, Clock().moment()) == ["+"]
    assert noted.last[""].facts["full_in_days"] is None
