"""The floor of services on PostgreSQL: psycopg alone, whose connections commit batches.

Each locks the row of the log as the program does, takes ids in the same way and commits so many
readings at once. `python -m benchmarks.postgres_floor URL ...` is one of the connections; it prints
a line of JSON.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import servers
from tests.e2e.service import PROJECT
from tests.support.postgres import PostgresServer

READING = "'data2', 1756000000000, 650, 25.1, 52, 1013.2, 12561247"
COLUMNS = "id, endpoint, received_at, co2, temperature, humidity, pressure, gas_resistance"
LOCK = "SELECT last_id FROM log WHERE name = 'readings' FOR UPDATE"
INSERT = "WITH former AS ({former}) INSERT INTO readings ({columns}) VALUES {values}"
HIGHEST = """
SELECT greatest(last_id, (SELECT max(id) FROM readings)) AS id FROM log WHERE name = 'readings'
"""
# As the program did before 0017.
COUNTER = """
UPDATE log SET last_id = last_id + {rows} WHERE name = 'readings' RETURNING last_id - {rows} AS id
"""
NOTE = """
INSERT INTO log (name, last_id) VALUES ('queue {name}', {number})
ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id
"""


@dataclass(frozen=True, slots=True)
class Batches:
    """What each connection commits."""

    rows: float = 1.0
    """Readings a commit, on average; at least 1."""
    counts: bool = False
    """Whether each commit changes one row, a counter of ids, instead of noting its queue."""

    def rows_of(self, number: int) -> int:
        """Readings of that commit; the first is 1."""
        return int(number * self.rows) - int((number - 1) * self.rows)

    def text(self, rows: int, name: str, number: int) -> bytes:
        """The statements of a commit of so many readings."""
        values = ", ".join(
            f"((SELECT id FROM former) + {row}, {READING})" for row in range(1, rows + 1)
        )
        former = COUNTER.format(rows=rows) if self.counts else HIGHEST
        insert = INSERT.format(former=former, columns=COLUMNS, values=values)
        notes = [] if self.counts else [NOTE.format(name=name, number=number)]
        return "; ".join(["BEGIN", LOCK, insert, *notes, "COMMIT"]).encode()


def full_load(
    server: PostgresServer,
    database: str,
    batches: Batches,
    seconds: float,
    names: Sequence[str] = ("x",),
) -> dict[str, float]:
    """What a connection for each name commits in so many seconds, and the cores that this takes."""
    url = server.url(database).replace("+psycopg", "")
    options = [url, "--rows", batches.rows, "--seconds", seconds]
    options += ["--counts"] if batches.counts else []
    command = [sys.executable, "-m", "benchmarks.postgres_floor", *map(str, options), "--name"]
    before_sec = servers.used_sec([], server)["database"]
    running = [
        subprocess.Popen([*command, name], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        for name in names
    ]
    accounts = [json.loads(process.communicate()[0]) for process in running]
    readings = sum(account["readings"] for account in accounts)
    used_sec = sum(account["cpu_sec"] for account in accounts)
    database_sec = servers.used_sec([], server)["database"] - before_sec
    return {
        "per_sec": readings / seconds,
        "batch_rows": readings / max(1, sum(account["commits"] for account in accounts)),
        "commits_per_sec": sum(account["commits"] for account in accounts) / seconds,
        "service_cpu": used_sec / seconds,
        "database_cpu": database_sec / seconds,
        "sender_cpu": 0.0,
        "service_ms": used_sec / max(1, readings) * 1000,
        "database_ms": database_sec / max(1, readings) * 1000,
    }


def committed(url: str, name: str, batches: Batches, seconds: float) -> Mapping[str, float]:
    """Commit batches for so long: how many readings and commits, and the processor time."""
    import psycopg  # noqa: PLC0415

    readings = commits = 0
    with psycopg.connect(url, autocommit=True) as connection:
        began_cpu_sec, ends_sec = time.process_time(), time.monotonic() + seconds
        while time.monotonic() < ends_sec:
            rows = batches.rows_of(commits + 1)
            readings, commits = readings + rows, commits + 1
            connection.execute(batches.text(rows, name, readings))
        cpu_sec = time.process_time() - began_cpu_sec
    return {"readings": readings, "commits": commits, "cpu_sec": cpu_sec}


def main() -> None:
    """Print what one connection has committed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.postgres_floor")
    parser.add_argument("url")
    parser.add_argument("--rows", type=float, default=1.0, help="a commit, on average")
    parser.add_argument("--counts", action="store_true", help="change a counter in each commit")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--name", required=True)
    given = parser.parse_args()
    batches = Batches(given.rows, given.counts)
    print(json.dumps(committed(given.url, given.name, batches, given.seconds)))


if __name__ == "__main__":
    main()
