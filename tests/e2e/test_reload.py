"""A reload takes over what is good as a whole; a mistake leaves what was good last."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.service import WORKERS, Service, wait_until
from tests.e2e.test_access import get, secret
from tests.e2e.test_stopping import reload_workers

OLD = "old-0123456789abcdef"
NEW = "new-0123456789abcdef"
ASKED_TIMES = 10
GOOD = {"pressure": 1013.25, "temperature": 25.1}


def statuses(service: Service) -> tuple[set[int], set[int]]:
    """What both workers answer to the old token, and to the new one."""
    service.wait_for_workers()
    olds = {get(service, "/metrics", OLD) for _ in range(ASKED_TIMES)}
    return olds, {get(service, "/metrics", NEW) for _ in range(ASKED_TIMES)}


def check_only_new(service: Service) -> None:
    assert statuses(service) == ({401}, {200})


def kill_a_worker(service: Service) -> None:
    service.wait_for_workers()
    victim = min(service.workers())
    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        after = service.workers()
        return len(after) == WORKERS and victim not in after

    wait_until(replaced, 25, "a killed worker is replaced")


def kill_all_workers(service: Service) -> None:
    """One after the other, so that none is left that began before the last mistake."""
    for _ in range(WORKERS):
        kill_a_worker(service)


def revoked(make: MakeService, folder: Path, **settings: Any) -> Service:
    """A service whose token was replaced, and that was reloaded since."""
    running = make(read_tokens_file=secret(folder / "read", f"* {OLD}\n"), **settings)
    assert statuses(running) == ({200}, {401})
    secret(folder / "read", f"* {NEW}\n")
    reload_workers(running)
    check_only_new(running)
    return running


@pytest.mark.tools
def test_only_a_reload_reads_again_and_a_revoked_token_stays_out_after_a_mistake(
    service: MakeService, tmp_path: Path
) -> None:
    running = service(read_tokens_file=secret(tmp_path / "read", f"* {OLD}\n"))
    secret(tmp_path / "read", f"* {NEW}\n")
    kill_all_workers(running)
    # Else the two workers would differ, and the change was not asked for.
    assert statuses(running) == ({200}, {401})
    reload_workers(running)
    check_only_new(running)

    secret(tmp_path / "read", f"* {NEW}\n{OLD}\n")
    reload_workers(running)
    check_only_new(running)
    kill_all_workers(running)
    check_only_new(running)

    wanted = (
        "ERROR Reload failed, the settings, stations and tokens before it stay:"
        " FLASK10X_READ_TOKENS_FILE"
        f" is {tmp_path / 'read'}: line 2: two words are needed"
    )
    running.wait_for_line("Reload failed")
    (line,) = [line for line in running.log() if "Reload failed" in line]
    assert wanted in line
    assert running.output().count(wanted) == 1
    assert OLD not in running.output()

    secret(tmp_path / "read", f"* {OLD}\n")
    reload_workers(running)
    assert statuses(running) == ({200}, {401})


@pytest.mark.tools
def test_a_mistake_of_the_other_file_keeps_the_tokens(service: MakeService, tmp_path: Path) -> None:
    toml = tmp_path / "flask10x.toml"
    toml.write_text("history_max = 2\n")
    running = revoked(service, tmp_path, config=toml)
    toml.write_text("history_max = 3\n")
    reload_workers(running)
    for _ in range(4):
        assert running.post("data", GOOD).status == 200
    running.wait_for_rows(4)

    # The tokens of this reload are good, but its settings are not: neither is taken.
    toml.write_text("history_maxx = 4\n")
    secret(tmp_path / "read", f"* {OLD}\n")
    reload_workers(running)
    kill_all_workers(running)
    check_only_new(running)
    assert "flask10x.toml: unknown setting history_maxx" in running.output()
    toml.unlink()
    secret(tmp_path / "read", f"* {NEW}\n")
    reload_workers(running)
    check_only_new(running)
    # Not even a mistake that no reader has a message for.
    toml.write_text('data_dir = "~nobody-of-this-name/data"\n')
    reload_workers(running)
    check_only_new(running)


@pytest.mark.tools
@pytest.mark.parametrize(
    "emptied", ["", pytest.param("# read_tokens_file\n", marks=pytest.mark.long)]
)
def test_a_reload_opens_nothing_that_was_closed(
    service: MakeService, tmp_path: Path, emptied: str
) -> None:
    toml = tmp_path / "flask10x.toml"
    tokens = secret(tmp_path / "read", f"* {NEW}\n")
    toml.write_text(f'read_tokens_file = "{tokens}"\n')
    running = service(config=toml)
    check_only_new(running)
    # What an editor leaves that finds the disk full.
    toml.write_text(emptied)
    reload_workers(running)
    check_only_new(running)
    assert "READ_TOKENS_FILE is not set any more" in running.output()
    running.stop()
    running.start()
    assert statuses(running) == ({200}, {200})
