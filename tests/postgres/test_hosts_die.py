"""Two services on one database, as processes: one stops, is killed, or stands still for a while."""

import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.e2e.senders import reading_of
from tests.e2e.service import Service, reserved_port, wait_until
from tests.faults.cluster.bounds import BUSY_SEC, ROW_HELD_SEC
from tests.faults.cluster.machine import state_of
from tests.postgres.hosts import Hosts
from tests.support import postgres

pytestmark = pytest.mark.tools

GOOD = {"pressure": 1013.25, "temperature": 25.1}
LEASES = ("alerts", "monitor")
# A lease is for 15 s, and who waits for it looks every 2 s.
LOOK_SEC, LEASE_SEC = 2.0, 15.0
GIVEN_BACK_WITHIN_SEC = LOOK_SEC + BUSY_SEC
EXPIRED_WITHIN_SEC = LEASE_SEC + LOOK_SEC + BUSY_SEC
# It may stand still just as it has the turn to commit, and no lease is taken without a commit.
FROZEN_WITHIN_SEC = EXPIRED_WITHIN_SEC + ROW_HELD_SEC
# A try of the other host lasts a second, and a busy machine takes its time.
ROW_FREE_WITHIN_SEC = ROW_HELD_SEC + 5.0
SENDERS = 8
SETTLED_SEC = 0.1
# One transaction has locked the row, and the server waits for the next statement of its client. A
# commit that the server is still writing does not count: it frees the row without the client.
IS_HELD = (
    "SELECT 1 FROM pg_stat_activity JOIN pg_locks USING (pid)"
    " WHERE datname = current_database() AND state = 'idle in transaction'"
    " AND relation = 'log'::regclass AND mode = 'RowShareLock' AND granted"
)
HOLDERS = (
    "SELECT name, host FROM leases WHERE expires_at > extract(epoch FROM clock_timestamp())*1000"
    " AND name NOT LIKE 'host %'"
)


class Pair:
    """Two hosts, and who of them has the leases."""

    def __init__(self, hosts: Hosts, services: dict[str, Service]) -> None:
        self.hosts = hosts
        self.services = services

    def wait_for(self, host: str, within_sec: float = EXPIRED_WITHIN_SEC) -> float:
        """How many seconds it took until this host had all leases."""
        began = time.monotonic()
        leases = [(name, host) for name in LEASES]

        def has_all() -> bool:
            return sorted(self.hosts.run(HOLDERS)) == leases

        wait_until(has_all, within_sec, f"{host} has the leases")
        return time.monotonic() - began


@pytest.fixture
def pair(hosts: Hosts, tmp_path: Path) -> Iterator[Pair]:
    """`one` has the leases."""
    with ExitStack() as stack:
        services = {}
        for host in ("one", "other"):
            url = postgres.shared().url(hosts.name)
            overrides = {"database_url": url, "host_name": host, "workers": 2, "ack": "committed"}
            made = Service(tmp_path / host, stack.enter_context(reserved_port()), overrides)
            made.starts_migrated = False
            stack.callback(made.discard)
            services[host] = made
        running = Pair(hosts, services)
        services["one"].start()
        running.wait_for("one")
        services["other"].start()
        services["other"].wait_for_workers()
        yield running


def test_a_host_that_stops_gives_its_leases_back(pair: Pair) -> None:
    pair.services["one"].stop()
    took_sec = pair.wait_for("other", GIVEN_BACK_WITHIN_SEC)
    sys.stdout.write(f"after a stop: {took_sec:.1f} s\n")
    assert pair.services["other"].get("/readyz").status == 200


def test_another_host_takes_over_from_one_that_was_killed_and_keeps_it(pair: Pair) -> None:
    one = pair.services["one"]
    killed = one.members()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not one.members(), 25, "it is dead")
    assert len(killed) > 1, "a master and its workers"
    took_sec = pair.wait_for("other")
    sys.stdout.write(f"after a kill: {took_sec:.1f} s\n")
    one.start()
    one.wait_for_workers()
    assert one.get("/metrics/details").json["leases"] == dict.fromkeys(LEASES, "other")


@pytest.mark.long
def test_a_host_that_stood_still_finds_its_leases_gone(pair: Pair) -> None:
    one, other = pair.services["one"], pair.services["other"]
    frozen = one.members()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: {state_of(pid) for pid in frozen} == {"T"}, 60, "it stands still")
        pair.wait_for("other", FROZEN_WITHIN_SEC)
        assert {state_of(pid) for pid in frozen} == {"T"}, "it has gone on"
        assert other.post("data", GOOD).status == 200
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert one.post("data", GOOD).status == 200
    assert one.get("/metrics/details").json["leases"] == dict.fromkeys(LEASES, "other")
    assert [row[0] for row in pair.hosts.run("SELECT id FROM readings ORDER BY id")] == [1, 2]
    for service in (one, other):
        service.stop()


def test_a_host_that_is_frozen_while_it_commits_stops_the_other_for_seconds_only(
    pair: Pair,
) -> None:
    one, other = pair.services["one"], pair.services["other"]
    stop, acknowledged = threading.Event(), set[int]()

    def send(first: int) -> None:
        for number in itertools.count(first, SENDERS):
            if stop.is_set():
                return
            # What is sent while it stands still has no answer before it goes on.
            with suppress(OSError, HTTPException):
                if send_keyed(one, "data2", f"key-{number}", reading_of(number)) == "committed":
                    acknowledged.add(number)

    senders = [threading.Thread(target=send, args=(first,)) for first in range(SENDERS)]
    for sender in senders:
        sender.start()
    try:
        wait_until(lambda: len(acknowledged) > SENDERS, BUSY_SEC, "it stores")
        frozen = freeze_in_a_commit(pair, one)
        began = time.monotonic()
        try:
            posted = lambda: other.post("data", GOOD).status == 200  # noqa: E731
            wait_until(posted, EXPIRED_WITHIN_SEC, "the other one stores")
            took_sec = time.monotonic() - began
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    sys.stdout.write(f"beside a frozen one: {took_sec:.1f} s\n")
    assert ROW_HELD_SEC - 1 < took_sec < ROW_FREE_WITHIN_SEC
    one.stop()
    stored = [row[0] for row in pair.hosts.run("SELECT gas_resistance FROM readings")]
    numbers = [number for number in stored if number is not None]
    assert len(numbers) == len(set(numbers))
    assert acknowledged <= set(numbers)


def send_keyed(service: Service, endpoint: str, key: str, body: object) -> str:
    """What the answer gives as its status. A commit with keys waits for its host once more."""
    connection = HTTPConnection("127.0.0.1", service.port, timeout=30)
    with closing(connection):
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        connection.request("POST", f"/{endpoint}", json.dumps(body), headers)
        status: str = json.loads(connection.getresponse().read())["status"]
        return status


def freeze_in_a_commit(pair: Pair, service: Service) -> set[int]:
    """Freeze its processes at a moment when one of them holds what a commit needs; those."""
    while True:
        frozen = service.members()
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        # What the server still does by itself ends within that.
        time.sleep(SETTLED_SEC)
        if pair.hosts.run(IS_HELD):
            return frozen
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        time.sleep(random.uniform(0, SETTLED_SEC))


def test_keys_that_two_hosts_get_at_the_same_moment_are_stored_once(pair: Pair) -> None:
    keys = [f"key-{number}" for number in range(40)]
    answers: dict[str, list[str]] = {host: [] for host in pair.services}

    def send(host: str) -> None:
        for key in keys:
            answers[host].append(send_keyed(pair.services[host], "data", key, GOOD))

    threads = [threading.Thread(target=send, args=(host,)) for host in pair.services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pair.hosts.run("SELECT count(*) FROM readings") == [(len(keys),)]
    for key, one, other in zip(keys, *answers.values(), strict=True):
        assert sorted((one, other)) == ["committed", "duplicate"], key
