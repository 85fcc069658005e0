"""Which buckets of a line are not whole, and which come after a gap."""

from zoneinfo import ZoneInfo

import pytest

from flask10x.history.buckets import Bucket, Line, Window, gaps_before, partial_places
from flask10x.history.local_time import BY_NAME
from flask10x.readings.stations import BUILT_IN

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
TOKYO = ZoneInfo("Asia/Tokyo")
# 2025-08-24 00:00:00 there.
MIDNIGHT = 1_755_961_200_000


def line(counts: dict[int, int], interval_ms: int | None = MINUTE) -> Line:
    station = BUILT_IN.all[0]
    buckets = {place: Bucket(count, 1.0, 0.0, 1.0) for place, count in counts.items()}
    return Line(station, station.measurements[0], interval_ms, buckets)


def days(first_ms: int, last_ms: int) -> Window:
    return Window(first_ms, last_ms, BY_NAME["day"], TOKYO)


WHOLE = 24 * 60
TEN = days(MIDNIGHT, MIDNIGHT + 10 * DAY - 1)


def test_whole_days_are_whole() -> None:
    assert partial_places(line(dict.fromkeys(range(10), WHOLE)), TEN, None) == []


def test_the_ends_of_the_range_and_now_cut() -> None:
    counts = dict.fromkeys(range(10), WHOLE)
    window = days(MIDNIGHT + 5 * HOUR, MIDNIGHT + 10 * DAY - 5 * HOUR)
    assert partial_places(line(counts), window, None) == [0, 9]
    assert partial_places(line(counts), TEN, MIDNIGHT + 9 * DAY + HOUR) == [9]
    # The reading that would end the day need not have come yet.
    almost = days(MIDNIGHT, MIDNIGHT + 10 * DAY - MINUTE)
    assert partial_places(line(counts), almost, None) == []


def test_a_day_with_a_gap_is_told_and_one_with_a_short_one_is_not() -> None:
    counts = dict.fromkeys(range(10), WHOLE) | {3: WHOLE - 60, 6: WHOLE // 2}
    assert partial_places(line(counts), TEN, None) == [6]


def test_the_first_day_and_those_beside_a_long_gap() -> None:
    counts = dict.fromkeys((1, 2, 3, 4, 7, 8, 9), WHOLE) | {0: 300, 4: 1200, 7: 1000}
    assert partial_places(line(counts), TEN, None) == [0, 4, 7]


def test_a_sender_whose_pace_was_changed_has_no_gap() -> None:
    counts = {day: WHOLE if day < 20 else 3 * WHOLE for day in range(40)} | {20: 2 * WHOLE}
    window = days(MIDNIGHT, MIDNIGHT + 40 * DAY - 1)
    assert partial_places(line(counts, 20_000), window, None) == []


@pytest.mark.parametrize("interval_ms", [None, DAY, 12 * HOUR])
def test_who_sends_so_rarely_has_no_gap_within_a_day(interval_ms: int | None) -> None:
    counts = dict.fromkeys(range(10), 2) | {4: 1}
    assert partial_places(line(counts, interval_ms), TEN, None) == []


def test_a_day_of_23_or_25_hours_lacks_nothing() -> None:
    zone, first = ZoneInfo("Europe/Berlin"), 1_761_084_000_000  # 2025-10-22
    window = Window(first, first + 8 * DAY, BY_NAME["day"], zone)
    counts = {
        place: (following - start) // MINUTE
        for place, (start, following) in enumerate(
            zip(window.starts, window.starts[1:], strict=False)
        )
    }
    assert {*counts.values()} == {WHOLE, WHOLE + 60}
    assert partial_places(line(counts), window, None) == [7]


def test_narrow_buckets_lack_nothing_by_jitter() -> None:
    window = Window(MIDNIGHT, MIDNIGHT + 40 * MINUTE - 1, BY_NAME["1m"], TOKYO)
    counts = {place: 2 + place % 3 for place in range(40)}
    assert partial_places(line(counts, 20_000), window, None) == []


def five_minutes(buckets: int) -> Window:
    return Window(MIDNIGHT, MIDNIGHT + buckets * 5 * MINUTE - 1, BY_NAME["5m"], TOKYO)


# Each ten minutes for a hundred, then each minute; and the other way round, then each hour.
FASTER = dict.fromkeys(range(0, 20, 2), 1) | dict.fromkeys(range(20, 40), 5)
SLOWER = dict.fromkeys(range(20), 5) | dict.fromkeys(range(20, 140, 12), 1)


@pytest.mark.parametrize(
    ("counts", "lost", "interval_ms", "gaps"),
    [
        (FASTER, (), MINUTE, []),
        # Two readings of the slow ones are no gap, four are: fifty minutes without one.
        (FASTER, (8, 10), MINUTE, []),
        (FASTER, (6, 8, 10, 12), MINUTE, [3]),
        (FASTER, (30,), MINUTE, [20]),
        (SLOWER, (), HOUR, []),
        # Twenty minutes without one of the fast ones, an hour later one of the slow ones.
        (SLOWER, (5, 6, 7, 8), HOUR, [5]),
        (SLOWER, (56,), HOUR, []),
        (SLOWER, (56, 68, 80), HOUR, [23]),
    ],
)
def test_a_gap_is_judged_by_the_rhythm_of_then(
    counts: dict[int, int], lost: tuple[int, ...], interval_ms: int, gaps: list[int]
) -> None:
    left = {place: count for place, count in counts.items() if place not in lost}
    assert gaps_before(line(left, interval_ms), five_minutes(140), has_begun=True) == gaps


def test_the_first_bucket_comes_after_a_gap_where_the_line_was_there_before() -> None:
    late = line(dict.fromkeys(range(6, 40), 5))
    assert gaps_before(late, five_minutes(40), has_begun=True) == [0]
    assert gaps_before(late, five_minutes(40), has_begun=False) == []


@pytest.mark.parametrize(("interval_ms", "gaps"), [(None, []), (MINUTE, [1]), (HOUR, [])])
def test_few_values_are_judged_by_the_usual_interval(
    interval_ms: int | None, gaps: list[int]
) -> None:
    few = line({0: 1, 10: 1, 11: 1}, interval_ms)
    assert gaps_before(few, five_minutes(40), has_begun=False) == gaps
