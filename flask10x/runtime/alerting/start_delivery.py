"""Messages are sent by a process of its own, which ends when nothing is due (decision 67)."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from flask10x.system import clock

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "flask10x", "alerts", "deliver")
# One that could not even begin is not started again each second: it takes a second of a Pi's
# processor to load.
PAUSE_MS = 30_000


class Delivery:
    """Starts the process when a message is due, and not while one is running."""

    def __init__(
        self,
        next_due_ms: Callable[[], int | None],
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`next_due_ms` says when the next message is due, UTC epoch milliseconds; None: never."""
        self._next_due_ms = next_due_ms
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before_ms = 0

    def step(self) -> None:
        """Look once; raises what reading the state file raises, and OSError."""
        if self._process is not None and not self._has_ended(self._process):
            return
        due_ms = self._next_due_ms()
        if due_ms is None or due_ms > clock.now_ms() or clock.monotonic_ms() < self._not_before_ms:
            return
        # Of its own session, so that what ends a worker does not end it with a message in hand.
        self._process = subprocess.Popen(  # noqa: S603
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment or os.environ,
            start_new_session=True,
        )

    def close(self) -> None:
        """Ask it to end after the message in hand, and do not wait for that."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            # It is nobody's child that anybody waits for: the system takes it over.
            self._process.returncode = 0
        self._process = None

    def _has_ended(self, process: subprocess.Popen[bytes]) -> bool:
        status = process.poll()
        if status is None:
            return False
        self._process = None
        if status != 0:
            self._not_before_ms = clock.monotonic_ms() + PAUSE_MS
            log.warning("What sends the messages of alerts has ended with status %d", status)
        return True
