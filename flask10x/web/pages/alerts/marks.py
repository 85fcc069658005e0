"""Alerts on the history page: on the card of their station, and as spans of the charts."""

from sqlalchemy.exc import DBAPIError

from flask10x.alerts import state_file
from flask10x.alerts.alert import Alert
from flask10x.alerts.subjects import column_of, station_of
from flask10x.config.settings import Settings
from flask10x.history.charts import Chart
from flask10x.translation import Translation
from flask10x.web.alert_state import state
from flask10x.web.pages.alerts.model import AlertReader

# A chart that is shaded all over tells nothing.
MOST_SPANS = 200


def of_stations(settings: Settings) -> dict[str, list[Alert]]:
    """The active alerts of each endpoint that has any, in the order of their entry."""
    marked: dict[str, list[Alert]] = {}
    for alert in state().current().active:
        if station_of(alert.subject) in settings.stations.by_endpoint:
            marked.setdefault(station_of(alert.subject), []).append(alert)
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
    reader = AlertReader(settings, t, 0)
    return [_span(alert, reader) for alert in reversed(mine)]


def _active_within(first_ms: int, last_ms: int) -> list[Alert]:
    """The newest first; none when the state file can't be read."""
    try:
        with state().reading() as connection:
            return state_file.between(connection, first_ms, last_ms + 1) if connection else []
    except DBAPIError:
        return []


def _is_shown(alert: Alert, shown: set[tuple[str, str]], endpoints: set[str]) -> bool:
    endpoint, column = station_of(alert.subject), column_of(alert.subject)
    return (endpoint, column) in shown if column else endpoint in endpoints


def _span(alert: Alert, reader: AlertReader) -> dict[str, object]:
    return {
        "id": alert.id,
        "endpoint": station_of(alert.subject),
        "measurement": column_of(alert.subject) or None,
        "from_ms": alert.since_ms,
        "to_ms": alert.ended_ms,
        "title": reader.title(alert),
    }
