"""The pace at which lines of one kind get into the log, and at which one action is tried again."""

import threading
import time
from collections.abc import Callable

# A flood from a stranger must not push the other lines out of the log.
LOG_EVERY_SEC = 60.0


class Pace:
    """Lets a line of each kind into the log once a minute, and counts the others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held_back: dict[tuple[str, ...], int] = {}
        self._due_sec: dict[tuple[str, ...], float] = {}

    def turn(self, *kind: str) -> str | None:
        """Return the end of a line of this kind: how many were held back since the last one.

        None means that this line is to be held back.
        """
        with self._lock:
            if time.monotonic() < self._due_sec.get(kind, 0.0):
                self._held_back[kind] = self._held_back.get(kind, 0) + 1
                return None
            self._due_sec[kind] = time.monotonic() + LOG_EVERY_SEC
            held_back = self._held_back.pop(kind, 0)
            return f" ({held_back} more since the last such line)" if held_back else ""


FIRST_SEC, LONGEST_SEC = 1.0, 60.0


class Pauses:
    """The growing pauses between tries of one action."""

    def __init__(
        self, first_sec: float = FIRST_SEC, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives seconds."""
        self._first_sec = self._next_sec = first_sec
        self._clock = clock
        self._until_sec = 0.0
        self._failed = 0

    def begin(self) -> bool:
        """Begin a pause after a failed try; whether it was the first one, to be logged."""
        self._until_sec = self._clock() + self._next_sec
        self._next_sec = min(self._next_sec * 2, LONGEST_SEC)
        self._failed += 1
        return self._failed == 1

    def end(self) -> bool:
        """End the pauses after a successful try; whether a try has failed before it."""
        had_failed = self._failed > 0
        self._next_sec, self._until_sec, self._failed = self._first_sec, 0.0, 0
        return had_failed

    def rest_sec(self) -> float:
        """How long the pause still lasts; 0 if the next try may begin."""
        return max(0.0, self._until_sec - self._clock())
