"""Two hosts on one database: what each does, and what is shown of both."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask10x.config.toml import digest_of
from flask10x.database import counters
from flask10x.database.database import Database
from flask10x.database.postgres.hosts import TimedLease
from flask10x.history import rollups
from flask10x.readings.parse import Reading
from flask10x.runtime import setup_files
from flask10x.runtime.administrators import Administrators, Change
from flask10x.runtime.other_hosts import LOOK_EVERY_MS, OtherHosts
from flask10x.runtime.setup_files import FileChange, SetupFiles
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.web.app import create_app
from tests.postgres.hosts import Hosts

NINE_MS = 1_756_000_000_000
BODY = {"temperature": 25.1, "pressure": 1013.2}


class RunningHosts:
    """Each with a store whose threads the test does the work of."""

    def __init__(self, hosts: Hosts, stores: ExitStack) -> None:
        self._hosts = hosts
        self._stores = stores
        self.client: dict[str, FlaskClient] = {}

    def start(self, host: str, **given: object) -> Store:
        app = create_app(self._hosts.settings(host, **given))
        store: Store = app.extensions["flask10x"]
        self._stores.callback(store.close)
        self.client[host] = app.test_client()
        return store


@pytest.fixture
def running(hosts: Hosts) -> Iterator[RunningHosts]:
    with ExitStack() as stores:
        yield RunningHosts(hosts, stores)


def step(store: Store) -> None:
    """The second of one host has passed."""
    assert isinstance(store._monitor._lease, TimedLease)
    store._monitor._lease._ask_at_sec = 0
    store._monitor.step()


def has_lease(store: Store) -> bool:
    lease = store._monitor._lease
    assert isinstance(lease, TimedLease)
    return lease.is_held


def test_one_host_does_what_is_done_once_and_the_other_goes_on_at_once_when_it_stops(
    running: RunningHosts,
) -> None:
    one, other = running.start("one"), running.start("other")
    for store in (one, other, one, other):
        step(store)
    assert (has_lease(one), has_lease(other)) == (True, False)
    assert one._monitor.elected
    assert other._monitor.elected
    one._monitor.close()
    step(other)
    assert (has_lease(one), has_lease(other)) == (False, True)


def test_each_host_says_who_does_it_and_who_answers(running: RunningHosts) -> None:
    one, other = running.start("one"), running.start("other")
    for store in (one, other):
        step(store)
    for name in ("one", "other"):
        details = running.client[name].get("/metrics/details").get_json()
        assert (details["host"], details["leases"]) == (name, {"monitor": "one"})
        assert running.client[name].get("/metrics", headers=JSON).get_json()["host"] == name
        numbers = running.client[name].get("/metrics/prometheus").get_data(as_text=True)
        assert f'flask10x_queue_length{{host="{name}"}} 0.0' in numbers
        assert 'flask10x_lease_holder{host="one",lease="monitor"} 1.0' in numbers
        assert "\nflask10x_readings_stored_total 0.0\n" in numbers


JSON = {"Accept": "application/json"}


def test_errors_of_two_hosts_add_up(running: RunningHosts, hosts: Hosts) -> None:
    one, other = running.start("one"), running.start("other")
    for store, errors in ((one, 3), (other, 4)):
        name = counters.write_errors_name(store.settings)
        with store.database.commit() as connection:
            counters.raise_to(connection, name, errors)
        store.gauges.load_errors(errors)
    hosts.run("INSERT INTO counters VALUES ('write_errors', 10)")
    for client in running.client.values():
        assert client.get("/metrics", headers=JSON).get_json()["write_error_total"] == 17
    # What is not saved yet.
    one.slot.numbers.errors += 2
    assert running.client["one"].get("/metrics", headers=JSON).get_json()["write_error_total"] == 19


def test_a_follower_that_was_overtaken_changes_nothing(running: RunningHosts, hosts: Hosts) -> None:
    """It was frozen between computing its piece and storing it, and others have gone on."""
    one, other = running.start("one"), running.start("other")
    stations = one.settings.stations
    one.writer.submit(Reading("data", NINE_MS, (1.0, 2.0)))
    one.writer.step()

    def frozen(database: Database, change: Callable[..., None]) -> None:
        rollups.follow(stations, other.database)
        other.writer.submit(Reading("data", NINE_MS + 1, (3.0, 4.0)))
        other.writer.step()
        rollups.follow(stations, other.database)
        rollups.save_at_once(database, change)

    rollups.follow(stations, one.database, frozen)
    assert hosts.run("SELECT last_id FROM followers WHERE name = 'rollups'") == [(2,)]
    assert hosts.run("SELECT DISTINCT readings FROM rollups") == [(2,)]


def test_what_came_to_another_host_is_heard_here(running: RunningHosts) -> None:
    one, other = running.start("one"), running.start("other")
    now = [1_000_000]
    look = OtherHosts(other.database, other.gauges, ("data", "data2"), monotonic_ms=lambda: now[0])
    assert look.step()
    one.writer.submit(Reading("data", clock.now_ms(), (1.0, 2.0)))
    one.writer.step()
    assert not look.step()
    assert other.gauges.station("data").last_received_ms == 0
    now[0] += LOOK_EVERY_MS
    assert look.step()
    heard_ms = other.gauges.station("data").last_received_ms
    assert now[0] - LOOK_EVERY_MS <= heard_ms <= now[0]
    assert other.gauges.station("data2").last_received_ms == 0
    now[0] += LOOK_EVERY_MS
    look.step()
    assert other.gauges.station("data").last_received_ms == heard_ms


@pytest.mark.parametrize("off_ms", [-86_400_000, 86_400_000])
def test_the_wrong_clock_of_another_host_makes_no_station_silent(
    running: RunningHosts, off_ms: int
) -> None:
    one, other = running.start("one"), running.start("other")
    now = [1_000_000]
    look = OtherHosts(other.database, other.gauges, ("data",), monotonic_ms=lambda: now[0])
    look.step()
    one.writer.submit(Reading("data", clock.now_ms() + off_ms, (1.0, 2.0)))
    one.writer.step()
    now[0] += LOOK_EVERY_MS
    look.step()
    assert other.gauges.station("data").last_received_ms >= now[0] - LOOK_EVERY_MS


def test_a_key_that_two_hosts_get_at_the_same_moment_is_stored_once(
    running: RunningHosts, hosts: Hosts
) -> None:
    one, other = running.start("one"), running.start("other")
    for name in ("one", "other"):
        answer = running.client[name].post(
            "/data", json=BODY, headers={"Idempotency-Key": "the same"}
        )
        assert answer.get_json() == {"status": "enqueued"}
    for store in (one, other):
        store.writer.step()
    assert hosts.run("SELECT endpoint FROM readings") == [("data",)]
    # And a later request shows it of either host.
    again = running.client["other"].post(
        "/data", json=BODY, headers={"Idempotency-Key": "the same"}
    )
    other.writer.step()
    assert again.get_json() == {"status": "duplicate"}
    assert len(hosts.run("SELECT id FROM readings")) == 1


def file_of(store: Store) -> Path:
    return store.settings.data_dir / "stations.toml"


def change(store: Store, text: str) -> None:
    """A page of this host changes the file of stations."""
    path = file_of(store)
    former = path.read_bytes() if path.exists() else None
    made = FileChange(path, former, text.encode())
    setup_files.replace(made)
    setup_files.publish(store.settings, store.database, made)


def test_what_a_page_changes_on_one_host_is_changed_on_the_others(running: RunningHosts) -> None:
    one, other = running.start("one"), running.start("other")
    reloads: list[object] = []
    follower = SetupFiles(other.settings, other.database, reloads.append)
    change(one, "# 1\n")
    # It was away for a while, and takes the newest.
    change(one, "# 2\n")
    follower.step()
    assert file_of(other).read_text() == "# 2\n" and len(reloads) == 1
    follower.step()
    change(other, "# 3\n")
    follower.step()
    assert len(reloads) == 1
    SetupFiles(one.settings, one.database, reloads.append).step()
    assert file_of(one).read_text() == "# 3\n" and len(reloads) == 2
    assert file_of(one).with_name("stations.toml.before").read_text() == "# 2\n"


def test_a_change_that_was_killed_before_others_heard_of_it_reaches_them(
    running: RunningHosts,
) -> None:
    one, other = running.start("one"), running.start("other")
    reloads: list[object] = []
    change(one, "# 1\n")
    follower = SetupFiles(other.settings, other.database, reloads.append)
    follower.step()
    path, after = file_of(one), b"# 2\n"
    noted = Change(0, 1, "x", "order", "x", str(path), "# 1\n", digest_of(after))
    setup_files.write(one.settings, noted, FileChange(path, b"# 1\n", after))
    SetupFiles(one.settings, one.database, reloads.append).step()
    follower.step()
    assert file_of(other).read_text() == "# 2\n"
    # Taken back, so the file is as it was once before: it is the newest one all the same.
    made = Administrators(one.settings).changes[0]
    undone = replace(made, undone_ms=clock.now_ms() + 1)
    setup_files.write(one.settings, undone, FileChange(path, after, b"# 1\n"))
    SetupFiles(one.settings, one.database, reloads.append).step()
    follower.step()
    assert (path.read_text(), file_of(other).read_text()) == ("# 1\n", "# 1\n")


def test_a_file_that_was_edited_on_a_host_stays_there(
    running: RunningHosts, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = running.start("one"), running.start("other")
    reloads: list[object] = []
    follower = SetupFiles(other.settings, other.database, reloads.append)
    change(one, "# 1\n")
    file_of(other).write_text("# By hand.\n")
    follower.step()
    assert file_of(other).read_text() == "# By hand.\n" and reloads == []
    assert "was edited on this host; the change of one is not taken over" in caplog.text
