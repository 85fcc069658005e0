"""The export, killed or failed at the Nth system call of a kind by strace.

One process loads the program once and forks a child for each run, so a run takes as long as the
export itself. strace is attached before the child begins, so it sees all that the export writes,
syncs, cuts, renames and deletes, in whatever file: CSV, database, WAL; and all that it sends to a
server.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.databases import environment_of

CALLS = (
    *("write", "writev", "pwrite64", "pwritev", "pwritev2", "fallocate"),
    *("fsync", "fdatasync", "sync_file_range", "ftruncate", "truncate"),
    *("mkdir", "link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat"),
    # What goes to the server of PostgreSQL.
    "sendto",
)
# `123 write(3, ...`, and not `<... write resumed>`.
_NAME = re.compile(r"^\d+ +(\w+)\(", re.MULTILINE)
# Small pieces, so that a few rows make a backlog of several.
DRIVER = """
import os, sys
from flask10x.export import append, rows
from flask10x.commands.main import main

if os.environ.get("FLASK10X_DATABASE_URL"):
    # Else each run would load it.
    import flask10x.database.postgres.connections

rows.PAGE_ROWS = append.PIECE_ROWS = 3
for arguments in sys.stdin:
    gate, opener = os.pipe()
    child = os.fork()
    if not child:
        os.read(gate, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        try:
            main(["export", *arguments.split()])
        except SystemExit as status:
            os._exit(status.code)
    print(child, flush=True)
    sys.stdin.readline()
    os.write(opener, b"!")
    print(os.waitpid(child, 0)[1], flush=True)
    os.close(gate)
    os.close(opener)
"""


class Runs:
    """Runs of `flask10x export`, or of another driver, in one data folder."""

    def __init__(self, data_dir: Path, driver: str = DRIVER) -> None:
        environ = {**environment_of(data_dir), "FLASK10X_TIMEZONE": "Asia/Tokyo"}
        self._errors = data_dir.with_name("errors")
        self._driver = subprocess.Popen(
            # Without bytecode: after a change of the program, writing it would be the first write.
            [sys.executable, "-B", "-c", driver, str(self._errors)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the driver; it must have had no trouble of its own."""
        self._driver.communicate(timeout=30)
        assert self._driver.returncode == 0

    def run(
        self, arguments: str = "", *injection: str, output: str | Path = os.devnull
    ) -> int | None:
        """The exit status of a run, None when it was killed; strace writes to `output`."""
        child = int(self._ask(arguments))
        tracer = _attach(child, injection, output) if injection else None
        status = int(self._ask("go"))
        if tracer is not None:
            tracer.communicate(timeout=30)
        return None if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)

    @property
    def errors(self) -> str:
        """What the last run said on standard error."""
        return self._errors.read_text()

    def deaths(
        self,
        prepare: Callable[[], None],
        arguments: str = "",
        every: int = 1,
        every_message: int | None = None,
    ) -> Iterator[str]:
        """Run it again and again, each time killed so many calls later, until nothing kills it.

        Yields after each death, with the place of it. Of the calls, those that a run makes; the
        first of each always. `every_message` is for those to a server, of which there are hundreds.
        """
        prepare()
        for call in self._made(arguments):
            step = (every_message or every) if call == "sendto" else every
            number, died = 1 - step, True
            while died:
                number += step
                prepare()
                kill = f"inject={call}:signal=KILL:when={number}"
                died = self.run(arguments, f"trace={call}", kill) is None
                if died:
                    yield f"{call} {number}"

    def _made(self, arguments: str) -> list[str]:
        """Which of the calls a run makes that nothing kills."""
        trace = self._errors.with_name("calls")
        assert self.run(arguments, f"trace={','.join(CALLS)}", output=trace) is not None
        made = set(_NAME.findall(trace.read_text()))
        return [call for call in CALLS if call in made]

    def _ask(self, line: str) -> str:
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(line + "\n")
        self._driver.stdin.flush()
        return self._driver.stdout.readline()


@contextmanager
def runs(data_dir: Path, driver: str = DRIVER) -> Iterator[Runs]:
    """Runs in this folder, ended with the block."""
    found = Runs(data_dir, driver)
    try:
        yield found
    finally:
        found.close()


def need_strace() -> None:
    """Skip the test where strace is missing or may not trace."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing: apt install strace")
    probe = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"strace may not trace here: {probe.stderr.decode().strip()}")


def _attach(child: int, injection: tuple[str, ...], output: str | Path) -> "subprocess.Popen[str]":
    command = ["strace", "-f", "-o", str(output), "-p", str(child)]
    for expression in injection:
        command += ["-e", expression]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    # Said once the child is stopped: before that, calls would go by unseen.
    said = tracer.stderr.readline()
    assert said == f"strace: Process {child} attached\n", said
    return tracer
