"""Measure the export: a backlog of millions, a night, nothing to do, the proof, the rebuild.

Run it from the checkout, on an idle machine, with the folder on a real disk (no tmpfs):

    .venv/bin/python benchmarks/export.py                    # 10 million rows, about 10 minutes
    .venv/bin/python benchmarks/export.py --rows 1000000     # a first look

It makes a database of four stations in a temporary folder beside this script and prints Markdown.
Each way writes the same rows of all stations into four files, in turn, round after round:
`sqlite3 -csv` with its shell, `csv.writer` over a bare cursor of the sqlite3 module (neither
syncs anything), and `flask10x export`, which also keeps the promises of reference/csv-format.md.
All read in the order of the ids. Wall and CPU seconds are medians; memory is the largest resident
set.
"""

import argparse
import csv
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.readings.stations import BUILT_IN, Station

FIRST_MS = 1_600_000_000_000
STEP_MS = 5_000
NIGHT_ROWS = 8_000
FILL_ROWS = 100_000
STORE = (
    "INSERT INTO readings (endpoint, received_at, co2, temperature, humidity, pressure,"
    " gas_resistance, analog_value, voltage, temperature_ds18b20, temperature_dht11,"
    " humidity_dht11) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
Reading = tuple[str | int | float | None, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a process took."""

    wall_sec: float
    cpu_sec: float
    memory_mb: float
    written_kb: float


def readings(count: int, start: int) -> Iterator[Reading]:
    """Rows as the four stations send them, in turn; some values are missing."""
    chance = random.Random(start)
    for number in range(start, start + count):
        at = FIRST_MS + number * STEP_MS + chance.randrange(1000)
        kind = number % 4
        bme = (
            chance.randint(1_500_000, 3_500_000) / 1e5,
            chance.randint(2_000_000, 8_000_000) / 1e5,
            chance.randint(9_800_000, 10_300_000) / 1e4,
        )
        if kind == 0:
            yield ("data", at, None, bme[0], None, bme[2], *[None] * 6)
        elif kind == 1:
            gas = float(chance.randint(5_000, 20_000))
            yield ("data2", at, float(chance.randint(400, 2000)), *bme, gas, *[None] * 5)
        elif kind == 2:
            yield ("data3", at, None, *bme, chance.uniform(1e4, 2e7), *[None] * 5)
        else:
            ds18b20 = None if chance.random() < 0.05 else chance.randint(-100, 350) / 10
            mq2 = (float(chance.randint(0, 65535)), chance.randint(0, 3300) / 1000)
            dht11 = (float(chance.randint(10, 35)), float(chance.randint(20, 90)))
            co2 = float(chance.randint(400, 2000))
            yield ("data4", at, co2, *[None] * 4, *mq2, ds18b20, *dht11)


def fill(database: Path, count: int, start: int) -> None:
    """Store that many more readings."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for first in range(start, start + count, FILL_ROWS):
            rows = readings(min(FILL_ROWS, start + count - first), first)
            connection.executemany(STORE, rows)
            connection.commit()


def select(station: Station) -> str:
    """The station's rows as both other ways read them: local time, in the order of ids."""
    columns = ", ".join(station.columns)
    time_text = "datetime(received_at / 1000, 'unixepoch', 'localtime')"
    return (
        f"SELECT {time_text} AS current_time, {columns} FROM readings"
        f" WHERE endpoint || '' = '{station.endpoint}' ORDER BY id"
    )


def with_shell(settings: Settings) -> None:
    """All files by `sqlite3 -csv`."""
    for station in BUILT_IN.all:
        with open(settings.csv_dir / station.csv_name, "wb") as file:
            database = settings.data_dir / "flask10x.sqlite3"
            command = ["sqlite3", "-readonly", "-csv", "-header", str(database), select(station)]
            subprocess.run(command, stdout=file, check=True)


def with_csv_writer(settings: Settings) -> None:
    """All files by csv.writer over a bare cursor."""
    with closing(sqlite3.connect(settings.data_dir / "flask10x.sqlite3")) as connection:
        for station in BUILT_IN.all:
            path = settings.csv_dir / station.csv_name
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(station.csv_header)
                writer.writerows(connection.execute(select(station)))


def with_flask10x(*arguments: str) -> Callable[[Settings], None]:
    """`flask10x export` with these arguments, in this process."""

    def run(_: Settings) -> None:
        from flask10x.commands.main import main  # noqa: PLC0415

        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        main(["export", *arguments])

    return run


def measure(settings: Settings, way: Callable[[Settings], None]) -> Run:
    """Run it in a process of its own."""
    os.sync()
    start = time.perf_counter()
    child = os.fork()
    if not child:
        status = 1
        try:
            way(settings)
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            Path(settings.data_dir / "io").write_text(Path("/proc/self/io").read_text())
            os._exit(status)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    assert status == 0, way
    lines = (settings.data_dir / "io").read_text().splitlines()
    written = int(next(line for line in lines if line.startswith("write_bytes")).split()[1])
    cpu = usage.ru_utime + usage.ru_stime
    return Run(wall, cpu, usage.ru_maxrss / 1024, written / 1024)


def row(name: str, runs: list[Run], base: list[Run] | None) -> str:
    """A line of the table; `base` is what the ratios are to."""
    wall, cpu = (median(getattr(r, field) for r in runs) for field in ("wall_sec", "cpu_sec"))
    ratios = ["", ""]
    if base:
        fields = ("wall_sec", "cpu_sec")
        ratios = [
            f"{median(ratio(r, b, f) for r, b in zip(runs, base, strict=True)):.2f}" for f in fields
        ]
    memory, written = max(r.memory_mb for r in runs), median(r.written_kb for r in runs)
    return (
        f"| {name} | {wall:.2f} | {ratios[0]} | {cpu:.2f} | {ratios[1]} | {memory:.0f}"
        f" | {written:,.0f} |"
    )


def ratio(run: Run, base: Run, name: str) -> float:
    """One run's figure to that of the base in the same round."""
    return float(getattr(run, name)) / float(getattr(base, name))


def begin_anew(settings: Settings) -> None:
    """No file is there and none was ever exported."""
    shutil.rmtree(settings.csv_dir, ignore_errors=True)
    settings.csv_dir.mkdir()
    with closing(sqlite3.connect(settings.data_dir / "flask10x.sqlite3")) as connection:
        connection.execute("DELETE FROM exports")
        connection.commit()


def compare(settings: Settings, rounds: int) -> None:
    """The whole backlog, three ways."""
    ways = {
        "`sqlite3 -csv`": with_shell,
        "`csv.writer` over a bare cursor": with_csv_writer,
        "`flask10x export`": with_flask10x(),
    }
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begin_anew(settings)
            runs[name].append(measure(settings, way))
    for name, found in runs.items():
        print(row(name, found, runs["`csv.writer` over a bare cursor"]), flush=True)


def follow_up(settings: Settings, rows: int, rounds: int) -> None:
    """What comes after: nights, nothing to do; the proof and the rebuild once."""
    nights = []
    for number in range(rounds):
        fill(settings.data_dir / "flask10x.sqlite3", NIGHT_ROWS, rows + number * NIGHT_ROWS)
        nights.append(measure(settings, with_flask10x()))
    print(row(f"a night: {NIGHT_ROWS // 4:,} rows a file", nights, None), flush=True)
    idle = [measure(settings, with_flask10x()) for _ in range(rounds)]
    print(row("nothing new", idle, None), flush=True)
    for argument in ("--verify", "--rebuild"):
        print(row(f"`{argument}`", [measure(settings, with_flask10x(argument))], None), flush=True)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        environ = {"FLASK10X_DATA_DIR": folder}
        os.environ.update(environ)
        settings = settings_module.load(environ)
        schema.upgrade(settings)
        fill(settings.data_dir / "flask10x.sqlite3", given.rows, 0)
        print(f"{given.rows:,} rows in 4 files, {given.rounds} rounds\n")
        print(
            "| way | wall s | of `csv.writer` | CPU s | of `csv.writer` | memory MB | written kB |"
        )
        print("|---|---:|---:|---:|---:|---:|---:|")
        compare(settings, given.rounds)
        follow_up(settings, given.rows, given.rounds)


if __name__ == "__main__":
    main()
