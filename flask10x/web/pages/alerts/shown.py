"""An alert, a mute and a message as the page shows them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from flask import url_for

from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.alerts.messages import trouble_in
from flask10x.alerts.stored_alerts import Mute
from flask10x.alerts.subjects import column_of, station_of
from flask10x.config.settings import Settings
from flask10x.readings.times import HOUR_MS, is_date, iso_text, local_text
from flask10x.system.log_lines import escape
from flask10x.translation import N_, Translation
from flask10x.web.pages.alerts.model import ShownAlert, ShownMute, ShownTime, ToldMessage
from flask10x.web.pages.alerts.values import OF_VALUES, NewestValue
from flask10x.web.pages.alerts.words import AlertWords

# What a chart shows on both sides of an alert.
AROUND_MS = HOUR_MS
MS_PER_SEC = 1000
# More than a sensor has tell nothing.
DIGITS = 6
OCCASIONS = {
    "entry": N_("Alert"),
    "recovery": N_("Recovery"),
    "reminder": N_("Reminder"),
    "limit": N_("Note that the day's limit is reached"),
    "test": N_("Test"),
}
UNSENT = {
    "muted": N_("{occasion} by {way}: not sent, because it was muted"),
    "over_limit": N_("{occasion} by {way}: not sent, because the day's limit was reached"),
    "dropped": N_("{occasion} by {way}: not sent, because it is no longer watched"),
}
"""Why a message was not sent."""


@dataclass(frozen=True, slots=True)
class AlertReader:
    """Who looks, and when."""

    settings: Settings
    t: Translation
    now_ms: int
    values: Mapping[str, NewestValue] = field(default_factory=dict)
    """The newest ones, by the subject of an alert."""

    @property
    def words(self) -> AlertWords:
        """Alerts in this reader's language."""
        return AlertWords(self.settings, self.t)

    def instant(self, ms: int) -> ShownTime:
        """A time for this reader."""
        return ShownTime(text=self.words.time(ms), iso=iso_text(ms, self.settings.zone))

    def alert(self, alert: Alert, messages: Sequence[AlertMessage]) -> ShownAlert:
        """An alert with its messages, the oldest first."""
        ended, (see_url, see) = alert.ended_ms, self._see(alert)
        last_ms = self.now_ms if ended is None else ended
        sent = dict.fromkeys(one.way for one in messages if one.state == "sent")
        return ShownAlert(
            id=alert.id,
            rule=alert.rule,
            subject=alert.subject,
            title=self.words.title(alert),
            lines=self._lines(alert) if ended is None else (),
            since=self.instant(alert.since_ms),
            ended=None if ended is None else self.instant(ended),
            lasting=self.t.duration(max(0, last_ms - alert.since_ms) // MS_PER_SEC),
            is_recovered=alert.ended == "recovered",
            muted_until=self._muted(alert),
            told=[self.told(one) for one in messages],
            ways=self.t.listed(map(escape, sent)),
            next_reminder=self._next(alert, messages),
            see_url=see_url,
            see=see,
        )

    def mute(self, mute: Mute) -> ShownMute:
        """A mute that has not ended."""
        return ShownMute(
            rule=mute.rule,
            subject=mute.subject,
            title=self.words.muted(mute.rule, mute.subject),
            until=self.instant(mute.until_ms),
        )

    def told(self, message: AlertMessage, of: Alert | None = None) -> ToldMessage:
        """What became of a message; apart from its alert, `of` says what it is about."""
        return ToldMessage(
            about="" if of is None else self.words.title(of),
            text=self._told(message),
            trouble="" if message.state == "sent" else self._why(message.trouble),
            is_bad=message.state == "given_up"
            or (message.state == "waiting" and bool(message.trouble)),
        )

    def _lines(self, alert: Alert) -> list[str]:
        """As it was at its entry; behind the first, what it is now."""
        lines, newest = self.words.lines(alert), self.values.get(alert.subject)
        if newest is None or alert.kind not in OF_VALUES:
            return lines
        value, at = f"{newest.value:.{DIGITS}g} {newest.unit}".rstrip(), newest.received_at
        text = self.t("Last value: {value} ({time})", value=value, time=self.instant(at).text)
        return [*lines[:1], text, *lines[1:]]

    def _told(self, one: AlertMessage) -> str:
        t, occasion = self.t, self.t(OCCASIONS[one.occasion])
        values = {"way": escape(one.way), "occasion": occasion}
        settled = "" if one.settled_ms is None else self.instant(one.settled_ms).text
        if one.state == "sent":
            return t("{time}: {occasion} sent by {way}", time=settled, **values)
        if one.state == "given_up":
            return t(
                "{occasion} by {way}: given up at {time} (tries: {n})",
                time=settled,
                n=one.tries,
                **values,
            )
        if one.state != "waiting":
            return t(UNSENT[one.state], **values)
        if one.trouble:
            return t(
                "{occasion} by {way}: failed (tries: {n}), tried again at {time}",
                n=one.tries,
                time=self.instant(one.due_ms).text,
                **values,
            )
        if one.due_ms > self.now_ms:
            return t(
                "{occasion} by {way}: not before {time}",
                time=self.instant(one.due_ms).text,
                **values,
            )
        return t("{occasion} by {way}: about to be sent", **values)

    def _why(self, trouble: str) -> str:
        return escape(trouble_in(self.t.language, trouble))

    def _muted(self, alert: Alert) -> ShownTime | None:
        until = alert.muted_until_ms
        if alert.ended_ms is not None or until is None or until <= self.now_ms:
            return None
        return self.instant(until)

    def _next(self, alert: Alert, messages: Iterable[AlertMessage]) -> ShownTime | None:
        """When the next reminder is due; None where none will come as things are."""
        is_told = any(one.occasion == "entry" and one.state == "sent" for one in messages)
        due_ms = alert.reminded_ms + self.settings.alerts.reminder_after_sec * MS_PER_SEC
        if alert.ended_ms is not None or not is_told or due_ms < self.now_ms:
            return None
        return None if due_ms < (alert.muted_until_ms or 0) else self.instant(due_ms)

    def _see(self, alert: Alert) -> tuple[str, str]:
        """Where to see more of it, and what that is called."""
        station = self.settings.stations.by_endpoint.get(station_of(alert.subject))
        if station is None:
            return url_for("status_page.as_page"), self.t("Status")
        column = column_of(alert.subject)
        asked = {"endpoint": station.endpoint}
        asked |= {"measurement": column} if column in station.columns else {}
        asked |= self._around(alert)
        if alert.kind == "refused":
            return _address("rejected.as_page", asked), self.t("Rejected readings")
        return _address("history_page.as_page", asked), self.t("Chart")

    def _around(self, alert: Alert) -> dict[str, str]:
        """The time of it, with some before and after."""
        zone, start_ms = self.settings.zone, max(0, alert.since_ms - AROUND_MS)
        if not is_date(start_ms):
            return {}
        around = {"from": local_text(start_ms, zone)}
        if alert.ended_ms is not None and alert.ended_ms + AROUND_MS < self.now_ms:
            around["to"] = local_text(alert.ended_ms + AROUND_MS, zone)
        return around


def _address(endpoint: str, asked: dict[str, str]) -> str:
    return f"{url_for(endpoint)}?{urlencode(asked, safe=':')}"
