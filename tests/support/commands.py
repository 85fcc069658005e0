"""`flask10x` commands without the time in which each of them loads the libraries.

A process of its own loads the libraries once and forks a child for each command. The child has the
arguments, environment, folder, umask and streams that it is given; it loads the program, and ends
as Python ends. Only what Python reads from its environment before it runs anything is that of the
first process. Tests of just that, of a kill or of a signal start `python -m flask10x`. A warm one
has loaded the program as well, in the language of the tests, for those that run many commands.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
COMMAND_WITHIN_SEC = 120.0
# Where a marker outside the folder of a database may lie.
OF_MARKERS = ("STATE_DIRECTORY", "XDG_STATE_HOME")
# The program itself is loaded by the child: some of its texts take their language when they are
# loaded. The child leaves the loop, so that its interpreter ends as any other.
DRIVER = """
import gc, importlib, json, os, sys, time
import alembic.command
from flask10x.commands import main
from flask10x.database.sqlite import engine

for name in main.COMMANDS:
    importlib.import_module(f"flask10x.commands.{main.MODULES.get(name, name)}")
if sys.argv[1:] != ["warm"]:
    for name in [name for name in sys.modules if name.partition(".")[0] == "flask10x"]:
        del sys.modules[name]
gc.collect()
gc.freeze()
for line in sys.stdin:
    given = json.loads(line)
    child = os.fork()
    if not child:
        break
    os.write(1, f"{child}\\n".encode())
    os.write(1, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\\n".encode())
else:
    sys.exit()
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for descriptor in (1, 2):
    os.dup2(os.open(given["streams"][descriptor - 1], os.O_WRONLY), descriptor)
os.environ.clear()
os.environ.update(given["environment"])
time.tzset()
os.chdir(given["folder"])
if given["umask"] >= 0:
    os.umask(given["umask"])
sys.argv[1:] = given["arguments"]
importlib.import_module("flask10x.commands.main").main()
"""


def can_be_forked(environment: Mapping[str, str]) -> bool:
    """Whether a new Python would begin as the one that forks: no other modules, no shim."""
    return environment.get("PYTHONPATH") == str(PROJECT) and "LD_PRELOAD" not in environment


class Commands:
    """The process that forks; one at a time."""

    def __init__(self, *, is_warm: bool) -> None:
        self._driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *(["warm"] if is_warm else [])],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Nothing waits in a buffer of Python's, where `select` would not see it.
            bufsize=0,
        )
        atexit.register(self._end)

    def run(
        self, request: Mapping[str, object], within_sec: float, kill_after_sec: float | None = None
    ) -> int:
        """The exit status, negative after a signal; a child that takes longer is killed."""
        assert self._driver.stdin is not None
        self._driver.stdin.write(json.dumps(request).encode() + b"\n")
        child = self._answer(within_sec)
        first_sec = within_sec if kill_after_sec is None else kill_after_sec
        status = None if child is None else self._answer(first_sec)
        if status is None and child is not None and kill_after_sec is not None:
            # The child may have ended just now. The driver then reports its status all the same.
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            status = self._answer(within_sec)
        if status is None:
            # Its answers would come to the next command: that one gets another driver.
            _commands.cache_clear()
            self._driver.kill()
            with suppress(ProcessLookupError):
                os.kill(child or self._driver.pid, signal.SIGKILL)
            raise AssertionError(f"still running after {within_sec} s: {request['arguments']}")
        return status

    def _answer(self, within_sec: float) -> int | None:
        assert self._driver.stdout is not None
        ready, _, _ = select.select([self._driver.stdout], [], [], within_sec)
        return int(self._driver.stdout.readline()) if ready else None

    def _end(self) -> None:
        self._driver.communicate()


@cache
def _commands(is_warm: bool) -> Commands:
    return Commands(is_warm=is_warm)


def run_command(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    umask: int = -1,
    kill_after_sec: float | None = None,
    is_warm: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """`flask10x` with these arguments and this environment; in its folder, if one is given.

    With `kill_after_sec` it gets SIGKILL if it still runs then, so many seconds after it began.

    Markers of its database lie where those of this process do, unless the environment says where.
    The exit status is the caller's to check.
    """
    if not environment.keys() & set(OF_MARKERS):
        environment = {name: os.environ[name] for name in OF_MARKERS} | dict(environment)
    with tempfile.TemporaryDirectory() as made:
        streams = [Path(made) / name for name in ("output", "errors")]
        for stream in streams:
            stream.touch()
        status = _commands(is_warm).run(
            {
                "arguments": list(arguments),
                "environment": dict(environment),
                "folder": str(folder or Path.cwd()),
                "umask": umask,
                "streams": list(map(str, streams)),
            },
            COMMAND_WITHIN_SEC,
            kill_after_sec,
        )
        output, errors = (stream.read_bytes() for stream in streams)
    return subprocess.CompletedProcess(["flask10x", *arguments], status, output, errors)


def in_words(done: subprocess.CompletedProcess[bytes]) -> subprocess.CompletedProcess[str]:
    """The same with both streams decoded."""
    streams = (done.stdout.decode(), done.stderr.decode())
    return subprocess.CompletedProcess(done.args, done.returncode, *streams)
