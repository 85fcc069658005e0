"""Bands, nights and compared lines in Japanese; `bands_english.py` has the same keys."""

TEXTS: dict[str, str] = {
    "plot.bands": "色の付いた範囲は、注意の目安。",
    "plot.band": "{text}: {names}",
    "plot.above": "{label}（{limit} 超）",
    "plot.below": "{label}（{limit} 未満）",
    "plot.nights": "暗い部分は夜。",
    "compare.none": "比較…",
    "compare.day": "前日",
    "compare.week": "前週",
    "compare.year": "前年",
    "compare.with": "{name}と比較",
    "compare.join": "、",
    "field.compare": "比較",
    "plot.compared": "太く薄い線は{what}。",
    "plot.leap_day": "2月29日には対応する日がない。",
    "plot.then": "{time}: {values}",
}
