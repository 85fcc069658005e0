"""The checks: how the house is, decided once and rendered by every door.

A check looks at its facts and makes a finding: a level, what it is in a sentence, and what helps.
The page `/status` shows findings with commands, `flask10x check` prints a line of each, and the
alerts on the service go by the same verdicts, so that an alert and a page never differ.

| check | warn | wrong |
|---|---|---|
| `received` | a station is silent, nothing has arrived yet, a reading was rejected today | |
| `stored` | a task fails, the queue is long, what is committed is on one machine | not stored now |
| `exported` | the rule `export` | a file is ahead of the database: an older one was put back |
| `backed_up` | the rule `backup`, by the time in the name of the newest backup | |
| `replicated` | the rule `replica`; Litestream does not run | |
| `compared` | | the rule `copies`: copies differ, or a file is lost that alone had readings |
| `card` | no room for a backup; full within SOON_DAYS | the rule `disk`; no room to work |

Where no rule is on, its usual limit counts. A rule that cannot be decided, because the clock is
behind its alert, stays as it is.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.alerts.alert import Alert, Fact, Verdict
from flask10x.alerts.alert import Facts as FactsOfAlert
from flask10x.config.alerts import rules
from flask10x.config.alerts.rules import Rule
from flask10x.config.settings import Settings
from flask10x.database import csv_owner, verified
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.database.paths import WAL, beside, database_path, protected
from flask10x.database.sqlite import rescued
from flask10x.database.sqlite.litestream import Replica
from flask10x.database.verified import Result
from flask10x.health import copies
from flask10x.health.copies import ExportLag, NewestBackup
from flask10x.health.database import Obstacle, ServerState, beginning
from flask10x.health.disk import CardRoom, Room, card, room
from flask10x.health.words import HINDRANCES, REMEDIES, SERVER, WRONG_COPIES
from flask10x.history.silence import SilenceVerdict
from flask10x.history.view import View
from flask10x.readings.labels import day_of, moment, station_name
from flask10x.readings.stations import Station, is_shown
from flask10x.readings.times import DAY_MS, SECOND_MS
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedRow, Selection
from flask10x.system import disk, disks
from flask10x.system.disks import on_same_disk
from flask10x.system.wording import escape, size
from flask10x.translation import N_, Translation

if TYPE_CHECKING:
    from flask10x.export.only_copies import LostFile, OnlyCopy

log = logging.getLogger(__name__)

# `off`: not in use; `unknown`: it cannot be determined now.
Level = Literal["good", "off", "unknown", "warn", "wrong"]
# From the best to the worst.
LEVELS: tuple[Level, ...] = get_args(Level)
# What reading a database, a folder or a disk raises when it can't be read.
FAILURES = (DBAPIError, TimeoutError, QueryTooLong, OSError)

# This much more than the limit must be free to resolve the alert, or a rotated log would do it.
CLEAR_POINTS = 1
# Both times are said to the minute.
LATE_MS = 60 * SECOND_MS
# A month to find another card in.
SOON_DAYS = 30
# Beyond this the card is older than any that was ever sold.
FAR_DAYS = 20 * 365
SEC_PER_DAY = 86_400
# From so many days on, a length of time is said in a unit that has so many days.
LENGTHS = ((730, 365, N_("{n} years")), (60, 30, N_("{n} months")), (2, 1, N_("{n} days")))


R = TypeVar("R", bound=Rule)


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing that people can do, by its name in `words.REMEDIES`."""

    name: str
    values: Mapping[str, object] = field(default_factory=dict)
    """What its text and its command need."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found, in the language of its reader."""

    check: str
    level: Level
    text: str
    """One sentence or two."""
    details: Sequence[str] = ()
    remedies: Sequence[Remedy] = ()
    reason: str = ""
    """As the program says it, in English; empty: there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What is known of a station."""

    station: Station
    silence: SilenceVerdict
    measured_at: int | None
    """When its newest reading was measured, in UTC epoch milliseconds."""


@dataclass(kw_only=True, slots=True)
class Facts:
    """What is known now; a fact is None when it could not be read, and `reasons` says why."""

    stations: Sequence[Heard] | None = None
    rejected: RejectedRow | None = None
    """The newest reading that was rejected in the last day; None also when there was none."""
    stored: int | None = None
    """How many readings were ever stored."""
    began_at: int | None = None
    """Since when the service has the database, as the rule `backup` counts; None: it is empty."""
    exports: Sequence[ExportLag] | None = None
    csv_host: str | None = None
    """Which of several hosts has the CSV files; None before the first export, and on SQLite."""
    card: CardRoom | None = None
    backup: NewestBackup | None = None
    """None when there is none, too."""
    copied: NewestBackup | None = None
    """The newest copy in the folder for copies; None when there is none, too."""
    copy_trouble: disks.Trouble | None = None
    """Why nothing can be copied there."""
    backup_needs_bytes: int = 0
    """The room that a backup needs; 0: not known."""
    backup_room_bytes: int = 0
    """What is free where backups go."""
    replica: Replica | None = None
    """None without one."""
    copies: Result | None = None
    """What `flask10x verify` has found last; None before its first run."""
    only_copies: "Sequence[OnlyCopy]" = ()
    """CSV files that alone have removed readings."""
    lost: "Sequence[LostFile]" = ()
    """Those of them that are not as they were."""
    server: ServerState | None = None
    """Of a database on PostgreSQL."""
    alerts: Sequence[Alert] = ()
    """Those that are active."""
    has_database: bool = False
    """Whether there is a database, sound or not: without one its disk may be away, and with that
    the backups."""
    obstacles: Sequence[Obstacle] = ()
    """What keeps readings from being stored."""
    rescued: str = ""
    """The name of the copy that was made of a file taken away."""
    is_taken_away: bool = False
    waiting: int = 0
    """How many readings wait to be stored."""
    failing: Sequence[str] = ()
    """The periodic tasks that fail."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a part could not be read, by the name of the part."""

    def alert_of(self, rule: str) -> Alert | None:
        """Return the active alert of this rule on the service as a whole."""
        return next((a for a in self.alerts if (a.rule, a.subject) == (rule, "")), None)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Keep the reason of an error under this name, so that it hinders no other part."""
        try:
            yield
        except FAILURES as error:
            self.reasons[name] = reason_of(error)
        except Exception as error:
            # People look at this page because something is wrong: the rest of it is worth more to
            # them than a 500.
            log.exception("The health checks cannot tell of: %s", name)
            self.reasons[name] = reason_of(error)

    def verdict(
        self, settings: Settings, usual: R, decide: Callable[[R, Alert | None], Verdict]
    ) -> Verdict:
        """Return what the rules of this kind decide, or the usual one where none is on.

        Of several it is the first that fires or keeps its alert.
        """
        own: list[R] = [rule for rule in settings.alerts.rules if isinstance(rule, type(usual))]
        verdicts = [decide(rule, self.alert_of(rule.name)) for rule in own or [usual]]
        return next((each for each in verdicts if each.is_firing is not False), verdicts[0])

    def read_files(self, settings: Settings, now_ms: int) -> None:
        """Read what lies in folders: the newest backup, the replica, the result of a compare."""
        with self.part("backup"):
            self.backup = copies.newest_backup(settings.backup_dir, settings.zone, now_ms)
            if (folder := settings.backup_copy_dir) is not None:
                self.copy_trouble = disks.trouble_of(folder, protected(settings))
                if self.copy_trouble is None:
                    self.copied = copies.newest_copy(settings, now_ms)
        with self.part("replica"):
            self.replica = copies.replica(settings)
        with self.part("copies"):
            self.copies = verified.last_result(settings)

    def read_database(self, settings: Settings, view: View) -> None:
        """Read what the database knows; raises what its first statement raises."""
        stations, connection = view.stations, view.connection
        # Not a part: where the first statement meets a lock, so would each of the others.
        began = beginning(connection)
        self.began_at, self.stored = began.at, view.last_id
        with self.part("rejected"):
            # In the order of ids, so that no index of times is needed.
            newest = next(iter(rejected.page(connection, Selection(), None, 1).rows), None)
            is_of_last_day = newest is not None and newest.received_at >= view.now_ms - DAY_MS
            self.rejected = newest if is_of_last_day else None
        with self.part("exports"):
            self.exports = copies.export_lags(connection, stations, began.imports)
            self.csv_host = csv_owner.of_files(connection)
        with self.part("lost"):
            self.only_copies = copies.only_copies(settings, connection)
        with self.part("card"):
            self.card = card(settings, view, began)

    def read_room(self, settings: Settings) -> None:
        """Read what is free, how large a backup would be, and what is free for it."""
        path, folder = database_path(settings), settings.backup_dir
        with self.part("card"):
            # How the disk fills only the database can tell.
            if self.card is None:
                free = room(_existing(path.parent))
                self.card = CardRoom(room=free, rows_a_day=None, bytes_a_day=None)
            database_bytes = disk.size(path) + disk.size(beside(path, WAL))
            if self.server is not None:
                primary = self.server.primary
                database_bytes = primary.database_bytes if primary else 0
            # A copy is never larger than the database with its WAL.
            self.backup_needs_bytes = database_bytes + disk.SPARE_BYTES
            self.backup_room_bytes = disk.free_bytes(_existing(folder))


def _existing(folder: Path) -> Path:
    """Return the folder or, where it is yet to be made, the one that it would be made in."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def of_disk(rule: rules.Disk, room: Room, now_ms: int, alert: Alert | None) -> Verdict:
    """Fires while less than `free_percent` is free; CLEAR_POINTS more resolve it."""
    limit = rule.free_percent if alert is None else rule.free_percent + CLEAR_POINTS
    is_low = room.free_percent < limit
    since_ms = alert.since_ms if alert and is_low else now_ms
    percent = round(room.free_percent, 1)
    facts = {"free_bytes": room.free, "free_percent": percent, "total_bytes": room.total}
    return Verdict(rule, is_low, since_ms, facts)


def of_backup(
    rule: rules.BackupOverdue,
    newest_at: int | None,
    began_at: int | None,
    now_ms: int,
    alert: Alert | None,
) -> Verdict:
    """Fires while the newest backup, which began at `newest_at`, is older than `after_sec`.

    Without a backup the time counts from `began_at`, when the first reading came or the first
    import was made; it is None while there was neither, and then no backup is overdue.
    """
    facts: FactsOfAlert = {"newest_at": newest_at, "after_sec": rule.after_sec}
    return _overdue(rule, began_at if newest_at is None else newest_at, facts, now_ms, alert)


def of_replica(
    rule: rules.ReplicaOverdue, replica: Replica | None, now_ms: int, alert: Alert | None
) -> Verdict:
    """Fires while the replica lacks what was stored `after_sec` ago; never where there is none."""
    if replica is None or replica.synced_at is None:
        # Litestream has carried nothing yet, or was removed.
        return Verdict(rule, False, now_ms, {})
    facts: FactsOfAlert = {"newest_at": replica.synced_at, "after_sec": rule.after_sec}
    return _overdue(rule, replica.synced_at, facts, now_ms, alert)


def of_export(
    rule: rules.ExportOverdue, lags: Sequence[ExportLag], now_ms: int, alert: Alert | None
) -> Verdict:
    """Fires while a reading waits for longer than `after_sec` for its CSV file.

    Only files that an export has written count.
    """
    waiting = [(lag.oldest_at, lag) for lag in lags if lag.oldest_at is not None]
    oldest_at, oldest = min(waiting, key=lambda pair: pair[0], default=(None, None))
    overdue = [lag for at, lag in waiting if now_ms - at > rule.after_sec * SECOND_MS]
    facts: FactsOfAlert = {}
    if overdue and oldest is not None:
        readings = sum(lag.waiting for lag in overdue)
        station = oldest.station.endpoint
        facts = {"oldest_at": oldest_at, "readings": readings, "station": station}
    return _overdue(rule, oldest_at, facts, now_ms, alert)


def of_copies(
    rule: rules.WrongCopies, result: Result | None, lost: int, now_ms: int, alert: Alert | None
) -> Verdict:
    """Fires while the last `flask10x verify` has found what was not repaired, or files are lost.

    `lost` is how many files are that alone had removed readings.
    """
    differing = len(result.differing) if result else 0
    since_ms = alert.since_ms if alert and (differing or lost) else now_ms
    facts: dict[str, Fact] = {"differences": differing + lost}
    if result and differing:
        since_ms = result.finished_at
        facts["found_at"] = result.finished_at
    if lost:
        facts["lost_files"] = lost
    return Verdict(rule, bool(differing or lost), since_ms, facts)


def _overdue(
    rule: rules.BackupOverdue | rules.ReplicaOverdue | rules.ExportOverdue,
    base_ms: int | None,
    facts: FactsOfAlert,
    now_ms: int,
    alert: Alert | None,
) -> Verdict:
    """Fires `after_sec` after this time, never without one.

    After a boot the wall clock may be behind the beginning of the alert: days can't be counted
    until it is set, so the alert stays as it is.
    """
    due_ms = None if base_ms is None else base_ms + rule.after_sec * SECOND_MS
    if due_ms is not None and now_ms > due_ms:
        return Verdict(rule, True, due_ms, facts)
    is_clock_behind = alert is not None and now_ms < alert.firing_since_ms
    return Verdict(rule, None if is_clock_behind else False, now_ms, facts)


class Checks:
    """Makes findings of the facts, in the reader's language; raises nothing."""

    def __init__(self, settings: Settings, facts: Facts, t: Translation, now_ms: int) -> None:
        self._settings, self._facts, self._t, self._now_ms = settings, facts, t, now_ms
        self._path = database_path(settings)

    def all(self) -> list[Finding]:
        """Return what each check has found, in the order in which a reading goes.

        Without a replica there is no finding of one.
        """
        return [
            *(self.received(), self.stored(), self.exported(), self.backed_up()),
            *(*self.replicated(), self.compared(), self.card()),
        ]

    def received(self) -> Finding:
        """Check which stations are silent, and whether a reading was rejected in the last day."""
        t, stations, rejected_reading = self._t, self._facts.stations, self._facts.rejected
        if stations is None:
            return self._unknown("received", "stations")
        never, awaited, silent = (
            [heard for heard in stations if heard.silence.state == name]
            for name in ("never", "awaited", "silent")
        )
        missed = [heard for heard in stations if heard.silence.is_missed]
        level: Level = "good"
        text, names = t("All stations are sending as usual."), list[str]()
        if len(never) == len(stations):
            level, text, names = "warn", t("Nothing has arrived yet."), ["trial"]
        elif missed:
            level, text = "warn", t("No data from: {names}.", names=self._names(missed))
            names = ["board", "sent", "trial"]
        elif awaited:
            level = "unknown"
            waited = self._names(awaited)
            text = t("The service has just started and waits for: {names}.", names=waited)
        # What is missed is told, also of a station that pages leave out.
        details = [
            self._silent(heard)
            for heard in silent
            if heard.silence.is_missed
            or (is_shown(heard.station, has_sent=True) and not heard.station.retired)
        ]
        listed = [heard for heard in never if is_shown(heard.station, has_sent=False)]
        details += [t("No data yet: {names}", names=self._names(listed))] if listed else []
        if rejected_reading:
            if level == "good":
                text = t("All stations are sending, but a reading was rejected in the last day.")
            elif level == "unknown":
                text = t.sentences([text, t("A reading was rejected in the last day.")])
            level, names = "warn", [*names, "rejected"]
            details.append(self.rejected(rejected_reading))
        example = {"station": (missed or stations)[0].station}
        return Finding("received", level, text, details, _remedies(names, example))

    def _names(self, stations: Sequence[Heard]) -> str:
        return self._t.listed(station_name(heard.station, self._t) for heard in stations)

    def _silent(self, heard: Heard) -> str:
        t, age_sec = self._t, heard.silence.age_sec or 0
        received_at = self._now_ms - age_sec * SECOND_MS
        text = t(
            "{name}: no data for {duration}, last received on {time}",
            name=station_name(heard.station, t),
            duration=t.duration(age_sec),
            time=self._time(received_at),
        )
        if heard.measured_at is not None and received_at - heard.measured_at > LATE_MS:
            measured = self._time(heard.measured_at)
            text = t("{received}, measured on {time}", received=text, time=measured)
        return text if heard.silence.is_missed else t("{line}; no longer watched", line=text)

    def rejected(self, reading: RejectedRow) -> str:
        """Return of which station a reading was rejected, and when."""
        station = self._settings.stations.by_endpoint.get(reading.endpoint)
        return self._t(
            "A reading from {name} was rejected on {time}; it is kept.",
            name=station_name(station, self._t) if station else escape(reading.endpoint),
            time=self._time(reading.received_at),
        )

    def stored(self) -> Finding:
        """Check whether what is accepted is stored; `/readyz` is a 503 when this is wrong."""
        t, facts, server = self._t, self._facts, self._facts.server
        # What fills the queue is worth more than that it is full.
        obstacle = min(facts.obstacles, key=lambda each: each.kind == "full", default=None)
        if obstacle is not None:
            name: str = obstacle.kind
            if name == "damaged" and (facts.rescued or facts.is_taken_away):
                name = "copied" if facts.rescued else "taken"
            name = name if name in HINDRANCES else kind_of(obstacle.reason)
            return self._hindered(name, obstacle.reason)
        # The page may have met what the writer has not: nothing has come since to be stored.
        if server and server.primary and server.primary.is_standby:
            return self._hindered("standby", "")
        if server and kind_of(server.reason) == "unanswered":
            return self._hindered("unanswered", server.reason)
        text = ""
        if facts.failing:
            text = t(
                "Readings are stored, but some of the work beside that is failing: {names}.",
                names=t.listed(facts.failing),
            )
        elif any(alert.kind == "queue" for alert in facts.alerts):
            # By its rule, which waits for some time, and then for the queue to be short again.
            text = t("Waiting to be stored: {n}", n=f"{facts.waiting:,}")
        if text:
            return Finding("stored", "warn", text, self._numbers(), [Remedy("log")])
        obstacles, warnings = (server.obstacles, server.warnings) if server else ([], [])
        notices = [t(SERVER[each.name], **each.values) for each in (*obstacles, *warnings)]
        level: Level = "good"
        text = t("All accepted readings are stored.")
        if obstacles:
            level = "wrong"
            text = t("Commits wait for a standby: nothing more is stored before one follows.")
        elif warnings and self._settings.ack == "committed":
            level = "warn"
        return Finding("stored", level, text, [*notices, *self._numbers()])

    def _hindered(self, name: str, reason: str) -> Finding:
        backup, hindrance = self._facts.backup, HINDRANCES[name]
        file: Path | str = backup.path if backup else "FILE"
        if name == "copied":
            file = self._path.with_name(self._facts.rescued)
        restore = "restore_backup" if backup else "restore_any"
        names = [restore if each == "restore" else each for each in hindrance.remedies]
        remedies = _remedies(names, {"file": file})
        if name == "missing" and (copy := rescued.newest(self._path)):
            remedies.insert(0, Remedy("restore_copy", {"file": copy}))
        values = {"path": self._path, "n": f"{self._facts.waiting:,}"}
        text = self._t.sentences(
            self._t(each, **values) for each in (hindrance.text, *hindrance.more)
        )
        return Finding("stored", "wrong", text, self._numbers(), remedies, reason)

    def _numbers(self) -> list[str]:
        t, facts = self._t, self._facts
        lines = []
        if facts.stored is not None:
            lines.append(t("Readings stored so far: {n}", n=f"{facts.stored:,}"))
        if facts.waiting:
            lines.append(t("Waiting to be stored: {n}", n=f"{facts.waiting:,}"))
        if (primary := facts.server.primary if facts.server else None) is not None:
            lines.append(
                t(
                    "Database: PostgreSQL {version} on {place}, {size}",
                    version=primary.version,
                    place=primary.place,
                    size=size(primary.database_bytes),
                )
            )
            lines += [
                t(
                    "Standby {name}: {state}, {sync}, behind by {size}",
                    name=standby.name,
                    state=standby.state,
                    sync=standby.sync,
                    size=size(standby.lag_bytes or 0),
                )
                for standby in primary.standbys
                if standby.state is not None and standby.sync is not None
            ]
        return lines

    def exported(self) -> Finding:
        """Check whether the CSV files have all that they should have by now."""
        t, facts = self._t, self._facts
        if facts.exports is None:
            return self._unknown("exported", "exports")
        lags = [lag for lag in facts.exports if lag.is_exported]
        if not lags:
            text = t("No CSV file has been written yet; that is fine if no script reads any.")
            return Finding("exported", "off", text, remedies=[Remedy("export_nightly")])
        waiting = N_("{name}: waiting for the next export: {n}")
        late = [lag for lag in lags if lag.waiting]
        details = [t(waiting, name=station_name(x.station, t), n=f"{x.waiting:,}") for x in late]
        if ahead := [lag.station.csv_name for lag in lags if lag.last_id > (facts.stored or 0)]:
            text = t(
                "CSV files are ahead of the database, as when an older one was put back: {files}.",
                files=t.listed(ahead),
            )
            return Finding("exported", "wrong", text, details, [Remedy("compare")])
        verdict = self._verdict(rules.ExportOverdue(), of_export, lags)
        if verdict.is_firing is False:
            changed_at = max(lag.changed_at or 0 for lag in lags)
            time = self._time(changed_at) if changed_at else "–"
            text = t(
                "The CSV files are up to date as of the last export, changed on {time}.", time=time
            )
            return Finding("exported", "good", text, details)
        oldest = self._time(int(verdict.facts.get("oldest_at") or self._now_ms))
        text = t("Readings have been waiting for their CSV file since {time}.", time=oldest)
        # Where to look, when another host has the files.
        host = facts.csv_host
        name = "export_again" if host in (None, self._settings.host_name) else "export_there"
        return Finding("exported", "warn", text, details, [Remedy(name, {"host": host})])

    def backed_up(self) -> Finding:
        """Check whether there is a backup that is not too old, by its name; where it lies."""
        t, backup, facts = self._t, self._facts.backup, self._facts
        if "backup" in facts.reasons or (backup is None and not facts.has_database):
            return self._unknown("backed_up", "backup")
        newest_at = backup.made_at if backup else None
        verdict = self._verdict(rules.BackupOverdue(), of_backup, newest_at, facts.began_at)
        is_overdue = verdict.is_firing is not False
        level: Level = "warn" if is_overdue else "good"
        remedies = [Remedy("back_up_nightly")]
        if backup is None:
            # Of a database that cannot be read it is not known since when one is missing.
            level = "warn" if is_overdue or facts.stored is None else "off"
            text = t("There is no backup in {folder}.", folder=self._settings.backup_dir)
            return Finding("backed_up", level, text, remedies=remedies)
        details = []
        if not is_overdue:
            remedies = []
        if (folder := self._settings.backup_copy_dir) is not None:
            if facts.copy_trouble:
                level = "warn"
                details = [t(disks.TROUBLES[facts.copy_trouble], folder=folder)]
            elif facts.copied:
                copied_at = facts.copied.made_at
                of_copy = self._verdict(rules.BackupOverdue(), of_backup, copied_at, None)
                level = "good" if level == "good" and of_copy.is_firing is False else "warn"
                time = self._time(copied_at)
                details = [t("A copy of {time} is in {folder}.", time=time, folder=folder)]
            else:
                details = [
                    t("No copy is in {folder} yet; the next backup is copied.", folder=folder)
                ]
        elif on_same_disk(backup.path, self._path):
            same = t("It is on the same card as the database: if the card fails, both are gone.")
            details, remedies = [same], [*remedies, Remedy("copy_backups")]
        sentence = N_("The newest backup is from {time} ({size}).")
        if is_overdue:
            sentence = N_("The newest backup is from {time} ({size}), {age} ago.")
        text = t(
            sentence,
            time=self._time(backup.made_at),
            size=size(backup.bytes),
            age=t.duration(backup.age_sec(self._now_ms)),
        )
        return Finding("backed_up", level, text, details, remedies)

    def replicated(self) -> list[Finding]:
        """Check whether the replica has what was stored; empty without one."""
        t, replica = self._t, self._facts.replica
        if replica is None:
            is_unknown = "replica" in self._facts.reasons
            return [self._unknown("replicated", "replica")] if is_unknown else []
        verdict = self._verdict(rules.ReplicaOverdue(), of_replica, replica)
        time = self._time(replica.synced_at) if replica.synced_at is not None else "–"
        text, names = t("The replica has everything up to {time}.", time=time), list[str]()
        if not replica.is_running:
            text = t(
                "Litestream is not running. The replica has everything up to {time}.", time=time
            )
            names = ["start_litestream", "reset_litestream"]
        elif verdict.is_firing is not False:
            text = t("Data since {time} is not in the replica.", time=time)
            names = ["reach_replica", "log_of_litestream", "reset_litestream"]
        level: Level = "warn" if names else "good"
        return [Finding("replicated", level, text, remedies=_remedies(names))]

    def compared(self) -> Finding:
        """Check whether the copies of the readings are there, and the same by `flask10x verify`."""
        finding, lost, t = self._compared(), self._facts.lost, self._t
        if not lost:
            return finding
        text = t("CSV files that are the only copy of removed readings are lost: {n}.", n=len(lost))
        moved = any(each.trouble == "moved" for each in lost)
        names = ["restore_file", *(["archived_file"] if moved else [])]
        return replace(
            finding,
            level="wrong",
            text=t.sentences([text, finding.text]),
            details=[*(each.said(self._settings, t) for each in lost), *finding.details],
            remedies=[
                *_remedies(names, {"path": f"/.../{Path(lost[0].path).name}"}),
                *finding.remedies,
            ],
        )

    def _compared(self) -> Finding:
        t, result = self._t, self._facts.copies
        if "copies" in self._facts.reasons or (result is None and not self._facts.has_database):
            return self._unknown("compared", "copies")
        if result is None:
            text = t("The copies of the readings have not been compared yet.")
            return Finding("compared", "off", text, remedies=[Remedy("verify_weekly")])
        time = self._time(result.finished_at)
        details = [
            t(
                "Compared: {readings} readings, {lines} lines of CSV files, {hours} hours and days,"
                " {saved} readings of a backup.",
                readings=f"{result.readings:,}",
                lines=f"{result.lines:,}",
                hours=f"{result.hours:,}",
                saved=f"{result.backup_readings:,}",
            )
        ]
        differing = result.differing
        if not differing:
            text = t("Everything agreed when it was compared on {time}.", time=time)
            if done := sum(each.is_repaired for each in result.differences):
                n = f"{done:,}"
                text = t("What was wrong has been repaired on {time}: {n}", time=time, n=n)
            return Finding("compared", "good", text, details)
        n = f"{len(differing):,}"
        text = t("Places at which copies differ, found on {time}: {n}", time=time, n=n)
        wrong = {name for each in differing for name in each.wrong}
        names = ["back_up_nightly" if "backup" in wrong else "log"]
        if wrong - {"backup"}:
            names = ["verify_repair"]
        places = [
            t(sentence, n=f"{count:,}")
            for copy, sentence in WRONG_COPIES.items()
            if (count := sum(copy in each.wrong for each in differing))
        ]
        if count := sum(not each.wrong for each in differing):
            places.append(t("It cannot be said which copy is wrong: {n}", n=f"{count:,}"))
        return Finding("compared", "wrong", text, [*places, *details], _remedies(names))

    def card(self) -> Finding:
        """Check how full the disk of the database is, and when it will be."""
        t, facts, card = self._t, self._facts, self._facts.card
        if card is None:
            return self._unknown("card", "card")
        room, days = card.room, card.full_in_days
        verdict = self._verdict(rules.Disk(), of_disk, room)
        level: Level = "warn"
        names = ["space", "fewer_backups", "larger_disk"]
        if verdict.is_firing or room.free < disk.SPARE_BYTES:
            level = "wrong"
            sentence = N_("The card is nearly full: {free} of {total} are free ({percent} %).")
        elif days is not None and days < SOON_DAYS:
            sentence = N_(
                "{free} of {total} are free ({percent} %), but at this pace it is full in {span}."
            )
        elif facts.backup_room_bytes < facts.backup_needs_bytes:
            sentence = N_(
                "There is too little room for a backup: it needs {needed}, {room} are free."
            )
        else:
            level, names = "good", []
            sentence = N_("{free} of {total} are free ({percent} %).")
        text = t(
            sentence,
            free=size(room.free),
            total=size(room.total),
            percent=f"{room.free_percent:.0f}",
            span=span(days or 0, t),
            needed=size(facts.backup_needs_bytes),
            room=size(facts.backup_room_bytes),
        )
        if card.bytes_a_day is None:
            pace = [t("How fast it fills is known after a day and 1,000 readings.")]
        else:
            full = t("At this pace it takes more than 20 years to fill up.")
            if days is not None and days <= FAR_DAYS:
                date = day_of(self._now_ms + round(days * DAY_MS), self._settings.zone, t)
                sentence = N_("At this pace it is full in {span} (about {date}).")
                full = t(sentence, span=span(days, t), date=date)
            pace = [t("Each day adds about {size}.", size=size(card.bytes_a_day)), full]
        return Finding("card", level, text, pace, _remedies(names))

    def _verdict(self, usual: Rule, decide: Callable[..., Verdict], *known: object) -> Verdict:
        """Return what `decide` makes of this for the rules of this kind."""
        now_ms = self._now_ms
        return self._facts.verdict(
            self._settings, usual, lambda rule, alert: decide(rule, *known, now_ms, alert)
        )

    def _unknown(self, check: str, part: str) -> Finding:
        """That it cannot be determined, and the reason of the part or of the whole database."""
        reason = self._facts.reasons.get(part) or self._facts.reasons.get("database", "")
        text = self._t("Unknown while the database is missing.")
        if reason:
            text = self._t("Unknown right now; the reason is below.")
        return Finding(check, "unknown", text, reason=reason)

    def _time(self, ms: int) -> str:
        return moment(ms, self._settings.zone, self._t, self._now_ms)


def _remedies(names: Sequence[str], values: Mapping[str, object] | None = None) -> list[Remedy]:
    return [Remedy(name, values or {}) for name in names]


def said(remedy: Remedy, settings: Settings, t: Translation) -> str:
    """Return what people can do, in a sentence."""
    path = database_path(settings)
    values: dict[str, Any] = {**remedy.values, "folder": path.parent, "database": path}
    return t(REMEDIES[remedy.name], **values)


def kind_of(reason: str) -> str:
    """Return what hinders a commit, by the code with which `error_codes.reason_of` begins."""
    code = reason.partition(":")[0]
    kinds = (kind for kind, row in HINDRANCES.items() if row.codes and code.startswith(row.codes))
    return next(kinds, "other")


def span(days: float, t: Translation) -> str:
    """Return `3 months`, `5 days`: a length of time in the longest unit that fits."""
    for from_days, length, sentence in LENGTHS:
        if days >= from_days:
            return t(sentence, n=int(days / length))
    return t.duration(int(days * SEC_PER_DAY))
