"""Which of the paths that no station has are heard by a worker.

A board with a wrong address sends for months, and strangers can name any path. So each worker has
few places. A path of which nothing is known yet gets a place that was needed only once, or not for
a day, and only once it has sent again: who names many paths once needs no place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from flask10x.recording.rejected import RejectedReading

# A home rarely adds as many boards between two starts of a worker.
ENDPOINTS_MAX = 20
# Readings have 100 to 300 bytes.
LATEST_BODY_BYTES = 2000
# Further paths that have sent once, with what they have sent: at most a megabyte.
NEWCOMERS_MAX = 500
# A board that sleeps longer than this is no loss for what the next one brings.
PLACE_KEPT_SEC = 86_400.0
# A sender that repeats its backlog for hours has no more readings in it.
KEYS_MAX = 2000


@dataclass(slots=True)
class UnknownPath:
    """What a worker has of one path."""

    endpoint: str
    listed: tuple[int, bool] | None = None
    """The id of its row that lists show, and whether a station could store that; None before it has
    one. A place that was another's has the row of that one until then."""
    waiting: int = 0
    """How many of its readings are in the queue."""
    times: int = 0
    heard_sec: float = 0.0
    keys: dict[str, None] = field(default_factory=dict)
    """The last keys of its readings: a sender repeats them until the station is there."""

    def is_repeat(self, key: str) -> bool:
        """Whether a reading with this key has come before; from now on it has."""
        if not key:
            return False
        is_repeat = key in self.keys
        self.keys[key] = None
        if len(self.keys) > KEYS_MAX:
            del self.keys[next(iter(self.keys))]
        return is_repeat


class UnknownPaths:
    """Those of one worker; its caller holds a lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._paths: dict[str, UnknownPath] = {}
        self._newcomers: dict[str, RejectedReading] = {}

    def __getitem__(self, endpoint: str) -> UnknownPath:
        """The path that has a place; raises KeyError where it has none."""
        return self._paths[endpoint]

    def hear(self, reading: RejectedReading) -> list[RejectedReading]:
        """Return what is to be kept: this reading, after the one by which its path had no place.

        The list is empty where its path is one too many.
        """
        came = [reading]
        if reading.endpoint not in self._paths:
            place = self._free()
            first = self._newcomers.pop(reading.endpoint, None) if place else None
            if len(self._paths) == ENDPOINTS_MAX and first is None:
                if reading.is_storable:
                    self._newcomers[reading.endpoint] = reading
                if len(self._newcomers) > NEWCOMERS_MAX:
                    del self._newcomers[next(iter(self._newcomers))]
                return []
            listed = None
            if first is not None and place is not None:
                del self._paths[place.endpoint]
                came = [first, reading]
                # What the other path has sent once goes.
                listed = (place.listed[0], False) if place.listed else None
            self._paths[reading.endpoint] = UnknownPath(reading.endpoint, listed)
        path = self._paths[reading.endpoint]
        path.times += 1
        path.heard_sec = self._clock()
        return came

    def _free(self) -> UnknownPath | None:
        """The place that is needed least; None if all are needed."""
        ended_sec = self._clock() - PLACE_KEPT_SEC
        free = [
            path
            for path in self._paths.values()
            if not path.waiting and (path.times == 1 or path.heard_sec < ended_sec)
        ]
        return min(free, key=lambda path: path.heard_sec, default=None)
