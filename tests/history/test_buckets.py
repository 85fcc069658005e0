"""How wide the buckets of a chart are, and what they add up to."""

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.history.buckets import Bucket, Window, window_for
from flask10x.history.local_time import BY_NAME, DRAWN_STEPS

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
DAY = 24 * HOUR
EPOCH = date(1970, 1, 1)
T = 1_756_000_000_000
CENTURIES_MS = 253_402_300_799_999
ZONES = (
    *("Asia/Tokyo", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin"),
    *("America/Santiago", "Pacific/Apia", "UTC"),
)
INSTANTS = st.integers(0, 4_000_000_000_000)
NAMED = st.sampled_from(ZONES).map(ZoneInfo)


@pytest.mark.parametrize(
    ("span", "step"),
    [
        (0, "1s"),
        (10 * MINUTE - 1, "1s"),
        (10 * MINUTE, "2s"),
        (HOUR, "10s"),
        (6 * HOUR, "1m"),
        (DAY, "5m"),
        (7 * DAY, "30m"),
        (20 * DAY, "1h"),
        (30 * DAY, "2h"),
        (70 * DAY, "3h"),
        (140 * DAY, "6h"),
        (290 * DAY, "12h"),
        (365 * DAY, "day"),
        (10 * 365 * DAY, "week"),
        (20 * 365 * DAY, "month"),
        (100 * 365 * DAY, "year"),
    ],
)
def test_usual_ranges(span: int, step: str) -> None:
    assert window_for(T, T + span, 600, ZoneInfo("Asia/Tokyo")).step.name == step


@pytest.mark.parametrize(
    ("span", "step"),
    [(DAY, "5m"), (30 * DAY, "2h"), (70 * DAY, "3h"), (140 * DAY, "day"), (365 * DAY, "day")],
)
def test_no_drawn_day_has_too_few_buckets_to_show_its_ups_and_downs(span: int, step: str) -> None:
    window = window_for(T, T + span, 600, ZoneInfo("Asia/Tokyo"), DRAWN_STEPS)
    assert window.step.name == step


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Tokyo", "Australia/Lord_Howe"])
def test_a_year_in_400_pixels_is_days_from_midnight_to_midnight(zone: str) -> None:
    window = window_for(T, T + 365 * DAY, 400, ZoneInfo(zone), DRAWN_STEPS)
    assert len(window.starts) == 367
    times = [datetime.fromtimestamp(start / 1000, ZoneInfo(zone)) for start in window.starts]
    assert {(time.hour, time.minute) for time in times} == {(0, 0)}


@given(st.integers(0, CENTURIES_MS), st.integers(0, CENTURIES_MS), st.integers(2, 600), NAMED)
def test_never_more_buckets_than_asked_for(one: int, other: int, most: int, zone: ZoneInfo) -> None:
    first, last = sorted((one, other))
    window = window_for(first, last, most, zone)
    assert 2 <= len(window.starts) <= most + 1
    assert window.starts[0] <= first
    assert window.starts[-2] <= last < window.starts[-1]
    assert all(start < following for start, following in pairwise(window.starts))


@given(INSTANTS, st.integers(0, 3000 * DAY), st.integers(2, 600), NAMED)
def test_each_instant_lies_in_the_bucket_of_its_unit(
    first: int, span: int, most: int, zone: ZoneInfo
) -> None:
    window = window_for(first, first + span, most, zone)
    pieces = list(window.runs(first, first + span))
    assert (pieces[0].low_ms, pieces[-1].high_ms) == (first, first + span)
    assert all(one.high_ms + 1 == following.low_ms for one, following in pairwise(pieces))
    unit = window.step.unit_ms
    for piece in pieces[:: len(pieces) // 5 + 1]:
        for at in (piece.low_ms, (piece.low_ms + piece.high_ms) // 2, piece.high_ms):
            number = (at + piece.offset_ms) // unit
            start = max(number * unit - piece.offset_ms, piece.low_ms)
            assert window.place(start) == window.place(at)
            assert window.starts[window.place(at)] <= at < window.starts[window.place(at) + 1]


@given(INSTANTS, st.sampled_from(["2h", "3h", "6h", "12h"]), NAMED)
def test_hours_are_whole_and_begin_at_midnight_where_that_is_a_whole_hour(
    first: int, name: str, zone: ZoneInfo
) -> None:
    window = Window(first, first + 90 * DAY, BY_NAME[name], zone)
    assert all(start % HOUR == 0 for start in window.starts)
    midnights = 0
    for start in window.starts[:-1]:
        local = datetime.fromtimestamp(start / 1000, zone)
        ahead = zone.utcoffset(local)
        assert ahead is not None
        if ahead.total_seconds() % 3600 == 0:
            assert local.minute == 0
        midnights += local.hour == 0
    assert midnights >= 85


@given(INSTANTS, NAMED)
def test_days_are_those_of_the_calendar(first: int, zone: ZoneInfo) -> None:
    window = Window(first, first + 40 * DAY, BY_NAME["day"], zone)
    dates = [datetime.fromtimestamp(start / 1000, zone).date() for start in window.starts]
    assert all(one < following for one, following in pairwise(dates))
    for place, start in enumerate(window.starts[:-1]):
        last = datetime.fromtimestamp((window.starts[place + 1] - 1) / 1000, zone)
        assert last.date() == dates[place]
        before = datetime.fromtimestamp((start - 1) / 1000, zone)
        assert before.date() < dates[place]
    for place, one in enumerate(dates[:-1]):
        assert window.place_of_day((one - EPOCH).days) == place


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [
        ("Europe/Berlin", datetime(2025, 3, 29, 12, tzinfo=UTC), [24, 23, 24]),
        ("Europe/Berlin", datetime(2025, 10, 25, 12, tzinfo=UTC), [24, 25, 24]),
        ("Australia/Lord_Howe", datetime(2025, 4, 5, 0, tzinfo=UTC), [24, 24.5, 24]),
        # Here midnight itself is skipped and shown twice.
        ("America/Santiago", datetime(2025, 9, 6, 12, tzinfo=UTC), [24, 23, 24]),
        ("America/Santiago", datetime(2025, 4, 5, 12, tzinfo=UTC), [25, 24, 24]),
        # 30 December 2011 has not been.
        ("Pacific/Apia", datetime(2011, 12, 29, 20, tzinfo=UTC), [24, 24, 24]),
    ],
)
def test_days_at_changes_of_the_clock(zone: str, first: datetime, hours: list[float]) -> None:
    first_ms = round(first.timestamp() * 1000)
    window = Window(first_ms, first_ms + 60 * HOUR, BY_NAME["day"], ZoneInfo(zone))
    lengths = [(end - start) / HOUR for start, end in pairwise(window.starts)]
    assert lengths[:3] == hours


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("week", ["2024-12-30", "2025-01-06", "2025-01-13"]),
        ("month", ["2025-01-01", "2025-02-01", "2025-03-01"]),
        ("year", ["2025-01-01", "2026-01-01"]),
        ("10y", ["2020-01-01", "2030-01-01"]),
    ],
)
def test_weeks_begin_on_monday_and_months_on_the_first(name: str, starts: list[str]) -> None:
    zone = ZoneInfo("Asia/Tokyo")
    first = round(datetime(2025, 1, 3, tzinfo=zone).timestamp() * 1000)
    window = Window(first, first + 40 * DAY, BY_NAME[name], zone)
    dates = [str(datetime.fromtimestamp(s / 1000, zone).date()) for s in window.starts]
    assert dates[: len(starts)] == starts


def test_parts_of_a_bucket_add_up() -> None:
    bucket = Bucket()
    bucket.add(0, 0.0, None, None)
    assert bucket == Bucket(0, 0.0, None, None)
    bucket.add(2, 5.0, 1.0, 4.0)
    bucket.add(0, 0.0, None, None)
    bucket.add(1, -3.0, -3.0, -3.0)
    bucket.add(1, 0.0, 0.0, 0.0)
    assert bucket == Bucket(4, 2.0, -3.0, 4.0)
