"""English texts of derived values."""

TEXTS = {
    "limits.of": "{name} is only computed for: {inputs}.",
    "limits.input": "{name} {low} to {high} {unit}",
    "filter.computed": "Calculated",
    "filter.computed_note": (
        "from the readings shown; WBGT: an estimate for rooms without sun, for the levels of the Japanese guideline Ver.4 (2022)"
    ),
}
