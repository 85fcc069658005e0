"""What the workers of a service count: readings of each station, and commits."""

from dataclasses import dataclass

from flask10x.system.counting.shared_counts import SharedCounts
from flask10x.system.counting.shared_histogram import SharedHistogram

# A lone reading, what a house sends in a tenth of a second, a full batch (500 by default).
BATCH_ROWS_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
# A PC commits in less than a millisecond, a good card in some, and one that stalls takes seconds.
COMMIT_US_BOUNDS = (
    *(500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000),
    *(1_000_000, 2_500_000, 5_000_000),
)


@dataclass(frozen=True, slots=True)
class StationTotals:
    """The readings of one station since the service started."""

    accepted: int
    """Those that were queued; some may turn out to repeat a stored one."""
    refused: int
    """Those with something wrong in them; they are among the rejected ones."""
    turned_away: int
    """Those that were right but had no room, or came when nothing could be stored."""


class ServiceCounts:
    """Of all workers, since the service started; make it before the fork."""

    def __init__(self, slots: int, stations: int) -> None:
        """For so many workers at once, and so many stations."""
        self.accepted = SharedCounts(slots, stations)
        self.refused = SharedCounts(slots, stations)
        self.turned_away = SharedCounts(slots, stations)
        self.batch_rows = SharedHistogram(slots, BATCH_ROWS_BOUNDS)
        """How many readings each commit has settled."""
        # A 32-bit Pi writes its sum in two halves; the upper one changes once in 71 minutes of
        # commits.
        self.commit_us = SharedHistogram(slots, COMMIT_US_BOUNDS)
        """How long each commit took, in microseconds."""

    def of_station(self, column: int) -> StationTotals:
        """Those of the station that has this column."""
        counts = (self.accepted, self.refused, self.turned_away)
        return StationTotals(*(count.total(column) for count in counts))
