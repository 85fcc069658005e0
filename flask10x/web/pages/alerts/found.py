"""What the state file holds for one answer: all of it from one state of the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from flask10x.alerts import stored_alerts
from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.stored_alerts import Mute
from flask10x.system import clock
from flask10x.web.alert_state import state
from flask10x.web.pages.alerts.asked import AskedAlerts


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundAlerts:
    """Alerts, mutes and messages; nothing where there is no state file."""

    active: Sequence[Alert] = ()
    past: Sequence[Alert] = ()
    """The newest first."""
    has_older: bool = False
    muted: Sequence[Mute] = ()
    messages: Mapping[int, Sequence[AlertMessage]] = field(default_factory=dict)
    """Those of these alerts, by the alert's id."""
    troubled: Sequence[tuple[AlertMessage, Alert | None]] = ()
    """The messages that have not arrived, each with its alert; None for one that has none."""


def find(question: AskedAlerts) -> FoundAlerts:
    """What is there now; raises sqlalchemy.exc.DBAPIError when the file can't be read."""
    with state().reading() as connection:
        return FoundAlerts() if connection is None else _read(connection, question)


def _read(connection: Connection, question: AskedAlerts) -> FoundAlerts:
    now_ms = clock.now_ms()
    active = stored_alerts.active(connection, now_ms)
    past = stored_alerts.past(connection, question.before, question.limit + 1)
    shown = past[: question.limit]
    return FoundAlerts(
        active=active,
        past=shown,
        has_older=len(past) > len(shown),
        muted=stored_alerts.muted(connection, now_ms),
        messages=stored_alerts.messages_of(connection, [one.id for one in (*active, *shown)]),
        troubled=_troubled(connection),
    )


def _troubled(connection: Connection) -> list[tuple[AlertMessage, Alert | None]]:
    found = stored_alerts.troubled(connection)
    alerts = stored_alerts.by_id(
        connection, {one.alert_id for one in found if one.alert_id is not None}
    )
    return [(one, alerts.get(one.alert_id or 0)) for one in found]
