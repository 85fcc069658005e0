"""What is measured: our service and the floor, each a process group of its own."""

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import load
from benchmarks.filled import database_of
from benchmarks.results import Run
from tests.e2e.senders import ask
from tests.e2e.service import PATIENCE_SEC, PROJECT, Service, processes, reserved_port, wait_until
from tests.support.postgres import PostgresServer

ANSWER_WITHIN_SEC, LONG_MS = 600.0, 5000
# As it is delivered; the tests' own default keeps more.
LOG_MAX_BYTES = 1_000_000
# Of two workers, the one that does less has to do that share of what the other does; with less,
# the connections had come to lie on one, and the run says nothing about two.
BUSY_SHARE = 0.4
COMPILER = shutil.which("cc") or shutil.which("gcc")
SLOW_SYNC = Path(__file__).with_name("slowsync.c")


@dataclass(frozen=True, slots=True)
class Bench:
    """Where it is measured, and how long."""

    folder: Path
    """On a real disk; made databases are kept here."""
    rounds: int
    """How often each side is measured, in turn."""
    seconds: int
    """How long a run at full load is."""
    rows: int | None = None
    """How many readings a database has, in the place of each row's own number."""
    hour_sec: int = 300
    """Within how many seconds `statements` does what takes an hour."""

    @contextmanager
    def place(self) -> Iterator[Path]:
        """A folder for the files of one service, thrown away at the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="run-") as name:
            yield Path(name).resolve()

    def lay_database(self, place: Path, rows: int) -> Path:
        """Put a copy of a database of so many readings where a service in that place looks."""
        database = place / "data" / "flask10x.sqlite3"
        database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(database_of(self.folder, self.rows or rows), database)
        return database


Row = Callable[[Bench], Iterator[Run]]
"""Measures, and gives each run as soon as it is there."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The floor under gunicorn's own threaded worker, as the old server was run."""

    port: int
    pid: int
    """Of the master, which leads the process group."""

    def is_ready(self) -> bool:
        """Whether both workers are there."""
        try:
            return ask(self.port, "GET", "/healthz").status == 200 and len(workers_of(self)) == 2
        except OSError:
            return False


@contextmanager
def floor(folder: Path) -> Iterator[Floor]:
    """The floor, for as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with reserved_port() as port, (folder / "floor.txt").open("ab") as output:
        options = ["--workers=2", "--threads=2", "--worker-class=gthread", "--no-control-socket"]
        command = [sys.executable, "-m", "gunicorn", *options, f"--bind=127.0.0.1:{port}"]
        process = subprocess.Popen(
            [*command, "benchmarks.floor:app"], cwd=PROJECT, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            server = Floor(port, process.pid)
            wait_until(server.is_ready, PATIENCE_SEC, "the floor answers")
            yield server
        finally:
            process.terminate()
            process.wait()


@contextmanager
def ours(
    folder: Path, environment: Mapping[str, str] | None = None, **settings: object
) -> Iterator[Service]:
    """Our service with its defaults and these settings, for as long as the block runs.

    It uses the database `folder/data/flask10x.sqlite3`, an empty one where there is none.
    """
    with reserved_port() as port:
        service = Service(folder, port, {"log_max_bytes": LOG_MAX_BYTES} | settings)
        service.environment.update(environment or {})
        try:
            service.start()
            service.wait_for_workers()
            yield service
        finally:
            service.discard()


def workers_of(server: Service | Floor) -> list[int]:
    """The process ids of the master's children, in order."""
    return sorted(pid for pid, parent, _ in processes() if parent == server.pid)


def cpu_sec(pid: int) -> float:
    """Processor time of a process so far, user and system, of all threads."""
    # The clock that clock_getcpuclockid(3) names, to the nanosecond: what a page takes is as long
    # as a tick of /proc/<pid>/stat.
    return time.clock_gettime(((~pid) << 3) | 2)


def used_sec(services: Sequence[Service], server: PostgresServer | None = None) -> dict[str, float]:
    """Processor time so far of the services, and of the database's server where there is one."""
    of_services = [pid for s in services for pid in (s.pid, *workers_of(s))]
    used = {"service": sum(map(_cpu_sec_or_none, of_services))}
    if server is not None:
        ended_sec = _of_ended_children_sec(server.pid)
        used["database"] = ended_sec + sum(map(_cpu_sec_or_none, server.processes()))
    return used


def _cpu_sec_or_none(pid: int) -> float:
    """0 when it has ended meanwhile."""
    with suppress(OSError):
        return cpu_sec(pid)
    return 0.0


def _of_ended_children_sec(pid: int) -> float:
    """Processor time of the children that this process has waited for: connections come and go."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")


def full_load(
    server: Service | Floor, connections: int, seconds: float, *, keep_alive: bool = True
) -> dict[str, float]:
    """What a run at full load gives; `both_busy` is 1 when each worker had its share of the work.

    Processor time is that of the master and its workers for each 1,000 readings that were accepted,
    those of the warm-up included.
    """
    pids = [server.pid, *workers_of(server)]
    before = [cpu_sec(pid) for pid in pids]
    account = load.full(server.port, connections, seconds, keep_alive=keep_alive)
    used = [cpu_sec(pid) - sec for pid, sec in zip(pids, before, strict=True)]
    return account | {
        "cpu_s_per_1000": sum(used) / max(account["accepted_in_all"], 1) * 1000,
        "per_sec": account["accepted"] / seconds,
        "both_busy": float(len(used) > 2 and min(used[1:]) >= BUSY_SHARE * max(used[1:]) > 0),
    }


def asked_ms(port: int, path: str, times: int) -> float:
    """The median of so many answers after the first; NaN when there is none with a 200."""
    return asked_in_turn_ms([port], path, times)[0]


def asked_in_turn_ms(ports: Sequence[int], path: str, times: int) -> list[float]:
    """The same of several services, one answer of each at a time."""
    answers_ms: list[list[float]] = [[] for _ in ports]
    for place in range(times + 1):
        for port, of_port in zip(ports, answers_ms, strict=True):
            of_port.append(_answered_ms(port, path))
        # Of what takes so long, one is enough.
        if place and max(of_port[place] for of_port in answers_ms) > LONG_MS:
            break
    return [median(of_port[1:]) for of_port in answers_ms]


def _answered_ms(port: int, path: str) -> float:
    started_sec = time.perf_counter()
    if ask(port, "GET", path, timeout_sec=ANSWER_WITHIN_SEC).status != 200:
        return math.nan
    return (time.perf_counter() - started_sec) * 1000


def slower_sync(folder: Path) -> Callable[[int], dict[str, str]]:
    """Compile the library that stands for a slow disk; what a service needs for so many ms."""
    library = folder / "slowsync.so"
    options = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([str(COMPILER), *options, str(SLOW_SYNC)], check=True)
    return lambda ms: {"LD_PRELOAD": str(library), "SLOWSYNC_MS": str(ms)}
