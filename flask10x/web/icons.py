"""The drawings of rooms and things that have sensors: `icon` of a station (`stations.toml`)."""

from markupsafe import Markup

from flask10x.translation import N_

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
    "garage": (N_("Garage"), "M3 20V10l9-6 9 6v10M7 20v-8h10v8M7 16h10"),
}
"""By its name in `config/station_keys.ICONS`, what it shows, and its lines in a box of 24 by 24."""
_SIGN = Markup('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{}"/></svg>')


def drawing(name: str) -> Markup:
    """Return the icon of this name as SVG; nothing where there is none."""
    return _SIGN.format(ICONS[name][1]) if name in ICONS else Markup()
