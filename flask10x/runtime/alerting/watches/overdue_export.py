"""Rule `export`: readings that are in no CSV file for long."""

from collections.abc import Callable, Sequence

from flask10x.alerts.alert import Active, Moment, Verdict
from flask10x.config.alerts.rules import ExportOverdue
from flask10x.runtime.alerting.watches.slow_watch import SlowWatch, is_clock_behind
from flask10x.runtime.facts.export_lag import ExportLag


class OverdueExport(SlowWatch):
    """Is firing while a reading waits for longer than `after_sec`, in any of the files.

    Only files that an export has written before count. It is over with the export.
    """

    def __init__(self, rule: ExportOverdue, lags: Callable[[], Sequence[ExportLag]]) -> None:
        """`lags` looks into the database."""
        super().__init__()
        self._rule = rule
        self._lags = lags

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        overdue = [
            (lag.oldest_at, lag)
            for lag in self._lags()
            if lag.oldest_at is not None
            and now.wall_ms - lag.oldest_at > self._rule.after_sec * 1000
        ]
        if not overdue:
            is_firing = None if is_clock_behind(now, active, self._rule.name) else False
            return [self._verdict(is_firing, now.wall_ms)]
        oldest_at, lag = min(overdue, key=lambda pair: pair[0])
        return [
            self._verdict(
                True,
                oldest_at + self._rule.after_sec * 1000,
                oldest_at=oldest_at,
                readings=sum(each.waiting for _, each in overdue),
                station=lag.station.endpoint,
            )
        ]

    def _verdict(self, is_firing: bool | None, since_ms: int, **facts: int | str) -> Verdict:
        return Verdict(
            rule=self._rule.name,
            kind="export",
            subject="",
            is_firing=is_firing,
            since_ms=since_ms,
            facts=facts,
        )
