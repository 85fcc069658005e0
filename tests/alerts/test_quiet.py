"""Quiet hours, also across midnight and a change of the clocks."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from flask10x.alerts.due import after_quiet_hours_ms
from flask10x.config.alerts.rules import QuietHours

TOKYO, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(start=time(22), end=time(7))
NAP = QuietHours(start=time(13), end=time(14, 30))


def at(text: str, zone: ZoneInfo = TOKYO) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "quiet", "expected"),
    [
        ("2025-08-24 21:59", NIGHT, "2025-08-24 21:59"),
        ("2025-08-24 22:00", NIGHT, "2025-08-25 07:00"),
        ("2025-08-25 00:30", NIGHT, "2025-08-25 07:00"),
        ("2025-08-25 07:00", NIGHT, "2025-08-25 07:00"),
        ("2025-08-25 13:10", NAP, "2025-08-25 14:30"),
        ("2025-08-25 15:00", NAP, "2025-08-25 15:00"),
        ("2025-08-25 15:00", QuietHours(start=time(1), end=time(1)), "2025-08-25 15:00"),
        ("2025-08-25 15:00", None, "2025-08-25 15:00"),
    ],
)
def test_messages_of_the_night_wait_for_the_morning(
    now: str, quiet: QuietHours | None, expected: str
) -> None:
    assert after_quiet_hours_ms(at(now), "silence", quiet, TOKYO) == at(expected)


def test_what_is_urgent_does_not_wait() -> None:
    now_ms = at("2025-08-25 00:30")
    assert after_quiet_hours_ms(now_ms, "database", NIGHT, TOKYO) == now_ms


@pytest.mark.parametrize("evening", ["2025-03-29 23:00", "2025-10-25 23:00"])
def test_the_morning_after_a_change_of_the_clocks(evening: str) -> None:
    morning = datetime.fromtimestamp(
        after_quiet_hours_ms(at(evening, BERLIN), "silence", NIGHT, BERLIN) / 1000, BERLIN
    )
    assert morning.time() == time(7)
