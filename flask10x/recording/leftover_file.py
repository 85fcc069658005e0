"""The file of leftovers: which entries of which queue a stop could not store, as lines of JSON.

The first line names the queue; each other one holds an entry with its number in that queue, in the
order of the numbers (`database/settled.py` says what they are for). Files of older versions have no
first line of that kind and no numbers: there the name of the file stands for the queue, and the
number of the line for that of the entry.
"""

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from flask10x.database.rows import NAMES
from flask10x.recording.batch import Entry

FILES = "leftover-*.jsonl"


def waiting(folder: Path) -> list[Path]:
    """The files that lie in the folder of a database, oldest first."""
    return sorted(folder.glob(FILES))


def text_of(queue: str, settled: int, entries: Sequence[Entry]) -> str:
    """The file that holds these entries, which follow the last one of the queue that is settled."""
    lines = [{"queue": queue}, *map(_line, range(settled + 1, settled + 1 + len(entries)), entries)]
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def queue_of(path: Path) -> str:
    """The queue whose entries the file holds.

    Raises OSError, or ValueError when the first line is no JSON.
    """
    with path.open(encoding="utf-8") as file:
        return _queue_in(file.readline()) or path.name


def entries_of(path: Path) -> Generator[tuple[int, Entry], None, None]:
    """Each entry with its number, read as it is asked for; `close` the iterator at the end.

    Raises OSError, or ValueError that says what is wrong in which line.
    """
    with path.open(encoding="utf-8") as file:
        latest = 0
        for place, line in enumerate(file, start=1):
            if place == 1 and _queue_in(line):
                continue
            try:
                number, entry = _entry(line, place)
                if number <= latest:
                    raise ValueError(f"entry {number} comes after entry {latest}")
            except (ValueError, TypeError, LookupError) as error:
                raise ValueError(f"line {place}: {error!r}") from error
            latest = number
            yield number, entry


def _line(number: int, entry: Entry) -> dict[str, object]:
    row = {name: value for name, value in zip(NAMES, entry.row, strict=True) if value is not None}
    return {"number": number, "row": row, "warned": entry.warned}


def _queue_in(line: str) -> str | None:
    found: Any = json.loads(line or "{}")
    return found.get("queue") if isinstance(found, dict) else None


def _entry(line: str, place: int) -> tuple[int, Entry]:
    found = json.loads(line)
    row: dict[str, object] = found["row"]
    if unknown := row.keys() - set(NAMES):
        raise ValueError(f"unknown columns {sorted(unknown)}")
    entry = Entry(tuple(map(row.get, NAMES)), 0.0, tuple(found["warned"]))
    return int(found.get("number", place)), entry
