"""Messages are sent by a process of its own, which ends when nothing is due (decision 29).

The worker gives it its settings: what is in the files may have a mistake by now which a reload has
refused, or may be more than the service has taken over; messages go by what the service works by.
"""

import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import flask10x
from flask10x.alerts.state_file import path_of
from flask10x.config.settings import Settings
from flask10x.system import clock
from flask10x.system.locks import note_of_holder

log = logging.getLogger(__name__)

# -P: what lies in the current folder is no module of ours.
COMMAND = (sys.executable, "-P", "-m", "flask10x", "alerts", "deliver", "--settings-given")
# One that could not even begin is not started again each second: it takes a second of a Pi's
# processor to load.
PAUSE_MS = 30_000
# One that finds nothing to do, since another process is sending or a channel is gone, ends at once.
START_EVERY_MS = 2_000


def lock_path(settings: Settings) -> Path:
    """The lock of whoever sends: beside the state file."""
    return path_of(settings).with_name("alerts-delivery.lock")


class Delivery:
    """Starts the process when a message is due, and not while one is running."""

    def __init__(
        self,
        next_due_ms: Callable[[], int | None],
        lock: Path,
        command: Sequence[str] = COMMAND,
        given: bytes = b"",
    ) -> None:
        """`next_due_ms` says when the next message is due, UTC epoch milliseconds; None: never.

        Whoever holds `lock` is sending already: a process that another worker has started, or
        `flask10x alerts deliver` of a person. The process finds `given` on its standard input.
        """
        self._lock = lock
        self._next_due_ms = next_due_ms
        self._command = command
        self._given = given
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before_ms = 0
        self._failed = False
        self._has_looked = False

    @property
    def is_running(self) -> bool:
        """Whether the process that it has started has not ended yet."""
        return self._process is not None and not self._has_ended(self._process)

    def step(self) -> None:
        """Look once; raises what reading the state file raises, and OSError."""
        self._has_looked = True
        if self.is_running:
            return
        due_ms = self._next_due_ms()
        if due_ms is None or due_ms > clock.now_ms() or clock.monotonic_ms() < self._not_before_ms:
            return
        self._not_before_ms = clock.monotonic_ms() + START_EVERY_MS
        if note_of_holder(self._lock) is None:
            self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        # In memory: a pipe would wait for whoever reads it.
        with os.fdopen(os.memfd_create("given"), "w+b") as given:
            given.write(self._given)
            given.seek(0)
            # Of its own session, so that what ends a worker does not end it with a message in
            # hand. Its standard error stays: what keeps it from beginning is said there.
            return subprocess.Popen(  # noqa: S603
                self._command,
                stdin=given,
                stdout=subprocess.DEVNULL,
                close_fds=True,
                start_new_session=True,
            )

    def close(self) -> None:
        """Ask whoever is sending to end after the message in hand, and do not wait for that.

        Harmless when this process has never looked: then another one is the elected one.
        """
        if self.is_running and self._process is not None:
            self._process.terminate()
            # It is nobody's child that anybody waits for: the system takes it over.
            self._process.returncode = 0
        elif self._has_looked:
            self._end_of_another()
        self._process = None

    def _end_of_another(self) -> None:
        """End the one that a worker has started which was killed; its lock has its number."""
        with suppress(OSError, ValueError):
            if (note := note_of_holder(self._lock)) and (pid := int(note.text)) > 1:
                os.kill(pid, signal.SIGTERM)

    def _has_ended(self, process: subprocess.Popen[bytes]) -> bool:
        status = process.poll()
        if status is None:
            return False
        self._process = None
        if status != 0:
            self._not_before_ms = clock.monotonic_ms() + PAUSE_MS
            if not self._failed:
                log.warning("What sends the messages of alerts has ended with status %d", status)
        self._failed = status != 0
        return True


def packed(settings: Settings) -> bytes:
    """What `unpacked` reads in the other process, of this user."""
    return pickle.dumps((flask10x.__version__, settings))


def unpacked(given: IO[bytes]) -> Settings | None:
    """The settings; None when the program was renewed under the running service."""
    try:
        # From our own worker.
        version, settings = pickle.load(given)  # noqa: S301
    except Exception:
        # Whatever a class that has changed makes of it.
        return None
    is_ours = version == flask10x.__version__ and isinstance(settings, Settings)
    return settings if is_ours else None
