"""What is measured: our service and the floor, each a process group of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.e2e.senders import ask
from tests.e2e.service import PROJECT, Service, processes, reserved_port, wait_until

WORKERS = 2
THREADS = 2
START_WITHIN_SEC = 20.0
# As it is delivered; the tests' own default keeps more.
LOG_MAX_BYTES = 1_000_000
TICKS_PER_SEC = os.sysconf("SC_CLK_TCK")
# Of two workers, the one that does less has to do that share of what the other does; with less,
# the connections had come to lie on one, and the run says nothing about two.
BUSY_SHARE = 0.4


class Server(Protocol):
    """A gunicorn with its workers."""

    @property
    def port(self) -> int:
        """Where it listens on the loopback."""

    @property
    def pid(self) -> int:
        """Its master, which leads the process group."""


class Floor:
    """The floor under gunicorn's own threaded worker, as the old server was run."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        options = ["--workers", WORKERS, "--threads", THREADS, "--worker-class", "gthread"]
        options += ["--bind", f"127.0.0.1:{port}"]
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            *map(str, options),
            "benchmarks.bench.floor:app",
        ]
        environment = {k: v for k, v in os.environ.items() if k != "GUNICORN_CMD_ARGS"}
        with (folder / f"floor-{port}.txt").open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its master."""
        return self._process.pid

    def wait(self) -> None:
        """Return when both workers answer."""
        wait_until(self._answers, START_WITHIN_SEC, "the floor answers")
        wait_until(lambda: len(workers_of(self)) == WORKERS, START_WITHIN_SEC, "its workers run")

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the floor has ended"
        try:
            return ask(self.port, "GET", "/healthz").status == 200
        except OSError:
            return False

    def close(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def floor(folder: Path) -> Iterator[Floor]:
    """The floor, for as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with reserved_port() as port:
        server = Floor(folder, port)
        try:
            server.wait()
            yield server
        finally:
            server.close()


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


def workers_of(server: Server) -> list[int]:
    """The process ids of the master's children, in order."""
    return sorted(pid for pid, parent, _ in processes() if parent == server.pid)


def cpu_sec(pids: list[int]) -> list[float]:
    """Processor time of each process so far, user and system, all threads."""
    found = []
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # utime and stime: the 14th and 15th field of proc_pid_stat(5).
        found.append((int(fields[11]) + int(fields[12])) / TICKS_PER_SEC)
    return found


def both_busy(shares: list[float]) -> bool:
    """Whether these seconds of processor of the workers are such that all of them had work."""
    return len(shares) == WORKERS and min(shares) >= BUSY_SHARE * max(shares) > 0
