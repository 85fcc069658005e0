"""When a mute ends."""

from dataclasses import replace
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from flask10x.config.alerts.rules import QuietHours
from flask10x.config.settings import Settings
from flask10x.readings.times import local_text
from flask10x.web.alerts import DURATIONS, until_ms
from tests.conftest import MakeSettings


def at(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


@pytest.mark.parametrize(
    ("duration", "end"),
    [
        ("1h", "2025-08-24 13:00:00"),
        ("morning", "2025-08-25 07:00:00"),
        ("1d", "2025-08-25 12:00:00"),
        ("1w", "2025-08-31 12:00:00"),
    ],
)
def test_each_duration(settings: Settings, duration: str, end: str) -> None:
    noon_ms = at("2025-08-24 12:00:00", "Asia/Tokyo")
    assert local_text(until_ms(duration, noon_ms, settings), settings.zone) == end


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2025-08-24 01:00:00", "2025-08-24 07:00:00"),
        ("2025-08-24 04:00:00", "2025-08-24 07:00:00"),
        ("2025-08-24 04:00:01", "2025-08-25 07:00:00"),
        ("2025-08-24 23:30:00", "2025-08-25 07:00:00"),
    ],
)
def test_the_morning_is_three_hours_away_at_least(settings: Settings, now: str, end: str) -> None:
    assert local_text(until_ms("morning", at(now, "Asia/Tokyo"), settings), settings.zone) == end


def test_quiet_hours_end_in_the_morning(settings: Settings) -> None:
    quiet = QuietHours(start=time(23, 0), end=time(9, 30))
    late = replace(settings, alerts=replace(settings.alerts, quiet_hours=quiet))
    ms = until_ms("morning", at("2025-08-24 22:00:00", "Asia/Tokyo"), late)
    assert local_text(ms, late.zone) == "2025-08-25 09:30:00"


def test_there_is_a_morning_on_each_day_of_a_clock_change(make_settings: MakeSettings) -> None:
    settings = make_settings(TIMEZONE="America/New_York")
    first = int(datetime(2025, 10, 31, tzinfo=UTC).timestamp()) * 1000
    for half_hours in range(5 * 48):
        now_ms = first + half_hours * 1_800_000
        for duration in DURATIONS:
            assert now_ms < until_ms(duration, now_ms, settings) <= now_ms + 7 * 86_400_000
