"""Rule `queue`: readings wait, because they come faster than they are stored."""

from collections.abc import Iterable

from flask10x.alerts.alert import Active, Moment, Verdict
from flask10x.config.alerts.rules import Queue
from flask10x.config.settings import Settings
from flask10x.recording.shared_queue import SharedQueues
from flask10x.runtime.alerting.watches.lasting import Lasting
from flask10x.runtime.queue_watch import CALM_SHARE


class LongQueue:
    """Is firing while some worker's queue has reached QUEUE_WARN_THRESHOLD for `for_sec`.

    It is over when for as long all queues were below CALM_SHARE of that.
    """

    def __init__(self, rule: Queue, settings: Settings, queues: SharedQueues) -> None:
        """Nothing is looked at yet."""
        self._rule = rule
        self._settings = settings
        self._queues = queues
        self._lasting = Lasting(rule.for_sec)
        self._is_long: bool | None = None

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`; a look into memory."""
        threshold = self._settings.queue_warn_threshold
        longest = max((self._queues[n].length for n in self._queues.not_empty()), default=0)
        is_active = (self._rule.name, "") in active
        if self._is_long is None:
            self._is_long = is_active
        self._is_long = longest >= (threshold * CALM_SHARE if self._is_long else threshold)
        is_firing = self._lasting.step(self._is_long, now, is_active)
        yield Verdict(
            rule=self._rule.name,
            kind="queue",
            subject="",
            is_firing=is_firing,
            since_ms=self._lasting.since_ms,
            facts={
                "waiting": self._queues.length(),
                "threshold": threshold,
                "capacity": self._settings.write_queue_maxsize,
            },
        )
