"""Are there alerts, and does anybody hear of them?"""

from flask import url_for
from sqlalchemy.exc import DBAPIError

from flask10x.alerts import stored_alerts
from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.state_file import path_of
from flask10x.config.settings import Settings
from flask10x.database.error_codes import reason_of
from flask10x.system.logs import escape
from flask10x.translation import Translation
from flask10x.web.alert_state import AlertState
from flask10x.web.pages.alerts.words import AlertWords
from flask10x.web.pages.status.answer import Remedy, StatusAnswer
from flask10x.web.pages.status.following import cannot_tell
from flask10x.web.pages.status.known import Known

QUESTION = "alerting"


def answer(
    settings: Settings, alerts: AlertState, known: Known, t: Translation, now_ms: int
) -> StatusAnswer:
    """Which alerts are active, and whether messages of them arrive; raises nothing."""
    if not known.is_there and not path_of(settings).exists():
        # Nobody watches then (`runtime/waiting.py`).
        return cannot_tell(QUESTION, known, t)
    found = alerts.known()
    failing, trouble = _failing(alerts)
    if reason := found.trouble or trouble:
        known.reasons[QUESTION] = reason
        return cannot_tell(QUESTION, known, t)
    loud = [one for one in found.active if (one.muted_until_ms or 0) <= now_ms]
    details = [_line(one, settings, t, is_muted=one not in loud) for one in found.active]
    if failing:
        details.append(
            t(
                "A message by “{way}” does not arrive and is tried again: {why}",
                way=escape(failing.way),
                why=escape(failing.trouble),
            )
        )
    if not settings.alerts.ways:
        details.append(t("Notifications are off: alerts.toml names no channel."))
    text = (
        t("Active alerts: {n}", n=len(found.active)) if found.active else t("No alert is active.")
    )
    return StatusAnswer(
        question=QUESTION,
        mood="warn" if loud or failing else "good",
        text=text,
        details=tuple(details),
        remedies=(_page(t),) if found.active or failing else (),
    )


def _failing(alerts: AlertState) -> tuple[AlertMessage | None, str]:
    """The newest message that does not arrive; or why that can't be told."""
    try:
        with alerts.reading() as connection:
            found = stored_alerts.troubled(connection, 1) if connection else []
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
