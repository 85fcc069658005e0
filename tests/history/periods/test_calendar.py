from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from flask10x.history import periods
from flask10x.readings.reasons import WrongValue
from flask10x.readings.times import HOUR_MS

TOKYO, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")


def hours(zone: ZoneInfo, name: str) -> float:
    span = periods.span_of(name, zone)
    return (span.last_ms + 1 - span.first_ms) / HOUR_MS


def test_a_month_has_its_days_and_a_year_its_months() -> None:
    days = periods.parts_of("2024-02", TOKYO)
    assert (len(days), days[0].name, days[-1].name) == (29, "2024-02-01", "2024-02-29")
    months = periods.parts_of("2025", TOKYO)
    assert (len(months), months[0].name, months[-1].name) == (12, "2025-01", "2025-12")


@pytest.mark.parametrize("name", ["2025-03", "2025-10", "2024-02", "2025", "2024"])
@pytest.mark.parametrize("zone", [TOKYO, BERLIN, ZoneInfo("Pacific/Apia")], ids=str)
def test_parts_touch_and_fill_the_whole(name: str, zone: ZoneInfo) -> None:
    whole, parts = periods.span_of(name, zone), periods.parts_of(name, zone)
    assert (parts[0].first_ms, parts[-1].last_ms) == (whole.first_ms, whole.last_ms)
    for one, following in pairwise(parts):
        assert one.last_ms + 1 == following.first_ms


def test_days_are_as_long_as_the_local_calendar_has_them() -> None:
    assert [hours(BERLIN, day) for day in ("2025-03-30", "2025-10-26", "2025-06-01")] == [
        23,
        25,
        24,
    ]


def test_a_day_that_a_zone_left_out_has_no_length() -> None:
    assert hours(ZoneInfo("Pacific/Apia"), "2011-12-30") == 0


def test_neighbours() -> None:
    assert periods.neighbours("2025-01") == ("2024-12", "2025-02")
    assert periods.neighbours("2025-12") == ("2025-11", "2026-01")
    assert periods.neighbours("1970-01") == (None, "1970-02")
    assert periods.neighbours("9999-12") == ("9999-11", None)
    assert periods.neighbours("1970") == (None, "1971")
    assert periods.neighbours("all") == (None, None)


def test_years_between_are_those_of_the_zone() -> None:
    new_year = periods.span_of("2025", TOKYO).first_ms
    assert [y.name for y in periods.years_between(new_year - 1, new_year, TOKYO)] == [
        "2024",
        "2025",
    ]
    assert periods.month_of(new_year - 1, TOKYO) == "2024-12"


def test_what_names_no_period() -> None:
    assert [periods.checked(text) for text in ("2025-08", " 2025 ", "all")] == [
        "2025-08",
        "2025",
        "all",
    ]
    for wrong in ("2025-13", "2025-00", "1969", "2025-8", "2025-08-24", "yesterday", "٢٠٢٥"):
        with pytest.raises(WrongValue):
            periods.checked(wrong)
