"""The process that sends: started when something is due, once, and left to itself."""

import sys
from pathlib import Path

import pytest

from flask10x.runtime.alerting import start_delivery
from flask10x.runtime.alerting.start_delivery import Delivery
from flask10x.system import clock
from flask10x.system.locks import FileLock
from tests.e2e.service import wait_until


class Due:
    """When the next message is due, as the test says."""

    def __init__(self) -> None:
        self.at_ms: int | None = None

    def __call__(self) -> int | None:
        return self.at_ms


@pytest.fixture
def due(monkeypatch: pytest.MonkeyPatch) -> Due:
    monkeypatch.setattr(start_delivery, "START_EVERY_MS", 0)
    return Due()


def script(folder: Path, more: str = "") -> tuple[str, ...]:
    """A process that notes its start in the file `started`."""
    note = f"open({str(folder / 'started')!r}, 'a').write('x')"
    return (sys.executable, "-S", "-c", f"import time; {note}; {more}")


def started(folder: Path) -> int:
    file = folder / "started"
    return len(file.read_text()) if file.exists() else 0


def test_it_is_started_when_something_is_due_and_not_twice_at_once(
    due: Due, tmp_path: Path
) -> None:
    delivery = Delivery(due, tmp_path / "lock", script(tmp_path, "time.sleep(60)"))
    delivery.step()
    due.at_ms = clock.now_ms() + 60_000
    delivery.step()
    assert started(tmp_path) == 0
    due.at_ms = clock.now_ms()
    for _ in range(3):
        delivery.step()
    wait_until(lambda: started(tmp_path), 60, "it has started")
    delivery.step()
    assert started(tmp_path) == 1
    delivery.close()


def test_it_is_started_again_when_it_has_ended_and_more_is_due(due: Due, tmp_path: Path) -> None:
    delivery = Delivery(due, tmp_path / "lock", script(tmp_path))
    due.at_ms = 0

    def twice() -> bool:
        delivery.step()
        return started(tmp_path) >= 2

    wait_until(twice, 60, "it has started twice")
    delivery.close()


def test_one_that_fails_is_not_started_each_second(
    due: Due, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = Delivery(due, tmp_path / "lock", script(tmp_path, "raise SystemExit(3)"))
    due.at_ms = 0

    def is_logged() -> bool:
        delivery.step()
        return "has ended with status 3" in caplog.text

    wait_until(is_logged, 60, "the log says that it has failed")
    delivery.step()
    assert started(tmp_path) == 1
    later_ms = clock.monotonic_ms() + start_delivery.PAUSE_MS
    monkeypatch.setattr(clock, "monotonic_ms", lambda: later_ms)
    delivery.step()
    wait_until(lambda: started(tmp_path) == 2, 60, "it is tried again")
    delivery.close()


def test_it_is_not_started_while_another_process_is_sending(due: Due, tmp_path: Path) -> None:
    other = FileLock(tmp_path / "lock")
    other.acquire(1)
    delivery = Delivery(due, other.path, script(tmp_path))
    due.at_ms = 0
    for _ in range(3):
        delivery.step()
    assert delivery.is_running is False
    other.close()
    delivery.step()
    wait_until(lambda: started(tmp_path), 60, "it has started")
    delivery.close()


def test_one_that_finds_nothing_to_do_is_not_started_each_second(
    due: Due, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_delivery, "START_EVERY_MS", 60_000)
    delivery = Delivery(due, tmp_path / "lock", script(tmp_path))
    due.at_ms = 0
    delivery.step()
    wait_until(lambda: not delivery.is_running, 60, "it has ended")
    delivery.step()
    assert delivery.is_running is False
    delivery.close()


def test_it_has_nothing_of_the_worker_and_outlives_it(due: Due, tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "of-the-worker.lock")
    lock.acquire(1)
    seen = tmp_path / "seen"
    files = "[os.path.realpath(file) for file in os.scandir('/proc/self/fd')]"
    note = f"open({str(seen)!r}, 'w').write(repr([os.getsid(0) == os.getpid(), *{files}]))"
    look = f"import os; {note}"
    delivery = Delivery(due, tmp_path / "lock", script(tmp_path, look))
    due.at_ms = 0
    delivery.step()
    wait_until(lambda: not delivery.is_running, 60, "it has ended")
    text = seen.read_text()
    assert text.startswith("[True, ")
    assert text.count("/dev/null") == 1
    assert text.count("/memfd:settings") == 1
    assert "of-the-worker" not in text
    lock.close()
    delivery.close()
