"""A real service: `flask10x serve` in a process of its own, on a free loopback port."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flask10x.recording.queue_file import queue_path
from tests.e2e.senders import (
    HOST,
    JSON_TYPE,
    Answer,
    ask,
    raw_connection,
    read_answer,
    reading_of,
)
from tests.support import databases, rows
from tests.support.commands import can_be_forked, in_words, run_command
from tests.support.databases import lay_empty_database
from tests.support.new_database import lay_new_database

PROJECT = Path(__file__).resolve().parents[2]
DATABASE_URL = "FLASK10X_DATABASE_URL"
ZONE = "Asia/Tokyo"
WORKERS = 2
# For what only a slow machine delays. What a fault would delay by gunicorn's graceful_timeout,
# 30 s, has a bound below that.
PATIENCE_SEC = 60.0
# The unit's TimeoutStopSec has to be longer than gunicorn's graceful_timeout; this is the latter.
STOP_WITHIN_SEC = 30.0
COMMAND_WITHIN_SEC = 120.0
# Many things are waited for by looking through all processes, or by asking the service: who has
# waited for long looks less often.
POLL_SEC, LONGEST_POLL_SEC = 0.005, 0.05
POLLS_WHILE_WAITING = 20
# Numbers that no test gives to its readings.
_MARKS = itertools.count(10**9)


def wait_until(condition: Callable[[], object], within_sec: float, what: str) -> None:
    """Return as soon as the condition holds; fail when it does not in time."""
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        assert waited < within_sec, f"not within {within_sec} s: {what}"
        time.sleep(min(max(POLL_SEC, waited / POLLS_WHILE_WAITING), LONGEST_POLL_SEC))


@contextmanager
def reserved_port() -> Iterator[int]:
    """A loopback port that nobody else is given while the block runs.

    The socket is bound but does not listen, so a server that sets SO_REUSEADDR can listen there.
    """
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, 0))
        yield sock.getsockname()[1]


def processes() -> Iterator[tuple[int, int, int]]:
    """(pid, parent's pid, process group) of every process that has not ended."""
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"{entry.path}/stat", "rb") as file:
                stat = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent, group = stat.rpartition(b")")[2].split()[:3]
        if state not in b"ZX":
            yield int(entry.name), int(parent), int(group)


def open_files(pid: int) -> list[str]:
    """What the descriptors of a process point to."""
    targets = []
    # The process may end meanwhile, and each of its files be closed.
    with suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                targets.append(str(descriptor.readlink()))
    return targets


class Service:
    """One `flask10x serve` over its own folder; it can be stopped and started again."""

    def __init__(self, folder: Path, port: int, settings: Mapping[str, object]) -> None:
        self.folder = folder
        self.port = port
        self.data_dir = folder / "data"
        self.database = self.data_dir / databases.FILE_NAME
        self.csv_dir = self.data_dir / "csv"
        self.log_dir = self.data_dir / "logs"
        self.environment = _environment(self.data_dir, port, settings)
        self.number_of_workers = int(self.environment.get("FLASK10X_WORKERS", WORKERS))
        self.umask = -1
        """That of everything that is run; -1 for the one of the tests."""
        self.wrapper: tuple[str, ...] = ()
        """A command that runs everything else: `strace`, say; it has to keep the process id."""
        self.python = sys.executable
        """The Python that runs everything; that of another installation runs that one."""
        self.starts_migrated = True
        """Whether `start` puts an empty database there, instead of the service's migration."""
        self._output = folder / f"output-{port}.txt"
        self._process: subprocess.Popen[bytes] | None = None

    # The process

    def start(self, *options: str) -> None:
        """Start the service and wait until it answers; fail with its output when it ends."""
        if self.starts_migrated and self._has_our_database():
            lay_new_database(self.database)
        self.launch(*options)
        wait_until(self._answers, PATIENCE_SEC, f"/healthz answers\n{self.output()}")

    def launch(self, *options: str) -> None:
        """Start the process, with these options of `serve`, and do not wait for it."""
        self.close()
        self.spawn(*options)

    def spawn(self, *options: str, inherited: Sequence[int] = ()) -> None:
        """Start the process with these descriptors; what a former one has left stays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lay_empty_database()
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [*self.wrapper, self.python, "-m", "flask10x", "serve", *options],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=self.umask,
                pass_fds=inherited,
            )

    def _has_our_database(self) -> bool:
        own = databases.variables(self.data_dir).get(DATABASE_URL)
        return self.environment.get(DATABASE_URL) == own

    def _lay_empty_database(self) -> None:
        if self._has_our_database():
            lay_empty_database(self.database)

    def _answers(self) -> bool:
        status = self.process.poll()
        assert status is None, f"`flask10x serve` ended with {status}:\n{self.output()}"
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process last started."""
        assert self._process is not None, "the service was never started"
        return self._process

    @property
    def pid(self) -> int:
        """The process id of gunicorn's master."""
        return self.process.pid

    def workers(self) -> set[int]:
        """The process ids of the master's children."""
        return {pid for pid, parent, _ in processes() if parent == self.pid}

    def wait_for_workers(self) -> None:
        """Return when all workers run."""
        number = self.number_of_workers
        wait_until(lambda: len(self.workers()) == number, 25, f"{number} workers run")

    def members(self) -> set[int]:
        """Every living process of this service, orphans included."""
        return {pid for pid, _, group in processes() if group == self.pid}

    def worker_of(self, sock: socket.socket) -> int | None:
        """The worker that has accepted this connection, or None when none has yet."""
        inode = _server_inode(self.port, sock.getsockname()[1])
        name = f"socket:[{inode}]"
        return next((pid for pid in self.workers() if name in open_files(pid)), None)

    def stop(
        self, how: signal.Signals = signal.SIGTERM, within_sec: float = STOP_WITHIN_SEC
    ) -> None:
        """Signal the master; it has to end in time, with status 0, and to leave no process."""
        self.process.send_signal(how)
        try:
            status = self.process.wait(within_sec)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {within_sec} s after {how.name}") from None
        assert status == 0, f"exit status {status} after {how.name}:\n{self.output()}"
        assert self.members() == set(), f"processes left behind after {how.name}"

    def close(self) -> None:
        """End whatever is still alive, without mercy."""
        if self._process is None:
            return
        if self.members():
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        wait_until(lambda: not self.members(), 25, "the killed processes are gone")
        self._process = None

    def discard(self) -> None:
        """The same for good: what a killed one leaves in memory for its next start goes, too."""
        self.close()
        queue_path(self.database.resolve()).unlink(missing_ok=True)

    def output(self) -> str:
        """What the service has written to its standard output and error so far."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    # Its answers

    def get(self, path: str) -> Answer:
        """GET over a connection of its own."""
        return ask(self.port, "GET", path)

    def get_from_each(self, path: str) -> list[Answer]:
        """GET until each worker that runs now has answered; all answers, in their order."""
        request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        answers: list[Answer] = []
        asked: set[int | None] = set()

        def all_have_answered() -> bool:
            with raw_connection(self.port) as sock:
                sock.sendall(request)
                answers.append(read_answer(sock))
                asked.add(self.worker_of(sock))
            return self.workers() <= asked

        wait_until(all_have_answered, PATIENCE_SEC, "each worker has answered")
        return answers

    def post(
        self, endpoint: str, body: bytes | object, content_type: str | None = JSON_TYPE
    ) -> Answer:
        """POST over a connection of its own; anything but bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return ask(self.port, "POST", f"/{endpoint}", data, content_type)

    # What it keeps

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query, seen from a connection of the test's own."""
        return rows.select(self.database, query, *parameters)

    def count(self) -> int:
        """How many readings are stored."""
        (number,) = self.rows("SELECT count(*) FROM readings")[0]
        assert isinstance(number, int)
        return number

    def wait_for_rows(self, number: int, within_sec: float = PATIENCE_SEC) -> None:
        """Return when exactly this many readings are stored."""
        wait_until(lambda: self.count() >= number, within_sec, f"{number} rows stored")
        assert self.count() == number

    def check_integrity(self) -> None:
        """SQLite's own check of every page of the database; PostgreSQL has none without a tool."""
        assert databases.ON_POSTGRES or self.rows("PRAGMA integrity_check") == [("ok",)]

    def log(self) -> list[str]:
        """The lines of the log, rotated generations included, oldest first."""
        files = sorted(self.log_dir.glob("flask10x.log*"), key=_generation, reverse=True)
        texts = (file.read_text(encoding="utf-8") for file in files if _generation(file) >= 0)
        return list(itertools.chain.from_iterable(text.splitlines() for text in texts))

    def wait_for_line(self, text: str, within_sec: float = PATIENCE_SEC, *, after: int = 0) -> None:
        """Return when a line of the log, behind so many, has this text; a thread writes them."""
        wait_until(
            lambda: any(text in line for line in self.log()[after:]), within_sec, f"a line: {text}"
        )

    def settled_log(self) -> list[str]:
        """The lines of the log, with all that was said before: each worker has written a later one.

        Stores some readings of `/data2`, so the service has to be well.
        """
        last: dict[int | None, str] = {}

        def all_have_said_more() -> bool:
            with raw_connection(self.port) as sock:
                body = json.dumps(reading_of(number := next(_MARKS))).encode()
                head = f"POST /data2 HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n"
                sock.sendall(f"{head}Content-Type: {JSON_TYPE}\r\n\r\n".encode() + body)
                assert read_answer(sock).status == 200
                last[self.worker_of(sock)] = f" gas_res={float(number)} "
            return self.workers() <= last.keys()

        wait_until(all_have_said_more, 60, "each worker takes a reading")
        for text in last.values():
            self.wait_for_line(text)
        return self.log()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Python with these arguments on the same settings; the status is the caller's to check."""
        self._lay_empty_database()
        return subprocess.run(
            [*self.wrapper, self.python, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_SEC,
            check=False,
            umask=self.umask,
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`flask10x` with these arguments on the same settings; the caller checks the status.

        By a new Python where the test has changed how Python starts: by a hook, say.
        """
        if self.wrapper or self.python != sys.executable or not can_be_forked(self.environment):
            return self.run("-m", "flask10x", *arguments)
        self._lay_empty_database()
        return in_words(
            run_command(arguments, self.environment, folder=self.folder, umask=self.umask)
        )

    def export(self) -> None:
        """Run `flask10x export`, which has to succeed."""
        _check(self.command("export"))

    def export_by_cron(self) -> None:
        """Run the script that crontabs name, which has to succeed."""
        _check(self.run(str(PROJECT / "scripts" / "export_csv.py")))


def _check(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def _environment(data_dir: Path, port: int, settings: Mapping[str, object]) -> dict[str, str]:
    """The inherited environment without our own settings and gunicorn's, and these instead."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FLASK10X_") and name != "GUNICORN_CMD_ARGS"
    }
    # Under load the default keeps the lines of the last minute only, and tests look for early ones.
    ours = {"data_dir": data_dir, "bind": f"{HOST}:{port}", "timezone": ZONE}
    ours |= {"log_max_bytes": 100_000_000, **settings}
    # Not the file of a service that this machine has.
    ours = {"env_file": ""} | ours
    given = {f"FLASK10X_{name.upper()}": str(value) for name, value in ours.items()}
    return {**inherited, "PYTHONPATH": str(PROJECT), **databases.variables(data_dir), **given}


def _generation(file: Path) -> int:
    """0 for `flask10x.log`, 1 for `flask10x.log.1`, ...; -1 for what is no log file."""
    match = re.fullmatch(r"flask10x\.log(?:\.(\d+))?", file.name)
    return int(match[1] or 0) if match else -1


def _server_inode(server_port: int, client_port: int) -> str:
    """The inode of the server's end of a loopback connection; empty when there is none."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, *rest = line.split()
        ports = tuple(int(address.partition(":")[2], 16) for address in (local, remote))
        if ports == (server_port, client_port):
            return rest[6]
    return ""
