"""A lease is one host's at a time, by the database's clock, whatever becomes of that host."""

import pytest

from flask10x.database.postgres.hosts import TRUSTED_SEC
from flask10x.errors import LeaseLost
from tests.postgres.hosts import Hosts, LeaseOfHost

NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
EXPIRE = "UPDATE leases SET expires_at = 0"
IN_A_DAY = f"UPDATE leases SET expires_at = {NOW} + 86400000"


def names(hosts: Hosts) -> dict[str, str]:
    database = hosts.database("any")
    with database.reader.begin() as connection:
        return database.hosts.holders(connection)


def test_the_first_host_has_it_and_keeps_it(hosts: Hosts) -> None:
    one, other = LeaseOfHost(hosts, "one"), LeaseOfHost(hosts, "other")
    assert one.hold()
    assert not other.hold()
    assert one.hold()
    assert not other.hold()
    assert names(hosts) == {"monitor": "one"}


def test_a_lease_that_is_released_is_free_at_once(hosts: Hosts) -> None:
    one, other = LeaseOfHost(hosts, "one"), LeaseOfHost(hosts, "other")
    assert one.hold()
    one.lease.give_back()
    assert not one.lease.is_held
    assert other.hold()
    one.lease.give_back()
    assert names(hosts) == {"monitor": "other"}


def test_a_lease_that_has_expired_is_taken_and_its_former_holder_can_do_nothing(
    hosts: Hosts,
) -> None:
    one, other = LeaseOfHost(hosts, "one"), LeaseOfHost(hosts, "other")
    assert one.hold()
    hosts.run(EXPIRE)
    assert names(hosts) == {}
    assert other.hold()
    # It has been frozen for a moment only, and knows nothing of it.
    assert one.lease.is_held
    with pytest.raises(LeaseLost, match="monitor"), one.database.commit() as connection:
        one.lease.check(connection)
    assert not one.lease.is_held
    with other.database.commit() as connection:
        other.lease.check(connection)


def test_a_lease_that_no_other_host_has_taken_is_still_held(hosts: Hosts) -> None:
    first = LeaseOfHost(hosts, "one")
    assert first.hold()
    hosts.run(EXPIRE)
    with first.database.commit() as connection:
        first.lease.check(connection)
    assert first.hold()


def test_a_lease_that_ends_later_than_any_can_has_expired(hosts: Hosts) -> None:
    """The clock of the database was a day ahead when it was taken, and its holder has died."""
    one, other = LeaseOfHost(hosts, "one"), LeaseOfHost(hosts, "other")
    assert one.hold()
    hosts.run(IN_A_DAY)
    assert names(hosts) == {}
    assert other.hold()
    assert names(hosts) == {"monitor": "other"}
    with pytest.raises(LeaseLost, match="monitor"), one.database.commit() as connection:
        one.lease.check(connection)
    assert not one.hold()


def test_its_holder_renews_one_that_ends_too_late(hosts: Hosts) -> None:
    one, other = LeaseOfHost(hosts, "one"), LeaseOfHost(hosts, "other")
    assert one.hold()
    hosts.run(IN_A_DAY)
    assert one.hold()
    assert not other.hold()
    assert hosts.run(f"SELECT expires_at <= {NOW} + 15000 FROM leases") == [(True,)]


def test_clocks_that_differ_by_some_seconds_take_no_lease_from_its_holder(hosts: Hosts) -> None:
    """A server takes over whose clock is slow."""
    one, other = LeaseOfHost(hosts, "one"), LeaseOfHost(hosts, "other")
    assert one.hold()
    hosts.run("UPDATE leases SET expires_at = expires_at + 3000")
    assert not other.hold()
    assert names(hosts) == {"monitor": "one"}


def test_who_could_not_renew_it_goes_by_it_for_less_than_it_lasts(hosts: Hosts) -> None:
    first = LeaseOfHost(hosts, "one")
    assert first.hold()
    first.clock.now_sec += TRUSTED_SEC - 0.1
    assert first.lease.is_held
    first.clock.now_sec += 0.1
    assert not first.lease.is_held


def test_without_an_answer_of_the_database_no_host_has_it(hosts: Hosts) -> None:
    first = LeaseOfHost(hosts, "one")
    hosts.run("ALTER TABLE leases RENAME TO elsewhere")
    assert not first.hold()
    hosts.run("ALTER TABLE elsewhere RENAME TO leases")
    assert first.hold()


def test_the_next_process_of_a_host_goes_on_with_it_at_once(hosts: Hosts) -> None:
    killed, after = LeaseOfHost(hosts, "one"), LeaseOfHost(hosts, "one")
    assert killed.hold()
    assert after.hold()


def test_hosts_with_the_same_name_are_distinguished(hosts: Hosts) -> None:
    one, other = LeaseOfHost(hosts, "one"), LeaseOfHost(hosts, "one")
    assert one.hold()
    other.lock.note("x" * 16)
    assert not other.hold()


def test_leases_with_other_names_are_others(hosts: Hosts) -> None:
    assert LeaseOfHost(hosts, "one", "monitor").hold()
    assert LeaseOfHost(hosts, "other", "alerts").hold()
    assert names(hosts) == {"alerts": "other", "monitor": "one"}
