"""Measure a year's charts over HTTP on ten million readings: with days, and with hours alone.

Run it from the checkout, on an idle machine, with the folder on a real disk (no tmpfs):

    .venv/bin/python -m benchmarks.year_charts /folder                    # 10 million rows
    .venv/bin/python -m benchmarks.year_charts /folder --rows 1000000     # a first look

It makes a database of four stations that send every 20 s, in the folder, once, and works on a copy.
The service runs as it is delivered. A figure is milliseconds from the question to the last byte of
the answer, over a connection that is kept: the median of 40, and the quickest; then what the
service's processes spend on one by the processor, the mean of the 40. On a busy machine only the
last two say something.
"""

import argparse
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from benchmarks.bench.filled import database_of
from benchmarks.bench.servers import cpu_sec, ours, workers_of
from flask10x.config import settings as settings_module
from flask10x.database import schema
from flask10x.database.engine import Database
from flask10x.history import days
from tests.e2e.service import Service

ZONE = "Asia/Tokyo"
TIMES = 40
# What a reader may wait for, in milliseconds.
ASKED = (
    ("one measurement", "&endpoint=data2&measurement=co2", 10),
    ("a station", "&endpoint=data2", 15),
    ("everything", "", 40),
)


def ask(connection: HTTPConnection, query: str) -> tuple[list[float], int]:
    """Milliseconds of each question, and the bytes of an answer."""
    times, size = [], 0
    for _ in range(TIMES):
        begin = time.perf_counter()
        connection.request("GET", f"/history/series?from=-365d{query}")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        size = len(body)
        times.append((time.perf_counter() - begin) * 1000)
    return times, size


def lines_of(service: Service, made_of: str) -> Iterator[str]:
    """A row of the table for each question."""
    # One connection stays with one worker, which knows the statements once it was asked.
    connection = HTTPConnection("127.0.0.1", service.port, timeout=120)
    for name, query, aim in ASKED:
        ask(connection, query)
        before = sum(cpu_sec(workers_of(service)))
        times, size = ask(connection, query)
        cpu = (sum(cpu_sec(workers_of(service))) - before) / TIMES * 1000
        yield (
            f"| {name} | {made_of} | {median(times):.1f} | {min(times):.1f} | {cpu:.1f} |"
            f" {size / 1000:,.0f} | {aim} |"
        )


def prepare(folder: Path, rows: int) -> Path:
    """A copy of the database; its folder."""
    data = folder / "year" / "data"
    shutil.rmtree(data.parent, ignore_errors=True)
    data.mkdir(parents=True)
    shutil.copyfile(database_of(folder, rows), data / "flask10x.sqlite3")
    schema.upgrade(settings_module.load({"FLASK10X_DATA_DIR": str(data)}))
    return data.parent


def make_days(folder: Path) -> None:
    """Make the days that there are none of."""
    place = {"FLASK10X_DATA_DIR": str(folder / "data"), "FLASK10X_TIMEZONE": ZONE}
    settings = settings_module.load(place)
    with closing(Database(settings)) as database:
        begin = time.process_time()
        while days.follow(settings.stations, database, settings.zone, Database.commit_change):
            pass
        took = time.process_time() - begin
        with database.reader.begin() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM rollup_days").scalar_one()
    print(f"| all days anew: {count:,} rows | | | | {took * 1000:,.0f} | | |")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    given = parser.parse_args()
    folder = prepare(given.folder, given.rows)
    print("| a year of | made of | median, ms | quickest | processor | kB | aim, ms |")
    print("|---|---|---:|---:|---:|---:|---:|")
    path = folder / "data" / "flask10x.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM rollup_zone")
    with ours(folder, timezone=ZONE, query_timeout_sec=60) as service:
        # The service looks for days to make a minute after its start.
        for made_of in ("hours", "days"):
            for line in lines_of(service, made_of):
                print(line, flush=True)
            if made_of == "hours":
                make_days(folder)


if __name__ == "__main__":
    main()
