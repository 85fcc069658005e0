"""The setting PARTIAL_READINGS, which depends on the stations that there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from gettext import gettext as _
from typing import Any

from flask10x.errors import wrong_setting
from flask10x.readings.stations import BUILT_IN, Station, Stations


@dataclass(frozen=True, slots=True)
class PartialReadings:
    """What the setting says, before it is known which stations there are."""

    place: str = ""
    raw: Any = ""
    words: Mapping[str, str] = field(default_factory=dict)
    """`accept` or `reject` by endpoint, and by the empty text for those that are not named. Where
    nothing is said the station decides."""

    def endpoints(self, stations: Stations) -> frozenset[str]:
        """The stations whose incomplete readings are accepted.

        Raises SettingsError when it names one that there is not.
        """
        known = stations.by_endpoint
        if not self.words.keys() <= {"", *known}:
            raise wrong_setting(self.place, self.raw, _wanted(known))
        others = self.words.get("")
        return frozenset(
            station.endpoint
            for station in stations.all
            if self.words.get(station.endpoint, others or _own(station)) == "accept"
        )


def _own(station: Station) -> str:
    return "accept" if station.accepts_partial else "reject"


def _wanted(known: Iterable[str]) -> str:
    wanted = _("accept or reject is needed, or a list such as data4=accept ({stations})")
    return wanted.format(stations=", ".join(known))


def partial(place: str, raw: Any) -> PartialReadings:
    """Reads `accept`, `data4=accept,data2=accept` or `accept,data2=reject`."""
    words: dict[str, str] = {}
    for item in str(raw).split(","):
        first, equals, last = (part.strip() for part in item.partition("="))
        endpoint, word = (first, last) if equals else ("", first)
        if endpoint in words or (equals and not endpoint) or word not in ("accept", "reject"):
            raise wrong_setting(place, raw, _wanted(BUILT_IN.by_endpoint))
        words[endpoint] = word
    return PartialReadings(place, raw, words)
