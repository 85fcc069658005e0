"""Rows about taking readings as fast as they come: what they cost, how many, how long they wait."""

from collections.abc import Iterator
from functools import partial

from benchmarks.bench import pace, servers, slow_sync, wrk
from benchmarks.bench.results import Run
from benchmarks.bench.rows import Bench, Row
from benchmarks.bench.wrk import Load
from benchmarks.memory import measured as measured_memory

# With a few connections the kernel may give most of them to one worker; then it is tried again.
TRIES = 5
# A reading by itself: what one commit takes, as its sender sees it.
LONE = Load(connections=1, seconds=2)
OFFERED_PER_SEC = 2000


def compared(row: str, load: Load, ack: str, bench: Bench) -> Iterator[Run]:
    """The floor and ours in turn; a run in which one worker idled is tried again."""
    with (
        bench.place() as place,
        servers.floor(place / "floor") as floor,
        servers.ours(place / "ours", ack=ack) as ours,
    ):
        for server in (floor, ours):
            wrk.warm_up(server, load)
        for number in range(bench.rounds):
            for side, server in (("floor", floor), ("ours", ours)):
                yield Run(row, side, number, _with_both_busy(server, load))


def _with_both_busy(server: servers.Server, load: Load) -> dict[str, float]:
    for _ in range(TRIES):
        values = wrk.measured(server, load)
        if values["both_busy"]:
            break
    return values


def committed_slow(bench: Bench) -> Iterator[Run]:
    """ACK=committed with 16 connections while each sync takes 20 ms longer."""
    row, load = "committed-slow", Load(16, bench.seconds)
    with bench.place() as place:
        slow = slow_sync.slower_by(20, slow_sync.library(place))
        with servers.ours(place / "ours", slow, ack="committed") as ours:
            wrk.warm_up(ours, load)
            for number in range(bench.rounds):
                commit = wrk.measured(ours, LONE)
                values = wrk.measured(ours, load)
                yield Run(row, "ours", number, values | {"commit_ms": commit["p50_ms"]})


def enqueued_slow(bench: Bench) -> Iterator[Run]:
    """ACK=enqueued at a steady 2,000 readings a second while each sync takes longer."""
    with bench.place() as place:
        shim = slow_sync.library(place)
        for number in range(bench.rounds):
            for ms in (5, 20):
                slow = slow_sync.slower_by(ms, shim)
                with servers.ours(place / f"by-{ms}", slow) as ours:
                    values = pace.paced(ours.port, OFFERED_PER_SEC, bench.seconds, keep_alive=True)
                yield Run("enqueued-slow", f"{ms} ms", number, values)


def memory(bench: Bench) -> Iterator[Run]:
    """What the master and two workers have after some use (`benchmarks/memory.py`)."""
    for number in range(bench.rounds):
        for side, workers in (("floor", 0), ("ours", servers.WORKERS)):
            found = measured_memory(workers, rows=0)
            yield Run("memory", side, number, {"memory_mb": found.together})


def rows(bench_seconds: int) -> dict[str, Row]:
    """The rows of this module, by name."""
    four = Load(4, bench_seconds)
    closing = Load(4, bench_seconds, keep_alive=False)
    return {
        "kept": partial(compared, "kept", four, "enqueued"),
        "closing": partial(compared, "closing", closing, "enqueued"),
        "committed-16": partial(compared, "committed-16", Load(16, bench_seconds), "committed"),
        "committed-4": partial(compared, "committed-4", four, "committed"),
        "committed-slow": committed_slow,
        "enqueued-slow": enqueued_slow,
        "memory": memory,
    }
