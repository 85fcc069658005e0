"""A clock that a test moves, and what a watch decides at it."""

from collections.abc import Iterable

from flask10x.alerts.alert import Alert, Moment, Verdict, Watch
from flask10x.config.alerts.rules import Kind

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
NINE_MS = 1_756_000_000_000


class Clock:
    """Both clocks of a machine."""

    def __init__(self) -> None:
        self.wall_ms = NINE_MS
        self.monotonic_ms = 50_000

    def moment(self, *, after_sec: float = 0) -> Moment:
        """Now, or some seconds later; the clocks stay there."""
        self.wall_ms += int(after_sec * 1000)
        self.monotonic_ms += int(after_sec * 1000)
        return Moment(self.wall_ms, self.monotonic_ms)


class Noted:
    """What the watcher does with verdicts: an alert from the first that is firing to one that is
    not."""

    def __init__(self) -> None:
        self.active: dict[tuple[str, str], Alert] = {}
        self.changes: list[str] = []
        self.last: dict[str, Verdict] = {}

    def step(self, watch: Watch, now: Moment) -> list[str]:
        """Return the changes: `+subject` when it fires, `-subject` when it is resolved."""
        changes = []
        for verdict in watch.step(now, self.active):
            key = (verdict.rule.name, verdict.subject)
            self.last[verdict.subject] = verdict
            if verdict.is_firing and key not in self.active:
                self.active[key] = alert_of(verdict, now)
                changes.append(f"+{verdict.subject}")
            elif verdict.is_firing is False and key in self.active:
                del self.active[key]
                changes.append(f"-{verdict.subject}")
        self.changes += changes
        return changes


def alert_of(verdict: Verdict, now: Moment) -> Alert:
    """The alert that this verdict makes."""
    return active_alert(
        verdict.rule.name,
        verdict.rule.kind,
        verdict.subject,
        verdict.since_ms,
        firing_since_ms=now.wall_ms,
    )


def active_alert(
    rule: str, kind: Kind, subject: str, since_ms: int, *, firing_since_ms: int = NINE_MS
) -> Alert:
    """An alert as the state file has it."""
    return Alert(
        id=1,
        rule=rule,
        kind=kind,
        subject=subject,
        since_ms=since_ms,
        firing_since_ms=firing_since_ms,
        ended_ms=None,
        ended=None,
        facts={},
        end_facts={},
        muted_until_ms=None,
        reminded_ms=firing_since_ms,
    )


def firing(verdicts: Iterable[Verdict]) -> list[bool | None]:
    """Whether each is firing."""
    return [verdict.is_firing for verdict in verdicts]
