"""The disk is full in the middle of an append: no half line stays, nothing is lost."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.verify import verify
from flask10x.readings.stations import BUILT_IN
from tests.support.csv_folder import HEADER, csv_file, line, lines, put, store
from tests.support.databases import environment_of

PICO = [BUILT_IN.by_endpoint["data"]]
# Larger than the database and its WAL, so that only this file meets the limit.
OLD = HEADER + b"2025-07-05 22:22:56,990.0,20.0\r\n" * 10_000
ROOT = Path(__file__).parents[2]
# A tmpfs of 64 KiB as the CSV folder, in a mount namespace that ends with the script.
FULL = """
set -e
mkdir -p "$CSV"
mount -t tmpfs -o size=64k tmpfs "$CSV"
cp "$OLD" "$CSV/PicodataX.csv"
dd if=/dev/zero of="$CSV/ballast" bs=1k 2>/dev/null || true
status=0
"$PYTHON" -m flask10x export PicodataX.csv || status=$?
cp "$CSV/PicodataX.csv" "$KEPT/full.csv"
rm "$CSV/ballast"
"$PYTHON" -m flask10x export PicodataX.csv
"$PYTHON" -m flask10x export --verify PicodataX.csv
cp "$CSV/PicodataX.csv" "$KEPT/mended.csv"
exit "$status"
"""


def environ(settings: Settings) -> dict[str, str]:
    return {**environment_of(settings.data_dir), "FLASK10X_TIMEZONE": "Asia/Tokyo"}


def test_half_a_write(settings: Settings, database: Database) -> None:
    """The first 40 bytes can still be written: a line and a bit."""
    put(settings, OLD)
    store(settings, 0, 1, 2)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(OLD) + 40, len(OLD) + 40))

    done = subprocess.run(
        [sys.executable, "-m", "flask10x", "export", "PicodataX.csv"],
        env=environ(settings),
        cwd=ROOT,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == f"{csv_file(settings)}: cannot be read or written: File too large\n"
    assert csv_file(settings).read_bytes() == OLD
    assert export(settings, database, PICO)[0].rows == 3
    assert csv_file(settings).read_bytes() == OLD + lines(0, 1, 2)
    assert not verify(settings, database, PICO)[0].failed


def test_a_full_file_system(settings: Settings, database: Database) -> None:
    # The rows of the export need another page of the tmpfs than the old ones.
    old = HEADER + line(0) * ((4096 - len(HEADER)) // len(line(0)))
    store(settings, *[1, 2, 3, 4, 5, 6, 7, 8, 9] * 4)
    copies = settings.data_dir / "kept"
    copies.mkdir()
    (copies / "old.csv").write_bytes(old)
    paths = {"CSV": settings.csv_dir, "OLD": copies / "old.csv", "KEPT": copies}
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL],
        env=environ(settings)
        | {"PYTHON": sys.executable, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        | {name: str(path) for name, path in paths.items()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "unshare: " in done.stderr or "mount: " in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 1, done.stderr
    assert done.stderr == (
        f"{csv_file(settings)}: cannot be read or written: No space left on device\n"
    )
    assert (copies / "full.csv").read_bytes() == old
    expected = old + lines(*[1, 2, 3, 4, 5, 6, 7, 8, 9] * 4)
    assert (copies / "mended.csv").read_bytes() == expected
