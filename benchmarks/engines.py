"""Compare SQLite and PostgreSQL on the same work, and count what further service processes bring.

Run it from the checkout, on an idle machine, with the folder on a real disk (no tmpfs):

    .venv/bin/python -m benchmarks.engines /folder                  # 10 million, 20 minutes
    .venv/bin/python -m benchmarks.engines /folder --rows 1000000   # a first look
    .venv/bin/python -m benchmarks.engines /folder --parts slope    # a part of it

PostgreSQL is a server of its own in that folder, with fsync and its defaults but for
`shared_buffers`; both have the same readings, made once by SQL and brought over by `flask10x copy`.
What is answered over HTTP is asked over one connection that is kept, and the table has the median
of its milliseconds. Rates are of wrk, in turn. The second table has one to four services, each of
one worker and with a folder of its own, on one database of PostgreSQL.
"""

import argparse
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from itertools import chain
from pathlib import Path
from statistics import median

from benchmarks.bench import servers, wrk
from benchmarks.bench.filled import STEP_MS, database_of
from benchmarks.bench.wrk import Load
from flask10x.readings.stations import BUILT_IN
from tests.e2e.service import PROJECT, Service
from tests.support.postgres import PostgresServer, obstacle

ENGINES = ("SQLite", "PostgreSQL")
# What a server for some million rows is given; all else is as Debian delivers it.
OPTIONS = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "512MB",
    "jit": "on",
}
ROUNDS, SECONDS = 3, 5
TIMES = 40
PAGE_ROWS = 50
CHARTS = (
    ("a day of a station", "from=-24h&endpoint=data2"),
    ("a year of a measurement", "from=-365d&endpoint=data2&measurement=co2"),
    ("a year of a station", "from=-365d&endpoint=data2"),
    ("a year of everything", "from=-365d"),
)
SERVICES = (1, 2, 3, 4)


class Both:
    """The same readings in a file of SQLite and in PostgreSQL."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows = folder, rows
        self.server = PostgresServer(folder / "postgres", OPTIONS)

    def full(self, engine: str) -> dict[str, object]:
        """The settings of a service whose database has them all."""
        if engine == ENGINES[0]:
            return {}
        return {"database_url": self.server.url("full")}

    def empty(self, engine: str, name: str) -> dict[str, object]:
        """Those of a service with a new database."""
        if engine == ENGINES[0]:
            return {}
        self.server.drop(name)
        self.server.create(name)
        return {"database_url": self.server.url(name)}

    def prepare(self) -> None:
        """Make what is missing; says what bringing the readings over has taken."""
        file = database_of(self.folder, self.rows)
        place = self.folder / "full" / "SQLite" / "data"
        shutil.rmtree(place.parent, ignore_errors=True)
        place.mkdir(parents=True)
        shutil.copyfile(file, place / "flask10x.sqlite3")
        self.server.drop("full")
        self.server.create("full")
        begin = time.perf_counter()
        source = f"sqlite:///{place / 'flask10x.sqlite3'}"
        run(place, "copy", "--from", source, "--to", self.server.url("full"))
        print(
            f"`flask10x copy`: {self.rows / (time.perf_counter() - begin):,.0f} readings a second"
        )
        with self.server.connect("full") as connection:
            connection.execute("VACUUM ANALYZE")
        for engine in ENGINES:
            data = self.folder / "full" / engine / "data"
            data.mkdir(parents=True, exist_ok=True)
            run(data, "migrate", **self.full(engine))


def run(data: Path, *arguments: str, **settings: object) -> str:
    """Run a command with this DATA_DIR; its output."""
    service = Service(data.parent, 1, settings)
    done = subprocess.run(
        [sys.executable, "-m", "flask10x", *arguments],
        cwd=PROJECT,
        env=service.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ingest(both: Both) -> Iterator[str]:
    """Readings a second, and how long an answer takes, in both modes."""
    loads = {"enqueued": Load(4, SECONDS), "committed": Load(16, SECONDS)}
    for ack, load in loads.items():
        found: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
        with ExitStack() as running:
            services = {}
            for engine in ENGINES:
                place = both.folder / f"ingest-{ack}" / engine
                shutil.rmtree(place, ignore_errors=True)
                settings = both.empty(engine, f"ingest_{ack}")
                services[engine] = running.enter_context(
                    servers.ours(place, None, ack=ack, **settings)
                )
                wrk.warm_up(services[engine], load)
            for _ in range(ROUNDS):
                for engine, service in services.items():
                    found[engine].append(wrk.measured(service, load))
        for key, name in (
            ("per_sec", "readings a second"),
            ("p99_ms", "99 % are answered within, ms"),
            ("cpu_s_per_1000", "processor, s for 1,000 (services alone)"),
        ):
            yield row(f"ACK={ack}: {name}", *(median(r[key] for r in found[e]) for e in ENGINES))


def pages(both: Both) -> Iterator[str]:
    """Pages of 50 readings from three places, and charts."""
    with ExitStack() as running:
        ports = {}
        for engine in ENGINES:
            place = both.folder / "full" / engine
            service = running.enter_context(servers.ours(place, None, **both.full(engine)))
            ports[engine] = service.port
        newest_ms = newest(both)
        for share in (0.0, 0.5, 0.98):
            before = newest_ms - int(share * both.rows * STEP_MS)
            query = f"/history/json?order=desc&limit={PAGE_ROWS}&cursor=before:{before}:{10**12}"
            yield row(f"page at {share:.0%} of the depth, ms", *asked(ports, query))
        for name, query in CHARTS:
            yield row(f"chart: {name}, ms", *asked(ports, f"/history/series?{query}"))


def newest(both: Both) -> int:
    """When the newest reading was received."""
    file = both.folder / "full" / ENGINES[0] / "data" / "flask10x.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        (found,) = connection.execute("SELECT max(received_at) FROM readings").fetchone()
    return int(found)


def asked(ports: dict[str, int], query: str) -> list[float]:
    """The median milliseconds of each engine, asked in turn."""
    times: dict[str, list[float]] = {engine: [] for engine in ports}
    connections = {e: HTTPConnection("127.0.0.1", port, timeout=120) for e, port in ports.items()}
    for number in range(TIMES + 4):
        for engine, connection in connections.items():
            begin = time.perf_counter()
            connection.request("GET", query)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            if number >= 4:
                times[engine].append((time.perf_counter() - begin) * 1000)
    for connection in connections.values():
        connection.close()
    return [median(found) for found in times.values()]


def csv_files(both: Both) -> Iterator[str]:
    """The export of all readings, and the import of one station's file into a new database."""
    took: dict[str, list[float]] = {"export": [], "import": []}
    counts: list[float] = []
    for engine in ENGINES:
        data = both.folder / "full" / engine / "data"
        shutil.rmtree(data / "csv", ignore_errors=True)
        took["export"].append(timed(partial(run, data, "export", **both.full(engine))))
    name = BUILT_IN.by_endpoint["data2"].csv_name
    files = [both.folder / "full" / engine / "data" / "csv" / name for engine in ENGINES]
    assert files[0].read_bytes() == files[1].read_bytes(), "the files differ"
    counts = [float(files[0].read_bytes().count(b"\n") - 1)] * 2
    for engine, file in zip(ENGINES, files, strict=True):
        data = both.folder / "import" / engine / "data"
        shutil.rmtree(data.parent, ignore_errors=True)
        data.mkdir(parents=True)
        settings = both.empty(engine, "imported")
        # An earlier run had one there.
        run(data, "migrate", "--new", **settings)
        arguments = ("import", str(file), "--endpoint", "data2")
        took["import"].append(timed(partial(run, data, *arguments, **settings)))
    yield row("export of all, readings a second", *(both.rows / sec for sec in took["export"]))
    rates = (n / sec for n, sec in zip(counts, took["import"], strict=True))
    yield row("import of a file, readings a second", *rates)


def timed(action: Callable[[], object]) -> float:
    """Seconds."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def slope(both: Both) -> Iterator[str]:
    """Readings a second of one to four services on one database, and who used the processor."""
    for ack, load in (("enqueued", Load(4, SECONDS)), ("committed", Load(16, SECONDS))):
        first = 0.0
        for number in SERVICES:
            url = both.empty(ENGINES[1], "slope")["database_url"]
            with ExitStack() as running:
                started = [
                    running.enter_context(one_worker(both.folder / f"slope-{n}", ack, url))
                    for n in range(number)
                ]
                for service in started:
                    wrk.warm_up(service, load)
                before = postgres_sec(both.server)
                measure = partial(wrk.measured, load=load)
                with ThreadPoolExecutor(number) as together:
                    found = list(together.map(measure, started))
                used = (postgres_sec(both.server) - before) / SECONDS
            rate = sum(run["per_sec"] for run in found)
            first = first or rate
            services = sum(r["cpu_s_per_1000"] * r["per_sec"] / 1000 for r in found)
            yield (
                f"| {ack} | {number} | {rate:,.0f} | {rate / first:.2f} |"
                f" {median(r['p99_ms'] for r in found):.1f} | {services:.2f} | {used:.2f} |"
            )


@contextmanager
def one_worker(place: Path, ack: str, url: object) -> Iterator[Service]:
    """A service with one worker, of a host of its own."""
    shutil.rmtree(place, ignore_errors=True)
    settings = {"ack": ack, "workers": 1, "database_url": url, "host_name": place.name}
    with servers.ours(place, None, **settings) as service:
        yield service


def postgres_sec(server: PostgresServer) -> float:
    """The processor time of its processes so far."""
    return sum(servers.cpu_sec(server.processes()))


def row(name: str, sqlite: float, postgres: float) -> str:
    """A line of the first table."""
    digits = 1 if max(sqlite, postgres) < 1000 else 0
    shown = (f"{value:,.{digits if value >= 0.1 else 3}f}" for value in (sqlite, postgres))
    return f"| {name} | {' | '.join(shown)} | {postgres / sqlite:.2f} |"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--parts", nargs="+", choices=["prepare", *PARTS, "slope"])
    given = parser.parse_args()
    parts = given.parts or ["prepare", *PARTS, "slope"]
    if reason := obstacle():
        print(f"The engines are not compared: {reason}")
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    both = Both(given.folder.resolve(), given.rows)
    with running(both.server):
        with both.server.connect() as connection:
            (version,) = connection.execute("SHOW server_version").fetchone() or ("",)
        number = re.sub(r" .*", "", version)
        print(f"{given.rows:,} readings; SQLite {sqlite3.sqlite_version}, PostgreSQL {number}")
        print(json.dumps({"options": OPTIONS}))
        if "prepare" in parts:
            both.prepare()
        print("\n| the same work | SQLite | PostgreSQL | ratio |\n|---|---:|---:|---:|")
        for line in chain.from_iterable(PARTS[name](both) for name in PARTS if name in parts):
            print(line, flush=True)
        if "slope" in parts:
            print(SLOPE_HEAD)
            for line in slope(both):
                print(line, flush=True)


@contextmanager
def running(server: PostgresServer) -> Iterator[None]:
    """Start it, and end it with the block."""
    server.start()
    try:
        yield
    finally:
        server.close()


PARTS = {"ingest": ingest, "pages": pages, "csv": csv_files}
SLOPE_HEAD = """
| ACK | services | readings/s | slope | p99 ms | their CPUs | PostgreSQL's CPUs |
|---|---:|---:|---:|---:|---:|---:|"""


if __name__ == "__main__":
    main()
