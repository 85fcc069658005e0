"""What has to last before it is an alert, and to be away as long before the alert is over."""

from flask10x.alerts.alert import Moment


class Lasting:
    """For how long something holds; lengths of time go by the clock that nobody can set."""

    def __init__(self, for_sec: int) -> None:
        """Nothing holds yet."""
        self._for_ms = for_sec * 1000
        self._holds: bool | None = None
        self._changed_ms = 0
        self.since_ms = 0
        """Since when it holds or does not, in UTC epoch milliseconds."""

    def step(self, holds: bool, now: Moment, is_active: bool) -> bool:
        """Whether it is an alert now; `is_active` is whether it was."""
        if holds != self._holds:
            self._holds = holds
            self._changed_ms = now.monotonic_ms
            self.since_ms = now.wall_ms
        if holds == is_active:
            return is_active
        has_lasted = now.monotonic_ms - self._changed_ms >= self._for_ms
        return holds if has_lasted else is_active
