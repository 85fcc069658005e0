"""A replica that is behind, and none."""

import pytest

from flask10x.config.alerts.rules import ReplicaOverdue
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.sqlite.litestream import Replica
from flask10x.health import copies
from flask10x.runtime.alerting.service_watches import CheckWatch
from tests.runtime.alerting.watches.home import NINE_MS, Clock, Noted

HOUR_MS = 3_600_000


class House:
    """A database with the replica that a test gives it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.replica: Replica | None = None
        self.clock, self.noted = Clock(), Noted()
        self.watch = CheckWatch(ReplicaOverdue(), settings, database)

    def after(self, seconds: float) -> list[str]:
        return self.noted.step(self.watch, self.clock.moment(after_sec=seconds))


@pytest.fixture
def house(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> House:
    house = House(settings, database)
    monkeypatch.setattr(copies, "replica", lambda _settings: house.replica)
    return house


def test_it_is_overdue_after_an_hour_and_over_once_it_has_everything(house: House) -> None:
    house.replica = Replica(is_running=True, synced_at=NINE_MS)
    assert house.after(3600) == []
    assert house.after(60) == ["+"]
    assert house.noted.last[""].since_ms == NINE_MS + HOUR_MS
    assert house.noted.last[""].facts == {"newest_at": NINE_MS, "after_sec": 3600}
    house.replica = Replica(is_running=False, synced_at=NINE_MS)
    assert house.after(60) == []
    house.replica = Replica(is_running=True, synced_at=house.clock.wall_ms)
    assert house.after(60) == ["-"]


def test_where_none_is_kept_or_begun_nothing_is_overdue(house: House) -> None:
    assert house.after(86_400) == []
    house.replica = Replica(is_running=False, synced_at=None)
    assert house.after(60) == []


def test_the_alert_ends_when_litestream_is_removed(house: House) -> None:
    house.replica = Replica(is_running=False, synced_at=NINE_MS)
    assert house.after(7200) == ["+"]
    house.replica = None
    assert house.after(60) == ["-"]
