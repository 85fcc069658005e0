"""Pauses: how long to wait before the next try, longer each time."""

from time import monotonic

FIRST_SEC, LONGEST_SEC = 1.0, 60.0


class Pauses:
    """Those between tries of one thing."""

    def __init__(self) -> None:
        self._next_sec = FIRST_SEC
        self._until_sec = 0.0
        self._failed = 0

    def begin(self) -> bool:
        """Wait, since a try has failed; whether it was the first one, and worth a line."""
        self._until_sec = monotonic() + self._next_sec
        self._next_sec = min(self._next_sec * 2, LONGEST_SEC)
        self._failed += 1
        return self._failed == 1

    def end(self) -> bool:
        """A try was successful; whether any has failed before it."""
        had_failed = self._failed > 0
        self._next_sec, self._until_sec, self._failed = FIRST_SEC, 0.0, 0
        return had_failed

    def left_sec(self) -> float:
        """How long to wait until the next try; 0: not at all."""
        return max(0.0, self._until_sec - monotonic())
