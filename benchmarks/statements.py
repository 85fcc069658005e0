"""What an hour costs PostgreSQL, by its own count: `python -m benchmarks --only statements`.

A home, and a thousand boards, on a database that has the readings of the month, or hour, before.
Boards send and people look faster than in life: as much as in an hour, within `--hour` seconds, and
autovacuum looks as much more often. What the service does by its own clock it does at its usual
pace: leases, the watch for silence, the roll-ups of each hour.

At the end the server says what each statement took (pg_stat_statements), how each table was read
and cleaned up (pg_stat_user_tables), and how full its indexes are (pgstatindex). A sequential scan
of `readings` is an error. Both extensions are Debian's `postgresql-17`.
"""

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.boards import DATABASE, NUMBERS, ONE, STATIONS, Place, place_of, station_name
from benchmarks.results import Run
from benchmarks.servers import Bench, Row
from tests.e2e.senders import ask
from tests.support.postgres import PostgresServer, obstacle

HOUR_SEC = 3600
# Of the server itself.
NAPTIME_SEC = 60
PRELOADED = {"shared_preload_libraries": "pg_stat_statements", "track_wal_io_timing": "on"}
EXTENSIONS = ("pg_stat_statements", "pgstattuple")
EVERY_MS = 60_000
# A session says what it has counted ten seconds after its last transaction, at the latest.
COUNTED_AFTER_SEC = 12.0
METRICS_EVERY_SEC = 15
PAGES = (
    "/",
    "/api/v1/latest",
    "/history",
    "/history/series?from=-24h",
    "/",
    "/history?endpoint={station}&from=-7d",
    "/history/json?limit=50",
    "/history/series?endpoint={station}&from=-30d",
    "/records?endpoint={station}",
    "/status",
    "/",
    "/history/json?limit=50&temperature__gt=28",
    "/history/rejected",
    "/alerts",
)
FILL = """
BEGIN;
SELECT last_id FROM log WHERE name = 'readings' FOR UPDATE;
INSERT INTO readings (id, endpoint, received_at, temperature, humidity, co2, pressure)
SELECT i, 'board' || i % {stations},
    (extract(epoch FROM now()) * 1000)::bigint - ({rows} - i) * {every_ms}::bigint / {boards},
    20 + i % 10, 40 + i % 7, 400 + i % 900, 1000 + i % 20
FROM generate_series(1, {rows}) AS i;
UPDATE log SET last_id = {rows} WHERE name = 'readings';
COMMIT
"""
# Since when it counts.
RESET = ("SELECT pg_stat_statements_reset()", "SELECT pg_stat_reset()")
STATEMENTS = """
SELECT query, calls, total_exec_time AS total_ms, mean_exec_time AS mean_ms, rows,
    shared_blks_hit AS hit, shared_blks_read AS read, wal_bytes
FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
WHERE d.datname = current_database() AND query NOT LIKE '%pg_stat%' AND query <> '{own}'
ORDER BY total_exec_time DESC
"""
# As it is there: with a name for each number.
OWN = NUMBERS.replace("> 0", "> $1")
TABLES = """
SELECT relname AS name, n_live_tup AS live, n_dead_tup AS dead, seq_scan, seq_tup_read,
    n_tup_ins AS inserted, n_tup_upd AS updated, n_tup_hot_upd AS hot, n_tup_del AS deleted,
    autovacuum_count AS vacuums, autoanalyze_count AS analyses,
    pg_relation_size(relid) / 1024 AS kb
FROM pg_stat_user_tables
WHERE seq_scan + coalesce(idx_scan, 0) + n_tup_ins > 0 ORDER BY n_tup_upd DESC, relname
"""
INDEXES = """
SELECT relname AS table, indexrelname AS name, pg_relation_size(indexrelid) / 1024 AS kb,
    (pgstatindex(indexrelid)).avg_leaf_density AS density,
    (pgstatindex(indexrelid)).leaf_pages AS leaves,
    (pgstatindex(indexrelid)).empty_pages + (pgstatindex(indexrelid)).deleted_pages AS empty
FROM pg_stat_user_indexes WHERE idx_scan > 0 ORDER BY pg_relation_size(indexrelid) DESC
"""
SHOWN_STATEMENTS, SHOWN_LETTERS = 10, 150
# Whether the whole load has come, and what it took.
OF_BOARDS = (
    "offered",
    "acknowledged",
    "lost",
    "refused",
    "unanswered",
    "not_connected",
    "given_up",
    "waiting_at_boards",
    "p99_ms",
    "late_p99_ms",
    "sender_cpu",
    "service_cpu",
    "database_cpu",
)
Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """What an hour of it is."""

    boards: int
    stations: int
    views: int
    """Pages that people look at."""
    before_hours: int
    """Of so many there are readings."""


USAGES = {"home": Usage(5, 5, 120, 720), "boards": Usage(1000, STATIONS, 720, 1)}


def statements(bench: Bench) -> Iterator[Run]:
    """An hour of a home, and of a thousand boards."""
    if reason := obstacle():
        print(f"Statements are not counted: {reason}")
        return
    pace = HOUR_SEC / bench.hour_sec
    options = PRELOADED | {"autovacuum_naptime": f"{max(1, round(NAPTIME_SEC / pace))}s"}
    for name, usage in USAGES.items():
        with place_of(ONE, bench, usage.stations, options) as place:
            assert place.server is not None
            _fill(place.server, usage, bench.rows)
            _settle(place)
            for statement in RESET:
                _asked(place.server, statement)
            with _people(place, usage, pace) as pages:
                boards = place.run(bench, round(usage.boards * pace), "steady", bench.hour_sec)
            time.sleep(COUNTED_AFTER_SEC)
            of_boards = {value: boards[value] for value in OF_BOARDS}
            yield Run("statements", name, 0, of_boards | pages | _account(place.server))


def _fill(server: PostgresServer, usage: Usage, rows: int | None) -> None:
    """So many readings, else those of the time before, a minute apart."""
    rows = rows or usage.boards * usage.before_hours * HOUR_SEC * 1000 // EVERY_MS
    text = FILL.format(stations=usage.stations, rows=rows, every_ms=EVERY_MS, boards=usage.boards)
    with server.connect(DATABASE) as connection:
        for name in EXTENSIONS:
            connection.execute(f"CREATE EXTENSION {name}".encode())
        for statement in text.split(";"):
            connection.execute(statement.encode())


def _settle(place: Place) -> None:
    """What a service does once, and what each page looks for only once."""
    assert place.server is not None
    # The service would do it when it looks next.
    done = place.services[0].run("-m", "flask10x", "rollups", "--rebuild")
    assert done.returncode == 0, done.stdout + done.stderr
    with place.server.connect(DATABASE) as connection:
        connection.execute("VACUUM ANALYZE")
    for path in PAGES:
        _look(place, path, place.stations)


def _look(place: Place, path: str, stations: int) -> str:
    """Empty when it was answered; else the status and what the answer begins with."""
    station = station_name(random.randrange(stations))
    try:
        answer = ask(place.services[0].port, "GET", path.format(station=station))
    except OSError as error:
        return f"{path}: {error}"
    if answer.status == 200:
        return ""
    return f"{path}: {answer.status} {answer.body[:SHOWN_LETTERS].decode(errors='replace')}"


@contextmanager
def _people(place: Place, usage: Usage, pace: float) -> Iterator[dict[str, float]]:
    """While the block runs pages are looked at and metrics are asked for; how many, at its end."""
    ended = threading.Event()
    refused: Counter[str] = Counter()
    account: dict[str, float] = {}

    def every(seconds: float, paths: Sequence[str]) -> None:
        began_sec, number = time.monotonic(), 0
        while not ended.wait(max(0.0, began_sec + number * seconds / pace - time.monotonic())):
            refused[_look(place, paths[number % len(paths)], usage.stations)] += 1
            number += 1

    threads = [
        threading.Thread(target=every, args=(HOUR_SEC / usage.views, PAGES)),
        threading.Thread(target=every, args=(METRICS_EVERY_SEC, ("/metrics",))),
    ]
    for thread in threads:
        thread.start()
    try:
        yield account
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    account["pages"] = float(refused.total())
    del refused[""]
    account["pages_refused"] = float(refused.total())
    for what, times in refused.items():
        print(f"{times} times {what}")


def _asked(server: PostgresServer, query: str) -> list[Line]:
    from psycopg.rows import dict_row  # noqa: PLC0415

    with server.connect(DATABASE) as connection:
        return list(connection.cursor(row_factory=dict_row).execute(query.encode()).fetchall())


def _account(server: PostgresServer) -> dict[str, float]:
    """Print what the server has counted; the sums of it."""
    found, tables = _asked(server, STATEMENTS.format(own=OWN)), _asked(server, TABLES)
    indexes = _asked(server, INDEXES)
    shown = [{**line, "query": _shortened(line["query"])} for line in found]
    for lines in (shown[:SHOWN_STATEMENTS], tables, indexes):
        print(_table(lines))
    of = {line["name"]: line for line in tables}
    updated = sum(line["updated"] for line in tables)
    read_whole = of["readings"]["seq_scan"]
    assert not read_whole, f"{read_whole} sequential scans of readings"
    return {
        "statements_ms": sum(line["total_ms"] for line in found),
        "wal_bytes": float(sum(line["wal_bytes"] for line in found)),
        "blocks_hit": float(sum(line["hit"] for line in found)),
        "blocks_read": float(sum(line["read"] for line in found)),
        "readings_seq_scans": float(read_whole),
        "hot_share": sum(line["hot"] for line in tables) / max(1, updated),
        "dead": float(sum(line["dead"] for line in tables)),
        "vacuums": float(sum(line["vacuums"] for line in tables)),
        "density_least": min(line["density"] for line in indexes if line["leaves"] > 1),
    }


def _shortened(query: str) -> str:
    text = re.sub(r"\s+", " ", query).replace("|", "¦")
    return text if len(text) <= SHOWN_LETTERS else f"{text[: SHOWN_LETTERS - 1]}…"


def _table(lines: Sequence[Line]) -> str:
    cells = [list(lines[0]), ["---"] * len(lines[0])]
    cells += [[_cell(value) for value in line.values()] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells) + "\n"


def _cell(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


ROWS: dict[str, Row] = {"statements": statements}
