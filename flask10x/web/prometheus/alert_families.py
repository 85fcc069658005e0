"""The alerts that are active now."""

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import Metric

from flask10x.alerts.alert import Alert
from flask10x.config.alerts.rules import Alerts
from flask10x.web.prometheus.families import gauges

MS_A_SECOND = 1000


def alerts(rules: Alerts, active: Sequence[Alert]) -> Iterator[Metric]:
    """How many each rule has, also where that is none; and since when each is."""
    number: dict[tuple[str, ...], float] = {(rule.name, rule.kind): 0 for rule in rules.rules}
    since: dict[tuple[str, ...], float] = {}
    for alert in active:
        # A reload may have taken the rule away; its alerts end a moment later.
        rule = alert.rule, alert.kind
        number[rule] = number.get(rule, 0) + 1
        since[*rule, alert.subject] = alert.since_ms / MS_A_SECOND
    text = "Alerts of each rule of alerts.toml that are active."
    yield gauges("alerts_active", text, ("rule", "kind"), number)
    text = "Since when it is wrong, for each active alert; not there once it has ended."
    yield gauges("alert_since_timestamp_seconds", text, ("rule", "kind", "subject"), since)
