"""What becomes of messages: sent once, tried again, never sent; by a clock that is passed in."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError

from flask10x.alerts import state_file
from flask10x.alerts.delivery.deliver import MessageDelivery
from flask10x.alerts.delivery.jobs import Job
from flask10x.alerts.due import GIVEN_UP_AFTER_MS
from flask10x.alerts.state_file import StateFile, mute
from flask10x.config.alerts.rules import Alerts, Apprise, QuietHours, Webhook
from flask10x.config.settings import Settings
from tests.support.html import NINE

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
TAKEN = ""


@dataclass
class Home:
    """A state file, a clock, and receivers whose answers a test sets; None: it hangs."""

    settings: Settings
    state: StateFile
    now_ms: int = NINE
    says: Callable[[str], str | None] = lambda _url: TAKEN
    sent: list[dict[str, Any]] = field(default_factory=list)
    lines: list[tuple[int, str]] = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)

    def send(self, jobs: Sequence[Job]) -> list[str]:
        return [*map(self.trouble, jobs)]

    def trouble(self, job: Job) -> str:
        job_input = json.loads(job.input)
        trouble = self.says(job_input["url"])
        if trouble is None:
            assert self.hanging.wait(60)
            return "no_answer"
        if trouble == TAKEN:
            self.sent.append(job_input)
        return trouble

    def sleep(self, seconds: float) -> None:
        self.now_ms += max(1, int(seconds * 1000))

    def deliver(self, is_stopping: Callable[[], bool] = lambda: False) -> None:
        MessageDelivery(
            self.settings,
            self.state,
            lambda level, text: self.lines.append((level, text)),
            now_ms=lambda: self.now_ms,
            sleep=self.sleep,
            send=self.send,
        ).run(is_stopping)

    def alert(self, subject: str = "data2", rule: str = "silence", **values: Any) -> int:
        row = {"rule": rule, "kind": "silence", "subject": subject, "since_ms": self.now_ms}
        row |= {"entered_ms": self.now_ms, "facts": "{}", "reminded_ms": self.now_ms} | values
        with self.state.writing() as connection:
            inserted = connection.execute(insert(state_file.alerts).values(row))
        return int((inserted.inserted_primary_key or (0,))[0])

    def message(self, alert: int | None, occasion: str = "entry", channel: str = "phone") -> int:
        row = {"alert_id": alert, "occasion": occasion, "way": channel, "created_ms": self.now_ms}
        with self.state.writing() as connection:
            inserted = connection.execute(
                insert(state_file.messages).values(row | {"due_ms": self.now_ms})
            )
        return int((inserted.inserted_primary_key or (0,))[0])

    def rows(self, *names: str) -> list[tuple[Any, ...]]:
        columns = [state_file.messages.c[name] for name in names]
        with self.state.reading() as connection:
            return [tuple(row) for row in connection.execute(select(*columns).order_by("id"))]

    def states(self) -> list[str]:
        return [state for (_id, state) in self.rows("id", "state")]

    def occasions(self) -> list[tuple[str, str]]:
        """Of what was sent: channel and occasion."""
        bodies = [json.loads(job["body"]) for job in self.sent]
        return [(body["way"], body["occasion"]) for body in bodies]


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Iterator[Home]:
    channels = (
        Webhook(name="phone", url="http://phone/"),
        Webhook(name="mail", url="http://mail/", language="en"),
    )
    state = StateFile(tmp_path / "alerts.sqlite3")
    yield Home(replace(settings, alerts=Alerts(channels=channels, language="ja")), state)
    state.close()


def with_alerts(home: Home, **changes: Any) -> None:
    home.settings = replace(home.settings, alerts=replace(home.settings.alerts, **changes))


def test_each_channel_gets_a_message_once_in_its_language(home: Home) -> None:
    alert = home.alert()
    numbers = [home.message(alert, channel=channel) for channel in ("phone", "mail")]
    home.deliver()
    home.deliver()
    assert home.states() == ["sent", "sent"]
    bodies = {job["url"]: json.loads(job["body"]) for job in home.sent}
    assert {url: body["title"] for url, body in bodies.items()} == {
        "http://phone/": "「寝室」からデータが届いていません",
        "http://mail/": "Bedroom: no data",
    }
    assert {job["key"] for job in home.sent} == {f"{NINE}-{number}" for number in numbers}
    assert bodies["http://phone/"]["rule"] == "silence"
    assert bodies["http://phone/"]["since"] == "2025-08-24T09:00:00.250+09:00"
    assert home.lines == []


def test_a_failed_message_is_tried_again_with_the_same_key_and_logged_once(home: Home) -> None:
    home.message(home.alert())
    home.says = lambda _url: "status:500"
    home.deliver()
    assert home.rows("state", "tries", "trouble") == [("waiting", 3, "status:500")]
    home.now_ms += 31 * MINUTE
    home.says = lambda _url: TAKEN
    home.deliver()
    assert home.rows("state", "tries", "trouble") == [("sent", 4, "")]
    assert home.lines == [
        (
            logging.WARNING,
            "Message 1 (entry of the rule silence) to phone could not be sent, and is tried again:"
            " it answered 500",
        ),
        (logging.INFO, "Message 1 (entry of the rule silence) to phone was sent, at try 4"),
    ]


def test_the_process_ends_by_itself_when_the_next_try_is_minutes_away(home: Home) -> None:
    home.message(home.alert())
    home.says = lambda _url: "refused"
    home.deliver()
    # At 0 s, 10 s and 40 s; the next one comes after another minute.
    assert (home.rows("tries"), home.now_ms < NINE + MINUTE) == ([(3,)], True)


def test_a_channel_that_hangs_holds_up_no_other(home: Home) -> None:
    home.says = lambda url: None if "phone" in url else TAKEN
    for subject in ("data", "data2", "data3"):
        alert = home.alert(subject)
        home.message(alert, channel="phone")
        home.message(alert, channel="mail")

    def is_stopping() -> bool:
        if home.states()[1::2] != ["sent"] * 3:
            return False
        home.hanging.set()
        return True

    home.deliver(is_stopping)
    assert home.occasions() == [("mail", "entry")] * 3
    assert home.rows("way", "state", "tries")[::2] == [
        ("phone", "waiting", 1),
        ("phone", "waiting", 0),
        ("phone", "waiting", 0),
    ]


def test_nothing_overtakes_what_is_tried_again(home: Home) -> None:
    alert_id, other = home.alert("data"), home.alert("data2")
    home.message(alert_id)
    home.message(other)
    home.message(alert_id, "recovery")
    answers = ["status:503", "no_answer", TAKEN]
    home.says = lambda _url: answers.pop(0) if answers else TAKEN
    home.deliver()
    keys = [int(sent["key"].partition("-")[2]) for sent in home.sent]
    assert keys == [1, 2, 3]


def test_what_was_tried_when_the_process_was_killed_is_tried_again(home: Home) -> None:
    """The try is noted before it begins; what came of it is not."""
    home.message(home.alert())
    noted: list[tuple[Any, ...]] = []

    def look(_url: str) -> str:
        noted.extend(home.rows("state", "tries"))
        raise MemoryError

    home.says = look
    with pytest.raises(MemoryError):
        home.deliver()
    assert noted == home.rows("state", "tries") == [("waiting", 1)]
    home.says = lambda _url: TAKEN
    home.deliver()
    assert [job["key"] for job in home.sent] == [f"{NINE}-1"]
    assert home.rows("state", "tries") == [("sent", 2)]


def test_after_a_signal_only_what_is_under_way_is_finished(home: Home) -> None:
    alert = home.alert()
    home.message(alert)
    home.message(alert, "reminder")
    home.deliver(lambda: bool(home.sent))
    assert home.states() == ["sent", "waiting"]


# What is never sent


def test_a_resolved_message_goes_only_to_channels_that_were_notified(home: Home) -> None:
    for state in ("muted", "over_limit", "given_up", "sent"):
        alert = home.alert(f"data{len(home.rows('id'))}")
        entry = home.message(alert)
        home.message(alert, "recovery")
        with home.state.writing() as connection:
            settled = update(state_file.messages).where(state_file.messages.c.id == entry)
            connection.execute(settled.values(state=state, settled_ms=home.now_ms))
    home.deliver()
    assert home.states()[1::2] == ["muted", "over_limit", "given_up", "sent"]
    assert home.occasions() == [("phone", "recovery")]


def test_what_is_muted_is_not_sent(home: Home) -> None:
    home.message(home.alert("data2"))
    home.message(home.alert("data3"))
    with home.state.writing() as connection:
        connection.execute(
            insert(state_file.mutes).values(
                rule="silence", subject="data2", until_ms=home.now_ms + HOUR
            )
        )
    home.deliver()
    assert home.states() == ["muted", "sent"]
    with home.state.writing() as connection:
        mute(connection, "silence", "data3", home.now_ms - 1)
    home.message(home.alert("data4"))
    home.deliver()
    assert home.states() == ["muted", "sent", "sent"]


def test_of_reminders_that_have_piled_up_only_the_newest_is_sent(home: Home) -> None:
    lasting, over = home.alert("data"), home.alert("data2")
    for alert in (lasting, over):
        for occasion in ("entry", "reminder", "reminder"):
            home.message(alert, occasion)
    home.message(over, "recovery")
    home.deliver()
    assert home.states() == ["sent", "dropped", "sent", "sent", "dropped", "dropped", "sent"]


def test_after_a_week_it_is_given_up(home: Home) -> None:
    home.message(home.alert())
    home.says = lambda _url: "no_such_host"
    home.deliver()
    # As many tries as the half hours of a week, but for the last ones.
    home.now_ms += GIVEN_UP_AFTER_MS - 3 * HOUR
    with home.state.writing() as connection:
        connection.execute(update(state_file.messages).values(tries=330))
    while home.states() == ["waiting"]:
        home.deliver()
        home.now_ms += 31 * MINUTE
    assert home.rows("state", "trouble") == [("given_up", "no_such_host")]
    assert GIVEN_UP_AFTER_MS <= home.now_ms - NINE < GIVEN_UP_AFTER_MS + 2 * HOUR
    assert [level for level, _text in home.lines] == [logging.WARNING, logging.ERROR]


def test_a_try_is_logged_when_the_file_cannot_be_read_meanwhile(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.message(home.alert())
    has_failed = threading.Event()

    def unreadable() -> None:
        has_failed.set()
        raise DBAPIError("BEGIN", None, Exception("disk I/O error"))

    def answer(_url: str) -> str:
        monkeypatch.setattr(home.state, "reading", unreadable)
        assert has_failed.wait(60)
        return "status:500"

    home.says = answer
    with pytest.raises(DBAPIError):
        home.deliver()
    assert [level for level, _text in home.lines] == [logging.WARNING]


def test_a_removed_channel_is_a_reason_and_holds_up_no_other(home: Home) -> None:
    alert = home.alert()
    for channel in ("pager", "phone"):
        home.message(alert, channel=channel)
    home.deliver()
    assert home.rows("way", "state", "trouble") == [
        ("pager", "waiting", "no_way"),
        ("phone", "sent", ""),
    ]


# The limit of a day


def test_a_message_without_a_text_holds_up_no_other_channel(home: Home) -> None:
    """A kind of a newer version, say."""
    home.message(home.alert(kind="flood"), channel="mail")
    home.message(home.alert("data"), channel="phone")
    home.deliver()
    assert home.rows("way", "state", "trouble") == [
        ("mail", "waiting", "no_text"),
        ("phone", "sent", ""),
    ]
    assert "Message 1 (entry of the rule silence) to mail has no text: KeyError: 'flood'" in [
        text for _level, text in home.lines
    ]


def test_the_last_message_of_a_day_says_that_it_is_the_last(home: Home) -> None:
    with_alerts(home, daily_max=3)
    for number in range(5):
        home.message(home.alert(f"data{number}"))
    home.deliver()
    assert home.states() == ["sent", "sent", "over_limit", "over_limit", "over_limit", "sent"]
    assert home.occasions() == [("phone", "entry")] * 2 + [("phone", "limit")]
    assert "8月24日" in json.loads(home.sent[-1]["body"])["body"]
    # Another channel has its own limit, and the next day is another one.
    home.message(home.alert("data5"), channel="mail")
    home.now_ms += DAY
    home.message(home.alert("data6"))
    home.deliver()
    assert home.states()[6:] == ["sent", "sent"]


def test_a_channel_may_have_its_own_limit(home: Home) -> None:
    (phone, mail) = home.settings.alerts.channels
    with_alerts(home, channels=(replace(phone, daily_max=2), mail))
    for number in range(3):
        alert = home.alert(f"data{number}")
        home.message(alert, channel="phone")
        home.message(alert, channel="mail")
    home.deliver()
    assert home.states()[::2] == ["sent", "over_limit", "over_limit", "sent"]
    assert home.states()[1:6:2] == ["sent"] * 3


def test_with_a_limit_of_one_the_message_about_the_limit_is_sent(home: Home) -> None:
    with_alerts(home, daily_max=1)
    home.message(home.alert())
    home.deliver()
    assert home.occasions() == [("phone", "limit")]


# Quiet hours


def test_the_night_is_quiet_for_all_but_the_urgent(home: Home) -> None:
    with_alerts(home, quiet_hours=QuietHours(start=time(22), end=time(7)))
    home.now_ms = NINE + 14 * HOUR
    alert = home.alert("data2")
    home.message(alert)
    home.message(home.alert("", "disk"))
    home.message(alert, "recovery")
    home.deliver()
    assert home.states() == ["waiting", "sent", "waiting"]
    home.now_ms = NINE + 22 * HOUR
    home.deliver()
    assert home.states() == ["sent"] * 3
    assert home.occasions() == [("phone", "entry"), ("phone", "entry"), ("phone", "recovery")]


# Several receivers of one channel


def test_of_several_urls_only_those_that_failed_are_tried_again(home: Home, tmp_path: Path) -> None:
    urls = tmp_path / "urls"
    urls.write_text("# the family\njson://mother\n\njson://father\njson://mother\n")
    urls.chmod(0o600)
    with_alerts(home, channels=(Apprise(name="phone", urls_file=str(urls)),))
    home.message(home.alert())
    home.says = lambda url: TAKEN if "mother" in url else "status:401"
    home.deliver()
    assert home.rows("state", "trouble") == [("waiting", "status:401")]
    home.says = lambda _url: TAKEN
    home.now_ms += HOUR
    home.deliver()
    assert [job["url"] for job in home.sent] == ["json://mother", "json://father"]
    assert home.states() == ["sent"]
    with home.state.reading() as connection:
        assert connection.execute(select(state_file.taken)).all() == []


@pytest.mark.parametrize(
    ("text", "mode", "trouble"),
    [
        ("", 0o600, "no_urls"),
        ("json://a\n", 0o644, "secret_file"),
        ("".join(f"json://{n}\n" for n in range(11)), 0o600, "many_urls:10"),
    ],
)
def test_urls_that_cannot_be_used(
    home: Home, tmp_path: Path, text: str, mode: int, trouble: str
) -> None:
    urls = tmp_path / "urls"
    urls.write_text(text)
    urls.chmod(mode)
    with_alerts(home, channels=(Apprise(name="phone", urls_file=str(urls)),))
    home.message(home.alert())
    home.deliver()
    assert home.rows("state", "trouble") == [("waiting", trouble)]


# The state file


def test_a_result_that_cannot_be_written_is_written_later_and_sent_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.message(home.alert())
    usual, writes = StateFile.writing, iter(range(100))

    def full_at_times(state: StateFile) -> Any:
        if next(writes) in range(1, 20):
            raise DBAPIError("COMMIT", None, OSError("database or disk is full"))
        return usual(state)

    monkeypatch.setattr(StateFile, "writing", full_at_times)
    home.deliver()
    assert home.states() == ["sent"]
    assert len(home.sent) == 1


def test_nothing_is_sent_that_cannot_be_noted_first(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.message(home.alert())

    def full(_state: StateFile) -> Any:
        raise DBAPIError("BEGIN", None, OSError("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(StateFile, "writing", full)
        with pytest.raises(DBAPIError):
            home.deliver()
    assert (home.sent, home.states()) == ([], ["waiting"])


def test_neither_urls_nor_secrets_get_into_the_file_or_the_log(home: Home, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    channel = Webhook(name="phone", url="http://phone/hunter2", secret_file=str(secret))
    with_alerts(home, channels=(channel,))
    home.message(home.alert())
    home.says = lambda _url: "status:500"
    home.deliver()
    home.state.close()
    assert b"hunter2" not in (tmp_path / "alerts.sqlite3").read_bytes()
    assert "hunter2" not in repr(home.lines)
