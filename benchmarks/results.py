"""What was measured: a line of JSON for each run, and the statistics over them.

A run is one side (`floor`, `ours`, ...) of one row in one round; its values have the names that
`tables.toml` compares.
"""

import json
import math
import os
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

FILE = Path(__file__).with_name("results.jsonl")
PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one side has given."""

    row: str
    side: str
    round: int
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some runs, with the quartiles around it and the ends."""

    median: float
    low: float
    high: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value; raises ValueError for none."""
    quarter, three_quarters = percentile(values, 25), percentile(values, 75)
    return Spread(median(values), quarter, three_quarters, min(values), max(values))


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which that share lies, interpolated; NaN for no values."""
    if len(values) < 2:
        return max(values, default=math.nan)
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def latencies(values_ms: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and slowest, in milliseconds."""
    return {
        "p50_ms": percentile(values_ms, 50),
        "p99_ms": percentile(values_ms, 99),
        "max_ms": max(values_ms, default=math.nan),
    }


def taken() -> dict[str, str]:
    """When, on which commit, and on what this is measured."""
    commit = git("rev-parse", "--short", "HEAD") or "unknown"
    # What was measured before is in files that are changed by it.
    if git("status", "--porcelain", "flask10x", "migrations"):
        commit += " with changes"
    versions = ", ".join(f"{name} {version(name)}" for name in ("gunicorn", "gevent", "flask"))
    python = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}"
    machine = f"{os.cpu_count()} cores ({_processor()}), {_memory_gb():.0f} GB, Linux"
    return {
        "on": datetime.now().date().isoformat(),
        "commit": commit,
        "versions": python,
        "machine": machine,
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def git(*arguments: str) -> str:
    """What git prints in this checkout; empty when it fails."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.lower().startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def read(file: Path = FILE) -> tuple[dict[str, dict[str, str]], list[Run]]:
    """By row what it was measured on, and all runs; nothing when there is no such file."""
    on: dict[str, dict[str, str]] = {}
    runs: list[Run] = []
    if not file.exists():
        return on, runs
    for line in file.read_text(encoding="utf-8").splitlines():
        found = json.loads(line)
        if "taken" in found:
            on[found["row"]] = found["taken"]
        else:
            runs.append(Run(**found))
    return on, runs


def replace(row: str, runs: Sequence[Run], taken_on: dict[str, str], file: Path = FILE) -> None:
    """Put the runs of a row, and what `taken` said before them, in the place of its old ones."""
    on, kept = read(file)
    on[row] = taken_on
    kept = [run for run in kept if run.row != row] + list(runs)
    lines = [json.dumps({"row": name, "taken": of}) for name, of in sorted(on.items())]
    kept.sort(key=lambda run: (run.row, run.round))
    lines += [json.dumps(asdict(run)) for run in kept]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
