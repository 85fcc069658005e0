"""How cost grows with the number of readings: `make bench-growth`.

A database of each size is made by SQL and kept. A real service is started on it and asked one
thing at a time, by one client, so these are times without anybody beside.
"""

import math
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.bench import filled, servers
from benchmarks.bench.results import Run, percentile
from benchmarks.bench.rows import Bench
from benchmarks.memory import memory_of
from flask10x.database.paths import WAL, beside
from tests.e2e.senders import Client, ask
from tests.e2e.service import Service

SIZES = (1_000_000, 10_000_000, 100_000_000)
COMMITS = 300
ASKED = 5
# Long enough that a slow query is timed and not broken off; the default is 2 s.
QUERY_TIMEOUT_SEC = 60
ANSWER_WITHIN_SEC = 600.0
INSPECTED_WITHIN_SEC = 3600.0
# As many readings as fill a WAL of 4 MB a few times, each a commit of its own.
WAL_ROWS = 2_000
BODY = b'{"co2": 650, "temperature": 25.1, "humidity": 52, "pressure": 1013.2, "gas_res": 12561247}'
STORE = (
    "INSERT INTO readings (endpoint, received_at, co2, temperature, humidity, pressure,"
    " gas_resistance) VALUES ('data2', ?, 650.0, 25.1, 52.0, 1013.2, 12561247.0)"
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A value of a run of this row."""

    value: str
    texts: tuple[str, str]


MEASURES = (
    Measure("file_mb", ("database, MB", "データベース、MB")),
    Measure("bytes_per_reading", ("bytes a reading", "1 件あたりのバイト数")),
    Measure("start_sec", ("start until it answers, s", "起動から応答まで、秒")),
    Measure(
        "inspected_sec", ("until the whole file is looked through, s", "全体の検査完了まで、秒")
    ),
    Measure("memory_mb", ("memory after all of this, MB", "すべて終えた後のメモリ、MB")),
    Measure("commit_p50_ms", ("one reading committed, p50, ms", "1 件のコミット、p50、ms")),
    Measure("commit_p99_ms", ("p99, ms", "同、p99、ms")),
    Measure("checkpoint_ms", ("checkpoint of 4 MB, ms", "4 MB のチェックポイント、ms")),
    Measure("page_ms", ("newest page, ms", "最新のページ、ms")),
    Measure("deep_page_ms", ("page from the middle, ms", "中ほどのページ、ms")),
    Measure("rare_page_ms", ("page of a rare filter, ms", "まれな条件のページ、ms")),
    Measure("no_match_ms", ("page of a filter nothing matches, ms", "一致なしの条件のページ、ms")),
    Measure("day_chart_ms", ("chart of a day, one station, ms", "1 日のグラフ、1 台、ms")),
    Measure("all_chart_ms", ("chart of all, one station, ms", "全期間のグラフ、1 台、ms")),
    Measure("whole_chart_ms", ("chart of all, all stations, ms", "全期間のグラフ、全台、ms")),
    Measure("filter_chart_ms", ("chart of all with a filter, ms", "全期間、条件付き、ms")),
    Measure("count_ms", ("counting all rows in SQL, ms", "SQL で全行を数える、ms")),
    Measure("backup_sec", ("backup, s", "バックアップ、秒")),
)


def growth(bench: Bench, sizes: tuple[int, ...] = SIZES) -> Iterator[Run]:
    """One run for each size, the smallest first; its side is the number of readings."""
    for size in sizes:
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
        commits_ms = _commits_ms(service)
        values["commit_p50_ms"] = percentile(commits_ms, 50)
        values["commit_p99_ms"] = percentile(commits_ms, 99)
        for name, path in _paths(database).items():
            values[name] = _asked_ms(service, path)
        values["memory_mb"] = memory_of(service.pid).together
        values["backup_sec"] = _timed_ms(lambda: _back_up(service)) / 1000
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


def _commits_ms(service: Service) -> list[float]:
    """A board that posts one reading after another, each answered after its commit."""
    client, found = Client(service.port, keep_alive=True), []
    try:
        for _ in range(COMMITS):
            started_sec = time.perf_counter()
            assert client.post("data2", BODY).status == 200
            found.append((time.perf_counter() - started_sec) * 1000)
    finally:
        client.close()
    return found


def _paths(database: Path) -> dict[str, str]:
    """What is asked for, by the name of the value."""
    with closing(sqlite3.connect(database)) as connection:
        oldest, newest = connection.execute(
            "SELECT min(received_at), max(received_at) FROM readings WHERE endpoint = 'data2'"
        ).fetchone()
    middle = _iso((oldest + newest) // 2)
    day = _iso(newest - 86_400_000)
    return {
        "page_ms": "/history/json?limit=50",
        "deep_page_ms": f"/history/json?limit=50&to={middle}",
        "rare_page_ms": "/history/json?limit=50&endpoint=data2&gas_resistance__gte=19997",
        "no_match_ms": "/history/json?limit=50&endpoint=data2&co2__gt=1000000",
        "day_chart_ms": f"/history/series?endpoint=data2&from={day}",
        "all_chart_ms": "/history/series?endpoint=data2",
        "whole_chart_ms": "/history/series",
        "filter_chart_ms": "/history/series?endpoint=data2&co2__gte=1000",
    }


def _asked_ms(service: Service, path: str) -> float:
    """The median of some answers after the first; NaN when there is no 200."""
    found = []
    for number in range(ASKED):
        started_sec = time.perf_counter()
        answer = ask(service.port, "GET", path, timeout_sec=ANSWER_WITHIN_SEC)
        if answer.status != 200:
            return math.nan
        taken_sec = time.perf_counter() - started_sec
        found.append(taken_sec * 1000)
        # Of what takes so long, one is enough.
        if number == 1 and taken_sec > 5:
            break
    return median(found[1:])


def _back_up(service: Service) -> None:
    # `Service.run` waits for a minute only.
    command = [service.python, "-m", "flask10x", "backup", "backups"]
    subprocess.run(
        command, cwd=service.folder, env=service.environment, check=True, stdout=subprocess.DEVNULL
    )


def _timed_ms(action: Callable[[], object]) -> float:
    started_sec = time.perf_counter()
    action()
    return (time.perf_counter() - started_sec) * 1000


def _iso(ms: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms):%Y-%m-%dT%H:%M:%SZ}"
