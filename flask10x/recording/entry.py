"""An entry: one reading on its way into the database, and its line in a file of leftovers."""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask10x.database.insert import Cells

WARNINGS = "warnings."
"""`warnings.<endpoint>.<path>` counts the stored readings that had a warning of that field."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One reading that waits."""

    row: "Cells"
    warned: tuple[str, ...] = ()
    """The counters that it raises once it is stored."""
    number: int = 0
    """Its number in its queue; 0 before it has one."""
    arrived_ms: int = 0
    """When it was accepted, in milliseconds of CLOCK_MONOTONIC; 0 if that is unknown."""
    key: str = ""
    """Identifies its repeats, 32 hexadecimal digits; empty: it has none."""
    repeat_window_ms: int = 0
    """For how long another entry with this key is a repeat; 0: for as long as keys are kept."""

    @property
    def lasting_key(self) -> str:
        """The key from its sender; empty if the key is that of its body, which soon expires."""
        return "" if self.repeat_window_ms else self.key

    @property
    def arrived_at(self) -> int:
        """When it arrived, in UTC epoch milliseconds."""
        return int(self.row.get("arrived_at") or self.row["received_at"])


def warnings_of(endpoint: str) -> str:
    """The beginning of the names of a station's counters of warnings."""
    return f"{WARNINGS}{endpoint}."


# A file of leftovers holds, as lines of JSON, the entries of one queue that a stop could not store.
#
# The first line names the queue; each other line holds an entry with its number in that queue, in
# the order of the numbers, by which `database/queue_notes.py` notes what is stored.

FILES = "leftover-*.jsonl"

_ENCODER = json.JSONEncoder(separators=(",", ":"))


def leftover_files(folder: Path) -> list[Path]:
    """The files of leftovers in the folder of a database, oldest first."""
    return sorted(folder.glob(FILES))


def text_of(queue: str, settled: int, entries: Sequence[Entry]) -> str:
    """The content of a file with these entries, which follow entry `settled` of the queue."""
    lines = (line_of(number, entry) for number, entry in enumerate(entries, start=settled + 1))
    return "".join([_ENCODER.encode({"queue": queue}) + "\n", *lines])


def line_of(number: int, entry: Entry, **more: int | str) -> str:
    """The line of an entry with this number; readers ignore keys of `more` that they do not use.

    `longest_line_bytes` computes from the same keys how long it can be.
    """
    if entry.key:
        more |= {"key": entry.key}
    if entry.repeat_window_ms:
        more |= {"repeat_window_ms": entry.repeat_window_ms}
    # Without their common beginning, which would be the longest part of the line.
    warned = [name.removeprefix(warnings_of(entry.row["endpoint"])) for name in entry.warned]
    line = {"number": number, "row": entry.row, "warned": warned, **more}
    return _ENCODER.encode(line) + "\n"


def entry_in(line: str) -> Entry:
    """The entry of a line; raises ValueError, TypeError or LookupError if the line holds none."""
    values = json.loads(line)
    # Its other columns may belong to a station that was removed.
    row = values["row"]
    beginning = warnings_of(str(row["endpoint"]))
    if "received_at" not in row:
        raise KeyError("received_at")
    return Entry(
        row,
        tuple([beginning + name for name in values["warned"]]),
        int(values["number"]),
        int(values.get("arrived_ms", 0)),
        str(values.get("key", "")),
        int(values.get("repeat_window_ms", 0)),
    )


def queue_of(path: Path) -> str:
    """The queue whose entries the file holds.

    Raises OSError, or ValueError if the first line names no queue.
    """
    with path.open(encoding="utf-8") as file:
        head: Any = json.loads(file.readline() or "{}")
    if not isinstance(head, dict) or not (queue := head.get("queue")):
        raise ValueError("line 1 names no queue")
    return str(queue)


def entries_of(path: Path) -> Generator[Entry, None, None]:
    """The entries of the file, read one by one; `close` the iterator at the end.

    Raises OSError, or ValueError that says what is wrong in which line.
    """
    with path.open(encoding="utf-8") as file:
        latest = 0
        # The first line names the queue.
        for place, line in enumerate(islice(file, 1, None), start=2):
            try:
                entry = entry_in(line)
                if entry.number <= latest:
                    raise ValueError(f"entry {entry.number} comes after entry {latest}")
            except (ValueError, TypeError, LookupError) as error:
                raise ValueError(f"line {place}: {error!r}") from error
            latest = entry.number
            yield entry
