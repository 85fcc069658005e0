"""What is measured is compared with the aims of the table."""

import math

import pytest

from benchmarks.bench import aims
from benchmarks.bench.aims import Aim, Line, outcome
from benchmarks.bench.results import Run

TEXTS = ("what", "項目")


def runs(side: str, values: list[float], **more: list[float]) -> list[Run]:
    return [
        Run("row", side, number, {"x": value, **{k: v[number] for k, v in more.items()}})
        for number, value in enumerate(values)
    ]


def test_it_is_compared_with_the_floor_of_the_same_round() -> None:
    line = Line("row", "x", TEXTS, Aim("at most", 1.1, of_floor=True))
    # The machine was twice as slow in the last two rounds.
    measured = runs("floor", [1.0, 1.0, 1.0, 2.0, 2.0]) + runs("ours", [1.0, 1.0, 1.1, 2.4, 2.4])

    found = outcome(line, measured)

    assert found is not None
    assert found.compared == pytest.approx(1.1)
    assert (found.is_met, found.runs, found.ours.median) == (True, 5, 1.1)
    assert found.floor is not None
    assert found.floor.median == 1.0


def test_missed_is_told_as_a_part_of_the_limit() -> None:
    at_most = outcome(Line("row", "x", TEXTS, Aim("at most", 40)), runs("ours", [50.0]))
    at_least = outcome(Line("row", "x", TEXTS, Aim("at least", 300)), runs("ours", [240.0]))

    assert at_most is not None
    assert at_least is not None
    assert (at_most.is_met, at_most.missed_by) == (False, 0.25)
    assert at_least.missed_by == pytest.approx(0.2)


def test_of_what_must_not_happen_the_worst_run_counts() -> None:
    line = Line("row", "x", TEXTS, Aim("at most", 0), worst=True)

    found = outcome(line, runs("ours", [0.0, 0.0, 3.0]))

    assert found is not None
    assert (found.is_met, found.missed_by) == (False, 3.0)


def test_a_limit_can_be_another_value_of_the_same_run() -> None:
    line = Line("row", "x", TEXTS, Aim("at most", 4, of_value="commit_ms"))

    found = outcome(line, runs("ours", [80.0, 88.0, 99.0], commit_ms=[20.0, 22.0, 33.0]))

    assert found is not None
    assert (found.compared, found.is_met) == (4.0, True)


def test_runs_in_which_a_worker_idled_do_not_count() -> None:
    line = Line("row", "x", TEXTS, Aim("at least", 1, of_floor=True), only="both_busy")
    measured = runs("floor", [10.0, 10.0], both_busy=[1.0, 1.0])
    measured += runs("ours", [1.0, 20.0], both_busy=[0.0, 1.0])

    found = outcome(line, measured)

    assert found is not None
    assert (found.runs, found.compared) == (1, 2.0)


def test_what_was_not_measured_has_no_outcome() -> None:
    against_floor = Line("row", "x", TEXTS, Aim("at most", 1, of_floor=True))

    assert outcome(against_floor, []) is None
    assert outcome(against_floor, runs("ours", [1.0])) is None


def test_a_run_without_the_value_does_not_count() -> None:
    line = Line("row", "y", TEXTS, Aim("at most", 1))

    assert outcome(line, runs("ours", [1.0])) is None


def test_no_number_is_a_miss() -> None:
    found = outcome(Line("row", "x", TEXTS, Aim("at most", 50)), runs("ours", [math.nan]))

    assert found is not None
    assert not found.is_met


def test_each_line_of_the_table_has_its_own_texts_and_value() -> None:
    lines = aims.LINES

    assert len({(line.row, line.side, line.value) for line in lines}) == len(lines)
    for language in (0, 1):
        assert len({line.texts[language] for line in lines}) == len(lines)
