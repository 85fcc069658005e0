"""A clock that is set right after the boot: times that were written before go along."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from flask10x.alerts import state_file
from flask10x.alerts.alert import Moment, Verdict
from flask10x.alerts.clock_jumps import JUMP_MS, WallClock, moment
from flask10x.alerts.state_file import StateFile
from flask10x.alerts.transitions import Routing, changes, write
from flask10x.config.alerts.rules import Alerts, Silence, Webhook
from flask10x.system import clock

DAY_MS = 86_400_000
SHUTDOWN_MS = 1_756_004_400_000
ROUTING = Routing(
    Alerts(rules=(Silence(),), channels=(Webhook(name="phone", url="http://p"),)), None
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    file = StateFile(tmp_path / "alerts.sqlite3")
    with file.writing() as connection:
        yield connection
    file.close()


def enter(connection: Connection, subject: str, now_ms: int) -> None:
    verdict = Verdict(Silence(), True, now_ms - 5000, subject=subject)
    write(connection, changes({}, [verdict], [], [], now_ms), ROUTING, now_ms)


def times(connection: Connection) -> dict[str, tuple[int, int, int]]:
    """By subject: since when, entered and reminded."""
    return {
        alert.subject: (alert.since_ms, alert.firing_since_ms, alert.reminded_ms)
        for alert in state_file.active(connection, 0)
    }


@pytest.mark.parametrize("booted_ms", [0, SHUTDOWN_MS], ids=["1970", "last shutdown"])
def test_what_was_written_since_the_boot_goes_along(
    connection: Connection, booted_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_ms, wall_clock = SHUTDOWN_MS - DAY_MS, WallClock("this boot")
    enter(connection, "data", before_ms)
    wall_clock.follow(connection, Moment(booted_ms + 30_000, 30_000))
    monkeypatch.setattr(clock, "now_ms", lambda: booted_ms + 40_000)
    enter(connection, "data2", booted_ms + 40_000)
    state_file.mute(connection, "silence", "data3", booted_ms + 40_000 + DAY_MS)
    now = Moment(SHUTDOWN_MS + 3 * DAY_MS, 60_000)
    assert wall_clock.has_jumped(now)
    wall_clock.follow(connection, now)
    entered_ms = now.wall_ms - 20_000
    assert times(connection) == {
        "data": (before_ms - 5000, before_ms, before_ms),
        "data2": (entered_ms - 5000, entered_ms, entered_ms),
    }
    assert [mute.until_ms for mute in state_file.muted(connection, 0)] == [entered_ms + DAY_MS]
    query = state_file.messages.select().order_by(state_file.messages.c.id)
    made = [(row.created_ms, row.due_ms) for row in connection.execute(query)]
    assert made == [(before_ms, before_ms), (entered_ms, entered_ms)]
    assert not wall_clock.has_jumped(now)


def test_a_clock_that_is_set_back_takes_the_times_along(connection: Connection) -> None:
    wall_clock = WallClock("this boot")
    wall_clock.follow(connection, Moment(SHUTDOWN_MS + 9 * DAY_MS, 30_000))
    enter(connection, "data2", SHUTDOWN_MS + 9 * DAY_MS)
    assert wall_clock.follow(connection, Moment(SHUTDOWN_MS, 31_000)) == -9 * DAY_MS - 1000
    assert times(connection)["data2"][1] == SHUTDOWN_MS - 1000


def test_the_next_process_notices_a_jump_of_the_clock_meanwhile(connection: Connection) -> None:
    WallClock("this boot").follow(connection, Moment(1_030_000, 30_000))
    enter(connection, "data2", 1_031_000)
    other = WallClock("this boot")
    assert other.has_jumped(Moment(SHUTDOWN_MS, 40_000)), "it has not looked yet"
    other.follow(connection, Moment(SHUTDOWN_MS, 40_000))
    assert times(connection)["data2"][1] == SHUTDOWN_MS - 9000
    WallClock("the next boot").follow(connection, Moment(0, 5))
    assert times(connection)["data2"][1] == SHUTDOWN_MS - 9000, "a boot is no jump"


def test_a_small_jump_writes_nothing(connection: Connection) -> None:
    wall_clock = WallClock("this boot")
    wall_clock.follow(connection, Moment(SHUTDOWN_MS, 30_000))
    enter(connection, "data2", SHUTDOWN_MS)
    assert not wall_clock.has_jumped(Moment(SHUTDOWN_MS + JUMP_MS, 30_000))
    assert WallClock("this boot").follow(connection, Moment(SHUTDOWN_MS + JUMP_MS, 30_000)) == 0
    assert times(connection)["data2"][1] == SHUTDOWN_MS


def test_without_a_name_of_the_boot_only_its_own_process_notices(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clock, "BOOT_ID", tmp_path / "none")
    assert clock.boot_id() == ""
    wall_clock = WallClock("")
    wall_clock.follow(connection, Moment(SHUTDOWN_MS, 30_000))
    enter(connection, "data2", SHUTDOWN_MS + 1000)
    assert WallClock("").follow(connection, Moment(0, 32_000)) == 0
    assert wall_clock.follow(connection, Moment(SHUTDOWN_MS + DAY_MS, 32_000)) == DAY_MS - 2000


def test_both_clocks_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is stopped between the two has to look again."""
    monotonic_ms = iter([1000, 90_000, 90_001, 90_002])
    monkeypatch.setattr(clock, "monotonic_ms", lambda: next(monotonic_ms))
    monkeypatch.setattr(clock, "now_ms", lambda: 5)
    assert moment() == Moment(5, 90_002)
