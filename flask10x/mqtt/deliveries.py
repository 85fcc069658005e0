"""Deliveries: which message of a broker is a new one, and which one comes once more.

A broker gives each delivery a number from 1 to 65,535, and the number again when it was
acknowledged. What was not acknowledged, perhaps because this command or the broker ended before it
knew of it, comes again. So for each number a file has what was delivered under it the last time.
"""

import os
import struct
from hashlib import blake2b
from pathlib import Path
from time import time_ns

DIGEST_BYTES = 16
# Of each number: the content's digest, when it first came, whether it was acknowledged.
SLOT = struct.Struct(f"<{DIGEST_BYTES}sQ?7x")
FILE_MODE = 0o640


class Deliveries:
    """The file, of 2 MB at most, and none of it synced to the disk.

    A killed command loses nothing of it. A power cut may lose the last half minute; then a message
    that had been stored and not acknowledged is stored once more.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, and make it if need be; raises OSError."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        self._last_ns = 0

    def first_came_ns(self, number: int, content: bytes, *, is_marked: bool) -> int:
        """When this message came for the first time: nanoseconds since 1970, no two the same.

        `is_marked` is what the broker says: that it has tried to deliver it before (DUP).
        """
        digest = blake2b(content, digest_size=DIGEST_BYTES).digest()
        known, came_ns, was_acknowledged = self._slot(number)
        # A broker that was killed may have forgotten that it had tried.
        if known == digest and (is_marked or not was_acknowledged):
            return came_ns
        came_ns = self.now_ns()
        self._write(number, digest, came_ns, was_acknowledged=False)
        return came_ns

    def now_ns(self) -> int:
        """The present moment, as one that no other message has."""
        self._last_ns = max(time_ns(), self._last_ns + 1)
        return self._last_ns

    def note_acknowledged(self, number: int) -> None:
        """Whatever comes under this number without a mark is a new message now."""
        digest, came_ns, _ = self._slot(number)
        self._write(number, digest, came_ns, was_acknowledged=True)

    def forget(self) -> None:
        """The broker counts from the beginning."""
        os.truncate(self._fd, 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _slot(self, number: int) -> tuple[bytes, int, bool]:
        found = os.pread(self._fd, SLOT.size, number * SLOT.size)
        digest, came_ns, was_acknowledged = SLOT.unpack(found.ljust(SLOT.size, b"\0"))
        return digest, came_ns, was_acknowledged

    def _write(self, number: int, digest: bytes, came_ns: int, *, was_acknowledged: bool) -> None:
        slot = SLOT.pack(digest, came_ns, was_acknowledged)
        os.pwrite(self._fd, slot, number * SLOT.size)
