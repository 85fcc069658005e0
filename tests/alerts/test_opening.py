"""A broken state file is kept, whole, and out of the way."""

from pathlib import Path

from flask10x.alerts.state_file import StateFile, put_aside
from flask10x.database.paths import SHARED_MEMORY, WAL, beside


def test_it_is_put_aside_with_what_sqlite_keeps_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite3"
    path.write_bytes(b"broken")
    beside(path, WAL).write_bytes(b"its WAL")
    beside(path, SHARED_MEMORY).write_bytes(b"made again from the WAL")
    aside = put_aside(StateFile(path), ValueError("why"), "20250824-120000")
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {
        "alerts.sqlite3.damaged-20250824-120000": b"broken",
        "alerts.sqlite3.damaged-20250824-120000-wal": b"its WAL",
    }
    assert aside == tmp_path / "alerts.sqlite3.damaged-20250824-120000"
