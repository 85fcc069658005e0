"""An entry: one reading on its way, and its line in a file of leftovers.

The first line of the file names the queue; each other one holds an entry with its number in that
queue, in the order of the numbers (`database/queue_notes.py` says what they are for).
"""

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
    """When it was accepted, in milliseconds of CLOCK_MONOTONIC; 0 when that is not known."""
    key: str = ""
    """By which a repeat of it is known, 32 hexadecimal digits; empty: each is a new reading."""
    repeat_window_ms: int = 0
    """For how long another one with this key is a repeat; 0: for as long as keys are kept."""

    @property
    def lasting_key(self) -> str:
        """The key that its sender has given; empty when it is known by its body, for a while."""
        return "" if self.repeat_window_ms else self.key

    @property
    def arrived_at(self) -> int:
        """When it arrived, in UTC epoch milliseconds."""
        return int(self.row.get("arrived_at") or self.row["received_at"])


def warnings_of(endpoint: str) -> str:
    """How the names of a station's counters of warnings begin."""
    return f"{WARNINGS}{endpoint}."


# The file of leftovers: which entries of which queue a stop could not store, as lines of JSON.
#
# The first line names the queue; each other one holds an entry with its number in that queue, in
# the order of the numbers (`database/queue_notes.py` says what they are for).

FILES = "leftover-*.jsonl"
# Every line of an entry with a key has this, and hardly any other line.
KEYED = b'"key":'

_ENCODER = json.JSONEncoder(separators=(",", ":"))


def leftover_files(folder: Path) -> list[Path]:
    """The files that lie in the folder of a database, oldest first."""
    return sorted(folder.glob(FILES))


def text_of(queue: str, settled: int, entries: Sequence[Entry]) -> str:
    """The file that holds these entries, which follow the last one of the queue that is settled."""
    numbered = enumerate(entries, start=settled + 1)
    lines = (line_of(number, entry) for number, entry in numbered)
    return "".join([_ENCODER.encode({"queue": queue}) + "\n", *lines])


def line_of(number: int, entry: Entry, **more: int | str) -> str:
    """The line of an entry with this number; `more` is read by nobody who does not know it.

    `longest_line_bytes` knows what can stand in it.
    """
    if entry.key:
        more |= {"key": entry.key}
    if entry.repeat_window_ms:
        more |= {"repeat_window_ms": entry.repeat_window_ms}
    # Without what all of them begin with, which would be the longest part of the line.
    warned = [name.removeprefix(warnings_of(entry.row["endpoint"])) for name in entry.warned]
    line = {"number": number, "row": entry.row, "warned": warned, **more}
    return _ENCODER.encode(line) + "\n"


def entry_in(line: str) -> Entry:
    """The entry of a line; raises ValueError, TypeError or LookupError when it is none."""
    found = json.loads(line)
    # Its other columns may be those of a station that is no more.
    row = found["row"]
    beginning = warnings_of(str(row["endpoint"]))
    if "received_at" not in row:
        raise KeyError("received_at")
    return Entry(
        row,
        tuple([beginning + name for name in found["warned"]]),
        int(found["number"]),
        int(found.get("arrived_ms", 0)),
        str(found.get("key", "")),
        int(found.get("repeat_window_ms", 0)),
    )


def queue_of(path: Path) -> str:
    """The queue whose entries the file holds.

    Raises OSError, or ValueError when the first line names none.
    """
    with path.open(encoding="utf-8") as file:
        return _queue_in(file.readline())


def entries_of(path: Path) -> Generator[Entry, None, None]:
    """Each entry, read as it is asked for; `close` the iterator at the end.

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


def _queue_in(line: str) -> str:
    content: Any = json.loads(line or "{}")
    if not isinstance(content, dict) or not (queue := content.get("queue")):
        raise ValueError("line 1 names no queue")
    return str(queue)
