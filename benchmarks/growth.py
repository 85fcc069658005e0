"""How cost grows with the number of readings: `make bench-growth`.

A database of each size is made by SQL and kept. A real service is started on it and asked one
thing at a time, by one client, so these are times without other load.
"""

import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from benchmarks import filled, load, servers
from benchmarks.memory import memory_mb
from benchmarks.results import Run
from benchmarks.servers import Bench
from flask10x.database.paths import WAL, beside

SIZES = (1_000_000, 10_000_000, 100_000_000)
COMMIT_SECONDS = 2
ASKED = 5
# Long enough that a slow query is timed and not broken off; the default is 2 s.
QUERY_TIMEOUT_SEC = 60
INSPECTED_WITHIN_SEC = 3600.0
# As many readings as fill a WAL of 4 MB a few times, each a commit of its own.
WAL_ROWS = 2_000
STORE = (
    "INSERT INTO readings (endpoint, received_at, co2, temperature, humidity, pressure,"
    " gas_resistance) VALUES ('data2', ?, 650.0, 25.1, 52.0, 1013.2, 12561247.0)"
)


def growth(bench: Bench) -> Iterator[Run]:
    """One run for each size, the smallest first; its side is the number of readings."""
    for size in (bench.rows,) if bench.rows else SIZES:
        made = filled.database_of(bench.folder, size)
        with bench.place() as place:
            database = place / "data" / "flask10x.sqlite3"
            database.parent.mkdir()
            # No copy: of the largest, one is enough. It grows by what is stored here.
            os.link(made, database)
            yield Run("growth", str(size), 0, _measured(place, database))


def _measured(place: Path, database: Path) -> dict[str, float]:
    values = {"file_mb": database.stat().st_size / 1e6}
    values |= _directly(database)
    started_sec = time.perf_counter()
    with servers.ours(place, ack="committed", query_timeout_sec=QUERY_TIMEOUT_SEC) as service:
        values["start_sec"] = time.perf_counter() - started_sec
        # After each start it reads the whole file in the background, beside which nothing is asked.
        service.wait_for_line("Looked through the database", INSPECTED_WITHIN_SEC)
        values["inspected_sec"] = time.perf_counter() - started_sec
        # A board that posts one reading after another, each answered after its commit.
        commits = load.full(service.port, 1, COMMIT_SECONDS, keep_alive=True)
        values |= {f"commit_{name}": commits[name] for name in ("p50_ms", "p99_ms")}
        for name, path in _paths(database).items():
            values[name] = servers.asked_ms(service.port, path, ASKED)
        values["memory_mb"] = memory_mb(service.pid)
        # `Service.run` waits for a minute only.
        command = [service.python, "-m", "flask10x", "backup", str(place / "backups")]
        back_up = partial(subprocess.run, command, env=service.environment, check=True)
        values["backup_sec"] = _timed_ms(back_up) / 1000
    return values


def _directly(database: Path) -> dict[str, float]:
    """What SQLite itself says and takes, while no service runs."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        counts: list[int] = []
        count_ms = _timed_ms(
            lambda: counts.append(connection.execute("SELECT count(*) FROM readings").fetchone()[0])
        )
        now_ms = time.time_ns() // 1_000_000
        for number in range(WAL_ROWS):
            connection.execute(STORE, (now_ms + number,))
        wal_mb = beside(database, WAL).stat().st_size / 1e6
        whole_ms = _timed_ms(lambda: connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall())
    return {
        "count_ms": count_ms,
        "bytes_per_reading": database.stat().st_size / counts[0],
        "checkpoint_ms": whole_ms * 4 / wal_mb,
    }


def _paths(database: Path) -> dict[str, str]:
    """What is asked for, by the name of the value."""
    with closing(sqlite3.connect(database)) as connection:
        oldest, newest = connection.execute(
            "SELECT min(received_at), max(received_at) FROM readings WHERE endpoint = 'data2'"
        ).fetchone()
    middle = _iso((oldest + newest) // 2)
    day, year = _iso(newest - 86_400_000), _iso(newest - 365 * 86_400_000)
    return {
        "page_ms": "/history/json?limit=50",
        "deep_page_ms": f"/history/json?limit=50&to={middle}",
        "rare_page_ms": "/history/json?limit=50&endpoint=data2&gas_resistance__gte=19997",
        "no_match_ms": "/history/json?limit=50&endpoint=data2&co2__gt=1000000",
        "day_chart_ms": f"/history/series?endpoint=data2&from={day}",
        # A year as the history draws it, and what that was measured against: the same in weeks.
        "year_chart_ms": f"/history/series?endpoint=data2&from={year}&buckets=400",
        "year_of_weeks_ms": f"/history/series?endpoint=data2&from={year}&buckets=60",
        "all_chart_ms": "/history/series?endpoint=data2",
        "whole_chart_ms": "/history/series",
        "filter_chart_ms": "/history/series?endpoint=data2&co2__gte=1000",
    }


def _timed_ms(action: Callable[[], object]) -> float:
    started_sec = time.perf_counter()
    action()
    return (time.perf_counter() - started_sec) * 1000


def _iso(ms: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms):%Y-%m-%dT%H:%M:%SZ}"
