"""The elected worker's step: what it writes, what it survives, and when it starts the sending."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from flask10x.alerts import state_file
from flask10x.alerts.alert import Active, Alert, Moment, Verdict
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.config.alerts.rules import Alerts, Disk, Webhook
from flask10x.config.settings import Settings
from flask10x.runtime.alerting.sharing import AlertSharing
from flask10x.runtime.alerting.start_delivery import Delivery
from flask10x.runtime.alerting.watcher import AlertWatcher
from flask10x.system import clock

ALERTS = Alerts(rules=(Disk(),), channels=(Webhook(name="phone", url="http://p"),))


class FullDisk:
    """A watch that says what the test says."""

    rule = Disk()

    def __init__(self) -> None:
        self.is_full = False
        self.error: Exception | None = None
        self.seen: list[int] = []

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        self.seen.append(len(active))
        if self.error:
            raise self.error
        yield Verdict(self.rule, self.is_full, now.wall_ms)


class NoDelivery(Delivery):
    """Notes when a process would have been started."""

    def __init__(self) -> None:
        super().__init__(lambda: None, Path())
        self.steps = 0

    def step(self) -> None:
        self.steps += 1


@pytest.fixture
def disk() -> FullDisk:
    return FullDisk()


@pytest.fixture
def home(settings: Settings) -> Settings:
    return replace(settings, alerts=ALERTS)


@pytest.fixture
def watcher(home: Settings, disk: FullDisk) -> Iterator[AlertWatcher]:
    watcher = AlertWatcher(home, [disk], NoDelivery())
    yield watcher
    watcher.close()


def alerts(settings: Settings) -> tuple[list[Alert], list[Alert]]:
    """Those that are active, and those that are past."""
    file = StateFile(path_of(settings))
    with file.reading() as connection:
        listed = state_file.active(connection, 0), state_file.past(connection)
    file.close()
    return listed


def occasions(settings: Settings) -> list[str]:
    """Those of all messages, in the order in which they were made."""
    with closing(sqlite3.connect(path_of(settings))) as file:
        return [row[0] for row in file.execute("SELECT occasion FROM messages ORDER BY id")]


def set_sent(settings: Settings) -> None:
    with closing(sqlite3.connect(path_of(settings), isolation_level=None)) as file:
        file.execute("UPDATE messages SET state = 'sent' WHERE state = 'waiting'")


def test_nothing_is_written_while_nothing_changes(
    watcher: AlertWatcher, disk: FullDisk, home: Settings
) -> None:
    watcher.step()
    disk.is_full = True
    watcher.step()
    with closing(sqlite3.connect(path_of(home))) as other:
        before = other.execute("PRAGMA data_version").fetchone()
        for _ in range(5):
            watcher.step()
        assert other.execute("PRAGMA data_version").fetchone() == before
    disk.is_full = False
    watcher.step()
    active, past = alerts(home)
    assert (len(active), [alert.rule for alert in past]) == (0, ["disk"])


def test_the_next_one_goes_on_from_the_file(
    watcher: AlertWatcher, disk: FullDisk, home: Settings
) -> None:
    disk.is_full = True
    watcher.step()
    other = AlertWatcher(home, [disk], NoDelivery())
    other.step()
    assert len(alerts(home)[0]) == 1
    # This one is still in the middle of its last step when the other one ends the alert.
    disk.is_full = False
    other.step()
    watcher.step()
    assert [len(listed) for listed in alerts(home)] == [0, 1]
    other.close()


def test_of_two_that_enter_it_at_once_one_does(home: Settings, disk: FullDisk) -> None:
    first, second = (AlertWatcher(home, [disk], NoDelivery()) for _ in range(2))
    first.step()
    second.step()
    disk.is_full = True
    first.step()
    second.step()
    assert [len(listed) for listed in alerts(home)] == [1, 0]
    disk.is_full = False
    second.step()
    assert [len(listed) for listed in alerts(home)] == [0, 1]
    first.close()
    second.close()


def test_a_watch_that_fails_hinders_no_other_and_ends_nothing(
    home: Settings, disk: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    broken = FullDisk()
    broken.rule = Disk(name="card")
    broken.error = ValueError("a bug")
    watcher = AlertWatcher(home, [broken, disk], NoDelivery())
    disk.is_full = True
    watcher.step()
    disk.error = ValueError("another one")
    watcher.step()
    watcher.step()
    assert len(alerts(home)[0]) == 1
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
        f"The watch {name} failed; it is tried again" for name in ("card", "disk")
    ]
    watcher.close()


def test_a_broken_file_is_put_aside_and_its_alerts_fire_again(
    watcher: AlertWatcher, disk: FullDisk, home: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    path = path_of(home)
    path.write_bytes(b"this is no database, and it is long enough to be looked at" * 20)
    disk.is_full = True
    watcher.step()
    watcher.step()
    assert len(alerts(home)[0]) == 1
    (aside,) = path.parent.glob("alerts.sqlite3.damaged-*")
    assert aside.read_bytes().startswith(b"this is no database")
    assert "The state of alerts was broken" in caplog.text


def test_what_cannot_be_written_is_decided_again(
    watcher: AlertWatcher, disk: FullDisk, home: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    watcher.step()
    with closing(sqlite3.connect(path_of(home), isolation_level=None)) as other:
        other.execute("ALTER TABLE messages RENAME TO elsewhere")
        for is_full in (True, True, False, True):
            disk.is_full = is_full
            if is_full:
                with pytest.raises(DBAPIError, match="no such table"):
                    watcher.step()
            else:
                watcher.step()
        assert other.execute("SELECT count(*) FROM alerts").fetchone() == (0,)
        other.execute("ALTER TABLE elsewhere RENAME TO messages")
    assert "Alert:" not in caplog.text
    watcher.step()
    assert [len(listed) for listed in alerts(home)] == [1, 0]
    assert occasions(home) == ["entry"]
    assert caplog.text.count("Alert: disk") == 1


def test_what_was_made_before_is_sent_while_nothing_can_be_written(
    home: Settings, disk: FullDisk
) -> None:
    delivery = NoDelivery()
    watcher = AlertWatcher(home, [disk], delivery)
    watcher.step()
    disk.is_full = True
    with closing(sqlite3.connect(path_of(home), isolation_level=None)) as other:
        other.execute("ALTER TABLE messages RENAME TO elsewhere")
        with pytest.raises(DBAPIError):
            watcher.step()
    assert delivery.steps == 2
    watcher.close()


def test_a_deleted_file_is_created_again(
    watcher: AlertWatcher, disk: FullDisk, home: Settings
) -> None:
    disk.is_full = True
    watcher.step()
    path_of(home).unlink()
    watcher.step()
    assert [len(listed) for listed in alerts(home)] == [1, 0]
    assert occasions(home) == ["entry"]


def test_a_folder_that_is_gone_is_not_made_again(
    watcher: AlertWatcher, disk: FullDisk, home: Settings
) -> None:
    folder, elsewhere = path_of(home).parent, path_of(home).parent.with_name("elsewhere")
    watcher.begin()
    watcher.step()
    disk.is_full = True
    folder.rename(elsewhere)
    with pytest.raises(DBAPIError):
        watcher.step()
    assert not folder.exists()
    elsewhere.rename(folder)
    watcher.step()
    assert len(alerts(home)[0]) == 1


class OtherHost(AlertSharing):
    """Another host sends the messages; `changes` is whether the state file has followed it."""

    def __init__(self) -> None:
        self.changes = False

    def step(self, _file: StateFile) -> bool:
        changes, self.changes = self.changes, False
        return changes


def test_what_another_host_has_ended_is_read_after_an_error_too(
    home: Settings, disk: FullDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharing = OtherHost()
    watcher = AlertWatcher(home, [disk], NoDelivery(), sharing=sharing)
    disk.is_full = True
    watcher.step()
    with closing(sqlite3.connect(path_of(home), isolation_level=None)) as other:
        other.execute("UPDATE alerts SET ended_ms = entered_ms, ended = 'recovered'")
    disk.is_full, sharing.changes = False, True
    with monkeypatch.context() as broken:

        def active(*_: object) -> list[Alert]:
            raise DBAPIError("SELECT", {}, OSError("disk I/O error"))

        broken.setattr(state_file, "active", active)
        with pytest.raises(DBAPIError):
            watcher.step()
    watcher.step()
    assert disk.seen == [0, 0]
    watcher.close()


def test_a_clock_that_is_set_right_makes_no_reminder(
    home: Settings, disk: FullDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Pi boots in 1970, a full disk is an alert at once, and then the network is there."""
    wall_ms, monotonic_ms = 40_000, 40_000
    monkeypatch.setattr(clock, "now_ms", lambda: wall_ms)
    monkeypatch.setattr(clock, "monotonic_ms", lambda: monotonic_ms)
    watcher = AlertWatcher(home, [disk], NoDelivery())
    disk.is_full = True
    watcher.step()
    wall_ms, monotonic_ms = 1_756_004_400_000, 100_000
    watcher.step()
    assert occasions(home) == ["entry"]
    (alert,) = alerts(home)[0]
    assert alert.firing_since_ms == wall_ms - 60_000
    wall_ms, monotonic_ms = wall_ms + 86_400_000, monotonic_ms + 86_400_000
    set_sent(home)
    watcher.step()
    assert occasions(home) == ["entry", "reminder"]
    watcher.close()


def test_a_file_that_cannot_be_written_is_tried_again(
    watcher: AlertWatcher, disk: FullDisk, home: Settings
) -> None:
    watcher.step()
    disk.is_full = True
    with closing(sqlite3.connect(path_of(home), isolation_level=None)) as other:
        other.execute("ALTER TABLE messages RENAME TO elsewhere")
        with pytest.raises(Exception, match="no such table"):
            watcher.step()
        assert other.execute("SELECT count(*) FROM alerts").fetchone() == (0,)
        other.execute("ALTER TABLE elsewhere RENAME TO messages")
    watcher.step()
    assert len(alerts(home)[0]) == 1
