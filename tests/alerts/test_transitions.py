"""From verdicts to alerts: each fires and is resolved once, whatever happens in between."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event
from sqlalchemy.sql.dml import UpdateBase

from flask10x.alerts import state_file, transitions
from flask10x.alerts.alert import Alert, AlertMessage, Verdict
from flask10x.alerts.state_file import StateFile
from flask10x.alerts.transitions import Routing, changes, watched, write
from flask10x.config.alerts.rules import Alerts, Disk, QuietHours, Silence, Threshold, Webhook
from flask10x.readings.stations import BUILT_IN
from tests.support.alert_rows import threshold_of

NOON_MS = 1_756_004_400_000  # 2025-08-24, 12:00 in Tokyo
HOUR_MS = 3_600_000
PHONE, MAIL = Webhook(name="phone", url="http://p"), Webhook(name="mail", url="http://m")
ALERTS = Alerts(rules=(Silence(), Disk(channels=("mail",))), channels=(PHONE, MAIL))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[StateFile]:
    file = StateFile(tmp_path / "alerts.sqlite3")
    yield file
    file.close()


class Home:
    """What the elected worker does, without its thread."""

    def __init__(self, file: StateFile, alerts: Alerts = ALERTS) -> None:
        self.file = file
        self.alerts = alerts
        self.now_ms = NOON_MS

    def see(self, *verdicts: Verdict, killed_at: int | None = None) -> None:
        """One step with these verdicts, everything in memory forgotten before."""
        with self.file.reading() as connection:
            active = {(a.rule, a.subject): a for a in state_file.active(connection, self.now_ms)}
        possible = watched(self.alerts, BUILT_IN)
        gone = [a for a in active.values() if (a.rule, a.kind, a.subject) not in possible]
        after_ms = self.alerts.reminder_after_sec * 1000
        due = [a for a in active.values() if self.now_ms - a.reminded_ms >= after_ms]
        if changed := changes(active, verdicts, gone, due, self.now_ms):
            with self.file.writing() as connection:
                if killed_at is not None:
                    Killer(connection, killed_at)
                write(connection, changed, Routing(self.alerts, None), self.now_ms)
                if killed_at is not None:
                    raise _Killed

    def silent(self, is_firing: bool | None, subject: str = "data2") -> Verdict:
        since_ms, facts = self.now_ms - HOUR_MS, {"after_sec": 120}
        return Verdict(Silence(), is_firing, since_ms, facts, subject)

    def send(self) -> None:
        """As if each message that waits had been sent."""
        with self.file.writing() as connection:
            c = state_file.messages.c
            waiting = state_file.messages.update().where(c.state == "waiting")
            connection.execute(waiting.values(state="sent", settled_ms=self.now_ms))

    def active(self) -> list[Alert]:
        with self.file.reading() as connection:
            return state_file.active(connection, self.now_ms)

    def messages(self) -> list[AlertMessage]:
        with self.file.reading() as connection:
            rows = connection.execute(
                state_file.messages.select().order_by(state_file.messages.c.id)
            )
            values = [dict(row._mapping) for row in rows]
            return [AlertMessage(channel=each.pop("way"), rule="", **each) for each in values]

    def occasions(self, channel: str = "phone") -> list[str]:
        """The occasions of the messages that wait for this channel or were sent to it."""
        return [
            m.occasion
            for m in self.messages()
            if m.channel == channel and m.state in ("waiting", "sent")
        ]


@pytest.fixture
def home(file: StateFile) -> Home:
    return Home(file)


def test_an_alert_has_a_message_when_it_fires_and_one_when_it_is_resolved(home: Home) -> None:
    for is_firing in (False, True, True, None, True, False, False, None):
        home.see(home.silent(is_firing))
        home.now_ms += 1000
    assert home.occasions("phone") == home.occasions("mail") == ["entry", "recovery"]
    assert home.active() == []
    with home.file.reading() as connection:
        (alert,) = state_file.past(connection)
    assert (alert.since_ms, alert.firing_since_ms) == (NOON_MS + 1000 - HOUR_MS, NOON_MS + 1000)
    assert (alert.ended_ms, alert.ended) == (NOON_MS + 5000, "recovered")
    assert alert.facts == {"after_sec": 120}


def test_a_rule_chooses_its_channels(home: Home) -> None:
    home.see(Verdict(Disk(), True, NOON_MS))
    assert (home.occasions("phone"), home.occasions("mail")) == ([], ["entry"])


def test_notified_channels_get_the_end_whatever_channels_the_rule_has_now(
    home: Home,
) -> None:
    home.see(home.silent(True))
    home.send()
    home.alerts = replace(ALERTS, rules=(Silence(channels=("mail",)), Disk()))
    home.see(home.silent(False))
    assert home.occasions("phone") == home.occasions("mail") == ["entry", "recovery"]


def test_a_new_channel_gets_the_next_reminder(home: Home) -> None:
    home.alerts = replace(ALERTS, channels=())
    home.see(home.silent(True))
    home.alerts = ALERTS
    home.see(home.silent(True))
    assert home.messages() == []
    home.now_ms += 24 * HOUR_MS
    home.see(home.silent(True))
    home.see(home.silent(False))
    assert home.occasions("phone") == home.occasions("mail") == ["reminder", "recovery"]


def test_of_what_lasts_for_years_the_reminders_of_a_month_are_kept(home: Home) -> None:
    home.see(home.silent(True))
    for day in range(100):
        home.send()
        if day == 1:
            # Of a channel with several receivers some had it when it was muted, say.
            with home.file.writing() as connection:
                last = home.messages()[-1].id
                connection.execute(state_file.taken.insert().values(message_id=last, receiver="x"))
        home.now_ms += 24 * HOUR_MS
        home.see(home.silent(True))
    assert home.occasions() == ["entry"] + 31 * ["reminder"]
    home.see(home.silent(False))
    assert home.occasions()[-1] == "recovery"


def test_a_reminder_comes_each_day_once_the_first_message_was_sent(home: Home) -> None:
    home.see(home.silent(True))
    home.now_ms += 24 * HOUR_MS
    home.see(home.silent(True))
    assert home.occasions() == ["entry"], "the message that waits says the same"
    home.send()
    for _ in range(48):
        home.now_ms += HOUR_MS
        home.see(home.silent(None))
        home.send()
    assert home.occasions() == ["entry", "reminder", "reminder"]


def test_a_muted_alert_is_noted_without_a_message(home: Home) -> None:
    with home.file.writing() as connection:
        state_file.mute(connection, "silence", "data2", home.now_ms + HOUR_MS)
    home.see(home.silent(True), home.silent(True, "data3"))
    assert [alert.subject for alert in home.active()] == ["data3", "data2"]
    assert [alert.muted_until_ms for alert in home.active()] == [None, NOON_MS + HOUR_MS]
    home.now_ms += 2 * HOUR_MS
    home.see(home.silent(False), home.silent(False, "data3"))
    assert home.occasions() == ["entry", "recovery"], (
        "a channel without the first message gets none of the end"
    )


def test_a_channel_with_a_reminder_after_a_mute_is_notified_of_the_end(home: Home) -> None:
    with home.file.writing() as connection:
        state_file.mute(connection, "silence", "data2", home.now_ms + HOUR_MS)
    home.see(home.silent(True))
    home.now_ms += 24 * HOUR_MS
    home.see(home.silent(True))
    home.send()
    home.see(home.silent(False))
    assert home.occasions() == ["reminder", "recovery"]


def test_an_unmuted_alert_has_messages_again(home: Home) -> None:
    with home.file.writing() as connection:
        state_file.mute(connection, "silence", "data2", home.now_ms + HOUR_MS)
        state_file.mute(connection, "silence", "data2", home.now_ms + 2 * HOUR_MS)
        assert [m.until_ms for m in state_file.muted(connection, 0)] == [NOON_MS + 2 * HOUR_MS]
        state_file.unmute(connection, "silence", "data2")
    home.see(home.silent(True))
    assert home.occasions() == ["entry"]


def test_an_alert_that_is_not_watched_any_more_ends_without_a_message(home: Home) -> None:
    home.see(home.silent(True), home.silent(True, "data3"))
    home.alerts = replace(ALERTS, rules=(Silence(stations=("data2",)), Disk()))
    home.see(home.silent(True))
    assert [alert.subject for alert in home.active()] == ["data2"]
    with home.file.reading() as connection:
        (alert,) = state_file.past(connection)
    assert (alert.subject, alert.ended) == ("data3", "unwatched")
    assert {m.state for m in home.messages() if m.alert_id == alert.id} == {"dropped"}


@pytest.mark.parametrize(
    ("rule", "subject", "is_still_watched"),
    [
        (Silence(), "data2", True),
        (Silence(), "attic", False),
        (Silence(stations=("data",)), "data2", False),
        (threshold_of("silence"), "data2", False),
        (Disk(name="other"), "data2", False),
    ],
)
def test_what_is_watched(
    home: Home, rule: Silence | Threshold | Disk, subject: str, is_still_watched: bool
) -> None:
    home.see(home.silent(True, subject))
    (alert,) = home.active()
    possible = watched(Alerts(rules=(rule,)), BUILT_IN)
    assert ((alert.rule, alert.kind, alert.subject) in possible) == is_still_watched


def test_at_night_a_message_waits_and_an_urgent_one_does_not(file: StateFile) -> None:
    night = QuietHours(start=time(0), end=time(0, 0, 1), urgent=("disk",))
    home = Home(file, replace(ALERTS, quiet_hours=replace(night, end=time(23, 59, 59))))
    home.see(home.silent(True), Verdict(Disk(), True, 0))
    waiting = {m.alert_id: m.due_ms > home.now_ms for m in home.messages()}
    assert waiting == {1: True, 2: False}


def test_what_waits_when_it_is_muted_is_not_sent_any_more(home: Home) -> None:
    home.see(home.silent(True), home.silent(True, "data3"))
    with home.file.writing() as connection:
        state_file.mute(connection, "silence", "data2", home.now_ms + HOUR_MS)
    assert [m.state for m in home.messages()] == ["muted", "muted", "waiting", "waiting"]
    home.see(home.silent(False))
    assert home.occasions() == ["entry"], "a channel without the first message gets none of the end"


def test_the_end_of_a_muted_alert_has_no_message(home: Home) -> None:
    home.see(home.silent(True))
    home.send()
    with home.file.writing() as connection:
        state_file.mute(connection, "silence", "data2", home.now_ms + HOUR_MS)
    home.see(home.silent(False))
    assert {(m.occasion, m.state) for m in home.messages()} == {
        ("entry", "sent"),
        ("recovery", "muted"),
    }


def test_two_processes_that_end_an_alert_notify_once(home: Home) -> None:
    home.see(home.silent(True))
    active = {(alert.rule, alert.subject): alert for alert in home.active()}
    late = changes(active, [home.silent(False)], [], [], home.now_ms)
    home.see(home.silent(False))
    home.now_ms += 1
    with home.file.writing() as connection:
        write(connection, late, Routing(ALERTS, None), home.now_ms)
    assert home.occasions() == ["entry", "recovery"]
    home.see(home.silent(True))
    with home.file.writing() as connection:
        write(connection, late, Routing(ALERTS, None), home.now_ms)
    assert home.occasions() == ["entry", "recovery", "entry"], "that is another alert"
    assert len(home.active()) == 1


def test_two_processes_that_create_an_alert_notify_once(home: Home) -> None:
    late = changes({}, [home.silent(True)], [], [], home.now_ms)
    home.see(home.silent(True))
    with home.file.writing() as connection:
        write(connection, late, Routing(ALERTS, None), home.now_ms)
    assert home.occasions() == ["entry"]
    assert len(home.active()) == 1


def test_of_past_alerts_only_the_newest_are_kept(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "KEPT_MAX", 3)
    home.see(home.silent(True, "data3"))
    for _ in range(5):
        home.see(home.silent(True))
        home.send()
        home.see(home.silent(False))
        home.send()
        home.now_ms += 1000
    home.see(home.silent(True))
    with home.file.reading() as connection:
        assert [alert.id for alert in state_file.past(connection)] == [6, 5]
    assert [alert.id for alert in home.active()] == [7, 1]
    assert {m.alert_id for m in home.messages()} == {1, 5, 6, 7}


class _Killed(Exception):
    """The process ends before its transaction does."""


class Killer:
    """Ends the process before its write with this number, of an entry or an end with messages."""

    def __init__(self, connection: Connection, before_write: int) -> None:
        self._left = before_write
        event.listen(connection, "before_execute", self._execute)

    def _execute(self, _connection: object, statement: object, *_: object) -> None:
        if isinstance(statement, UpdateBase):
            if not self._left:
                raise _Killed
            self._left -= 1


# Of a rule and a subject: the verdict, and before which write of it the process is killed, if it
# is; 9 is after the last one, before the commit.
SEEN = st.tuples(
    st.sampled_from([True, False, None]),
    st.one_of(st.none(), st.integers(0, 3), st.just(9)),
    st.sampled_from(["see", "send", "wait a day"]),
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seen=st.lists(SEEN, max_size=12))
def test_a_killed_process_has_written_no_message_or_all(
    tmp_path_factory: pytest.TempPathFactory, seen: list[tuple[bool | None, int | None, str]]
) -> None:
    """Entries and recoveries take turns, with a message for each channel, whatever dies when."""
    home = Home(StateFile(tmp_path_factory.mktemp("home") / "alerts.sqlite3"))
    verdicts = []
    for is_firing, killed_at, then in seen:
        home.now_ms += 1000
        try:
            home.see(home.silent(is_firing), killed_at=killed_at)
            verdicts.append(is_firing)
        except _Killed:
            pass
        if then == "send":
            home.send()
        home.now_ms += 24 * HOUR_MS if then == "wait a day" else 0
    decided = [firing for firing in verdicts if firing is not None]
    changed = [
        now for before, now in zip([False, *decided], decided, strict=False) if before != now
    ]
    for channel in ("phone", "mail"):
        occasions = [each for each in home.occasions(channel) if each != "reminder"]
        assert occasions == ["entry" if firing else "recovery" for firing in changed]
    assert [bool(home.active())] == [bool(decided) and decided[-1]]
    home.file.close()


def test_a_process_that_is_killed_at_any_write_has_written_nothing(home: Home) -> None:
    for is_firing in (True, False):
        before = home.messages(), home.active()
        for write_number in (0, 1, 2, 9):
            with pytest.raises(_Killed):
                home.see(home.silent(is_firing), killed_at=write_number)
            assert (home.messages(), home.active()) == before
        home.see(home.silent(is_firing))
    assert home.occasions("phone") == home.occasions("mail") == ["entry", "recovery"]
