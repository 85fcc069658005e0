"""The watcher: one elected worker turns what the watches find into alerts and messages.

What it knows of alerts is in the state file; in memory is a copy of those that are active, read
when it is elected, so that nothing is read or written while nothing changes.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy.exc import DBAPIError, IntegrityError

from flask10x.alerts import current, due, opening, transitions
from flask10x.alerts.alert import Alert
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.alerts.transitions import Changes, Telling
from flask10x.alerts.verdict import Active, Fact, Moment, Verdict, Watch
from flask10x.config.settings import Settings
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, reason_of
from flask10x.runtime.alerting.start_delivery import Delivery
from flask10x.runtime.duties import DATABASE_ERRORS
from flask10x.system import clock, disk

log = logging.getLogger(__name__)

# The page and the command `alerts test` make messages too; how soon one of theirs is noticed.
LOOK_EVERY_MS = 5_000


class AlertWatcher:
    """Steps each second in the elected worker; only one process steps at a time."""

    def __init__(
        self, settings: Settings, watches: Sequence[Watch], delivery: Delivery | None = None
    ) -> None:
        """Opens nothing and starts nothing. `delivery` stands for the usual one."""
        self._settings = settings
        self._telling = Telling(settings.alerts, settings.zone)
        self._watches = [_Guarded(watch) for watch in watches]
        self._file = StateFile(path_of(settings))
        self._delivery = delivery or Delivery(self._next_due_ms)
        # None: not read yet, or not known any more.
        self._active: dict[tuple[str, str], Alert] | None = None
        self._due_ms: int | None = None
        self._look_at_ms = 0

    def step(self) -> None:
        """Look once; raises what keeps the state file from being read or written, and OSError."""
        try:
            self._step()
        except DBAPIError as error:
            # Whoever else has written, or nobody: what is in the file counts.
            self._active = None
            if not code_of(error).startswith(DAMAGE_ERRORS):
                raise
            opening.put_aside(self._file, error, disk.moment(self._settings.zone))

    def close(self) -> None:
        """Close the file, and let a message that is on its way be sent."""
        self._delivery.close()
        self._file.close()

    def _step(self) -> None:
        now = Moment(clock.now_ms(), clock.monotonic_ms())
        if self._active is None:
            self._active = self._read(now)
        active = self._active
        verdicts = [verdict for watch in self._watches for verdict in watch.step(now, active)]
        found = transitions.changes(
            active, verdicts, self._gone(active.values()), self._due(active.values(), now)
        )
        if found:
            self._write(found, now)
        self._delivery.step()

    def _read(self, now: Moment) -> dict[tuple[str, str], Alert]:
        self._file.path.parent.mkdir(parents=True, exist_ok=True)
        with self._file.reading() as connection:
            alerts = current.active(connection, now.wall_ms)
        self._look_at_ms = 0
        return {(alert.rule, alert.subject): alert for alert in alerts}

    def _write(self, found: Changes, now: Moment) -> None:
        try:
            with self._file.writing() as connection:
                transitions.write(connection, found, self._telling, now.wall_ms)
        except IntegrityError:
            # A process that was the elected one until now: its entry is the entry.
            log.info("An alert was entered by another worker")
        else:
            for line in _lines(found):
                log.warning("%s", line)
        self._active = self._read(now)

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
                self._due_ms = due.next_due_ms(connection, now_ms)
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
    for verdict in found.entries:
        yield f"Alert: {_named(verdict)} {_shown(verdict.facts)}".rstrip()
    for alert, ended, last in found.ends:
        facts = _shown(last.facts) if last else ""
        yield f"Alert over ({ended}): {_named(alert)} {facts}".rstrip()


def _named(of: Verdict | Alert) -> str:
    return f"{of.rule} {of.subject}".rstrip()


def _shown(facts: Mapping[str, Fact]) -> str:
    return " ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
