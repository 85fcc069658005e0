from flask10x.history.buckets import Bucket
from flask10x.history.period_tables import Limit, PeriodRow, Timed, add_passed, rows_of, whole
from flask10x.history.periods import Span
from flask10x.readings.times import DAY_MS, HOUR_MS

SPANS = [Span(f"2025-08-0{n + 1}", n * DAY_MS, (n + 1) * DAY_MS - 1) for n in range(3)]


def bucket(*values: float) -> Bucket:
    found = Bucket()
    found.add(len(values), sum(values), min(values), max(values))
    return found


def hour(number: int, *values: float) -> Timed:
    return number * HOUR_MS, bucket(*values)


DAYS = [(0, bucket(1, 2, 9)), (DAY_MS, bucket(-4, 0))]
HOURS = [hour(2, 1, 2), hour(5, 9), hour(7, 9), hour(30, -4), hour(31, 0)]


def places(row: PeriodRow) -> tuple[float | None, int | None, float | None, int | None]:
    def number(ms: int | None) -> int | None:
        return None if ms is None else ms // HOUR_MS

    return row.bucket.minimum, number(row.lowest_at), row.bucket.maximum, number(row.highest_at)


def test_lowest_and_highest_are_told_by_their_first_hour() -> None:
    rows = rows_of(SPANS, DAYS, HOURS)
    assert [places(row) for row in rows] == [
        (1, 2, 9, 5),
        (-4, 30, 0, 31),
        (None, None, None, None),
    ]
    assert [row.mean for row in rows] == [4, -2, None]


def test_without_hours_they_are_told_by_the_day() -> None:
    year = Span("2025", 0, 3 * DAY_MS - 1)
    (row,) = rows_of([year], DAYS)
    assert places(row) == (-4, 24, 9, 0)
    assert (row.bucket.count, row.bucket.total) == (5, 8)


def test_the_whole_tells_of_the_row_that_has_the_most() -> None:
    rows = rows_of(SPANS, DAYS, HOURS)
    together = whole(Span("2025-08", 0, 3 * DAY_MS - 1), rows)
    assert places(together) == (-4, 30, 9, 5)
    assert together.bucket.count == 5
    assert together.passed_hours is None


def test_what_lies_outside_all_spans_is_left_out() -> None:
    rows = rows_of(SPANS[1:], DAYS, HOURS)
    assert [row.bucket.count for row in rows] == [2, 0]


def test_hours_beyond_a_limit() -> None:
    rows = rows_of(SPANS, DAYS, HOURS)
    add_passed(rows, HOURS, Limit(value=1.5, above=True), {2 * HOUR_MS: 0.5})
    assert [row.passed_hours for row in rows] == [2.5, 0, None]
    assert whole(Span("2025-08", 0, 3 * DAY_MS - 1), rows).passed_hours == 2.5


def test_a_mixed_hour_whose_readings_nobody_counted_goes_by_its_average() -> None:
    for value, passed in ((1.4, 3.0), (1.5, 2.0)):
        rows = rows_of(SPANS, DAYS, HOURS)
        add_passed(rows, HOURS, Limit(value=value, above=True), {})
        assert rows[0].passed_hours == passed


def test_a_limit_from_below() -> None:
    cold = Limit(value=0, above=False)
    assert [cold.share(bucket(*values)) for values in ((-1, -2), (0, 1), (-1, 1))] == [1, 0, None]
    hot = Limit(value=0, above=True)
    assert [hot.share(bucket(*values)) for values in ((1, 2), (-1, 0), (-1, 1))] == [1, 0, None]
    assert hot.share(Bucket()) == 0
