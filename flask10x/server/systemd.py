"""What the master says to systemd: that the service answers, reloads, stops, and is not frozen.

With `Type=notify` systemd waits for the first, and with `WatchdogSec=` it ends and starts again a
service that has not said for so long that it is well (man 3 sd_notify). Nothing is sent where
systemd has not started this process.
"""

import socket
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any

from flask10x.system.gauges import Gauges

# systemd reads what is sent at once, unless the machine is busy.
SAY_WITHIN_SEC = 2.0
# So many times within WatchdogSec: one that is late ends nothing.
PINGS = 4
# Gunicorn kills a worker that has been silent for half of this, its `timeout`. It can't end one
# that waits in the kernel.
SILENT_WORKER_SEC = 60.0
# A worn card may take half a minute for one commit, and a restart would not make it faster. This is
# for a thread that waits for something that never comes.
STUCK_SEC = 600.0
# A worker that does not get ready after a reload is replaced meanwhile, and for longer no
# `systemctl reload` has to wait.
RELOAD_WITHIN_SEC = 60.0


class Systemd:
    """The systemd that has started this process."""

    def __init__(self, environ: MutableMapping[str, str], pid: int) -> None:
        """Takes its variables out of the environment, so that no other process speaks for us."""
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        sec, of = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", str(pid))
        self.watchdog_us = int(sec) if sec.isdecimal() and of == str(pid) else 0
        """After how many microseconds without a word it ends the service; 0: never."""

    def say(self, *assignments: str) -> bool:
        """Send some variables; whether it has them. Does not wait long where it is busy."""
        if not self._address:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(SAY_WITHIN_SEC)
                sock.connect(self._address)
                sock.send("\n".join(assignments).encode())
        except OSError:
            return False
        return True


class Reporting:
    """Reports to systemd how a master is that listens."""

    def __init__(
        self,
        server: Any,
        systemd: Systemd,
        gauges: Gauges,
        overdue_since_sec: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`server` is gunicorn's arbiter; from now on it calls these methods.

        `overdue_since_sec` gives since when a reading should be stored, infinity where none
        should. Seconds are those of `clock`.
        """
        self._server, self._systemd, self._gauges = server, systemd, gauges
        self._overdue_since_sec, self._clock = overdue_since_sec, clock
        self._is_ready = False
        self._reload_until_sec: float | None = None
        self._next_ping_sec = 0.0
        self._last_obstacle = ""
        self._murder, self._stop = server.murder_workers, server.stop
        server.murder_workers, server.stop = self.murder_workers, self.stop

    def murder_workers(self) -> None:
        """Kill workers that are silent, and report; the arbiter calls it each second."""
        self._murder()
        if not self._is_ready:
            self._is_ready = bool(self._gauges.serving) and self._say_ready()
        elif self._reload_until_sec is not None:
            workers = [*self._server.WORKERS.values()]
            booted = [self._gauges.slot(worker.slot_number).booted_ms for worker in workers]
            has_reloaded = (bool(booted) and all(booted)) or self._clock() > self._reload_until_sec
            if has_reloaded and self._say_ready():
                self._reload_until_sec = None
        if not self._is_ready or not self._systemd.watchdog_us:
            return
        obstacle = self._obstacle()
        if obstacle != self._last_obstacle:
            self._last_obstacle = obstacle
            self._systemd.say(f"STATUS={obstacle or self._status()}")
        if not obstacle and self._clock() >= self._next_ping_sec:
            self._systemd.say("WATCHDOG=1")
            self._next_ping_sec = self._clock() + self._systemd.watchdog_us / 1e6 / PINGS

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers, as the arbiter does."""
        self._systemd.say("STOPPING=1")
        self._stop(graceful)

    def begin_reload(self) -> None:
        """Report that a reload begins; its end is reported when its workers serve."""
        if self._is_ready:
            self._reload_until_sec = self._clock() + RELOAD_WITHIN_SEC
            now_us = time.monotonic_ns() // 1000
            self._systemd.say("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    @contextmanager
    def away(self) -> Iterator[None]:
        """While the block runs, as a migration, which may take hours, systemd expects no word."""
        is_watched = self._is_ready and self._systemd.watchdog_us
        if is_watched:
            self._systemd.say("WATCHDOG_USEC=0")
        try:
            yield
        finally:
            if is_watched:
                self._systemd.say(f"WATCHDOG_USEC={self._systemd.watchdog_us}", "WATCHDOG=1")

    def _say_ready(self) -> bool:
        return self._systemd.say("READY=1", f"STATUS={self._status()}")

    def _obstacle(self) -> str:
        """Return why the service isn't well, though a restart would help; empty while it is."""
        # They are those that were forked by now; one that boots has just been made.
        if not self._server.WORKERS:
            return "no worker runs"
        for worker in [*self._server.WORKERS.values()]:
            # What gunicorn itself goes by. A worker that has just ended has no file any more.
            with suppress(OSError, ValueError):
                if self._clock() - worker.tmp.last_update() > SILENT_WORKER_SEC:
                    return f"no sign of life from worker {worker.pid}"
        # Where storing fails it is tried again for ever: a restart would meet the same.
        if any(slot.trouble for slot in self._gauges.slots):
            return ""
        if (waits_sec := self._clock() - self._overdue_since_sec()) > STUCK_SEC:
            return f"a reading waits for {waits_sec:.0f} s"
        return ""

    def _status(self) -> str:
        return f"{len(self._server.WORKERS)} workers answer"
