"""The worker's own part; what it does with clients is tested over real connections (`e2e`)."""

import os
import signal
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from flask10x.server.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(1, os.getppid(), [], None, 30, Config(), None)
    yield made
    made.tmp.close()


def test_a_stop_at_once_leaves_from_the_loop_and_not_from_where_the_signal_came(
    worker: Worker,
) -> None:
    worker.handle_quit(signal.SIGINT, None)
    assert not worker.alive
    with pytest.raises(SystemExit) as end:
        worker.run()
    assert end.value.code == 0


@pytest.mark.parametrize("fails", [True, False])
def test_what_is_to_be_done_at_the_end_is_done_however_it_ends(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Gunicorn itself first logs, which can fail."""
    ended: list[Worker] = []
    worker.cfg.set("worker_exit", lambda _server, worker: ended.append(worker))
    if fails:
        monkeypatch.setattr(worker, "notify", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            worker.run()
    else:
        worker.alive = False
        worker.run()
    assert ended == [worker]


def test_without_its_master_it_stops_as_usual(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
    worker.notify()
    assert sent == []
    worker.ppid = -1
    worker.notify()
    worker.alive = False
    worker.notify()
    assert sent == [(os.getpid(), signal.SIGTERM)]


def test_a_worker_without_descriptors_ends_with_an_error_and_no_abort(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_descriptor: int) -> int:
        raise OSError(24, "Too many open files")

    worker.patch()
    monkeypatch.setattr(os, "dup", none_left)
    with pytest.raises(OSError, match="Too many"):
        worker.patch()
