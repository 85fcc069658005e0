"""How wide the buckets of a chart are, and what they add up to."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.history.buckets import Bucket, Window, width_ms

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
DAY = 24 * HOUR
T = 1_756_000_000_000
CENTURIES_MS = 253_402_300_799_999


def buckets_of(first: int, last: int, width: int) -> int:
    return last // width - first // width + 1


@pytest.mark.parametrize(
    ("span", "width"),
    [
        (0, SECOND),
        (10 * MINUTE - 1, SECOND),
        (10 * MINUTE, 2 * SECOND),
        (HOUR, 10 * SECOND),
        (6 * HOUR, MINUTE),
        (DAY, 5 * MINUTE),
        (7 * DAY, 30 * MINUTE),
        (30 * DAY, 2 * HOUR),
        (365 * DAY, 15 * HOUR),
        (10 * 365 * DAY, 147 * HOUR),
    ],
)
def test_usual_ranges(span: int, width: int) -> None:
    assert width_ms(T, T + span, 600) == width


@given(st.integers(0, CENTURIES_MS), st.integers(0, CENTURIES_MS), st.integers(2, 600))
def test_never_more_buckets_than_asked_for(one: int, other: int, most: int) -> None:
    first, last = sorted((one, other))
    width = width_ms(first, last, most)
    assert 1 <= buckets_of(first, last, width) <= most
    assert width % SECOND == 0
    assert HOUR % width == 0 or width % HOUR == 0


@given(st.integers(0, CENTURIES_MS), st.integers(1, 400 * DAY), st.integers(2, 600))
def test_half_as_many_at_least_where_hours_are_fine_enough(
    first: int, span: int, most: int
) -> None:
    width = width_ms(first, first + span, most)
    if width > HOUR:
        # One more for the ends; a longer hour is at most twice the one that would just do.
        assert buckets_of(first, first + span, width) >= (most - 1) // 2


@given(st.integers(0, CENTURIES_MS), st.integers(0, 3000 * DAY), st.integers(2, 600))
def test_the_pieces_are_the_range_cut_between_buckets(first: int, span: int, most: int) -> None:
    width = width_ms(first, first + span, most)
    pieces = list(Window(first, first + span, width).pieces())
    assert (pieces[0][0], pieces[-1][1]) == (first, first + span)
    for (low, high), (following, _) in pairwise(pieces):
        assert low <= high == following - 1
        assert following % width == 0
    assert all(high - low < max(30 * DAY, width) for low, high in pieces)


def test_parts_of_a_bucket_add_up() -> None:
    bucket = Bucket()
    bucket.add(0, 0.0, None, None)
    assert bucket == Bucket(0, 0.0, None, None)
    bucket.add(2, 5.0, 1.0, 4.0)
    bucket.add(0, 0.0, None, None)
    bucket.add(1, -3.0, -3.0, -3.0)
    bucket.add(1, 0.0, 0.0, 0.0)
    assert bucket == Bucket(4, 2.0, -3.0, 4.0)
