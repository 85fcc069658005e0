"""Services on one database of PostgreSQL, one and two, and the floor: `make bench-engines`.

Readings come one by one, from 16 senders in all, and are answered once they are committed. The
floor is psycopg alone on each of two connections: it commits as many readings at once as the two
services did on average (`postgres_floor.py`). Everything shares one machine, so each run says how
its cores were used: with a quick disk they are what limits. So all is measured a second time with
syncs of the server that take 2 ms longer, so that the disk limits, too.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import load, postgres_floor, servers
from benchmarks.engines import on_postgres
from benchmarks.postgres_floor import Batches
from benchmarks.results import Run
from benchmarks.servers import Bench, Row
from tests.e2e.service import Service
from tests.support.postgres import PostgresServer, obstacle

SENDERS = 16
# A commit takes 3 ms then; on the machine on which the aims were set it took 2.3.
SLOWER_MS = 2
# Of all databases; the sessions of the server report their own counts up to ten seconds later.
COMMITS = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


def hosts(row: str, slower_ms: int, bench: Bench) -> Iterator[Run]:
    """One service, two, and the floor under two, in turn."""
    if reason := obstacle():
        print(f"Several hosts are not measured: {reason}")
        return
    with on_postgres(bench, slower_ms) as (place, server), ExitStack() as running:
        names = {"one": ["a"], "two": ["b", "c"]}
        services = {
            side: [running.enter_context(service_on(place, server, side, name)) for name in of]
            for side, of in names.items()
        }
        migrate(place, server, "floor")
        for number in range(bench.rounds):
            one = full_load(server, services["one"], SENDERS, bench.seconds)
            yield Run(row, "one", number, one)
            two = full_load(server, services["two"], SENDERS, bench.seconds)
            two["times_one"] = two["per_sec"] / one["per_sec"]
            yield Run(row, "two", number, two)
            batches = Batches(max(1.0, two["batch_rows"]))
            floor = postgres_floor.full_load(server, "floor", batches, bench.seconds, ("x", "y"))
            yield Run(row, "floor", number, floor)


def service_on(
    place: Path, server: PostgresServer, database: str, name: str
) -> AbstractContextManager[Service]:
    """A service of one worker on that database, which acknowledges a commit."""
    if not server.exists(database):
        server.create(database)
    url = server.url(database)
    given = {"ack": "committed", "workers": 1, "host_name": name, "database_url": url}
    return servers.ours(place / name, None, **given)


def migrate(place: Path, server: PostgresServer, database: str) -> None:
    """Make that database with the tables of a service."""
    with service_on(place, server, database, f"makes-{database}"):
        pass


def full_load(
    server: PostgresServer, services: Sequence[Service], senders: int, seconds: float
) -> dict[str, float]:
    """What so many senders get in all, how many readings a commit had, and the cores it took."""
    connections = senders // len(services)
    commits, used_sec = commits_of(server), servers.used_sec(services, server)
    with ThreadPoolExecutor(len(services)) as threads:
        accounts = list(
            threads.map(lambda each: servers.full_load(each, connections, seconds), services)
        )
    used = {n: sec - used_sec[n] for n, sec in servers.used_sec(services, server).items()}
    commits = commits_of(server) - commits
    rates = [account["per_sec"] for account in accounts]
    accepted = sum(account["accepted_in_all"] for account in accounts)
    loaded_sec = load.WARM_UP_SEC + seconds
    return {
        "per_sec": sum(rates),
        "p99_ms": max(account["p99_ms"] for account in accounts),
        "max_ms": max(account["max_ms"] for account in accounts),
        # 1 when each has the same.
        "least_share": min(rates) / (sum(rates) / len(rates)),
        "batch_rows": accepted / max(1, commits),
        "commits_per_sec": commits / loaded_sec,
        "service_cpu": used["service"] / loaded_sec,
        "database_cpu": used["database"] / loaded_sec,
        "sender_cpu": sum(account["sender_cpu_sec"] for account in accounts) / seconds,
        # Of processor time, for a reading.
        "service_ms": used["service"] / max(1, accepted) * 1000,
        "database_ms": used["database"] / max(1, accepted) * 1000,
    }


def commits_of(server: PostgresServer) -> int:
    """How many transactions have written; those of services without senders are few beside them."""
    with server.connect() as connection:
        row: Any = connection.execute(COMMITS).fetchone()
    return int(row[0])


ROWS: dict[str, Row] = {
    "hosts": partial(hosts, "hosts", 0),
    "hosts-slow": partial(hosts, "hosts-slow", SLOWER_MS),
}
