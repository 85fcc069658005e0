"""Deliver the messages that wait in the state file, all channels at the same time.

A message is sent exactly once as far as that is possible: a try is noted before it begins and its
result after it. A process that is killed in between sends the message again, with the same key.
Each channel sends one message at a time, so a channel that hangs holds up no other.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from flask10x.alerts import due, state_file
from flask10x.alerts.alert import Alert, AlertMessage, MessageState
from flask10x.alerts.delivery.jobs import Job, NotSendable, jobs_of, troubles_of
from flask10x.alerts.messages import Speaker
from flask10x.alerts.state_file import StateFile
from flask10x.alerts.words import trouble_in
from flask10x.config.alerts.file import MAX_CHANNELS
from flask10x.config.alerts.rules import Channel
from flask10x.config.settings import Settings
from flask10x.readings.times import iso_text
from flask10x.system import clock

# The next try may come in 10 or 30 s: waiting for it costs less than starting Python again.
LINGERS_MS = 35_000
# How often the state file is read while a message is being sent, and while none is.
LOOK_SEC = IDLE_SEC = 0.5
# How often a result is written again when the state file can't be written: for ten minutes.
UNWRITTEN_TURNS = 1200
_m, _taken = state_file.messages.c, state_file.taken.c


Line = tuple[int, str]
"""The level and the text of a line of the log."""


@dataclass(slots=True)
class MessageDelivery:
    """Sends the messages of all channels.

    The thread of each channel calls `say`, which writes a line to the log with its level.
    """

    settings: Settings
    state: StateFile
    say: Callable[[int, str], None]
    now_ms: Callable[[], int] = clock.now_ms
    sleep: Callable[[float], None] = time.sleep
    send: Callable[[Sequence[Job]], list[str]] = troubles_of

    def run(self, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Deliver until no message is due soon, or until the current tries end when it is to stop.

        Raises sqlalchemy.exc.DBAPIError when the state file can't be used.
        """
        busy: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(MAX_CHANNELS) as threads:
            while True:
                for channel in [name for name, sending in busy.items() if sending.done()]:
                    busy.pop(channel).result()
                now_ms, due = self.now_ms(), {} if is_stopping() else self._due()
                for channel, due_ms in due.items():
                    if due_ms <= now_ms and channel not in busy:
                        busy[channel] = threads.submit(self._send_next, channel)
                if busy:
                    wait(busy.values(), LOOK_SEC, FIRST_COMPLETED)
                elif all(due_ms - now_ms > LINGERS_MS for due_ms in due.values()):
                    return
                else:
                    self.sleep(IDLE_SEC)

    def _due(self) -> dict[str, int]:
        """Return when the next message of each channel is due."""
        alerts, zone = self.settings.alerts, self.settings.zone
        with self.state.reading() as connection:
            heads = due.heads(connection, alerts, self.now_ms(), zone)
        return {channel: message.due_ms for channel, message in heads.items()}

    def _send_next(self, channel: str) -> None:
        """Send the next message of a channel, if it is due."""
        with self.state.writing() as connection:
            chosen = self._next_message(connection, channel, self.now_ms())
        if chosen is None:
            return
        message, alert, received_by = chosen
        jobs, trouble = list[Job](), ""
        try:
            jobs = [job for job in self._jobs(message, alert) if job.receiver not in received_by]
        except NotSendable as error:
            trouble = error.trouble
        except Exception as error:
            # It may have been created by another version; it must not stop the other channels.
            text = f"{_called(message)} has no text: {type(error).__name__}: {error}"
            trouble = "no_text"
            self.say(logging.ERROR, text)
        troubles = self.send(jobs)
        taken = [job.receiver for job, of_job in zip(jobs, troubles, strict=True) if not of_job]
        trouble = trouble or next(filter(None, troubles), "")
        if line := self._record(message, taken, trouble):
            self.say(*line)

    def _record(self, message: AlertMessage, taken: Collection[str], trouble: str) -> Line | None:
        """Write the result of a try; on a full disk as soon as there is space again.

        The channel has no other try before that: a message whose result is lost would be sent
        again. `taken` are the receivers that have taken it.
        """
        for _turn in range(UNWRITTEN_TURNS):
            with suppress(DBAPIError), self.state.writing() as connection:
                return self._write(connection, message, taken, trouble)
            self.sleep(IDLE_SEC)
        with self.state.writing() as connection:
            return self._write(connection, message, taken, trouble)

    def _write(
        self, connection: Connection, message: AlertMessage, taken: Collection[str], trouble: str
    ) -> Line | None:
        """Write a result; return its line in the log, or None when the log gets none."""
        now_ms, tries, called = self.now_ms(), message.tries + 1, _called(message)
        if not trouble:
            _settle(connection, message.id, "sent", now_ms)
            return (logging.INFO, f"{called} was sent, at try {tries}") if message.tries else None
        reason = trouble_in("en", trouble)
        if due.is_given_up(message, now_ms):
            _settle(connection, message.id, "given_up", now_ms, trouble)
            return logging.ERROR, f"{called} was given up after {tries} tries: {reason}"
        waiting = update(state_file.messages).where(_m.id == message.id, _m.state == "waiting")
        connection.execute(waiting.values(trouble=trouble))
        for receiver in taken:
            row = insert(state_file.taken).prefix_with("OR IGNORE")
            connection.execute(row.values(message_id=message.id, receiver=receiver))
        text = f"{called} could not be sent, and is tried again: {reason}"
        return None if message.tries else (logging.WARNING, text)

    def _next_message(
        self, connection: Connection, channel: str, now_ms: int
    ) -> tuple[AlertMessage, Alert | None, set[str]] | None:
        """Note the next try of a channel, or return None when no message is due.

        Return the message, its alert, and the receivers that have taken it at an earlier try.
        Settles the messages before it that are not to be sent.
        """
        alerts, zone = self.settings.alerts, self.settings.zone
        while True:
            waiting = state_file.waiting(connection, channel, due.LOOKED_AT)
            message = due.head(waiting, alerts, now_ms, zone)
            if message is None or message.due_ms > now_ms:
                return None
            alert = state_file.by_id(connection, [message.alert_id or 0]).get(message.alert_id or 0)
            unsent, trouble = _unsent(connection, message, alert, now_ms), ""
            if unsent == "outdated":
                unsent, trouble = "dropped", unsent
            if unsent is None and not message.tries:
                unsent = "over_limit" if self._is_over_limit(connection, message, now_ms) else None
            if unsent is not None:
                _settle(connection, message.id, unsent, now_ms, trouble)
                continue
            # A try is noted before it begins, so that one that is killed counts.
            tries = message.tries + 1
            which = _m.id == message.id, _m.state == "waiting", _m.tries == message.tries
            noted = update(state_file.messages).where(*which)
            noted = noted.values(tries=tries, due_ms=now_ms + due.pause_ms(tries))
            if not connection.execute(noted).rowcount:
                return None
            query = select(_taken.receiver).where(_taken.message_id == message.id)
            return message, alert, set(connection.execute(query).scalars())

    def _jobs(self, message: AlertMessage, alert: Alert | None) -> list[Job]:
        """Return the jobs of a message; the times in it are ISO 8601 with the offset."""
        settings, channel = self.settings, self._channel(message.channel)
        if channel is None:
            raise NotSendable("no_way")
        speaker = Speaker(settings, channel.language or settings.alerts.language)
        # The ids of a new state file begin at 1 again.
        key = f"{message.created_ms}-{message.id}"
        shown: dict[str, object] = {"id": key, "occasion": message.occasion}
        if alert is None:
            text = speaker.limit(message.created_ms, self._daily_max(channel))
            shown |= asdict(text) | {"way": message.channel}
        else:
            shown |= asdict(speaker.alert(alert, message.occasion)) | {
                "way": message.channel,
                "rule": alert.rule,
                "kind": alert.kind,
                "subject": alert.subject,
                "since": iso_text(alert.since_ms, settings.zone),
                "ended": None
                if alert.ended_ms is None
                else iso_text(alert.ended_ms, settings.zone),
                "facts": dict(alert.facts),
                "end_facts": dict(alert.end_facts),
            }
        return jobs_of(channel, shown, self.now_ms(), settings.notify_hosts)

    def _is_over_limit(self, connection: Connection, message: AlertMessage, now_ms: int) -> bool:
        """Check the daily limit; the last message of a day says that it is reached."""
        channel = self._channel(message.channel)
        if channel is None or message.occasion in ("limit", "test"):
            return False
        start_ms = due.day_start_ms(now_ms, self.settings.zone)
        of_channel = _m.way == channel.name
        if _count(connection, of_channel, _m.occasion == "limit", _m.created_ms >= start_ms):
            return True
        # Tests do not count.
        is_sent = _m.state == "sent", _m.settled_ms >= start_ms, _m.occasion != "test"
        if _count(connection, of_channel, *is_sent) < self._daily_max(channel) - 1:
            return False
        row = {"occasion": "limit", "way": channel.name, "state": "waiting"}
        times = {"created_ms": now_ms, "due_ms": now_ms}
        connection.execute(insert(state_file.messages).values(row | times))
        return True

    def _channel(self, name: str) -> Channel | None:
        channels = self.settings.alerts.channels
        return next((channel for channel in channels if channel.name == name), None)

    def _daily_max(self, channel: Channel) -> int:
        return channel.daily_max or self.settings.alerts.daily_max


def _called(message: AlertMessage) -> str:
    of = f" of the rule {message.rule}" if message.rule else ""
    return f"Message {message.id} ({message.occasion}{of}) to {message.channel}"


def _unsent(
    connection: Connection, message: AlertMessage, alert: Alert | None, now_ms: int
) -> MessageState | Literal["outdated"] | None:
    """Return the state of a message that must not be sent, or None.

    `outdated`: drop it, because a newer message is sent instead.
    """
    if message.alert_id is None:
        return None
    if alert is None:
        return "dropped"
    if state_file.is_muted(connection, alert.rule, alert.subject, now_ms):
        return "muted"
    same = _m.alert_id == message.alert_id, _m.way == message.channel
    if message.occasion == "reminder" and _count(connection, *same, _m.id > message.id):
        # After days without a network one reminder is enough, and none when it is resolved.
        return "outdated"
    if message.occasion == "recovery":
        # A channel that was not notified before gets no message of the end, for the same reason.
        earlier = select(_m.state).where(*same, _m.occasion.in_(("entry", "reminder")))
        states = set(connection.execute(earlier).scalars())
        reasons: tuple[MessageState, ...] = ("muted", "over_limit", "given_up")
        if "sent" not in states:
            return next((state for state in reasons if state in states), "dropped")
    return None


def _settle(
    connection: Connection, number: int, state: MessageState, now_ms: int, trouble: str = ""
) -> None:
    values: dict[str, str | int] = {"state": state, "settled_ms": now_ms}
    # A message that is never sent keeps the reason of the last try, unless there is a newer one.
    if trouble or state == "sent":
        values["trouble"] = trouble
    connection.execute(delete(state_file.taken).where(_taken.message_id == number))
    connection.execute(update(state_file.messages).where(_m.id == number).values(values))


def _count(connection: Connection, *which: ColumnElement[bool]) -> int:
    """Return how many messages meet these conditions."""
    query = select(func.count()).select_from(state_file.messages).where(*which)
    return int(connection.execute(query).scalar_one())
