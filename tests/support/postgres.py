"""A real PostgreSQL server of the tests' own, on loopback: Debian's, or what POSTGRES_BIN names.

One server is there for the whole run, for all processes of it: `shared()`. A test that kills,
stops or replicates a server has its own: `own_server()`. None outlives what has started it
(`postgres_guard.py`). It keeps nothing safe: `fsync` is off, but a killed process loses nothing by
that, only a machine without power does.
"""

import atexit
import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

HOST = "127.0.0.1"
INSTALLED = Path("/usr/lib/postgresql")
VERSIONS = (17, 16, 15)
# Says where the binaries are: the newest of VERSIONS, if it is not set.
BIN_VARIABLE = "POSTGRES_BIN"
# The folder of the shared server, the same in all processes of a run, and whom its guard follows.
FOLDER_VARIABLE, RUN_VARIABLE = "TESTS_POSTGRES_FOLDER", "TESTS_POSTGRES_RUN"
# PostgreSQL refuses to run as root; Debian's package makes this user.
USER = "postgres"
START_WITHIN_SEC, STOP_WITHIN_SEC = 60.0, 60.0
POLL_SEC = 0.02
PORTS = range(20_000, 32_000)
MEMORY = Path("/dev/shm")
# Twice what `max_wal_size` allows.
MEMORY_MIN_BYTES = 4 * 2**30
GUARD = Path(__file__).with_name("postgres_guard.py")
RUN_GUARD = Path(__file__).with_name("run_guard.py")
# A restart of it that loses no more than a page cache; no plan that depends on when it ran.
OPTIONS: Mapping[str, object] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": 600,
    "shared_buffers": "128MB",
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    # Hundreds of databases that live for a moment: looking through them would be all it does.
    "autovacuum": "off",
    "max_wal_size": "2GB",
    "log_line_prefix": "%m [%p] %d ",
}


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`; None when there is none."""
    named = os.environ.get(BIN_VARIABLE)
    folders = [Path(named)] if named else [INSTALLED / str(v) / "bin" for v in VERSIONS]
    wanted = ("initdb", "postgres")
    return next((f for f in folders if all((f / name).exists() for name in wanted)), None)


@cache
def obstacle() -> str:
    """Why no server can be started here, for a skipped test; empty when one can."""
    if binaries() is None:
        return f"no PostgreSQL {VERSIONS[-1]} to {VERSIONS[0]}: apt install postgresql-17"
    if find_spec("psycopg") is None:
        return "no psycopg: pip install 'flask10x[postgres]'"
    if os.geteuid() == 0 and USER not in {entry.pw_name for entry in pwd.getpwall()}:
        return f"no user {USER}, as whom root would start PostgreSQL"
    return ""


class PostgresServer:
    """One server with its data in a folder; it can be stopped, killed and started again."""

    def __init__(
        self,
        folder: Path,
        options: Mapping[str, object] | None = None,
        *,
        follow: int = 0,
        temporary: bool = False,
    ) -> None:
        """It ends with the process `follow`, else with this one; a temporary folder goes with it.

        Options are those of `postgresql.conf`.
        """
        self.folder = folder
        self.data = folder / "data"
        self.log_file = folder / "log.txt"
        self.environment: dict[str, str] = {}
        """For its processes, beside what is inherited."""
        self.port = 0
        self._follow = follow or os.getpid()
        self._temporary = temporary
        self._options = {**OPTIONS, **(options or {})}
        self._guard: subprocess.Popen[bytes] | None = None
        self._admin: psycopg.Connection[Any] | None = None

    # The process

    def start(self) -> None:
        """Start it, with a new cluster if there is none, and wait until it answers."""
        assert self._guard is None, "it runs already"
        self.port = self.port or _free_port()
        if not self.data.exists():
            self._make_cluster()
        options = {"port": self.port, **self._options}
        given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        inherited = os.environ | self.environment
        with self.log_file.open("ab") as log:
            self._guard = subprocess.Popen(
                [*self._guarded(), _binary("postgres"), "-D", self.data, *given],
                cwd="/",
                # Not marked as of the run: the guard ends the server, and then removes its folder.
                env={k: v for k, v in inherited.items() if k != FOLDER_VARIABLE},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl+C is for the tests, which may want the server until they have ended.
                start_new_session=True,
            )
        self._wait_until_it_answers()

    @property
    def pid(self) -> int:
        """That of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it: SIGQUIT at once, SIGINT breaks sessions off, SIGTERM waits for them."""
        self._disconnect()
        os.kill(self.pid, how)
        self._wait_for_end()

    def kill(self) -> None:
        """SIGKILL for all of its processes."""
        self._disconnect()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._wait_for_end()

    def cut_power(self, cut: Callable[[], None]) -> None:
        """All of it stands still, its disk loses its power by this call, and it is killed."""
        self._disconnect()
        self.freeze()
        # Where they are noted cannot be read afterwards.
        frozen = self.processes()
        cut()
        for pid in frozen:
            os.kill(pid, signal.SIGKILL)
        self._wait_for_end()

    def restart(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop and start it, on the same port."""
        self.stop(how)
        self.start()

    def freeze(self) -> None:
        """All of its processes stand still: connections stay, nothing answers."""
        # The postmaster first: it starts no further one then.
        os.kill(self.pid, signal.SIGSTOP)
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)
            while _state(pid) not in "TZ":
                time.sleep(POLL_SEC)

    def thaw(self) -> None:
        """They go on."""
        for pid in reversed(self.processes()):
            # One that was not frozen may have ended.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def processes(self) -> list[int]:
        """The postmaster and its children."""
        postmaster = self.pid
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]

    def close(self) -> None:
        """End it if it runs."""
        self._disconnect()
        if self._guard is not None and self._guard.poll() is None:
            self.thaw()
            self.stop()
        self._guard = None

    def leave(self) -> None:
        """Let go of it while it runs on, for it follows another process."""
        self._disconnect()
        if self._guard is not None:
            # Else Python warns of a process that was forgotten.
            self._guard.returncode = 0

    def log(self) -> str:
        """What it has logged so far."""
        return self.log_file.read_text(errors="replace")

    # Its databases

    def url(self, database: str = "postgres") -> str:
        """What FLASK10X_DATABASE_URL is for this database."""
        return f"postgresql+psycopg://{USER}@{HOST}:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        """A connection of the test's own, each statement of it a transaction."""
        import psycopg  # noqa: PLC0415

        return psycopg.connect(self.url(database).replace("+psycopg", ""), autocommit=True)

    def create(self, name: str, template: str = "template1") -> None:
        """Make a database, as this one is; nobody may be connected to that one."""
        # Copying its files takes four fifths of the time of writing them into the log, 24 ms.
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')

    def drop(self, name: str) -> None:
        """Remove a database, if there is one, whoever is connected."""
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def rename(self, name: str, new: str) -> None:
        """Give a database another name; nobody may be connected."""
        self._run(f'ALTER DATABASE "{name}" RENAME TO "{new}"')

    def exists(self, name: str) -> bool:
        """Whether there is a database of this name."""
        found = self._run("SELECT 1 FROM pg_database WHERE datname = %s", name)
        return bool(found.fetchone())

    def _run(self, statement: str, *parameters: object) -> "psycopg.Cursor[Any]":
        if self._admin is None or self._admin.closed:
            self._admin = self.connect()
        return self._admin.execute(statement.encode(), parameters or None)

    def _disconnect(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def _guarded(self) -> list[str]:
        folder = str(self.folder) if self._temporary else ""
        return [sys.executable, "-I", str(GUARD), str(self._follow), folder, _user()]

    def _make_cluster(self) -> None:
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.data.mkdir(mode=0o700)
        user = _user()
        if user:
            shutil.chown(self.data, user, user)
        done = subprocess.run(
            [
                *(_binary("initdb"), "--pgdata", self.data, "--username", USER, "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
            ],
            cwd="/",
            user=user or None,
            group=user or None,
            extra_groups=[] if user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _wait_until_it_answers(self) -> None:
        assert self._guard is not None
        import psycopg  # noqa: PLC0415

        deadline = time.monotonic() + START_WITHIN_SEC
        while True:
            with suppress(psycopg.OperationalError):
                self.connect().close()
                return
            if self._guard.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise AssertionError(f"PostgreSQL does not answer:\n{self.log()}")
            time.sleep(POLL_SEC)

    def _wait_for_end(self) -> None:
        assert self._guard is not None
        self._guard.wait(STOP_WITHIN_SEC)
        self._guard = None


@contextmanager
def own_server(**options: object) -> Iterator[PostgresServer]:
    """A server for one test alone, with these options of `postgresql.conf` beside ours."""
    folder = _reachable_folder()
    server = PostgresServer(folder, options, temporary=True)
    try:
        server.start()
        yield server
    finally:
        server.close()
        shutil.rmtree(folder)


@contextmanager
def standby_of(primary: PostgresServer, name: str) -> Iterator[PostgresServer]:
    """A server that follows that one under this name, from now on."""
    folder = _reachable_folder()
    user = _user()
    if user:
        shutil.chown(folder, user, user)
    standby = PostgresServer(folder, temporary=True)
    try:
        done = subprocess.run(
            [
                *(_binary("pg_basebackup"), "--pgdata", standby.data, "--write-recovery-conf"),
                *("--checkpoint", "fast", "--no-sync", "--dbname"),
                f"host={HOST} port={primary.port} user={USER} application_name={name}",
            ],
            cwd="/",
            user=user or None,
            group=user or None,
            extra_groups=[] if user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        standby.start()
        yield standby
    finally:
        standby.close()
        shutil.rmtree(folder)


def announce() -> None:
    """Say to all processes of this run which folder the shared server will have, if one asks.

    That is the mark of what the run starts, too: none of it outlives the run.
    """
    if FOLDER_VARIABLE not in os.environ:
        unmarked = dict(os.environ)
        name = f"flask10x-tests-{os.getpid()}-{secrets.token_hex(4)}"
        os.environ[FOLDER_VARIABLE] = str((in_memory() or _reachable()) / name)
        os.environ[RUN_VARIABLE] = str(os.getpid())
        mark = f"{FOLDER_VARIABLE}={os.environ[FOLDER_VARIABLE]}"
        guard = subprocess.Popen(
            [sys.executable, "-I", str(RUN_GUARD), str(os.getpid()), mark],
            env=unmarked,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        # Else Python warns of a process that was forgotten.
        guard.returncode = 0


@cache
def shared() -> PostgresServer:
    """The server of this run; the first who asks starts it, and it ends with the run."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    folder.mkdir(mode=0o711, exist_ok=True)
    server = PostgresServer(folder, follow=int(os.environ[RUN_VARIABLE]), temporary=True)
    port = folder / "port"
    with once(folder):
        if port.exists():
            server.port = int(port.read_text())
        else:
            server.start()
            port.write_text(str(server.port))
    atexit.register(server.leave)
    return server


@contextmanager
def once(folder: Path) -> Iterator[None]:
    """One process at a time."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _binary(name: str) -> Path:
    folder = binaries()
    assert folder is not None, obstacle()
    return folder / name


def _user() -> str:
    return USER if os.geteuid() == 0 else ""


def _reachable_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="flask10x-postgres-", dir=_reachable()))
    folder.chmod(0o711)
    return folder


def in_memory() -> Path | None:
    """A folder for thousands of databases that live for a moment: the disk takes thrice the time.

    None where there is none, or not the room for the log and for what tests fill.
    """
    with suppress(OSError):
        if shutil.disk_usage(MEMORY).free > MEMORY_MIN_BYTES:
            return MEMORY
    return None


def _reachable() -> Path:
    """A folder for temporary ones that the server's user can pass through; pytest's are private."""
    for folder in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp")):
        if all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents)):
            return folder
    raise AssertionError(f"{USER} can't reach any folder for temporary files")


def _free_port() -> int:
    """Of those that no connection is given: it is still free when the server is started again."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as sock, suppress(OSError):
            sock.bind((HOST, port))
            return port
