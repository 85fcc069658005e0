"""A run of the tests that is ended leaves no server behind, whatever ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.service import PATIENCE_SEC, PROJECT, processes, wait_until
from tests.support import postgres

# A test that waits for its end, with a server in a session of its own, and a worker of that.
TEST = """
import subprocess
import time
from pathlib import Path


def test_that_is_ended() -> None:
    started = subprocess.Popen(["sh", "-c", "sleep 600 & exec sleep 600"], start_new_session=True)
    noted = Path(__file__).with_name("noted")
    noted.with_suffix(".new").write_text(str(started.pid))
    noted.with_suffix(".new").rename(noted)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_server_is_left(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    of_this_run = (postgres.FOLDER_VARIABLE, postgres.RUN_VARIABLE, "PYTEST_XDIST_WORKER")
    environment = {k: v for k, v in os.environ.items() if k not in of_this_run}
    words = ["-m", "pytest", "-n", "1", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    words += ["--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "made"), str(tmp_path)]
    noted = tmp_path / "noted"
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.DEVNULL,
    ) as run:
        wait_until(lambda: noted.exists() or run.poll() is not None, PATIENCE_SEC, "it serves")
        master = int(noted.read_text())
        run.send_signal(how)

    def left() -> list[int]:
        return [pid for pid, _, group in processes() if group == master]

    try:
        wait_until(lambda: not left(), PATIENCE_SEC, "no process of it is left")
    finally:
        for pid in left():
            os.kill(pid, signal.SIGKILL)
