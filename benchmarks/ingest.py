"""Rows about taking readings as fast as they come: what they cost, how many, how long they wait."""

from collections.abc import Iterator
from functools import partial

from benchmarks import load, servers
from benchmarks.memory import memory_mb_after_use
from benchmarks.results import Run
from benchmarks.servers import Bench, Row

# With a few connections the kernel may give most of them to one worker; then it is tried again.
TRIES = 5
LONE_SECONDS = 2
OFFERED_PER_SEC = 2000


def compared(
    row: str, connections: int, ack: str, bench: Bench, *, keep_alive: bool = True
) -> Iterator[Run]:
    """The floor and ours in turn; a run in which one worker idled is tried again."""
    with (
        bench.place() as place,
        servers.floor(place / "floor") as floor,
        servers.ours(place / "ours", ack=ack) as ours,
    ):
        for number in range(bench.rounds):
            for side, server in (("floor", floor), ("ours", ours)):
                for _ in range(TRIES):
                    values = servers.full_load(
                        server, connections, bench.seconds, keep_alive=keep_alive
                    )
                    if values["both_busy"]:
                        break
                yield Run(row, side, number, values)


def committed_slow(bench: Bench) -> Iterator[Run]:
    """ACK=committed with 16 connections while each sync takes 20 ms longer."""
    with bench.place() as place:
        slow = servers.slower_sync(place)
        with servers.ours(place / "ours", slow(20), ack="committed") as ours:
            for number in range(bench.rounds):
                # A reading by itself: what one commit takes, as its sender sees it.
                lone = servers.full_load(ours, 1, LONE_SECONDS)
                values = servers.full_load(ours, 16, bench.seconds)
                values["commit_ms"] = lone["p50_ms"]
                yield Run("committed-slow", "ours", number, values)


def enqueued_slow(bench: Bench) -> Iterator[Run]:
    """ACK=enqueued at a steady 2,000 readings a second while each sync takes longer."""
    with bench.place() as place:
        slow = servers.slower_sync(place)
        for number in range(bench.rounds):
            for ms in (5, 20):
                with servers.ours(place / f"by-{ms}", slow(ms)) as ours:
                    values = load.paced(ours.port, OFFERED_PER_SEC, bench.seconds, keep_alive=True)
                yield Run("enqueued-slow", f"{ms} ms", number, values)


def memory(bench: Bench) -> Iterator[Run]:
    """What the master and two workers have after some use."""
    for number in range(bench.rounds):
        with bench.place() as place, servers.floor(place) as floor, servers.ours(place) as ours:
            for side, server in (("floor", floor), ("ours", ours)):
                values = {"memory_mb": memory_mb_after_use(server.port, server.pid)}
                yield Run("memory", side, number, values)


ROWS: dict[str, Row] = {
    "kept": partial(compared, "kept", 4, "enqueued"),
    "closing": partial(compared, "closing", 4, "enqueued", keep_alive=False),
    "committed-16": partial(compared, "committed-16", 16, "committed"),
    "committed-4": partial(compared, "committed-4", 4, "committed"),
    "committed-slow": committed_slow,
    "enqueued-slow": enqueued_slow,
    "memory": memory,
}
