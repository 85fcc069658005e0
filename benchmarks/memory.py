"""Measure the memory that the service needs; what its processes share counts once.

Run it from the checkout; `make test` installs what it needs:

    .venv/bin/python -m benchmarks.memory > benchmarks/memory.md

Each service gets the same: 600 readings over connections of their own and 600 over four that are
kept, pages, charts and downloads; where it says so, the database has 400,000 readings before, and
six people load charts and searches of them. Two seconds later the memory is read from
`/proc/<pid>/smaps_rollup`: of anonymous memory each process's share (`Pss_Anon`), of files (the
interpreter, libraries) what one process has in memory, as if nothing else on the machine used
them. "Its own" is what a worker alone has changed (`Private_Dirty`). The floor is the smallest
Flask application that parses the body, served as the old server was (gthread, 2 x 2).
"""

import json
import platform
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.e2e.conftest import make_services
from tests.e2e.senders import Client, ask
from tests.e2e.service import processes, reserved_port, wait_until
from tests.support.new_database import lay_new_database

STARTS = 3
READINGS = 600
SETTLE_SEC = 2.0
FLOOR_NAME = "floor, 2 workers"
# How many workers, and how many readings are in the database before.
KINDS = {
    FLOOR_NAME: (0, 0),
    "Flask10X, 2 workers": (2, 0),
    "Flask10X, 1 worker": (1, 0),
    "2 workers after charts of 400,000 readings": (2, 400_000),
    "1 worker after charts of 400,000 readings": (1, 400_000),
}
FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO readings (endpoint, received_at, co2, temperature, humidity, pressure, gas_resistance)
SELECT 'data' || (2 + i % 2), 1700000000000 + 5000 * i, 650.5, 25.1, 52.3, 1013.25, 12561247.87
FROM n"""
FLOOR = """
from flask import Flask, request

app = Flask(__name__)

@app.post("/<endpoint>")
def take(endpoint):
    request.get_json()
    return {"status": "enqueued"}

@app.get("/<path:_path>")
def ask(_path):
    return {"status": "ok"}
"""
BODIES = {
    "data": {"temperature": "25.1C", "pressure": "1013.25hPa"},
    "data2": {
        "co2": 650,
        "temperature": 25.1,
        "humidity": 52.3,
        "pressure": 1013.2,
        "gas_res": 12561.5,
    },
}
PAGES = (
    *("/healthz", "/metrics", "/readyz", "/history", "/history?endpoint=data2&gt=co2:600"),
    *("/history/json", "/history/series?measurement=temperature", "/history.csv"),
    "/history/rejected",
)
CHARTS = (
    *PAGES[3:7],
    "/history/series?measurement=temperature&from=2023-11-20&to=2023-12-20",
    *("/history/series?measurement=co2&gt=co2:600", "/history?endpoint=data2&gt=co2:649"),
)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the processes of one service have, in MB."""

    files: float
    master: float
    workers: tuple[float, ...]
    own: float

    @property
    def together(self) -> float:
        """All of them; what they share counts once."""
        return self.files + self.master + sum(self.workers)


def use(port: int) -> None:
    """What a house does in a few hours."""
    for number in range(READINGS):
        endpoint = ("data", "data2")[number % 2]
        body = json.dumps(BODIES[endpoint]).encode()
        assert ask(port, "POST", f"/{endpoint}", body, "application/json").status == 200
    for _ in range(4):
        client = Client(port, keep_alive=True)
        for _ in range(READINGS // 4):
            assert client.post("data", json.dumps(BODIES["data"]).encode()).status == 200
        client.close()
    for _ in range(6):
        for page in PAGES:
            ask(port, "GET", page)


def look_around(port: int) -> None:
    """Six people with charts and searches, at the same time."""

    def load() -> None:
        for _ in range(3):
            for page in CHARTS:
                ask(port, "GET", page)

    people = [threading.Thread(target=load) for _ in range(6)]
    for person in people:
        person.start()
    for person in people:
        person.join()


def memory_of(master: int) -> Memory:
    """Read it from the kernel."""
    workers = [pid for pid, parent, _ in processes() if parent == master]
    files = max(_rollup(pid, "Rss") - _rollup(pid, "Anonymous") for pid in (master, *workers))
    shares = tuple(_rollup(pid, "Pss_Anon") for pid in workers)
    own = median(_rollup(pid, "Private_Dirty") for pid in workers)
    return Memory(files, _rollup(master, "Pss_Anon"), shares, own)


def _rollup(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


@contextmanager
def floor(folder: Path) -> Iterator[tuple[int, int]]:
    """The smallest application; its port and its master."""
    (folder / "floor.py").write_text(FLOOR)
    with ExitStack() as stack:
        port = stack.enter_context(reserved_port())
        options = ["--workers=2", "--threads=2", "--worker-class=gthread", "--no-control-socket"]
        command = [sys.executable, "-m", "gunicorn", *options, f"--bind=127.0.0.1:{port}"]
        process = subprocess.Popen(
            [*command, "floor:app"], cwd=folder, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: _answers(port), 20, "the floor answers")
            yield port, process.pid
        finally:
            process.terminate()
            process.wait()


def _answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/healthz").status == 200
    except OSError:
        return False


@contextmanager
def ours(folder: Path, workers: int, rows: int) -> Iterator[tuple[int, int]]:
    """The service with its defaults but for the workers; its port and its master."""
    with make_services(folder) as make:
        service = make(start=False, workers=workers)
        lay_new_database(service.database)
        with closing(sqlite3.connect(service.database)) as connection:
            connection.execute(FILL, (rows,))
            connection.commit()
        service.start()
        wait_until(lambda: len(service.workers()) == workers, 20, "the workers run")
        yield service.port, service.pid


def measured(workers: int, rows: int) -> Memory:
    """Start, use, look; no workers is the floor."""
    # A service shows its output when it ends.
    with tempfile.TemporaryDirectory() as name, redirect_stdout(sys.stderr):
        folder = Path(name)
        with ours(folder, workers, rows) if workers else floor(folder) as (port, master):
            use(port)
            if rows:
                look_around(port)
            time.sleep(SETTLE_SEC)
            return memory_of(master)


def main() -> None:
    """Print the table."""
    found: dict[str, list[Memory]] = {name: [] for name in KINDS}
    for _ in range(STARTS):
        for name, (workers, rows) in KINDS.items():
            found[name].append(measured(workers, rows))
    print("# The memory of the service\n")
    print(f"SQLite {sqlite3.sqlite_version}, Python {platform.python_version()}; MB, the median of")
    print(
        f"{STARTS} starts. Made by `benchmarks/memory.py`; its docstring says what a row measures."
    )
    print("\n| | together | times the floor | files | master | a worker | its own |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    least = median(one.together for one in found[FLOOR_NAME])
    for name, memories in found.items():
        together = median(one.together for one in memories)
        parts = (
            median(one.files for one in memories),
            median(one.master for one in memories),
            median(share for one in memories for share in one.workers),
            median(one.own for one in memories),
        )
        columns = " | ".join(f"{part:.1f}" for part in parts)
        print(f"| {name} | {together:.1f} | {together / least:.2f} | {columns} |")


if __name__ == "__main__":
    main()
