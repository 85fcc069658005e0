"""Readings that wait for an export."""

import pytest

from flask10x.config.alerts.rules import ExportOverdue
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.health import copies
from flask10x.health.copies import ExportLag
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.alerting.service_watches import CheckWatch
from tests.runtime.alerting.watches.home import DAY_MS, HOUR_MS, NINE_MS, Clock, Noted


def lag(endpoint: str, oldest_at: int | None, waiting: int) -> ExportLag:
    return ExportLag(
        station=BUILT_IN.by_endpoint[endpoint],
        is_exported=True,
        last_id=1,
        changed_at=NINE_MS,
        oldest_at=oldest_at,
        waiting=waiting,
    )


def test_readings_that_wait_for_two_days_are_one_alert_for_all_files(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, noted = Clock(), Noted()
    lags = [lag("data", NINE_MS + HOUR_MS, 7), lag("data2", NINE_MS, 40), lag("data3", None, 0)]
    monkeypatch.setattr(copies, "export_lags", lambda *_: lags)
    watch = CheckWatch(ExportOverdue(after_sec=2 * 86_400), settings, database)
    assert noted.step(watch, clock.moment(after_sec=2 * 86_400)) == []
    assert noted.step(watch, clock.moment(after_sec=7200)) == ["+"]
    assert noted.last[""].facts == {"oldest_at": NINE_MS, "readings": 47, "station": "data2"}
    assert noted.last[""].since_ms == NINE_MS + 2 * DAY_MS
    lags[:] = [lag("data", clock.wall_ms, 1)]
    assert noted.step(watch, clock.moment(after_sec=60)) == ["-"]
