"""The watcher: one elected worker turns what the watches find into alerts and messages.

What it knows of alerts is in the state file; in memory is a copy of those that are active, read
when it is elected, so that nothing is read or written while nothing changes. What can't be written
now, on a full disk say, is decided all the same and waits in memory.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from flask10x.alerts import due, state_file, stored_alerts, transitions
from flask10x.alerts.alert import Active, Alert, Fact, Moment, Verdict, Watch
from flask10x.alerts.clock_jumps import WallClock, moment
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.alerts.transitions import Changes, Routing
from flask10x.config.settings import Settings
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, reason_of
from flask10x.runtime.alerting import start_delivery
from flask10x.runtime.alerting.sharing import AlertSharing
from flask10x.runtime.alerting.start_delivery import Delivery, lock_path
from flask10x.runtime.duties import DATABASE_ERRORS
from flask10x.system import clock, disk

log = logging.getLogger(__name__)

# The page and the command `alerts test` make messages too; how soon one of theirs is noticed.
LOOK_EVERY_MS = 5_000
# While nothing can be written. A day of alerts, and far less memory than a reading's page.
UNWRITTEN_MAX = 1000


class AlertWatcher:
    """Steps each second in the elected worker; only one process steps at a time."""

    def __init__(
        self,
        settings: Settings,
        watches: Sequence[Watch],
        delivery: Delivery | None = None,
        boot: str | None = None,
        sharing: AlertSharing | None = None,
    ) -> None:
        """Opens nothing and starts nothing. `delivery` stands for the usual one, as does `boot`.

        `sharing` is there where several hosts may watch one database.
        """
        self._settings = settings
        self._sharing = sharing
        self._routing = Routing(settings.alerts, settings.zone)
        self._watches = [_Guarded(watch) for watch in watches]
        self._file = StateFile(path_of(settings))
        given = start_delivery.packed(settings)
        lock = lock_path(settings)
        self._delivery = delivery or Delivery(self._next_due_ms, lock, given=given)
        self._clock = WallClock(clock.boot_id() if boot is None else boot)
        # None: not read yet, or not known any more.
        self._active: dict[tuple[str, str], Alert] | None = None
        self._unwritten: list[tuple[Changes, int]] = []
        self._due_ms: int | None = None
        self._look_at_ms = 0

    def begin(self) -> None:
        """Make the folder of the state file, which the database may not be in.

        Never later: where the folder is gone, a disk may be missing.
        """
        with suppress(OSError):
            self._file.path.parent.mkdir(parents=True, exist_ok=True)

    def step(self) -> None:
        """Look once; raises what keeps the state file from being read or written, and OSError.

        What was to be written then is tried again with the next step.
        """
        if self._file.is_replaced():
            self._begin_anew()
        try:
            self._note(moment())
        except DBAPIError as error:
            if not code_of(error).startswith(DAMAGE_ERRORS):
                raise
            state_file.put_aside(self._file, error, disk.moment(self._settings.zone))
            self._begin_anew()
        finally:
            self._deliver()

    def close(self) -> None:
        """Close the file, and let a message that is on its way be sent."""
        self._delivery.close()
        self._file.close()

    def _begin_anew(self) -> None:
        self._file.close()
        self._clock.forget()
        self._active, self._unwritten = None, []
        if self._sharing is not None:
            self._sharing.forget()

    def _note(self, now: Moment) -> None:
        active = self._known(now)
        if self._sharing is not None and self._sharing.step(self._file):
            active = self._active = self._read(now)
        if len(self._unwritten) < UNWRITTEN_MAX:
            self._look(now, active)
        if self._unwritten:
            self._write(now)

    def _known(self, now: Moment) -> dict[tuple[str, str], Alert]:
        """The alerts that are active, all times by the clock of now."""
        if self._clock.has_jumped(now):
            with self._file.writing() as connection:
                moved_ms = self._clock.follow(connection, now)
            if moved_ms:
                log.info("The clock was set by %+d s: times of alerts follow", moved_ms // 1000)
                self._active = None
        if self._active is None:
            self._active = self._read(now)
        return self._active

    def _look(self, now: Moment, active: dict[tuple[str, str], Alert]) -> None:
        verdicts = [verdict for watch in self._watches for verdict in watch.step(now, active)]
        found = transitions.changes(
            active, verdicts, self._gone(active.values()), self._due(active.values(), now)
        )
        if found and self._sharing is not None:
            found = self._sharing.agreed(found, now.wall_ms)
        if found:
            self._active = transitions.after(active, found, now.wall_ms)
            self._unwritten.append((found, now.wall_ms))
            for line in _lines(found):
                log.warning("%s", line)

    def _write(self, now: Moment) -> None:
        with self._file.writing() as connection:
            for found, at_ms in self._unwritten:
                transitions.write(connection, found, self._routing, at_ms)
        self._unwritten = []
        self._active = self._read(now)

    def _read(self, now: Moment) -> dict[tuple[str, str], Alert]:
        with self._file.reading() as connection:
            alerts = stored_alerts.active(connection, now.wall_ms)
        self._look_at_ms = 0
        return {(alert.rule, alert.subject): alert for alert in alerts}

    def _deliver(self) -> None:
        # What was made before goes out also while nothing more can be written; where the file
        # can't even be read, `_note` has raised the same.
        with suppress(DBAPIError):
            self._delivery.step()

    def _gone(self, active: Iterable[Alert]) -> list[Alert]:
        alerts, stations = self._settings.alerts, self._settings.stations
        return [one for one in active if not transitions.is_watched(one, alerts, stations)]

    def _due(self, active: Iterable[Alert], now: Moment) -> list[Alert]:
        """Those of which a reminder is due."""
        after_ms = self._settings.alerts.reminder_after_sec * 1000
        return [one for one in active if now.wall_ms - one.reminded_ms >= after_ms]

    def _next_due_ms(self) -> int | None:
        now_ms, monotonic_ms = clock.now_ms(), clock.monotonic_ms()
        # What was due may have been sent meanwhile.
        is_due = self._due_ms is not None and self._due_ms <= now_ms
        if is_due or monotonic_ms >= self._look_at_ms:
            self._look_at_ms = monotonic_ms + LOOK_EVERY_MS
            with self._file.reading() as connection:
                self._due_ms = due.next_due_ms(
                    connection, self._settings.alerts, now_ms, self._settings.zone
                )
        return self._due_ms


class _Guarded:
    """A watch whose errors keep no other from looking; the first of some in a row is logged."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._is_failing = False

    def step(self, now: Moment, active: Active) -> list[Verdict]:
        """Its verdicts; none when it fails, so that what is active stays."""
        try:
            verdicts = list(self._watch.step(now, active))
        except Exception as error:
            self._note(error)
            return []
        self._is_failing = False
        return verdicts

    def _note(self, error: Exception) -> None:
        if not self._is_failing:
            name = type(self._watch).__name__
            if isinstance(error, DATABASE_ERRORS):
                log.warning("The watch %s cannot look: %s", name, reason_of(error))
            else:
                log.error("The watch %s failed; it is tried again", name, exc_info=error)
        self._is_failing = True


def _lines(found: Changes) -> Iterator[str]:
    """What the log says of them."""
    for verdict in found.firing:
        yield f"Alert: {_named(verdict)} {_shown(verdict.facts)}".rstrip()
    for alert, ended, last in found.ended:
        facts = _shown(last.facts) if last else ""
        yield f"Alert over ({ended}): {_named(alert)} {facts}".rstrip()


def _named(of: Verdict | Alert) -> str:
    return f"{of.rule} {of.subject}".rstrip()


def _shown(facts: Mapping[str, Fact]) -> str:
    return " ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
