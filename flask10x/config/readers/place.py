"""The setting PLACE: where on earth the sun is asked for."""

import re
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from flask10x.errors import wrong_setting

_NUMBER = r"\s*([+-]?[0-9]{1,3}(?:\.[0-9]{1,12})?)\s*"
_PLACE = re.compile(f"{_NUMBER},{_NUMBER}")
HIGHEST_LATITUDE, HIGHEST_LONGITUDE = 90, 180


@dataclass(frozen=True, slots=True)
class Place:
    """A point on earth, in degrees."""

    latitude: float
    """North of the equator; negative: south of it."""
    longitude: float
    """East of Greenwich; negative: west of it."""


def coordinates(place: str, raw: Any) -> Place:
    """Reads `35.68,139.77`; raises SettingsError."""
    found = _PLACE.fullmatch(raw) if isinstance(raw, str) else None
    if found is None:
        wanted = _("latitude and longitude in degrees such as 35.68,139.77 are needed")
        raise wrong_setting(place, raw, wanted)
    latitude, longitude = float(found[1]), float(found[2])
    if abs(latitude) > HIGHEST_LATITUDE or abs(longitude) > HIGHEST_LONGITUDE:
        wanted = _("a latitude from -90 to 90 comes first, then a longitude from -180 to 180")
        raise wrong_setting(place, raw, wanted)
    return Place(latitude, longitude)
