"""What a turn of a run has to show: that the fault was one, and that it ended in time."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from tests.faults import outage_table
from tests.faults.cluster.bounds import BOUNDS, Bound, Times
from tests.faults.cluster.faults import FAULTS
from tests.faults.cluster.run import Turn

# Acknowledged before the fault, in its middle, and after it.
ANSWERED_SEC = [98.0, 99.5, 107.0, 125.0, 126.0]


@pytest.mark.parametrize(
    ("answered_sec", "gap", "after_its_beginning", "after_its_end"),
    [
        (ANSWERED_SEC, 18.0, 18.0, 5.0),
        ([99.5, 119.0, 127.0], 19.5, 19.0, 7.0),
        ([130.0], 30.0, 30.0, 10.0),
        ([99.5], 0.0, 0.0, 0.0),
    ],
)
def test_what_of_an_outage_its_bound_is_for(
    answered_sec: Sequence[float], gap: float, after_its_beginning: float, after_its_end: float
) -> None:
    times = Times(100.0, 120.0, answered_sec)
    assert times.longest_gap() == gap
    assert times.outage(Bound(1.0, from_end=False)) == after_its_beginning
    assert times.outage(Bound(1.0, from_end=True)) == after_its_end


def turn(times: int, outage_sec: float, counted: Mapping[str, int]) -> Turn:
    return Turn("pg-leader-killed", times, outage_sec, outage_sec, Counter(counted))


def test_a_turn_that_shows_a_fault() -> None:
    turn(1, 25.0, {"refused": 1}).check()
    turn(1, 25.0, {"unanswered": 1}).check()


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (turn(0, 25.0, {"refused": 1}), "has hit nothing"),
        (turn(1, 0.1, {"sent": 9}), "nobody noticed"),
        (turn(1, 200.0, {"refused": 1}), "later than"),
    ],
)
def test_a_turn_that_shows_none_or_lasts_too_long_fails(shown: Turn, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        shown.check()


def test_each_fault_has_a_bound_and_a_row_in_the_table() -> None:
    assert {*FAULTS, "pg-restarted", "pg-hour-away"} == BOUNDS.keys() == outage_table.FAULTS.keys()
