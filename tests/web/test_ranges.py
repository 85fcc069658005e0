"""Quick ranges, the neighbours of a range, and a wider one."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from flask10x.config.settings import Settings
from flask10x.history.parameters import HTML, parse_query
from flask10x.readings.times import parse_bound
from flask10x.translation import translation
from flask10x.web.pages.history.model import period
from flask10x.web.ranges import (
    LENGTH_MS,
    QUICK,
    bound_text,
    name_of_length,
    neighbours,
    quick_name,
    wider,
)
from tests.support.html import NINE

HOUR = 3_600_000
TOKYO = ZoneInfo("Asia/Tokyo")


def test_each_quick_range_is_as_long_as_it_says(settings: Settings) -> None:
    for name, start in QUICK.items():
        if start is not None:
            query = parse_query([("from", start)], settings, NINE, HTML)
            assert query.since is not None
            assert NINE - query.since.ms == LENGTH_MS[name]


@pytest.mark.parametrize(
    ("start", "end", "name"),
    [
        ("-24h", "", "24h"),
        ("-24h", "now", "24h"),
        ("", "", "all"),
        ("-24h", "2025-08-24", None),
        ("-25h", "", None),
        # Written in other units.
        ("-1d", "", "24h"),
        ("-1w", "", "7d"),
        ("-1mo", "", "30d"),
        ("-1y", "now", "1y"),
        ("-365d", "", "1y"),
        ("-2w", "", None),
        ("yesterday", "", None),
    ],
)
def test_a_quick_range_is_recognised_by_its_parameters(
    start: str, end: str, name: str | None
) -> None:
    assert quick_name(start, end) == name


@pytest.mark.parametrize("name", LENGTH_MS)
def test_after_an_arrow_a_range_is_recognised_by_its_length(settings: Settings, name: str) -> None:
    asked = [("from", str(QUICK[name]))]
    for _ in range(3):
        query = parse_query(asked, settings, NINE, HTML)
        earlier, _later = neighbours(query.since, query.until, NINE, TOKYO)
        assert earlier is not None
        asked = [*zip(("from", "to"), earlier, strict=True)]
        moved = parse_query(asked, settings, NINE, HTML)
        assert name_of_length(moved.since, moved.until) == name


def test_other_lengths_and_open_ranges_have_no_name(settings: Settings) -> None:
    for pairs in (
        [("from", "2025-08-24 06:00"), ("to", "2025-08-24 07:00")],
        [("from", "2025-08-24 06:00")],
        [("to", "2025-08-24 06:00")],
    ):
        query = parse_query(pairs, settings, NINE, HTML)
        assert name_of_length(query.since, query.until) is None


def test_neighbours_touch_and_are_as_long(settings: Settings) -> None:
    pairs = [("from", "2025-08-24 06:00"), ("to", "2025-08-24 06:59")]
    query = parse_query(pairs, settings, NINE, HTML)
    assert neighbours(query.since, query.until, NINE, TOKYO) == (
        ("2025-08-24 05:00:00", "2025-08-24 05:59:59"),
        ("2025-08-24 07:00:00", "2025-08-24 07:59:59"),
    )
    assert neighbours(query.since, query.until, NINE - 2 * HOUR - 1000, TOKYO)[1] is None
    assert neighbours(None, query.until, NINE, TOKYO) == (None, None)


def test_neighbours_in_an_hour_that_comes_twice_touch_too(settings: Settings) -> None:
    new_york = replace(settings, timezone="America/New_York")
    asked = [("from", "2025-11-02T05:30Z"), ("to", "2025-11-02T06:29Z")]
    for _ in range(3):
        query = parse_query(asked, new_york, NINE + 365 * 24 * HOUR, HTML)
        assert query.since and query.until
        _, later = neighbours(query.since, query.until, NINE + 365 * 24 * HOUR, new_york.zone)
        assert later is not None
        asked = [*zip(("from", "to"), later, strict=True)]
        after = parse_query(asked, new_york, NINE, HTML)
        assert after.since and after.until
        assert after.since.ms == query.until.ms + 1
        assert after.until.ms - after.since.ms == HOUR - 1


def test_before_1970_there_is_nothing(settings: Settings) -> None:
    query = parse_query([("from", "1980-01-01")], settings, NINE, HTML)
    assert neighbours(query.since, None, NINE, TOKYO) == (None, None)


@pytest.mark.parametrize(
    ("start", "newest_hours_ago", "expected"),
    [
        ("-1h", 3, "6h"),
        ("-1h", 0.5, "6h"),
        ("-6h", 50, "7d"),
        ("-1h", 24 * 400, "all"),
        ("-2w", 400, "30d"),
        ("-1h", None, "all"),
    ],
)
def test_a_wider_range_reaches_the_newest_reading(
    settings: Settings, start: str, newest_hours_ago: float | None, expected: str
) -> None:
    query = parse_query([("from", start)], settings, NINE, HTML)
    newest = None if newest_hours_ago is None else NINE - round(newest_hours_ago * HOUR)
    assert wider(query, newest, NINE) == expected


@pytest.mark.parametrize(
    ("end", "newest_hours_ago", "expected"),
    [
        ("2026-01-01 00:59", 0.1, "1h"),
        ("2026-01-02 23:59", 0.1, "7d"),
        ("2026-01-01 00:59", 20, "24h"),
        ("", 0.1, "1h"),
    ],
)
def test_a_range_after_now_leads_to_one_that_is_as_long_and_ends_now(
    settings: Settings, end: str, newest_hours_ago: float, expected: str
) -> None:
    query = parse_query([("from", "2026-01-01"), ("to", end)], settings, NINE, HTML)
    assert wider(query, NINE - round(newest_hours_ago * HOUR), NINE) == expected


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00+00:00", "9999-12-31T23:59:59-12:00"])
@pytest.mark.parametrize("zone", [TOKYO, ZoneInfo("America/New_York")])
@pytest.mark.parametrize("end", [False, True])
def test_the_first_and_the_last_bound_are_written_so_that_they_are_read_back(
    text: str, zone: ZoneInfo, end: bool
) -> None:
    ms = parse_bound(text, zone, NINE, end=end)
    assert parse_bound(bound_text(ms, zone, end=end), zone, NINE, end=end) == ms


def test_nothing_is_wider_than_everything(settings: Settings) -> None:
    assert wider(parse_query([], settings, NINE, HTML), NINE, NINE) is None


@pytest.mark.parametrize(
    ("start", "end", "english", "japanese"),
    [
        ("2025-08-23", "2025-08-24", "23 – 24 Aug", "8月23日〜24日"),
        ("2025-07-30", "2025-08-02", "30 Jul – 2 Aug", "7月30日〜8月2日"),
        ("2020-01-30", "2020-02-01", "30 Jan – 1 Feb 2020", "2020年1月30日〜2月1日"),
        ("2024-12-31", "2025-01-01", "31 Dec 2024 – 1 Jan", "2024年12月31日〜1月1日"),
        ("2025-08-01", "2026-08-02", "1 Aug – 2 Aug 2026", "8月1日〜2026年8月2日"),
        ("2025-08-23 07:35", "2025-08-23 08:35", "23 Aug, 07:35 – 08:35", "8月23日 07:35〜08:35"),
        ("2025-08-23", "2025-08-23", "23 Aug", "8月23日"),
    ],
)
def test_a_period_names_what_its_ends_share_once(
    settings: Settings, start: str, end: str, english: str, japanese: str
) -> None:
    query = parse_query([("from", start), ("to", end)], settings, NINE, HTML)
    said = [period(query, NINE, TOKYO, translation(language)) for language in ("en", "ja")]
    assert said == [english, japanese]
