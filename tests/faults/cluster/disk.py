"""A disk of a test's own, a file system in a file, whose power can be cut.

The cut is ext4's own shutdown (EXT4_IOC_SHUTDOWN without the journal's flush): from that moment on
the kernel writes nothing more to the disk, and what it had not yet written is dropped with its page
cache, contents and names alike. The next mount finds what a real cut leaves, and replays the
journal.

What it does not model: a disk that acknowledges a flush and keeps the bytes in a cache of its own,
a sector or page that is written in part, writes that reach the disk in another order than the
kernel sent them. What the kernel has sent without being asked to (after 30 s, say) survives.
"""

import fcntl
import os
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.e2e.service import wait_until
from tests.faults.cluster.network import run

# <linux/ext4.h>: _IOR('X', 125, __u32).
EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_FLUSH = 2
UNMOUNTED_WITHIN_SEC = 20.0
PROBE_BYTES = 16 << 20


class Disk:
    """An ext4 file system, mounted at `path`."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self._image = path.with_name(f"{path.name}.img")
        self._size_bytes = size_bytes
        self._device = ""

    def make(self) -> None:
        """Make it, with nothing in it."""
        self.path.mkdir(parents=True)
        with self._image.open("wb") as file:
            file.truncate(self._size_bytes)
        run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self._mount()

    def _mount(self) -> None:
        # A device of its own each time: `mount -o loop` may take the one of before, and then the
        # file system without power, for as long as any process has it in its mount namespace.
        self._device = run("losetup", "--find", "--show", str(self._image)).strip()
        run("mount", self._device, str(self.path))

    def sync(self) -> None:
        """Return when all that was written is on it."""
        run("sync", "--file-system", str(self.path))

    def cut_power(self) -> None:
        """Leave on it what was synced, and nothing else."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(folder)

    def restore_power(self) -> None:
        """Mount what the cut has left; whoever used the disk has ended."""
        self._unmount()
        self._mount()

    def discard(self) -> None:
        """Take it away for good."""
        if self._device:
            self._unmount()
        self._image.unlink(missing_ok=True)

    def _unmount(self) -> None:
        def is_unmounted() -> bool:
            return not subprocess.run(["umount", str(self.path)], check=False).returncode

        wait_until(is_unmounted, UNMOUNTED_WITHIN_SEC, f"{self.path} is unmounted")
        run("losetup", "--detach", self._device)
        self._device = ""


@cache
def obstacle() -> str:
    """Why no disk's power can be cut here; empty when it can."""
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder) / "disk", PROBE_BYTES)
        try:
            disk.make()
            disk.cut_power()
        except (AssertionError, OSError) as error:
            return str(error).strip()
        finally:
            disk.discard()
    return ""
