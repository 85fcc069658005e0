"""Measured data and recorded requests of the old server, which lie beside the checkout.

They are not in the repository, for they are somebody's home. A test of them is skipped where they
are missing, and says so; all others have the made-up bedroom (`bedroom.py`).
"""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "shared"


def shared(name: str) -> Path:
    """The file of this name below `../shared`; skips the test when it is not there."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"../shared/{name} is not here: no measured data, no recorded requests")
    return path


def measured_csv() -> bytes:
    """`BedRoomEnv.csv` of a real bedroom, 20,000 rows as the old server wrote them."""
    return shared("real/BedRoomEnv.csv").read_bytes()


def measured_bodies() -> list[bytes]:
    """5,000 later readings of the same sensor, as its board sends them to `/data2`."""
    return shared("real/data2.jsonl").read_bytes().splitlines()


def recorded_requests() -> list[str]:
    """600 requests, the old server's answers and its CSV rows, a JSON object each."""
    return shared("golden/requests.jsonl").read_text(encoding="utf-8").splitlines()


def newest_requests() -> list[str]:
    """300 requests to `/data4` of the old server's newest version (2025-09-01), likewise."""
    return shared("golden/data4_newest.jsonl").read_text(encoding="utf-8").splitlines()
