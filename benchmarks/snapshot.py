"""What commits take behind a held snapshot: `python -m benchmarks --only snapshot`.

While a program reads for long (`pg_dump`), PostgreSQL removes no former version of a row, and a
commit walks past those of each row that it changes. A service is at full load, then another
connection holds a snapshot until so many commits have passed, and then the load is measured again.
Beside it psycopg alone, each commit of which changes a counter of ids, as the program did before
0017. `--rows` is for another number of commits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import fmean

from benchmarks import hosts, postgres_floor
from benchmarks.engines import on_postgres
from benchmarks.postgres_floor import Batches
from benchmarks.results import Run
from benchmarks.servers import Bench, Row
from tests.support.postgres import PostgresServer, obstacle

# More of them give more readings to a commit, and so fewer commits.
SENDERS = 1
COMMITS = 20_000


def snapshot(bench: Bench) -> Iterator[Run]:
    """A service, and psycopg with a counter, without a held snapshot and behind one."""
    if reason := obstacle():
        print(f"Nothing is measured behind a snapshot: {reason}")
        return
    with on_postgres(bench) as (place, server), hosts.service_on(place, server, "ours", "a") as one:
        hosts.migrate(place, server, "floor")
        counted = Batches(counts=True)
        sides = {
            "ours": partial(hosts.full_load, server, [one], SENDERS, bench.seconds),
            "floor": partial(postgres_floor.full_load, server, "floor", counted, bench.seconds),
        }
        # The first run of a service is slower than those that follow.
        for load in sides.values():
            load()
        for number in range(bench.rounds):
            for side, load in sides.items():
                yield Run("snapshot", side, number, _behind(server, side, load, bench))


def _behind(
    server: PostgresServer, database: str, load: Callable[[], dict[str, float]], bench: Bench
) -> dict[str, float]:
    """Readings a second before and after a snapshot, and behind it after so many commits."""
    before = load()
    with _held(server, database):
        began = hosts.commits_of(server)
        while (behind := hosts.commits_of(server) - began) < (bench.rows or COMMITS):
            load()
        held = load()
    with server.connect(database) as connection:
        connection.execute("VACUUM log")
    # Before and after, so that what drifts over a minute falls out.
    free = [before, load()]
    per_sec = fmean(values["per_sec"] for values in free)
    return {
        "per_sec": per_sec,
        "held_per_sec": held["per_sec"],
        "held_share": held["per_sec"] / per_sec,
        "commits_behind": float(behind),
        "batch_rows": held["batch_rows"],
        # Of processor time, for a reading.
        "database_ms": fmean(values["database_ms"] for values in free),
        "held_database_ms": held["database_ms"],
    }


@contextmanager
def _held(server: PostgresServer, database: str) -> Iterator[None]:
    """A snapshot of this database, for as long as the block runs."""
    with server.connect(database) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT FROM log")
        yield
        connection.execute("ROLLBACK")


ROWS: dict[str, Row] = {"snapshot": snapshot}
