"""Who waits for the fair lock."""

import fcntl
from pathlib import Path

from flask10x.system.locks import FLOCK


def tickets(path: Path) -> set[int]:
    """Which bytes are held as tickets, as an outsider sees them."""
    held: set[int] = set()
    with path.open("rb") as file:
        for byte in range(1, 100):
            asked = FLOCK.pack(fcntl.F_RDLCK, 0, byte, 1, 0)
            kind, *_rest = FLOCK.unpack(fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked))
            if kind != fcntl.F_UNLCK:
                held.add(byte)
    return held
