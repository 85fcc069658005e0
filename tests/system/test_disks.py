"""Which disks are sticks, and which folders are no place for copies."""

import os
from pathlib import Path

import pytest

from flask10x.system import disks


def lay(folder: Path, monkeypatch: pytest.MonkeyPatch, mark: str, name: str = "disk") -> Path:
    """The kernel's files for a disk that is mounted, with a space in its name."""
    mounted = folder / "my stick"
    mounted.mkdir()
    number = mounted.stat().st_dev
    device = folder / "devices" / name / "sda" / "sda1"
    device.mkdir(parents=True)
    (device.parent / "removable").write_text(f"{mark}\n")
    links = folder / "block"
    links.mkdir()
    (links / f"{os.major(number)}:{os.minor(number)}").symlink_to(device)
    mounts = folder / "mounts"
    escaped = str(mounted).replace(" ", r"\040")
    mounts.write_text(f"proc /proc proc rw 0 0\n/dev/sda1 {escaped} vfat rw 0 0\nrubbish\n")
    monkeypatch.setattr(disks, "MOUNTS", mounts)
    monkeypatch.setattr(disks, "DEVICES", links)
    return mounted


@pytest.mark.parametrize(
    ("mark", "name", "is_stick"),
    [("1", "mmc", True), ("0", "usb1", True), ("0", "sata", False)],
)
def test_a_stick_is_removable_or_at_usb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str, name: str, is_stick: bool
) -> None:
    mounted = lay(tmp_path, monkeypatch, mark, name)
    assert disks.removable() == ([mounted] if is_stick else [])


def test_without_the_kernels_files_none_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "MOUNTS", tmp_path / "none")
    assert disks.removable() == []


def test_an_empty_mount_point_is_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disks, "MOUNT_PLACES", (tmp_path / "media",))
    point = tmp_path / "media" / "usb"
    point.mkdir(parents=True)
    # It is on the disk of the system, and the readings are on another one.
    monkeypatch.setattr(disks, "on_same_disk", lambda _path, other: other == disks.ROOT)
    assert disks.trouble_of(point, [tmp_path]) == "absent"
    assert disks.trouble_of(point / "flask10x", [tmp_path]) == "absent"
    monkeypatch.setattr(disks, "on_same_disk", lambda _path, _other: False)
    assert disks.trouble_of(point / "flask10x", [tmp_path]) is None
    assert disks.trouble_of(point / "flask10x" / "backups", [tmp_path]) == "absent"


def test_the_disk_of_the_readings_is_no_place_for_copies(tmp_path: Path) -> None:
    assert disks.trouble_of(tmp_path / "copies", [tmp_path / "none", tmp_path]) == "same"
