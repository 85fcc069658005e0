"""Rows about readings that come while others ask for much: charts, downloads, commands."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from benchmarks import filled, load, servers
from benchmarks.results import Run
from benchmarks.servers import Bench, Row
from tests.e2e.service import Service

# A reading of each of 1,600 stations a minute is 27 a second; this is three times that.
PER_SEC = 80
MANY_ROWS = 11_000_000
FEWER_ROWS = 1_000_000
SECONDS_ALONE = 3
# Beside people and commands longer, so that p99 has some hundred readings behind it.
SECONDS = 6
# They have begun when it is measured.
BEGINS_SEC = 1.0
IMPORT_ROWS = 300_000
OPEN_PAGES = 50
FILTER = "/history/series?co2__gte=1000"
CHART = "/history/series"

Activity = Callable[[Service], AbstractContextManager[object]]


def people(row: str, path: str, how_many: int, behind: bool, bench: Bench) -> Iterator[Run]:
    """Alone and beside people who load a chart over 11 million readings, in turn."""
    with bench.place() as place:
        database = bench.lay_database(place, MANY_ROWS)
        for number in range(bench.rounds):
            if behind:
                filled.let_rollups_lag(database)
            with servers.ours(place) as ours:
                if not behind:
                    yield Run(row, "alone", number, _paced(ours, SECONDS_ALONE))
                with load.people(ours.port, path, how_many) as account:
                    time.sleep(BEGINS_SEC)
                    values = _paced(ours, SECONDS)
                yield Run(
                    row, "ours", number, values | {f"page_{k}": v for k, v in account.items()}
                )


def pages(bench: Bench) -> Iterator[Run]:
    """Alone and beside open pages that show each reading, over a million readings, in turn."""
    with bench.place() as place:
        bench.lay_database(place, FEWER_ROWS)
        with servers.ours(place) as ours:
            for number in range(bench.rounds):
                yield Run("pages-50", "alone", number, _paced(ours, SECONDS))
                with load.people(ours.port, "/", OPEN_PAGES, "--follow") as account:
                    time.sleep(BEGINS_SEC)
                    values = _paced(ours, SECONDS)
                values |= {f"page_{name}": value for name, value in account.items()}
                yield Run("pages-50", "ours", number, values)


def _paced(service: Service, seconds: float) -> dict[str, float]:
    return load.paced(service.port, PER_SEC, seconds, keep_alive=False)


def commands(bench: Bench) -> Iterator[Run]:
    """Alone and beside a download, an export, a backup and an import, over a million readings."""
    activities: dict[str, Activity] = {
        "alone": lambda _: nullcontext(),
        "download": lambda service: load.people(service.port, "/history.csv", 1),
        "export": partial(running, arguments=lambda _: ["export", "--rebuild"]),
        "backup": partial(running, arguments=lambda _: ["backup", f"backups-{time.time_ns()}"]),
        "import": partial(running, arguments=_import),
    }
    with bench.place() as place:
        bench.lay_database(place, FEWER_ROWS)
        with servers.ours(place) as ours:
            for number in range(bench.rounds):
                for name, activity in activities.items():
                    with activity(ours):
                        time.sleep(BEGINS_SEC)
                        values = _paced(ours, SECONDS)
                    yield Run("commands", name, number, values)


@contextmanager
def running(service: Service, arguments: Callable[[Service], list[str]]) -> Iterator[None]:
    """A command of ours over and over while the block runs; raises when one fails."""
    stop, failed = threading.Event(), []
    current: list[subprocess.Popen[bytes]] = []

    def loop() -> None:
        while not stop.is_set():
            command = [sys.executable, "-m", "flask10x", *arguments(service)]
            process = subprocess.Popen(
                command, cwd=service.folder, env=service.environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            current[:] = [process]
            output, _ = process.communicate()
            if process.returncode and not stop.is_set():
                failed.append(output.decode(errors="replace"))
                return

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        if current:
            # The next one continues where it stopped, or begins again.
            current[0].terminate()
        thread.join()
    if failed:
        raise RuntimeError(f"beside the readings: {failed[0]}")


def _import(service: Service) -> list[str]:
    """`flask10x import` of a file about a year that no file imported so far is about."""
    number = len(list(service.folder.glob("old-*")))
    path = service.folder / f"old-{number}" / "BedRoomEnv.csv"
    path.parent.mkdir()
    write_old_file(path, IMPORT_ROWS, datetime(1980, 1, 1, tzinfo=UTC) + timedelta(366 * number))
    return ["import", str(path)]


def write_old_file(path: Path, rows: int, since: datetime) -> None:
    """A file as the old server wrote it, a row each 20 s."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("current_time,CO2,Tempereture,Humidity,Pressure,GasResistance\r\n")
        for number in range(rows):
            when = since + timedelta(seconds=20 * number)
            file.write(
                f"{when:%Y-%m-%d %H:%M:%S},{400 + number % 1600}.0,{15 + number % 200 / 10},"
                f"{20 + number % 60}.0,{980 + number % 500 / 10},{5000 + number % 15000}.0\r\n"
            )


ROWS: dict[str, Row] = {
    "filter-4": partial(people, "filter-4", FILTER, 4, False),
    "charts-8": partial(people, "charts-8", CHART, 8, False),
    "charts-8-behind": partial(people, "charts-8-behind", CHART, 8, True),
    "pages-50": pages,
    "commands": commands,
}
