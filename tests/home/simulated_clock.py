"""The clock of a simulated home, as the test sets it."""

import mmap
import struct
import time
from pathlib import Path

from tests.e2e.service import PROJECT

HOOKS = Path(__file__).with_name("clock")


class SimulatedClock:
    """A clock that is ahead of the machine's; processes with `environment` go by it."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._ahead = mmap.mmap(opened.fileno(), 8)
        self.environment = {
            "SIMULATED_CLOCK": str(file),
            "PYTHONPATH": f"{HOOKS}:{PROJECT}",
        }

    def now_ms(self) -> int:
        """UTC epoch milliseconds of the home."""
        return time.time_ns() // 1_000_000 + self._ahead_ms()

    def set_to(self, now_ms: int) -> None:
        """Set it forward to this time; never back, as the monotonic clock goes with it."""
        ahead_ms = now_ms - time.time_ns() // 1_000_000
        assert ahead_ms >= self._ahead_ms(), "the clock of a home never goes back"
        struct.pack_into("q", self._ahead, 0, ahead_ms)

    def _ahead_ms(self) -> int:
        return int(struct.unpack_from("q", self._ahead)[0])
