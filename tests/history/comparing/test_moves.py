"""The same time by the clock on another date, also across clock changes and leap days."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.history.comparison import earlier, has_leap_day, later
from flask10x.history.query import MOVES

BERLIN = ZoneInfo("Europe/Berlin")
TOKYO = ZoneInfo("Asia/Tokyo")


def ms(text: str, zone: ZoneInfo = BERLIN) -> int:
    """Of a local time, or of one with an offset."""
    at = datetime.fromisoformat(text)
    return round((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("by", "here", "there"),
    [
        ("day", "2025-08-24 09:00:12.345", "2025-08-23 09:00:12.345"),
        ("day", "2025-03-30 12:00", "2025-03-29 12:00"),
        ("day", "2025-10-26 12:00", "2025-10-25 12:00"),
        ("week", "2025-04-01 12:00", "2025-03-25 12:00"),
        ("year", "2025-08-24 09:00", "2024-08-24 09:00"),
        ("year", "2024-03-01 00:00", "2023-03-01 00:00"),
    ],
)
def test_the_clock_shows_the_same(by: str, here: str, there: str) -> None:
    move = MOVES[by]
    assert earlier(move, ms(here), BERLIN) == ms(there)
    assert later(move, ms(there), BERLIN) == ms(here)


def test_an_hour_that_is_skipped_has_no_place() -> None:
    day = MOVES["day"]
    assert later(day, ms("2025-03-29 01:59:59"), BERLIN) == ms("2025-03-30 01:59:59")
    assert later(day, ms("2025-03-29 02:00"), BERLIN) is None
    assert later(day, ms("2025-03-29 02:59:59"), BERLIN) is None
    assert later(day, ms("2025-03-29 03:00"), BERLIN) == ms("2025-03-30 03:00")


def test_of_an_hour_that_is_repeated_the_first_is_meant() -> None:
    assert later(MOVES["day"], ms("2025-10-25 02:30"), BERLIN) == ms("2025-10-26T02:30+02:00")
    both = [ms(f"2025-10-26T02:30+0{offset}:00") for offset in (2, 1)]
    assert [later(MOVES["day"], at, BERLIN) for at in both] == [ms("2025-10-27 02:30")] * 2


def test_a_leap_day_has_no_other_one() -> None:
    year = MOVES["year"]
    assert later(year, ms("2024-02-28 12:00"), BERLIN) == ms("2025-02-28 12:00")
    assert later(year, ms("2024-02-29 12:00"), BERLIN) is None
    leap = ms("2024-02-29 12:00")
    assert earlier(year, leap, BERLIN) == ms("2023-03-01 00:00")
    assert earlier(year, leap, BERLIN, end=True) == ms("2023-02-28 23:59:59.999")


@pytest.mark.parametrize(
    ("first", "last", "has"),
    [
        ("2024-02-29 23:59", "2024-03-05", True),
        ("2024-02-01", "2024-02-29 00:00", True),
        ("2024-03-01", "2025-12-31", False),
        ("2023-01-01", "2024-02-28 23:59:59", False),
        ("2021-01-01", "2025-01-01", True),
    ],
)
def test_whether_a_leap_day_lies_in_a_range(first: str, last: str, has: bool) -> None:
    assert has_leap_day(ms(first), ms(last), BERLIN) is has


def test_before_the_first_year_there_is_nothing() -> None:
    assert earlier(MOVES["year"], ms("1900-06-01"), BERLIN) is None
    assert earlier(MOVES["day"], ms("1900-06-02"), BERLIN) == ms("1900-06-01")


@given(at=st.integers(0, 4_000_000_000_000), by=st.sampled_from([*MOVES]))
def test_there_and_back_where_the_clock_is_never_changed(at: int, by: str) -> None:
    there = earlier(MOVES[by], at, TOKYO)
    assert there is not None
    back = later(MOVES[by], there, TOKYO)
    leap = datetime.fromtimestamp(at / 1000, TOKYO).strftime("%m-%d") == "02-29"
    assert back == at or (by == "year" and leap)


def test_the_calendar_ends() -> None:
    end = ms("9999-12-31T23:59:59+00:00")
    assert earlier(MOVES["day"], end, TOKYO) == ms("9999-12-28T23:59:59+00:00")
    assert has_leap_day(ms("9996-01-01"), end, TOKYO)
    for move in MOVES.values():
        assert later(move, ms("9999-12-29T12:00:00+00:00"), TOKYO) is None
