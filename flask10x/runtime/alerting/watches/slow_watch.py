"""What need not be looked at each second: the disk, the backups, the export."""

from collections.abc import Sequence

from flask10x.alerts.alert import Active, Moment, Verdict

LOOK_EVERY_MS = 60_000


class SlowWatch:
    """A watch that looks once a minute, and says the same between two looks."""

    def __init__(self) -> None:
        self._look_at_ms: int | None = None
        self._found: Sequence[Verdict] = ()
        self._error: Exception | None = None

    def step(self, now: Moment, active: Active) -> Sequence[Verdict]:
        """As `Watch`; raises what the last look has raised until the next one."""
        if self._look_at_ms is None or now.monotonic_ms >= self._look_at_ms:
            self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
            self._error = None
            try:
                self._found = self._look(now, active)
            except Exception as error:
                self._error = error
        if self._error is not None:
            # Or each second would make its traceback longer.
            raise self._error.with_traceback(None)
        return self._found

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        raise NotImplementedError
