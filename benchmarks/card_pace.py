"""What `card_bytes.py` can't see: lone commits at a sensor's real pace, one every few seconds.

Back to back, many commits share what the kernel writes in the background (the WAL's index, the
file system's journal); at one commit every 5 s they do not. Each shape gets an ext4 file system
of its own on a loop device, so nothing else is counted. Needs root; takes about 8 minutes:

    sudo python3 -m benchmarks.card_pace

It prints a Markdown table. Standard library only; Linux only.
"""

import itertools
import os
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.card_bytes import INDEX, INSERT, TABLE, Reading, readings

COMMITS = 80
PACE_SEC = 5.0
# The kernel writes dirty pages after 30 s at the latest, and looks every 5 s.
SETTLE_SEC = 40.0
PREFILL_ROWS = 20_000
IMAGE_MB = 300
SECTOR_BYTES = 512

Commit = Callable[[Reading], None]
OLD, LAZY = "old CSV append", ", mounted with lazytime"
SHAPES: dict[str, tuple[int, str] | None] = {
    OLD: None,
    "page 512, AUTOINCREMENT": (512, "AUTOINCREMENT"),
    "page 512, plain": (512, ""),
    "page 1024, plain": (1024, ""),
    "page 4096, AUTOINCREMENT": (4096, "AUTOINCREMENT"),
    OLD + LAZY: None,
    "page 512, AUTOINCREMENT" + LAZY: (512, "AUTOINCREMENT"),
}


def run(*command: str) -> str:
    """The output of a command, which has to succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Card:
    """An ext4 file system on a loop device, and how much was written to it."""

    def __init__(self, folder: Path, name: str, options: str) -> None:
        self.image, self.mount = folder / f"{name}.img", folder / name
        run("truncate", "-s", f"{IMAGE_MB}M", str(self.image))
        # The block size that mkfs chooses for a card of more than 512 MB.
        at_once = "lazy_itable_init=0,lazy_journal_init=0"
        run("mkfs.ext4", "-q", "-b", "4096", "-E", at_once, str(self.image))
        self.device = run("losetup", "--find", "--show", str(self.image))
        self.mount.mkdir()
        run("mount", "-o", options, self.device, str(self.mount))

    def written(self) -> int:
        """Bytes written to the device so far."""
        stat = Path("/sys/block", Path(self.device).name, "stat").read_text()
        return int(stat.split()[6]) * SECTOR_BYTES

    def close(self) -> None:
        """Unmount it and free the loop device."""
        run("umount", str(self.mount))
        run("losetup", "--detach", self.device)


def open_table(folder: Path, page_bytes: int, id_rule: str) -> sqlite3.Connection:
    """A database of this shape with rows in it, as a running service holds it."""
    connection = sqlite3.connect(folder / "db", isolation_level=None, check_same_thread=False)
    for statement in (
        f"PRAGMA page_size = {page_bytes}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        f"PRAGMA wal_autocheckpoint = {4_000_000 // (page_bytes + 24)}",
        "PRAGMA journal_size_limit = 4000000",
        TABLE.format(id_rule),
        INDEX,
        "BEGIN",
    ):
        connection.execute(statement)
    connection.executemany(INSERT, itertools.islice(readings(), PREFILL_ROWS))
    connection.execute("COMMIT")
    # The long-run state: the WAL file has its size and is written from its beginning again.
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    return connection


def append_csv(folder: Path) -> Commit:
    """The old server's way: open, append a line, fsync, close."""

    def commit(reading: Reading) -> None:
        with open(folder / "old.csv", "a") as file:
            file.write(",".join("" if cell is None else str(cell) for cell in reading) + "\r\n")
            file.flush()
            os.fsync(file.fileno())

    return commit


def insert(connection: sqlite3.Connection) -> Commit:
    """A transaction for each reading."""

    def commit(reading: Reading) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(INSERT, reading)
        connection.execute("COMMIT")

    return commit


def measure(card: Card, commit: Commit, figures: dict[str, float], name: str) -> None:
    """Commit at the pace and note the bytes for each reading."""
    run("sync")
    time.sleep(SETTLE_SEC)
    before = card.written()
    for reading in itertools.islice(readings(seed=2), COMMITS):
        commit(reading)
        time.sleep(PACE_SEC)
    time.sleep(SETTLE_SEC)
    figures[name] = (card.written() - before) / COMMITS


def main() -> None:
    """Measure all shapes at the same time, each on its own device."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        cards, threads, connections = [], [], []
        for number, (shape, table) in enumerate(SHAPES.items()):
            options = "noatime,lazytime" if shape.endswith(LAZY) else "noatime"
            card = Card(Path(name), f"card{number}", options)
            cards.append(card)
            if table:
                connections.append(open_table(card.mount, *table))
                commit = insert(connections[-1])
            else:
                commit = append_csv(card.mount)
            threads.append(threading.Thread(target=measure, args=(card, commit, figures, shape)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for connection in connections:
            connection.close()
        for card in cards:
            card.close()
    print(f"| shape, a commit every {PACE_SEC:g} s | device bytes a reading | of the old append |")
    print("|---|---:|---:|")
    for shape in SHAPES:
        print(f"| {shape} | {figures[shape]:.0f} | {figures[shape] / figures[OLD]:.2f} |")


if __name__ == "__main__":
    main()
