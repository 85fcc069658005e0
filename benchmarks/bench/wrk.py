"""As many POSTs as are answered, by wrk (https://github.com/wg/wrk), and what they cost."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench.servers import Server, both_busy, cpu_sec, workers_of

SCRIPT = Path(__file__).with_name("post.lua")
MARK = "ACCOUNT "
# The load is let settle before it counts.
WARM_UP_SEC = 1


@dataclass(frozen=True, slots=True)
class Load:
    """How the readings are posted."""

    connections: int
    seconds: int
    keep_alive: bool = True


def missing() -> str:
    """What has to be installed first; empty when nothing has."""
    if shutil.which("wrk") is None:
        return "wrk is missing: sudo apt install wrk"
    return ""


def warm_up(server: Server, load: Load) -> None:
    """Post for a moment: connections, caches, first commits."""
    _run(server.port, Load(load.connections, WARM_UP_SEC, load.keep_alive))


def measured(server: Server, load: Load) -> dict[str, float]:
    """What one run gives; `both_busy` is 1 when each worker had its share of the work.

    Processor time is that of the master and its workers for each 1,000 readings that were accepted.
    """
    workers = workers_of(server)
    before = cpu_sec([server.pid, *workers])
    account = _run(server.port, load)
    used = [b - a for a, b in zip(before, cpu_sec([server.pid, *workers]), strict=True)]
    return values_of(account, used)


def values_of(account: dict[str, float], used_sec: list[float]) -> dict[str, float]:
    """wrk's account and the processor's seconds (the master first), as values of a run."""
    accepted = account["requests"] - account["refused"]
    return {
        "cpu_s_per_1000": sum(used_sec) / accepted * 1000 if accepted else float("inf"),
        "per_sec": accepted / account["seconds"],
        "both_busy": float(both_busy(used_sec[1:])),
        **{name: account[name] for name in ("p50_ms", "p99_ms", "max_ms", "refused", "broken")},
    }


def _run(port: int, load: Load) -> dict[str, float]:
    command = ["wrk", "--threads", "1", "--connections", str(load.connections)]
    command += ["--duration", f"{load.seconds}s", "--timeout", "10s", "--script", str(SCRIPT)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/data2"],
        env={**os.environ, "BENCH_CLOSE": "0" if load.keep_alive else "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return account_of(done.stdout)


def account_of(output: str) -> dict[str, float]:
    """The line that post.lua has written; raises ValueError when there is none."""
    for line in output.splitlines():
        if line.startswith(MARK):
            found: dict[str, float] = json.loads(line.removeprefix(MARK))
            return found
    raise ValueError(f"wrk gave no account:\n{output}")
