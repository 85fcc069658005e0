"""Services on one database of PostgreSQL, one and two, and the floor: `make bench-engines`.

Readings come one by one, from 16 senders in all, and are answered once they are committed. The
floor is psycopg alone on each of two connections: it locks the same row, takes ids in the same
way, and commits as many readings at once as the two services did on average. Everything shares
one machine, so that only ratios say something. `python -m benchmarks.hosts URL ...` is one of the
connections of the floor.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.engines import on_postgres
from benchmarks.results import Run
from benchmarks.servers import Bench, Row
from tests.e2e.service import PROJECT, Service
from tests.support.postgres import PostgresServer, obstacle

SENDERS = 16
# The server counts a transaction up to a second after it.
COUNTED_AFTER_SEC = 1.5
COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = %s"
READING = "'data2', 1756000000000, 650, 25.1, 52, 1013.2, 12561247"
COLUMNS = "id, endpoint, received_at, co2, temperature, humidity, pressure, gas_resistance"
BATCH = """
BEGIN;
SELECT last_id FROM log WHERE name = 'readings' FOR UPDATE;
WITH former AS (
    SELECT greatest(last_id, (SELECT max(id) FROM readings)) AS id
    FROM log WHERE name = 'readings'
) INSERT INTO readings ({columns}) VALUES {values};
INSERT INTO log (name, last_id) VALUES ('queue {name}', {number})
ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id;
COMMIT
"""


def hosts(bench: Bench) -> Iterator[Run]:
    """One service, two, and the floor under two, in turn."""
    if reason := obstacle():
        print(f"Several hosts are not measured: {reason}")
        return
    with on_postgres(bench) as (place, server), ExitStack() as running:
        names = {"one": ["a"], "two": ["b", "c"]}
        services = {
            side: [running.enter_context(_service(place, server, side, name)) for name in of]
            for side, of in names.items()
        }
        _migrated(place, server)
        for number in range(bench.rounds):
            one = _measured(server, "one", services["one"], bench)
            yield Run("hosts", "one", number, one)
            two = _measured(server, "two", services["two"], bench)
            two["times_one"] = two["per_sec"] / one["per_sec"]
            yield Run("hosts", "two", number, two)
            rows = max(1, round(two["batch_rows"]))
            floor_per_sec = sum(_floor(server, ["x", "y"], rows, bench.seconds))
            floor = {"per_sec": floor_per_sec, "batch_rows": float(rows)}
            yield Run("hosts", "floor", number, floor)


def _service(place: Path, server: PostgresServer, database: str, name: str) -> Any:
    if not server.exists(database):
        server.create(database)
    url = server.url(database)
    given = {"ack": "committed", "workers": 1, "host_name": name, "database_url": url}
    return servers.ours(place / name, None, **given)


def _migrated(place: Path, server: PostgresServer) -> None:
    server.create("floor")
    with _service(place, server, "floor", "f"):
        pass


def _measured(
    server: PostgresServer, database: str, services: Sequence[Service], bench: Bench
) -> dict[str, float]:
    """What all senders together get, and how many readings a commit had."""
    commits = _commits(server, database)
    connections = SENDERS // len(services)
    with ThreadPoolExecutor(len(services)) as threads:
        loads = list(
            threads.map(lambda each: servers.full_load(each, connections, bench.seconds), services)
        )
    time.sleep(COUNTED_AFTER_SEC)
    commits = _commits(server, database) - commits
    rates = [load["per_sec"] for load in loads]
    accepted = sum(load["accepted_in_all"] for load in loads)
    return {
        "per_sec": sum(rates),
        "p99_ms": max(load["p99_ms"] for load in loads),
        "max_ms": max(load["max_ms"] for load in loads),
        # 1 when each has the same.
        "least_share": min(rates) / (sum(rates) / len(rates)),
        "batch_rows": accepted / max(1, commits),
    }


def _commits(server: PostgresServer, database: str) -> int:
    """How many transactions there were; those that only read are few beside them."""
    with server.connect() as connection:
        row: Any = connection.execute(COMMITS, (database,)).fetchone()
    return int(row[0])


def _floor(server: PostgresServer, names: Sequence[str], rows: int, seconds: float) -> list[float]:
    url = server.url("floor").replace("+psycopg", "")
    options = [url, "--rows", rows, "--seconds", seconds, "--name"]
    commands = [[sys.executable, "-m", "benchmarks.hosts", *map(str, options), n] for n in names]
    running = [
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    return [float(process.communicate()[0]) for process in running]


def main() -> None:
    """Commit batches for so long, and print how many readings a second that were."""
    import psycopg  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m benchmarks.hosts", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--name", required=True)
    given = parser.parse_args()
    values = ", ".join(
        f"((SELECT id FROM former) + {row}, {READING})" for row in range(1, given.rows + 1)
    )
    text = BATCH.replace("{number}", "{{number}}").format(
        rows=given.rows, columns=COLUMNS, values=values, name=given.name
    )
    number = 0
    with psycopg.connect(given.url, autocommit=True) as connection:
        ends_sec = time.monotonic() + given.seconds
        while time.monotonic() < ends_sec:
            number += given.rows
            connection.execute(text.format(number=number).encode())
    print(number / given.seconds)


ROWS: dict[str, Row] = {"hosts": hosts}

if __name__ == "__main__":
    main()
