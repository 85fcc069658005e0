"""What the charts of the page can be compared with."""

from collections.abc import Collection

from flask10x.history.comparing.moves import MOVES
from flask10x.readings.stations import Stations
from flask10x.web.pages.history.model import Choice
from flask10x.web.texts.catalog import Texts


def comparisons(
    chosen: str, endpoints: Collection[str], stations: Stations, t: Texts
) -> list[Choice]:
    """The choices: nothing, another time, or a station while the charts have only others.

    `endpoints` are the stations that the charts have; none of them means all.
    """
    names = {name: t(f"compare.{name}") for name in MOVES}
    for station in stations.all if endpoints else ():
        if station.endpoint not in endpoints:
            names.setdefault(station.endpoint, t.station(station))
    labels = {name: t("compare.with", name=label) for name, label in names.items()}
    none = Choice(value="", label=t("compare.none"), chosen=False)
    return [
        none,
        *(Choice(value=v, label=label, chosen=v == chosen) for v, label in labels.items()),
    ]
