"""Compare two ways to store the measurements of added stations: real columns, or one JSON column.

Run it from the checkout, with the folder on a real disk (no tmpfs):

    python3 benchmarks/station_columns.py              # about 3 minutes
    python3 benchmarks/station_columns.py --added 40   # with so many new columns

The home has the four built-in stations and six added ones, which bring new columns (12 unless told)
and use three of the old ones. Both tables have the same readings, 512-byte pages and the index of
`readings`. A measurement of an old column is REAL in both; one of a new column is REAL in `columns`
and a member of the object in `more` in `json`. Times are medians of pairs, each pair one after the
other; bytes are exact. It prints one Markdown table. Standard library only.
"""

import argparse
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

ROWS = 300_000
PAIRS = 7
COMMITS = 400
FIRST_MS = 1_760_000_000_000
STEP_MS = 5_000
HOUR_MS = 3_600_000
OLD = (
    *("co2", "temperature", "humidity", "pressure", "gas_resistance", "analog_value", "voltage"),
    *("temperature_ds18b20", "temperature_dht11", "humidity_dht11"),
)
BUILT_IN = {
    "data": ("pressure", "temperature"),
    "data2": ("co2", "temperature", "humidity", "pressure", "gas_resistance"),
    "data3": ("temperature", "humidity", "pressure", "gas_resistance"),
    "data4": ("co2", "analog_value", "voltage", *OLD[7:]),
}
# How often each sends, in turns: the built-in ones as they do.
TURNS = ("data", "data2", "data3", "data4", "data4", "data4")
ADDED = 6
SHARED = ("temperature", "humidity", "voltage")

Values = dict[str, float]


class Layout:
    """One table with all readings, in a file of its own."""

    def __init__(self, folder: Path, name: str, new: Sequence[str]) -> None:
        self.name, self.new = name, new
        self.path = folder / f"{name}.sqlite3"
        self.database = sqlite3.connect(self.path, isolation_level=None)
        for pragma in ("page_size=512", "journal_mode=WAL", "synchronous=FULL"):
            self.database.execute(f"PRAGMA {pragma}")
        columns = "".join(f", {column} REAL" for column in OLD)
        self.database.execute(
            "CREATE TABLE readings (id INTEGER PRIMARY KEY AUTOINCREMENT, endpoint TEXT NOT NULL,"
            f" received_at INTEGER NOT NULL{columns}) STRICT"
        )
        self.database.execute("CREATE INDEX by_time ON readings (endpoint, received_at)")
        extra = [f"{column} REAL" for column in new] if name == "columns" else ["more TEXT"]
        for column in extra:
            self.database.execute(f"ALTER TABLE readings ADD COLUMN {column}")
        names = [*OLD, *(new if name == "columns" else ("more",))]
        places = ", ".join("?" * (len(names) + 2))
        self.insert = (
            f"INSERT INTO readings (endpoint, received_at, {', '.join(names)}) VALUES ({places})"
        )

    def add_column(self, name: str) -> None:
        """Add a column for numbers."""
        self.database.execute(f"ALTER TABLE readings ADD COLUMN {name} REAL")

    def row(self, endpoint: str, at_ms: int, values: Values) -> list[object]:
        """The parameters of `insert`."""
        row: list[object] = [endpoint, at_ms, *map(values.get, OLD)]
        if self.name == "columns":
            return [*row, *map(values.get, self.new)]
        more = {name: value for name, value in values.items() if name not in OLD}
        return [*row, json.dumps(more, separators=(",", ":")) if more else None]

    def value(self, column: str) -> str:
        """The SQL that stands for a measurement."""
        if self.name == "columns" or column in OLD:
            return column
        return f"json_extract(more, '$.{column}')"

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """What a statement answers."""
        return self.database.execute(statement).fetchall()

    def fill(self, readings: Sequence[tuple[str, int, Values]]) -> float:
        """Insert all in batches of 500; the seconds it takes, the rows made before."""
        rows = [self.row(*reading) for reading in readings]
        start_sec = time.perf_counter()
        for first in range(0, len(rows), 500):
            self.database.execute("BEGIN IMMEDIATE")
            self.database.executemany(self.insert, rows[first : first + 500])
            self.database.execute("COMMIT")
        return time.perf_counter() - start_sec

    def wal_bytes(self, readings: Sequence[tuple[str, int, Values]]) -> float:
        """Bytes that a lone commit writes into the WAL, on average."""
        self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.database.execute("PRAGMA wal_autocheckpoint=0")
        for reading in readings:
            self.database.execute(self.insert, self.row(*reading))
        size_bytes = self.path.with_name(f"{self.path.name}-wal").stat().st_size
        self.database.execute("PRAGMA wal_autocheckpoint=1000")
        self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return size_bytes / len(readings)


def home(new: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Each station's columns; the new ones are dealt out among the added stations."""
    added = {
        f"added{number}": (*SHARED, *new[number::ADDED]) for number in range(min(ADDED, len(new)))
    }
    return BUILT_IN | added


def made(stations: dict[str, tuple[str, ...]], rows: int) -> Iterator[tuple[str, int, Values]]:
    """Readings as they come, values with the digits that sensors send."""
    turns = (*TURNS, *(name for name in stations if name not in BUILT_IN))
    chance = random.Random(1)
    for number in range(rows):
        endpoint = turns[number % len(turns)]
        values = {column: round(chance.uniform(0, 1000), 2) for column in stations[endpoint]}
        yield endpoint, FIRST_MS + number * STEP_MS, values


def asked(layout: Layout, endpoint: str, column: str) -> dict[str, Callable[[], object]]:
    """What the history asks of one measurement of a station."""
    value, last_ms = layout.value(column), FIRST_MS + ROWS * STEP_MS
    of_station = f"FROM readings WHERE endpoint = '{endpoint}'"
    statements = {
        "filter, all rows of a station": f"SELECT id {of_station} AND {value} > 999 LIMIT 100000",
        "chart of a week, hourly": (
            f"SELECT received_at / {HOUR_MS}, avg({value}), min({value}), max({value})"
            f" {of_station} AND received_at >= {last_ms - 7 * 24 * HOUR_MS} GROUP BY 1"
        ),
        "roll-up of an hour": (
            f"SELECT count({value}), total({value}), min({value}), max({value})"
            f" {of_station} AND received_at BETWEEN {last_ms - HOUR_MS} AND {last_ms}"
        ),
        "newest 100 rows": f"SELECT id, {value} {of_station} ORDER BY received_at DESC LIMIT 100",
    }
    return {name: partial(layout.rows, sql) for name, sql in statements.items()}


def timed(action: Callable[[], object]) -> float:
    """Milliseconds."""
    start_sec = time.perf_counter()
    action()
    return (time.perf_counter() - start_sec) * 1000


def lines(new: Sequence[str], folder: Path) -> Iterator[str]:
    """The rows of the Markdown table."""
    stations = home(new)
    readings = list(made(stations, ROWS + 2 * COMMITS))
    before, after = readings[:ROWS], readings[ROWS:]
    layouts = [Layout(folder, name, new) for name in ("columns", "json")]
    filled_sec = [layout.fill(before) for layout in layouts]
    yield line("batches of 500, s", filled_sec, "{:.2f}")
    wal = [layout.wal_bytes(after) for layout in layouts]
    yield line("a lone commit, bytes of WAL", wal, "{:,.0f}")
    size = [layout.path.stat().st_size / (ROWS + len(after)) for layout in layouts]
    yield line("file, bytes a reading", size, "{:.1f}")
    pairs = [asked(layout, "added0", new[0]) for layout in layouts]
    old = [asked(layout, "data2", "co2") for layout in layouts]
    for what, kinds in (("new", pairs), ("old", old)):
        for name in kinds[0]:
            took = [[timed(kind[name]) for kind in kinds] for _ in range(PAIRS)]
            middle = [median(times) for times in zip(*took, strict=True)]
            yield line(f"{name}, {what} measurement, ms", middle, "{:.2f}")
    # `readings` is a STRICT table, so SQLite reads all of it for each column that is added.
    added_ms = [timed(partial(layouts[0].add_column, f"one_more{n}")) for n in range(PAIRS)]
    yield f"| ADD COLUMN, ms a million rows | {median(added_ms) * 1e6 / ROWS:,.0f} | – | – |"
    for layout in layouts:
        layout.database.close()


def line(what: str, both: Sequence[float], form: str) -> str:
    """One row: what, both figures, and the second as a multiple of the first."""
    first, second = both
    return f"| {what} | {form.format(first)} | {form.format(second)} | {second / first:.2f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--added", type=int, default=12, help="new columns of the added stations")
    new = [f"measured_{number:02d}" for number in range(parser.parse_args().added)]
    here = Path(__file__).parent
    print(f"| {len(new)} new columns, {len(home(new))} stations | columns | json | json/columns |")
    print("|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir=here) as folder:
        for row in lines(new, Path(folder)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
