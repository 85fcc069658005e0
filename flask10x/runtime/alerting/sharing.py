"""Alerts of several hosts: the one that has the lease sends messages, the others follow it.

Each host watches its own disk and queue.
"""

import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.alerts import shared_alerts, state_file
from flask10x.alerts.shared_alerts import KINDS, Key, SharedAlert
from flask10x.alerts.state_file import StateFile
from flask10x.alerts.transitions import Change, Routing
from flask10x.database.database import Database
from flask10x.database.engine import Lease
from flask10x.database.tables import alert_mutes
from flask10x.errors import CommitNotReplicated, LeaseLost, LockTimeout
from flask10x.system import clock

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
