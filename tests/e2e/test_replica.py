"""Litestream beside the real service: what comes back when the card dies, and what disturbs it."""

import hashlib
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path

import pytest

from flask10x.database.sqlite.litestream import Replica, folder_beside, replica_of
from tests.contract.test_deploy import DEPLOY
from tests.e2e.conftest import MakeService
from tests.e2e.load import stored_numbers
from tests.e2e.senders import Client, reading_of
from tests.e2e.service import PATIENCE_SEC, Service, wait_until
from tests.support import rows

# Beside the Python of the tests is what `make tools` installs.
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
LITESTREAM = shutil.which("litestream", path=PATH)
needs_litestream = pytest.mark.skipif(
    LITESTREAM is None, reason="Litestream is not installed: no replica is kept"
)
pytestmark = [
    pytest.mark.tools,
    pytest.mark.sqlite_only("Litestream replicates files of SQLite"),
    needs_litestream,
]
RATE = 40
# Some seconds of readings at least, of which Litestream has carried several times.
READINGS = 200
# On a machine with nothing else to do it is less than 2 s (docs/en/howto/card-died.md); one that is
# full of tests makes Litestream wait for the processor.
LOST_MAX_SEC = 20.0
READINGS_STORED = "SELECT id, received_at, temperature, gas_resistance FROM readings"
EXPORTED = "SELECT name, size_bytes FROM csv_files"
SERIES = {"endpoint": "'data2'", "received_at": "1756000000000 + i", "temperature": "i"}
MANY_ROWS = 20_000


class Litestream:
    """`litestream replicate` with the configuration of deploy/, for the database of a service."""

    def __init__(self, service: Service) -> None:
        self._database = service.database
        self.folder = service.folder / "replica"
        self.url = f"file://{self.folder}"
        service.environment |= {"PATH": PATH, "LITESTREAM_REPLICA_URL": self.url}
        self._environment = service.environment
        self._output = service.folder / "litestream.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *wrapper: str) -> None:
        """Start it, run by another command perhaps, and wait until it answers."""
        assert LITESTREAM is not None
        config = DEPLOY / "litestream" / "litestream.yml"
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [*wrapper, LITESTREAM, "replicate", "-config", str(config)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        wait_until(lambda: self.state().is_running, PATIENCE_SEC, f"it runs: {self.output()}")

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def reset(self) -> None:
        """Forget what is on its way."""
        shutil.rmtree(folder_beside(self._database))

    def output(self) -> str:
        """What it has written so far."""
        return self._output.read_text(errors="replace")

    def state(self) -> Replica:
        """As the service sees it."""
        state = replica_of(self._database)
        return state or Replica(is_running=False, synced_at=None)

    def carried(self, query: str = READINGS_STORED) -> set[tuple[object, ...]]:
        """The rows of a query on what the replica has."""
        assert LITESTREAM is not None
        copy = self.folder.with_name("copy.sqlite3")
        copy.unlink(missing_ok=True)
        done = subprocess.run(
            [LITESTREAM, "restore", "-integrity-check", "full", "-o", str(copy), self.url],
            capture_output=True,
            check=False,
        )
        return selected(copy, query) if done.returncode == 0 else set()


def selected(database: Path, query: str = READINGS_STORED) -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        return set(connection.execute(query))


@pytest.fixture
def stored(service: MakeService) -> Iterator[Service]:
    """A service that answers what it has committed; what it has in memory dies with it."""
    yield service(ack="committed")


@pytest.fixture
def litestream(stored: Service) -> Iterator[Litestream]:
    """Litestream, running."""
    made = Litestream(stored)
    made.start()
    yield made
    made.kill()


class Sender:
    """One that posts RATE readings a second, and notes when each was acknowledged."""

    def __init__(self, port: int) -> None:
        self.acknowledged: dict[int, float] = {}
        self._port = port
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for(self, number: int) -> None:
        """Return when so many were acknowledged."""
        wait_until(lambda: len(self.acknowledged) >= number, PATIENCE_SEC, f"{number} acknowledged")

    def ends(self) -> None:
        """Wait until it has met a service that is gone."""
        self._thread.join(PATIENCE_SEC)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        client, began = Client(self._port, keep_alive=True), time.monotonic()
        for number in itertools.count(1):
            try:
                answer = client.post("data2", json.dumps(reading_of(number)).encode())
            except (OSError, HTTPException):
                return
            assert answer.status == 200
            self.acknowledged[number] = time.monotonic()
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_drill(stored: Service, litestream: Litestream) -> None:
    """The card dies under load: all is killed, the folder is gone, one command brings it back."""
    sender = Sender(stored.port)
    sender.wait_for(READINGS // 2)
    stored.export()
    exported = selected(stored.database, EXPORTED)
    wait_until(lambda: litestream.carried(EXPORTED) == exported, PATIENCE_SEC, "the export, too")
    sender.wait_for(READINGS)
    stored.export()
    sender.wait_for(READINGS + RATE)
    lost_files = files_in(stored.csv_dir)
    died = time.monotonic()
    litestream.kill()
    stored.discard()
    sender.ends()
    shutil.rmtree(stored.data_dir)

    began = time.monotonic()
    done = stored.command("restore", "--replica")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    restored_sec = time.monotonic() - began
    files = files_in(stored.csv_dir)
    assert files.keys() == lost_files.keys()
    for name, lost in lost_files.items():
        # To the last byte that both have: one of them may have rows of the last second.
        length = min(len(lost), len(files[name]))
        assert (
            hashlib.sha256(files[name][:length]).digest() == hashlib.sha256(lost[:length]).digest()
        )
    assert done.stdout.count("bytes are those of the lost file") == len(files)

    stored.start()
    numbers = stored_numbers(stored)
    assert set(numbers.values()) == {1}
    # None in between is missing.
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    times = sender.acknowledged
    lost_numbers = times.keys() - numbers.keys()
    lost_sec = max(0.0, died - min((times[number] for number in lost_numbers), default=died))
    assert lost_sec < LOST_MAX_SEC
    figures = (len(times), len(lost_numbers), round(lost_sec, 2), round(restored_sec, 2))
    sys.stdout.write(f"acknowledged, lost, seconds lost, seconds to restore: {figures}\n")

    # It goes on into the same place.
    litestream.start()
    assert stored.post("data2", reading_of(9999)).status == 200
    wait_until(
        lambda: litestream.carried() == selected(stored.database), PATIENCE_SEC, "it goes on"
    )


@pytest.mark.long
def test_interplay(stored: Service, litestream: Litestream) -> None:
    """What changes much, or the file from outside, is in the replica all the same."""

    def is_whole() -> bool:
        return litestream.carried() == selected(stored.database)

    def check(what: str) -> None:
        wait_until(is_whole, PATIENCE_SEC, f"{what}: the replica is whole\n{litestream.output()}")
        assert stored.post("data2", reading_of(1)).status == 200, what
        wait_until(is_whole, PATIENCE_SEC, f"{what}: it goes on\n{litestream.output()}")

    rows.insert_series(stored.database, MANY_ROWS, **SERIES)
    check("many readings at once")
    rows.execute(stored.database, "DELETE FROM readings WHERE id % 3 = 0")
    check("many are removed")
    rows.execute(stored.database, "CREATE TABLE copy AS SELECT * FROM readings", "DROP TABLE copy")
    check("a migration")
    done = stored.command("backup")
    assert done.returncode == 0, done.stderr
    check("a backup")
    with closing(sqlite3.connect(stored.database, timeout=60)) as connection:
        connection.execute("VACUUM")
    check("VACUUM")
    litestream.kill()
    rows.insert_series(stored.database, MANY_ROWS, **SERIES)
    stored.stop()
    assert not stored.database.with_name(f"{stored.database.name}-wal").exists()
    stored.start()
    litestream.start()
    check("the WAL was emptied without Litestream")


def test_restore_of_a_backup(stored: Service, litestream: Litestream) -> None:
    """It waits until Litestream has ended; then the replica is of what was restored."""
    for number in (1, 2):
        assert stored.post("data2", reading_of(number)).status == 200
    assert stored.command("backup").returncode == 0
    (backup,) = (stored.data_dir / "backups").glob("*.sqlite3")
    assert stored.post("data2", reading_of(3)).status == 200
    stored.stop()
    done = stored.command("restore", str(backup))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Litestream has" in done.stderr
    assert stored.count() == 3
    litestream.kill()
    done = stored.command("restore", str(backup))
    assert done.returncode == 0, done.stderr
    stored.start()
    litestream.start()
    assert stored.post("data2", reading_of(4)).status == 200
    wait_until(
        lambda: litestream.carried() == selected(stored.database), PATIENCE_SEC, "it goes on"
    )
    assert stored.count() == 3


@pytest.mark.long
def test_broken_on_its_way(stored: Service, litestream: Litestream) -> None:
    """A change that the card has broken keeps Litestream from going on, and it is seen."""
    assert stored.post("data2", reading_of(1)).status == 200
    wait_until(lambda: len(litestream.carried()) == 1, PATIENCE_SEC, "it carries")
    litestream.kill()
    for change in (folder_beside(stored.database) / "ltx" / "0").iterdir():
        change.write_bytes(b"broken by a power cut")
        os.utime(change, (1_000_000_000, 1_000_000_000))
    litestream.start()
    assert stored.post("data2", reading_of(2)).status == 200
    assert litestream.state().synced_at == 1_000_000_000_000
    litestream.kill()
    # As /status says.
    litestream.reset()
    litestream.start()
    wait_until(lambda: len(litestream.carried()) == 2, PATIENCE_SEC, "it goes on")
