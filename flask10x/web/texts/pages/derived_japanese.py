"""Japanese texts of derived values."""

TEXTS = {
    "limits.of": "{name}は次の範囲でのみ計算します: {inputs}。",
    "limits.input": "{name} {low}〜{high} {unit}",
    "filter.computed": "計算値",
    "filter.computed_note": (
        "表示する測定値から計算。暑さ指数は日の当たらない室内の参考値（段階は日本生気象学会「日常生活における熱中症予防指針」Ver.4）"
    ),
}
