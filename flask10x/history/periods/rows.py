"""The rows of a table of a period: lowest, mean, highest, and how long a limit was passed."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flask10x.history.buckets import Bucket
from flask10x.history.periods.calendar import Span

Timed = tuple[int, Bucket]
"""A bucket and when it begins, UTC epoch milliseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A value of which one wants to know for how long it was passed."""

    value: float
    above: bool
    """Whether above it counts; else below it."""

    def share(self, bucket: Bucket) -> float | None:
        """Which share of an hour's readings has passed it; None where only they can tell."""
        if bucket.minimum is None or bucket.maximum is None:
            return 0.0
        lowest, highest = bucket.minimum, bucket.maximum
        if (lowest > self.value) if self.above else (highest < self.value):
            return 1.0
        if (highest <= self.value) if self.above else (lowest >= self.value):
            return 0.0
        return None

    def is_passed_by(self, value: float | None) -> bool:
        """Whether this value lies beyond it."""
        if value is None:
            return False
        return value > self.value if self.above else value < self.value


@dataclass(slots=True)
class PeriodRow:
    """A day of a month, a month of a year, a year: all of its readings together."""

    span: Span
    bucket: Bucket = field(default_factory=Bucket)
    lowest_at: int | None = None
    """When the hour or day begins in which the least value was; None: it has no readings."""
    highest_at: int | None = None
    passed_hours: float | None = None
    """How long the limit was passed; None where there is no limit or no reading."""

    @property
    def mean(self) -> float | None:
        """The mean of its readings; None where it has none."""
        return self.bucket.average if self.bucket.count else None


def rows_of(
    spans: Sequence[Span], days: Iterable[Timed], hours: Iterable[Timed] | None = None
) -> list[PeriodRow]:
    """A row for each span, of the days in it.

    With `hours` the lowest and the highest are told by the hour, else by the day.
    """
    rows = [PeriodRow(span) for span in spans]
    starts = [span.first_ms for span in spans]
    for start, bucket in days:
        if row := _row_at(rows, starts, start):
            _add(row, start, bucket, places=hours is None)
    for start, bucket in hours or ():
        if row := _row_at(rows, starts, start):
            _place(row, start, bucket)
    return rows


def add_passed(
    rows: Sequence[PeriodRow], hours: Iterable[Timed], limit: Limit, shares: dict[int, float]
) -> None:
    """Add to each row how many hours the limit was passed.

    An hour that is partly beyond it counts by its share of readings, `shares` by the hour's start;
    one that is not among them counts whole or not at all, by its average.
    """
    known = [(start, bucket) for start, bucket in hours if bucket.count]
    add_hours(rows, ((start, _passed(start, bucket, limit, shares)) for start, bucket in known))


def add_hours(rows: Sequence[PeriodRow], passed: Iterable[tuple[int, float]]) -> None:
    """Add hours that have passed a limit to the rows in whose span they began."""
    starts = [row.span.first_ms for row in rows]
    for start, hours in passed:
        if row := _row_at(rows, starts, start):
            row.passed_hours = (row.passed_hours or 0.0) + hours


def _passed(start: int, bucket: Bucket, limit: Limit, shares: dict[int, float]) -> float:
    share = limit.share(bucket)
    if share is not None:
        return share
    return shares.get(start, float(limit.is_passed_by(bucket.average)))


def whole(span: Span, rows: Iterable[PeriodRow]) -> PeriodRow:
    """All rows together: the last line of a table."""
    found = PeriodRow(span)
    for row in rows:
        if not row.bucket.count:
            continue
        lowest, highest = found.bucket.minimum, found.bucket.maximum
        found.bucket.add(row.bucket.count, row.bucket.total, row.bucket.minimum, row.bucket.maximum)
        if found.bucket.minimum != lowest:
            found.lowest_at = row.lowest_at
        if found.bucket.maximum != highest:
            found.highest_at = row.highest_at
        if row.passed_hours is not None:
            found.passed_hours = (found.passed_hours or 0.0) + row.passed_hours
    return found


def _row_at(rows: Sequence[PeriodRow], starts: Sequence[int], ms: int) -> PeriodRow | None:
    """The row in whose span the instant lies."""
    place = bisect_right(starts, ms) - 1
    return rows[place] if place >= 0 and ms <= rows[place].span.last_ms else None


def _add(row: PeriodRow, start: int, bucket: Bucket, *, places: bool) -> None:
    if not bucket.count:
        return
    if places:
        _place(row, start, bucket, known=row.bucket)
    row.bucket.add(bucket.count, bucket.total, bucket.minimum, bucket.maximum)


def _place(row: PeriodRow, start: int, bucket: Bucket, known: Bucket | None = None) -> None:
    """Remember when the lowest and the highest were, the first of several that are equal.

    `known` is what the row knows so far; without it the row is whole already.
    """
    low, high = bucket.minimum, bucket.maximum
    if known is None:
        if low is not None and low == row.bucket.minimum and row.lowest_at is None:
            row.lowest_at = start
        if high is not None and high == row.bucket.maximum and row.highest_at is None:
            row.highest_at = start
        return
    if low is not None and (known.minimum is None or low < known.minimum):
        row.lowest_at = start
    if high is not None and (known.maximum is None or high > known.maximum):
        row.highest_at = start
