"""The verdicts of rules on the service as a whole: one function for each kind.

The watches of the rules and the page `/status` call the same functions, so an alert and the page
never differ. Each function gets the rule, its facts, the current time of the wall clock in UTC
epoch milliseconds, and the active alert of the rule, if there is one.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from flask10x.alerts.alert import Alert, Verdict
from flask10x.config.alerts.rules import Alerts, BackupOverdue, Disk, ExportOverdue
from flask10x.runtime.facts import ExportLag, NewestBackup, Room

# This much more than the limit must be free to resolve the alert, or a rotated log would do it.
CLEAR_POINTS = 1

R = TypeVar("R", Disk, ExportOverdue, BackupOverdue)


def rules_of(alerts: Alerts, usual: R) -> tuple[R, ...]:
    """Return the enabled rules of this kind, or the usual one where there is none."""
    return tuple(rule for rule in alerts.rules if isinstance(rule, type(usual))) or (usual,)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the first verdict that is firing, or else the first."""
    candidates = tuple(verdicts)
    return next((verdict for verdict in candidates if verdict.is_firing), candidates[0])


def of_disk(rule: Disk, room: Room, now_ms: int, alert: Alert | None) -> Verdict:
    """Fires while less than `free_percent` is free; CLEAR_POINTS more resolve it."""
    limit = rule.free_percent if alert is None else rule.free_percent + CLEAR_POINTS
    return Verdict(
        rule=rule.name,
        kind="disk",
        subject="",
        is_firing=room.free_percent < limit,
        since_ms=now_ms if alert is None else alert.since_ms,
        facts={
            "free_bytes": room.free,
            "free_percent": round(room.free_percent, 1),
            "total_bytes": room.total,
        },
    )


def of_backup(
    rule: BackupOverdue,
    newest: NewestBackup | None,
    began_at: int | None,
    now_ms: int,
    alert: Alert | None,
) -> Verdict:
    """Fires while the newest backup is older than `after_sec`.

    Without a backup the time counts from `began_at`, when the first reading came or the first
    import was made; it is None while there was neither, and then no backup is overdue.
    """
    base_ms = began_at if newest is None else newest.made_at
    is_firing: bool | None = False
    since_ms = now_ms
    if base_ms is not None:
        due_ms = base_ms + rule.after_sec * 1000
        is_firing = now_ms > due_ms
        since_ms = due_ms if is_firing else now_ms
        if not is_firing and _is_clock_behind(now_ms, alert):
            is_firing = None
    return Verdict(
        rule=rule.name,
        kind="backup",
        subject="",
        is_firing=is_firing,
        since_ms=since_ms,
        facts={"newest_at": newest.made_at if newest else None, "after_sec": rule.after_sec},
    )


def of_export(
    rule: ExportOverdue, lags: Sequence[ExportLag], now_ms: int, alert: Alert | None
) -> Verdict:
    """Fires while a reading waits for longer than `after_sec` for its CSV file."""
    after_ms = rule.after_sec * 1000
    overdue = [
        (lag.oldest_at, lag)
        for lag in lags
        if lag.oldest_at is not None and now_ms - lag.oldest_at > after_ms
    ]
    if not overdue:
        is_firing = None if _is_clock_behind(now_ms, alert) else False
        return Verdict(
            rule=rule.name, kind="export", subject="", is_firing=is_firing, since_ms=now_ms
        )
    oldest_at, lag = min(overdue, key=lambda pair: pair[0])
    return Verdict(
        rule=rule.name,
        kind="export",
        subject="",
        is_firing=True,
        since_ms=oldest_at + after_ms,
        facts={
            "oldest_at": oldest_at,
            "readings": sum(late.waiting for _, late in overdue),
            "station": lag.station.endpoint,
        },
    )


def _is_clock_behind(now_ms: int, alert: Alert | None) -> bool:
    """Whether the alert fired after the current time: then the wall clock is wrong, as after a
    boot.

    Rules that count days can't be decided until it is set.
    """
    return alert is not None and now_ms < alert.firing_since_ms
