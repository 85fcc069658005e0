"""People who load a page again as soon as it is there, each over a connection of its own.

`python -m benchmarks.bench.people PORT PATH HOW_MANY` is the process; it ends at the end of its
input and prints a line of JSON.
"""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException

from benchmarks.bench.results import latencies
from tests.e2e.senders import ask

ANSWER_WITHIN_SEC = 120.0


@dataclass(slots=True)
class People:
    """What so many people have got."""

    port: int
    path: str
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, how_many: int) -> None:
        """Load until the input ends."""
        for _ in range(how_many):
            threading.Thread(target=self._load, daemon=True).start()
        sys.stdin.read()
        self._stop.set()

    def account(self) -> dict[str, float]:
        """How many of each status, `status_200`, and how long they took."""
        counts = {f"status_{status}": float(n) for status, n in self.statuses.items()}
        return {**counts, **{f"page_{k}": v for k, v in latencies(self.latencies_ms).items()}}

    def _load(self) -> None:
        while not self._stop.is_set():
            started_sec = time.perf_counter()
            try:
                status = str(ask(self.port, "GET", self.path, timeout_sec=ANSWER_WITHIN_SEC).status)
            except (OSError, HTTPException):
                status = "none"
                # A server that refuses at once would else be asked without an end.
                self._stop.wait(0.1)
            self.statuses[status] += 1
            self.latencies_ms.append((time.perf_counter() - started_sec) * 1000)


@contextmanager
def loading(port: int, path: str, how_many: int) -> Iterator[dict[str, float]]:
    """They load while the block runs; the account is filled in at its end."""
    command = [sys.executable, "-m", "benchmarks.bench.people", str(port), path, str(how_many)]
    account: dict[str, float] = {}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield account
        finally:
            # What is still under way is not waited for.
            output, _ = process.communicate()
            account.update(json.loads(output or "{}"))


def main() -> None:
    """Print the account of the people that the command line asks for."""
    port, path, how_many = sys.argv[1:]
    people = People(int(port), path)
    people.run(int(how_many))
    print(json.dumps(people.account()))


if __name__ == "__main__":
    main()
