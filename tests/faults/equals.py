"""Readings of which some are equal: what is stored of them is told by how many there are.

Of each 40 in a row ten are equal to the last digit, and many of these come in one millisecond: who
tells readings apart by their values stores too few of them. Each of the others has a value that no
other one has.
"""

from collections import Counter
from collections.abc import Iterable

from tests.e2e.load import stored_numbers
from tests.e2e.senders import reading_of
from tests.e2e.service import Service
from tests.faults.figures import Count, Posted

EQUAL_EACH = 4
BLOCK = 40


def value_of(number: int) -> int:
    """The value that the reading of this number carries."""
    return number if number % EQUAL_EACH else number - number % BLOCK


def body_of(number: int) -> dict[str, float]:
    """A good `/data2` reading with that value."""
    return reading_of(value_of(number))


def counted(service: Service, senders: Iterable[Posted]) -> Count:
    """Compare what was posted by `body_of` with the rows."""
    sent: Counter[int] = Counter()
    acknowledged: Counter[int] = Counter()
    refused = unanswered = 0
    for sender in senders:
        sent.update(map(value_of, sender.sent))
        acknowledged.update(map(value_of, sender.acknowledged))
        refused += sender.statuses[503]
        unanswered += len(sender.broken)
    stored = stored_numbers(service)
    return Count(
        sent.total(),
        acknowledged.total(),
        refused,
        unanswered,
        stored.total(),
        (acknowledged - stored).total(),
        (stored - sent).total(),
    )
