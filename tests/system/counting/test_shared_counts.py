"""Counts that outlive the worker that has made them."""

import os

from flask10x.system.gauges import SharedCounts


def in_child(counts: SharedCounts, row: int, column: int, amount: int) -> None:
    """Count in a forked process that ends without any farewell."""
    pid = os.fork()
    if pid == 0:
        counts.add(row, column, amount)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_begins_at_nothing() -> None:
    counts = SharedCounts(3, 2)
    assert [counts.total(column) for column in range(2)] == [0, 0]


def test_a_total_is_that_of_all_rows() -> None:
    counts = SharedCounts(3, 2)
    counts.add(0, 1)
    counts.add(2, 1, 40)
    counts.add(2, 0)
    assert [counts.total(column) for column in range(2)] == [1, 41]


def test_what_a_worker_has_counted_stays_and_the_next_one_counts_on() -> None:
    counts = SharedCounts(2, 1)
    in_child(counts, 1, 0, 5)
    assert counts.total(0) == 5
    in_child(counts, 1, 0, 2)
    assert counts.total(0) == 7
