"""Measure how many bytes reach the card when one reading is committed alone.

Run it from the checkout, on an idle machine, with the folder on a real disk (no tmpfs):

    python3 benchmarks/card_bytes.py                   # all table shapes, about 4 minutes
    python3 benchmarks/card_bytes.py --only "page 512"  # the baseline and shapes named like that

It prints one Markdown table: first the old way (open a CSV file, append a line, fsync, close),
then each shape of the `readings` table, holding 200,000 rows, in WAL mode with synchronous=FULL.
Bytes and writes are those of the block device under this folder (so the file system's journal
counts too), less what the idle machine writes. A run is whole checkpoint cycles, at least 3 and
at least 3,000 commits, after 3 cycles of warm-up; figures are medians of 3 runs. The files live
in a temporary folder beside this script. Standard library only; Linux only.
"""

import argparse
import csv
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice, product
from pathlib import Path
from statistics import median

PREFILL_ROWS = 200_000
LEAST_COMMITS = 3_000
LEAST_CYCLES = 3
RUNS = 3
BATCH_ROWS = 100
BATCHES = 500
IDLE_SECONDS = 2.0
SECTOR_BYTES = 512
WAL_HEADER_BYTES = 32
WAL_FRAME_HEADER_BYTES = 24
SPARE_FRAMES = 16  # keeps the WAL below journal_size_limit, so that it is never cut
MEGABYTE = 1024 * 1024
FIRST_TIME_MS = 1_760_000_000_000
STEP_MS = 5_000

Reading = tuple[str | int | float | None, ...]

COLUMNS = (
    "endpoint, received_at, co2, temperature, humidity, pressure, gas_resistance,"
    " analog_value, voltage, temperature_ds18b20, temperature_dht11, humidity_dht11"
)
PLACES = ", ".join("?" * 12)
INSERT = f"INSERT INTO readings ({COLUMNS}) VALUES ({PLACES})"
INSERT_OWN_ID = (
    f"INSERT INTO readings (id, {COLUMNS})"
    f" VALUES ((SELECT coalesce(max(id), 0) + 1 FROM readings), {PLACES})"
)
TABLE = """CREATE TABLE readings (
    id INTEGER PRIMARY KEY {}, endpoint TEXT NOT NULL, received_at INTEGER NOT NULL,
    co2 REAL, temperature REAL, humidity REAL, pressure REAL, gas_resistance REAL,
    analog_value REAL, voltage REAL, temperature_ds18b20 REAL, temperature_dht11 REAL,
    humidity_dht11 REAL) STRICT"""
INDEX = "CREATE INDEX readings_by_time ON readings (endpoint, received_at)"
KEYSET_PAGE = """SELECT * FROM readings WHERE endpoint = 'data2' AND (received_at, id) < (?, ?)
    ORDER BY received_at DESC, id DESC LIMIT 100"""
FULL_SCAN = "SELECT count(*), avg(temperature) FROM readings"
TITLES = (
    "| shape | device bytes/row (low-high) | of legacy | write_bytes/row | device writes/row"
    " | commits / checkpoints a run | lone rows/s | rows/s by 100 | file bytes/row"
    " | newest 100 ms | full scan ms |"
)


@dataclass(frozen=True)
class Shape:
    """One way to lay out the table and to run its WAL."""

    page_size: int
    id_rule: str  # "autoincrement", "plain" or "writer"
    index: bool
    wal_bytes: int

    @property
    def name(self) -> str:
        index = "index" if self.index else "no index"
        wal = self.wal_bytes // MEGABYTE
        return f"page {self.page_size}, {self.id_rule}, {index}, WAL {wal} MB"

    @property
    def insert(self) -> str:
        return INSERT_OWN_ID if self.id_rule == "writer" else INSERT


@dataclass(frozen=True)
class LoneRun:
    """What one run of lone commits wrote, for each row."""

    rows: int
    cycles: int
    rows_per_second: float
    device_bytes: float
    device_writes: float
    process_bytes: float


def readings(seed: int = 1) -> Iterator[Reading]:
    """Yield endless readings, the four stations in turn, with values as sensors send them."""
    rng = random.Random(seed)
    received_at = FIRST_TIME_MS

    def near(middle: float, spread: float, digits: int = 2) -> float:
        return round(rng.gauss(middle, spread), digits)

    while True:
        air = (near(21, 4), near(50, 8), near(1010, 6), near(82_000, 9_000))
        nothing = (None,) * 5
        four = (near(400, 40, 0), near(1.3, 0.1), near(22, 3, 3), near(22, 3, 1), near(48, 6, 0))
        yield ("data", received_at, None, air[0], None, air[2], None, *nothing)
        yield ("data2", received_at + STEP_MS, near(650, 90, 0), *air, *nothing)
        yield ("data3", received_at + 2 * STEP_MS, None, near(9, 6), *air[1:], *nothing)
        yield ("data4", received_at + 3 * STEP_MS, near(700, 90, 0), *(None,) * 4, *four)
        received_at += 4 * STEP_MS


def counters(folder: Path) -> tuple[float, int, int, int]:
    """Return seconds, the device's bytes and writes, and this process's write_bytes so far."""
    device = folder.stat().st_dev
    stat = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
    lines = Path("/proc/self/io").read_text().splitlines()
    written = next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
    return time.monotonic(), int(stat[6]) * SECTOR_BYTES, int(stat[4]), written


def idle_rate(folder: Path) -> tuple[float, float]:
    """Return the bytes and writes a second that the device takes while nothing is measured."""
    os.sync()
    before = counters(folder)
    time.sleep(IDLE_SECONDS)
    seconds, size, writes, _ = (b - a for a, b in zip(before, counters(folder), strict=True))
    return size / seconds, writes / seconds


def measure(folder: Path, work: Callable[[], tuple[int, int]]) -> list[LoneRun]:
    """Run the work (it returns its rows and checkpoint cycles) and count what it wrote."""
    idle_size, idle_writes = idle_rate(folder)
    runs = []
    for _ in range(RUNS):
        before = counters(folder)
        rows, cycles = work()
        after = counters(folder)
        seconds, size, writes, own = (b - a for a, b in zip(before, after, strict=True))
        size, writes = size - idle_size * seconds, writes - idle_writes * seconds
        runs.append(LoneRun(rows, cycles, rows / seconds, size / rows, writes / rows, own / rows))
    return runs


def measure_legacy(folder: Path) -> tuple[list[LoneRun], list[str]]:
    """Measure the old way: one CSV file a station, opened and synced for each reading."""
    source = readings()

    def append_all() -> tuple[int, int]:
        for reading in islice(source, LEAST_COMMITS):
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            with (folder / f"{reading[0]}.csv").open("a", newline="") as file:
                csv.writer(file).writerow([stamp, *(v for v in reading[2:] if v is not None)])
                file.flush()
                os.fsync(file.fileno())
        return LEAST_COMMITS, 0

    append_all()
    return measure(folder, append_all), [""] * 4


def open_database(path: Path, shape: Shape) -> sqlite3.Connection:
    """Create the database of a shape, with its table and index and no rows."""
    database = sqlite3.connect(path, isolation_level=None)
    frames = (shape.wal_bytes - WAL_HEADER_BYTES) // (shape.page_size + WAL_FRAME_HEADER_BYTES)
    database.executescript(f"""
        PRAGMA page_size = {shape.page_size}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        PRAGMA journal_size_limit = {shape.wal_bytes};
        PRAGMA wal_autocheckpoint = {frames - SPARE_FRAMES};""")
    database.execute(TABLE.format("AUTOINCREMENT" if shape.id_rule == "autoincrement" else ""))
    if shape.index:
        database.execute(INDEX)
    return database


def commit_rows(database: sqlite3.Connection, statement: str, rows: list[Reading]) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.executemany(statement, rows)
    database.execute("COMMIT")


def commit_alone(
    database: sqlite3.Connection, shape: Shape, source: Iterator[Reading], wal: int, least: int
) -> tuple[int, int]:
    """Commit single readings for whole checkpoint cycles; return the commits and the cycles."""
    commits = cycles = 0
    latest = header = os.pread(wal, WAL_HEADER_BYTES, 0)  # changes when the WAL starts over
    while commits < least or cycles < LEAST_CYCLES or header == latest:
        latest = header
        database.execute("BEGIN IMMEDIATE")
        database.execute(shape.insert, next(source))
        database.execute("COMMIT")
        commits += 1
        header = os.pread(wal, WAL_HEADER_BYTES, 0)
        cycles += header != latest
    return commits, cycles


def batch_rate(database: sqlite3.Connection, shape: Shape, source: Iterator[Reading]) -> float:
    """Return the rows a second that commits of 100 rows reach."""
    rates = []
    for _ in range(RUNS):
        batches = [list(islice(source, BATCH_ROWS)) for _ in range(BATCHES)]
        start = time.perf_counter()
        for rows in batches:
            commit_rows(database, shape.insert, rows)
        rates.append(BATCHES * BATCH_ROWS / (time.perf_counter() - start))
    return median(rates)


def query_ms(database: sqlite3.Connection, sql: str, values: tuple[int, ...], times: int) -> float:
    """Return the median time of a query whose pages are already in memory."""
    spans = []
    for _ in range(times + 1):
        start = time.perf_counter()
        database.execute(sql, values).fetchall()
        spans.append((time.perf_counter() - start) * 1000)
    return median(spans[1:])


def measure_shape(folder: Path, shape: Shape) -> tuple[list[LoneRun], list[str]]:
    """Fill the table of one shape; return its lone runs and its other figures."""
    source = readings()
    path = folder / "card.sqlite3"
    with closing(open_database(path, shape)) as database:
        for _ in range(PREFILL_ROWS // 1000):
            commit_rows(database, shape.insert, list(islice(source, 1000)))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        disk_bytes = path.stat().st_size / PREFILL_ROWS
        end = FIRST_TIME_MS + PREFILL_ROWS * STEP_MS
        page_ms = query_ms(database, KEYSET_PAGE, (end, 0), 300 if shape.index else 5)
        scan_ms = query_ms(database, FULL_SCAN, (), 7)
        commit_rows(database, shape.insert, list(islice(source, 1)))
        with (folder / "card.sqlite3-wal").open("rb") as file:
            alone = partial(commit_alone, database, shape, source, file.fileno())
            alone(0)  # until the WAL is overwritten in place
            runs = measure(folder, partial(alone, LEAST_COMMITS))
        rate = batch_rate(database, shape, source)
    return runs, [f"{rate:.0f}", f"{disk_bytes:.1f}", f"{page_ms:.3f}", f"{scan_ms:.1f}"]


def all_shapes() -> list[Shape]:
    """Return the shapes in the order in which they are printed."""
    rules, small = ("autoincrement", "plain"), (512, 1024)
    medium = 4 * MEGABYTE
    shapes = [Shape(size, rule, True, medium) for size in (*small, 2048, 4096) for rule in rules]
    shapes += [Shape(size, "writer", True, medium) for size in small]
    shapes += [Shape(size, "plain", False, medium) for size in small]
    sizes = product(small, rules, (MEGABYTE, 16 * MEGABYTE))
    return shapes + [Shape(size, rule, True, wal) for size, rule, wal in sizes]


def table_row(name: str, runs: list[LoneRun], baseline: float, others: list[str]) -> str:
    """Format one measured shape as a row of the Markdown table."""
    spread = sorted(run.device_bytes for run in runs)
    cells = [
        name,
        f"{median(spread):.0f} ({spread[0]:.0f}-{spread[-1]:.0f})",
        f"{median(spread) / baseline:.2f}",
        f"{median(run.process_bytes for run in runs):.0f}",
        f"{median(run.device_writes for run in runs):.2f}",
        f"{median(run.rows for run in runs):.0f} / {median(run.cycles for run in runs):.0f}",
        f"{median(run.rows_per_second for run in runs):.0f}",
        *others,
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Bytes that reach the card for a lone reading.")
    parser.add_argument("--only", default="", help="measure only shapes whose name holds this")
    only = parser.parse_args().only
    print(TITLES + "\n|---" + "|---:" * (TITLES.count("|") - 2) + "|", flush=True)
    baseline = 0.0
    for shape in [None, *(shape for shape in all_shapes() if only in shape.name)]:
        name = shape.name if shape else "legacy CSV append"
        print(name, file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="card_bytes_", dir=Path(__file__).parent) as folder:
            place = Path(folder)
            runs, others = measure_shape(place, shape) if shape else measure_legacy(place)
        baseline = baseline or median(run.device_bytes for run in runs)
        print(table_row(name, runs, baseline, others), flush=True)


if __name__ == "__main__":
    main()
