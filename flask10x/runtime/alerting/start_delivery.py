"""A process of its own sends messages, and ends when none is due (decision 29).

The worker hands its settings over, for the files may have changed since: they may have a mistake,
or the service may not have been reloaded. Messages follow the settings that the service uses.
"""

import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import flask10x
from flask10x.alerts.state_file import path_of
from flask10x.config.settings import Settings
from flask10x.system import clock
from flask10x.system.locks import note_of_holder

log = logging.getLogger(__name__)

# -P: a file in the current folder is not imported as a module.
COMMAND = (sys.executable, "-P", "-m", "flask10x", "alerts", "deliver", "--settings-given")
# A process that failed to start is started again after this pause: loading it takes a second of the
# processor of a Pi.
PAUSE_MS = 30_000
# A process that has nothing to do ends at once: another one is sending, or a channel was removed.
START_EVERY_MS = 2_000


def lock_path(settings: Settings) -> Path:
    """Return the lock of the process that sends, beside the state file."""
    return path_of(settings).with_name("alerts-delivery.lock")


class Delivery:
    """Starts the process when a message is due, and not while one is running."""

    def __init__(
        self,
        next_due_ms: Callable[[], int | None],
        lock: Path,
        command: Sequence[str] = COMMAND,
        packed: bytes = b"",
    ) -> None:
        """`next_due_ms` returns when the next message is due, in UTC epoch milliseconds, or None.

        While `lock` is held another process is sending: one that another worker has started, or the
        command `flask10x alerts deliver`. `packed` becomes the standard input of the process.
        """
        self._lock = lock
        self._next_due_ms = next_due_ms
        self._command = command
        self._packed = packed
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before_ms = 0
        self._failed = False

    @property
    def is_running(self) -> bool:
        """Whether the process that it has started is running."""
        status = None if self._process is None else self._process.poll()
        if status is None:
            return self._process is not None
        self._process = None
        if status != 0:
            self._not_before_ms = clock.monotonic_ms() + PAUSE_MS
            if not self._failed:
                log.warning("What sends the messages of alerts has ended with status %d", status)
        self._failed = status != 0
        return False

    def step(self) -> None:
        """Start the process if a message is due; raises what the state file raises, and OSError."""
        if self.is_running:
            return
        due_ms = self._next_due_ms()
        if due_ms is None or due_ms > clock.now_ms() or clock.monotonic_ms() < self._not_before_ms:
            return
        self._not_before_ms = clock.monotonic_ms() + START_EVERY_MS
        if note_of_holder(self._lock) is not None:
            return
        # In memory: a pipe would block until it is read.
        with os.fdopen(os.memfd_create("settings"), "w+b") as settings:
            settings.write(self._packed)
            settings.seek(0)
            # It has a session of its own, so that a signal to the worker does not end it while it
            # sends. Its standard error is that of the worker, for errors at its start.
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                stdin=settings,
                stdout=subprocess.DEVNULL,
                close_fds=True,
                start_new_session=True,
            )

    def close(self) -> None:
        """Ask the process that it has started to end after its current message, without waiting."""
        if self.is_running and self._process is not None:
            self._process.terminate()
            # This process does not wait for it: the system reaps it.
            self._process.returncode = 0
        self._process = None


def packed(settings: Settings) -> bytes:
    """Return the settings as `unpacked` reads them in the other process of this user."""
    return pickle.dumps((flask10x.__version__, settings))


def unpacked(stream: IO[bytes]) -> Settings | None:
    """Return the settings; None when the program was updated under the running service."""
    try:
        # The bytes are from our own worker.
        version, settings = pickle.load(stream)  # noqa: S301
    except Exception:
        # A changed class may raise anything.
        return None
    is_ours = version == flask10x.__version__ and isinstance(settings, Settings)
    return settings if is_ours else None
