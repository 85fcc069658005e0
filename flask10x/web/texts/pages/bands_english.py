"""Bands, nights and compared lines in English; `bands_japanese.py` has the same keys."""

TEXTS: dict[str, str] = {
    "plot.bands": " Coloured zone: values that deserve a look.",
    "plot.band": "{text}: {names}",
    "plot.above": "{label}, above {limit}",
    "plot.below": "{label}, below {limit}",
    "plot.nights": " Darker: night.",
}
