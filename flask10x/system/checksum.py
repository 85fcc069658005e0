"""SHA-256 of a file, in a file beside it, as `sha256sum -c` reads it."""

import errno
import os
import re
import stat
from gettext import gettext as _
from hashlib import sha256
from pathlib import Path

SUFFIX = ".sha256"
# As sha256sum writes it, of a text or of bytes.
LINE = re.compile(rb"([0-9a-fA-F]{64}) [ *][^\n]+\n?")
LINE_MAX_BYTES = 4096
READ_BYTES = 1_000_000


def beside(path: Path) -> Path:
    """Where the sum of a file is noted."""
    return path.with_name(path.name + SUFFIX)


def line(digest: str, name: str) -> str:
    """What is noted of a file of this name in the same folder."""
    return f"{digest}  {name}\n"


def digest_of(path: Path) -> str:
    """The sum of a file's bytes, as they are on the disk; raises OSError.

    What the memory still has of a file that was just written says nothing of the disk, so the
    kernel is asked to forget it; what is not on the disk yet it keeps.
    """
    digest = sha256()
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while data := file.read(READ_BYTES):
            digest.update(data)
    return digest.hexdigest()


def noted(path: Path) -> str | None:
    """The sum that is noted beside a file, None where none is; raises OSError.

    Empty where what is noted is no sum: a file that has it is no other than one that has changed.
    Only a regular file is read: nothing may ever come from a pipe.
    """
    try:
        with open(beside(path), "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                text = _("{path} is no regular file, so it has no sum")
                raise OSError(errno.EINVAL, text.format(path=beside(path)))
            match = LINE.fullmatch(file.read(LINE_MAX_BYTES))
    except FileNotFoundError:
        return None
    return match[1].decode().lower() if match else ""


def is_unchanged(path: Path) -> bool | None:
    """Whether a file has the sum that is noted beside it; None where none is. Raises OSError."""
    expected = noted(path)
    return None if expected is None else digest_of(path) == expected


def _without_waiting(path: str, flags: int) -> int:
    """Open it, also a pipe into which nothing writes."""
    return os.open(path, flags | os.O_NONBLOCK)
