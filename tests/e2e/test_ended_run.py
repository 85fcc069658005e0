"""A run of the tests that is ended leaves no server behind, whatever ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.service import PATIENCE_SEC, PROJECT, processes, wait_until
from tests.support import postgres

CONFTEST = """
from tests.support import postgres

postgres.announce()
"""
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


@pytest.mark.tools
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_server_is_left(tmp_path: Path, how: signal.Signals) -> None:
    # By the conftest of this run; that of the other one does only this.
    assert postgres.FOLDER_VARIABLE in os.environ
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TEST)
    of_this_run = (postgres.FOLDER_VARIABLE, postgres.RUN_VARIABLE, "PYTEST_XDIST_WORKER")
    environment = {k: v for k, v in os.environ.items() if k not in of_this_run}
    words = ["-m", "pytest", "-n", "1", "-p", "xdist", "-p", "no:cacheprovider"]
    words += ["--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "made"), str(tmp_path)]
    noted = tmp_path / "noted"
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(PROJECT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.DEVNULL,
    ) as run:
        try:
            wait_until(lambda: noted.exists() or run.poll() is not None, PATIENCE_SEC, "it runs")
            master = int(noted.read_text())
            run.send_signal(how)
            run.wait(PATIENCE_SEC)
        finally:
            run.kill()

    def left() -> list[int]:
        return [pid for pid, _, group in processes() if group == master]

    try:
        wait_until(lambda: not left(), PATIENCE_SEC, "no process of it is left")
    finally:
        for pid in left():
            os.kill(pid, signal.SIGKILL)
