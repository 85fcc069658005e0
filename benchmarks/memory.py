"""The memory that a service needs; what its processes share counts once."""

import time
from pathlib import Path

from benchmarks.load import BODY
from tests.e2e.senders import Client, ask
from tests.e2e.service import processes

READINGS = 600
SETTLE_SEC = 2.0
BODIES = {"data": b'{"temperature": "25.1C", "pressure": "1013.25hPa"}', "data2": BODY}
PAGES = (
    *("/healthz", "/metrics", "/readyz", "/history", "/history?endpoint=data2&gt=co2:600"),
    *("/history/json", "/history/series?measurement=temperature", "/history.csv"),
    "/history/rejected",
)


def memory_mb_after_use(port: int, master: int) -> float:
    """Post over new and kept connections, ask for pages, charts and downloads; the memory then."""
    for number in range(READINGS):
        endpoint = ("data", "data2")[number % 2]
        answer = ask(port, "POST", f"/{endpoint}", BODIES[endpoint], "application/json")
        assert answer.status == 200
    for _ in range(4):
        client = Client(port, keep_alive=True)
        for _ in range(READINGS // 4):
            assert client.post("data", BODIES["data"]).status == 200
        client.close()
    for _ in range(6):
        for page in PAGES:
            ask(port, "GET", page)
    time.sleep(SETTLE_SEC)
    return memory_mb(master)


def memory_mb(master: int) -> float:
    """Of the master and its workers, as `/proc/<pid>/smaps_rollup` says.

    Of anonymous memory each one's share (`Pss_Anon`), of files (the interpreter, libraries) what
    one process has in memory, as if nothing else on the machine used them.
    """
    pids = [master, *(pid for pid, parent, _ in processes() if parent == master)]
    files = max(_rollup_mb(pid, "Rss") - _rollup_mb(pid, "Anonymous") for pid in pids)
    return files + sum(_rollup_mb(pid, "Pss_Anon") for pid in pids)


def _rollup_mb(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))
