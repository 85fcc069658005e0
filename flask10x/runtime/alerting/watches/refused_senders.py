"""Rule `refused`: a sender of which so many readings were refused within a time."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator

from flask10x.alerts.alert import Active, Alert, Moment, Verdict
from flask10x.config.alerts.rules import RefusedSender
from flask10x.readings.reasons import in_language
from flask10x.runtime.alerting.watches.new_readings import AHEAD_MS
from flask10x.runtime.alerting.watches.new_refusals import NewRefusals, RefusedReading
from flask10x.translation import translation

# It is over when fewer than this share of the limit were refused within the time.
CLEAR_SHARE = 0.5
# So many times are kept of each sender; the number of a message is no higher.
TIMES_MAX = 10_000


class RefusedSenders:
    """Is firing for each station of which `readings` were refused within `within_sec`."""

    def __init__(
        self, rule: RefusedSender, endpoints: Collection[str], refusals: NewRefusals
    ) -> None:
        """`refusals` must have these endpoints."""
        self._rule = rule
        self._endpoints = tuple(endpoints)
        self._refusals = refusals
        # When each came, by the clock that nobody can set; before the service started by the other.
        self._times: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=TIMES_MAX))
        self._newest: dict[str, RefusedReading] = {}

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`; of stations of which none was refused it says nothing."""
        for refusal in self._refusals.of(now):
            # By a clock that was not set yet since the boot nobody can tell how long ago it came.
            is_known = refusal.received_at <= now.wall_ms + AHEAD_MS
            if refusal.endpoint in self._endpoints and is_known:
                ago_ms = max(0, now.wall_ms - refusal.received_at)
                self._times[refusal.endpoint].append(now.monotonic_ms - ago_ms)
                self._newest[refusal.endpoint] = refusal
        for endpoint in self._endpoints:
            alert = active.get((self._rule.name, endpoint))
            if alert is not None or endpoint in self._times:
                yield from self._verdicts(endpoint, now, alert)

    def _verdicts(self, endpoint: str, now: Moment, alert: Alert | None) -> Iterator[Verdict]:
        times = self._times[endpoint]
        while times and times[0] <= now.monotonic_ms - self._rule.within_sec * 1000:
            times.popleft()
        share = 1 if alert is None else CLEAR_SHARE
        is_firing = bool(times) and len(times) >= self._rule.readings * share
        newest = self._newest.get(endpoint)
        field, reason = next(iter(newest.reasons.items()), ("", "")) if newest else ("", "")
        yield Verdict(
            rule=self._rule.name,
            kind="refused",
            subject=endpoint,
            is_firing=is_firing,
            since_ms=now.wall_ms - (now.monotonic_ms - times[0] if is_firing else 0),
            facts={
                "readings": len(times),
                "within_sec": self._rule.within_sec,
                "reason": str(reason) or None,
                "reason_ja": in_language(reason, translation("ja")) or None,
                "field": field or None,
            },
        )
