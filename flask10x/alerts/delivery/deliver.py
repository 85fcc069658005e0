"""Deliver the messages that wait in the state file, all channels at the same time.

A message is sent exactly once as far as that is possible: a try is noted before it begins and its
result after it. A process that is killed in between sends the message again, with the same key.
Each channel sends one message at a time, so a channel that hangs holds up no other.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from flask10x.alerts import due, state_file
from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.delivery.jobs import Envelope, Job, NotSendable, Try, jobs_of
from flask10x.alerts.messages import Speaker, Text
from flask10x.alerts.state_file import StateFile
from flask10x.alerts.words import trouble_in
from flask10x.config.alerts.rules import Channel
from flask10x.config.settings import Settings
from flask10x.readings.times import iso_text
from flask10x.system import clock

# The next try may come in 10 or 30 s: waiting for it costs less than starting Python again.
LINGERS_MS = 35_000
# How often a try is polled for its end, and how often the state file is read meanwhile.
POLL_SEC, LOOK_MS = 0.02, 500
IDLE_SEC = 0.5
# How long the results of tries are kept when the state file can't be written.
UNWRITTEN_MS = 600_000
Say = Callable[[int, str], None]
NeverSent = Literal["given_up", "muted", "over_limit", "dropped"]
_m = state_file.messages.c


@dataclass(frozen=True, slots=True)
class Unsent:
    """The state of a message that is not sent, and a code of `TROUBLES`, or "" for none."""

    state: NeverSent
    trouble: str = ""


@dataclass(slots=True)
class UnderWay:
    """A message that is being sent, by a try for each receiver of its channel."""

    message: AlertMessage
    tries: list[Try]
    trouble: str = ""
    """Why it can't be sent at all."""

    def look(self) -> bool:
        """Whether all tries have ended; one whose time limit has passed is ended here."""
        have_ended = [attempt.look() for attempt in self.tries]
        return all(have_ended)

    def outcome(self) -> tuple[str, list[str]]:
        """Return the trouble ("" when all receivers have it), and the receivers that have it."""
        troubles = [attempt.trouble for attempt in self.tries if attempt.trouble]
        received_by = [attempt.receiver for attempt in self.tries if attempt.trouble == ""]
        return self.trouble or next(iter(troubles), ""), received_by


@dataclass(slots=True)
class MessageDelivery:
    """Sends the messages of all channels. `say` writes a line of the log with its level."""

    settings: Settings
    state: StateFile
    say: Say
    now_ms: Callable[[], int] = clock.now_ms
    monotonic_ms: Callable[[], int] = clock.monotonic_ms
    sleep: Callable[[float], None] = time.sleep
    begin_try: Callable[[Job], Try] = Try
    _under_way: dict[str, UnderWay] = field(default_factory=dict)
    _ended: list[UnderWay] = field(default_factory=list)
    """Results that are not written yet."""

    def run(self, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Deliver until no message is due soon, or until the current tries end when it is to stop.

        Raises sqlalchemy.exc.DBAPIError when the state file can't be used.
        """
        due_ms: int | None = None
        look_at_ms = self.monotonic_ms()
        while True:
            has_ended = self._collect()
            self._record()
            if is_stopping():
                due_ms = None
            elif has_ended or self.monotonic_ms() >= look_at_ms:
                due_ms = self._begin_all()
                look_at_ms = self.monotonic_ms() + LOOK_MS
            if self._under_way:
                self.sleep(POLL_SEC)
            elif due_ms is None or due_ms - self.now_ms() > LINGERS_MS:
                return
            else:
                self.sleep(IDLE_SEC)

    def _collect(self) -> bool:
        ended = [channel for channel, under_way in self._under_way.items() if under_way.look()]
        self._ended += [self._under_way.pop(channel) for channel in ended]
        return bool(ended)

    def _record(self) -> None:
        """Write the results; on a full disk as soon as there is space again.

        No other try begins before that: a message whose result is lost would be sent again.
        """
        given_up_ms = self.monotonic_ms() + UNWRITTEN_MS
        while self._ended:
            try:
                with self.state.writing() as connection:
                    lines = [self._write(connection, ended) for ended in self._ended]
            except DBAPIError:
                if self.monotonic_ms() >= given_up_ms:
                    raise
                self.sleep(IDLE_SEC)
                continue
            self._ended.clear()
            for level, text in filter(None, lines):
                self.say(level, text)

    def _write(self, connection: Connection, ended: UnderWay) -> tuple[int, str] | None:
        """Write a result; return the level and the text of its line in the log, if it has one."""
        message, now_ms = ended.message, self.now_ms()
        trouble, received_by = ended.outcome()
        tries = message.tries + 1
        if not trouble:
            _settle(connection, message.id, "sent", now_ms)
            text = f"{_called(message)} was sent, at try {tries}"
            return (logging.INFO, text) if message.tries else None
        if due.is_given_up(message, now_ms):
            _settle(connection, message.id, "given_up", now_ms, trouble)
            text = f"{_called(message)} was given up after {tries} tries: "
            return logging.ERROR, text + trouble_in("en", trouble)
        _note_failure(connection, message.id, trouble, received_by)
        text = f"{_called(message)} could not be sent, and is tried again: "
        return None if message.tries else (logging.WARNING, text + trouble_in("en", trouble))

    def _begin_all(self) -> int | None:
        """Call `_begin`; an error of the state file is raised only when no try is under way."""
        try:
            return self._begin()
        except DBAPIError:
            if not self._under_way:
                raise
            return None

    def _begin(self) -> int | None:
        """Begin the due message of each free channel; return when the next one is due, or None."""
        alerts, zone, now_ms = self.settings.alerts, self.settings.zone, self.now_ms()
        with self.state.reading() as connection:
            heads = due.heads(connection, alerts, now_ms, zone)
        free = {
            channel: message.due_ms
            for channel, message in heads.items()
            if channel not in self._under_way
        }
        for channel, due_ms in free.items():
            if due_ms <= now_ms:
                self._begin_next(channel, now_ms)
        return min(free.values(), default=None)

    def _begin_next(self, channel: str, now_ms: int) -> None:
        with self.state.writing() as connection:
            chosen = self._next_message(connection, channel, now_ms)
            receivers = _received_by(connection, chosen[0].id) if chosen else set()
        if chosen is None:
            return
        message, alert = chosen
        try:
            jobs = self._jobs(message, alert)
        except NotSendable as error:
            self._under_way[channel] = UnderWay(message, [], error.trouble)
            return
        except Exception as error:
            # It may have been created by another version; it must not stop the other channels.
            text = f"{_called(message)} has no text: {type(error).__name__}: {error}"
            self.say(logging.ERROR, text)
            self._under_way[channel] = UnderWay(message, [], "no_text")
            return
        tries = [self.begin_try(job) for job in jobs if job.receiver not in receivers]
        self._under_way[channel] = UnderWay(message, tries)

    def _jobs(self, message: AlertMessage, alert: Alert | None) -> Sequence[Job]:
        channel = self._channel(message.channel)
        if channel is None:
            raise NotSendable("no_way")
        speaker = Speaker(self.settings, channel.language or self.settings.alerts.language)
        if alert is not None:
            text = speaker.alert(alert, message.occasion)
        else:
            text = speaker.limit(message.created_ms, self._daily_max(channel))
        envelope = enveloped(self.settings, message, alert, text)
        return jobs_of(channel, envelope, self.now_ms(), self.settings.notify_hosts)

    def _next_message(
        self, connection: Connection, channel: str, now_ms: int
    ) -> tuple[AlertMessage, Alert | None] | None:
        """Note the next try, and return its message and alert, or None when none is due.

        Settles the messages before it that are not to be sent.
        """
        alerts, zone = self.settings.alerts, self.settings.zone
        while True:
            waiting = state_file.waiting(connection, channel, due.LOOKED_AT)
            message = due.head(waiting, alerts, now_ms, zone)
            if message is None or message.due_ms > now_ms:
                return None
            number = message.alert_id
            alert = None if number is None else state_file.by_id(connection, [number]).get(number)
            unsent = _unsent(connection, message, alert, now_ms)
            if unsent is None and not message.tries:
                unsent = self._over_limit(connection, message, now_ms)
            if unsent is None:
                return (message, alert) if _note_try(connection, message, now_ms) else None
            _settle(connection, message.id, unsent.state, now_ms, unsent.trouble)

    def _over_limit(
        self, connection: Connection, message: AlertMessage, now_ms: int
    ) -> Unsent | None:
        """Check the daily limit; the last message of a day says that it is reached."""
        channel = self._channel(message.channel)
        if channel is None or message.occasion in ("limit", "test"):
            return None
        start_ms = due.day_start_ms(now_ms, self.settings.zone)
        of_channel = _m.way == channel.name
        is_said = _m.occasion == "limit", _m.created_ms >= start_ms
        if _count(connection, of_channel, *is_said):
            return Unsent("over_limit")
        # Tests do not count.
        is_sent = _m.state == "sent", _m.settled_ms >= start_ms, _m.occasion != "test"
        if _count(connection, of_channel, *is_sent) < self._daily_max(channel) - 1:
            return None
        row = {"occasion": "limit", "way": channel.name, "state": "waiting"}
        times = {"created_ms": now_ms, "due_ms": now_ms}
        connection.execute(insert(state_file.messages).values(row | times))
        return Unsent("over_limit")

    def _channel(self, name: str) -> Channel | None:
        channels = self.settings.alerts.channels
        return next((channel for channel in channels if channel.name == name), None)

    def _daily_max(self, channel: Channel) -> int:
        return channel.daily_max or self.settings.alerts.daily_max


def enveloped(
    settings: Settings, message: AlertMessage, alert: Alert | None, text: Text
) -> Envelope:
    """Return the message with the facts for programs; times are ISO 8601 with the offset."""
    facts: dict[str, object] = {"way": message.channel}
    if alert is not None:
        facts |= {
            "rule": alert.rule,
            "kind": alert.kind,
            "subject": alert.subject,
            "since": iso_text(alert.since_ms, settings.zone),
            "ended": None if alert.ended_ms is None else iso_text(alert.ended_ms, settings.zone),
            "facts": dict(alert.facts),
            "end_facts": dict(alert.end_facts),
        }
    return Envelope(
        # The ids of a new state file begin at 1 again.
        key=f"{message.created_ms}-{message.id}",
        occasion=message.occasion,
        text=text,
        facts=facts,
    )


def _called(message: AlertMessage) -> str:
    of = f" of the rule {message.rule}" if message.rule else ""
    return f"Message {message.id} ({message.occasion}{of}) to {message.channel}"


def _unsent(
    connection: Connection, message: AlertMessage, alert: Alert | None, now_ms: int
) -> Unsent | None:
    if message.alert_id is None:
        return None
    if alert is None:
        return Unsent("dropped")
    if state_file.is_muted(connection, alert.rule, alert.subject, now_ms):
        return Unsent("muted")
    same = _m.alert_id == message.alert_id, _m.way == message.channel
    if message.occasion == "reminder" and _count(connection, *same, _m.id > message.id):
        # After days without a network one reminder is enough, and none when it is resolved.
        return Unsent("dropped", "outdated")
    if message.occasion == "recovery":
        earlier = select(_m.state).where(*same, _m.occasion.in_(("entry", "reminder")))
        return _without_entry(set(connection.execute(earlier).scalars()))
    return None


def _without_entry(states: Collection[str]) -> Unsent | None:
    """Why a channel gets no message of the end, by the states of its messages before that."""
    if "sent" in states:
        return None
    reasons: tuple[NeverSent, ...] = ("muted", "over_limit", "given_up")
    return Unsent(next((state for state in reasons if state in states), "dropped"))


# The messages of the state file


def _note_try(connection: Connection, message: AlertMessage, now_ms: int) -> bool:
    """Note a try before it begins, so that one that is killed counts.

    Return False when the message does not wait any more.
    """
    tries = message.tries + 1
    which = _m.id == message.id, _m.state == "waiting", _m.tries == message.tries
    noted = update(state_file.messages).where(*which)
    due_ms = now_ms + due.pause_ms(tries)
    return connection.execute(noted.values(tries=tries, due_ms=due_ms)).rowcount == 1


def _note_failure(
    connection: Connection, number: int, trouble: str, received_by: Collection[str]
) -> None:
    """Note that a try failed with this code, and which receivers have taken the message."""
    waiting = update(state_file.messages).where(_m.id == number, _m.state == "waiting")
    connection.execute(waiting.values(trouble=trouble))
    for receiver in received_by:
        row = insert(state_file.taken).prefix_with("OR IGNORE")
        connection.execute(row.values(message_id=number, receiver=receiver))


def _settle(
    connection: Connection,
    number: int,
    state: Literal["sent"] | NeverSent,
    now_ms: int,
    trouble: str = "",
) -> None:
    values: dict[str, str | int] = {"state": state, "settled_ms": now_ms}
    # A message that is never sent keeps the reason of the last try, unless there is a newer one.
    if trouble or state == "sent":
        values["trouble"] = trouble
    connection.execute(delete(state_file.taken).where(state_file.taken.c.message_id == number))
    connection.execute(update(state_file.messages).where(_m.id == number).values(values))


def _received_by(connection: Connection, number: int) -> set[str]:
    """Return the receivers that have taken it at an earlier try."""
    query = select(state_file.taken.c.receiver).where(state_file.taken.c.message_id == number)
    return set(connection.execute(query).scalars())


def _count(connection: Connection, *which: ColumnElement[bool]) -> int:
    """Return how many messages meet these conditions."""
    query = select(func.count()).select_from(state_file.messages).where(*which)
    return int(connection.execute(query).scalar_one())
