"""When messages go: quiet hours, pauses, order."""

from dataclasses import replace
from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flask10x.alerts import due, state_file
from flask10x.alerts.alert import AlertMessage
from flask10x.alerts.due import after_quiet_hours_ms
from flask10x.alerts.state_file import StateFile
from flask10x.config.alerts.rules import Alerts, QuietHours

TOKYO = ZoneInfo("Asia/Tokyo")
NIGHT = QuietHours(start=time(22), end=time(7))
ALERTS = Alerts(quiet_hours=NIGHT)


def at(text: str, zone: ZoneInfo = TOKYO) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def message(
    number: int, *, alert: int | None = 1, rule: str = "silence", tries: int = 0, due_ms: int = 0
) -> AlertMessage:
    return AlertMessage(
        id=number,
        alert_id=alert,
        rule=rule,
        occasion="entry",
        channel="phone",
        created_ms=0,
        due_ms=due_ms,
        tries=tries,
        state="waiting",
        settled_ms=None,
        trouble="",
    )


def test_a_day_begins_at_local_midnight() -> None:
    assert due.day_start_ms(at("2026-11-27 00:00"), TOKYO) == at("2026-11-27 00:00")
    assert due.day_start_ms(at("2026-11-27 23:59:59"), TOKYO) == at("2026-11-27 00:00")


def test_pauses_grow_to_half_an_hour() -> None:
    pauses = [due.pause_ms(tries) // 1000 for tries in range(1, 10)]
    assert pauses == [10, 30, 60, 120, 300, 900, 1800, 1800, 1800]


def test_only_what_is_old_and_was_tried_often_is_given_up() -> None:
    week = due.GIVEN_UP_AFTER_MS
    assert not due.is_given_up(message(1, tries=300), week - 1)
    assert not due.is_given_up(message(1, tries=19), week * 1000)
    assert due.is_given_up(message(1, tries=20), week)


def test_the_oldest_one_is_next_and_blocks_while_it_is_tried_again() -> None:
    now = at("2026-11-27 12:00")
    retried = message(1, tries=3, due_ms=now + 60_000)
    assert due.head([], ALERTS, now, TOKYO) is None
    assert due.head([retried, message(2)], ALERTS, now, TOKYO) == replace(
        retried, due_ms=now + 60_000
    )


def test_quiet_hours_let_the_urgent_pass_but_nothing_of_the_same_alert() -> None:
    night = at("2026-11-27 03:00")
    held, urgent = message(1), message(2, alert=2, rule="disk")
    assert due.head([held, urgent], ALERTS, night, TOKYO) == replace(urgent, due_ms=0)
    # A rule that was made urgent between entry and recovery.
    recovery = message(2, alert=1, rule="disk")
    next_message = due.head([held, recovery], ALERTS, night, TOKYO)
    assert next_message == replace(held, due_ms=at("2026-11-27 07:00"))
    # So is one that failed before the quiet hours began.
    tried = message(1, tries=1, due_ms=night)
    assert due.head([tried, urgent], ALERTS, night, TOKYO) == replace(urgent, due_ms=0)


def test_a_message_about_the_limit_holds_up_no_other() -> None:
    night = at("2026-11-27 03:00")
    limits = [message(1, alert=None, rule=""), message(2, alert=None, rule="disk")]
    next_message = due.head(limits, ALERTS, night, TOKYO)
    assert next_message == replace(limits[1], due_ms=0)


def test_a_clock_that_was_wrong_holds_nothing_back() -> None:
    now, year_ms = at("2026-11-27 12:00"), 365 * 86_400_000
    for tries in (0, 5):
        ahead = message(1, tries=tries, due_ms=now + year_ms)
        assert due.head([ahead], ALERTS, now, TOKYO) == replace(ahead, due_ms=now)


def test_when_the_next_message_of_each_channel_is_due(tmp_path: Path) -> None:
    now = at("2026-11-27 12:00")
    file = StateFile(tmp_path / "alerts.sqlite3")
    rows = (("phone", 1, now + 700), ("phone", 0, now), ("mail", 2, now + 500))
    with file.writing() as connection:
        assert due.heads(connection, ALERTS, now, TOKYO) == {}
        for channel, tries, due_ms in rows:
            values = {"occasion": "entry", "way": channel, "created_ms": 0, "due_ms": due_ms}
            connection.execute(state_file.messages.insert().values(values | {"tries": tries}))
        heads = due.heads(connection, ALERTS, now, TOKYO)
        assert {way: message.due_ms for way, message in heads.items()} == {
            "phone": now + 700,
            "mail": now + 500,
        }
    file.close()


def test_messages_of_a_removed_channel_hide_no_other(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "alerts.sqlite3")
    row = {"occasion": "entry", "created_ms": 0, "due_ms": 0}
    with file.writing() as connection:
        rows = [row | {"way": "pager"}] * (due.LOOKED_AT + 1) + [row | {"way": "phone"}]
        connection.execute(state_file.messages.insert(), rows)
        heads = due.heads(connection, ALERTS, at("2026-11-27 12:00"), TOKYO)
        waiting = {way: state_file.waiting(connection, way, due.LOOKED_AT) for way in heads}
        assert {channel: len(messages) for channel, messages in waiting.items()} == {
            "pager": due.LOOKED_AT,
            "phone": 1,
        }
    file.close()


TOKYO, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(start=time(22), end=time(7))
NAP = QuietHours(start=time(13), end=time(14, 30))


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
