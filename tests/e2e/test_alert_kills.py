"""The elected worker of a real service is killed, again and again: nothing is told twice or never.

The messages are looked at in the state file. What a receiver gets is tested where they are sent.
"""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from flask10x.alerts.state_file import NAME
from flask10x.system.locks import lock_path
from tests.e2e.conftest import MakeService
from tests.e2e.service import PROJECT, Service, wait_until

HOOK = Path(__file__).with_name("alert_hook")
RULES = """
[rules.disk]
free_percent = 5
[channels.phone]
kind = "command"
command = ["/bin/true"]
[channels.mail]
kind = "command"
command = ["/bin/true"]
"""
CHANNELS = ("mail", "phone")


@pytest.fixture
def watched(service: MakeService, tmp_path: Path) -> Iterator[Service]:
    """A service whose disk is full while the file `firing` is there."""
    (tmp_path / "alerts.toml").write_text(RULES)
    made = service(start=False, alerts=tmp_path / "alerts.toml", log_level="WARNING")
    made.environment |= {
        "FIRING": str(tmp_path / "firing"),
        "PYTHONPATH": f"{HOOK}:{PROJECT}",
    }
    made.start()
    yield made
    made.stop()


def elected(service: Service) -> int | None:
    """The worker that holds the lock of alerts (https://man7.org/linux/man-pages/man5/proc_locks.5.html)."""
    inode = lock_path(service.database, "alerts").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return int(words[4])
    return None


def rows(service: Service, query: str) -> list[tuple[object, ...]]:
    """What it finds; nothing while the file or its tables are not there yet."""
    path = f"file:{service.data_dir / NAME}?mode=ro"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path, uri=True)) as file:
        return file.execute(query).fetchall()
    return []


def wait_for_elected(service: Service, not_this: int | None = None) -> int:
    wait_until(lambda: elected(service) not in (None, not_this), 60, "one is elected")
    found = elected(service)
    assert found is not None
    return found


def wait_for_alerts(service: Service, active: int, past: int) -> None:
    count = "SELECT count(*) - count(ended_ms), count(ended_ms) FROM alerts"
    found = [(active, past)]
    wait_until(lambda: rows(service, count) == found, 60, f"{active} active, {past} past")


@pytest.mark.tools
def test_whoever_of_the_elected_dies_when_each_alert_is_told_once(
    watched: Service, tmp_path: Path
) -> None:
    firing, chance = tmp_path / "firing", random.Random(13)
    times = 5
    for number in range(1, times + 1):
        for is_firing in (True, False):
            firing.touch() if is_firing else firing.unlink()
            # Before, while or after it is written.
            time.sleep(chance.uniform(0, 1.2))
            os.kill(wait_for_elected(watched), signal.SIGKILL)
            wait_for_alerts(watched, active=int(is_firing), past=number - is_firing)
    assert rows(watched, "SELECT count(*) FROM alerts") == [(times,)]
    per_alert = "SELECT alert_id, way, group_concat(occasion) FROM messages GROUP BY 1, 2"
    assert sorted(rows(watched, per_alert)) == [
        (number, channel, "entry,recovery")
        for number in range(1, times + 1)
        for channel in CHANNELS
    ]


@pytest.mark.tools
def test_a_reload_hands_over_and_tells_nothing_twice(watched: Service, tmp_path: Path) -> None:
    (tmp_path / "firing").touch()
    wait_until(lambda: rows(watched, "SELECT 1 FROM alerts") == [(1,)], 60, "it is entered")
    before = wait_for_elected(watched)
    watched.process.send_signal(signal.SIGHUP)
    wait_for_elected(watched, before)
    time.sleep(1.5)
    assert rows(watched, "SELECT count(*) FROM alerts") == [(1,)]
    (tmp_path / "alerts.toml").write_text(RULES.replace("free_percent = 5", "on = false"))
    watched.process.send_signal(signal.SIGHUP)
    ended = "SELECT ended FROM alerts"
    wait_until(lambda: rows(watched, ended) == [("unwatched",)], 60, "nobody watches it any more")
