"""What `flask10x verify` has found last: a file of JSON.

It lies beside the database, so that the pages, the alerts and `flask10x check` of the same host can
read it without the database. It is written as a whole: a kill leaves the file of before.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.system import disk

SUFFIX = "-verify.json"
# A file of another version is ignored.
VERSION = 2

Copy = Literal["table", "index", "hours", "days", "csv", "backup"]
COPIES: tuple[Copy, ...] = get_args(Copy)
Place = Literal["reading", "line", "hour", "day", "kept"]
"""`line`: one of a CSV file without a reading; `kept`: the sums of an hour of removed readings."""
Whole = Literal["tree", "file", "lost", "backup", "unreadable"]
"""`tree`: a table or an index of the database that is out of order."""
Kind = Place | Whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A place at which the copies differ, or a file that is not as it was written."""

    kind: Kind
    wrong: tuple[Copy, ...] = ()
    """The copies that are wrong; empty where it can't be said."""
    station: str = ""
    """The endpoint; empty for a file of another kind."""
    number: int = 0
    """The id of the reading, the hour since 1970, or the day. Of a line without a reading the id
    that it may have had."""
    at_ms: int | None = None
    """When the reading was received, in UTC epoch milliseconds."""
    path: str = ""
    """The file, of `file`, `lost` and `backup`; the name, of `tree`."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What each copy has, as text, by its name."""
    right: str = ""
    """What is right, as text; empty where it can't be said."""
    is_repaired: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What the last complete run has compared and found."""

    finished_at: int
    """UTC epoch milliseconds."""
    seconds: float
    readings: int
    """Readings of the table."""
    lines: int
    """Lines of CSV files."""
    hours: int
    """Hours and days of the roll-ups."""
    backup: str = ""
    """The backup whose readings were compared; empty without one."""
    backup_readings: int = 0
    differences: tuple[Difference, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why the lines of a station were not compared, by its endpoint, or a backup, by its path."""

    @property
    def open(self) -> tuple[Difference, ...]:
        """The differences that are not repaired, lost files among them."""
        return tuple(each for each in self.differences if not each.is_repaired)

    @property
    def differing(self) -> tuple[Difference, ...]:
        """Those of them that are no lost files, which are looked for more often than this."""
        return tuple(each for each in self.open if each.kind != "lost")

    @property
    def lost(self) -> tuple[Difference, ...]:
        """The CSV files that alone had removed readings."""
        return tuple(each for each in self.open if each.kind == "lost")


def path_of(settings: Settings) -> Path:
    """Return the path of the file."""
    path = database_path(settings)
    return path.with_name(path.name + SUFFIX)


def last_result(settings: Settings) -> Result | None:
    """Return the result of the last complete run; None before the first, or of another version.

    Raises OSError.
    """
    with suppress(FileNotFoundError, AttributeError, KeyError, TypeError, ValueError):
        content = json.loads(path_of(settings).read_bytes())
        if content["version"] != VERSION:
            return None
        values = content["result"]
        differences = [
            Difference(**{**each, "wrong": tuple(each["wrong"])}) for each in values["differences"]
        ]
        return Result(**{**values, "differences": tuple(differences)})
    return None


def save(settings: Settings, result: Result) -> None:
    """Write it, durably. Raises OSError; then the file is as before."""
    path = path_of(settings)
    content = {"version": VERSION, "result": asdict(result)}
    unfinished = path.with_name(f"{path.name}.new")
    with open(unfinished, "w", encoding="utf-8", opener=disk.private) as file:
        json.dump(content, file, ensure_ascii=False)
        disk.leave_to_owner(file.fileno(), path.parent)
        file.flush()
    disk.sync(unfinished)
    unfinished.rename(path)
    disk.sync(path.parent)


def forget_file(settings: Settings, path: str) -> None:
    """Take out of the last result that this CSV file is lost: it was put back. Raises OSError."""
    result = last_result(settings)
    if result is None:
        return
    left = tuple(each for each in result.differences if (each.kind, each.path) != ("lost", path))
    if left != result.differences:
        save(settings, replace(result, differences=left))
