"""How long readings are kept, what goes next and when; for who has old ones removed."""

import shlex

from flask10x.config.settings import Settings
from flask10x.readings.times import local_text
from flask10x.runtime.retention.outlook import Outlook
from flask10x.web.pages.status import shell
from flask10x.web.pages.status.answer import Remedy, StatusAnswer
from flask10x.web.pages.status.known import Known
from flask10x.web.texts.catalog import Texts


def answers(settings: Settings, known: Known, t: Texts, now_ms: int) -> tuple[StatusAnswer, ...]:
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
        text=" ".join((t("kept.late"), *why)) if late else t("kept.good"),
        details=details,
        remedies=_remedies(late, t),
    )
    return (answer,)


def _why(one: Outlook, t: Texts) -> str:
    return t(f"kept_why.{one.obstacle or 'other'}", file=one.path or one.station.csv_name)


def _remedies(late: list[Outlook], t: Texts) -> tuple[Remedy, ...]:
    """Each command once."""
    if not late:
        return ()
    found: list[Remedy] = []
    for one in late:
        if one.obstacle == "archived_gone":
            command = shell.flask10x("export", "--archived", f"/.../{one.station.csv_name}")
            found.append(Remedy(text=t("kept.name"), command=command))
        if one.command and "--verify" not in one.command:
            command = shell.flask10x(*shlex.split(one.command)[1:])
            found.append(Remedy(text=t("kept.clear"), command=command))
    look = Remedy(text=t("kept.look"), command=shell.flask10x("export", "--verify"))
    return (*dict.fromkeys(found), look)


def _lines(settings: Settings, one: Outlook, t: Texts) -> tuple[str, ...]:
    name = t.station(one.station)
    lines = [t("kept.days", name=name, days=one.days)]
    if one.gone.last_ms is not None:
        last = local_text(one.gone.last_ms, settings.zone)
        lines.append(t("kept.gone", n=f"{one.gone.readings:,}", time=last))
    if one.oldest_at is not None and one.goes_at is not None:
        oldest, goes = (local_text(ms, settings.zone) for ms in (one.oldest_at, one.goes_at))
        lines.append(t("kept.next", time=oldest, date=goes))
    else:
        lines.append(t("kept.nothing"))
    if one.obstacle:
        lines.append(_why(one, t))
    return (" ".join(lines),)
