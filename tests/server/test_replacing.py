"""The pace at which workers are replaced; with real processes it is in `faults/test_exhaustion`."""

import os
from errno import EAGAIN, EINVAL, EMFILE

import pytest

from flask10x.readings.stations import BUILT_IN
from flask10x.server.replacing import FIRST_PAUSE_SEC, LONGEST_PAUSE_SEC, Replacing
from flask10x.system.clock import monotonic_ms
from flask10x.system.gauges import Gauges


class Arbiter:
    """What is used of gunicorn's: it forks one, or what is missing."""

    def __init__(self) -> None:
        self.forked = 0
        self.error: OSError | None = None

    def spawn_worker(self) -> int:
        if self.error:
            raise self.error
        self.forked += 1
        return 1000 + self.forked

    def spawn_workers(self) -> None:
        self.spawn_worker()


class Bench:
    """A master, its clock and its log."""

    def __init__(self) -> None:
        self.now_sec = 0.0
        self.said: list[str] = []
        self.gauges = Gauges(BUILT_IN.by_endpoint)
        self.gauges.serving = 1
        self.arbiter = Arbiter()
        self.replacing = Replacing(
            self.arbiter, self.gauges, self.said.append, lambda: self.now_sec
        )

    def pause_sec(self) -> float:
        """How long it takes until the next one is forked."""
        began, forked = self.now_sec, self.arbiter.forked
        while self.arbiter.forked == forked:
            self.arbiter.spawn_workers()
            self.now_sec += 0.25
        return self.now_sec - 0.25 - began


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_worker_that_has_served_is_replaced_at_once(bench: Bench) -> None:
    for _ in range(10):
        bench.replacing.note_end(booted_ms=monotonic_ms() - 60_000)
        assert bench.pause_sec() == 0
    assert bench.said == []


def test_one_that_ends_soon_after_its_start_waits_a_moment(bench: Bench) -> None:
    # The last one was killed before it began to serve.
    for booted_ms in (monotonic_ms() + 60_000, monotonic_ms() + 60_000, 0):
        bench.replacing.note_end(booted_ms)
        assert bench.pause_sec() == FIRST_PAUSE_SEC
    assert bench.said == []


def test_those_that_cannot_start_wait_longer_and_longer(bench: Bench) -> None:
    pauses = []
    for _ in range(8):
        bench.replacing.note_end(booted_ms=-1)
        pauses.append(bench.pause_sec())
    assert pauses == [0.5, 1, 2, 4, 8, 16, LONGEST_PAUSE_SEC, LONGEST_PAUSE_SEC]
    (line,) = bench.said
    assert line.startswith("A worker could not start; it is tried again, ")
    assert "open files " in line and "threads of this user " in line
    bench.replacing.note_end(booted_ms=monotonic_ms() - 60_000)
    bench.replacing.note_end(booted_ms=-1)
    assert bench.pause_sec() == FIRST_PAUSE_SEC


@pytest.mark.parametrize("code", [EAGAIN, EMFILE])
def test_a_fork_that_fails_ends_nothing(bench: Bench, code: int) -> None:
    bench.arbiter.error = OSError(code, "the reason")
    bench.arbiter.spawn_workers()
    assert bench.arbiter.spawn_worker() is None
    assert bench.said[0].startswith("No worker can be made: the reason; ")
    assert len(bench.said) == 1
    bench.arbiter.error = None
    assert bench.pause_sec() == 2 * FIRST_PAUSE_SEC


def test_before_any_worker_has_served_it_ends_everything(bench: Bench) -> None:
    bench.gauges.serving = 0
    bench.arbiter.error = OSError(EAGAIN, "the reason")
    with pytest.raises(OSError, match="the reason"):
        bench.arbiter.spawn_worker()


def test_what_is_no_shortage_ends_the_master_as_before(bench: Bench) -> None:
    bench.arbiter.error = OSError(EINVAL, "a bug")
    with pytest.raises(OSError, match="a bug"):
        bench.arbiter.spawn_worker()


def test_an_error_in_the_worker_is_the_workers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = iter([1, 2])
    monkeypatch.setattr(os, "getpid", lambda: next(pids))
    bench.arbiter.error = OSError(EMFILE, "of the worker")
    with pytest.raises(OSError, match="of the worker"):
        bench.arbiter.spawn_worker()
