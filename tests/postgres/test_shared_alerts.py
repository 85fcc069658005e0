"""One host sends the messages of alerts of the database, once; mutes hold on all hosts."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import select, update

from flask10x.alerts import state_file
from flask10x.alerts.alert import Active, Moment, Verdict
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.alerts.transitions import Routing
from flask10x.config.alerts.rules import Alerts, Disk, Rule, Silence, Webhook
from flask10x.database import schema
from flask10x.database.tables import alert_mutes
from flask10x.runtime.alerting.sharing import AlertSharing
from flask10x.runtime.alerting.start_delivery import Delivery
from flask10x.runtime.alerting.watcher import AlertWatcher
from tests.postgres.hosts import Hosts, LeaseOfHost

ALERTS = Alerts(rules=(Silence(), Disk()), channels=(Webhook(name="phone", url="http://p"),))
EXPIRE = "UPDATE leases SET expires_at = 0"


class World:
    """What is wrong, for all hosts: station `data` is silent; and on each its disk is full."""

    def __init__(self) -> None:
        self.is_silent = False
        self.full: set[str] = set()


class Says:
    """A watch of the world."""

    def __init__(self, world: World, host: str, rule: Rule) -> None:
        self._world, self._host, self.rule = world, host, rule

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        if self.rule.kind == "silence":
            yield Verdict(self.rule, self._world.is_silent, now.wall_ms, subject="data")
        else:
            yield Verdict(self.rule, self._host in self._world.full, now.wall_ms)


class NoProcess(Delivery):
    def __init__(self) -> None:
        super().__init__(lambda: None, Path())

    def step(self) -> None:
        pass


class Telephone:
    """One host: its watcher, and what it has sent."""

    def __init__(self, hosts: Hosts, host: str, world: World) -> None:
        self.lease = LeaseOfHost(hosts, host, "alerts")
        settings = hosts.settings(host)
        object.__setattr__(settings, "alerts", ALERTS)
        sharing = AlertSharing(
            self.lease.database, self.lease.lease, Routing(ALERTS, None), self.lease.clock
        )
        watches = [Says(world, host, rule) for rule in ALERTS.rules]
        self.watcher = AlertWatcher(settings, watches, NoProcess(), sharing=sharing)
        self.file = StateFile(path_of(settings))
        self.can_send = True

    def step(self, times: int = 1) -> None:
        """Some seconds, in which what waits is sent."""
        for _ in range(times):
            self.lease.clock.now_sec += 6
            self.watcher.step()
            if self.can_send:
                with self.file.writing() as state:
                    sent = update(state_file.messages).where(
                        state_file.messages.c.state == "waiting"
                    )
                    state.execute(sent.values(state="sent", settled_ms=1, due_ms=7))

    def sent(self) -> list[str]:
        """The occasions of what this host itself has sent, in their order."""
        c = state_file.messages.c
        with self.file.reading() as state:
            query = select(c.occasion).where(c.state == "sent", c.due_ms == 7).order_by(c.id)
            return list(state.execute(query).scalars())

    def active(self) -> list[str]:
        with self.file.reading() as state:
            return sorted(alert.rule for alert in state_file.active(state, 0))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def phones(hosts: Hosts, world: World) -> Iterator[tuple[Telephone, Telephone]]:
    with ExitStack() as ends:
        one, other = (Telephone(hosts, host, world) for host in ("one", "other"))
        for phone in (one, other):
            ends.enter_context(closing(phone.watcher))
            ends.enter_context(closing(phone.file))
        one.step()
        other.step()
        yield one, other


def test_one_host_notifies_and_the_other_shows_the_same(
    phones: tuple[Telephone, Telephone], world: World
) -> None:
    one, other = phones
    world.is_silent = True
    for _ in range(3):
        one.step()
        other.step()
    assert (one.active(), other.active()) == (["silence"], ["silence"])
    assert (one.sent(), other.sent()) == (["entry"], [])
    world.is_silent = False
    for _ in range(3):
        one.step()
        other.step()
    assert (one.active(), other.active()) == ([], [])
    assert (one.sent(), other.sent()) == (["entry", "recovery"], [])


def test_a_host_notifies_of_its_own_alerts(
    phones: tuple[Telephone, Telephone], world: World
) -> None:
    one, other = phones
    world.full = {"other"}
    one.step(2)
    other.step(2)
    assert (one.active(), other.active()) == ([], ["disk"])
    assert (one.sent(), other.sent()) == ([], ["entry"])


@pytest.mark.tools
@pytest.mark.parametrize("follows", [True, False])
def test_a_host_that_takes_over_repeats_nothing_and_notifies_of_the_end(
    hosts: Hosts, phones: tuple[Telephone, Telephone], world: World, follows: bool
) -> None:
    one, other = phones
    world.is_silent = True
    one.step(3)
    if follows:
        other.step()
    hosts.run(EXPIRE)
    other.step(3)
    one.step(2)
    assert (one.sent(), other.sent()) == (["entry"], [])
    world.is_silent = False
    other.step(2)
    one.step(2)
    assert (one.sent(), other.sent()) == (["entry"], ["recovery"])
    assert (one.active(), other.active()) == ([], [])
    assert hosts.run("SELECT rule FROM active_alerts") == []


def test_what_a_killed_host_could_not_send_the_other_sends(
    hosts: Hosts, phones: tuple[Telephone, Telephone], world: World
) -> None:
    one, other = phones
    one.can_send, world.is_silent = False, True
    one.step(3)
    other.step()
    assert other.active() == ["silence"]
    hosts.run(EXPIRE)
    other.step(3)
    assert other.sent() == ["entry"]
    # It is back, and has a message in hand that is another one's now.
    one.can_send = True
    one.lease.clock.now_sec += 60
    one.watcher.step()
    one.step(3)
    assert one.sent() == []


@pytest.mark.tools
def test_a_resolved_message_that_a_killed_host_could_not_send_the_other_sends(
    hosts: Hosts, phones: tuple[Telephone, Telephone], world: World
) -> None:
    one, other = phones
    world.is_silent = True
    one.step(3)
    one.can_send = world.is_silent = False
    one.step(3)
    hosts.run(EXPIRE)
    other.step(3)
    assert (one.sent(), other.sent()) == (["entry"], ["recovery"])


def test_a_host_that_begins_again_sends_what_it_had_in_hand(
    hosts: Hosts, phones: tuple[Telephone, Telephone], world: World
) -> None:
    one, _ = phones
    one.can_send, world.is_silent = False, True
    one.step(3)
    again = Telephone(hosts, "one", world)
    with closing(again.watcher), closing(again.file):
        again.step(3)
        assert again.sent() == ["entry"]


def test_a_frozen_host_that_goes_on_sends_nothing(
    hosts: Hosts, phones: tuple[Telephone, Telephone], world: World
) -> None:
    one, other = phones
    hosts.run(EXPIRE)
    other.step()
    world.is_silent = True
    # By its own clock no time has passed, and it has not asked again.
    assert one.watcher._sharing is not None
    assert one.watcher._sharing.is_ours
    one.watcher.step()
    assert one.active() == []
    other.step(2)
    assert (one.sent(), other.sent()) == ([], ["entry"])


def test_a_mute_holds_on_all_hosts_until_it_is_taken_back(
    phones: tuple[Telephone, Telephone], world: World
) -> None:
    one, other = phones
    until_ms = 4_000_000_000_000
    with other.lease.database.commit() as connection:
        state_file.mute(connection, "silence", "data", until_ms, alert_mutes)
    one.step()
    other.step()
    for phone in (one, other):
        with phone.file.reading() as state:
            assert [mute.until_ms for mute in state_file.muted(state, 0)] == [until_ms]
    world.is_silent = True
    one.step(2)
    assert (one.active(), one.sent()) == (["silence"], [])
    with one.lease.database.commit() as connection:
        state_file.unmute(connection, "silence", "data", alert_mutes)
    other.step()
    with other.file.reading() as state:
        assert state_file.muted(state, 0) == []


def test_the_former_name_of_a_rule_becomes_that_of_now(hosts: Hosts) -> None:
    """0024; what a host has noted under the new name already stays."""
    settings = hosts.settings("one")
    schema.downgrade(settings, "0023")
    for rule, subject in (("refused", "data"), ("refused", "data2"), ("rejected", "data2")):
        hosts.run(f"INSERT INTO alert_mutes VALUES ('{rule}', '{subject}', 5, 1)")
    for rule in ("refused", "mine"):
        hosts.run(
            "INSERT INTO active_alerts (rule, subject, kind, since_ms, entered_ms, reminded_ms,"
            f" facts, ways) VALUES ('{rule}', 'data', 'refused', 1, 2, 3, '{{}}', '[]')"
        )
    schema.upgrade(settings)
    alerts = "SELECT rule, kind, subject FROM active_alerts ORDER BY rule"
    assert hosts.run(alerts) == [("mine", "rejected", "data"), ("rejected", "rejected", "data")]
    mutes = "SELECT subject FROM alert_mutes WHERE rule = 'rejected' ORDER BY subject"
    assert hosts.run(mutes) == [("data",), ("data2",)]
    schema.downgrade(settings, "0023")
    assert hosts.run(alerts) == [("mine", "refused", "data"), ("refused", "refused", "data")]
