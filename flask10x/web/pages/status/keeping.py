"""How long readings are kept, what goes next and when; for who has old ones removed."""

import shlex

from flask10x.config.settings import Settings
from flask10x.readings.labels import station_name
from flask10x.readings.times import local_text
from flask10x.runtime.retention.outlook import Outlook
from flask10x.translation import N_, Translation
from flask10x.web.pages.status import shell
from flask10x.web.pages.status.answer import Remedy, StatusAnswer
from flask10x.web.pages.status.known import Known

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


def answers(
    settings: Settings, known: Known, t: Translation, now_ms: int
) -> tuple[StatusAnswer, ...]:
    """None where no station has its readings removed, and where that can't be told."""
    found = known.kept
    if not found:
        return ()
    late = [one for one in found if one.is_late(now_ms)]
    details = tuple(line for one in found for line in _lines(settings, one, t))
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
        remedies=_remedies(late, t),
    )
    return (answer,)


def _why(one: Outlook, t: Translation) -> str:
    return t(REASONS[one.obstacle or "other"], file=one.path or one.station.csv_name)


def _remedies(late: list[Outlook], t: Translation) -> tuple[Remedy, ...]:
    """Each command once."""
    if not late:
        return ()
    found: list[Remedy] = []
    for one in late:
        if one.obstacle == "archived_gone":
            command = shell.flask10x("export", "--archived", f"/.../{one.station.csv_name}")
            found.append(Remedy(text=t("If the file was moved, say where it is:"), command=command))
        if one.command and "--verify" not in one.command:
            command = shell.flask10x(*shlex.split(one.command)[1:])
            found.append(Remedy(text=t("This fixes it:"), command=command))
    look = Remedy(
        text=t("Compare the CSV files with the database:"),
        command=shell.flask10x("export", "--verify"),
    )
    return (*dict.fromkeys(found), look)


def _lines(settings: Settings, one: Outlook, t: Translation) -> tuple[str, ...]:
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
