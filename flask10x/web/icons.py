"""The drawings of rooms and things that have sensors: `icon` of a station (`stations.toml`)."""

import re

from markupsafe import Markup

from flask10x.readings.labels import station_name
from flask10x.readings.stations import Station
from flask10x.translation import N_, translation

ICONS = {
    "living": (N_("Living room"), "M4 11V8a3 3 0 0 1 3-3h10a3 3 0 0 1 3 3v3M4 19v-8h3v3h10v-3h3v8"),
    "bedroom": (N_("Bedroom"), "M3 19V6m0 10h18m0 3v-6a3 3 0 0 0-3-3h-7v6M7 12.5h.1"),
    "kitchen": (N_("Kitchen"), "M5 10h14v6a3 3 0 0 1-3 3H8a3 3 0 0 1-3-3zM3 10h18M9 6.5V5m6 1.5V5"),
    "bath": (
        N_("Bathroom"),
        "M3 12h18v2a5 5 0 0 1-5 5H8a5 5 0 0 1-5-5zM6 12V6a2 2 0 0 1 4 0M8 19v2m8-2v2",
    ),
    "study": (N_("Study"), "M3 18h18M6 18V7h12v11M10 18v-3h4v3"),
    "entrance": (N_("Entrance"), "M6 20V4h12v16M3 20h18M14.5 12v.1"),
    "fridge": (
        N_("Fridge or freezer"),
        "M7 3h10a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM6 10h12"
        "M9.5 6v1.5m0 5.5v3",
    ),
    "plant": (
        N_("Plant"),
        "M12 14c0-5 3-8 8-8 0 5-3 8-8 8zm0 0c0-3-2-6-7-6 0 4 3 6 7 6zm0 0v7m-4 0h8",
    ),
    "outside": (
        N_("Outdoors"),
        "M12 8a4 4 0 1 0 .1 0zM12 2v2m0 16v2M2 12h2m16 0h2"
        "M5 5l1.5 1.5m11 11L19 19M5 19l1.5-1.5m11-11L19 5",
    ),
    "garden": (
        N_("Garden"),
        "M4 20V9l2-2 2 2v11zM10 20V9l2-2 2 2v11zM16 20V9l2-2 2 2v11zM2 12h2m4 0h2m4 0h2m4 0h2"
        "M2 17h2m4 0h2m4 0h2m4 0h2",
    ),
    "garage": (N_("Garage"), "M3 20V10l9-6 9 6v10M7 20v-8h10v8M7 16h10"),
}
"""By its name in `config/station_keys.ICONS`, what it shows, and its lines in a box of 24 by 24."""
# A thing comes before the room that it stands in: a kitchen's fridge is a fridge.
_WORDS = {
    "fridge": r"\b(fridge|freezer|refrigerator)|冷蔵|冷凍|フリーザー",
    "plant": r"\b(plant|soil|pots?\b)|植物|観葉|プランター|鉢|土壌",
    "garden": r"\b(garden|yard|lawn|greenhouse)|(?<!家)庭|菜園|畑|花壇|温室",
    "garage": r"\b(garage|carport|shed\b|workshop)|車庫|ガレージ|物置|納屋",
    "outside": r"\b(outside|outdoor|balcony|verandah?\b|terrace)|屋外|外気|^外|ベランダ|バルコニー",
    "bath": r"\b(bath|shower|washroom|laundry)|風呂|浴室|脱衣|洗面|バスルーム",
    "kitchen": r"\b(kitchen|dining)|台所|キッチン|ダイニング|食堂",
    "bedroom": r"\b(bedroom|nursery|child|kids?\b)|寝室|ベッドルーム|子供部屋|子ども部屋",
    "study": r"\b(study|office|desk\b)|書斎|仕事部屋|勉強部屋|オフィス",
    "entrance": r"\b(entrance|hall|porch|door)|玄関|廊下",
    "living": r"\b(living|lounge|sitting room)|居間|リビング|茶の間|和室",
}
"""What the names of a station have for each drawing, English in small letters or Japanese."""
_SIGN = Markup('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{}"/></svg>')


def drawing(name: str) -> Markup:
    """Return the icon of this name as SVG; nothing where there is none."""
    return _SIGN.format(ICONS[name][1]) if name in ICONS else Markup()


def named_icon(station: Station) -> str:
    """Return the icon that the names of a station ask for; empty if no word is known."""
    names = (station_name(station, translation("en")).lower(), station.label_ja, station.endpoint)
    return next(
        (icon for icon, words in _WORDS.items() if any(re.search(words, name) for name in names)),
        "",
    )


def station_drawing(station: Station) -> Markup:
    """Return the icon of a station as SVG: as its `icon` has it, otherwise by its names."""
    return drawing(station.icon or named_icon(station))
