"""Statistics of runs, and the file in which they are kept."""

import math
from pathlib import Path

import pytest

from benchmarks.bench import results
from benchmarks.bench.results import Run, Spread

ON = {"on": "2026-01-02", "commit": "abc"}


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([5.0], 99, 5.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.5),
        ([4.0, 1.0, 3.0, 2.0], 0, 1.0),
        ([4.0, 1.0, 3.0, 2.0], 100, 4.0),
        ([0.0, 10.0], 99, 9.9),
        ([float(n) for n in range(101)], 99, 99.0),
    ],
)
def test_a_percentile_lies_between_its_neighbours_in_proportion(
    values: list[float], percent: float, expected: float
) -> None:
    assert results.percentile(values, percent) == pytest.approx(expected)


def test_no_values_have_no_percentile_and_no_spread() -> None:
    assert math.isnan(results.percentile([], 50))
    assert all(math.isnan(value) for value in results.latencies([]).values())
    with pytest.raises(ValueError, match="no values"):
        results.spread([])


def test_the_spread_of_five_runs_is_their_median_quartiles_and_ends() -> None:
    assert results.spread([9.0, 1.0, 4.0, 3.0, 2.0]) == Spread(3.0, 2.0, 4.0, 1.0, 9.0)


def test_a_row_that_is_measured_again_takes_the_place_of_its_old_runs(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    old, other = Run("a", "ours", 0, {"x": 1.0}), Run("b", "ours", 0, {"x": 2.0})
    results.replace("a", [old], ON, file)
    results.replace("b", [other], ON, file)
    new = [Run("a", "floor", 0, {"x": 3.0}), Run("a", "ours", 0, {"x": 4.0})]

    results.replace("a", new, {**ON, "commit": "def"}, file)

    assert results.read(file) == ({"a": {**ON, "commit": "def"}, "b": ON}, [*new, other])


def test_without_a_file_nothing_is_measured(tmp_path: Path) -> None:
    assert results.read(tmp_path / "none.jsonl") == ({}, [])


def test_what_it_was_measured_on_is_told_without_the_name_of_the_machine() -> None:
    taken = results.taken()

    assert set(taken) == {"on", "commit", "versions", "machine", "load"}
    assert all(taken.values())
