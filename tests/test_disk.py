"""Files and the room for them."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flask10x import disk


def test_sync_takes_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    disk.sync(tmp_path / "file")
    disk.sync(tmp_path)
    with pytest.raises(FileNotFoundError):
        disk.sync(tmp_path / "none")


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("xyz")
    assert disk.size(tmp_path / "file") == 3
    assert disk.size(tmp_path / "none") == 0
    assert disk.megabytes(1_234_567_890) == "1,234.6 MB"
    assert disk.free_bytes(tmp_path) > 0


def test_a_moment_in_local_time() -> None:
    tokyo, honolulu = (disk.moment(ZoneInfo(z)) for z in ("Asia/Tokyo", "Pacific/Honolulu"))
    assert re.fullmatch(r"\d{8}-\d{6}", tokyo)
    assert honolulu < tokyo
