"""Senders whose readings are rejected again and again."""

import pytest

from flask10x.config.alerts.rules import RejectedSender
from flask10x.errors import LockTimeout
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.rejected import RejectedReading
from flask10x.runtime.alerting.rejection_watches import RejectedSenders
from tests.runtime.alerting.watches.conftest import Log
from tests.runtime.alerting.watches.home import DAY_MS

RULE = RejectedSender(readings=4, within_sec=3600)


def refused(log: Log, endpoint: str = "data") -> RejectedReading:
    reasons = {"pressure": Reason("below_minimum", limit="0")}
    return RejectedReading(endpoint, log.clock.wall_ms, "application/json", b"{}", reasons)


def watch_of(log: Log) -> RejectedSenders:
    return RejectedSenders(RULE, BUILT_IN.all[:2], log.rejections_of(("data", "data2")))


def test_so_many_within_the_time_are_an_alert_and_half_of_it_ends_it(log: Log) -> None:
    watch = watch_of(log)
    log.noted.step(watch, log.moment())
    began_ms = log.clock.wall_ms
    for _ in range(3):
        log.refuse(refused(log))
        assert log.noted.step(watch, log.moment(after_sec=600)) == []
    log.refuse(refused(log))
    assert log.noted.step(watch, log.moment(after_sec=10)) == ["+data"]
    entry = log.noted.last["data"]
    assert entry.facts == {
        "readings": 4,
        "within_sec": 3600,
        "reason": "below minimum 0",
        "reason_ja": "下限の 0 を下回っています",
        "field": "pressure",
    }
    assert abs(entry.since_ms - began_ms) <= 1000
    # Two of the four are more than an hour ago, and then three.
    assert log.noted.step(watch, log.moment(after_sec=2400)) == []
    assert log.noted.step(watch, log.moment(after_sec=1000)) == ["-data"]


def test_a_card_that_fails_is_read_once_a_minute(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, failed = watch_of(log), 0

    def query() -> None:
        raise LockTimeout("disk I/O error")

    for _ in range(3):
        log.noted.step(watch, log.moment(after_sec=10))
    monkeypatch.setattr(log.database, "query", query)
    for _ in range(600):
        try:
            log.noted.step(watch, log.moment(after_sec=1))
        except LockTimeout:
            failed += 1
    assert failed == 10


def test_a_few_over_a_long_time_are_none(log: Log) -> None:
    watch = watch_of(log)
    for _ in range(20):
        log.refuse(refused(log))
        assert log.noted.step(watch, log.moment(after_sec=1300)) == []


def test_what_no_station_has_is_not_watched(log: Log) -> None:
    watch = watch_of(log)
    for _ in range(9):
        log.refuse(*[refused(log, "data")] * 0, *[refused(log, "data3")])
        assert log.noted.step(watch, log.moment(after_sec=10)) == []


def test_a_restart_goes_on_counting(log: Log) -> None:
    log.refuse(refused(log), refused(log), refused(log))
    assert log.noted.step(watch_of(log), log.moment(after_sec=60)) == []
    log.refuse(refused(log))
    watch = watch_of(log)
    assert log.noted.step(watch, log.moment(after_sec=60)) == ["+data"]
    again = watch_of(log)
    assert log.noted.step(again, log.moment(after_sec=60)) == []
    assert log.noted.step(again, log.moment(after_sec=3600)) == ["-data"]


def test_a_clock_that_is_set_ends_nothing(log: Log) -> None:
    watch = watch_of(log)
    log.noted.step(watch, log.moment())
    log.refuse(*[refused(log)] * 4)
    assert log.noted.step(watch, log.moment(after_sec=10)) == ["+data"]
    log.clock.wall_ms += 300 * DAY_MS
    assert log.noted.step(watch, log.moment(after_sec=10)) == []


def test_after_a_boot_without_a_clock_those_of_before_are_not_of_now(log: Log) -> None:
    log.refuse(*[refused(log)] * 4)
    log.clock.wall_ms = DAY_MS
    assert log.noted.step(watch_of(log), log.moment(after_sec=10)) == []
