"""`python -m benchmarks.verify`: how fast all copies are compared, beside `export --verify`.

A database of a million readings by default, exported and backed up, is compared in one process.
Seconds are those of the processor: what counts on a Pi, and the same whatever else runs.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from benchmarks.filled import database_of
from benchmarks.results import PROJECT
from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.verify import verify as verify_files
from flask10x.maintenance.backup import backup
from flask10x.maintenance.verify.run import verify
from flask10x.system import disk

FOLDER = PROJECT / "build" / "bench"


def main() -> None:
    """Print what each takes, and the ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verify", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows: int = parser.parse_args().rows
    FOLDER.mkdir(parents=True, exist_ok=True)
    source = database_of(FOLDER, rows)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        settings = replace(
            settings_module.load({"FLASK10X_DATA_DIR": folder}), synchronous="NORMAL"
        )
        disk.copy(source, Path(folder) / "flask10x.sqlite3", lambda _: None)
        settings.log_dir.mkdir(exist_ok=True)
        with closing(Database(settings)) as database:
            export(settings, database)
            backup(settings, settings.backup_dir)
            _print(settings, database, rows)


def _print(settings: Settings, database: Database, rows: int) -> None:
    files_sec = _seconds(lambda: verify_files(settings, database))
    all_sec = _seconds(lambda: verify(settings, database))
    for name, seconds in (("export --verify", files_sec), ("verify", all_sec)):
        print(f"{name:<16} {seconds:7.1f} s {rows / seconds:10,.0f} readings/s")
    print(f"{all_sec / files_sec:.1f} times as long")


def _seconds(do: Callable[[], object]) -> float:
    begun_sec = time.process_time()
    do()
    return time.process_time() - begun_sec


if __name__ == "__main__":
    main()
