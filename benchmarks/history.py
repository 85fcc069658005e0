"""Measure the history on ten million readings: pages at any depth, and charts.

Run it from the checkout, on an idle machine, with the folder on a real disk (no tmpfs):

    .venv/bin/python -m benchmarks.history                    # 10 million rows, about 10 minutes
    .venv/bin/python -m benchmarks.history --rows 1000000     # a first look

It makes a database of four stations that send every 20 s, in a temporary folder beside this script,
and prints Markdown. Times are milliseconds from the checked question to the rows in Python: the
statement of the page, and the one that looks whether there is a page before. A page has 50 rows.
Each figure is the median of 60 pages that follow one another, near and far ones in turn:
milliseconds of the processor / of the clock (the slowest, of the processor). The database is in
the system's cache, so on an idle machine both are the same; on a busy one the clock also counts
the others. Beside them stands, in the same run, the usual way, by the processor: the same
statement with OFFSET instead of a cursor, and a GROUP BY over the readings by the bare sqlite3
module.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from benchmarks.bench.filled import STEP_MS, fill
from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.cursors import Cursor
from flask10x.database.dialects import last_id
from flask10x.database.engine import Database
from flask10x.history import charts, pages, rollup_check, rollups, search
from flask10x.history.charts import Chart
from flask10x.history.pages import HistoryPage
from flask10x.history.parameters import JSON, SERIES, View, parse_query
from flask10x.history.query import Query
from flask10x.history.statements import (
    PageShape,
    kind_of_end,
    page_statement,
    parameters_of,
    statement_key,
)
from flask10x.readings.stations import BUILT_IN

ZONE = "Asia/Tokyo"
FIRST_MS = 1_600_000_000_000
DAY_MS = 86_400_000
PAGE_ROWS = 50
# Pages that are followed from where a measurement begins.
PAGES = 60
RARE_PAGES, PLAIN_PAGES = 20, 2
CHARTS = 9
# What four stations send in an hour.
HOUR_ROWS = 720
NAMES = ("co2", "temperature", "humidity", "pressure", "gas_resistance")


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of the processor and of the clock."""

    cpu_ms: float
    clock_ms: float


def timed(action: Callable[[], object]) -> Took:
    """What it takes."""
    cpu, clock = time.process_time(), time.perf_counter()
    action()
    return Took((time.process_time() - cpu) * 1000, (time.perf_counter() - clock) * 1000)


def cpu_of(times: list[Took]) -> float:
    """The median of the processor's milliseconds."""
    return median(took.cpu_ms for took in times)


def shown(times: list[Took]) -> str:
    """Both medians, and the slowest by the processor in brackets."""
    slowest = max(took.cpu_ms for took in times)
    clock = median(took.clock_ms for took in times)
    return f"{cpu_of(times):.2f} / {clock:.2f} ({slowest:.1f})"


class History:
    """The database, asked as the pages ask it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database

    def ask(self, text: str, view: View, **more: object) -> Query:
        """A checked question."""
        pairs = parse_qsl(text) + [(name, str(value)) for name, value in more.items() if value]
        return parse_query(pairs, self._settings, time.time_ns() // 1_000_000, view)

    def follow(self, text: str, far: Cursor) -> tuple[list[Took], list[Took]]:
        """What the first pages take, and those from a far cursor on; in turn, page by page."""
        times: tuple[list[Took], list[Took]] = ([], [])
        cursors: list[Cursor | None] = [None, far]
        for _ in range(PAGES + 1):
            for place, cursor in enumerate(cursors):
                query = self.ask(text, JSON, order="desc", limit=PAGE_ROWS, cursor=cursor)
                found: list[HistoryPage] = []
                times[place].append(timed(lambda: found.append(self._page(query))))  # noqa: B023
                cursors[place] = found[0].next or cursor
        return times[0][1:], times[1][1:]

    def _page(self, query: Query) -> HistoryPage:
        with self._database.reader.begin() as connection:
            return pages.page(connection, query)

    def by_offset(self, text: str, page: int) -> tuple[Took, Cursor]:
        """How long the page takes with OFFSET, and the cursor at which it begins."""
        query = self.ask(text, JSON, order="desc")
        branches, filters, values = statement_key(query)
        shape = PageShape(
            branches=branches,
            filters=filters,
            low=kind_of_end(query.since),
            high=kind_of_end(query.until),
            newest_first=True,
        )
        statement = page_statement(shape).offset(page * PAGE_ROWS - 1)
        values |= parameters_of("low", query.since) | parameters_of("high", query.until)

        with self._database.reader.begin() as connection:
            rows: list[Any] = []
            ends = values | {"rows": PAGE_ROWS + 1}
            took = timed(lambda: rows.extend(connection.execute(statement, ends)))
        return took, Cursor("before", rows[0].received_at, rows[0].id)

    def first_pages(self, text: str, count: int) -> list[Took]:
        """What pages from the newest on take, and anew after the last; the first try left out."""
        times, cursor = [], None
        for _ in range(count + 1):
            query = self.ask(text, JSON, order="desc", limit=PAGE_ROWS, cursor=cursor)
            found: list[HistoryPage] = []
            times.append(timed(lambda: found.append(self._page(query))))  # noqa: B023
            cursor = found[0].next
        return times[1:]

    def chart(self, text: str, *, rolled_up: bool) -> tuple[list[Took], int]:
        """How long the chart takes, and its most buckets in a line."""
        query = self.ask(text, SERIES)
        most_behind = charts.MOST_ROWS_BEHIND
        charts.MOST_ROWS_BEHIND = most_behind if rolled_up else -1
        times, buckets = [], 0
        for _ in range(CHARTS + 1 if rolled_up else 3):
            with self._database.reader.begin() as connection:
                found: list[Chart] = []
                times.append(timed(lambda: found.append(charts.chart(connection, query))))  # noqa: B023
            buckets = max(len(line.buckets) for line in found[0].lines)
        charts.MOST_ROWS_BEHIND = most_behind
        return times[1:], buckets


def compare_pages(history: History, rows: int) -> None:
    """Pages near the newest reading and far from it."""
    middle = FIRST_MS + rows * STEP_MS // 2
    inside = f"from={iso(middle - rows * STEP_MS // 3)}&to={iso(middle + rows * STEP_MS // 3)}"
    half = rows // PAGE_ROWS // 2
    questions = [
        ("all stations", "", half),
        ("one station", "endpoint=data2", half // 3),
        ("two thirds of the time, all stations", inside, half),
        ("`data2`, two thirds of the time", f"endpoint=data2&{inside}", half // 4),
        ("`co2__gte=1000`, which 6 in 10 match", "endpoint=data2&co2__gte=1000", half // 4),
        ("`incomplete=1`, which 1 in 20 match", "endpoint=data4&incomplete=1", half // 80),
        ("`co2__gte=1990`, which 1 in 160 match", "endpoint=data2&co2__gte=1990", half // 640),
    ]
    print("| question | page 1 | page | by cursor | ratio | by OFFSET |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, text, page in questions:
        offset, cursor = history.by_offset(text, page)
        near, far = history.follow(text, cursor)
        ratio = cpu_of(far) / cpu_of(near)
        print(
            f"| {name} | {shown(near)} | {page:,} | {shown(far)} | {ratio:.2f}"
            f" | {offset.cpu_ms:,.0f} |",
            flush=True,
        )


RARE = (
    ("`co2__gte=1000`, 6 in 10 match", "endpoint=data2&co2__gte=1000"),
    ("`incomplete=1`, 1 in 20", "endpoint=data4&incomplete=1"),
    ("`co2__gte=1990`, 1 in 160", "endpoint=data2&co2__gte=1990"),
    ("the same, all stations", "co2__gte=1990"),
    ("`gas_resistance__gte=19997`, 1 in 5,000", "endpoint=data2&gas_resistance__gte=19997"),
    ("the same, all stations", "gas_resistance__gte=19997"),
    ("`co2__gt=1000000`, none", "endpoint=data2&co2__gt=1000000"),
    ("the same, all stations", "co2__gt=1000000"),
    ("`pressure__gte=1029.99`, 1 in 5,000 of three stations", "pressure__gte=1029.99"),
    ("`incomplete=1`, none", "endpoint=data2&incomplete=1"),
    (
        "`incomplete=1` of two measurements, none",
        "endpoint=data4&incomplete=1&measurement=voltage&measurement=analog_value",
    ),
    (
        "two conditions that hardly ever meet",
        "endpoint=data2&co2__gt=1990&gas_resistance__gte=19997",
    ),
    (
        "two that each hold in most hours and hardly ever meet, to the end",
        "endpoint=data2&co2__gt=1990&gas_resistance__gte=19900",
    ),
)


def compare_rare(history: History) -> None:
    """Filters with and without the hours that are skipped; no search ends early."""
    print("\n| filter | skipping hours | reading all |")
    print("|---|---:|---:|")
    for name, text in RARE:
        skipping = history.first_pages(text, RARE_PAGES)
        most_behind, search.MOST_ROWS_BEHIND = search.MOST_ROWS_BEHIND, -1
        plain_pages = history.first_pages(text, PLAIN_PAGES)
        search.MOST_ROWS_BEHIND = most_behind
        print(f"| {name} | {shown(skipping)} | {shown(plain_pages)} |", flush=True)


def iso(ms: int) -> str:
    """A time as the query string takes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000))


def compare_charts(history: History, database: Database, rows: int) -> None:
    """Lines of a chart, from roll-ups, from the readings, and by a plain GROUP BY."""
    last = FIRST_MS + rows * STEP_MS
    print("\n| chart of `data2` | buckets | from roll-ups | from readings | plain GROUP BY |")
    print("|---|---:|---:|---:|---:|")
    for days in (365, 60, 1):
        first = last - days * DAY_MS
        for name, chosen, columns in (
            ("all five measurements", "", NAMES),
            ("`co2`", "&measurement=co2", ("co2",)),
        ):
            text = f"endpoint=data2&from={iso(first)}&to={iso(last)}{chosen}"
            rolled, buckets = history.chart(text, rolled_up=True)
            raw, _ = history.chart(text, rolled_up=False)
            naive = plain(database.path, first, last, columns)
            print(
                f"| {days} days, {name} | {buckets} | {shown(rolled) if days > 25 else '–'}"
                f" | {shown(raw)} | {naive.cpu_ms:,.0f} |",
                flush=True,
            )


def plain(path: Path, first: int, last: int, columns: tuple[str, ...]) -> Took:
    """One GROUP BY over the readings into 600 buckets."""
    sums = ", ".join(f"count({c}), avg({c}), min({c}), max({c})" for c in columns)
    statement = (
        f"SELECT received_at / ? AS bucket, {sums} FROM readings"
        " WHERE endpoint = 'data2' AND received_at BETWEEN ? AND ? GROUP BY bucket"
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA temp_store = MEMORY")
        values = ((last - first) // 600 + 1, first, last)
        return timed(lambda: connection.execute(statement, values).fetchall())


def written_bytes() -> int:
    """What this process has sent to the disk so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def checkpoint(path: Path) -> None:
    """Empty the WAL."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def rebuilt(database: Database, rows: int) -> str:
    """What it takes to make all roll-ups, and how much they are."""
    took = timed(lambda: [*rollup_check.rebuild(BUILT_IN, database, ZoneInfo(ZONE))])
    with database.reader.begin() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM rollups").scalar_one()
        size = connection.exec_driver_sql(
            "SELECT sum(pgsize) FROM dbstat WHERE name = 'rollups'"
        ).scalar_one()
    total = database.path.stat().st_size
    return (
        f"All roll-ups anew: {took.cpu_ms / 1000:.0f} s for {rows:,} readings; {count:,} rows,"
        f" {size / 1e6:.1f} MB of the database's {total / 1e6:,.0f} MB."
    )


def what_rollups_cost(database: Database, rows: int) -> str:
    """The write lock and the bytes on the disk of each hour's piece, for a day."""
    held: list[Took] = []
    written = []

    def save(to: Database, change: rollups.Change) -> None:
        held.append(timed(lambda: rollups.save_at_once(to, change)))

    for number in range(24):
        fill(database.path, HOUR_ROWS, FIRST_MS, rows + number * HOUR_ROWS)
        checkpoint(database.path)
        before = written_bytes()
        rollups.follow(BUILT_IN, database, save)
        checkpoint(database.path)
        written.append(written_bytes() - before)
    return (
        f"\nAn hour of four stations: the write lock for {shown(held)} ms;"
        f" {median(written) / 1000:,.0f} kB to the disk, a checkpoint of its own included,"
        f" {sum(written) / 1000:,.0f} kB a day."
    )


def measure(settings: Settings, rows: int) -> None:
    """All tables, from a database that is filled if it is new."""
    schema.upgrade(settings)
    database = Database(settings)
    with database.reader.begin() as connection:
        there = last_id(connection)
    fill(database.path, rows - there, FIRST_MS, there)
    print(f"{rows:,} readings of 4 stations, SQLite {sqlite3.sqlite_version}\n", flush=True)
    history = History(settings, database)
    print(f"{rebuilt(database, rows)}\n", flush=True)
    compare_pages(history, rows)
    compare_rare(history)
    compare_charts(history, database, rows)
    print(what_rollups_cost(database, rows))
    database.close()


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", help="of a database to make, or to measure again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        place = {"FLASK10X_DATA_DIR": given.folder or folder, "FLASK10X_TIMEZONE": ZONE}
        measure(settings_module.load(place), given.rows)


if __name__ == "__main__":
    main()
