"""How high the house is above sea level: what the pressure there is computed from."""

import math
from dataclasses import replace
from gettext import gettext as _
from typing import Any

from flask10x.errors import wrong_setting
from flask10x.readings.derived.kinds import HIGHEST_M, LOWEST_M
from flask10x.readings.stations import Stations


def altitude(place: str, raw: Any) -> float:
    """Metres, as a number or a text; raises SettingsError, also beyond what a formula holds for."""
    try:
        value = math.nan if isinstance(raw, bool) else float(raw)
    except (TypeError, ValueError):
        value = math.nan
    if not LOWEST_M <= value <= HIGHEST_M:
        raise wrong_setting(place, raw, altitude_wanted())
    return value


def altitude_wanted() -> str:
    """What an altitude has to be."""
    text = _("metres above sea level from {low} to {high} are needed")
    return text.format(low=LOWEST_M, high=HIGHEST_M)


def at_altitude(stations: Stations, metres: float | None) -> Stations:
    """The stations, those without an altitude of their own at this one."""
    if metres is None:
        return stations
    own = (s if s.altitude_m is not None else replace(s, altitude_m=metres) for s in stations.all)
    return Stations(tuple(own), stations.file)
