"""How full the disk of the database is."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Room:
    """The room of one disk, in bytes; `free` is what the service itself may use."""

    free: int
    total: int

    @property
    def free_percent(self) -> float:
        """The free share, 0 to 100."""
        return 100 * self.free / self.total if self.total else 0.0


def room(folder: Path) -> Room:
    """That of the disk that has this folder; raises OSError."""
    status = os.statvfs(folder)
    return Room(status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize)
