"""A replica that is behind, and none."""

from flask10x.config.alerts.rules import ReplicaOverdue
from flask10x.database.sqlite.litestream import Replica
from flask10x.health.checks import of_replica
from flask10x.runtime.alerting.service_watches import SlowWatch
from tests.runtime.alerting.watches.home import NINE_MS, Clock, Noted

HOUR_MS = 3_600_000
RULE = ReplicaOverdue()


def test_it_is_overdue_after_an_hour_and_over_once_it_has_everything() -> None:
    clock, noted = Clock(), Noted()
    replica: Replica | None = Replica(is_running=True, synced_at=NINE_MS)
    watch = SlowWatch(RULE, lambda *now: of_replica(RULE, replica, *now))
    assert noted.step(watch, clock.moment(after_sec=3600)) == []
    assert noted.step(watch, clock.moment(after_sec=60)) == ["+"]
    assert noted.last[""].since_ms == NINE_MS + HOUR_MS
    assert noted.last[""].facts == {"newest_at": NINE_MS, "after_sec": 3600}
    replica = Replica(is_running=False, synced_at=NINE_MS)
    assert noted.step(watch, clock.moment(after_sec=60)) == []
    replica = Replica(is_running=True, synced_at=clock.wall_ms)
    assert noted.step(watch, clock.moment(after_sec=60)) == ["-"]


def test_where_none_is_kept_or_begun_nothing_is_overdue() -> None:
    clock, noted = Clock(), Noted()
    replica: Replica | None = None
    watch = SlowWatch(RULE, lambda *now: of_replica(RULE, replica, *now))
    assert noted.step(watch, clock.moment(after_sec=86_400)) == []
    replica = Replica(is_running=False, synced_at=None)
    assert noted.step(watch, clock.moment(after_sec=60)) == []


def test_the_alert_ends_when_litestream_is_removed() -> None:
    clock, noted = Clock(), Noted()
    replica: Replica | None = Replica(is_running=False, synced_at=NINE_MS)
    watch = SlowWatch(RULE, lambda *now: of_replica(RULE, replica, *now))
    assert noted.step(watch, clock.moment(after_sec=7200)) == ["+"]
    replica = None
    assert noted.step(watch, clock.moment(after_sec=60)) == ["-"]
