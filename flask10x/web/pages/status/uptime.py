"""`/api/v1/uptime`: which share of its readings each station sent, for programs."""

from dataclasses import asdict

from flask import Response, jsonify

from flask10x.history.uptime import uptime
from flask10x.readings.times import SECOND_MS, iso_text
from flask10x.web import context


def as_uptime() -> Response:
    """Days, months and gaps of each station; times are local with their offset."""
    with context.view() as view:
        model = uptime(view)
    zone = context.store().settings.zone
    return jsonify(
        until=iso_text(model.until_ms, zone),
        prepared=model.is_prepared,
        stations={
            each.station.endpoint: {
                "first": iso_text(each.first_ms, zone),
                "usual_interval_seconds": each.usual_sec,
                "days": [asdict(day) | {"share": day.share} for day in each.days],
                "months": [asdict(month) | {"share": month.share} for month in each.months],
                "gaps": [
                    {
                        "from": iso_text(gap.first_ms, zone),
                        "to": iso_text(gap.end_ms, zone),
                        "seconds": (gap.end_ms - gap.first_ms) // SECOND_MS,
                    }
                    for gap in each.gaps
                ],
            }
            for each in model.stations
        },
    )
