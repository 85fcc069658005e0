"""Measure `flask10x import` against what nobody can do without: reading and inserting.

Run it from the checkout, with the Python that Flask10X is installed for, on an idle machine:

    .venv/bin/python benchmarks/import_csv.py                      # 1,000,000 rows, 3 rounds
    .venv/bin/python benchmarks/import_csv.py --rows 10000000 --rounds 1

A file of the bedroom's shape is made by repeating ../shared/real/BedRoomEnv.csv with its times
going on, then each round runs, one after the other and each in a process of its own:

- `csv.reader`: over the whole file, and nothing else;
- `executemany`: the bare sqlite3 module puts already parsed rows into the same table with the
  same pragmas, 5,000 a transaction; only executemany and COMMIT are timed, not the parsing;
- `flask10x import` into an empty database: the whole command, its start included;
- `flask10x import` again: every row is there already.

It prints one Markdown table with the median of the rounds. "of the floor" is the figure against
that of csv.reader and executemany together in the same round; CPU seconds are less moved than
seconds by what else the machine does. Memory is the most that the process ever had (its resident
set). The files live in a temporary folder beside this script. Linux only.
"""

import argparse
import csv
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from pathlib import Path
from statistics import median

CHECKOUT = Path(__file__).resolve().parents[1]
REAL = CHECKOUT.parent / "shared" / "real" / "BedRoomEnv.csv"
ROWS_A_TRANSACTION = 5_000
# Parsed in advance: if each transaction were parsed just before it, the disk would do its work
# meanwhile, outside of the time that is taken.
ROWS_IN_MEMORY = 1_000_000
FORMAT = "%Y-%m-%d %H:%M:%S"
INSERT = """INSERT INTO readings (endpoint, received_at, co2, temperature, humidity, pressure,
    gas_resistance) VALUES (?, ?, ?, ?, ?, ?, ?)"""
PRAGMAS = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 7462;"
MEGABYTE = 1_000_000

Row = tuple[str | int | float, ...]

TITLES = "| what | s (low-high) | rows/s | of the floor | CPU s | of the floor | memory MB |"


@dataclass(frozen=True)
class Run:
    """One process: how long its work took, on the clock and of the CPU, and its memory."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def make_file(path: Path, rows: int) -> None:
    """Write so many rows with the values and the pace of the real file."""
    header, *lines = REAL.read_text(encoding="utf-8").splitlines()
    cells = [line.split(",", 1) for line in lines]
    times = [datetime.strptime(when, FORMAT) for when, _ in cells]  # noqa: DTZ007
    period = times[-1] - times[0] + timedelta(seconds=30)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"{header}\r\n")
        for start in range(0, rows, len(cells)):
            later = start // len(cells) * period
            file.writelines(
                f"{when + later:{FORMAT}},{rest}\r\n"
                for when, (_, rest) in islice(zip(times, cells, strict=True), rows - start)
            )


def parsed(path: Path) -> Iterator[list[Row]]:
    """Yield the rows ready to be inserted, a million at once."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        while chunk := [row_of(cells) for cells in islice(reader, ROWS_IN_MEMORY)]:
            yield chunk


def row_of(cells: list[str]) -> Row:
    """Return a line of the file as parameters of INSERT."""
    received_at = int(datetime.fromisoformat(cells[0]).timestamp()) * 1000
    return ("data2", received_at, *map(float, cells[1:]))


def clocks() -> tuple[float, float]:
    """Return the seconds on the clock and those of this process's CPU."""
    return time.perf_counter(), time.process_time()


def read_only(path: Path) -> tuple[float, float]:
    """Return the seconds that csv.reader takes for the file."""
    before = clocks()
    with path.open(encoding="utf-8", newline="") as file:
        for _ in csv.reader(file):
            pass
    return since(before)


def since(before: tuple[float, float]) -> tuple[float, float]:
    """Return the seconds that have passed on both clocks."""
    now = clocks()
    return now[0] - before[0], now[1] - before[1]


def insert_only(path: Path, database: Path) -> tuple[float, float]:
    """Return the seconds that executemany and COMMIT take for the rows of the file."""
    spent = []
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.executescript(PRAGMAS)
        for rows in parsed(path):
            before = clocks()
            for first in range(0, len(rows), ROWS_A_TRANSACTION):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(INSERT, rows[first : first + ROWS_A_TRANSACTION])
                connection.execute("COMMIT")
            spent.append(since(before))
    return sum(clock for clock, _ in spent), sum(cpu for _, cpu in spent)


def measure(arguments: list[str], folder: Path, *, inside: bool) -> Run:
    """Run a process; its seconds are those it prints (`inside`) or those until it ends."""
    environment = os.environ | {"FLASK10X_DATA_DIR": str(folder), "FLASK10X_TIMEZONE": "Asia/Tokyo"}
    start = time.perf_counter()
    process = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    spent = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    if status:
        sys.exit(f"{arguments} failed")
    if inside:
        clock, cpu = output.split()
        spent = float(clock), float(cpu)
    return Run(*spent, usage.ru_maxrss * 1024 / MEGABYTE)


def one_round(path: Path, folder: Path) -> dict[str, Run]:
    """Run everything once, on new databases."""
    myself = [sys.executable, __file__, "--file", str(path)]
    command = [sys.executable, "-m", "flask10x"]
    runs = {"csv.reader": measure([*myself, "--part", "read"], folder, inside=True)}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        measure([*command, "migrate"], Path(place), inside=False)
        part = [*myself, "--part", "insert"]
        runs["executemany"] = measure(part, Path(place), inside=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        measure([*command, "migrate"], Path(place), inside=False)
        for name in ("flask10x import", "flask10x import, again"):
            runs[name] = measure([*command, "import", str(path)], Path(place), inside=False)
    return runs


def table_row(name: str, rounds: list[dict[str, Run]], rows: int) -> str:
    """Format one thing that was measured as a row of the Markdown table."""
    seconds = sorted(found[name].seconds for found in rounds)
    cells = [
        name,
        f"{median(seconds):.2f} ({seconds[0]:.2f}-{seconds[-1]:.2f})",
        f"{rows / median(seconds):,.0f}",
        f"{of_the_floor(name, rounds, attrgetter('seconds')):.2f}",
        f"{median(found[name].cpu_seconds for found in rounds):.2f}",
        f"{of_the_floor(name, rounds, attrgetter('cpu_seconds')):.2f}",
        f"{max(found[name].megabytes for found in rounds):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def of_the_floor(name: str, rounds: list[dict[str, Run]], figure: Callable[[Run], float]) -> float:
    """Return the median of a figure against that of csv.reader and executemany together."""
    return median(
        figure(found[name]) / (figure(found["csv.reader"]) + figure(found["executemany"]))
        for found in rounds
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast old CSV files are imported.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("read", "insert"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "read":
        print(*read_only(options.file))
    elif options.part == "insert":
        database = Path(os.environ["FLASK10X_DATA_DIR"]) / "flask10x.sqlite3"
        print(*insert_only(options.file, database))
    else:
        compare(options.rows, options.rounds)


def compare(rows: int, rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="import_csv_", dir=Path(__file__).parent) as name:
        folder = Path(name)
        path = folder / "BedRoomEnv.csv"
        make_file(path, rows)
        print(f"{rows:,} rows, {path.stat().st_size / MEGABYTE:.0f} MB, {rounds} rounds\n")
        print(TITLES + "\n|---" + "|---:" * (TITLES.count("|") - 2) + "|", flush=True)
        found = [one_round(path, folder) for _ in range(rounds)]
    for what in found[0]:
        print(table_row(what, found, rows))


if __name__ == "__main__":
    main()
