"""Both engines at the same work: `make bench-engines`.

PostgreSQL is a server of its own in the folder, with fsync and its defaults but for
`shared_buffers`; both have the same readings, made once by SQL and brought over by `flask10x copy`.
What is answered over HTTP is asked in turn, each time over a connection of its own.
"""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from benchmarks import servers
from benchmarks.filled import STEP_MS
from benchmarks.results import Run
from benchmarks.servers import Bench, Row
from flask10x.readings.stations import BUILT_IN
from tests.e2e.service import PROJECT, Service
from tests.support.postgres import PostgresServer, obstacle

SQLITE, POSTGRES = ENGINES = ("SQLite", "PostgreSQL")
ROWS_STORED = 10_000_000
# What a server for some million rows is given; all else is as Debian delivers it.
ON = dict.fromkeys(("fsync", "full_page_writes", "autovacuum", "jit"), "on")
OPTIONS = ON | {"shared_buffers": "512MB"}
TIMES = 20
DEPTHS = {"page_newest_ms": 0.0, "page_middle_ms": 0.5, "page_deep_ms": 0.98}
CHARTS = {
    "chart_day_ms": "from=-24h&endpoint=data2",
    "chart_measurement_ms": "from=-365d&endpoint=data2&measurement=co2",
    "chart_station_ms": "from=-365d&endpoint=data2",
    "chart_all_ms": "from=-365d",
}
# (https://sqlite.org/dbstat.html)
SIZE = "SELECT sum(pgsize) FROM dbstat WHERE aggregate = 1 AND name LIKE '%readings%'"
CONNECTIONS = {"enqueued": 4, "committed": 16}


class Both:
    """The same readings in a file of SQLite and in PostgreSQL."""

    def __init__(self, place: Path, server: PostgresServer) -> None:
        self.place, self._server = place, server

    def data(self, engine: str) -> Path:
        """The DATA_DIR of the service on that engine."""
        return self.place / engine / "data"

    def settings(self, engine: str, name: str, *, is_new: bool = False) -> dict[str, object]:
        """Those of a service on the database of that name; on SQLite none are needed."""
        if engine == SQLITE:
            return {}
        if is_new:
            self._server.drop(name)
            self._server.create(name)
        return {"database_url": self._server.url(name)}

    def fill(self, bench: Bench) -> float:
        """Lay the readings on both; how many a second `flask10x copy` brings over."""
        file = bench.lay_database(self.place / SQLITE, ROWS_STORED)
        # It is kept, so another version may have made it.
        _run(file.parent, "migrate")
        url = str(self.settings(POSTGRES, "full", is_new=True)["database_url"])
        copy_sec = _run(file.parent, "copy", "--from", f"sqlite:///{file}", "--to", url)
        with self._server.connect("full") as connection:
            connection.execute("VACUUM ANALYZE")
        for engine in ENGINES:
            self.data(engine).mkdir(parents=True, exist_ok=True)
            _run(self.data(engine), "migrate", **self.settings(engine, "full"))
        return (bench.rows or ROWS_STORED) / copy_sec

    def readings_bytes(self, engine: str) -> float:
        """What the readings of `fill` and their indexes take."""
        if engine == POSTGRES:
            with self._server.connect("full") as connection:
                (row,) = connection.execute("SELECT pg_total_relation_size('readings')").fetchall()
        else:
            with closing(sqlite3.connect(self.data(engine) / "flask10x.sqlite3")) as file:
                row = file.execute(SIZE).fetchone()
        return float(row[0])


def _run(data: Path, *arguments: str, **settings: object) -> float:
    """Run a command with this DATA_DIR; the seconds that it took."""
    begin_sec = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "flask10x", *arguments],
        cwd=PROJECT, env=Service(data.parent, 1, settings).environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - begin_sec


@contextmanager
def on_postgres(bench: Bench, slower_ms: int = 0) -> Iterator[tuple[Path, PostgresServer]]:
    """A folder, and a server of PostgreSQL in it that ends with the block.

    Each of its syncs takes so many ms longer than the disk needs.
    """
    with bench.place() as place:
        # As root the server runs as another user.
        place.chmod(0o755)
        server = PostgresServer(place / "postgres", OPTIONS)
        if slower_ms:
            server.environment |= servers.slower_sync(place)(slower_ms)
        server.start()
        try:
            yield place, server
        finally:
            server.close()


def engines(bench: Bench) -> Iterator[Run]:
    """Taking readings, pages, charts, export, import and copy on both, in turn."""
    if reason := obstacle():
        print(f"The engines are not compared: {reason}")
        return
    with on_postgres(bench) as (place, server):
        both = Both(place, server)
        yield from _ingest(both, bench)
        yield Run("engines", POSTGRES, 0, {"copy_per_sec": both.fill(bench)})
        for engine in ENGINES:
            size = both.readings_bytes(engine) / (bench.rows or ROWS_STORED)
            yield Run("engines", engine, 0, {"bytes_per_reading": size})
        yield from _pages(both, bench)
        yield from _csv_files(both, bench)


def _ingest(both: Both, bench: Bench) -> Iterator[Run]:
    for ack, connections in CONNECTIONS.items():
        with ExitStack() as running:
            services = {}
            for engine in ENGINES:
                settings = both.settings(engine, f"ingest_{ack}", is_new=True)
                folder = both.place / f"ingest-{ack}" / engine
                services[engine] = running.enter_context(
                    servers.ours(folder, None, ack=ack, **settings)
                )
            for number in range(bench.rounds):
                for engine, service in services.items():
                    values = servers.full_load(service, connections, bench.seconds)
                    shown = {n: values[n] for n in ("per_sec", "p99_ms", "cpu_s_per_1000")}
                    measured = {f"{ack}_{name}": value for name, value in shown.items()}
                    yield Run("engines", engine, number, measured)


def _pages(both: Both, bench: Bench) -> Iterator[Run]:
    with closing(sqlite3.connect(both.data(SQLITE) / "flask10x.sqlite3")) as connection:
        (newest_ms,) = connection.execute("SELECT max(received_at) FROM readings").fetchone()
    span_ms = (bench.rows or ROWS_STORED) * STEP_MS
    paths = {
        name: f"/history/json?order=desc&limit=50&cursor=before:{at_ms}:{10**12}"
        for name, at_ms in ((n, newest_ms - int(d * span_ms)) for n, d in DEPTHS.items())
    } | {name: f"/history/series?{query}" for name, query in CHARTS.items()}
    with ExitStack() as running:
        ports = {
            engine: running.enter_context(
                servers.ours(both.data(engine).parent, None, **both.settings(engine, "full"))
            ).port
            for engine in ENGINES
        }
        for number in range(bench.rounds):
            for name, path in paths.items():
                answers_ms = servers.asked_in_turn_ms([*ports.values()], path, TIMES)
                for engine, of_engine_ms in zip(ports, answers_ms, strict=True):
                    yield Run("engines", engine, number, {name: of_engine_ms})


def _csv_files(both: Both, bench: Bench) -> Iterator[Run]:
    """The export of all readings, and the import of one station's file into a new database."""
    name = BUILT_IN.by_endpoint["data2"].csv_name
    contents = []
    for engine in ENGINES:
        data = both.data(engine)
        export_sec = _run(data, "export", **both.settings(engine, "full"))
        file = data / "csv" / name
        contents.append(file.read_bytes())
        new = both.place / "import" / engine / "data"
        new.mkdir(parents=True)
        settings = both.settings(engine, "imported", is_new=True)
        _run(new, "migrate", "--new", **settings)
        import_sec = _run(new, "import", str(file), "--endpoint", "data2", **settings)
        rates = {
            "export_per_sec": (bench.rows or ROWS_STORED) / export_sec,
            "import_per_sec": (contents[-1].count(b"\n") - 1) / import_sec,
        }
        yield Run("engines", engine, 0, rates)
    assert contents[0] == contents[1], "the files differ"


ROWS: dict[str, Row] = {"engines": engines}
