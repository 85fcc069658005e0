"""The records of a measurement: which days had the most and the least of everything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask10x.history.buckets import Bucket
from flask10x.history.periods.rows import Timed

# Of each kind so many days: enough to see whether the first one is an odd one out.
PLACES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A day and what makes it one."""

    value: float
    at_ms: int
    """When the day begins, UTC epoch milliseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordList:
    """The first days of one kind."""

    kind: str
    """`highest`, `lowest`, `highest_mean`, `lowest_mean` or `widest`."""
    days: tuple[Record, ...]


def records_of(days: Sequence[Timed]) -> list[RecordList]:
    """The lists of all kinds; none where there is no day.

    Of days with the same value the earlier one stands first.
    """
    kinds: list[tuple[str, Callable[[Bucket], float | None], bool]] = [
        ("highest", lambda bucket: bucket.maximum, True),
        ("lowest", lambda bucket: bucket.minimum, False),
        ("highest_mean", lambda bucket: bucket.average, True),
        ("lowest_mean", lambda bucket: bucket.average, False),
        ("widest", _width, True),
    ]
    filled = [(start, bucket) for start, bucket in days if bucket.count]
    lists = [RecordList(kind=name, days=_first(filled, of, most)) for name, of, most in kinds]
    return [one for one in lists if one.days]


def _first(
    days: Sequence[Timed], value_of: Callable[[Bucket], float | None], most: bool
) -> tuple[Record, ...]:
    known = [(value_of(bucket), start) for start, bucket in days]
    found = [Record(value=value, at_ms=start) for value, start in known if value is not None]
    found.sort(key=lambda one: (-one.value if most else one.value, one.at_ms))
    return tuple(found[:PLACES])


def _width(bucket: Bucket) -> float | None:
    if bucket.minimum is None or bucket.maximum is None:
        return None
    return bucket.maximum - bucket.minimum
