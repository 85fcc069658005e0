"""One try as a process of its own, and how it ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from flask10x.alerts.delivery.jobs import Job
from flask10x.readings.times import SECOND_MS
from flask10x.system import clock

# -P: what lies in the data folder is no module of ours.
ATTEMPT = (sys.executable, "-P", "-m", "flask10x.alerts.delivery.attempt")
# Beside the limit that the process has set itself: Python has to start first, on a busy Pi.
GRACE_SEC = 15.0
# A code is shorter; whoever writes more is not asked what.
MAX_ANSWER_BYTES = 200


class Try:
    """A job that is under way, with a hard limit. Its process has a session and group of its own.

    What it writes is not looked at, but for the code of `attempt`: it may have secrets in it.
    """

    def __init__(self, job: Job, monotonic_ms: Callable[[], int] = clock.monotonic_ms) -> None:
        """Start it; one that can't be started has ended with a trouble."""
        self.receiver = job.receiver
        self.trouble: str | None = None
        """None while it is under way, then "" when it was taken, else a code."""
        self._is_command = bool(job.arguments)
        self._monotonic_ms = monotonic_ms
        limit_sec = job.limit_sec if self._is_command else job.limit_sec + GRACE_SEC
        self._deadline_ms = monotonic_ms() + int(limit_sec * SECOND_MS)
        self._process: subprocess.Popen[bytes] | None = None
        self._output = _file("answer")
        try:
            with _file("message") as given:
                given.write(job.input)
                given.seek(0)
                self._start(job, given)
        except (OSError, ValueError):
            # Also a name or a variable that no program can be given.
            self.trouble = "no_program"
            self._output.close()

    def _start(self, job: Job, given: IO[bytes]) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            job.arguments or ATTEMPT,
            env=dict(job.environment) if self._is_command else None,
            stdin=given,
            stdout=subprocess.DEVNULL if self._is_command else self._output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def look(self) -> bool:
        """Whether it has ended; ends it when its time is up."""
        if self.trouble is not None or self._process is None:
            return True
        pid = self._process.pid
        # Not reaped yet, so its number is nobody else's when its group is killed.
        has_ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if not has_ended and self._monotonic_ms() < self._deadline_ms:
            return False
        # Also what it has started and left behind.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        status = self._process.wait()
        self.trouble = self._trouble(status) if has_ended else "no_answer"
        self._output.close()
        return True

    def _trouble(self, status: int) -> str:
        if self._is_command:
            return "" if status == 0 else f"killed:{-status}" if status < 0 else f"exit:{status}"
        if status == -signal.SIGALRM:
            return "no_answer"
        if status:
            return "failed"
        self._output.seek(0)
        return self._output.read(MAX_ANSWER_BYTES).decode("ascii", "replace")


def _file(name: str) -> IO[bytes]:
    """In memory, for a secret belongs on no card; a pipe would wait for whoever reads it."""
    return os.fdopen(os.memfd_create(name), "w+b")
