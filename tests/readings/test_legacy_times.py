"""Local times of old files as instants, also where the clock was changed."""

import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from flask10x.readings.legacy_csv import LegacyTimes

TOKYO = ZoneInfo("Asia/Tokyo")
# The clock goes from 03:00 back to 02:00 on 2025-10-26, from 02:00 to 03:00 on 2025-03-30.
BERLIN = ZoneInfo("Europe/Berlin")
# From 02:00 back to 01:30 on 2025-04-06, from 02:00 to 02:30 on 2025-10-05.
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
MIDNIGHT_UTC = 1_761_436_800_000  # 2025-10-26T00:00Z, 02:00 in Berlin
MINUTE = 60_000


@pytest.fixture
def berlin_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as context:
        context.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-08-24 09:00:00", 1_755_993_600_000),
        ("2025-08-24T09:00:00", 1_755_993_600_000),
        ("2025-08-24 09:59:59", 1_755_997_199_000),
        ("2025-08-24T09:00:00.123456", 1_755_993_600_123),
        ("2025-08-24 09:00:00.9996", 1_755_993_600_999),
        ("2025-08-24T09:00:00.5", 1_755_993_600_500),
        ("2025-08-24T00:00:00Z", 1_755_993_600_000),
        ("2025-08-24T02:00:00.250+02:00", 1_755_993_600_250),
        ("2025-08-24 02:00:00+0200", 1_755_993_600_000),
        (" 2025-08-24 09:00:00 ", 1_755_993_600_000),
        ("1970-01-01 00:00:00", -32_400_000),
    ],
)
def test_formats(text: str, instant: int) -> None:
    assert LegacyTimes(TOKYO)(text) == instant


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a time: ''"),
        ("2025/08/24 09:00:00", "not a time: '2025/08/24 09:00:00'"),
        ("2025-08-24", "not a time: '2025-08-24'"),
        ("2025-08-24 09:00", "not a time: '2025-08-24 09:00'"),
        ("2025-08-24 09:00:0", "not a time"),
        ("2025-08-24 09:00:00 JST", "not a time"),
        ("2025-08-24 09:00:00.", "not a time"),
        ("２０２５-08-24 09:00:00", "not a time"),
        ("\0" * 50, "not a time: '\\x00"),
        ("2025-02-29 09:00:00", "no such time: day is out of range"),
        ("2025-08-24 24:00:00", "no such time: hour must be in 0..23"),
        ("2025-08-24 09:00:60", "no such time: second must be in 0..59"),
        ("1969-12-31 23:59:59", "outside the years 1970 to 9998"),
        ("9999-12-31 23:59:59-23:59", "outside the years 1970 to 9998"),
    ],
)
def test_what_is_no_time(text: str, reason: str) -> None:
    times = LegacyTimes(TOKYO)
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            times(text)
        assert str(caught.value).startswith(reason)
    assert times("2025-08-24 09:00:00") == 1_755_993_600_000


def instants(zone: ZoneInfo | None, *texts: str) -> list[int]:
    """Minutes after midnight UTC on 2025-10-26."""
    times = LegacyTimes(zone)
    return [(times(f"2025-10-26 {text}") - MIDNIGHT_UTC) // MINUTE for text in texts]


def test_a_repeated_time_is_the_first() -> None:
    assert instants(BERLIN, "02:30:00") == [30]


def test_a_repeated_time_below_a_later_one_is_the_second() -> None:
    texts = ("01:59:00", "02:00:00", "02:59:00", "02:00:00", "02:01:00", "02:59:00", "03:00:00")
    assert instants(BERLIN, *texts) == [-1, 0, 59, 60, 61, 119, 120]


def test_the_systems_zone_follows_the_same_rule(berlin_is_the_systems: None) -> None:
    texts = ("01:59:00", "02:00:00", "02:59:00", "02:00:00", "02:01:00", "02:59:00", "03:00:00")
    assert instants(None, *texts) == [-1, 0, 59, 60, 61, 119, 120]


def test_a_few_seconds_back_are_no_change_of_the_clock() -> None:
    assert instants(BERLIN, "02:10:40", "02:10:00", "02:11:00") == [10, 10, 11]
    assert instants(BERLIN, "02:10:40", "02:09:00", "02:11:00") == [10, 69, 71]


def test_a_row_that_is_out_of_order_either_way_is_the_first() -> None:
    assert instants(BERLIN, "09:00:00", "02:30:00") == [7 * 60 + 60, 30]


def test_fractions_in_a_repeated_hour() -> None:
    assert LegacyTimes(BERLIN)("2025-10-26T02:30:00.250") == MIDNIGHT_UTC + 30 * MINUTE + 250


def test_an_offset_says_which_one_is_meant() -> None:
    times = LegacyTimes(BERLIN)
    assert times("2025-10-26T02:30:00+01:00") == MIDNIGHT_UTC + 90 * MINUTE


def test_both_meanings_are_kept() -> None:
    midnight = MIDNIGHT_UTC // 1000
    times = LegacyTimes(BERLIN)
    for text in ("2025-10-26 01:59:00", "2025-10-26 02:30:00", "2025-10-26 03:00:00"):
        times(text)
    assert times.repeated == {midnight + 5400: midnight + 1800}
    times.repeated = {}
    times("2025-10-26 02:59:00")
    times("2025-10-26 02:00:00")
    times("2025-10-26T00:01:00Z")
    times("2025-10-26T01:02:00.5Z")
    times("2025-10-26T02:03:00Z")
    assert times.repeated == {
        midnight + 3600 + second: midnight + second for second in (3540, 0, 60, 120)
    }


def test_a_skipped_time_is_none() -> None:
    times = LegacyTimes(BERLIN)
    assert times("2025-03-30 01:59:59") == 1_743_296_399_000
    for text in ("2025-03-30 02:00:00", "2025-03-30T02:59:59.999"):
        with pytest.raises(ValueError, match="no such time: the clock was put forward past 2025"):
            times(text)
    assert times("2025-03-30 03:00:00") == 1_743_296_400_000


def test_a_skipped_time_is_none_in_the_systems_zone(berlin_is_the_systems: None) -> None:
    times = LegacyTimes(None)
    with pytest.raises(ValueError, match="the clock was put forward"):
        times("2025-03-30 02:30:00")
    assert times("2025-03-30 03:00:00") == 1_743_296_400_000


def test_a_change_inside_an_hour() -> None:
    times = LegacyTimes(LORD_HOWE)
    # 2025-04-05T14:00Z to 15:30Z
    shown = ["01:00:00", "01:29:00", "01:30:00", "01:59:00", "01:30:00", "01:59:00", "02:00:00"]
    after = [(times(f"2025-04-06 {text}") - 1_743_861_600_000) // MINUTE for text in shown]
    assert after == [0, 29, 30, 59, 60, 89, 90]
    assert times("2025-10-05 01:59:00") == 1_759_591_740_000
    with pytest.raises(ValueError, match="the clock was put forward"):
        times("2025-10-05 02:15:00")
    assert times("2025-10-05 02:30:00") == 1_759_591_800_000
