"""The pace at which lines of one kind get into the log."""

import threading
import time

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
