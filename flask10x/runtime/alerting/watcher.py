"""The watcher: one elected worker turns verdicts into alerts and messages.

The alerts are in the state file; memory has a copy of the active ones, read when the worker is
elected, so that nothing is read or written while nothing changes. What can't be written now, on a
full disk for example, is decided again by the next step.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from flask10x.alerts import clock_jumps, due, state_file, transitions
from flask10x.alerts.alert import Active, Alert, Moment, Verdict, Watch
from flask10x.alerts.shared_alerts import KINDS
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.alerts.transitions import Change, Routing
from flask10x.config.settings import Settings
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, reason_of
from flask10x.runtime.alerting import start_delivery
from flask10x.runtime.alerting.sharing import AlertSharing
from flask10x.runtime.alerting.start_delivery import Delivery, lock_path
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS
from flask10x.system import clock, disk

log = logging.getLogger(__name__)

# How soon messages are noticed that another process has created.
LOOK_EVERY_MS = 5_000


class AlertWatcher:
    """Steps each second in the elected worker; only one process steps at a time."""

    def __init__(
        self,
        settings: Settings,
        watches: Sequence[Watch],
        delivery: Delivery | None = None,
        sharing: AlertSharing | None = None,
    ) -> None:
        """Open and start nothing yet. Tests set `delivery`.

        `sharing` is given where several hosts may watch one database.
        """
        self._settings = settings
        self._sharing = sharing
        self._routing = Routing(settings.alerts, settings.zone)
        self._watched = transitions.watched(settings.alerts, settings.stations)
        self._watches = watches
        self._failing: set[str] = set()
        self._file = StateFile(path_of(settings))
        packed = start_delivery.packed(settings)
        lock = lock_path(settings)
        self._delivery = delivery or Delivery(self._next_due_ms, lock, packed=packed)
        # How far the wall clock is ahead of CLOCK_MONOTONIC; None before the first step.
        self._ahead_ms: int | None = None
        # None: not read yet, or to be read again.
        self._active: dict[tuple[str, str], Alert] | None = None
        self._due_ms: int | None = None
        self._look_at_ms = 0

    def begin(self) -> None:
        """Create the folder of the state file, in which the database need not be.

        It is not created later: where it has disappeared, a disk may be missing.
        """
        with suppress(OSError):
            self._file.path.parent.mkdir(parents=True, exist_ok=True)

    def step(self) -> None:
        """Evaluate the rules once; raises the errors of the state file, and OSError."""
        if self._file.is_replaced():
            self._reset()
        try:
            self._note(clock_jumps.moment())
        except DBAPIError as error:
            if not code_of(error).startswith(DAMAGE_ERRORS):
                raise
            state_file.put_aside(self._file, error, disk.moment(self._settings.zone))
            self._reset()
        finally:
            # Messages are sent also while nothing can be written; where the file can't be read,
            # `_note` has raised the same error.
            with suppress(DBAPIError):
                self._delivery.step()

    def close(self) -> None:
        """Close the file; a message that is being sent is still sent."""
        self._delivery.close()
        self._file.close()

    def _reset(self) -> None:
        self._file.close()
        self._active = None
        if self._sharing is not None:
            self._sharing.forget()

    def _note(self, now: Moment) -> None:
        # The times of the file follow the clock first.
        ahead_ms = now.wall_ms - now.monotonic_ms
        set_by_ms = 0 if self._ahead_ms is None else ahead_ms - self._ahead_ms
        if abs(set_by_ms) > clock_jumps.JUMP_MS:
            with self._file.writing() as connection:
                clock_jumps.move(connection, now, set_by_ms)
            log.info("The clock was set by %+d s: times of alerts follow", set_by_ms // 1000)
            self._active = self._ahead_ms = None
        if self._ahead_ms is None:
            self._ahead_ms = ahead_ms
        if self._sharing is not None and self._sharing.step(self._file):
            self._active = None
        if self._active is None:
            with self._file.reading() as connection:
                alerts = state_file.active(connection, now.wall_ms)
            self._active = {(alert.rule, alert.subject): alert for alert in alerts}
        if not (changes := self._changes(now, self._active)):
            return
        with self._file.writing() as connection:
            transitions.write(connection, changes, self._routing, now.wall_ms)
        self._active, self._look_at_ms = None, 0
        for what, alert in changes:
            if what != "remind":
                how, facts = "Alert:", alert.facts
                if what == "end":
                    how, facts = f"Alert over ({alert.ended}):", alert.end_facts
                known = [f"{name}={value}" for name, value in facts.items() if value is not None]
                words = (how, alert.rule, alert.subject, *known)
                log.warning("%s", " ".join(filter(None, words)))

    def _changes(self, now: Moment, active: Active) -> list[Change]:
        verdicts = [v for watch in self._watches for v in self._verdicts(watch, now, active)]
        alerts = active.values()
        unwatched = [a for a in alerts if (a.rule, a.kind, a.subject) not in self._watched]
        after_ms = self._settings.alerts.reminder_after_sec * 1000
        due = [alert for alert in alerts if now.wall_ms - alert.reminded_ms >= after_ms]
        changes = transitions.changes(active, verdicts, unwatched, due, now.wall_ms)
        if changes and self._sharing is not None:
            return self._sharing.agreed(changes, now.wall_ms)
        return changes

    def _verdicts(self, watch: Watch, now: Moment, active: Active) -> Sequence[Verdict]:
        """Return the verdicts of a watch; none when it fails, so that active alerts stay.

        A rule on the database is only evaluated by the host that sends messages. The first of
        several errors in a row is logged.
        """
        rule = watch.rule
        if self._sharing is not None and rule.kind in KINDS and not self._sharing.is_ours:
            return ()
        try:
            verdicts = list(watch.step(now, active))
        except Exception as error:
            if rule.name in self._failing:
                return ()
            self._failing.add(rule.name)
            if isinstance(error, DATABASE_ERRORS):
                log.warning("The watch %s cannot look: %s", rule.name, reason_of(error))
            else:
                log.error("The watch %s failed; it is tried again", rule.name, exc_info=error)
            return ()
        self._failing.discard(rule.name)
        return verdicts

    def _next_due_ms(self) -> int | None:
        now_ms, monotonic_ms = clock.now_ms(), clock.monotonic_ms()
        # The message that was due may have been sent meanwhile.
        is_due = self._due_ms is not None and self._due_ms <= now_ms
        if is_due or monotonic_ms >= self._look_at_ms:
            self._look_at_ms = monotonic_ms + LOOK_EVERY_MS
            with self._file.reading() as connection:
                heads = due.heads(connection, self._settings.alerts, now_ms, self._settings.zone)
            self._due_ms = min((message.due_ms for message in heads.values()), default=None)
        return self._due_ms
