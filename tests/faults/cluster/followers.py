"""What reads along while readings are stored: a program that polls by id, and the CSV export."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from tests.e2e.senders import ask
from tests.e2e.service import Service
from tests.faults.cluster.boards import ENDPOINT

POLL_SEC = 0.2
EXPORT_EVERY_SEC = 3.0
TIMEOUT_SEC = 5.0
# A failed step is tried again, as who polls does.
TRY_AGAIN = (OSError, HTTPException, DBAPIError, subprocess.TimeoutExpired)


class SqlFollower:
    """Asks the database for what is stored after the last id that it has seen."""

    QUERY = text("SELECT id, gas_resistance FROM readings WHERE id > :last ORDER BY id LIMIT 5000")

    def __init__(self, url: str) -> None:
        arguments = {"connect_timeout": 2, "tcp_user_timeout": 5000}
        self._engine = create_engine(url, connect_args=arguments, pool_pre_ping=True)
        self.seen: list[tuple[int, int]] = []
        """The id and the number of each reading, as they came."""

    def step(self) -> bool:
        """Read what is new; whether there was any."""
        with self._engine.begin() as connection:
            rows = connection.execute(self.QUERY, {"last": self.last_id}).fetchall()
        self.seen += [(number, int(value)) for number, value in rows]
        return bool(rows)

    @property
    def last_id(self) -> int:
        """That of the last reading that it has seen."""
        return self.seen[-1][0] if self.seen else 0

    def close(self) -> None:
        """End its connections."""
        self._engine.dispose()


class HttpFollower:
    """The same by `/history/json?since=`, as documented, of whichever host answers."""

    def __init__(self, hosts: Sequence[Service]) -> None:
        self._hosts = [*hosts]
        self.last_id = 0
        """Up to which id it has seen all."""
        self.seen: list[int] = []
        """The number of each reading, as they came: they have no ids here, doubles are kept."""

    def step(self) -> bool:
        """Read what is new; whether there was any."""
        path = f"/history/json?endpoint={ENDPOINT}&since={self.last_id}&limit=1000"
        answer = ask(self._hosts[0].port, "GET", path, timeout_sec=TIMEOUT_SEC)
        if answer.status != 200:
            self._hosts.reverse()
            raise OSError(answer.status)
        last = int(answer.headers["x-last-id"])
        self.seen += [int(row["data"]["gas_res"]) for row in json.loads(answer.body)]
        moved, self.last_id = last > self.last_id, last
        return moved

    def close(self) -> None:
        """It has nothing open."""


class Exporter:
    """Runs `flask10x export` on one host, again and again."""

    def __init__(self, host: Service) -> None:
        self._host = host
        self.succeeded = False
        self.failed: list[str] = []
        """What those said that did not succeed: while there is no database they can't."""

    def step(self) -> bool:
        """Export once; False, so that the next one comes after its pause."""
        done = self._host.run("-m", "flask10x", "export")
        if done.returncode:
            self.failed.append(done.stdout + done.stderr)
        else:
            self.succeeded = True
        return False

    def close(self) -> None:
        """Nothing runs between two steps."""


@contextmanager
def going_on(step: Callable[[], bool], pause_sec: float) -> Iterator[None]:
    """Repeat the step in a thread, at once while there is more, else after the pause."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            more = False
            with suppress(*TRY_AGAIN):
                more = step()
            if not more:
                stopped.wait(pause_sec)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
