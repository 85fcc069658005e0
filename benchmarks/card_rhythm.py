"""How many bytes reach the card for a reading of a home: the old server's design against ours.

The home has four stations: `/data`, `/data2` and `/data3` send each 60 s, `/data4` each 20 to
26 s, some 8,000 readings a day. One in 200 is refused. It needs root, for loop devices:

    sudo .venv/bin/python -m benchmarks.card_rhythm                       # a quarter of an hour
    sudo .venv/bin/python -m benchmarks.card_rhythm --real --hours 0.2    # as long

Everything of a way of storing lies on an ext4 file system of its own, with 4 KiB blocks, and what
counts is what its device has taken, so database, WAL, checkpoint, roll-ups, log, rejected readings,
lock files and the file system's journal are all in it, and nothing else is. All ways run at once.

What a lone write costs depends on what the kernel writes together, so the time can't simply be
shortened. What the kernel does by time is therefore done at the time of the home:

- ext4 takes up changes into its journal 5 s after the first one (mount option `commit`), or with an
  `fsync` that needs them. It is mounted with `commit=3600`, and the replay has the journal written
  when it is due, by an `fsync` of the WAL, of which nothing else is unwritten then.
- Dirty pages are written when they are 30 s old, by a look each 5 s. The replay has each file, and
  the device's own blocks, written (`sync_file_range`) at the look when they are due.
- Once an hour of the home the roll-ups are brought up to date; at the end a checkpoint brings the
  whole WAL into the database, and everything is synced.
- Readings of one interval of COMMIT_INTERVAL_SEC are sent at once, to a service with a short one.

With `--real` nothing of this is done, the readings come in real time, and the kernel is left alone:
both have to give the same. The database holds 45,000 readings before; the WAL has its full length
and is written from its beginning, as after some hours. Linux only.
"""

import argparse
import ctypes
import itertools
import math
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from benchmarks.card_bytes import INSERT, readings
from benchmarks.card_pace import Card, run
from flask10x.config import settings as config
from flask10x.database.engine import Database
from flask10x.history import rollups
from flask10x.readings.stations import BUILT_IN
from tests.e2e.service import Service, reserved_port

PREFILL_ROWS = 45_000
HOUR_SEC = 3600.0
DIRTY_SEC, LOOK_SEC = 30.0, 5.0
# The log's lines are in the file after half a second.
LINES_WAIT_SEC = 0.8
# Longer than a commit waits for others; then the next reading makes a commit of its own.
COMMIT_WAIT_SEC = 0.25
REFUSED_ONE_IN = 200
# One migration at a time in this process.
START_EVERY_SEC = 3.0
SYNC_FILE_RANGE_ALL = 1 | 2 | 4
libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Sent:
    """One reading of the home: when, to which station, and what."""

    at_sec: float
    endpoint: str
    body: dict[str, Any]
    is_refused: bool


def home(seconds: float) -> Iterator[Sent]:
    """What the four stations send, in the order of time; always the same."""
    rng = random.Random(11)
    due = {"data": 7.0, "data2": 23.0, "data3": 41.0, "data4": 3.0}
    for number in itertools.count():
        endpoint = min(due, key=lambda name: due[name])
        at_sec = due[endpoint]
        if at_sec > seconds:
            return
        refused = number % REFUSED_ONE_IN == REFUSED_ONE_IN // 2
        yield Sent(at_sec, endpoint, body_of(endpoint, rng, None if refused else 0.0), refused)
        due[endpoint] += rng.uniform(20, 26) if endpoint == "data4" else 60.0


def body_of(endpoint: str, rng: random.Random, gap: float | None) -> dict[str, Any]:
    """A body as this station sends it; with a `gap` of None its temperature is missing."""

    def near(middle: float, spread: float, digits: int = 2) -> float:
        return round(rng.gauss(middle, spread), digits)

    temperature = None if gap is None else near(21, 3)
    air = {"temperature": temperature, "pressure": near(1010, 6)}
    if endpoint == "data":
        return air
    if endpoint == "data4":
        return {
            "mh_z19": {"co2": near(700, 90, 0)},
            "mq_2": {"analog_value": near(400, 40, 0), "voltage": near(1.3, 0.1)},
            "ds18b20": {"temperature": temperature},
            "dht11": {"temperature": near(22, 3, 1), "humidity": near(48, 6, 0)},
        }
    air |= {"humidity": near(50, 8), "gas_res": near(82_000, 9_000)}
    return air | ({"co2": near(650, 90, 0)} if endpoint == "data2" else {})


class Way(Protocol):
    """A way of storing readings."""

    def take(self, sent: list[Sent]) -> None:
        """Take readings that are stored together."""

    def each_hour(self) -> None:
        """What is done each hour."""

    def finish(self) -> None:
        """Bring everything to its last place."""


class OldServer:
    """The old server's design: a log line, then open, append, fsync, close for each reading."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "flask10x.log").open("a")

    def take(self, sent: list[Sent]) -> None:
        """Its threads do both at the same time; the log first shares most of the journal."""
        for one in sent:
            values = list(leaves(one.body))
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            outcome = (
                "validation error: {'temperature': 'required field missing'}"
                if one.is_refused
                else "OK enqueued " + " ".join(f"{k}={v}" for k, v in values) + " queue_size=1"
            )
            level = "ERROR" if one.is_refused else "INFO"
            self._log.write(f"{stamp} {level} /{one.endpoint} {outcome}\n")
            self._log.flush()
            if one.is_refused:
                continue
            with (self._folder / f"{one.endpoint}.csv").open("a", newline="") as file:
                file.write(",".join([stamp, *(str(v) for _, v in values)]) + "\r\n")
                file.flush()
                os.fsync(file.fileno())

    def each_hour(self) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing but the log."""
        self._log.close()


class LeastFile:
    """The least that makes a lone reading durable on a file system: overwritten, not appended."""

    def __init__(self, folder: Path) -> None:
        path = folder / "least-wal"
        path.write_bytes(bytes(1_000_000))
        self._file = path.open("r+b", buffering=0)

    def take(self, sent: list[Sent]) -> None:
        """A line each into space that the file has already."""
        for one in sent:
            self._file.write(f"{one.endpoint} {one.body}\n".encode())
            os.fdatasync(self._file.fileno())

    def each_hour(self) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""
        self._file.close()


def leaves(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The measurements of a body."""
    for name, value in body.items():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield name, value


class OurService:
    """A real service of ours, with its whole folder on the card."""

    def __init__(self, service: Service) -> None:
        self._service = service
        ours = {k: v for k, v in service.environment.items() if k.startswith("FLASK10X_")}
        # Not through `flask10x`: its connection is no part of the service.
        self._database = Database(config.load(ours))
        with closing(sqlite3.connect(service.database, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, itertools.islice(readings(), PREFILL_ROWS))
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        self.each_hour()
        with closing(sqlite3.connect(service.database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def take(self, sent: list[Sent]) -> None:
        """Send them."""
        for one in sent:
            status = self._service.post(one.endpoint, one.body).status
            assert status == (400 if one.is_refused else 200), status

    def each_hour(self) -> None:
        """What the monitor does: the roll-ups."""
        while rollups.follow(BUILT_IN, self._database):
            pass

    def finish(self) -> None:
        """The checkpoint that the WAL still owes."""
        with closing(sqlite3.connect(self._service.database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
        self._database.close()


@dataclass
class Kernel:
    """What the kernel owes one card, in the time of the home."""

    card: Card
    journal_sec: float
    dirty_sec: float
    dirty_since: dict[Path, float] = field(default_factory=dict)
    changed_since: float | None = None
    looked_at: float = 0.0

    def note_changes(self, now_sec: float) -> None:
        """A reading has come: each file may be dirty, if it was clean."""
        if self.changed_since is None:
            self.changed_since = now_sec
        for path in self.card.mount.rglob("*"):
            if path.is_file():
                self.dirty_since.setdefault(path, now_sec)

    def go_on(self, to_sec: float) -> None:
        """Do what the kernel does until then."""
        journal_at = math.inf
        if self.changed_since is not None:
            journal_at = self.changed_since + self.journal_sec
        if min(journal_at, self.looked_at + LOOK_SEC) <= to_sec:
            time.sleep(LINES_WAIT_SEC)
        else:
            time.sleep(COMMIT_WAIT_SEC)
        while (look_at := self.looked_at + LOOK_SEC) <= to_sec:
            if journal_at <= look_at:
                self._write_journal(journal_at)
                journal_at = math.inf
            self.looked_at = look_at
            self._look(look_at)
        if journal_at <= to_sec:
            self._write_journal(journal_at)

    def _write_journal(self, now_sec: float) -> None:
        self.changed_since = None
        # The blocks that are in the journal now have to get to their own places too.
        self.dirty_since.setdefault(Path(self.card.device), now_sec)
        for wal in self.card.mount.rglob("*-wal"):
            with wal.open("rb") as file:
                os.fsync(file.fileno())

    def _look(self, now_sec: float) -> None:
        for path, since in list(self.dirty_since.items()):
            if now_sec - since >= self.dirty_sec:
                del self.dirty_since[path]
                write_pages(path)


def write_pages(path: Path) -> None:
    """Have the dirty pages of a file, or of a device, written; nothing else."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        libc.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), SYNC_FILE_RANGE_ALL)
    finally:
        os.close(fd)


def groups(hours: float, interval_sec: float) -> Iterator[list[Sent]]:
    """What arrives within an interval after the first; each alone with a short interval."""
    group: list[Sent] = []
    for one in home(hours * HOUR_SEC):
        if group and one.at_sec - group[0].at_sec > interval_sec:
            yield group
            group = []
        group.append(one)
    yield group


@dataclass(frozen=True)
class Variant:
    """One row of the table."""

    name: str
    stores: Callable[[Path], Way] | dict[str, object] = OldServer
    """Settings stand for our service with them."""
    interval_sec: float = 0.1
    journal_sec: int = 5
    """The mount option `commit`; 5 is its default."""
    dirty_sec: float = DIRTY_SEC
    """`vm.dirty_expire_centisecs`; 30 s is its default."""


QUIET: dict[str, object] = {"log_level": "WARNING"}
VARIANTS = (
    Variant("old server"),
    Variant("overwrite 100 bytes, fdatasync, nothing else", LeastFile),
    Variant("defaults", {}),
    Variant("defaults, commit=60", {}, journal_sec=60),
    Variant("defaults, commit=300, dirty 300 s", {}, journal_sec=300, dirty_sec=300),
    Variant("no lines", QUIET),
    Variant("10 s, no lines", QUIET, 10),
    Variant("60 s", {}, 60),
    Variant("60 s, no lines", QUIET, 60),
    Variant("60 s, no lines, commit=300, dirty 300 s", QUIET, 60, 300, 300),
    Variant("300 s, no lines", QUIET, 300),
    Variant("600 s, no lines", QUIET, 600),
)


def replay(way: Way, card: Card, variant: Variant, hours: float, real: bool) -> tuple[int, int]:
    """Play the rhythm; the readings, and the bytes that the card has taken."""
    for _ in range(2):
        run("sync", "--file-system", str(card.mount))
        time.sleep(2)
    before, started, count = card.written(), time.monotonic(), 0
    now_sec, hour, kernel = 0.0, 1, Kernel(card, variant.journal_sec, variant.dirty_sec)
    for group in groups(hours, variant.interval_sec):
        # A commit is made at the end of its interval.
        at_sec = group[0].at_sec + (variant.interval_sec if variant.interval_sec > 1 else 0)
        if real:
            time.sleep(max(0.0, started + at_sec - time.monotonic()))
        else:
            kernel.go_on(at_sec)
        now_sec = at_sec
        way.take(group)
        kernel.note_changes(now_sec)
        count += len(group)
        if now_sec >= hour * HOUR_SEC:
            time.sleep(COMMIT_WAIT_SEC)
            way.each_hour()
            hour += 1
    if real:
        time.sleep(variant.journal_sec + variant.dirty_sec + 2 * LOOK_SEC)
    else:
        kernel.go_on(now_sec + variant.journal_sec + variant.dirty_sec + 2 * LOOK_SEC)
    in_rhythm = card.written() - before
    way.finish()
    run("sync", "--file-system", str(card.mount))
    run("sync", card.device)
    print(f"{variant.name}: {in_rhythm}, {card.written() - before}", file=sys.stderr, flush=True)
    return count, card.written() - before


def measure(variant: Variant, folder: Path, hours: float, real: bool) -> tuple[int, int]:
    """Measure one variant on a card of its own."""
    folder.mkdir()
    card = Card(folder, "card", f"noatime,commit={variant.journal_sec if real else 3600}")
    with ExitStack() as stack:
        stack.callback(card.close)
        if not isinstance(variant.stores, dict):
            return replay(variant.stores(card.mount), card, variant, hours, real)
        interval_sec = 0.1 if variant.interval_sec < 1 else 0.5
        given = variant.stores | {"commit_interval_sec": interval_sec}
        # What is sent at once comes minutes after the last: no station is silent at home then.
        given["inactivity_warn_sec"] = 1_000_000
        service = Service(card.mount, stack.enter_context(reserved_port()), given)
        stack.callback(service.close)
        service.start()
        ours = OurService(service)
        try:
            return replay(ours, card, variant, hours, real)
        finally:
            service.stop()


def main() -> None:
    """Measure all variants at the same time and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--real", action="store_true")
    parser.add_argument(
        "--only", default="", help="variants whose name has this, and the old server"
    )
    given = parser.parse_args()
    chosen = [v for v in VARIANTS if given.only in v.name or v is VARIANTS[0]]
    if given.real:
        # The kernel has one such setting for all.
        chosen = [v for v in chosen if v.dirty_sec == DIRTY_SEC]
    results: dict[str, tuple[int, int]] = {}

    def note(variant: Variant, folder: Path) -> None:
        results[variant.name] = measure(variant, folder, given.hours, given.real)

    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        threads = [
            threading.Thread(target=partial(note, variant, Path(folder) / str(number)))
            for number, variant in enumerate(chosen)
        ]
        for thread in threads:
            thread.start()
            time.sleep(START_EVERY_SEC)
        for thread in threads:
            thread.join()
    print("| | readings | device bytes a reading | of the old server's |\n|---|---:|---:|---:|")
    _, least = results[chosen[0].name]
    for variant in chosen:
        if variant.name in results:
            count, size = results[variant.name]
            print(f"| {variant.name} | {count} | {size / count:,.0f} | {size / least:.2f} |")


if __name__ == "__main__":
    main()
