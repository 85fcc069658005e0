"""What the charts of the page can be compared with."""

from collections.abc import Collection

from flask10x.readings.labels import station_name
from flask10x.readings.stations import Stations
from flask10x.translation import Translation
from flask10x.web.pages.history.model import Choice


def comparisons(
    chosen: str, endpoints: Collection[str], stations: Stations, t: Translation
) -> list[Choice]:
    """The choices: nothing, another time, or a station while the charts have only others.

    `endpoints` are the stations that the charts have; none of them means all.
    """
    names = {"day": t("previous day"), "week": t("previous week"), "year": t("previous year")}
    for station in stations.all if endpoints else ():
        if station.endpoint not in endpoints:
            names.setdefault(station.endpoint, station_name(station, t))
    labels = {name: t("Compare with {name}", name=label) for name, label in names.items()}
    none = Choice(value="", label=t("Compare with …"), chosen=False)
    return [
        none,
        *(Choice(value=v, label=label, chosen=v == chosen) for v, label in labels.items()),
    ]
