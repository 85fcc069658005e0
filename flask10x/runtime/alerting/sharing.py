"""Several hosts watch one database: the one that has the lease tells, the others follow it.

What concerns one host, its disk or its queue, each host watches and tells by itself.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.alerts import shared_alerts
from flask10x.alerts.alert import Active, Moment, Verdict, Watch
from flask10x.alerts.shared_alerts import KINDS, Key, SharedAlert
from flask10x.alerts.state_file import StateFile
from flask10x.alerts.transitions import Changes, Routing
from flask10x.database.engine import Database
from flask10x.database.hosts import Lease
from flask10x.errors import CommitNotReplicated, LeaseLost, LockTimeout
from flask10x.system import clock

# How soon a mute holds on other hosts, and an alert is on their pages.
LOOK_EVERY_SEC = 5.0
NO_ANSWER = (DBAPIError, TimeoutError, LockTimeout, CommitNotReplicated)


class AlertSharing:
    """One host's part; only the thread that watches uses it."""

    def __init__(
        self,
        database: Database,
        lease: Lease,
        routing: Routing,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Asks for nothing yet."""
        self._database = database
        self._lease = lease
        self._routing = routing
        self._monotonic = monotonic
        self._has_taken_over = False
        self._look_at_sec = 0.0

    @property
    def is_ours(self) -> bool:
        """Whether this host watches and tells for all."""
        return self._has_taken_over and self._lease.is_held

    def forget(self) -> None:
        """The state file is another one: take from the database what is active."""
        self._has_taken_over = False
        self._look_at_sec = 0.0

    def step(self, file: StateFile) -> bool:
        """Follow what the others do, if it is time; whether the state file has changed.

        Raises what keeps that file from being read or written. Without an answer of the database
        nothing is done, and the lease is lost in time.
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
                muted = shared_alerts.muted(connection, now_ms)
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

    def agreed(self, found: Changes, now_ms: int) -> Changes:
        """Of what the watches have found what this host may tell; it is noted for all before."""
        own = _those(found, lambda kind: kind not in KINDS)
        of_all = _those(found, lambda kind: kind in KINDS)
        if not of_all:
            return found
        if not self.is_ours:
            return own
        try:
            with self._database.commit() as connection:
                self._lease.check(connection)
                shared_alerts.put(connection, of_all, now_ms)
        except (LeaseLost, *NO_ANSWER):
            # What is noted all the same is noted once: it is found again at the next step.
            return own
        return found

    def _settle(self, file: StateFile, shared: dict[Key, SharedAlert]) -> None:
        """Say which messages are out, so that another host need not send them."""
        waiting = [one for one in shared.values() if not one.is_settled]
        if not waiting:
            return
        with file.reading() as state:
            told = [(one, shared_alerts.notified_ways(state, one)) for one in waiting]
        settled = [(one, ways) for one, ways in told if ways is not None]
        if not settled:
            return
        try:
            with self._database.commit() as connection:
                self._lease.check(connection)
                for one, ways in settled:
                    shared_alerts.settle(connection, one, ways)
        except (LeaseLost, *NO_ANSWER):
            return


class WhileOurs:
    """A watch of the database that only the host looks by which tells of it."""

    def __init__(self, watch: Watch, sharing: AlertSharing) -> None:
        self._watch = watch
        self._sharing = sharing

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`; nothing on the other hosts."""
        return self._watch.step(now, active) if self._sharing.is_ours else ()


def _those(found: Changes, is_meant: Callable[[str], bool]) -> Changes:
    return replace(
        found,
        firing=tuple(one for one in found.firing if is_meant(one.kind)),
        ended=tuple(one for one in found.ended if is_meant(one[0].kind)),
        reminders=tuple(one for one in found.reminders if is_meant(one.kind)),
    )
