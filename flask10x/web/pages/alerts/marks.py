"""Alerts on the history page: on the card of their station, and as spans of the charts."""

from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from flask10x.alerts import state_file
from flask10x.alerts.alert import Alert
from flask10x.alerts.subjects import column_of, station_of
from flask10x.config.settings import Settings
from flask10x.history.charts import Chart
from flask10x.translation import Translation
from flask10x.web.alert_state import state
from flask10x.web.pages.alerts.model import AlertReader, AlertWords

# A chart that is shaded all over tells nothing.
MOST_SPANS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class CardMark:
    """An active alert on the card of its station."""

    id: int
    title: str
    since: str
    """Local, to the minute."""
    is_muted: bool


def of_stations(settings: Settings, t: Translation, now_ms: int) -> dict[str, list[CardMark]]:
    """The marks of each endpoint that has any, in the order of their entry."""
    marked: dict[str, list[CardMark]] = {}
    reader = AlertReader(settings, t, now_ms)
    for alert in state().current().active:
        if station_of(alert.subject) in settings.stations.by_endpoint:
            marked.setdefault(station_of(alert.subject), []).append(_mark(alert, reader))
    return marked


def of_chart(chart: Chart, settings: Settings, t: Translation) -> list[dict[str, object]]:
    """The alerts of the lines of a chart, as `/history/series` has them; the oldest first.

    Empty when the state file cannot be read: the chart is drawn without alerts.
    """
    if chart.window is None:
        return []
    shown = {(line.station.endpoint, line.measurement.column) for line in chart.lines}
    endpoints = {endpoint for endpoint, _ in shown}
    alerts = _active_within(chart.window.first_ms, chart.window.last_ms)
    mine = [alert for alert in alerts if _is_shown(alert, shown, endpoints)][:MOST_SPANS]
    return [_span(alert, settings, t) for alert in reversed(mine)]


def _active_within(first_ms: int, last_ms: int) -> list[Alert]:
    """The newest first; none when the state file can't be read."""
    try:
        with state().reading() as connection:
            return state_file.between(connection, first_ms, last_ms + 1) if connection else []
    except DBAPIError:
        return []


def _mark(alert: Alert, reader: AlertReader) -> CardMark:
    return CardMark(
        id=alert.id,
        title=reader.words.title(alert),
        since=reader.instant(alert.since_ms).text,
        is_muted=(alert.muted_until_ms or 0) > reader.now_ms,
    )


def _is_shown(alert: Alert, shown: set[tuple[str, str]], endpoints: set[str]) -> bool:
    endpoint, column = station_of(alert.subject), column_of(alert.subject)
    return (endpoint, column) in shown if column else endpoint in endpoints


def _span(alert: Alert, settings: Settings, t: Translation) -> dict[str, object]:
    return {
        "id": alert.id,
        "endpoint": station_of(alert.subject),
        "measurement": column_of(alert.subject) or None,
        "from_ms": alert.since_ms,
        "to_ms": alert.ended_ms,
        "title": AlertWords(settings, t).title(alert),
    }
