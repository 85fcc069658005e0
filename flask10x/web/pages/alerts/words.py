"""An alert in words: those of its messages, for what a phone says and a page says is the same."""

from flask10x.alerts.alert import Alert
from flask10x.alerts.messages import Speaker
from flask10x.config.alerts.rules import Rate, Rule
from flask10x.config.settings import Settings
from flask10x.readings.times import is_date, local_text
from flask10x.system.log_lines import escape
from flask10x.translation import Translation

# `2025-08-24 09:00`: nobody reads seconds here.
TO_THE_MINUTE = 16


class AlertWords:
    """Alerts in one language, for the stations of these settings."""

    def __init__(self, settings: Settings, t: Translation) -> None:
        self._settings = settings
        self._speaker = Speaker(settings, t.language)

    def title(self, alert: Alert) -> str:
        """What is wrong with what, as the title of its message."""
        return self._speaker.alert(alert, "entry").title

    def lines(self, alert: Alert) -> list[str]:
        """Since when, what is known of it, and what to do."""
        return self._speaker.alert(alert, "entry").body.splitlines()

    def muted(self, rule: str, subject: str) -> str:
        """The title of an alert that there may not be; of a rule that is gone its name."""
        known = self._settings.alerts.by_name.get(rule)
        if known is None:
            return f"{escape(rule)} ({self._speaker.name(subject)})"
        return self.title(_without_facts(known, subject))

    def time(self, ms: int) -> str:
        """Local, to the minute."""
        text = local_text(ms, self._settings.zone)
        return text[:TO_THE_MINUTE] if is_date(ms) else text


def _without_facts(rule: Rule, subject: str) -> Alert:
    return Alert(
        id=0,
        rule=rule.name,
        kind=rule.kind,
        subject=subject,
        since_ms=0,
        entered_ms=0,
        ended_ms=None,
        ended=None,
        facts={"rise": int(rule.rise is not None)} if isinstance(rule, Rate) else {},
        end_facts={},
        muted_until_ms=None,
    )
