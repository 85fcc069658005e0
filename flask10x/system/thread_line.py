"""Threads of one process, one at a time, in the order in which they came."""

import threading
from collections import deque


class ThreadLine:
    """A lock for threads that is fair.

    `threading.Lock` gives itself to whoever asks first, and who has just released it often is.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._taken = False
        self._turns: deque[threading.Lock] = deque()

    def enter(self, timeout_sec: float) -> bool:
        """Whether our turn came within the time; then `leave` ends it."""
        with self._mutex:
            if not self._taken:
                self._taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._turns.append(turn)
        try:
            if turn.acquire(timeout=max(0.0, timeout_sec)):
                return True
        except BaseException:
            if not self._withdrawn(turn):
                self.leave()
            raise
        return not self._withdrawn(turn)

    def leave(self) -> None:
        """Let the next one in."""
        with self._mutex:
            if self._turns:
                self._turns.popleft().release()
            else:
                self._taken = False

    def _withdrawn(self, turn: threading.Lock) -> bool:
        """Leave the line; False when the turn had just come."""
        with self._mutex:
            if turn not in self._turns:
                return False
            self._turns.remove(turn)
            return True
