"""A service with one worker, which alone loads the application (decision 35)."""

from pathlib import Path

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.test_access import secret
from tests.e2e.test_stopping import reload_workers

GOOD = {"pressure": 1013.25, "temperature": 25.1}


def has_loaded(pid: int, library: str) -> bool:
    """Whether a process has compiled parts of this library in its memory."""
    return f"/{library}/" in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.tools
def test_one_worker_starts_receives_reloads_and_stops(service: MakeService, tmp_path: Path) -> None:
    tokens = secret(tmp_path / "read", "* read-0123456789abcdef\n")
    running = service(start=False, workers=1, read_tokens_file=tokens)
    # The migration runs beside a master that has loaded no application.
    running.starts_migrated = False
    running.start()
    assert running.post("data", GOOD).status == 200

    tokens.write_text("*\n")
    reload_workers(running)
    running.wait_for_line("ERROR Reload failed, the settings, stations and tokens before it stay")
    assert running.post("data", GOOD).status == 200
    assert [running.get(path).status for path in ("/", "/metrics")] == [200, 401]
    (worker,) = running.workers()
    assert has_loaded(worker, "sqlalchemy")
    assert not has_loaded(running.pid, "sqlalchemy")

    running.stop()
    assert running.count() == 2
