"""`/uptime` as a page and as JSON: the share of the expected readings that each station sent."""

from collections.abc import Sequence
from dataclasses import asdict

from flask import Response, jsonify, render_template

from flask10x.config.settings import Settings
from flask10x.history.uptime import Gap, Share, StationUptime, Uptime, uptime
from flask10x.readings.labels import between, moment, period_name, station_name
from flask10x.readings.times import iso_text
from flask10x.translation import N_, Translation
from flask10x.web import context, preferences
from flask10x.web.page import Page

blueprint = Page(
    "uptime", __name__, text=N_("Uptime"), group="house", icon="M5 20V10m5 10V4m5 16v-8m5 8V7"
)


@blueprint.get("/uptime")
def as_page() -> str:
    """Tables of the days and of the months, a column a station, and the longest gaps."""
    model, settings, t = _uptime(), context.store().settings, preferences.texts()
    return render_template(
        "uptime/template.html",
        model=model,
        names=[station_name(station.station, t) for station in model.stations],
        tables=(
            (t("The last 30 days"), t("Day"), _rows([each.days for each in model.stations])),
            (t("The last 12 months"), t("Month"), _rows([each.months for each in model.stations])),
        ),
        gaps=[_gaps(station, settings, t, model.until_ms) for station in model.stations],
        until=moment(model.until_ms, settings.zone, t, model.until_ms),
        percent=_percent,
        period_name=lambda name: period_name(name, t),
    )


@blueprint.get("/api/v1/uptime")
def as_json() -> Response:
    """The same for programs; times are local with their offset."""
    model, zone = _uptime(), context.store().settings.zone
    stations = {station.station.endpoint: station for station in model.stations}
    return jsonify(
        until=iso_text(model.until_ms, zone),
        prepared=model.is_prepared,
        stations={
            endpoint: {
                "first": iso_text(station.first_ms, zone),
                "usual_interval_seconds": station.usual_sec,
                "days": [asdict(each) | {"share": each.share} for each in station.days],
                "months": [asdict(each) | {"share": each.share} for each in station.months],
                "gaps": [
                    {
                        "from": iso_text(gap.first_ms, zone),
                        "to": iso_text(gap.end_ms, zone),
                        "seconds": _seconds(gap),
                    }
                    for gap in station.gaps
                ],
            }
            for endpoint, station in stations.items()
        },
    )


def _uptime() -> Uptime:
    with context.view() as view:
        return uptime(view)


def _rows(columns: Sequence[Sequence[Share]]) -> list[tuple[Share, ...]]:
    """The days or months of all stations, without those before the first reading of all."""
    rows = zip(*columns, strict=True)
    return [row for row in rows if any(share.readings or share.expected for share in row)]


def _percent(share: Share) -> str:
    """Rounded down, so that 100 % is all of them; a dash before the first reading."""
    return "–" if share.share is None else f"{int(share.share * 1000) / 10:g} %"


def _gaps(station: StationUptime, settings: Settings, t: Translation, until_ms: int) -> list[str]:
    return [
        t(
            "{period} ({duration})",
            period=between(gap.first_ms, gap.end_ms, settings.zone, t, until_ms),
            duration=t.exactly(_seconds(gap)),
        )
        for gap in station.gaps
    ]


def _seconds(gap: Gap) -> int:
    return (gap.end_ms - gap.first_ms) // 1000
