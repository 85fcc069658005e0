"""The answers of the page `/status`: each says how one thing is, and what helps."""

import logging
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Literal, get_args

from flask import url_for
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.alerts import state_file
from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.state_file import path_of
from flask10x.config.alerts.rules import BackupOverdue, Disk, ExportOverdue
from flask10x.config.settings import Settings, process_user
from flask10x.database import csv_owner, dialects
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.database.paths import database_path
from flask10x.database.server import Primary
from flask10x.database.sqlite import rescued
from flask10x.history.view import View
from flask10x.readings.labels import station_name
from flask10x.readings.times import DAY_MS, local_text
from flask10x.recording import rejected
from flask10x.recording.rejected import Kept, Selection
from flask10x.runtime import facts, periodic_tasks
from flask10x.runtime.alerting.verdicts import of_backup, of_disk, of_export, rules_of, worst
from flask10x.runtime.facts import (
    CardRoom,
    ExportLag,
    NewestBackup,
    ServerState,
    beginning,
    room,
    server_state,
)
from flask10x.runtime.retention import Outlook, outlooks
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system.logs import escape
from flask10x.translation import N_, Translation
from flask10x.web import context
from flask10x.web.alert_state import AlertState, state
from flask10x.web.newest import Latest, latest
from flask10x.web.pages.alerts.model import AlertWords
from flask10x.web.pages.devices import model

# `off`: not used in this house; `unknown`: it can't be told now.
Mood = Literal["good", "off", "unknown", "warn", "wrong"]
# From the best to the worst.
MOODS: tuple[Mood, ...] = get_args(Mood)


@dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """One thing that people can do."""

    text: str
    command: str = ""
    """Lines for a shell; empty: none is needed."""
    url: str = ""
    """A page that helps; empty: none."""
    link: str = ""
    """What the link to it says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusAnswer:
    """The answer to one question."""

    question: str
    """Its name: the end of its text's key, and its place in the page."""
    mood: Mood
    text: str
    """The answer in one sentence or two."""
    reason: str = ""
    """As the program says it, in English; empty: there is none."""
    details: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()


log = logging.getLogger(__name__)

# A database that is locked for reading is so for hours or for milliseconds.
BUSY_MS = 250
# What reading a database, a folder or a disk raises when it can't be read.
FAILURES = (DBAPIError, TimeoutError, QueryTooLong, OSError)


@dataclass(kw_only=True, slots=True)
class Known:
    """What could be told; None stands for what could not, and `reasons` says why."""

    stations: list[Latest] | None = None
    refused: Kept | None = None
    """The newest reading that was refused in the last day; None when none was."""
    stored: int | None = None
    """How many readings were ever stored."""
    began_at: int | None = None
    """Since when the service has the database, as the rule `backup` counts; None: it is empty."""
    exports: list[ExportLag] | None = None
    csv_host: str | None = None
    """Which of several hosts has the CSV files; None before the first export, and on SQLite."""
    kept: list[Outlook] | None = None
    """Of the stations whose old readings are removed."""
    card: CardRoom | None = None
    backup: NewestBackup | None = None
    """None when there is none, too."""
    server: ServerState | None = None
    """Of a database on PostgreSQL."""
    alerts: Sequence[Alert] = ()
    """Those that are active."""
    is_there: bool = False
    """Whether there is a database, sound or not: without one its disk may be away, and with that
    the backups."""
    reasons: dict[str, str] = field(default_factory=dict)
    """By the name of the part."""

    def alert_of(self, rule: str) -> Alert | None:
        """The active alert of this rule on the service as a whole."""
        return next((one for one in self.alerts if (one.rule, one.subject) == (rule, "")), None)


def known(store: Store | Waiting, now_ms: int) -> Known:
    """All that can be told now; raises nothing."""
    found = Known(is_there=isinstance(store, Store), alerts=state().known().active)
    with _part(found, "backup"):
        found.backup = facts.newest_backup(store.settings.backup_dir, store.settings.zone, now_ms)
    if isinstance(store, Store):
        with _part(found, "database"), _patient(store.database) as connection:
            _of_database(found, store, context.view_of(connection), now_ms)
        # After that, by which it is known whether the server answers.
        found.server = server_state(store.settings, store.database)
        if found.card is None:
            with _part(found, "card"):
                found.card = _room_only(store)
    return found


def _of_database(found: Known, store: Store, view: View, now_ms: int) -> None:
    stations, connection = view.stations, view.connection
    # Not a part: where the first statement meets a lock, so would each of the others.
    began = beginning(connection)
    found.began_at = began.at
    found.stored = view.last_id
    with _part(found, "stations"):
        found.stations = latest(view, store, stations.all)
    with _part(found, "refused"):
        since = Selection(since_ms=now_ms - DAY_MS)
        found.refused = next(iter(rejected.page(connection, since, None, 1).rows), None)
    with _part(found, "exports"):
        found.exports = facts.export_lags(connection, stations)
        found.csv_host = csv_owner.of_files(connection)
    with _part(found, "kept"):
        found.kept = outlooks(store.settings, store.database, view)
    with _part(found, "card"):
        found.card = facts.card(store.settings, view, began)


def _room_only(store: Store) -> CardRoom:
    """How full the disk is; how it fills only the database can tell."""
    return CardRoom(room=room(store.database.path.parent), rows_a_day=None, bytes_a_day=None)


@contextmanager
def _part(found: Known, name: str) -> Iterator[None]:
    """An error of this part hinders no other; the reason is kept under its name."""
    try:
        yield
    except FAILURES as error:
        found.reasons[name] = reason_of(error)
    except Exception as error:
        # People look at this page because something is wrong: the rest of it is worth more to them
        # than a 500.
        log.exception("The page of the status cannot tell of: %s", name)
        found.reasons[name] = reason_of(error)


@contextmanager
def _patient(database: Database) -> Iterator[Connection]:
    """A read transaction in which nothing waits for long; raises what `Database.query` raises."""
    with (
        database.promptly(),
        database.query() as connection,
        dialects.of(connection).waits_briefly(connection, BUSY_MS),
    ):
        yield connection


SERVICE = "flask10x"
EXPORT, BACKUP = "flask10x-export", "flask10x-backup"
UNITS = f"{SERVICE} {EXPORT}.timer {BACKUP}.timer"

RESTART = f"sudo systemctl restart {SERVICE}"
JOURNAL = f"journalctl -u {SERVICE} -n 50"
RELOAD = f"sudo systemctl reload {SERVICE}"
MOUNT = "lsblk -f\nsudo mount -a"
KERNEL = "sudo dmesg | tail -n 50"


def flask10x(*arguments: str) -> str:
    """A command of ours, run as the user who runs the service."""
    # Beside the Python that runs this.
    program = Path(sys.executable).with_name("flask10x")
    return f"sudo -u {process_user()} {shlex.join([str(program), *arguments])}"


def restore(file: str) -> str:
    """Go back to a backup or to a rescued copy: the service must not run meanwhile."""
    lines = (f"sudo systemctl stop {UNITS}", flask10x("restore", file))
    return "\n".join((*lines, f"sudo systemctl start {UNITS}"))


def space(folder: Path) -> str:
    """What makes room on most systems, and what shows where it went."""
    where = shlex.quote(str(folder))
    clean = ("sudo journalctl --vacuum-size=100M", "sudo apt-get clean")
    return "\n".join((f"df -h {where}", *clean, f"sudo du -xhd 1 {where}"))


def owner_of(folder: Path) -> str:
    """Who may write into the folder, and how the service's user may again."""
    where, user = shlex.quote(str(folder)), process_user()
    return f"ls -l {where}\nsudo chown -R {user}: {where}\n{RESTART}"


def holders(database: Path) -> str:
    """Which programs have the database open."""
    return f"sudo fuser -v {shlex.quote(str(database))}"


def run_timer(unit: str) -> str:
    """Do it now, see what it said, and do it each night from now on."""
    return (
        f"sudo systemctl start {unit}\njournalctl -u {unit} -n 5\n"
        f"sudo systemctl enable --now {unit}.timer"
    )


def copy_away(folder: Path, host: str) -> str:
    """Copy the backups; typed on another computer."""
    return f"rsync -a --exclude '.*' {shlex.quote(f'pi@{host}:{folder}/')} flask10x-backups/"


def set_up_alerts() -> tuple[str, ...]:
    """The commands that make the file of alerts, and check, try and apply it once it is edited."""
    return (*(flask10x("alerts", word) for word in ("init", "check", "test")), RELOAD)


# A month to find another card in.
SOON_DAYS = 30
# Beyond this the card is older than any that was ever sold.
FAR_DAYS = 20 * 365
DAYS_FROM_DAYS, MONTHS_FROM_DAYS, YEARS_FROM_DAYS = 2, 60, 730
SECONDS_A_DAY = 86_400
FEWER_BACKUPS = "7"


def exported(settings: Settings, known: Known, t: Translation, now_ms: int) -> StatusAnswer:
    """Whether the CSV files have all that they should have by now."""
    lags = [one for one in known.exports or [] if one.is_exported]
    if known.exports is None:
        return cannot_tell("exported", known, t)
    if not lags:
        start = Remedy(text=t("Write the CSV files each night:"), command=run_timer(EXPORT))
        text = t("No CSV file has been written yet. That is fine if no script of yours reads any.")
        return StatusAnswer(question="exported", mood="off", text=text, remedies=(start,))
    verdict = worst(
        of_export(rule, lags, now_ms, known.alert_of(rule.name))
        for rule in rules_of(settings.alerts, ExportOverdue())
    )
    if verdict.is_firing:
        again = Remedy(
            text=t(
                "Write them now, and see what it says. A file that was changed by hand is "
                "refused, with the fix:"
            ),
            command=run_timer(EXPORT),
        )
        return StatusAnswer(
            question="exported",
            mood="warn",
            text=t(
                "Readings have waited for their CSV file since {time}.",
                time=local_text(int(verdict.facts["oldest_at"] or 0), settings.zone),
            ),
            details=_waiting(lags, t),
            remedies=_there(settings, known, t) or (again,),
        )
    changed = [one.changed_at for one in lags if one.changed_at is not None]
    time = local_text(max(changed), settings.zone) if changed else "–"
    text = t(
        "All that was stored when they were last written is in the CSV files, last "
        "changed at {time}.",
        time=time,
    )
    return StatusAnswer(question="exported", mood="good", text=text, details=_waiting(lags, t))


def _there(settings: Settings, known: Known, t: Translation) -> tuple[Remedy, ...]:
    """Where to look, when another host has the files."""
    if known.csv_host in (None, settings.host_name):
        return ()
    return (
        Remedy(
            text=t(
                "The host {host} has the CSV files: look there at what its export says.",
                host=known.csv_host,
            )
        ),
    )


def _waiting(lags: list[ExportLag], t: Translation) -> tuple[str, ...]:
    return tuple(
        t(
            "{name}: waiting for the next export: {n}",
            name=station_name(one.station, t),
            n=f"{one.waiting:,}",
        )
        for one in lags
        if one.waiting
    )


def backed_up(
    settings: Settings, known: Known, t: Translation, now_ms: int, host: str
) -> StatusAnswer:
    """Whether there is a backup that is not too old; where it lies."""
    if "backup" in known.reasons or (known.backup is None and not known.is_there):
        return cannot_tell("backed_up", known, t, "backup")
    start = Remedy(text=t("Make one now, and one each night:"), command=run_timer(BACKUP))
    backup = known.backup
    is_overdue = worst(
        of_backup(rule, backup, known.began_at, now_ms, known.alert_of(rule.name))
        for rule in rules_of(settings.alerts, BackupOverdue())
    ).is_firing
    if backup is None:
        text = t("There is no backup in {folder}.", folder=settings.backup_dir)
        mood: Mood = "warn" if is_overdue or known.stored is None else "off"
        return StatusAnswer(question="backed_up", mood=mood, text=text, remedies=(start,))
    values = {"time": local_text(backup.made_at, settings.zone), "size": size(backup.bytes)}
    if is_overdue:
        values["age"] = t.duration(backup.age_sec(now_ms))
    copy = Remedy(
        text=t("Copy the backups to another computer, once a day. On that computer:"),
        command=copy_away(settings.backup_dir, host),
    )
    beside = _is_on_same_disk(backup, database_path(settings))
    return StatusAnswer(
        question="backed_up",
        mood="warn" if is_overdue else "good",
        text=t("The newest backup is from {time} ({size}): that is {age} old.", **values)
        if is_overdue
        else t("The newest backup is from {time} ({size}).", **values),
        details=(t("It is on the same card as the database: if the card fails, both are gone."),)
        if beside
        else (),
        remedies=(*((start,) if is_overdue else ()), *((copy,) if beside else ())),
    )


def card(settings: Settings, known: Known, t: Translation, now_ms: int) -> StatusAnswer:
    """How full the disk of the database is, and when it will be."""
    found = known.card
    if found is None:
        return cannot_tell("card", known, t, "card")
    room, days = found.room, found.full_in_days
    low = worst(
        of_disk(rule, room, now_ms, known.alert_of(rule.name))
        for rule in rules_of(settings.alerts, Disk())
    ).is_firing
    soon = days is not None and days < SOON_DAYS
    values = {
        "free": size(room.free),
        "total": size(room.total),
        "percent": f"{room.free_percent:.0f}",
        "span": _days(days, t) if days is not None else "",
    }
    sentence = (
        N_("The card is nearly full: {free} of {total} are free ({percent} %).")
        if low
        else N_("{free} of {total} are free ({percent} %), but at this pace it is full in {span}.")
        if soon
        else N_("{free} of {total} are free ({percent} %).")
    )
    text = t(sentence, **values)
    return StatusAnswer(
        question="card",
        mood="wrong" if low else "warn" if soon else "good",
        text=text,
        details=_pace(found, t, now_ms, settings.zone),
        remedies=_more_room(settings, t) if low or soon else (),
    )


def _pace(found: CardRoom, t: Translation, now_ms: int, zone: tzinfo | None) -> tuple[str, ...]:
    if found.bytes_a_day is None:
        return (t("How fast it fills is known after a day and 1,000 readings."),)
    pace, days = t("Each day adds about {size}.", size=size(found.bytes_a_day)), found.full_in_days
    if days is None or days > FAR_DAYS:
        return (pace, t("At this pace it is not full within 20 years."))
    date = local_text(now_ms + round(days * DAY_MS), zone).partition(" ")[0]
    return (
        pace,
        t("At this pace it is full in {span} (about {date}).", span=_days(days, t), date=date),
    )


def _more_room(settings: Settings, t: Translation) -> tuple[Remedy, ...]:
    folder = database_path(settings).parent
    return (
        Remedy(text=t("Make room, and see what takes it:"), command=space(folder)),
        Remedy(
            text=t("Keep fewer backups on this card (here 7):"),
            command=flask10x("backup", "--keep", FEWER_BACKUPS),
        ),
        Remedy(text=t("Or put the data onto a larger disk: docs/en/howto/other-disk.md.")),
    )


def _days(days: float, t: Translation) -> str:
    if days >= YEARS_FROM_DAYS:
        return t("{n} years", n=int(days / 365))
    if days >= MONTHS_FROM_DAYS:
        return t("{n} months", n=int(days / 30))
    if days >= DAYS_FROM_DAYS:
        return t("{n} days", n=int(days))
    return t.duration(int(days * SECONDS_A_DAY))


def cannot_tell(question: str, known: Known, t: Translation, *parts: str) -> StatusAnswer:
    """That it can't be told, and the reason: that of the first of these parts that has one."""
    names = (*parts, question, "database")
    reason = next((known.reasons[name] for name in names if name in known.reasons), "")
    text = (
        t("Unknown right now; the reason is below.")
        if reason
        else t("Unknown while the database is missing.")
    )
    return StatusAnswer(question=question, mood="unknown", text=text, reason=reason)


def size(count: float) -> str:
    """`12.3 GB`, `350 MB`, `12 KB`: of powers of ten, as cards are sold."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= length:
            number = count / length
            return f"{number:.1f} {unit}" if number < 100 else f"{number:,.0f} {unit}"  # noqa: PLR2004
    return f"{count:.0f} B"


def _is_on_same_disk(backup: NewestBackup, database: Path) -> bool:
    try:
        return backup.path.stat().st_dev == database.stat().st_dev
    except OSError:
        return False


ALERTING = "alerting"


def alerting(
    settings: Settings, alerts: AlertState, known: Known, t: Translation, now_ms: int
) -> StatusAnswer:
    """Which alerts are active, and whether messages of them arrive; raises nothing."""
    if not known.is_there and not path_of(settings).exists():
        # Nobody watches then (`runtime/waiting.py`).
        return cannot_tell(ALERTING, known, t)
    found = alerts.known()
    failing, trouble = _failing(alerts)
    if reason := found.trouble or trouble:
        known.reasons[ALERTING] = reason
        return cannot_tell(ALERTING, known, t)
    loud = [one for one in found.active if (one.muted_until_ms or 0) <= now_ms]
    details = [_line(one, settings, t, is_muted=one not in loud) for one in found.active]
    if failing:
        details.append(
            t(
                "A message by “{channel}” does not arrive and is tried again: {why}",
                channel=escape(failing.channel),
                why=escape(failing.trouble),
            )
        )
    if not settings.alerts.channels:
        details.append(t("Notifications are off: alerts.toml names no channel."))
    text = (
        t("Active alerts: {n}", n=len(found.active)) if found.active else t("No alert is active.")
    )
    return StatusAnswer(
        question=ALERTING,
        mood="warn" if loud or failing else "good",
        text=text,
        details=tuple(details),
        remedies=(_page(t),) if found.active or failing else (),
    )


def _failing(alerts: AlertState) -> tuple[AlertMessage | None, str]:
    """The newest message that does not arrive; or why that can't be told."""
    try:
        with alerts.reading() as connection:
            found = state_file.troubled(connection, 1) if connection else []
    except DBAPIError as error:
        return None, reason_of(error)
    # One that was given up is told of by its alert.
    return next((one for one in found if one.state == "waiting"), None), ""


def _line(alert: Alert, settings: Settings, t: Translation, *, is_muted: bool) -> str:
    words = AlertWords(settings, t)
    since = {"title": words.title(alert), "time": words.time(alert.since_ms)}
    return (
        t("{title}, since {time} (muted)", **since)
        if is_muted
        else t("{title}, since {time}", **since)
    )


def _page(t: Translation) -> Remedy:
    url = url_for("alerts.as_page")
    return Remedy(text=t("Details, and muting:"), url=url, link=t("Alerts"))


REASONS = {
    "never_exported": N_("No export has ever written their CSV file."),
    "interrupted": N_("An export was interrupted; the next one repairs it."),
    "file_gone": N_("Their CSV file is gone; the next export begins a new one."),
    "file_changed": N_("Their CSV file was changed since the last export."),
    "other_columns": N_(
        "The station's columns have changed; the next export begins a new CSV file."
    ),
    "other_zone": N_("Their CSV file is in another time zone than the service."),
    "other_host": N_(
        "Another host has their CSV file and removes them; the status page there "
        "says why they stay."
    ),
    "imported": N_(
        "They were imported, and no CSV file that the service has written has them yet."
    ),
    "in_no_known_file": N_(
        "They are in a CSV file that was archived earlier; which one is not known."
    ),
    "values_in_no_file": N_(
        "No CSV file has their values of measurements that are no longer in "
        "stations.toml: {file}. Add these to the station again and export; then have "
        "the file written whole."
    ),
    "archived_gone": N_("The archived CSV file that has them is not there: {file}."),
    "archived_changed": N_(
        "The archived CSV file that has them is not what it was; put back a copy: {file}."
    ),
    "archived_columns": N_("The columns of the archived CSV file are unknown: {file}."),
    "archived_zone": N_(
        "The archived CSV file is in a time zone that this machine does not know: {file}."
    ),
    "other": N_("Readings stored before them are not due yet, or the log says why."),
}
"""Why readings stay, by what stands in the way."""


def kept(settings: Settings, known: Known, t: Translation, now_ms: int) -> tuple[StatusAnswer, ...]:
    """None where no station has its readings removed, and where that can't be told."""
    found = known.kept
    if not found:
        return ()
    late = [one for one in found if one.is_late(now_ms)]
    details = tuple(line for one in found for line in _retention_lines(settings, one, t))
    why = dict.fromkeys(_why(one, t) for one in late)
    answer = StatusAnswer(
        question="kept",
        mood="warn" if late else "good",
        text=" ".join((t("Some readings should have been removed a week ago or earlier."), *why))
        if late
        else t(
            "Old readings are removed; their hourly and daily totals stay. The database "
            "file does not get smaller: new readings take the room."
        ),
        details=details,
        remedies=_retention_remedies(late, t),
    )
    return (answer,)


def _why(one: Outlook, t: Translation) -> str:
    return t(REASONS[one.obstacle or "other"], file=one.path or one.station.csv_name)


def _retention_remedies(late: list[Outlook], t: Translation) -> tuple[Remedy, ...]:
    """Each command once."""
    if not late:
        return ()
    found: list[Remedy] = []
    for one in late:
        if one.obstacle == "archived_gone":
            command = flask10x("export", "--archived", f"/.../{one.station.csv_name}")
            found.append(Remedy(text=t("If the file was moved, say where it is:"), command=command))
        if one.command and "--verify" not in one.command:
            command = flask10x(*shlex.split(one.command)[1:])
            found.append(Remedy(text=t("This fixes it:"), command=command))
    look = Remedy(
        text=t("Compare the CSV files with the database:"),
        command=flask10x("export", "--verify"),
    )
    return (*dict.fromkeys(found), look)


def _retention_lines(settings: Settings, one: Outlook, t: Translation) -> tuple[str, ...]:
    name = station_name(one.station, t)
    lines = [t("{name}: kept for {days} days.", name=name, days=one.days)]
    if one.gone.last_ms is not None:
        last = local_text(one.gone.last_ms, settings.zone)
        lines.append(t("{n} are removed, up to {time}.", n=f"{one.gone.readings:,}", time=last))
    if one.oldest_at is not None and one.goes_at is not None:
        oldest, goes = (local_text(ms, settings.zone) for ms in (one.oldest_at, one.goes_at))
        lines.append(t("Next: that of {time}, on {date}.", time=oldest, date=goes))
    else:
        lines.append(t("There is none to remove yet."))
    if one.obstacle:
        lines.append(_why(one, t))
    return (" ".join(lines),)


RECEIVED = "received"


def received(
    store: Store | Waiting, known: Known, t: Translation, host: str, port: int
) -> StatusAnswer:
    """Which stations are silent, and whether something was refused; `host` is where boards send."""
    if known.stations is None:
        return cannot_tell(RECEIVED, known, t, "stations")
    of_state = {
        state: [one for one in known.stations if one.silence.state == state]
        for state in ("never", "awaited", "silent")
    }
    never, awaited = of_state["never"], of_state["awaited"]
    missed = [one for one in known.stations if one.silence.is_missed]
    trial = Remedy(
        text=t(
            "From another computer, send a reading that is not stored. If this is "
            "answered, the fault is on the board's side:"
        ),
        command=model.trial(_example(missed, known.stations).station, host, port),
    )
    remedies: tuple[Remedy, ...] = ()
    mood: Mood = "good"
    if len(never) == len(known.stations):
        mood, text, remedies = "warn", t("Nothing has arrived yet."), (trial,)
    elif missed:
        mood, text = "warn", t("No data from: {names}.", names=_names(missed, t))
        remedies = (
            Remedy(text=t("Check the board: power, cable, Wi-Fi. Switch it off and on again.")),
            _devices(missed[0], t),
            trial,
        )
    elif awaited:
        mood, text = (
            "unknown",
            t("The service has just started and waits for: {names}.", names=_names(awaited, t)),
        )
    else:
        text = t("All stations send as usual.")
    details = [_silent(one, store, t) for one in of_state["silent"]]
    details += [t("No data yet: {names}", names=_names(never, t))] if never else []
    if known.refused:
        mood = "warn"
        details.append(_refused(store, known.refused, t))
        remedies += (_rejected(t),)
    return StatusAnswer(
        question=RECEIVED, mood=mood, text=text, details=tuple(details), remedies=remedies
    )


def _example(missed: list[Latest], all_stations: list[Latest]) -> Latest:
    return (missed or all_stations)[0]


def _names(stations: list[Latest], t: Translation) -> str:
    return t.listed(station_name(one.station, t) for one in stations)


def _silent(one: Latest, store: Store | Waiting, t: Translation) -> str:
    at = local_text(one.row.received_at, store.settings.zone) if one.row else "–"
    duration, name = t.duration(one.silence.age_sec or 0), station_name(one.station, t)
    if one.silence.is_missed:
        return t(
            "{name}: no data for {duration}, last at {time}", name=name, duration=duration, time=at
        )
    return t(
        "{name}: no data for {duration}, last at {time}; no longer watched",
        name=name,
        duration=duration,
        time=at,
    )


def _refused(store: Store | Waiting, refused: Kept, t: Translation) -> str:
    endpoint, settings = refused.endpoint, store.settings
    station = settings.stations.by_endpoint.get(endpoint)
    name = station_name(station, t) if station else escape(endpoint)
    time = local_text(refused.received_at, settings.zone)
    return t("A reading of {name} was rejected at {time}; it is kept.", name=name, time=time)


def _devices(one: Latest, t: Translation) -> Remedy:
    url = url_for("devices.as_page", _anchor=one.station.endpoint)
    return Remedy(text=t("What it has sent last, and how evenly:"), url=url, link=t("Devices"))


def _rejected(t: Translation) -> Remedy:
    url = url_for("rejected.as_page")
    return Remedy(text=t("Why it was rejected:"), url=url, link=t("Rejected readings"))


STORED = "stored"
# Where SQLite's codes begin so (https://www.sqlite.org/rescode.html), this is what people do.
Kind = Literal[
    "full_disk",
    "busy",
    "denied",
    "card_fails",
    "other",
    "full_server",
    "busy_server",
    "one_machine",
    "denied_by_server",
    "standby",
    "row_lost",
    "unanswered",
]
KINDS: tuple[tuple[tuple[str, ...], Kind], ...] = (
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

HINDRANCES = {
    "missing": N_(
        "The database {path} is missing. Readings are refused until it is back, so "
        "that none goes to the wrong place."
    ),
    "unreachable": N_(
        "The database server cannot be reached. Readings are refused until it "
        "answers; the service tries it each second."
    ),
    "damaged": N_(
        "The database is damaged. Nothing is stored, and new readings are refused, "
        "until it is repaired."
    ),
    "taken": N_(
        "A file of the database was deleted or moved away. New readings are refused; "
        "what was stored is being copied. Do not stop the service before the copy is "
        "named here."
    ),
    "copied": N_(
        "A file of the database was deleted or moved away. New readings are refused. "
        "All that was stored is in a copy."
    ),
    "suspected": N_(
        "The database may be damaged and is being checked. New readings wait. If it "
        "is sound, storing resumes by itself within minutes."
    ),
    "dead": N_("The part that stores has stopped. Readings wait or are refused."),
    "full_disk": N_(
        "The card is full. Readings wait, and are refused once the queue is full. "
        "Storing resumes by itself when there is room."
    ),
    "busy": N_(
        "Another program holds the database, so readings wait. Storing resumes by "
        "itself when that program is done."
    ),
    "denied": N_(
        "The service may not write to the database. Readings wait, and are refused "
        "once the queue is full."
    ),
    "card_fails": N_(
        "The card or its cable is failing: it cannot be read or written. Readings wait."
    ),
    "full_server": N_(
        "The disk of the database server is full. Readings wait, and are refused "
        "once the queue is full. Storing resumes by itself when there is room."
    ),
    "busy_server": N_(
        "Another host or program holds what a commit needs, so readings wait. "
        "Storing resumes by itself when it is done."
    ),
    "one_machine": N_(
        "The synchronous standby is away, so what was committed is on one machine "
        "only. Readings wait until it is back."
    ),
    "denied_by_server": N_(
        "The role of the service may not write to the database. Readings wait, and "
        "are refused once the queue is full."
    ),
    "standby": N_(
        "The server is a standby, or only reads: it takes no writes. Readings wait, "
        "and are refused once the queue is full."
    ),
    "row_lost": N_(
        "The table log has lost the row that each commit needs. Readings wait, and "
        "are refused once the queue is full."
    ),
    "unanswered": N_(
        "The database server does not answer, or takes no writes. Readings wait, and "
        "are refused once the queue is full. Storing resumes by itself when it is "
        "back."
    ),
    "queue": N_("More comes in than can be stored: {n} readings wait, and new ones are refused."),
    "other": N_(
        "Readings cannot be stored now. They wait, and are refused once the queue is full."
    ),
    "elsewhere": N_(
        "One of the workers cannot store its readings now; they wait. Reload the "
        "page until that worker answers: it shows the reason."
    ),
}
"""What keeps readings from being stored."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Hindrance:
    """What stands in the way of storing."""

    name: str
    """Its text in `HINDRANCES`."""
    mood: Mood = "wrong"
    reason: str = ""
    values: dict[str, object] | None = None


def stored(store: Store | Waiting, known: Known, t: Translation) -> StatusAnswer:
    """Whether what is accepted is stored; a look into memory only, and at what is known."""
    if isinstance(store, Waiting):
        hindrance: Hindrance | None = _missing(store)
    else:
        hindrance = _hindrance(store) or _unfit_server(known)
    if hindrance is None:
        return _good(store, known, t)
    return StatusAnswer(
        question=STORED,
        mood=hindrance.mood,
        text=t(HINDRANCES[hindrance.name], **(hindrance.values or {})),
        reason=hindrance.reason,
        details=_numbers(store, known, t),
        remedies=tuple(_remedies(hindrance.name, store, known, t)),
    )


def _good(store: Store | Waiting, known: Known, t: Translation) -> StatusAnswer:
    details = _numbers(store, known, t)
    failing = periodic_tasks.failing(store.gauges) if isinstance(store, Store) else []
    if failing:
        return StatusAnswer(
            question=STORED,
            mood="warn",
            text=t(
                "Readings are stored, but some of the work beside that is failing: {names}.",
                names=t.listed(failing),
            ),
            details=details,
            remedies=(Remedy(text=t("The log says more:"), command=JOURNAL),),
        )
    if isinstance(store, Store) and any(alert.kind == "queue" for alert in known.alerts):
        # By its rule, which waits for some time, and then for the queue to be short again.
        return StatusAnswer(
            question=STORED,
            mood="warn",
            text=t("Waiting to be stored: {n}", n=f"{store.queues.length():,}"),
            details=details,
            remedies=(Remedy(text=t("The log says more:"), command=JOURNAL),),
        )
    text = t("Everything that is accepted is stored.")
    if (server := known.server) and (server.obstacles or server.warnings):
        worse = bool(server.obstacles) or store.settings.ack == "committed"
        return StatusAnswer(
            question=STORED,
            mood="warn" if worse else "good",
            text=t("Commits wait for a standby: nothing more is stored before one follows.")
            if server.obstacles
            else text,
            details=(
                *(
                    t(SERVER[notice.name], **notice.values)
                    for notice in (*server.obstacles, *server.warnings)
                ),
                *details,
            ),
        )
    return StatusAnswer(question=STORED, mood="good", text=text, details=details)


def _numbers(store: Store | Waiting, known: Known, t: Translation) -> tuple[str, ...]:
    lines: list[str] = []
    if known.stored is not None:
        lines.append(t("Readings stored so far: {n}", n=f"{known.stored:,}"))
    if isinstance(store, Store) and (waiting := store.queues.length()):
        lines.append(t("Waiting to be stored: {n}", n=f"{waiting:,}"))
    if known.server is not None and known.server.primary is not None:
        lines += _servers(known.server.primary, t)
    return tuple(lines)


def _servers(primary: Primary, t: Translation) -> Iterator[str]:
    yield t(
        "Database: PostgreSQL {version} on {place}, {size}",
        version=primary.version,
        place=primary.place,
        size=size(primary.database_bytes),
    )
    for standby in primary.standbys:
        if standby.state is not None and standby.sync is not None:
            yield t(
                "Standby {name}: {state}, {sync}, behind by {size}",
                name=standby.name,
                state=standby.state,
                sync=standby.sync,
                size=size(standby.lag_bytes or 0),
            )


def _missing(store: Waiting) -> Hindrance:
    if not store.is_file:
        return Hindrance(name="unreachable", reason=store.reason)
    return Hindrance(name="missing", values={"path": database_path(store.settings)})


def _hindrance(store: Store) -> Hindrance | None:
    """The greatest one that is known; nothing is tried for it, so it takes no time."""
    known = facts.known(store.database, store.writer, store.gauges)
    # What fills the queue is worth more than that it is full.
    first = min(known, key=lambda obstacle: obstacle.kind == "full", default=None)
    if first is None:
        return None
    match first.kind:
        case "damaged":
            return Hindrance(name=_damage(store), reason=first.reason)
        case "suspected":
            return Hindrance(name="suspected", mood="warn", reason=first.reason)
        case "full":
            return Hindrance(name="queue", values={"n": f"{store.writer.depth:,}"})
        case "dead" | "elsewhere":
            return Hindrance(name=first.kind)
        case _:
            return Hindrance(name=kind_of(first.reason), reason=first.reason)


def _unfit_server(known: Known) -> Hindrance | None:
    """What the page met itself, though nothing has come since that the writer could not store."""
    if known.server and known.server.primary and known.server.primary.is_standby:
        return Hindrance(name="standby")
    reason = known.server.reason if known.server else ""
    return Hindrance(name="unanswered", reason=reason) if kind_of(reason) == "unanswered" else None


def _damage(store: Store) -> str:
    if store.gauges.rescued:
        return "copied"
    return "taken" if store.gauges.taken_away else "damaged"


def kind_of(reason: str) -> Kind:
    """What hinders a commit, by the code with which `error_codes.reason_of` begins."""
    code = reason.partition(":")[0]
    return next((kind for codes, kind in KINDS if code.startswith(codes)), "other")


def _remedies(name: str, store: Store | Waiting, known: Known, t: Translation) -> list[Remedy]:
    def do(text: str, command: str = "") -> Remedy:
        return Remedy(text=text, command=command)

    path = database_path(store.settings)
    log = Remedy(text=t("The log says more:"), command=JOURNAL)
    if name == "missing":
        return _remedies_of_missing(store, known, t)
    if name == "copied" and isinstance(store, Store):
        return [
            do(
                t("Stop the service, restore the copy, start it again:"),
                restore(str(path.with_name(store.gauges.rescued))),
            )
        ]
    found = {
        "damaged": [_restore(known, t), log],
        "taken": [log],
        "suspected": [
            do(t("Wait, and reload the page.")),
            do(t("See what the system says about the card:"), KERNEL),
        ],
        "dead": [do(t("Start the service again; what waits is not lost:"), RESTART), log],
        "full_disk": [do(t("Make room, and see what takes it:"), space(path.parent))],
        "busy": [
            do(
                t(
                    "Find out which program it is, and end it (python of the service's own user "
                    "is the service itself):"
                ),
                holders(path),
            )
        ],
        "denied": [
            do(
                t("Find out who owns the folder, and give it back to the service:"),
                owner_of(path.parent),
            )
        ],
        "card_fails": [
            do(t("See what the system says about the card:"), KERNEL),
            do(
                t("Make a backup onto another disk now:"),
                flask10x("backup", "/mnt/usb/flask10x"),
            ),
        ],
        "unreachable": [do(t("Wait, and reload the page.")), log],
        "elsewhere": [do(t("Wait, and reload the page.")), log],
        "unanswered": [do(t("Wait, and reload the page.")), log],
        "busy_server": [do(t("Wait, and reload the page.")), log],
        "one_machine": [
            do(
                t(
                    "Start the standby, or take its name out of synchronous_standby_names for as "
                    "long as it is away."
                )
            ),
            log,
        ],
        "full_server": [do(t("Make room on the disk of the server.")), log],
        "denied_by_server": [
            do(
                t(
                    "Run the GRANT of the reason as the owner of the tables. Storing resumes by "
                    "itself."
                )
            ),
            log,
        ],
        "standby": [
            do(
                t(
                    "Name the primary in FLASK10X_DATABASE_URL, or all servers of the cluster, "
                    "and restart the service. After a failover wait: the service finds the new "
                    "primary by itself where all are named."
                )
            ),
            log,
        ],
        "row_lost": [
            do(
                t(
                    "Run the INSERT of the reason as the owner of the tables. Storing resumes by "
                    "itself."
                )
            ),
            log,
        ],
    }
    return found.get(name, [log])


def _remedies_of_missing(store: Store | Waiting, known: Known, t: Translation) -> list[Remedy]:
    def do(text: str, command: str = "") -> Remedy:
        return Remedy(text=text, command=command)

    copy = rescued.newest(database_path(store.settings))
    lines = (
        [
            do(
                t("A copy of what it held is beside it. Restore that:"),
                flask10x("restore", str(copy)),
            )
        ]
        if copy
        else []
    )
    lines += [
        do(t("Is it on another disk? Check that it is connected, and mount it:"), MOUNT),
        _restore(known, t),
    ]
    new = do(t("Only if you want to begin with a new one:"), flask10x("migrate", "--new"))
    return [*lines, new, do(t("The service continues by itself within some seconds."))]


def _restore(known: Known, t: Translation) -> Remedy:
    backup = known.backup
    text = (
        t(
            "Stop the service, restore the newest backup, start it again. The damaged "
            "files are kept:"
        )
        if backup
        else t(
            "Stop the service, restore a backup, start it again. Put its path in the place of FILE:"
        )
    )
    return Remedy(text=text, command=restore(str(backup.path) if backup else "FILE"))
