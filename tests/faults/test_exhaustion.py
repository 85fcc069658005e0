"""Out of descriptors, threads or processes: what is there goes on answering, and nothing spins."""

import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.senders import raw_connection, reading_of
from tests.e2e.service import WORKERS, Service, open_files, wait_until
from tests.faults.figures import Posted, account
from tests.faults.sender import Sender
from tests.faults.test_inside import hooked
from tests.faults.test_kills import wait_for_ready_workers

pytestmark = pytest.mark.tools

# How long the service is looked at while it is short of something: several of the first pauses.
SHORT_SEC = 5.0
FORKS_WITHIN = 6


def limit_files(pid: int, number: int | None) -> None:
    """Let the process have so many descriptors; None: as many as it may."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard if number is None else number, hard))


def forks(service: Service) -> int:
    return service.output().count("Booting worker with pid")


def answers_for(service: Service, sender: Sender, seconds: float) -> None:
    """Every reading is taken for so long, and the master stays."""
    sender.post_for(seconds)
    assert sender.broken == []
    assert len(sender.acknowledged) == len(sender.sent)
    assert service.process.poll() is None


def wait_for_said(service: Service, text: str) -> None:
    """Return when it is on standard error: without descriptors a master can't open the log."""
    wait_until(lambda: text in service.output(), 60, text)


def check_recovered(service: Service, sender: Sender, *others: Posted) -> None:
    """All workers are there again, and everything that was acknowledged is stored."""
    wait_until(lambda: len(service.workers()) == WORKERS, 45, "both workers run")
    wait_for_ready_workers(service)
    sender.check_goes_on()
    service.stop()
    assert account(service, [sender, *others]).lost == set()


def wait_for_serving_workers(service: Service) -> list[int]:
    """Return the workers as soon as each of them takes connections."""
    serving: set[int | None] = set()

    def all_serve() -> bool:
        with raw_connection(service.port) as sock:
            sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n")
            wait_until(lambda: service.worker_of(sock) is not None, 60, "somebody takes it")
            serving.add(service.worker_of(sock))
        return len(serving) == WORKERS

    wait_until(all_serve, 30, "both workers serve")
    return wait_for_ready_workers(service)


def kill_one(service: Service) -> None:
    victim = wait_for_serving_workers(service)[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in service.workers(), 25, "it is gone")


def test_workers_out_of_descriptors_wait_and_do_not_die(
    service: MakeService, numbers: Iterator[int]
) -> None:
    running = service()
    sender = Sender(running, numbers)
    sender.post_times(10)
    workers = wait_for_serving_workers(running)
    for worker in workers:
        limit_files(worker, len(open_files(worker)) + 4)
    with ExitStack() as clients:
        held: list[socket.socket] = []
        for _ in range(40):
            held.append(clients.enter_context(raw_connection(running.port)))
            held[-1].sendall(b"POST /data2 HTTP/1.1\r\n")
        running.wait_for_line("No connection can be taken: Too many open files; ")
        time.sleep(2)
        assert running.workers() == set(workers)
    (shown, *_) = [line for line in running.log() if "No connection can be taken" in line]
    assert " WARNING " in shown and "open files " in shown
    wait_until(lambda: sender.post() is not None, 25, "it answers again")
    answers = Sender(running, sender.numbers)
    answers_for(running, answers, 1)
    assert set(running.workers()) == set(workers)
    running.stop()
    assert account(running, [sender, answers]).lost == set()


@pytest.mark.parametrize(
    "spare",
    [-2, pytest.param(2, marks=pytest.mark.long), pytest.param(6, marks=pytest.mark.long)],
)
def test_a_master_out_of_descriptors_stays_and_replaces_later(
    service: MakeService, numbers: Iterator[int], spare: int
) -> None:
    """Without one it cannot fork; with a few its workers cannot start."""
    running = service(ack="committed")
    sender = Sender(running, numbers)
    sender.post_times(10)
    wait_for_serving_workers(running)
    before = forks(running)
    limit_files(running.pid, len(open_files(running.pid)) + spare)
    kill_one(running)
    answers_for(running, sender, SHORT_SEC)
    wait_for_said(running, "No worker can be made" if spare < 0 else "A worker could not start")
    assert forks(running) - before <= FORKS_WITHIN
    limit_files(running.pid, None)
    check_recovered(running, sender)


@pytest.mark.parametrize("what", [pytest.param("fork", marks=pytest.mark.long), "threads"])
def test_without_threads_or_processes_the_service_goes_on_with_what_it_has(
    service: MakeService, numbers: Iterator[int], what: str
) -> None:
    running = service(start=False, ack="committed")
    marker = hooked(running, "FAULT_NO_THREADS")
    running.start()
    wait_for_serving_workers(running)
    before = forks(running)
    marker.write_text(what)
    load = Load(running.port, numbers)
    with load.running():
        time.sleep(1)
    load.check_answers()
    assert load.statuses.keys() == {200}
    kill_one(running)
    sender = Sender(running, numbers)
    answers_for(running, sender, SHORT_SEC)
    said = {
        "fork": " WARNING No worker can be made: Resource temporarily unavailable; ",
        "threads": " WARNING A worker could not start; ",
    }[what]
    running.wait_for_line(said)
    assert forks(running) - before <= FORKS_WITHIN
    marker.unlink()
    check_recovered(running, sender, load)
    assert sum(said in line for line in running.log()) == 1


@pytest.mark.long
@pytest.mark.parametrize("what", ["threads", pytest.param("fork", marks=pytest.mark.long)])
def test_a_first_start_without_threads_ends(service: MakeService, what: str) -> None:
    """Systemd and whoever starts it see it; nothing has been promised yet."""
    running = service(start=False)
    hooked(running, "FAULT_NO_THREADS").write_text(what)
    running.launch()
    assert running.process.wait(30) != 0
    wait_until(lambda: not running.members(), 25, "nobody is left behind")


# Gunicorn waits half a minute for the workers that it could not make.
@pytest.mark.long
def test_a_reload_without_processes_keeps_the_old_workers(
    service: MakeService, numbers: Iterator[int]
) -> None:
    running = service(start=False)
    marker = hooked(running, "FAULT_NO_THREADS")
    running.start()
    workers = wait_for_serving_workers(running)
    marker.write_text("fork")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for_line("No worker can be made")
    answers_for(running, sender := Sender(running, numbers), 1)
    assert set(running.workers()) == set(workers)
    marker.unlink()
    check_recovered(running, sender)


def test_readings_posted_while_a_worker_has_no_thread_to_spare(
    service: MakeService, numbers: Iterator[int]
) -> None:
    """With ACK=committed each request waits for its commit; it needs no thread for that."""
    running = service(start=False, ack="committed", ack_timeout_sec=2)
    marker: Path = hooked(running, "FAULT_NO_THREADS")
    running.start()
    workers = wait_for_serving_workers(running)
    marker.write_text("threads")
    load = Load(running.port, numbers)
    with load.running():
        # What tells open pages of new readings would need one.
        assert running.get("/events").status == 500
        assert marker.with_name(f"{marker.name}.refused").exists(), "no thread was wanted"
        time.sleep(SHORT_SEC)
    load.check_answers()
    assert load.statuses.keys() == {200}
    assert running.post("data2", reading_of(next(numbers))).status == 200
    assert set(running.workers()) == set(workers)
