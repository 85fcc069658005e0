"""What follows the storing: is it exported, is it backed up, how full is the card?"""

from datetime import tzinfo
from pathlib import Path

from flask10x.config.alerts.rules import BackupOverdue, Disk, ExportOverdue
from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.readings.labels import station_name
from flask10x.readings.times import DAY_MS, local_text
from flask10x.runtime.alerting.verdicts import of_backup, of_disk, of_export, rules_of, worst
from flask10x.runtime.facts.backups import NewestBackup
from flask10x.runtime.facts.card import CardRoom
from flask10x.runtime.facts.export_lag import ExportLag
from flask10x.translation import N_, Translation
from flask10x.web.pages.status import shell
from flask10x.web.pages.status.answer import Mood, Remedy, StatusAnswer
from flask10x.web.pages.status.known import Known

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
        start = Remedy(
            text=t("Write the CSV files each night:"), command=shell.run_timer(shell.EXPORT)
        )
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
            command=shell.run_timer(shell.EXPORT),
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
    start = Remedy(
        text=t("Make one now, and one each night:"), command=shell.run_timer(shell.BACKUP)
    )
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
        command=shell.copy_away(settings.backup_dir, host),
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
        Remedy(text=t("Make room, and see what takes it:"), command=shell.space(folder)),
        Remedy(
            text=t("Keep fewer backups on this card (here 7):"),
            command=shell.flask10x("backup", "--keep", FEWER_BACKUPS),
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
