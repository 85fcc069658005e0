"""Measure what it costs a lone commit to note how far its queue is settled (docs/decisions/0009).

Run it from the checkout; it takes some seconds, and a busy machine changes nothing:

    python3 -m benchmarks.note_bytes

It prints one Markdown table: the bytes and pages that a commit of one reading adds to the WAL, with
no note, with the note in a row of `sqlite_sequence`, and with the note in a table of its own. Pages
of 512 bytes, 20,000 rows before, 3,000 commits, by one queue or by several in turn; the note of a
queue that is no longer in use takes as much room as any other. Standard library only.
"""

import sqlite3
import tempfile
from contextlib import closing
from itertools import islice
from pathlib import Path

from benchmarks.card_bytes import (
    INDEX,
    INSERT,
    TABLE,
    WAL_FRAME_HEADER_BYTES,
    commit_rows,
    readings,
)

PAGE_BYTES = 512
PREFILL_ROWS = 20_000
COMMITS = 3_000
QUEUES = (1, 2, 8, 14, 20, 100)
# The program has two tables with AUTOINCREMENT, and a queue's id is of 16 digits.
REJECTED = "CREATE TABLE rejected (id INTEGER PRIMARY KEY AUTOINCREMENT, reasons TEXT) STRICT"
RECEIPTS = "CREATE TABLE receipts (queue TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT"
NAME = "queue {:016x}"
# How a note is begun and renewed, by where it is.
NOTES = {
    "no note": ("", ""),
    "sqlite_sequence": (
        "INSERT INTO sqlite_sequence (seq, name) VALUES (0, ?)",
        "UPDATE sqlite_sequence SET seq = ? WHERE name = ?",
    ),
    "table of its own": (
        "INSERT INTO receipts (number, queue) VALUES (0, ?)",
        "UPDATE receipts SET number = ? WHERE queue = ?",
    ),
    "table of its own, WITHOUT ROWID": (
        "INSERT INTO receipts (number, queue) VALUES (0, ?)",
        "UPDATE receipts SET number = ? WHERE queue = ?",
    ),
}


def prepared(folder: Path, place: str, queues: int) -> sqlite3.Connection:
    """A database with rows in it and a note of each queue, its WAL empty."""
    database = sqlite3.connect(folder / "db", isolation_level=None)
    database.executescript(f"""
        PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
        PRAGMA wal_autocheckpoint = 0;""")
    for statement in (TABLE.format("AUTOINCREMENT"), INDEX, REJECTED):
        database.execute(statement)
    database.execute(RECEIPTS + (", WITHOUT ROWID" if "WITHOUT" in place else ""))
    database.execute("INSERT INTO rejected (reasons) VALUES ('')")
    source = readings()
    for _ in range(PREFILL_ROWS // 1000):
        commit_rows(database, INSERT, list(islice(source, 1000)))
    begin, _ = NOTES[place]
    for queue in range(queues):
        if begin:
            database.execute(begin, (NAME.format(queue),))
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database


def wal_bytes(place: str, queues: int) -> float:
    """How much longer the WAL gets with each commit."""
    with tempfile.TemporaryDirectory(prefix="note_bytes_") as name:
        folder = Path(name)
        with closing(prepared(folder, place, queues)) as database:
            _, renew = NOTES[place]
            for number, reading in enumerate(islice(readings(seed=2), COMMITS), start=1):
                database.execute("BEGIN IMMEDIATE")
                database.execute(INSERT, reading)
                if renew:
                    database.execute(renew, (number, NAME.format(number % queues)))
                database.execute("COMMIT")
            return (folder / "db-wal").stat().st_size / COMMITS


def main() -> None:
    print("| note | queues | WAL bytes a commit | pages a commit |\n|---|---:|---:|---:|")
    for place in NOTES:
        for queues in QUEUES:
            size = wal_bytes(place, queues)
            pages = size / (PAGE_BYTES + WAL_FRAME_HEADER_BYTES)
            print(f"| {place} | {queues} | {size:,.0f} | {pages:.2f} |", flush=True)


if __name__ == "__main__":
    main()
