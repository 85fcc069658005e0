"""Measure what a backup does to the running service: answers, WAL, memory.

Run it from the checkout, with the folder on a real disk (no tmpfs); `make test` installs what it
needs:

    PYTHONPATH=. .venv/bin/python benchmarks/backup_load.py            # a million rows, 2 minutes
    PYTHONPATH=. .venv/bin/python benchmarks/backup_load.py --rows 10000000

A real service holds a database of that many rows. A probe posts a reading every 20 ms, alone, and
then beside four clients that post as fast as they are answered. Each time: ten seconds without a
backup, three backups by the command line, ten seconds without. It prints a Markdown table.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from tests.e2e.conftest import make_services
from tests.e2e.load import Load
from tests.e2e.senders import Client
from tests.e2e.service import Service

BACKUPS = 3
QUIET_SEC = 10.0
PROBE_EVERY_SEC = 0.02
LOOK_EVERY_SEC = 0.01
BODY = json.dumps({"pressure": 1013.25, "temperature": 25.1}).encode()
FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO readings (endpoint, received_at, co2, temperature, humidity, pressure, gas_resistance)
SELECT 'data' || (2 + i % 2), 1700000000000 + 5000 * i, 650.5, 25.1, 52.3, 1013.25, 12561247.87
FROM n"""


@dataclass(slots=True)
class Watch:
    """A probe that posts at a steady pace, and the greatest size of the WAL."""

    service: Service
    latencies_ms: list[float] = field(default_factory=list)
    longest_wal: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch while the block runs."""
        threads = [threading.Thread(target=run) for run in (self._probe, self._look)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _probe(self) -> None:
        client = Client(self.service.port, keep_alive=False)
        while not self._stop.wait(PROBE_EVERY_SEC):
            started = time.perf_counter()
            assert client.post("data", BODY).status in (200, 503)
            self.latencies_ms.append((time.perf_counter() - started) * 1000)

    def _look(self) -> None:
        while not self._stop.wait(LOOK_EVERY_SEC):
            self.longest_wal = max(self.longest_wal, wal_bytes(self.service))


def wal_bytes(service: Service) -> int:
    """The size of the WAL now."""
    return service.database.with_name("flask10x.sqlite3-wal").stat().st_size


def fill(service: Service, rows: int) -> None:
    """Store this many rows behind the service's back."""
    with closing(sqlite3.connect(service.database)) as connection:
        connection.execute(FILL, (rows,))
        connection.commit()


def back_up(service: Service) -> tuple[float, float]:
    """One backup by the command line: seconds, and the most memory it had, in MB."""
    command = [sys.executable, "-m", "flask10x", "backup", str(service.folder / "backups")]
    started = time.perf_counter()
    with subprocess.Popen([*command, "--keep", "1"], env=service.environment) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - started, usage.ru_maxrss / 1000


def measure(service: Service, name: str, load: Load | None) -> None:
    """Print the table's rows of one kind of load."""
    for phase in ("before", "backups", "after"):
        watch, taken = Watch(service), []
        stored, started = service.count(), time.perf_counter()
        with watch.running():
            if phase == "backups":
                taken = [back_up(service) for _ in range(BACKUPS)]
            else:
                time.sleep(QUIET_SEC)
        seconds = time.perf_counter() - started
        rate = (service.count() - stored) / seconds
        print(row(name, phase, rate, watch, wal_bytes(service), taken))
    if load is not None:
        print(f"\n{name}: {dict(load.statuses)}, slowest {load.slowest_sec:.3f} s\n")


def row(
    name: str, phase: str, rate: float, watch: Watch, wal: int, taken: list[tuple[float, float]]
) -> str:
    """One row of the table."""
    p99 = quantiles(watch.latencies_ms, n=100)[98]
    latencies = f"{median(watch.latencies_ms):.1f} / {p99:.1f} / {max(watch.latencies_ms):.1f}"
    seconds = ", ".join(f"{sec:.1f}" for sec, _ in taken)
    memory = f"{max(mb for _, mb in taken):.0f}" if taken else ""
    sizes = f"{watch.longest_wal / 1e6:.1f} | {wal / 1e6:.1f}"
    return f"| {name} | {phase} | {rate:.0f} | {latencies} | {sizes} | {seconds} | {memory} |"


def main() -> None:
    """Measure a steady probe alone, then beside four clients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with (
        tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder,
        make_services(Path(folder)) as make,
    ):
        service = make()
        fill(service, rows)
        print(f"{rows} rows, {service.database.stat().st_size / 1e6:.0f} MB\n")
        print(
            "| load | phase | stored/s | probe ms p50 / p99 / max | longest WAL MB | WAL MB at end"
            " | backups s | MB |\n|---|---|---:|---:|---:|---:|---|---:|"
        )
        measure(service, "probe only", None)
        load = Load(service.port)
        with load.running():
            measure(service, "four clients", load)


if __name__ == "__main__":
    main()
