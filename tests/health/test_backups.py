"""Which backup is the newest, and when it was made."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

from flask10x.health import copies

TOKYO = ZoneInfo("Asia/Tokyo")
# 2025-08-24 09:00 in Tokyo.
NINE_MS = 1_755_993_600_000
HOUR_MS = 3_600_000


def lay(folder: Path, *names: str) -> None:
    for name in names:
        (folder / f"flask10x-{name}.sqlite3").write_bytes(b"some")


def test_without_a_folder_or_a_backup_there_is_none(tmp_path: Path) -> None:
    assert copies.newest_backup(tmp_path / "no", TOKYO, NINE_MS) is None
    (tmp_path / ".flask10x-backup-12.tmp").write_bytes(b"unfinished")
    assert copies.newest_backup(tmp_path, TOKYO, NINE_MS) is None


def test_the_newest_counts_by_the_time_in_its_name(tmp_path: Path) -> None:
    lay(tmp_path, "20250823-233000", "20250824-080000", "20250822-030000")
    newest = copies.newest_backup(tmp_path, TOKYO, NINE_MS)
    assert newest is not None
    assert (newest.path.name, newest.bytes) == ("flask10x-20250824-080000.sqlite3", 4)
    assert newest.made_at == NINE_MS - HOUR_MS
    assert newest.age_sec(NINE_MS) == 3600
    assert newest.age_sec(newest.made_at - 5) == 0


def test_one_of_a_wrong_clock_hides_no_older_one(tmp_path: Path) -> None:
    lay(tmp_path, "20360101-000000", "20250824-080000")
    newest = copies.newest_backup(tmp_path, TOKYO, NINE_MS)
    assert newest is not None
    assert newest.made_at == NINE_MS - HOUR_MS


def test_a_name_that_is_no_date_goes_by_its_last_change(tmp_path: Path) -> None:
    lay(tmp_path, "20259999-999999")
    os.utime(tmp_path / "flask10x-20259999-999999.sqlite3", (NINE_MS // 1000, NINE_MS // 1000))
    newest = copies.newest_backup(tmp_path, TOKYO, NINE_MS)
    assert newest is not None
    assert newest.made_at == NINE_MS
