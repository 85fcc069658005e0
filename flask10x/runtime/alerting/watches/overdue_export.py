"""Rule `export`: readings that are in no CSV file for long."""

from collections.abc import Callable, Sequence

from flask10x.alerts.alert import Active, Moment, Verdict
from flask10x.config.alerts.rules import ExportOverdue
from flask10x.runtime.alerting import verdicts
from flask10x.runtime.alerting.watches.slow_watch import SlowWatch
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
        alert = active.get((self._rule.name, ""))
        return [verdicts.of_export(self._rule, self._lags(), now.wall_ms, alert)]
