"""The answers of the page `/status`: each says how one thing is, and what helps."""

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from flask import request, url_for
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.alerts import state_file
from flask10x.alerts.active import AlertState
from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.state_file import path_of
from flask10x.config.alerts.rules import (
    BackupOverdue,
    Disk,
    ExportOverdue,
    ReplicaOverdue,
    WrongCopies,
)
from flask10x.config.settings import Settings
from flask10x.database import csv_owner, dialects, verified
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.database.paths import database_path
from flask10x.database.server import Primary
from flask10x.database.sqlite import rescued
from flask10x.database.sqlite.litestream import Replica
from flask10x.database.verified import Copy, Result
from flask10x.history.view import View
from flask10x.readings.labels import day_of, moment, station_name
from flask10x.readings.times import DAY_MS, SECOND_MS
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedRow, Selection
from flask10x.runtime import facts, periodic_tasks
from flask10x.runtime.alerting.service_watches import (
    of_backup,
    of_copies,
    of_disk,
    of_export,
    of_replica,
    rules_of,
    worst,
)
from flask10x.runtime.facts import (
    CardRoom,
    ExportLag,
    NewestBackup,
    Obstacle,
    ServerState,
    beginning,
    room,
    server_state,
)
from flask10x.runtime.retention import Outlook, outlooks
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system.gauges import Gauges
from flask10x.system.wording import escape, size
from flask10x.translation import N_, Translation
from flask10x.web import context
from flask10x.web.alert_state import state
from flask10x.web.cards import Latest, latest
from flask10x.web.pages.alerts.model import AlertReader
from flask10x.web.pages.devices import model
from flask10x.web.pages.devices.view import address
from flask10x.web.pages.status.commands import shell

if TYPE_CHECKING:
    from flask10x.export.only_copies import LostFile, OnlyCopy

log = logging.getLogger(__name__)

# `off`: not in use; `unknown`: it cannot be determined now.
Mood = Literal["good", "off", "unknown", "warn", "wrong"]
# From the best to the worst.
MOODS: tuple[Mood, ...] = get_args(Mood)
# A database that is locked for reading is so for hours or for milliseconds.
BUSY_MS = 250
# What reading a database, a folder or a disk raises when it can't be read.
FAILURES = (DBAPIError, TimeoutError, QueryTooLong, OSError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """One thing that people can do."""

    text: str
    command: str = ""
    """Lines for a shell; empty: none is needed."""
    url: str = ""
    """A page that helps; empty: none."""
    link: str = ""
    """The text of the link to it."""


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """The answer to one question."""

    question: str
    """The name of the question, which is its place in the page, too."""
    mood: Mood
    text: str
    """The answer in one sentence or two."""
    reason: str = ""
    """As the program says it, in English; empty: there is none."""
    details: Sequence[str] = ()
    remedies: Sequence[Remedy] = ()


@dataclass(kw_only=True, slots=True)
class Facts:
    """What is known now; a fact is None when it could not be read, and `reasons` says why."""

    stations: list[Latest] | None = None
    rejected: RejectedRow | None = None
    """The newest reading that was rejected in the last day; None also when there was none."""
    stored: int | None = None
    """How many readings were ever stored."""
    began_at: int | None = None
    """Since when the service has the database, as the rule `backup` counts; None: it is empty."""
    exports: list[ExportLag] | None = None
    csv_host: str | None = None
    """Which of several hosts has the CSV files; None before the first export, and on SQLite."""
    retention: list[Outlook] | None = None
    """Of the stations whose old readings are removed."""
    card: CardRoom | None = None
    backup: NewestBackup | None = None
    """None when there is none, too."""
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
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a part could not be read, by the name of the part."""

    def alert_of(self, rule: str) -> Alert | None:
        """The active alert of this rule on the service as a whole."""
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
            log.exception("The page of the status cannot tell of: %s", name)
            self.reasons[name] = reason_of(error)


def gathered(store: Store | Waiting, now_ms: int) -> Facts:
    """All facts that can be read now; raises nothing."""
    result = Facts(has_database=isinstance(store, Store), alerts=state().current().active)
    with result.part("backup"):
        result.backup = facts.newest_backup(store.settings.backup_dir, store.settings.zone, now_ms)
    with result.part("replica"):
        result.replica = facts.replica(store.settings)
    with result.part("copies"):
        result.copies = verified.last_result(store.settings)
    if isinstance(store, Store):
        with result.part("database"), _patient(store.database) as connection:
            _read_database(result, store, context.view_of(connection))
        with result.part("lost"):
            result.lost = facts.lost_files(result.only_copies, result.copies)
        # After that, by which it is known whether the server answers.
        result.server = server_state(store.settings, store.database)
        if result.card is None:
            with result.part("card"):
                # How the disk fills only the database can tell.
                free = room(store.database.path.parent)
                result.card = CardRoom(room=free, rows_a_day=None, bytes_a_day=None)
    return result


def _read_database(result: Facts, store: Store, view: View) -> None:
    stations, connection = view.stations, view.connection
    # Not a part: where the first statement meets a lock, so would each of the others.
    began = beginning(connection)
    result.began_at, result.stored = began.at, view.last_id
    with result.part("stations"):
        result.stations = latest(view, store, stations.all)
    with result.part("rejected"):
        last_day = Selection(since_ms=view.now_ms - DAY_MS)
        result.rejected = next(iter(rejected.page(connection, last_day, None, 1).rows), None)
    with result.part("exports"):
        result.exports = facts.export_lags(connection, stations, began.imports)
        result.csv_host = csv_owner.of_files(connection)
    with result.part("retention"):
        result.retention = outlooks(store.settings, store.database, view)
    with result.part("lost"):
        result.only_copies = facts.only_copies(store.settings, connection)
    with result.part("card"):
        result.card = facts.card(store.settings, view, began)


@contextmanager
def _patient(database: Database) -> Iterator[Connection]:
    """A read transaction in which nothing waits for long; raises what `Database.query` raises."""
    with (
        database.promptly(),
        database.query() as connection,
        dialects.of(connection).waits_briefly(connection, BUSY_MS),
    ):
        yield connection


REMEDIES = {
    "log": N_("The log says more:"),
    "reload": N_("Wait, and reload the page."),
    "restart": N_("Start the service again; what waits is not lost:"),
    "kernel": N_("See what the system says about the card:"),
    "space": N_("Free some space; this shows what uses it:"),
    "fewer_backups": N_("Keep fewer backups on this card (here 7):"),
    "larger_disk": N_("Or put the data onto a larger disk: docs/en/howto/other-disk.md."),
    "holders": N_("Find the program and end it (python of the service's user is the service):"),
    "owner": N_("Find out who owns the folder, and return it to the service's user:"),
    "backup": N_("Make a backup onto another disk now:"),
    "back_up_nightly": N_("Make one now, and one each night:"),
    "verify_weekly": N_("Compare all copies now, and each week:"),
    "verify_repair": N_("Have a backup made, and what is wrong put back:"),
    "renew_replica": N_("Have Litestream carry a new copy to the replica:"),
    "copy_backups": N_("Copy the backups to another computer, once a day. On that computer:"),
    "start_litestream": N_("Start Litestream, and read its messages:"),
    "log_of_litestream": N_("Read the messages of Litestream:"),
    "reset_litestream": N_("If it reports a broken file, let it start over with a full copy:"),
    "reach_replica": N_(
        "Check that the replica's disk is plugged in, or that the network reaches it."
    ),
    "export_nightly": N_("Write the CSV files each night:"),
    "export_again": N_("Write them now; for a file changed by hand it prints the fix:"),
    "export_there": N_("The host {host} has the CSV files: see what its export says there."),
    "archived_file": N_("If the file was moved, say where it is:"),
    "restore_file": N_("Put back a copy of the file, with its path in the place of COPY:"),
    "fix": N_("This fixes it:"),
    "compare": N_("Compare the CSV files with the database:"),
    "restore_backup": N_("Restore the newest backup; the damaged files are kept:"),
    "restore_any": N_("Restore a backup, with its path in the place of FILE:"),
    "restore_rescued": N_("Restore the copy:"),
    "restore_copy": N_("A copy of what it held is beside it. Restore that:"),
    "mount": N_("If it is on another disk, check that the disk is connected, and mount it:"),
    "begin": N_("Only to start with a new one:"),
    "continues": N_("The service continues by itself within some seconds."),
    "standby": N_(
        "Start the standby, or take its name out of synchronous_standby_names until then."
    ),
    "server_room": N_("Free some space on the server's disk."),
    "grant": N_("Run the GRANT of the reason as the owner of the tables."),
    "insert": N_("Run the INSERT of the reason as the owner of the tables."),
    "primary": N_(
        "Name the primary, or all servers of the cluster, in FLASK10X_DATABASE_URL and restart the "
        "service. Where all are named it finds the new primary by itself after a failover."
    ),
    "trial": N_(
        "From another computer, send a test reading that is not stored. If it is answered, the "
        "fault is on the board's side:"
    ),
    "board": N_("Check the board: power, cable, Wi-Fi. Switch it off and on again."),
}
"""What people can do."""
REASONS = {
    "never_exported": N_("No export has ever written their CSV file."),
    "interrupted": N_("An export was interrupted; the next one repairs it."),
    "file_gone": N_("Their CSV file is gone; the next export begins a new one."),
    "file_changed": N_("Their CSV file was changed since the last export."),
    "other_columns": N_("The station's columns changed; the next export begins a new CSV file."),
    "other_zone": N_("Their CSV file is in another time zone than the service."),
    "other_host": N_(
        "Another host has their CSV file and removes them; its status page says why they stay."
    ),
    "imported": N_("They were imported, and no CSV file of the service has them yet."),
    "in_no_known_file": N_("They are in an archived CSV file, and it is not known in which one."),
    "values_in_no_file": N_(
        "No CSV file has their values of measurements that are no longer in stations.toml: {file}. "
        "Add these to the station again and export; then have the file written whole."
    ),
    "archived_gone": N_("The archived CSV file that has them is missing: {file}."),
    "archived_changed": N_(
        "The archived CSV file that has them was changed; put back a copy: {file}."
    ),
    "archived_columns": N_("The columns of the archived CSV file are unknown: {file}."),
    "archived_zone": N_(
        "This machine does not have the time zone of the archived CSV file {file}."
    ),
    "other": N_("Readings stored before them are not due yet, or the log says why."),
}
"""Why readings that are due are not removed."""
SERVER = {
    "one_machine": N_(
        "There is no synchronous standby: what is committed is on one machine "
        "(synchronous_standby_names is empty)."
    ),
    "commits_wait": N_(
        "Commits wait for a synchronous standby: {found} of {wanted} that "
        "synchronous_standby_names asks for."
    ),
    "standby": N_(
        "This server is a standby, which takes no writes: name the primary in "
        "FLASK10X_DATABASE_URL, or all servers of the cluster."
    ),
    "hidden": N_(
        "This role may not see the state of the standbys. GRANT pg_monitor TO it to show it here."
    ),
}
"""What a server of the database lacks."""
WRONG_COPIES: dict[Copy, str] = {
    "table": N_("Wrong in the database: {n}"),
    "index": N_("Wrong in the index of the database: {n}"),
    "hours": N_("Wrong in the hourly totals: {n}"),
    "days": N_("Wrong in the daily totals: {n}"),
    "csv": N_("Wrong in the CSV files: {n}"),
    "backup": N_("Wrong in a backup: {n}"),
    "replica": N_("Wrong in the replica: {n}"),
}
"""By the copy how many places of it are wrong."""
# Where SQLite's codes begin so (https://www.sqlite.org/rescode.html), this is what people do.
KINDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("SQLITE_FULL",), "full_disk"),
    (("SQLITE_BUSY", "SQLITE_LOCKED", "LockTimeout"), "busy"),
    (("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"), "denied"),
    (("SQLITE_IOERR",), "card_fails"),
    # PostgreSQL's: https://www.postgresql.org/docs/17/errcodes-appendix.html. Without a code it is
    # the connection that fails.
    (("53100",), "full_server"),
    (("55P03", "40"), "busy_server"),
    (("CommitNotReplicated",), "one_machine"),
    (("42501",), "denied_by_server"),
    (("25006",), "standby"),
    (("TurnLost",), "row_lost"),
    (("OperationalError", "NoAnswer", "ConnectionTimeout", "08", "57P"), "unanswered"),
)
"""What hinders a commit, by the code with which `error_codes.reason_of` begins."""
WAIT = N_("Readings are waiting, and will be refused once the queue is full.")
RESUME = N_("Storing resumes by itself when this is over.")
GONE = N_("A file of the database was deleted or moved away. New readings are refused.")
HINDRANCES = {
    "missing": (
        N_("The database {path} is missing."),
        N_("Readings are refused until it is back, so that none goes to the wrong place."),
    ),
    "unreachable": (
        N_("The database server cannot be reached."),
        N_("Readings are refused until it answers; the service tries it each second."),
    ),
    "damaged": (N_("The database is damaged. New readings are refused until it is repaired."),),
    "taken": (
        GONE,
        N_(
            "What was stored is being copied. Do not stop the service until the copy is named here."
        ),
    ),
    "copied": (GONE, N_("Everything that was stored is in a copy.")),
    "suspected": (
        N_("The database may be damaged and is being checked. New readings wait."),
        N_("If it is sound, storing resumes by itself within minutes."),
    ),
    "dead": (N_("Storing has stopped. Readings wait or are refused."),),
    "full_disk": (N_("The card is full."), WAIT, RESUME),
    "busy": (N_("Another program has locked the database."), WAIT, RESUME),
    "denied": (N_("The service may not write to the database."), WAIT),
    "card_fails": (N_("The card or its cable is failing: it cannot be read or written."), WAIT),
    "full_server": (N_("The disk of the database server is full."), WAIT, RESUME),
    "busy_server": (
        N_("Another host or program holds the lock that a commit needs."),
        *(WAIT, RESUME),
    ),
    "one_machine": (
        N_("The synchronous standby is away, so what was committed is on one machine only."),
        *(WAIT, RESUME),
    ),
    "denied_by_server": (
        N_("The role of the service may not write to the database."),
        WAIT,
        RESUME,
    ),
    "standby": (N_("The server is a standby, or only reads: it takes no writes."), WAIT),
    "row_lost": (N_("The table log has lost the row that each commit needs."), WAIT, RESUME),
    "unanswered": (
        N_("The database server does not answer, or takes no writes."),
        *(WAIT, RESUME),
    ),
    "queue": (
        N_("More readings arrive than can be stored: {n} are waiting, and new ones are refused."),
    ),
    "other": (N_("The database cannot be written now."), WAIT),
    "elsewhere": (
        N_("One worker cannot store its readings right now; they are waiting."),
        N_("Reload the page until that worker answers: it shows the reason."),
    ),
}
"""What keeps readings from being stored, and what becomes of them."""
HELPFUL = {
    "missing": ("mount", "restore", "begin", "continues"),
    "damaged": ("restore", "log"),
    "copied": ("restore_rescued",),
    "suspected": ("reload", "kernel"),
    "dead": ("restart", "log"),
    "full_disk": ("space",),
    "busy": ("holders",),
    "denied": ("owner",),
    "card_fails": ("kernel", "backup"),
    "full_server": ("server_room", "log"),
    "one_machine": ("standby", "log"),
    "denied_by_server": ("grant", "log"),
    "standby": ("primary", "log"),
    "row_lost": ("insert", "log"),
    "taken": ("log",),
    "queue": ("log",),
    "other": ("log",),
}
"""The remedies of a hindrance, by name; of one that is not listed `PASSING`."""
PASSING = ("reload", "log")


# Both times are said to the minute.
LATE_MS = 60 * SECOND_MS
# A month to find another card in.
SOON_DAYS = 30
# Beyond this the card is older than any that was ever sold.
FAR_DAYS = 20 * 365
SEC_PER_DAY = 86_400
# From so many days on, a length of time is said in a unit that has so many days.
LENGTHS = ((730, 365, N_("{n} years")), (60, 30, N_("{n} months")), (2, 1, N_("{n} days")))


class Answers:
    """Makes the answers from the facts, in the reader's language; raises nothing."""

    def __init__(
        self, settings: Settings, gathered_facts: Facts, t: Translation, now_ms: int
    ) -> None:
        self._settings, self._facts, self._t, self._now_ms = settings, gathered_facts, t, now_ms
        self._path = database_path(settings)
        self._shell = shell(settings)

    def all(self, store: Store | Waiting, alerts: AlertState) -> list[StatusAnswer]:
        """In the order in which a reading goes."""
        return [
            *(self.received(), self.stored(store), self.exported(), self.backed_up()),
            *(*self.replicated(), self.compared(), self.card(), *self.retention()),
            self.alerting(alerts),
        ]

    def received(self) -> StatusAnswer:
        """Which stations are silent, and whether a reading was rejected in the last day."""
        t, stations, rejected_reading = self._t, self._facts.stations, self._facts.rejected
        if stations is None:
            return self._unknown("received", "stations")
        never, awaited, silent = (
            [newest for newest in stations if newest.silence.state == name]
            for name in ("never", "awaited", "silent")
        )
        missed = [newest for newest in stations if newest.silence.is_missed]
        example = (missed or stations)[0].station
        command = model.trial(example, *address(request.host))
        trial = replace(self._remedy("trial"), command=command)
        mood: Mood = "good"
        text, remedies = t("All stations are sending as usual."), []
        if len(never) == len(stations):
            mood, text, remedies = "warn", t("Nothing has arrived yet."), [trial]
        elif missed:
            mood, text = "warn", t("No data from: {names}.", names=self._names(missed))
            url = url_for("devices.as_page", _anchor=example.endpoint)
            sent = Remedy(
                text=t("Its last readings, and how regularly it sends:"), url=url, link=t("Sensors")
            )
            remedies = [self._remedy("board"), sent, trial]
        elif awaited:
            names = self._names(awaited)
            mood = "unknown"
            text = t("The service has just started and waits for: {names}.", names=names)
        details = [self._silent(newest) for newest in silent]
        details += [t("No data yet: {names}", names=self._names(never))] if never else []
        if rejected_reading:
            if mood == "good":
                text = t("All stations are sending, but a reading was rejected in the last day.")
            elif mood == "unknown":
                text = t.sentences([text, t("A reading was rejected in the last day.")])
            mood = "warn"
            details.append(self._rejected(rejected_reading))
            url, link = url_for("rejected.as_page"), t("Rejected readings")
            remedies.append(Remedy(text=t("Why it was rejected:"), url=url, link=link))
        return StatusAnswer("received", mood, text, details=details, remedies=remedies)

    def _names(self, stations: list[Latest]) -> str:
        return self._t.listed(station_name(newest.station, self._t) for newest in stations)

    def _silent(self, newest: Latest) -> str:
        t, age_sec = self._t, newest.silence.age_sec or 0
        received_at = self._now_ms - age_sec * SECOND_MS
        text = t(
            "{name}: no data for {duration}, last received on {time}",
            name=station_name(newest.station, t),
            duration=t.duration(age_sec),
            time=self._time(received_at),
        )
        if newest.row and received_at - newest.row.received_at > LATE_MS:
            measured = self._time(newest.row.received_at)
            text = t("{received}, measured on {time}", received=text, time=measured)
        return text if newest.silence.is_missed else t("{line}; no longer watched", line=text)

    def _rejected(self, reading: RejectedRow) -> str:
        station = self._settings.stations.by_endpoint.get(reading.endpoint)
        return self._t(
            "A reading from {name} was rejected on {time}; it is kept.",
            name=station_name(station, self._t) if station else escape(reading.endpoint),
            time=self._time(reading.received_at),
        )

    def stored(self, store: Store | Waiting) -> StatusAnswer:
        """Whether what is accepted is stored; looks into memory only, and at the facts."""
        if isinstance(store, Waiting):
            if not store.is_file:
                return self._hindered(store, "unreachable", store.reason)
            answer, copy = self._hindered(store, "missing"), rescued.newest(self._path)
            first = [self._remedy("restore_copy", file=copy)] if copy else []
            return replace(answer, remedies=[*first, *answer.remedies])
        obstacles = facts.obstacles_met(store.database, store.writer, store.gauges)
        # What fills the queue is worth more than that it is full.
        obstacle = min(obstacles, key=lambda each: each.kind == "full", default=None)
        if obstacle is not None:
            return self._hindered(store, _hindrance(obstacle, store.gauges), obstacle.reason)
        # The page may have met what the writer has not: nothing has come since to be stored.
        server = self._facts.server
        if server and server.primary and server.primary.is_standby:
            return self._hindered(store, "standby")
        if server and kind_of(server.reason) == "unanswered":
            return self._hindered(store, "unanswered", server.reason)
        return self._unhindered(store)

    def _hindered(self, store: Store | Waiting, name: str, reason: str = "") -> StatusAnswer:
        backup, values = self._facts.backup, {"path": self._path, "n": ""}
        file: Path | str = backup.path if backup else "FILE"
        if isinstance(store, Store):
            values["n"] = f"{store.writer.depth:,}"
            if store.gauges.rescued:
                file = self._path.with_name(store.gauges.rescued)
        restore = "restore_backup" if backup else "restore_any"
        names = [restore if each == "restore" else each for each in HELPFUL.get(name, PASSING)]
        return StatusAnswer(
            "stored",
            "warn" if name == "suspected" else "wrong",
            self._t.sentences(self._t(text, **values) for text in HINDRANCES[name]),
            reason,
            self._numbers(store),
            [self._remedy(each, file=file) for each in names],
        )

    def _unhindered(self, store: Store) -> StatusAnswer:
        t, server = self._t, self._facts.server
        mood: Mood = "warn"
        text, notices, remedies = t("All accepted readings are stored."), [], ["log"]
        if failing := periodic_tasks.failing(store.gauges):
            text = t(
                "Readings are stored, but some of the work beside that is failing: {names}.",
                names=t.listed(failing),
            )
        elif any(alert.kind == "queue" for alert in self._facts.alerts):
            # By its rule, which waits for some time, and then for the queue to be short again.
            text = t("Waiting to be stored: {n}", n=f"{store.queues.length():,}")
        else:
            obstacles = server.obstacles if server else []
            warnings = server.warnings if server else []
            remedies, notices = (
                [],
                [t(SERVER[notice.name], **notice.values) for notice in (*obstacles, *warnings)],
            )
            if obstacles:
                text = t("Commits wait for a standby: nothing more is stored before one follows.")
            elif not warnings or self._settings.ack != "committed":
                mood = "good"
        details = [*notices, *self._numbers(store)]
        return StatusAnswer("stored", mood, text, "", details, [*map(self._remedy, remedies)])

    def _numbers(self, store: Store | Waiting) -> list[str]:
        t, own_facts = self._t, self._facts
        lines = []
        if own_facts.stored is not None:
            lines.append(t("Readings stored so far: {n}", n=f"{own_facts.stored:,}"))
        if isinstance(store, Store) and (waiting := store.queues.length()):
            lines.append(t("Waiting to be stored: {n}", n=f"{waiting:,}"))
        if own_facts.server is not None and own_facts.server.primary is not None:
            lines += self._servers(own_facts.server.primary)
        return lines

    def _servers(self, primary: Primary) -> Iterator[str]:
        yield self._t(
            "Database: PostgreSQL {version} on {place}, {size}",
            version=primary.version,
            place=primary.place,
            size=size(primary.database_bytes),
        )
        for standby in primary.standbys:
            if standby.state is not None and standby.sync is not None:
                yield self._t(
                    "Standby {name}: {state}, {sync}, behind by {size}",
                    name=standby.name,
                    state=standby.state,
                    sync=standby.sync,
                    size=size(standby.lag_bytes or 0),
                )

    def exported(self) -> StatusAnswer:
        """Whether the CSV files have all that they should have by now."""
        t = self._t
        if self._facts.exports is None:
            return self._unknown("exported", "exports")
        lags = [lag for lag in self._facts.exports if lag.is_exported]
        if not lags:
            text = t("No CSV file has been written yet; that is fine if no script reads any.")
            return StatusAnswer("exported", "off", text, remedies=[self._remedy("export_nightly")])
        verdict = worst(
            of_export(rule, lags, self._now_ms, self._facts.alert_of(rule.name))
            for rule in rules_of(self._settings.alerts, ExportOverdue())
        )
        remedies = []
        if verdict.is_firing:
            oldest = self._time(int(verdict.facts["oldest_at"] or 0))
            text = t("Readings have been waiting for their CSV file since {time}.", time=oldest)
            # Where to look, when another host has the files.
            host = self._facts.csv_host
            is_here = host in (None, self._settings.host_name)
            name = "export_again" if is_here else "export_there"
            remedies = [self._remedy(name, host=host)]
        else:
            changed_at = max(lag.changed_at or 0 for lag in lags)
            time = self._time(changed_at) if changed_at else "–"
            text = t(
                "The CSV files are up to date as of the last export, changed on {time}.", time=time
            )
        mood: Mood = "warn" if verdict.is_firing else "good"
        details = [self._waiting(lag) for lag in lags if lag.waiting]
        return StatusAnswer("exported", mood, text, details=details, remedies=remedies)

    def _waiting(self, lag: ExportLag) -> str:
        name, n = station_name(lag.station, self._t), f"{lag.waiting:,}"
        return self._t("{name}: waiting for the next export: {n}", name=name, n=n)

    def backed_up(self) -> StatusAnswer:
        """Whether there is a backup that is not too old; where it lies."""
        t, backup, own_facts = self._t, self._facts.backup, self._facts
        if "backup" in own_facts.reasons or (backup is None and not own_facts.has_database):
            return self._unknown("backed_up", "backup")
        is_overdue = worst(
            of_backup(rule, backup, own_facts.began_at, self._now_ms, own_facts.alert_of(rule.name))
            for rule in rules_of(self._settings.alerts, BackupOverdue())
        ).is_firing
        start, folder = self._remedy("back_up_nightly"), self._settings.backup_dir
        if backup is None:
            mood: Mood = "warn" if is_overdue or own_facts.stored is None else "off"
            text = t("There is no backup in {folder}.", folder=folder)
            return StatusAnswer("backed_up", mood, text, remedies=[start])
        remedies = [start] if is_overdue else []
        details = []
        if _is_on_same_disk(backup, self._path):
            details = [
                t("It is on the same card as the database: if the card fails, both are gone.")
            ]
            host, _ = address(request.host)
            remedies.append(self._remedy("copy_backups", login=f"pi@{host}"))
        sentence = (
            N_("The newest backup is from {time} ({size}), {age} ago.")
            if is_overdue
            else N_("The newest backup is from {time} ({size}).")
        )
        text = t(
            sentence,
            time=self._time(backup.made_at),
            size=size(backup.bytes),
            age=t.duration(backup.age_sec(self._now_ms)),
        )
        mood = "warn" if is_overdue else "good"
        return StatusAnswer("backed_up", mood, text, details=details, remedies=remedies)

    def replicated(self) -> list[StatusAnswer]:
        """Whether the replica has what was stored; empty without one."""
        t, replica = self._t, self._facts.replica
        if replica is None:
            is_unknown = "replica" in self._facts.reasons
            return [self._unknown("replicated", "replica")] if is_unknown else []
        is_overdue = worst(
            of_replica(rule, replica, self._now_ms, self._facts.alert_of(rule.name))
            for rule in rules_of(self._settings.alerts, ReplicaOverdue())
        ).is_firing
        synced = self._time(replica.synced_at) if replica.synced_at is not None else "–"
        remedies: tuple[str, ...] = ()
        if not replica.is_running:
            text = t(
                "Litestream is not running. The replica has everything up to {time}.", time=synced
            )
            remedies = ("start_litestream", "reset_litestream")
        elif is_overdue:
            text = t("Data since {time} is not in the replica.", time=synced)
            remedies = ("reach_replica", "log_of_litestream", "reset_litestream")
        else:
            text = t("The replica has everything up to {time}.", time=synced)
        mood: Mood = "warn" if remedies else "good"
        return [StatusAnswer("replicated", mood, text, "", [], [*map(self._remedy, remedies)])]

    def compared(self) -> StatusAnswer:
        """Whether the copies of the readings are there, and the same by `flask10x verify`."""
        answer, lost, t = self._compared(), self._facts.lost, self._t
        if not lost:
            return answer
        text = t("CSV files that are the only copy of removed readings are lost: {n}.", n=len(lost))
        moved = any(each.trouble == "moved" for each in lost)
        names = ["restore_file", *(["archived_file"] if moved else [])]
        path = f"/.../{Path(lost[0].path).name}"
        return replace(
            answer,
            mood="warn",
            text=t.sentences([text, answer.text]),
            details=[*(each.said(self._settings, t) for each in lost), *answer.details],
            remedies=[*(self._remedy(name, path=path) for name in names), *answer.remedies],
        )

    def _compared(self) -> StatusAnswer:
        t, result = self._t, self._facts.copies
        if "copies" in self._facts.reasons or (result is None and not self._facts.has_database):
            return self._unknown("compared", "copies")
        if result is None:
            text = t("The copies of the readings have not been compared yet.")
            return StatusAnswer("compared", "off", text, remedies=[self._remedy("verify_weekly")])
        verdict = worst(
            of_copies(rule, result, 0, self._now_ms, self._facts.alert_of(rule.name))
            for rule in rules_of(self._settings.alerts, WrongCopies())
        )
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
        if result.replica_left_out:
            details.append(t(verified.WITHOUT_REPLICA, reason=result.replica_left_out))
        elif result.replica_readings:
            n = f"{result.replica_readings:,}"
            details.append(t("Compared, too: {n} readings of the replica.", n=n))
        if not verdict.is_firing:
            text = t("Everything agreed when it was compared on {time}.", time=time)
            if repaired := [each for each in result.differences if each.is_repaired]:
                n = f"{len(repaired):,}"
                text = t("What was wrong has been repaired on {time}: {n}", time=time, n=n)
            return StatusAnswer("compared", "good", text, details=details)
        text = t(
            "Places at which copies differ, found on {time}: {n}",
            time=time,
            n=f"{len(result.differing):,}",
        )
        wrong = {name for each in result.differing for name in each.wrong}
        names = ["verify_repair"] if wrong - {"backup", "replica"} else []
        names += ["renew_replica"] if "replica" in wrong else []
        helpful = "back_up_nightly" if "backup" in wrong else "log"
        remedies = [self._remedy(name) for name in names or [helpful]]
        return StatusAnswer(
            "compared", "warn", text, "", [*self._wrong(result), *details], remedies
        )

    def _wrong(self, result: Result) -> Iterator[str]:
        """Say how often each copy is wrong."""
        for copy, sentence in WRONG_COPIES.items():
            if n := sum(copy in each.wrong for each in result.differing):
                yield self._t(sentence, n=f"{n:,}")
        if n := sum(not each.wrong for each in result.differing):
            yield self._t("It cannot be said which copy is wrong: {n}", n=f"{n:,}")

    def card(self) -> StatusAnswer:
        """How full the disk of the database is, and when it will be."""
        card = self._facts.card
        if card is None:
            return self._unknown("card", "card")
        free, days = card.room, card.full_in_days
        is_low = worst(
            of_disk(rule, free, self._now_ms, self._facts.alert_of(rule.name))
            for rule in rules_of(self._settings.alerts, Disk())
        ).is_firing
        is_soon = days is not None and days < SOON_DAYS
        sentence = N_("{free} of {total} are free ({percent} %).")
        if is_low:
            sentence = N_("The card is nearly full: {free} of {total} are free ({percent} %).")
        elif is_soon:
            sentence = N_(
                "{free} of {total} are free ({percent} %), but at this pace it is full in {span}."
            )
        text = self._t(
            sentence,
            free=size(free.free),
            total=size(free.total),
            percent=f"{free.free_percent:.0f}",
            span=span(days or 0, self._t),
        )
        remedies = ("space", "fewer_backups", "larger_disk") if is_low or is_soon else ()
        mood: Mood = "wrong" if is_low else "warn" if is_soon else "good"
        return StatusAnswer(
            "card", mood, text, "", self._pace(card), [*map(self._remedy, remedies)]
        )

    def _pace(self, card: CardRoom) -> list[str]:
        t, days = self._t, card.full_in_days
        if card.bytes_a_day is None:
            return [t("How fast it fills is known after a day and 1,000 readings.")]
        pace = t("Each day adds about {size}.", size=size(card.bytes_a_day))
        if days is None or days > FAR_DAYS:
            return [pace, t("At this pace it takes more than 20 years to fill up.")]
        date = day_of(self._now_ms + round(days * DAY_MS), self._settings.zone, t)
        return [
            pace,
            t("At this pace it is full in {span} (about {date}).", span=span(days, t), date=date),
        ]

    def retention(self) -> list[StatusAnswer]:
        """How long readings are kept; empty where none are removed, or that cannot be read."""
        t, stations = self._t, self._facts.retention
        if not stations:
            return []
        late = [outlook for outlook in stations if outlook.is_late(self._now_ms)]
        text = t(
            "Old readings are removed; their hourly and daily totals stay. The database "
            "file does not get smaller: new readings take the room."
        )
        if late:
            why = dict.fromkeys(map(self._why, late))
            overdue = t("Some readings are overdue for removal by a week or more.")
            text = t.sentences([overdue, *why])
        details = [t.sentences(self._outlook(outlook)) for outlook in stations]
        repairs = [*dict.fromkeys(self._repairs(late))]
        return [StatusAnswer("kept", "warn" if late else "good", text, "", details, repairs)]

    def _why(self, outlook: Outlook) -> str:
        return self._t(
            REASONS[outlook.obstacle or "other"], file=outlook.path or outlook.station.csv_name
        )

    def _repairs(self, late: list[Outlook]) -> Iterator[Remedy]:
        for outlook in late:
            if outlook.obstacle == "archived_gone":
                yield self._remedy("archived_file", path=f"/.../{outlook.station.csv_name}")
            if outlook.command and "--verify" not in outlook.command:
                yield self._remedy("fix", arguments=shlex.split(outlook.command)[1:])
        if late:
            yield self._remedy("compare")

    def _outlook(self, outlook: Outlook) -> Iterator[str]:
        t = self._t
        yield t(
            "{name}: kept for {days} days.",
            name=station_name(outlook.station, t),
            days=outlook.days,
        )
        if outlook.removed.last_ms is not None:
            n, last = f"{outlook.removed.readings:,}", self._time(outlook.removed.last_ms)
            yield t("{n} readings up to {time} have been removed.", n=n, time=last)
        if outlook.oldest_at is not None and outlook.goes_at is not None:
            oldest, goes = self._time(outlook.oldest_at), self._time(outlook.goes_at)
            yield t("The next one to go is from {time}, on {date}.", time=oldest, date=goes)
        else:
            yield t("No readings are old enough to be removed yet.")
        if outlook.obstacle:
            yield self._why(outlook)

    def alerting(self, alerts: AlertState) -> StatusAnswer:
        """Which alerts are active, and whether messages of them arrive."""
        t = self._t
        if not self._facts.has_database and not path_of(self._settings).exists():
            # No alert is looked for then (`runtime/waiting.py`).
            return self._unknown("alerting")
        file = alerts.current()
        failing, trouble = _failing(alerts)
        if reason := file.trouble or trouble:
            self._facts.reasons["alerting"] = reason
            return self._unknown("alerting")
        reader = AlertReader(self._settings, t, self._now_ms)
        details = [self._alert(alert, reader) for alert in file.active]
        if failing:
            details.append(
                t(
                    "A message by “{channel}” has not arrived and will be tried again: {why}",
                    channel=escape(failing.channel),
                    why=escape(failing.trouble),
                )
            )
        if not self._settings.alerts.channels:
            details.append(t("Notifications are off: alerts.toml names no channel."))
        n, is_loud = len(file.active), not all(map(reader.is_muted, file.active))
        page = Remedy(
            text=t("Details, and muting:"), url=url_for("alerts.as_page"), link=t("Alerts")
        )
        mood: Mood = "warn" if is_loud or failing else "good"
        text = t("Active alerts: {n}", n=n) if n else t("No active alerts.")
        return StatusAnswer("alerting", mood, text, "", details, [page] if n or failing else [])

    def _alert(self, alert: Alert, reader: AlertReader) -> str:
        t, title, time = self._t, reader.title(alert), reader.time(alert.since_ms)
        if reader.is_muted(alert):
            return t("{title}, since {time} (muted)", title=title, time=time)
        return t("{title}, since {time}", title=title, time=time)

    def _unknown(self, question: str, part: str = "") -> StatusAnswer:
        """That it cannot be determined, and the reason of the part or of the whole database."""
        reasons = self._facts.reasons
        reason = reasons.get(part or question) or reasons.get("database", "")
        text = (
            self._t("Unknown right now; the reason is below.")
            if reason
            else self._t("Unknown while the database is missing.")
        )
        return StatusAnswer(question, "unknown", text, reason)

    def _remedy(self, name: str, **values: object) -> Remedy:
        paths = {"folder": self._path.parent, "database": self._path}
        return Remedy(
            text=self._t(REMEDIES[name], **values, **paths),
            command=self._shell.command(name, **values),
        )

    def _time(self, ms: int) -> str:
        return moment(ms, self._settings.zone, self._t, self._now_ms)


def _hindrance(obstacle: Obstacle, gauges: Gauges) -> str:
    """The name of what hinders storing in `HINDRANCES`."""
    if obstacle.kind == "damaged" and (gauges.rescued or gauges.taken_away):
        return "copied" if gauges.rescued else "taken"
    if obstacle.kind in HINDRANCES:
        return obstacle.kind
    return "queue" if obstacle.kind == "full" else kind_of(obstacle.reason)


def kind_of(reason: str) -> str:
    """What hinders a commit, by the code with which `error_codes.reason_of` begins."""
    code = reason.partition(":")[0]
    return next((kind for codes, kind in KINDS if code.startswith(codes)), "other")


def span(days: float, t: Translation) -> str:
    """`3 months`, `5 days`: a length of time in the longest unit that fits."""
    for from_days, length, sentence in LENGTHS:
        if days >= from_days:
            return t(sentence, n=int(days / length))
    return t.duration(int(days * SEC_PER_DAY))


def _is_on_same_disk(backup: NewestBackup, database: Path) -> bool:
    try:
        return backup.path.stat().st_dev == database.stat().st_dev
    except OSError:
        return False


def _failing(alerts: AlertState) -> tuple[AlertMessage | None, str]:
    """The newest message that does not arrive; or why that cannot be read."""
    try:
        with alerts.reading() as connection:
            messages = state_file.troubled(connection, 1) if connection else []
    except DBAPIError as error:
        return None, reason_of(error)
    # A message that was given up is shown with its alert.
    return next((message for message in messages if message.state == "waiting"), None), ""
