"""What a nightly backup writes to the card: `python -m benchmarks --only nights`.

Nights follow each other on one database. Each day stores a reading a minute of four stations and
their roll-ups; then the command makes its backup, as at night. The floor is one whole copy, which
the command wrote each night before it kept earlier backups by their pages.

Bytes are those that the disk's driver counts: with the journal of the file system, and with
whatever else writes meanwhile. What the kernel counts for a process is no measure: writing 512
bytes counts all that was read ahead with them.
"""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from benchmarks import filled
from benchmarks.results import Run
from benchmarks.servers import Bench, Row
from flask10x.config import settings as settings_module
from flask10x.database.database import Database
from flask10x.history import rollups
from flask10x.maintenance import earlier_backups
from flask10x.system import backup_files
from tests.e2e.service import ZONE

SIZES = (1_000_000, 10_000_000)
# Those that stay by default, and one that is removed.
NIGHTS = 15
STATIONS = 4
DAY_ROWS = STATIONS * 24 * 60
# The seventh number of the file, in units of 512 bytes on any disk
# (https://www.kernel.org/doc/html/latest/block/stat.html).
SECTORS_WRITTEN_AT, SECTOR_BYTES = 6, 512


def nights(bench: Bench) -> Iterator[Run]:
    """A run of whole copies and one of ours for each size."""
    for rows in (bench.rows,) if bench.rows else SIZES:
        with bench.place() as place:
            data = bench.lay_database(place, rows).parent
            copied, sec = _backed_up(data, "--whole", str(data))
            size = (data / "flask10x.sqlite3").stat().st_size
            yield Run("nights", f"whole, {rows}", 0, {"night_bytes": copied, "night_sec": sec})
            for copy in data.glob("*-whole.*"):
                copy.unlink()
            yield Run("nights", f"ours, {rows}", 0, _nights(data) | {"before_bytes": size})


def _nights(data: Path) -> dict[str, float]:
    settings = settings_module.load({"FLASK10X_DATA_DIR": str(data), "FLASK10X_TIMEZONE": ZONE})
    written, seconds, grown = [], [], []
    first, used = _backed_up(data)
    for night in range(NIGHTS):
        before = _used_bytes(data / "flask10x.sqlite3")
        with closing(Database(settings)) as database:
            begin_ms = time.time_ns() // 1_000_000 + night * DAY_ROWS * filled.STEP_MS
            filled.fill(database.path, DAY_ROWS, begin_ms)
            for _ in rollups.catch_up(settings.stations, database):
                pass
        grown.append(_used_bytes(data / "flask10x.sqlite3") - before)
        copied, used = _backed_up(data)
        written.append(copied)
        seconds.append(used)
    folder = settings.backup_dir
    kept = backup_files.restorable(folder)
    restored = sum(bool(earlier_backups.is_unchanged(path)) for path in kept)
    size = (data / "flask10x.sqlite3").stat().st_size
    held = sum(path.stat().st_size for path in folder.iterdir())
    return {
        "first_bytes": first,
        "day_bytes": median(grown),
        "night_bytes": median(written),
        "night_of_day": median(written) / median(grown),
        "year_gb": median(written) * 365 / 1e9,
        "night_sec": median(seconds),
        "kept_of_database": held / size,
        "kept": len(kept),
        "restored": restored,
    }


def _used_bytes(file: Path) -> int:
    """The pages of a database that are in use, in bytes."""
    with closing(sqlite3.connect(file)) as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def _backed_up(data: Path, *arguments: str) -> tuple[int, float]:
    """Make a backup; the bytes that it wrote, and its seconds of the processor."""
    command = [sys.executable, "-m", "flask10x", "backup", *arguments]
    environment = os.environ | {"FLASK10X_DATA_DIR": str(data), "FLASK10X_ENV_FILE": ""}
    os.sync()
    before = _sectors(data)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    os.sync()
    written_bytes = (_sectors(data) - before) * SECTOR_BYTES
    return written_bytes, used.ru_utime + used.ru_stime


def _sectors(folder: Path) -> int:
    """How many sectors were written to the disk of the folder since the machine was started."""
    device = folder.stat().st_dev
    place = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    return int(place.read_text().split()[SECTORS_WRITTEN_AT])


ROWS: dict[str, Row] = {"nights": nights}
