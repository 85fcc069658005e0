"""The file of leftovers: which entries of which queue a stop could not store, as lines of JSON.

The first line names the queue; each other one holds an entry with its number in that queue, in the
order of the numbers (`database/queue_notes.py` says what they are for).
"""

import json
from collections.abc import Generator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from flask10x.recording.entry import Entry, warnings_of

FILES = "leftover-*.jsonl"
# Every line of an entry with a key has this, and hardly any other line.
KEYED = b'"key":'

_ENCODER = json.JSONEncoder(separators=(",", ":"))


def waiting(folder: Path) -> list[Path]:
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
