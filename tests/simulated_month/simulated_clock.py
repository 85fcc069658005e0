"""The clock of a simulated home, as the test sets it."""

import struct
import time
from pathlib import Path

from tests.e2e.service import PROJECT
from tests.simulated_month.clock.sitecustomize import (
    FORMAT,
    STEPS,
    ahead_of,
    shared_by_all,
    steps_of,
)

HOOKS = Path(__file__).with_name("clock")


class SimulatedClock:
    """A clock that is ahead of the machine's, and faster; processes with `environment` go by it."""

    def __init__(self, file: Path) -> None:
        since_ms = time.monotonic_ns() // 1_000_000
        file.write_bytes(struct.pack(FORMAT + STEPS, 0, since_ms, 0))
        self._shared = shared_by_all(str(file))
        self.environment = {
            "SIMULATED_CLOCK": str(file),
            "PYTHONPATH": f"{HOOKS}:{PROJECT}",
        }

    def now_ms(self) -> int:
        """UTC epoch milliseconds of the home."""
        return time.time_ns() // 1_000_000 + ahead_of(self._shared)

    def go_on(self, by_ms: int) -> None:
        """Set it forward by so many milliseconds; the monotonic clock goes with it."""
        (ahead_ms,) = struct.unpack_from("q", self._shared)
        struct.pack_into("q", self._shared, 0, ahead_ms + by_ms)

    def steps(self) -> int:
        """How many steps of the watcher of alerts have ended."""
        return steps_of(self._shared)
