"""`make develop`: the server has what was changed in the program, and loses no reading by it."""

import os
import shutil
import signal
import subprocess
import sys
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.e2e.senders import HOST, ask, reading_of
from tests.e2e.service import PROJECT, reserved_port, wait_until
from tests.support import rows
from tests.support.databases import FILE_NAME

# Each start compiles what has changed, beside other tests.
WITHIN_SEC = 120.0
IGNORED = shutil.ignore_patterns("vendor")


@pytest.mark.tools
@pytest.mark.timeout(600)
def test_a_changed_program_is_served_and_no_reading_is_lost(tmp_path: Path) -> None:
    checkout, data = tmp_path / "checkout", tmp_path / "data"
    for name in ("flask10x", "migrations", "tests/support"):
        shutil.copytree(PROJECT / name, checkout / name, ignore=IGNORED)
    shutil.copy(PROJECT / "tests/__init__.py", checkout / "tests")
    view = checkout / "flask10x/web/probes.py"
    with reserved_port() as port:
        own = {"PYTHONPATH": str(checkout), "FLASK10X_DATA_DIR": str(data)}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.develop"],
            cwd=checkout,
            env=os.environ | own | {"FLASK10X_BIND": f"{HOST}:{port}"},
            stdin=subprocess.DEVNULL,
        )

        def says(status: str) -> bool:
            assert process.poll() is None
            try:
                return bool(ask(port, "GET", "/healthz").json == {"status": status})
            except (OSError, HTTPException, ValueError):
                # A server that ends breaks off the answer to such a question, too.
                return False

        try:
            wait_until(lambda: says("ok"), WITHIN_SEC, "it serves")
            body = str(reading_of(1)).replace("'", '"').encode()
            assert ask(port, "POST", "/data2", body, "application/json").status == 200
            text = view.read_text()
            # A mistake ends no more than the server.
            view.write_text("import no_such_module\n")
            wait_until(lambda: not says("ok"), WITHIN_SEC, "the mistake counts")
            view.write_text(text.replace('"ok"', '"changed"', 1))
            wait_until(lambda: says("changed"), WITHIN_SEC, "the change is served")
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(WITHIN_SEC)
    assert status == 0
    assert rows.select(data / FILE_NAME, "SELECT count(*) FROM readings") == [(1,)]
