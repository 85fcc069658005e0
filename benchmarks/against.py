"""This checkout against another commit: `make bench BENCH="--against <commit>"`.

Both run side by side on databases of the same readings, and take turns in short pieces, so that
whatever else the machine does meets both. What counts is the ratio within a round.
"""

import shutil
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from benchmarks import filled, load, report
from benchmarks.memory import memory_mb
from benchmarks.results import PROJECT, git, spread
from benchmarks.servers import Bench, cpu_sec
from tests.e2e.service import Service, reserved_port, wait_until

# Four stations, each every 20 s, for 35 days: the chart of a month leaves some out.
ROWS = 600_000
MONTH = timedelta(days=30)
CORRECTIONS = 300
PAGES = (
    *("/", "/history", "/history?co2__gte=1900", "/history/series?from={month}"),
    *("/history/series?from={month}&co2__gte=1900", "/status", "/records"),
)
# Those that show readings, once more with that many corrections; and what these may take.
CORRECTED_PAGES, CORRECTED_LIMIT = PAGES[:5], 1.2
CORRECTED = f", {CORRECTIONS} corrections, ms"
PIECES = 6
REQUESTS_OF_A_PIECE = 5
READINGS_PER_SEC = 400
STARTS = 3
READY_WITHIN_SEC = 120.0
FILLED_WITHIN_SEC = 600.0
# Then the thread that commits has written what was accepted.
COMMITTED_AFTER_SEC = 0.3
# A service whose processes take less than that of a second has done what follows its start.
IDLE_SHARE, IDLE_LOOK_SEC, IDLE_WITHIN_SEC = 0.03, 0.5, 120.0
LIMIT = 1.03
READING, START, START_CPU, MEMORY = (
    "a reading, kept connection, µs",
    "start until ready, s",
    "start until ready, processor s",
    "memory, MB",
)
HAS_ROLLUPS = (
    "SELECT last_id >= (SELECT max(id) FROM readings) FROM followers WHERE name = 'rollups'"
)
# Hours of a measurement are moved, minutes of the station hidden, all over the time.
CORRECT = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :number)
INSERT INTO corrections
  (endpoint, measurement, first_ms, last_ms, kind, "offset", reason, written_at)
SELECT 'data2', iif(n % 2, 'temperature', NULL), :begin_ms + n * :apart_ms,
  :begin_ms + n * :apart_ms + iif(n % 2, 3600000, 60000), iif(n % 2, 'adjust', 'hide'),
  iif(n % 2, 0.5, NULL), 'bench', 0
FROM numbers WHERE :number
"""
UNAPPLIED = "unapplied_ms = first_ms WHERE undone_at IS NULL"
APPLIED = "SELECT count(unapplied_ms) FROM corrections"


@dataclass(slots=True)
class Side:
    """One of the two that are compared: the service of a source tree."""

    name: str
    service: Service
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """What this round has measured so far."""

    def start(self) -> None:
        """Start it; what that takes is noted."""
        started_sec = time.perf_counter()
        self.service.launch()
        wait_until(self._is_ready, READY_WITHIN_SEC, f"{self.name} is ready")
        self.spent[START] += (time.perf_counter() - started_sec) / STARTS
        self.service.wait_for_workers()
        self.spent[START_CPU] += self.cpu_sec() / STARTS

    def _is_ready(self) -> bool:
        assert self.service.process.poll() is None, self.service.output()
        try:
            return self.service.get("/readyz").status == 200
        except OSError:
            return False

    def cpu_sec(self) -> float:
        """Processor time of the master and its workers so far, user and system."""
        return sum(map(cpu_sec, (self.service.pid, *self.service.workers())))

    def wait_until_idle(self) -> None:
        """Return when what it does by itself after a start is done."""

        def is_idle() -> bool:
            before_sec = self.cpu_sec()
            time.sleep(IDLE_LOOK_SEC)
            return self.cpu_sec() - before_sec < IDLE_SHARE * IDLE_LOOK_SEC

        wait_until(is_idle, IDLE_WITHIN_SEC, f"{self.name} is idle")

    def fill(self, begin_ms: int) -> None:
        """Lay a database of its own form, with `ROWS` readings and their roll-ups."""
        self.start()
        self.service.stop()
        filled.fill(self.service.database, ROWS, begin_ms)
        self.start()
        wait_until(self._has_rollups, FILLED_WITHIN_SEC, f"{self.name} has made the roll-ups")
        self.service.stop()
        self.spent.clear()

    def _has_rollups(self) -> bool:
        return self.service.rows(HAS_ROLLUPS) == [(1,)]

    def correct(self, begin_ms: int, how_many: int) -> None:
        """Write so many corrections in the place of those there are, and wait for their hours."""
        given = {"number": how_many, "begin_ms": begin_ms}
        given["apart_ms"] = ROWS * filled.STEP_MS // max(how_many, 1)
        with closing(sqlite3.connect(self.service.database, timeout=10)) as connection, connection:
            names = [row[1] for row in connection.execute("PRAGMA table_info(corrections)")]
            if is_applied := "unapplied_ms" in names:
                connection.execute("UPDATE corrections SET undone_at = 0, unapplied_ms = first_ms")
            else:
                connection.execute("DELETE FROM corrections")
            connection.execute(CORRECT, given)
            if is_applied:
                connection.execute(f"UPDATE corrections SET {UNAPPLIED}")
        if is_applied:
            wait_until(self._is_applied, FILLED_WITHIN_SEC, f"{self.name} has made the hours")

    def _is_applied(self) -> bool:
        return self.service.rows(APPLIED) == [(0,)]

    def measure(self, what: str, scale: float, action: Callable[[], object]) -> None:
        """Add the processor time of that, times a number, to what the round says of it."""
        before_sec = self.cpu_sec()
        action()
        self.spent[what] += (self.cpu_sec() - before_sec) * scale


def compare(commit: str, bench: Bench) -> None:
    """Measure both, and print a table after each round; raises ValueError for an unknown commit."""
    begin_ms = time.time_ns() // 1_000_000 - ROWS * filled.STEP_MS
    measured: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with _sides(commit, bench) as sides:
        for side in sides:
            side.fill(begin_ms)
        for number in range(bench.rounds):
            # Who begins changes.
            _round(sides if number % 2 == 0 else sides[::-1], begin_ms, bench.seconds)
            for side in sides:
                for what, value in side.spent.items():
                    measured[what][side.name].append(value)
                side.spent.clear()
            print(f"\nround {number + 1} of {bench.rounds}")
            print("\n".join(table(measured, [side.name for side in sides])), flush=True)


@contextmanager
def _sides(commit: str, bench: Bench) -> Iterator[list[Side]]:
    name = git("rev-parse", "--short", "--verify", f"{commit}^{{commit}}")
    if not name:
        raise ValueError(f"there is no commit {commit}")
    with bench.place() as place, ExitStack() as stack:
        sides = []
        for side, tree in ((name, _tree(place, name)), ("this checkout", PROJECT)):
            port = stack.enter_context(reserved_port())
            service = Service(place / side.replace(" ", "-"), port, {})
            service.environment["PYTHONPATH"] = str(tree)
            service.environment.pop("PYTHONDONTWRITEBYTECODE", None)
            stack.callback(service.discard)
            sides.append(Side(side, service))
        yield sides


def _tree(place: Path, commit: str) -> Path:
    """The files of that commit, with the chart library of this checkout."""
    tree = place / f"tree-{commit}"
    tree.mkdir()
    packed = tree / "files.tar"
    git("archive", f"--output={packed}", commit)
    shutil.unpack_archive(packed, tree, filter="data")
    for vendor in PROJECT.glob("flask10x/**/vendor"):
        shutil.copytree(vendor, tree / vendor.relative_to(PROJECT), dirs_exist_ok=True)
    subprocess.run([sys.executable, "hatch_build.py"], cwd=tree, check=True)
    return tree


def _round(sides: Sequence[Side], begin_ms: int, seconds: int) -> None:
    for number in range(STARTS):
        for side in sides:
            if number:
                side.service.stop()
            side.start()
    for side in sides:
        side.wait_until_idle()
        # The first ones do not count.
        _post(side)
    _pages(sides, begin_ms)
    for _ in range(seconds):
        for side in sides:
            side.measure(READING, 1e6 / (READINGS_PER_SEC * seconds), partial(_post, side))
    for side in sides:
        side.spent[MEMORY] = memory_mb(side.service.pid)
        side.service.stop()


def _pages(sides: Sequence[Side], begin_ms: int) -> None:
    month = f"{datetime.now(UTC) - MONTH:%Y-%m-%dT%H:%M:%SZ}"
    for corrections, paths in ((0, PAGES), (CORRECTIONS, CORRECTED_PAGES), (0, ())):
        for side in sides:
            side.correct(begin_ms, corrections)
        suffix = CORRECTED if corrections else ", ms"
        for path in paths:
            label = path.format(month="a month") + suffix
            _measure_page(sides, path.format(month=month), label)


def _measure_page(sides: Sequence[Side], path: str, label: str) -> None:
    for side in sides:
        # What is read for the first time does not count.
        _ask(side, path)
    for _ in range(PIECES):
        for side in sides:
            scale = 1000 / (PIECES * REQUESTS_OF_A_PIECE)
            side.measure(label, scale, partial(_ask, side, path))


def _ask(side: Side, path: str) -> None:
    with closing(HTTPConnection("127.0.0.1", side.service.port, timeout=60)) as connection:
        for _ in range(REQUESTS_OF_A_PIECE):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, f"{side.name} answers {path} with {answer.status}"


def _post(side: Side) -> None:
    account = load.paced(side.service.port, READINGS_PER_SEC, 1, keep_alive=True)
    assert account["accepted"] == READINGS_PER_SEC, f"{side.name}: {account}"
    time.sleep(COMMITTED_AFTER_SEC)


def table(values_of: Mapping[str, Mapping[str, list[float]]], names: Sequence[str]) -> list[str]:
    """A line for each thing: both medians, the median of the ratios, and whether it is met."""
    heading = ("processor time, or what else it says", *names, "ratio", "aim")
    lines = [f"| {' | '.join(heading)} |", "|---|---:|---:|---:|---|"]
    for what, values in values_of.items():
        before, after = (values[name] for name in names)
        lines.append(_line(what, before, after, LIMIT))
        if what.endswith(CORRECTED):
            page = what.removesuffix(CORRECTED)
            without = values_of[f"{page}, ms"][names[1]]
            lines.append(_line(f"{page}, without and with them", without, after, CORRECTED_LIMIT))
    return lines


def _line(what: str, before: Sequence[float], after: Sequence[float], limit: float) -> str:
    ratio = spread([b / a for a, b in zip(before, after, strict=True)])
    # With the limit within the quartiles the rounds contradict each other.
    missed = "unclear" if ratio.low <= limit else "missed"
    verdict = f"{'met' if ratio.median <= limit else missed}, at most {limit}"
    cells = [report.with_spread(spread(before)), report.with_spread(spread(after))]
    cells += [f"{ratio.median:.3f} ({ratio.low:.3f}–{ratio.high:.3f})", verdict]
    return f"| {what} | {' | '.join(cells)} |"
