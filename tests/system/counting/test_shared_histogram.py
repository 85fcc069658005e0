"""How many values were at most so large."""

from flask10x.system.gauges import Histogram, SharedHistogram


def test_begins_at_nothing() -> None:
    assert SharedHistogram(2, (1, 10)).read() == Histogram((1, 10), (0, 0, 0), 0)


def test_a_bound_holds_what_is_at_most_it() -> None:
    histogram = SharedHistogram(2, (1, 10))
    for row, value in enumerate((0, 1, 2, 10, 11, 500)):
        histogram.observe(row % 2, value)
    assert histogram.read() == Histogram((1, 10), (2, 4, 6), 524)
