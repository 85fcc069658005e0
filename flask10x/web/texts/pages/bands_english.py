"""Bands, nights and compared lines in English; `bands_japanese.py` has the same keys."""

TEXTS: dict[str, str] = {
    "plot.bands": "Coloured zone: values that deserve a look.",
    "plot.band": "{text}: {names}",
    "plot.above": "{label}, above {limit}",
    "plot.below": "{label}, below {limit}",
    "plot.nights": "Darker: night.",
    "compare.none": "Compare with …",
    "compare.day": "the day before",
    "compare.week": "the week before",
    "compare.year": "the year before",
    "compare.with": "Beside {name}",
    "compare.join": ", ",
    "field.compare": "Compare with",
    "plot.compared": "Broad and pale: {what}.",
    "plot.leap_day": "29 February has no counterpart.",
    "plot.then": "{time}: {values}",
}
