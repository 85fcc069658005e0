"""An alert in words, as pages say it."""

from collections.abc import Callable
from typing import Any

from flask10x.alerts.alert import Alert
from flask10x.config.alerts.rules import Kind
from flask10x.config.settings import Settings
from flask10x.readings.times import is_date, local_text
from flask10x.system.log_lines import escape
from flask10x.web.alerts.subjects import column_of, name_of
from flask10x.web.texts.catalog import Texts

MS_PER_SEC = 1000
# `2025-08-24 09:00`: nobody reads seconds here.
TO_THE_MINUTE = 16
# Numbers with more digits than a sensor has tell nothing.
DIGITS = 5


class AlertWords:
    """Alerts in one language, for the stations of these settings."""

    def __init__(self, settings: Settings, t: Texts) -> None:
        self._settings, self._t = settings, t

    def title(self, alert: Alert) -> str:
        """What is wrong with what: `Bedroom CO₂ above 1500 ppm`."""
        limit = self._value(alert, "limit")
        if alert.kind == "threshold" and limit:
            side = "alert.above" if alert.facts.get("above") else "alert.below"
            return self._t(side, name=self._name(alert.subject), limit=limit)
        if alert.kind == "rate" and "rise" in alert.facts:
            way = "alert.rise" if alert.facts["rise"] else "alert.fall"
            return self._t(way, name=self._name(alert.subject))
        return self._of_kind(alert.kind, alert.subject)

    def muted(self, rule: str, subject: str) -> str:
        """The same for a rule and a subject without an alert; a rule that is gone by its name."""
        known = self._settings.alerts.by_name.get(rule)
        if known is None:
            return f"{escape(rule)} ({self._name(subject)})"
        return self._of_kind(known.kind, subject)

    def lines(self, alert: Alert, now_ms: int) -> list[str]:
        """Since when, and what is known of it, a sentence each."""
        span = self._t.lasting("span", max(0, now_ms - alert.since_ms) // MS_PER_SEC)
        return [
            self._t("alert.since", time=self.time(alert.since_ms), span=span),
            *self._known(alert),
        ]

    def time(self, ms: int) -> str:
        """Local, to the minute."""
        text = local_text(ms, self._settings.zone)
        return text[:TO_THE_MINUTE] if is_date(ms) else text

    def _known(self, alert: Alert) -> list[str]:
        t, facts = self._t, alert.facts
        told: dict[str, Callable[[Any], str]] = {
            "last_received_at": lambda ms: t("alert.received", time=self.time(int(ms))),
            "values": lambda text: t("alert.values", values=escape(str(text))),
            "value": lambda _: t("alert.value", value=self._value(alert, "value")),
            "last_value": lambda _: t("alert.last_value", value=self._value(alert, "last_value")),
            "waiting": lambda n: t("alert.waiting", n=n),
            "free_percent": lambda _: t("alert.free", n=self._number(alert, "free_percent")),
            "full_in_days": lambda _: t("alert.full_in", n=self._number(alert, "full_in_days")),
            "reason": lambda text: f"{t('alert.reason')} {escape(str(text))}",
        }
        return [say(facts[name]) for name, say in told.items() if facts.get(name) is not None]

    def _of_kind(self, kind: Kind, subject: str) -> str:
        return self._t(f"alert.{kind}", name=self._name(subject))

    def _name(self, subject: str) -> str:
        return name_of(subject, self._settings.stations, self._t)

    def _number(self, alert: Alert, fact: str) -> str:
        value = alert.facts.get(fact)
        if isinstance(value, int | float):
            return f"{value:.{DIGITS}g}"
        return "" if value is None else escape(value)

    def _value(self, alert: Alert, fact: str) -> str:
        """A fact with its unit; empty when there is none."""
        number = self._number(alert, fact)
        measurement = self._settings.stations.by_column.get(column_of(alert.subject))
        unit = alert.facts.get("unit") or (measurement.unit if measurement else "")
        return f"{number} {escape(str(unit))}".rstrip() if number else ""
