"""What it costs to compare all copies: `python -m benchmarks --only verify`.

Ten million readings, exported and backed up, are compared by the command, as the timer does. They
are made once and kept. Seconds are those of the processor: what counts on a Pi, and the same
whatever else runs.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from benchmarks.filled import database_of
from benchmarks.results import Run
from benchmarks.servers import Bench, Row
from flask10x.config import settings as settings_module
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.maintenance.backup import backup
from flask10x.system import disk

USUAL_ROWS = 10_000_000


def verify(bench: Bench) -> Iterator[Run]:
    """The comparison of all copies."""
    rows = bench.rows or USUAL_ROWS
    folder = house_of(bench.folder, rows)
    environment = os.environ | {"FLASK10X_DATA_DIR": str(folder), "FLASK10X_ENV_FILE": ""}
    yield _run("ours", [sys.executable, "-m", "flask10x", "verify"], environment, rows)


def house_of(folder: Path, rows: int) -> Path:
    """The folder of so many readings with all their copies; made where it lacks."""
    made, unfinished = folder / f"verify-{rows}", folder / f"verify-{rows}.new"
    if made.exists():
        return made
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    disk.copy(database_of(folder, rows), unfinished / "flask10x.sqlite3")
    settings = settings_module.load({"FLASK10X_DATA_DIR": str(unfinished)})
    settings.log_dir.mkdir()
    with closing(Database(replace(settings, synchronous="NORMAL"))) as database:
        export(settings, database)
        backup(settings, settings.backup_dir)
    unfinished.rename(made)
    return made


def _run(side: str, command: Sequence[str], environment: Mapping[str, str], rows: int) -> Run:
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    cpu_sec = used.ru_utime + used.ru_stime
    values = {
        "cpu_sec": cpu_sec,
        "per_sec": rows / cpu_sec,
        "memory_mb": used.ru_maxrss / 1024,
        # What ten times slower means.
        "slow_min": cpu_sec * 10 / 60,
    }
    return Run("verify", side, 0, values)


ROWS: dict[str, Row] = {"verify": verify}
