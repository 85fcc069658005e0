"""The rows that were not taken of a file, as a CSV file with the reason of each."""

import csv
import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TextIO

from flask10x.system import disk

SUFFIX = ".rejected.csv"
OF_LINES = ("line", "reason", "row")


class RejectedRows(AbstractContextManager["RejectedRows"]):
    """Rows that could not be taken, with their reasons, under the headings `header`.

    The file is beside the one that they come from, or in another folder when that one can't be
    written, and is created with the first row. It is used in `with`; where nothing was rejected,
    the file of an earlier run is removed at the end.
    """

    def __init__(self, path: Path, other_folder: Path, header: Sequence[str] = OF_LINES) -> None:
        folder = path.parent if os.access(path.parent, os.W_OK) else other_folder
        self.path = folder / f"{path.name}{SUFFIX}"
        self.count = 0
        self._header = header
        self._file: TextIO | None = None

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        """Add these; raises OSError when that is impossible."""
        for row in rows:
            if self._file is None:
                self._file = self._begun()
            csv.writer(self._file).writerow(row)
            self.count += 1

    def _begun(self) -> TextIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        file = open(self.path, "x", newline="", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        disk.leave_to_owner(file.fileno(), self.path.parent)
        csv.writer(file).writerow(self._header)
        return file

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if self._file is not None:
            self._file.close()
        elif error is None:
            self.path.unlink(missing_ok=True)
