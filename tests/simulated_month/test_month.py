"""A month in a home of real processes: whatever fails, each entry and recovery is told once.

The clock goes in steps of an hour, or less in the long run. Sensors, the network of the messages,
workers and the whole service fail as they do in a month. What the receiver has taken is compared
with what happened.
"""

import copy
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flask10x.alerts.state_file import NAME
from tests.e2e.conftest import make_services
from tests.e2e.service import Service, wait_until
from tests.simulated_month.receiver import Receiver
from tests.simulated_month.simulated_clock import SimulatedClock

DAY_MIN = 24 * 60
# One may be under way when a reading is stored; the next one finds it.
LOOKS = 2
ALERTS = """\
language = "en"
base_url = "http://raspberrypi.local:8888"
daily_max = 100

[rules.silence]
after_min = 150

[rules.backup]
after_h = 72

[rules.stuffy]
kind = "threshold"
station = "data2"
measurement = "co2"
above = 1500
clear = 1200
for_min = 110

[rules.window]
kind = "rate"
station = "data3"
measurement = "temperature"
fall = 6
within_min = 130

[rules.failed_sensor]
readings = 6

[rules.rejected]
readings = 3
within_min = 480

[channels.phone]
kind = "webhook"
url = "{url}"
"""
"""Each rule that is told of in this month."""

CO2_PPM, WARM_CELSIUS = 700, 20.0
BODIES: dict[str, dict[str, Any]] = {
    "data": {"temperature": "25.1C", "pressure": "1013.25hPa"},
    "data2": {"co2": CO2_PPM, "temperature": 25.1, "humidity": 52, "pressure": 1013.2}
    | {"gas_res": 8500},
    "data3": {"temperature": WARM_CELSIUS, "humidity": 60, "pressure": 1013, "gas_res": 9000},
    "data4": {
        "mh_z19": {"co2": 650},
        "mq_2": {"analog_value": 120, "voltage": 0.4},
        "ds18b20": {"temperature": 21.5},
        "dht11": {"temperature": 22, "humidity": 48},
    },
}

# When something goes on, in days: from and to.
Span = tuple[float, float]
SILENT: dict[str, list[Span]] = {
    "data": [(2.25, 2.75), (21.4, 22.1)],
    # Longer than a day: there is a reminder. Then once while the network is away, and once into the
    # day after.
    "data3": [(5.0, 7.5), (15.8, 16.3)],
    "data2": [(15.25, 15.5)],
    "data4": [(28.9, 29.2)],
}
STUFFY: list[Span] = [(8.5, 8.8), (18.1, 18.3)]
# Around the limit, and never down to where it clears.
FLAPPING: Span = (26.0, 26.5)
COLD: list[Span] = [(13.3, 13.6)]
FAILED: Span = (10.0, 10.7)
REFUSED: Span = (24.0, 24.5)
NETWORK_AWAY: Span = (15.0, 16.0)
NO_BACKUPS: Span = (11.0, 17.0)
SERVICE_KILLED, SERVICE_STOPPED = 20.0, 23.0
EXPECTED = Counter(
    {
        ("silence", "data"): len(SILENT["data"]),
        ("silence", "data2"): len(SILENT["data2"]),
        ("silence", "data3"): len(SILENT["data3"]),
        ("silence", "data4"): len(SILENT["data4"]),
        ("stuffy", "data2.co2"): len(STUFFY) + 1,
        ("window", "data3.temperature"): len(COLD),
        ("failed_sensor", "data4.temperature_ds18b20"): 1,
        ("rejected", "data"): 1,
        ("backup", ""): 1,
    }
)


def in_file(file: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query of the state file, which is SQLite's on both engines."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", timeout=10, uri=True)) as connection:
        return connection.execute(sql).fetchall()


def is_within(day: float, *spans: Span) -> bool:
    return any(begin <= day < end for begin, end in spans)


class Home:
    """The sensors of the home, and what happens around them."""

    def __init__(self, running: Service, clock: SimulatedClock, receiver: Receiver) -> None:
        self.running = running
        self.clock = clock
        self.receiver = receiver
        self.accepted = 0

    def live(self, days: int, step_min: int) -> None:
        """So many days, a step after the other."""
        for step in range(days * DAY_MIN // step_min):
            day = step * step_min / DAY_MIN
            self.clock.go_on(step_min * 60_000)
            self.receiver.is_away = is_within(day, NETWORK_AWAY)
            self.fail(step, day)
            for endpoint in ("data", "data2", "data3", "data4"):
                if not is_within(day, *SILENT[endpoint]):
                    self.send(endpoint, step, day)
            if day % 1 == 0 and not is_within(day, NO_BACKUPS):
                self.back_up()
            self.wait_for_watcher()
            self.settle()

    def send(self, endpoint: str, step: int, day: float) -> None:
        body, expected = copy.deepcopy(BODIES[endpoint]), 200
        if endpoint == "data2":
            if is_within(day, *STUFFY):
                body["co2"] = 1800
            elif is_within(day, FLAPPING):
                body["co2"] = 1550 if step % 2 else 1450
        elif endpoint == "data3" and is_within(day, *COLD):
            body["temperature"] = WARM_CELSIUS - 8
        elif endpoint == "data4" and is_within(day, FAILED):
            body["ds18b20"]["temperature"] = None
        elif endpoint == "data" and is_within(day, REFUSED) and step % 2:
            body["temperature"], expected = "broken", 400
        answer = self.running.post(endpoint, body)
        assert answer.status == expected, answer.body
        self.accepted += expected == 200

    def wait_for_watcher(self) -> None:
        """Return when all that was sent is stored, and the watcher has looked at it."""
        self.running.wait_for_rows(self.accepted, 30)
        before = self.clock.steps()
        wait_until(lambda: self.clock.steps() >= before + LOOKS, 30, "the watcher has looked")

    def fail(self, step: int, day: float) -> None:
        """A worker is killed every day and a half, the service once, and once it is stopped."""
        if day == SERVICE_KILLED:
            for pid in self.running.members():
                os.kill(pid, signal.SIGKILL)
            self.running.start()
        elif day == SERVICE_STOPPED:
            self.running.stop()
            self.running.start()
        elif step % 36 == 35:
            os.kill(sorted(self.running.workers())[step // 36 % 2], signal.SIGKILL)
            self.running.wait_for_workers()

    def back_up(self) -> None:
        """A backup of this night: what counts is its name."""
        folder = self.running.data_dir / "backups"
        folder.mkdir(exist_ok=True)
        night = datetime.fromtimestamp(self.clock.now_ms() / 1000, ZoneInfo("Asia/Tokyo"))
        (folder / f"flask10x-{night:%Y%m%d-%H%M%S}.sqlite3").write_bytes(b"")

    def settle(self) -> None:
        """Messages are sent within minutes, which are a moment here; not while they can't be."""
        if not self.waiting():
            return
        if not self.receiver.is_away:
            wait_until(lambda: not self.waiting(), 30, "what is due has been sent")
        elif not self.receiver.refused:
            wait_until(lambda: self.receiver.refused, 30, "it has been tried in vain")

    def waiting(self) -> int:
        """How many messages are due and not sent."""
        file = self.running.data_dir / NAME
        due = f"state = 'waiting' AND due_ms <= {self.clock.now_ms()}"
        ((number,),) = in_file(file, f"SELECT count(*) FROM messages WHERE {due}")
        return int(number)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    receiver = Receiver()
    clock = SimulatedClock(tmp_path / "clock")
    with receiver.listening(), make_services(tmp_path) as make:
        running = make(start=False, partial_readings="data4=accept", commit_interval_sec=0)
        running.data_dir.mkdir()
        (running.data_dir / "alerts.toml").write_text(ALERTS.format(url=receiver.url))
        running.environment |= clock.environment
        running.start()
        tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'messages'"
        file = running.data_dir / NAME
        wait_until(lambda: file.exists() and in_file(file, tables) == [(1,)], 60, "it watches")
        yield Home(running, clock, receiver)
        running.stop()


@pytest.mark.timeout(1800)
@pytest.mark.long
@pytest.mark.parametrize("step_min", [60, 20])
def test_each_entry_and_each_recovery_of_a_month_is_told_once(home: Home, step_min: int) -> None:
    home.live(30, step_min)

    taken = home.receiver.taken
    assert len(set(home.receiver.keys)) == len(home.receiver.keys), "no message came twice"
    for occasion in ("entry", "recovery"):
        found = Counter((m["rule"], m["subject"]) for m in taken if m["occasion"] == occasion)
        assert found == EXPECTED, occasion
    by_subject: dict[tuple[str, str], list[str]] = {}
    for message in taken:
        by_subject.setdefault((message["rule"], message["subject"]), []).append(message["occasion"])
    for key, occasions in by_subject.items():
        told = [one for one in occasions if one != "reminder"]
        assert told == ["entry", "recovery"] * EXPECTED[key], key
    assert by_subject["silence", "data3"][:4] == ["entry", "reminder", "reminder", "recovery"]
    assert home.receiver.refused, "messages were tried while the network was away"
