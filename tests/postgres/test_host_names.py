"""Two hosts of one name: the second one does not start, and a running one says so."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.engine import MONITOR
from flask10x.database.paths import database_path
from flask10x.database.postgres import hosts as host_names
from flask10x.database.postgres.hosts import CHECK_EVERY_SEC, LEASE_SEC, LeasedName, SeveralHosts
from flask10x.errors import HostNameTaken
from flask10x.system.locks import FileLock, lock_path
from tests.e2e.service import Service, reserved_port, wait_until
from tests.postgres.hosts import HostClock, Hosts
from tests.support import postgres

NAME = "raspberrypi"
TAKEN = (
    f"another host that is called '{NAME}' serves this database: give each a name of its own"
    " (FLASK10X_HOST_NAME)"
)
EXPIRE = "UPDATE leases SET expires_at = 0"


class Named:
    """A running host of this name, in a folder of its own."""

    def __init__(self, hosts: Hosts, folder: str) -> None:
        self.settings = settings_in(hosts, folder)
        self.database = Database(self.settings)
        self._lock = FileLock(lock_path(database_path(self.settings), MONITOR))
        self.task = LeasedName(self.database, NAME, self._lock)

    def close(self) -> None:
        self.database.close()
        self._lock.close()


def settings_in(hosts: Hosts, folder: str) -> Settings:
    return hosts.settings(folder, HOST_NAME=NAME)


@pytest.fixture
def first(hosts: Hosts) -> Iterator[Named]:
    with closing(Named(hosts, "first")) as found:
        found.task.step()
        yield found


def check(settings: Settings, meanwhile: Callable[[], object] = lambda: None) -> float:
    """For how many seconds it has waited, each time for what the test does meanwhile."""
    clock = HostClock()
    began_sec = clock.now_sec

    def sleep(seconds: float) -> None:
        clock.now_sec += seconds
        meanwhile()

    SeveralHosts(settings).check_name(clock, sleep)
    return clock.now_sec - began_sec


def test_the_first_of_a_name_starts_and_so_it_does_again(hosts: Hosts, first: Named) -> None:
    assert check(hosts.settings("another")) == 0
    assert check(first.settings) == 0


def test_a_second_one_of_the_name_does_not_start(hosts: Hosts, first: Named) -> None:
    looks: list[None] = []
    with pytest.raises(HostNameTaken) as caught:
        check(settings_in(hosts, "second"), lambda: looks.append(None))
    assert str(caught.value) == TAKEN
    # One that was killed a moment ago would have lost its lease by then.
    assert len(looks) * CHECK_EVERY_SEC > LEASE_SEC
    hosts.run(EXPIRE)
    assert check(settings_in(hosts, "second")) == 0


def test_a_clone_of_its_card_is_another_host(
    hosts: Hosts, first: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(first.settings) == 0
    monkeypatch.setattr(host_names, "boot_id", lambda: "that of another machine")
    with pytest.raises(HostNameTaken):
        check(first.settings)
    assert check(first.settings, lambda: hosts.run(EXPIRE)) == CHECK_EVERY_SEC


@pytest.mark.usefixtures("first")
def test_one_that_was_killed_is_waited_for(hosts: Hosts) -> None:
    assert check(settings_in(hosts, "second"), lambda: hosts.run(EXPIRE)) == CHECK_EVERY_SEC


def test_a_running_one_says_so_until_the_name_is_its_own(hosts: Hosts, first: Named) -> None:
    with closing(Named(hosts, "second")) as second:
        with pytest.raises(HostNameTaken, match="is called 'raspberrypi'"):
            second.task.step()
        hosts.run(EXPIRE)
        clock = HostClock()
        second.task._lease._monotonic = clock
        clock.now_sec += 10**6
        second.task.step()


def test_a_database_that_does_not_answer_says_nothing_of_names(hosts: Hosts) -> None:
    hosts.run("ALTER TABLE leases RENAME TO elsewhere")
    assert check(settings_in(hosts, "second")) == 0
    with closing(Named(hosts, "first")) as first:
        first.task.step()


@pytest.mark.usefixtures("first")
def test_a_name_is_no_lease_that_people_see(hosts: Hosts) -> None:
    database = hosts.database("any")
    with database.reader.begin() as connection:
        assert database.hosts.holders(connection) == {}


@pytest.mark.long
def test_services_of_one_name(hosts: Hosts, tmp_path: Path) -> None:
    with ExitStack() as stack:

        def service(folder: str) -> Service:
            url = postgres.shared().url(hosts.name)
            overrides = {"database_url": url, "host_name": NAME, "workers": 2}
            made = Service(tmp_path / folder, stack.enter_context(reserved_port()), overrides)
            made.starts_migrated = False
            stack.callback(made.discard)
            return made

        first, second = service("first"), service("second")
        first.start()
        held = f"SELECT count(*) FROM leases WHERE name = 'host {NAME}'"
        wait_until(lambda: hosts.run(held) == [(1,)], 30, "it has its name")
        second.folder.mkdir()
        refused = second.command("serve")
        assert refused.returncode == HostNameTaken.exit_status
        assert refused.stderr.splitlines()[-1] == f"flask10x: {TAKEN}"
        assert first.get("/readyz").status == 200
        first.stop()
        # Else a host that waits for the name would have it at each restart.
        assert hosts.run(held) == [(1,)]
        first.start()
        first.stop()
        hosts.run(EXPIRE)
        second.start()
        assert second.get("/readyz").status == 200
        second.stop()
