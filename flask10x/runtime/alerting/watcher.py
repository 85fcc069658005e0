"""The watcher: one elected worker turns verdicts into alerts and messages.

The alerts are in the state file; memory has a copy of the active ones, read when the worker is
elected, so that nothing is read or written while nothing changes. What can't be written now, on a
full disk for example, is decided again by the next step.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.alerts import clock_jumps, due, shared_alerts, state_file, transitions
from flask10x.alerts.alert import Active, Alert, Moment, Verdict, Watch
from flask10x.alerts.shared_alerts import KINDS, Key, SharedAlert
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.alerts.transitions import Change, Routing
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.engine import Lease
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, reason_of
from flask10x.database.tables import alert_mutes
from flask10x.errors import CommitNotReplicated, LeaseLost, LockTimeout
from flask10x.runtime.alerting import start_delivery
from flask10x.runtime.alerting.start_delivery import Delivery, lock_path
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS
from flask10x.system import clock, disk

log = logging.getLogger(__name__)

# Several hosts watch one database: the one that has the lease sends messages, the others follow it.
# Each host watches its own disk and queue.

# How soon other hosts have a mute, and show an alert on their pages.
LOOK_EVERY_SEC = 5.0
NO_ANSWER = (DBAPIError, TimeoutError, LockTimeout, CommitNotReplicated)


class AlertSharing:
    """The alerts that this host shares with others; only the thread that watches uses it."""

    def __init__(
        self,
        database: Database,
        lease: Lease,
        routing: Routing,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make no query yet."""
        self._database = database
        self._lease = lease
        self._routing = routing
        self._monotonic = monotonic
        self._has_taken_over = False
        self._look_at_sec = 0.0

    @property
    def is_ours(self) -> bool:
        """Whether this host watches and sends messages for all hosts."""
        return self._has_taken_over and self._lease.is_held

    def forget(self) -> None:
        """Read the active alerts from the database again: the state file was replaced."""
        self._has_taken_over = False
        self._look_at_sec = 0.0

    def step(self, file: StateFile) -> bool:
        """Follow the other hosts, if it is time; whether the state file has changed.

        Raises the errors of that file. When the database does not answer nothing is done, and the
        lease expires.
        """
        is_held = self._lease.hold()
        takes_over = is_held and not self._has_taken_over
        self._has_taken_over &= is_held
        if self._monotonic() < self._look_at_sec and not takes_over:
            return False
        self._look_at_sec = self._monotonic() + LOOK_EVERY_SEC
        now_ms = clock.now_ms()
        try:
            with self._database.query() as connection:
                shared = shared_alerts.load(connection)
                muted = state_file.muted(connection, now_ms, alert_mutes)
        except NO_ANSWER:
            return False
        with file.writing() as state:
            changed = shared_alerts.follow_mutes(state, muted, now_ms)
            if not self._has_taken_over:
                changed |= shared_alerts.follow(state, shared, now_ms, takes_over=takes_over)
            if takes_over:
                shared_alerts.take_over(state, shared, self._routing, now_ms)
        self._has_taken_over |= takes_over
        if self.is_ours:
            self._settle(file, shared)
        return changed

    def agreed(self, changes: list[Change], now_ms: int) -> list[Change]:
        """Store the changes for all hosts, and return those that this host may write."""
        of_host = [change for change in changes if change[1].kind not in KINDS]
        of_all = [change for change in changes if change[1].kind in KINDS]
        if not of_all:
            return changes
        if not self.is_ours:
            return of_host
        try:
            with self._database.commit() as connection:
                self._lease.check(connection)
                shared_alerts.put(connection, of_all, now_ms)
        except (LeaseLost, *NO_ANSWER):
            # If they were stored they are stored once: the next step has the same changes again.
            return of_host
        return changes

    def _settle(self, file: StateFile, shared: dict[Key, SharedAlert]) -> None:
        """Note which messages are sent, so that another host need not send them."""
        waiting = [alert for alert in shared.values() if not shared_alerts.is_settled(alert)]
        if not waiting:
            return
        with file.reading() as state:
            notified = [(alert, shared_alerts.notified_channels(state, alert)) for alert in waiting]
        settled = [(alert, channels) for alert, channels in notified if channels is not None]
        if not settled:
            return
        try:
            with self._database.commit() as connection:
                self._lease.check(connection)
                for alert, channels in settled:
                    shared_alerts.settle(connection, alert, channels)
        except (LeaseLost, *NO_ANSWER):
            return


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
