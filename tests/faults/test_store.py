"""The store fails and comes back: locked, full, limited, broken, and readings that it refuses."""

import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.service import WORKERS, Service, wait_until
from tests.faults.figures import Account, account, record
from tests.faults.repeat import harder_promise, lasting, repeated
from tests.faults.sender import Sender, wait_for_leftovers
from tests.faults.test_kills import variant, wait_for_ready_workers
from tests.support.both_engines import refuse, refuse_no_more, write_lock
from tests.support.outside_faults import small_disk
from tests.support.rows import execute

# A short queue fills in seconds, and with single commits only when the store has failed.
# A second is long enough for a commit here, and what can't be committed costs that much each.
FRAIL: dict[str, Any] = {
    **{"write_queue_maxsize": 20, "commit_interval_sec": 0, "write_retries": 0},
    "ack_timeout_sec": 1,
}
# In the words of both engines.
SEVENTH = "CAST(NEW.gas_resistance AS INTEGER) % 7 = 0"
# What a commit says that had to wait for somebody else for too long.
BUSY = ("SQLITE_BUSY", "55P03", "LockTimeout")
WAITS = "WARNING Cannot store readings, "
AGAIN = "INFO Storing readings again after "


def in_trouble(service: Service, *codes: str) -> bool:
    """Whether /readyz says why nothing can be stored."""
    answer = service.get("/readyz")
    reasons = " ".join(answer.json.get("reasons", []))
    return answer.status == 503 and any(code in reasons for code in codes)


def meet_trouble(service: Service, sender: Sender, *codes: str) -> None:
    """Post until /readyz gives one of these reasons, and then until readings are refused."""

    def met() -> bool:
        sender.post()
        return in_trouble(service, *codes)

    wait_until(met, 60, f"/readyz names one of {codes}")
    sender.post_until_refused(4)
    assert service.get("/healthz").status == 200


def check_log(service: Service, times: int, *codes: str) -> None:
    """Each worker that failed has warned once and said once that it goes on."""
    warned = [line for line in service.log() if WAITS in line]
    again = [line for line in service.log() if AGAIN in line]
    assert 1 <= len(again) == len(warned) <= 2 * times, service.log()
    assert all(any(code in line for code in codes) for line in warned), warned


def check_account(service: Service, sender: Sender, promise: dict[str, Any]) -> Account:
    """Everything acknowledged is stored; what was refused is not, unless commits are promised."""
    service.check_integrity()
    counted = account(service, [sender])
    assert counted.lost == set()
    if not promise:
        assert counted.stored == counted.acknowledged
    return counted


@pytest.mark.tools
@harder_promise
@lasting(5, 30)
def test_a_write_lock_held_by_another_process(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], seconds: float
) -> None:
    running = service(**FRAIL, **promise)
    sender = Sender(running, numbers)
    sender.check_goes_on()
    with write_lock(running.database):
        meet_trouble(running, sender, *BUSY)
        sender.post_for(seconds)
    sender.check_goes_on()
    running.stop()

    check_log(running, 1, *BUSY)
    counted = check_account(running, sender, promise)
    record("write-lock", variant(promise), 1, counted, seconds=seconds)


@pytest.mark.tools
@harder_promise
@repeated(1, 20)
def test_poison_readings_inside_good_batches(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    running = service(**promise)
    execute(running.database, refuse("readings", SEVENTH, "poison"))
    sender = Sender(running, numbers)
    sender.post_times(70 * times)
    good = [number for number in sender.sent if number % 7]
    running.wait_for_rows(len(good))
    # The last reading is poison: it is refused after the last good one is a row.
    wait_until(lambda: running.get("/metrics").json["queue_length"] == 0, 60, "nothing waits")
    execute(running.database, refuse_no_more("readings"))
    sender.check_goes_on()
    running.stop()

    running.check_integrity()
    refused = [line for line in running.log() if "ERROR Database refused a reading" in line]
    assert len(refused) == 10 * times
    assert all("poison" in line and '"gas_resistance"' in line for line in refused)
    counted = account(running, [sender])
    poison = {number for number in sender.sent[:-1] if number % 7 == 0}
    assert counted.stored == len(good) + 1
    assert counted.lost == (set() if promise else poison)
    kept = kept_as_rejected(running)
    assert sorted(kept) == sorted(poison), "each can be replayed"
    counted = replace(counted, lost=counted.lost - set(kept))
    record("poison", variant(promise), 10 * times, counted, kept=len(kept))


def kept_as_rejected(service: Service) -> list[int]:
    """The numbers of the readings that are kept among the rejected."""
    bodies = service.rows("SELECT body FROM rejected")
    return [int(json.loads(body)["gas_res"]) for (body,) in bodies]


def fill(folder: Path) -> Path:
    """Take all the space that is left; the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    assert shutil.disk_usage(folder).free == 0
    return ballast


@pytest.mark.tools
@pytest.mark.sqlite_only("a full disk under the file")
@harder_promise
@repeated(1, 10)
def test_a_disk_that_is_full_and_has_space_again(
    service: MakeService,
    numbers: Iterator[int],
    promise: dict[str, Any],
    tmp_path: Path,
    times: int,
) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        database = f"sqlite:///{disk}/flask10x.sqlite3"
        running = service(start=False, **FRAIL, database_url=database, **promise)
        running.database = disk / "flask10x.sqlite3"
        try:
            counted = fill_and_free(running, Sender(running, numbers), disk, times)
        finally:
            # Before the disk is unmounted.
            running.close()
    check_log(running, times, "SQLITE_FULL", "SQLITE_IOERR")
    if not promise:
        assert counted.stored == counted.acknowledged
    record("disk-full", variant(promise), times, counted)


def fill_and_free(running: Service, sender: Sender, disk: Path, times: int) -> Account:
    """Take the space from a running service again and again, and then at its start."""
    running.start()
    sender.check_goes_on()
    for _ in range(times):
        ballast = fill(disk)
        meet_trouble(running, sender, "SQLITE_FULL")
        ballast.unlink()
        sender.check_goes_on()
    running.stop()
    check_start_on_full_disk(running, disk)
    sender.check_goes_on()
    running.stop()
    running.check_integrity()
    counted = account(running, [sender])
    assert counted.lost == set()
    return counted


def check_start_on_full_disk(service: Service, disk: Path) -> None:
    """Without space for its WAL it does not start, and says so in a line; with space it does."""
    ballast = fill(disk)
    service.launch()
    assert service.process.wait(30) == 1
    said = [line for line in service.output().splitlines() if line.startswith("flask10x: ")]
    assert said[-2].startswith(f"flask10x: {service.database} cannot be read: SQLITE_")
    assert said[-1] == "flask10x: the database could not be migrated; not starting"
    assert "Traceback" not in service.output()
    ballast.unlink()
    service.start()


@pytest.mark.long
@pytest.mark.sqlite_only("a full disk under the file")
@pytest.mark.tools
@repeated(1, 10)
def test_a_stop_on_a_full_disk_loses_nothing(
    service: MakeService, numbers: Iterator[int], tmp_path: Path, times: int
) -> None:
    """What waits goes where room was reserved for it."""
    with small_disk(tmp_path / "disk", "9m") as disk:
        database = f"sqlite:///{disk}/flask10x.sqlite3"
        running = service(start=False, **FRAIL, database_url=database)
        running.database = disk / "flask10x.sqlite3"
        try:
            counted = stop_when_full(running, Sender(running, numbers), disk, times)
        finally:
            # Before the disk is unmounted.
            running.close()
    left = [line for line in running.log() if "the next start stores them from leftover-" in line]
    assert times <= len(left) <= WORKERS * times
    assert len([line for line in running.log() if "that a stop had left in" in line]) == len(left)
    assert counted.lost == set()
    record("stop-full", "ACK=enqueued", times, counted)


def stop_when_full(running: Service, sender: Sender, disk: Path, times: int) -> Account:
    """Stop with full queues on a full disk, again and again; the next start has space."""
    for _ in range(times):
        running.start()
        sender.check_goes_on()
        ballast = fill(disk)
        meet_trouble(running, sender, "SQLITE_FULL")
        running.stop()
        ballast.unlink()
    running.start()
    sender.check_goes_on()
    running.stop()
    running.check_integrity()
    return account(running, [sender])


@contextmanager
def file_size_limit(service: Service, more_bytes: int) -> Iterator[None]:
    """What `ulimit -f` does, for the workers as they are: the WAL may grow by so much only."""
    wal_bytes = service.database.with_name(f"{service.database.name}-wal").stat().st_size
    workers = wait_for_ready_workers(service)
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in workers}
    for pid, (_, hard) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (wal_bytes + more_bytes, hard))
    yield
    for pid, usual in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, usual)


@pytest.mark.long
@pytest.mark.sqlite_only("the size of the WAL")
@pytest.mark.tools
@harder_promise
@repeated(1, 10)
def test_a_file_size_limit(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    # Without a line for each reading the log stays below the limit.
    running = service(**FRAIL, log_level="WARNING", **promise)
    sender = Sender(running, numbers)
    for _ in range(times):
        sender.check_goes_on()
        with file_size_limit(running, 20_000):
            meet_trouble(running, sender, "SQLITE_FULL", "SQLITE_IOERR")
        sender.check_goes_on()
    running.stop()

    warned = [line for line in running.log() if WAITS in line]
    assert 1 <= len(warned) <= 2 * times
    assert all("SQLITE_FULL" in line or "SQLITE_IOERR" in line for line in warned)
    counted = check_account(running, sender, promise)
    record("file-size", variant(promise), times, counted)


@contextmanager
def failing_sync(service: Service) -> Iterator[None]:
    """Every fdatasync of the workers fails with EIO."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fdatasync"]
    command += ["-e", "inject=fdatasync:error=EIO"]
    for pid in wait_for_ready_workers(service):
        command += ["-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: tracer.poll() is not None or traced(service), 25, "strace is attached")
        if tracer.poll() is not None:
            assert tracer.stderr is not None
            pytest.skip(f"strace cannot attach here: {tracer.stderr.read().decode().strip()}")
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=10)


def traced(service: Service) -> bool:
    """Whether every thread of every worker has a tracer."""
    status = [
        (task / "status").read_text()
        for pid in service.workers()
        for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return all("TracerPid:\t0" not in text for text in status)


@pytest.mark.sqlite_only("syncs of the file")
@pytest.mark.tools
@harder_promise
@repeated(1, 10)
def test_a_disk_that_fails_to_sync(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    running = service(**FRAIL, **promise)
    sender = Sender(running, numbers)
    sender.check_goes_on()
    for _ in range(times):
        with failing_sync(running):
            meet_trouble(running, sender, "SQLITE_IOERR_FSYNC")
            stored = running.count()
        sender.check_goes_on()
        assert running.count() > stored
    running.stop()

    check_log(running, times, "SQLITE_IOERR_FSYNC")
    counted = check_account(running, sender, promise)
    record("sync-fails", variant(promise), times, counted)


@pytest.mark.sqlite_only("syncs of the file")
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [10])
def test_a_stop_while_nothing_can_be_synced_stores_nothing_twice(
    service: MakeService, numbers: Iterator[int], times: int
) -> None:
    """The failed commits lie in the WAL, and the next start recovers the last one."""
    running = service(start=False, **FRAIL)
    sender = Sender(running, numbers)
    for _ in range(times):
        running.start()
        sender.check_goes_on()
        with failing_sync(running):
            meet_trouble(running, sender, "SQLITE_IOERR_FSYNC")
            running.stop()
    running.start()
    sender.check_goes_on()
    wait_for_leftovers(running)
    running.stop()

    counted = check_account(running, sender, {})
    record("stop-sync", "ACK=enqueued", times, counted)
