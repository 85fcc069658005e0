"""What follows the storing: is it exported, is it backed up, how full is the card?"""

from datetime import tzinfo
from pathlib import Path

from flask10x.config.alerts.rules import BackupOverdue, Disk, ExportOverdue
from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.readings.times import DAY_MS, local_text
from flask10x.runtime.alerting.verdicts import of_backup, of_disk, of_export, rules_of, worst
from flask10x.runtime.facts.backups import NewestBackup
from flask10x.runtime.facts.card import CardRoom
from flask10x.runtime.facts.export_lag import ExportLag
from flask10x.web.pages.status import shell
from flask10x.web.pages.status.answer import Mood, Remedy, StatusAnswer
from flask10x.web.pages.status.known import Known
from flask10x.web.texts.catalog import Texts

# A month to find another card in.
SOON_DAYS = 30
# Beyond this the card is older than any that was ever sold.
FAR_DAYS = 20 * 365
DAYS_FROM_DAYS, MONTHS_FROM_DAYS, YEARS_FROM_DAYS = 2, 60, 730
SECONDS_A_DAY = 86_400
FEWER_BACKUPS = "7"


def exported(settings: Settings, known: Known, t: Texts, now_ms: int) -> StatusAnswer:
    """Whether the CSV files have all that they should have by now."""
    lags = [one for one in known.exports or [] if one.is_exported]
    if known.exports is None:
        return cannot_tell("exported", known, t)
    if not lags:
        start = Remedy(text=t("exported.start"), command=shell.run_timer(shell.EXPORT))
        text = t("exported.off")
        return StatusAnswer(question="exported", mood="off", text=text, remedies=(start,))
    verdict = worst(
        of_export(rule, lags, now_ms, known.alert_of(rule.name))
        for rule in rules_of(settings.alerts, ExportOverdue())
    )
    if verdict.is_firing:
        again = Remedy(text=t("exported.again"), command=shell.run_timer(shell.EXPORT))
        return StatusAnswer(
            question="exported",
            mood="warn",
            text=t(
                "exported.late",
                time=local_text(int(verdict.facts["oldest_at"] or 0), settings.zone),
            ),
            details=_waiting(lags, t),
            remedies=_there(settings, known, t) or (again,),
        )
    changed = [one.changed_at for one in lags if one.changed_at is not None]
    time = local_text(max(changed), settings.zone) if changed else "–"
    text = t("exported.good", time=time)
    return StatusAnswer(question="exported", mood="good", text=text, details=_waiting(lags, t))


def _there(settings: Settings, known: Known, t: Texts) -> tuple[Remedy, ...]:
    """Where to look, when another host has the files."""
    if known.csv_host in (None, settings.host_name):
        return ()
    return (Remedy(text=t("exported.elsewhere", host=known.csv_host)),)


def _waiting(lags: list[ExportLag], t: Texts) -> tuple[str, ...]:
    return tuple(
        t("exported.waiting", name=t.station(one.station), n=f"{one.waiting:,}")
        for one in lags
        if one.waiting
    )


def backed_up(settings: Settings, known: Known, t: Texts, now_ms: int, host: str) -> StatusAnswer:
    """Whether there is a backup that is not too old; where it lies."""
    if "backup" in known.reasons or (known.backup is None and not known.is_there):
        return cannot_tell("backed_up", known, t, "backup")
    start = Remedy(text=t("backed_up.start"), command=shell.run_timer(shell.BACKUP))
    backup = known.backup
    is_overdue = worst(
        of_backup(rule, backup, known.began_at, now_ms, known.alert_of(rule.name))
        for rule in rules_of(settings.alerts, BackupOverdue())
    ).is_firing
    if backup is None:
        text = t("backed_up.none", folder=settings.backup_dir)
        mood: Mood = "warn" if is_overdue or known.stored is None else "off"
        return StatusAnswer(question="backed_up", mood=mood, text=text, remedies=(start,))
    values = {"time": local_text(backup.made_at, settings.zone), "size": size(backup.bytes)}
    if is_overdue:
        values["age"] = t.lasting("span", backup.age_sec(now_ms))
    copy = Remedy(text=t("backed_up.copy"), command=shell.copy_away(settings.backup_dir, host))
    beside = _is_on_same_disk(backup, database_path(settings))
    return StatusAnswer(
        question="backed_up",
        mood="warn" if is_overdue else "good",
        text=t("backed_up.old" if is_overdue else "backed_up.good", **values),
        details=(t("backed_up.same_disk"),) if beside else (),
        remedies=(*((start,) if is_overdue else ()), *((copy,) if beside else ())),
    )


def card(settings: Settings, known: Known, t: Texts, now_ms: int) -> StatusAnswer:
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
    text = t("room.low" if low else "room.soon" if soon else "room.good", **values)
    return StatusAnswer(
        question="card",
        mood="wrong" if low else "warn" if soon else "good",
        text=text,
        details=_pace(found, t, now_ms, settings.zone),
        remedies=_more_room(settings, t) if low or soon else (),
    )


def _pace(found: CardRoom, t: Texts, now_ms: int, zone: tzinfo | None) -> tuple[str, ...]:
    if found.bytes_a_day is None:
        return (t("room.unknown_pace"),)
    pace, days = t("room.pace", size=size(found.bytes_a_day)), found.full_in_days
    if days is None or days > FAR_DAYS:
        return (pace, t("room.never"))
    date = local_text(now_ms + round(days * DAY_MS), zone).partition(" ")[0]
    return (pace, t("room.full", span=_days(days, t), date=date))


def _more_room(settings: Settings, t: Texts) -> tuple[Remedy, ...]:
    folder = database_path(settings).parent
    return (
        Remedy(text=t("do.space"), command=shell.space(folder)),
        Remedy(text=t("room.fewer"), command=shell.flask10x("backup", "--keep", FEWER_BACKUPS)),
        Remedy(text=t("room.bigger")),
    )


def _days(days: float, t: Texts) -> str:
    if days >= YEARS_FROM_DAYS:
        return t("room.years", n=int(days / 365))
    if days >= MONTHS_FROM_DAYS:
        return t("room.months", n=int(days / 30))
    if days >= DAYS_FROM_DAYS:
        return t("room.days", n=int(days))
    return t.lasting("span", int(days * SECONDS_A_DAY))


def cannot_tell(question: str, known: Known, t: Texts, *parts: str) -> StatusAnswer:
    """That it can't be told, and the reason: that of the first of these parts that has one."""
    names = (*parts, question, "database")
    reason = next((known.reasons[name] for name in names if name in known.reasons), "")
    text = t("status.unseen" if reason else "status.no_database")
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
