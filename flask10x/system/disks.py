"""Disks beside the one of the data: sticks that are mounted, and folders that are on them."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from os import major, minor
from pathlib import Path
from typing import Literal

from flask10x.translation import N_

MOUNTS = Path("/proc/self/mounts")
DEVICES = Path("/sys/dev/block")
ROOT = Path("/")
# Where sticks are mounted. A folder there on the disk of the system is a mount point without one.
MOUNT_PLACES = (Path("/media"), Path("/mnt"), Path("/run/media"))
# As the kernel writes a space, a tab, a line end and a backslash in a name.
_ESCAPES = {r"\040": " ", r"\011": "\t", r"\012": "\n", r"\134": "\\"}

Trouble = Literal["absent", "same", "no_rclone"]
TROUBLES: dict[Trouble, str] = {
    "absent": N_("{folder} is not there: is the disk plugged in and mounted?"),
    "same": N_("{folder} is on the same card or disk as the readings or their backups."),
    "no_rclone": N_("{folder} needs rclone, which is not installed: sudo apt install rclone"),
}
"""Why a folder is no place for copies."""


def trouble_of(folder: Path, protected: Iterable[Path]) -> Trouble | None:
    """Return why copies of what is in the `protected` folders may not go there; None: they may.

    Only the last folder of the path may be missing, and is made. Whether a remote answers is not
    tried.
    """
    if is_remote(folder):
        return None if shutil.which("rclone") else "no_rclone"
    there = folder if folder.is_dir() else folder.parent
    if not there.is_dir():
        return "absent"
    is_place = any(folder.is_relative_to(place) for place in MOUNT_PLACES)
    if is_place and on_same_disk(there, ROOT):
        return "absent"
    return "same" if any(on_same_disk(there, other) for other in protected) else None


def is_remote(folder: Path) -> bool:
    """Return whether a folder for copies is a remote of rclone, as the setting has it."""
    return not folder.is_absolute()


def on_same_disk(path: Path, other: Path) -> bool:
    """Return whether both are there, and on one disk."""
    try:
        return path.stat().st_dev == other.stat().st_dev
    except OSError:
        return False


def removable() -> list[Path]:
    """Return where disks are mounted that are removable, or at USB; raises nothing."""
    found = []
    with suppress(OSError):
        for line in MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            device, _, rest = line.partition(" ")
            name = rest.partition(" ")[0]
            for escape, character in _ESCAPES.items():
                name = name.replace(escape, character)
            if device.startswith("/dev/") and Path(name) != ROOT and _is_removable(Path(name)):
                found.append(Path(name))
    return found


def _is_removable(mounted: Path) -> bool:
    try:
        number = mounted.stat().st_dev
        device = (DEVICES / f"{major(number)}:{minor(number)}").resolve(strict=True)
    except OSError:
        return False
    # A partition is in the folder of its disk.
    marks = (each / "removable" for each in (device, device.parent))
    return "/usb" in str(device) or any(
        mark.is_file() and mark.read_text().strip() == "1" for mark in marks
    )
