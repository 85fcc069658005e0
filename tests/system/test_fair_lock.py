"""The lock for commits: one holder at a time, in the order of the requests, also after a death."""

import fcntl
import gc
import random
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from flask10x.errors import LockTimeout
from flask10x.system.locks import FLOCK, FairLock, lock_path
from tests.support.tickets import tickets

# Asks when it reads a line, notes its name once it has the lock, and holds it until the next line.
ASK = """
import sys
from pathlib import Path
from flask10x.system.locks import FairLock
path, name = Path(sys.argv[1]), sys.argv[2]
lock = FairLock(path)
print("ready", flush=True)
for _ in sys.stdin:
    lock.acquire(60)
    with path.with_suffix(".order").open("a") as file:
        file.write(f"{name}\\n")
    print("held", flush=True)
    sys.stdin.readline()
    lock.release()
    print("free", flush=True)
"""

# Stops for ever between the gate and the ticket, or with both.
IN_THE_GATE = """
import fcntl, os, sys
from flask10x.system import locks
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
gate = locks.FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, locks.GATE, 1, 0)
fcntl.fcntl(fd, fcntl.F_OFD_SETLK, gate)
if sys.argv[2] == "ticket":
    ticket = locks.FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 1, 1, 0)
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, ticket)
print("ready", flush=True)
sys.stdin.read()
"""

# Takes the lock again and again, by its tickets alone. A mark of a process that does not die is
# that of a second holder; one that is killed frees its locks a moment before it is seen to be dead.
CONTEND = """
import fcntl, os, sys, time
from pathlib import Path
from flask10x.errors import LockTimeout
from flask10x.system.locks import FairLock
path, timeout_sec = Path(sys.argv[1]), int(sys.argv[2]) / 1000
lock, mark = FairLock(path), path.with_suffix(".mark")
process_id = str(os.getpid())

def dies(process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.001)
    return False

while True:
    try:
        lock.acquire(timeout_sec)
    except LockTimeout:
        continue
    before = mark.read_text()
    if before and not dies(before):
        path.with_suffix(".two").write_text(f"{process_id} beside {before}")
    mark.write_text(process_id)
    os.sched_yield()
    if mark.read_text() != process_id:
        path.with_suffix(".two").write_text(process_id)
    mark.write_text("")
    with path.with_suffix(".turns").open("a") as file:
        file.write(".")
    lock.release()
"""

PATIENCE_SEC = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return lock_path(tmp_path / "flask10x.sqlite3", "commit")


@pytest.fixture
def lock(path: Path) -> Iterator[FairLock]:
    with closing(FairLock(path)) as opened:
        yield opened


@pytest.fixture
def other(path: Path) -> Iterator[FairLock]:
    with closing(FairLock(path)) as opened:
        yield opened


class Asker:
    """A process that asks for the lock on command."""

    def __init__(self, path: Path, name: str, program: str = ASK) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self, text: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == text

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def ask(path: Path) -> Iterator[Callable[..., Asker]]:
    with ExitStack() as stack:

        def started(name: str, program: str = ASK) -> Asker:
            return stack.enter_context(closing(Asker(path, name, program)))

        yield started


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def wait_for_tickets(path: Path, count: int) -> None:
    wait_until(lambda: len(tickets(path)) == count)


def wait_for_size(path: Path, size: int) -> None:
    wait_until(lambda: path.stat().st_size >= size)


def lined_up(path: Path, ask: Callable[..., Asker], names: str) -> list[Asker]:
    """Processes that wait behind each other; one of ours holds the lock."""
    before = len(tickets(path))
    askers = [ask(name) for name in names]
    for asker in askers:
        asker.says("ready")
    for number, asker in enumerate(askers, before + 1):
        asker.tell()
        wait_for_tickets(path, number)
    return askers


def order(path: Path) -> str:
    return path.with_suffix(".order").read_text().replace("\n", "")


def pass_on(asker: Asker) -> None:
    """See it get the lock, and let it go."""
    asker.says("held")
    asker.tell()
    asker.says("free")


def test_it_is_given_in_the_order_of_the_requests(
    path: Path, lock: FairLock, ask: Callable[..., Asker]
) -> None:
    lock.acquire(0)
    askers = lined_up(path, ask, "cadbe")

    lock.release()
    for asker in askers:
        pass_on(asker)

    assert order(path) == "cadbe"


def test_a_second_request_does_not_overtake_a_waiting_one(
    path: Path, lock: FairLock, ask: Callable[..., Asker]
) -> None:
    lock.acquire(0)
    askers = lined_up(path, ask, "ab")
    lock.release()

    for asker in (*askers, *askers, *askers):
        pass_on(asker)
        # The other one has it now; this one asks behind it.
        asker.tell()
        wait_for_tickets(path, 2)

    assert order(path).startswith("ababab")


def test_the_death_of_a_holder_lets_the_next_one_in(path: Path, ask: Callable[..., Asker]) -> None:
    path.touch()
    holder, *rest = lined_up(path, ask, "abc")
    holder.says("held")

    holder.kill()
    for asker in rest:
        pass_on(asker)

    assert order(path) == "abc"


def test_the_death_of_a_waiting_process_lets_no_other_past_an_earlier_one(
    path: Path, lock: FairLock, ask: Callable[..., Asker]
) -> None:
    lock.acquire(0)
    first, middle, last = lined_up(path, ask, "abc")

    middle.kill()
    wait_for_tickets(path, 3)
    assert not path.with_suffix(".order").exists()
    lock.release()
    for asker in (first, last):
        pass_on(asker)

    assert order(path) == "ac"


def test_the_last_ticket_of_a_dead_one_is_used_again(
    path: Path, lock: FairLock, ask: Callable[..., Asker]
) -> None:
    lock.acquire(0)
    first, last = lined_up(path, ask, "ab")
    last.kill()
    wait_for_tickets(path, 2)

    (new,) = lined_up(path, ask, "c")
    lock.release()
    pass_on(first)
    pass_on(new)

    assert order(path) == "ac"


@pytest.mark.parametrize("held", ["gate", "ticket"])
def test_the_death_of_one_in_the_gate_opens_it(
    path: Path, lock: FairLock, other: FairLock, ask: Callable[..., Asker], held: str
) -> None:
    dying = ask(held, IN_THE_GATE)
    dying.says("ready")
    with pytest.raises(LockTimeout):
        lock.acquire(0.01)

    dying.kill()

    lock.acquire(PATIENCE_SEC)
    lock.release()
    other.acquire(PATIENCE_SEC)


def test_two_objects_of_a_process_exclude_each_other(lock: FairLock, other: FairLock) -> None:
    lock.acquire(0)
    with pytest.raises(LockTimeout, match=r"flask10x\.commit\.lock was held elsewhere for 0\.01 s"):
        other.acquire(0.01)
    lock.release()
    other.acquire(PATIENCE_SEC)
    with pytest.raises(LockTimeout):
        lock.acquire(0)


def test_threads_of_one_object_get_it_in_their_order(path: Path, lock: FairLock) -> None:
    got: list[int] = []

    def take(number: int) -> None:
        lock.acquire(PATIENCE_SEC)
        got.append(number)
        lock.release()

    lock.acquire(0)
    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=take, args=(number,)))
        threads[-1].start()
        wait_for_tickets(path, number + 2)
    with pytest.raises(LockTimeout):
        lock.acquire(0.001)
    lock.release()
    for thread in threads:
        thread.join()

    assert got == [0, 1, 2, 3, 4]


def test_a_request_that_was_given_up_delays_no_other(
    path: Path, lock: FairLock, other: FairLock, ask: Callable[..., Asker]
) -> None:
    lock.acquire(0)
    with pytest.raises(LockTimeout):
        other.acquire(0.001)
    assert tickets(path) == {1}
    (later,) = lined_up(path, ask, "a")

    lock.release()
    pass_on(later)

    wait_for_tickets(path, 0)
    other.acquire(PATIENCE_SEC)


def test_closing_frees_it(lock: FairLock, other: FairLock) -> None:
    lock.acquire(0)
    lock.close()
    lock.close()
    other.acquire(0)


def test_it_is_given_back_once(lock: FairLock, other: FairLock) -> None:
    lock.acquire(0)
    lock.release()
    lock.release()
    other.acquire(0)
    lock.release()
    with pytest.raises(LockTimeout):
        lock.acquire(0)


def test_threads_that_wait_leave_no_open_file_behind(lock: FairLock) -> None:
    def opened() -> int:
        return len([*Path("/proc/self/fd").iterdir()])

    # Files of earlier tests, which a collection in the middle of this one would close.
    gc.collect()
    before = opened()
    lock.acquire(0)
    for _ in range(3):
        with pytest.raises(LockTimeout):
            lock.acquire(0.001)
    lock.release()

    assert opened() == before
    lock.close()
    assert opened() == before - 1


def test_a_thread_without_a_descriptor_has_no_turn(lock: FairLock) -> None:
    """An OSError would end the thread of the writer."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    lock.acquire(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, most[1]))
    try:
        with pytest.raises(LockTimeout, match="Too many open files"):
            lock.acquire(PATIENCE_SEC)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)


def test_nothing_is_written(path: Path, lock: FairLock, other: FairLock) -> None:
    written = path.stat()
    lock.acquire(0)
    with pytest.raises(LockTimeout):
        other.acquire(0.001)
    lock.release()
    other.acquire(PATIENCE_SEC)
    now = path.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ctime_ns) == (
        0,
        written.st_mtime_ns,
        written.st_ctime_ns,
    )


def test_an_interrupted_request_leaves_the_lock_free(
    path: Path, lock: FairLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl+C in the middle of a command's commit."""

    def interrupted(_sec: float) -> None:
        raise KeyboardInterrupt

    holder = FairLock(path)
    holder.acquire(0)
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            lock.acquire(1)
    holder.release()
    assert not tickets(path)
    lock.acquire(0)


def test_an_error_of_the_kernel_reaches_who_asks(
    path: Path, lock: FairLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.fcntl

    def refused(fd: int, command: int, request: bytes) -> object:
        if command == fcntl.F_OFD_SETLK and FLOCK.unpack(request)[0] == fcntl.F_WRLCK:
            raise OSError(37, "No locks available")
        return real(fd, command, request)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "fcntl", refused)
        with pytest.raises(OSError, match="No locks available"):
            lock.acquire(PATIENCE_SEC)
    lock.acquire(0)


def contend(path: Path, kills: int, seed: int) -> int:
    """Let processes contend while some are killed; how often the lock was had after the last."""
    chance = random.Random(seed)
    for suffix in (".mark", ".turns"):
        path.with_suffix(suffix).write_text("")
    turns = path.with_suffix(".turns")
    with ExitStack() as stack:

        def one_more() -> Asker:
            timeout_ms = str(chance.randrange(7))
            return stack.enter_context(closing(Asker(path, timeout_ms, CONTEND)))

        askers = [one_more() for _ in range(4)]
        for _ in range(kills):
            wait_for_size(turns, turns.stat().st_size + chance.randrange(1, 100))
            askers.pop(chance.randrange(len(askers))).kill()
            askers.append(one_more())
        seen = turns.stat().st_size
        wait_for_size(turns, seen + 100)
    two = path.with_suffix(".two")
    assert not two.exists(), two.read_text()
    return turns.stat().st_size - seen


def test_there_are_never_two_holders_whichever_process_is_killed(path: Path) -> None:
    assert contend(path, kills=3, seed=1)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10))
def test_there_are_never_two_holders_in_a_hundred_kills(path: Path, seed: int) -> None:
    assert contend(path, kills=100, seed=seed)
