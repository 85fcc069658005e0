"""A clock that is set right after the boot: times that were written before go along."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from flask10x.alerts import state_file
from flask10x.alerts.alert import Moment, Verdict
from flask10x.alerts.clock_jumps import moment, move
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
    before_ms = SHUTDOWN_MS - DAY_MS
    enter(connection, "data", before_ms)
    monkeypatch.setattr(clock, "now_ms", lambda: booted_ms + 40_000)
    enter(connection, "data2", booted_ms + 40_000)
    state_file.mute(connection, "silence", "data3", booted_ms + 40_000 + DAY_MS)
    now = Moment(SHUTDOWN_MS + 3 * DAY_MS, 60_000)
    move(connection, now, now.wall_ms - 60_000 - booted_ms)
    entered_ms = now.wall_ms - 20_000
    assert times(connection) == {
        "data": (before_ms - 5000, before_ms, before_ms),
        "data2": (entered_ms - 5000, entered_ms, entered_ms),
    }
    assert [mute.until_ms for mute in state_file.muted(connection, 0)] == [entered_ms + DAY_MS]
    query = state_file.messages.select().order_by(state_file.messages.c.id)
    made = [(row.created_ms, row.due_ms) for row in connection.execute(query)]
    assert made == [(before_ms, before_ms), (entered_ms, entered_ms)]


def test_a_clock_that_is_set_back_takes_the_times_along(connection: Connection) -> None:
    enter(connection, "data2", SHUTDOWN_MS + 9 * DAY_MS)
    move(connection, Moment(SHUTDOWN_MS, 31_000), -9 * DAY_MS - 1000)
    assert times(connection)["data2"][1] == SHUTDOWN_MS - 1000


def test_both_clocks_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is stopped between the two has to look again."""
    monotonic_ms = iter([1000, 90_000, 90_001, 90_002])
    monkeypatch.setattr(clock, "monotonic_ms", lambda: next(monotonic_ms))
    monkeypatch.setattr(clock, "now_ms", lambda: 5)
    assert moment() == Moment(5, 90_002)
