"""Faults inside the process: the writer thread dies, a periodic task fails, the clock jumps."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flask10x.recording.entry import leftover_files
from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.senders import reading_of
from tests.e2e.service import Service, wait_until
from tests.faults.figures import account, record
from tests.faults.repeat import harder_promise, repeated
from tests.faults.sender import Sender
from tests.faults.test_kills import variant, wait_for_ready_workers

HOOKS = Path(__file__).with_name("hooks")

DAY_SEC = 86_400


def hooked(service: Service, name: str) -> Path:
    """Let `hooks/sitecustomize.py` be imported by the service; the file that steers it."""
    steer = service.folder / name
    service.environment[name] = str(steer)
    service.environment["PYTHONPATH"] = f"{HOOKS}{os.pathsep}{service.environment['PYTHONPATH']}"
    return steer


@pytest.mark.tools
@harder_promise
@repeated(1, 50)
def test_a_writer_thread_that_dies_takes_nothing_along(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    running = service(start=False, **promise)
    marker = hooked(running, "FAULT_KILL_WRITER")
    running.start()
    load = Load(running.port, numbers)
    with load.running():
        for _ in range(times):
            before = set(wait_for_ready_workers(running))
            marker.touch()
            wait_until(lambda: not marker.exists(), 60, "a writer has found the marker")
            wait_until(lambda: before - running.workers(), 30, "its worker has ended")  # noqa: B023
        wait_for_ready_workers(running)
    load.check_answers()
    # Whoever was answered while its worker stopped can post again before it is gone.
    assert load.broken == []
    last = Sender(running, numbers)
    last.check_goes_on()
    running.stop()

    running.check_integrity()
    deaths = [line for line in running.log() if "CRITICAL Writer thread died" in line]
    assert len(deaths) == times
    stops = [line for line in running.log() if "Worker stops" in line]
    assert len(stops) == times + 2
    assert all(line.endswith(" 0 readings not stored") for line in stops)
    counted = account(running, [load, last])
    assert counted.lost == set()
    record("writer-dies", variant(promise), times, counted)


ASKED_TIMES = 20


def failing(service: Service) -> set[tuple[str, ...]]:
    """What `/readyz` names, of however many workers answer; it stays 200."""
    answers = [service.get("/readyz") for _ in range(ASKED_TIMES)]
    assert {(answer.status, answer.json["status"]) for answer in answers} == {(200, "ready")}
    return {tuple(answer.json.get("failing", [])) for answer in answers}


@pytest.mark.tools
def test_a_task_that_fails_is_named_by_both_workers_and_silences_no_alarm(
    service: MakeService,
) -> None:
    running = service(start=False, inactivity_warn_sec=1)
    marker = hooked(running, "FAULT_DUTY")
    marker.touch()
    running.start()
    wait_for_ready_workers(running)
    assert running.post("data2", reading_of(1)).status == 200
    wait_until(lambda: failing(running) == {("killed workers",)}, 25, "both workers name it")
    seconds = running.get("/metrics/details").json["failing_seconds"]
    assert isinstance(seconds["killed workers"], int) and seconds["queues"] is None
    running.wait_for_line("WARNING Endpoint 'data2' inactive for")

    # Whichever of them is the monitor: its successor repeats nothing.
    for worker in running.workers():
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: worker not in running.workers(), 25, "it is gone")  # noqa: B023
        wait_for_ready_workers(running)
        assert failing(running) == {("killed workers",)}
    marker.unlink()
    wait_until(lambda: failing(running) == {()}, 25, "both workers see that it works")
    running.stop()

    lines = running.log()
    failed = "ERROR The periodic task 'killed workers' failed; it is tried again"
    assert sum(failed in line for line in lines) == 1
    assert sum("    ValueError: the test is this bug" in line for line in lines) == 1
    assert (
        sum("INFO The periodic task 'killed workers' works again after " in line for line in lines)
        == 1
    )


# Seconds by which the clock is wrong, one after the other: as a Pi at boot, as after a wrong
# setting, and mended each time.
JUMPS_SEC = (0, DAY_SEC, 0, -DAY_SEC, 0)


@pytest.mark.tools
@pytest.mark.parametrize("readings", [20, pytest.param(500, marks=pytest.mark.long)])
def test_a_clock_that_jumps_a_day_both_ways_changes_nothing_but_times(
    service: MakeService, numbers: Iterator[int], readings: int
) -> None:
    running = service(start=False)
    clock = hooked(running, "FAULT_CLOCK")
    clock.write_text("0")
    running.start()
    sender = Sender(running, numbers)
    for jump_sec in JUMPS_SEC:
        clock.write_text(str(jump_sec))
        sender.post_times(readings)
        running.wait_for_rows(len(sender.sent))
        check_silence(running)
        check_times(running, sender.sent[-readings:], jump_sec)
        running.export()
    check_pages(running, sender.sent)
    check_csv(running, sender.sent)
    sender.check_goes_on()
    running.stop()

    assert [line for line in running.log() if " INFO " not in line] == []
    counted = account(running, [sender])
    assert counted.lost == set()
    assert counted.stored == counted.sent
    record("clock-jump", "", len(JUMPS_SEC) - 1, counted)


def check_silence(service: Service) -> None:
    """A station that has just sent is not silent, whatever the clock says."""
    metrics = service.get("/metrics").json
    assert 0 <= metrics["inactivity_seconds"]["data2"] < 60


def check_times(service: Service, numbers: list[int], jump_sec: int) -> None:
    """The readings bear the time of the clock as it was."""
    rows = service.rows(
        "SELECT received_at / 1000 FROM readings WHERE gas_resistance BETWEEN ? AND ?",
        numbers[0],
        numbers[-1],
    )
    now_sec = time.time() + jump_sec
    assert all(now_sec - 120 < at_sec <= now_sec for (at_sec,) in rows)


def check_pages(service: Service, numbers: list[int]) -> None:
    """Paging back from the newest shows every reading once."""
    path, shown = "/history/json?order=desc&limit=17", []
    while path:
        answer = service.get(path)
        shown += [int(one["data"]["gas_res"]) for one in answer.json]
        found = re.search(r'<([^>]*)>; rel="next"', answer.headers.get("link", ""))
        path = found[1] if found else ""
    assert sorted(shown) == numbers


def check_csv(service: Service, numbers: list[int]) -> None:
    """The export has every reading once, in the order in which they were stored."""
    lines = (service.csv_dir / "BedRoomEnv.csv").read_text().splitlines()[1:]
    exported = [float(line.rpartition(",")[2]) for line in lines]
    stored = service.rows("SELECT gas_resistance FROM readings ORDER BY id")
    assert exported == [number for (number,) in stored]
    assert sorted(exported) == numbers


BEYOND_2262_SEC = 250 * 365 * DAY_SEC


@pytest.mark.tools
@pytest.mark.parametrize(
    "how",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGKILL, marks=pytest.mark.long),
    ],
)
def test_beyond_the_last_year_of_the_clock_every_process_ends(
    service: MakeService, numbers: Iterator[int], how: signal.Signals
) -> None:
    """No line can be logged then, and gunicorn's own errors skip what a worker does at its end."""
    running = service(start=False)
    clock = hooked(running, "FAULT_CLOCK")
    clock.write_text("0")
    running.start()
    sender = Sender(running, numbers)
    wait_for_ready_workers(running)
    sender.post_times(20)
    clock.write_text(str(BEYOND_2262_SEC))
    running.process.send_signal(how)
    wait_until(lambda: not running.members(), 60, "every process has ended")
    assert "OverflowError: timestamp too large" in running.output()
    clock.write_text("0")
    running.start()
    sender.check_goes_on()
    wait_until(lambda: not leftover_files(running.data_dir), 30, "what was left is stored")
    running.stop()
    assert account(running, [sender]).lost == set()
