"""What the charts say, in English; `charts_japanese.py` has the same keys."""

TEXTS: dict[str, str] = {
    "plot.spread": "Pale band: from the lowest to the highest value.",
    "plot.pale": "Pale line: readings of only a part of that time.",
    "plot.removed": "Readings up to {time} were removed, of them only hours are left.",
    "plot.partial": "only a part of it",
    "plot.cut": "▲▼: far beyond the scale.",
    "plot.beyond": "beyond the scale {value} at {time}",
    "plot.month": "1 month",
    "plot.year": "1 year",
    "chart.reset": "Back to the range before zooming",
    "chart.pan": "Move the range",
    "keys.drag": "drag",
    "keys.shift_drag": "drag with Shift",
    "keys.double": "double-click",
    "field.off": "Lines switched off",
}
