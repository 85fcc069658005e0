"""English texts of derived values."""

TEXTS = {
    "filter.computed": "Calculated",
    "filter.computed_note": (
        "from the readings shown; WBGT: an estimate for rooms without sun, for the levels of the Japanese guideline Ver.4 (2022)"
    ),
}
