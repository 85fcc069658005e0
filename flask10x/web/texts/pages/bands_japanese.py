"""Bands, nights and compared lines in Japanese; `bands_english.py` has the same keys."""

TEXTS: dict[str, str] = {
    "plot.bands": "色の付いた範囲は、注意の目安。",
    "plot.band": "{text}: {names}",
    "plot.above": "{label}（{limit} 超）",
    "plot.below": "{label}（{limit} 未満）",
    "plot.nights": "暗い部分は夜。",
}
