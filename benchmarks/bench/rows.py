"""What each row is given, and which rows there are."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench.filled import database_of
from benchmarks.bench.results import Run


@dataclass(frozen=True, slots=True)
class Bench:
    """Where it is measured, and how long."""

    folder: Path
    """On a real disk; made databases are kept here."""
    rounds: int
    """How often each side is measured, in turn."""
    seconds: int
    """How long a run at full load is."""

    @contextmanager
    def place(self) -> Iterator[Path]:
        """A folder for the files of one service, thrown away at the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="run-") as name:
            yield Path(name).resolve()

    def lay_database(self, place: Path, rows: int) -> Path:
        """Put a copy of a database of so many readings where a service in that place looks."""
        database = place / "data" / "flask10x.sqlite3"
        database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(database_of(self.folder, rows), database)
        return database


Row = Callable[[Bench], Iterator[Run]]
"""Measures, and gives each run as soon as it is there."""
