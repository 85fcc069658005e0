"""What the charts say, in Japanese; `charts_english.py` has the same keys."""

TEXTS: dict[str, str] = {
    "plot.spread": "薄い帯は最小値から最大値まで。",
    "plot.pale": "薄い線は一部の時間だけの平均。",
    "plot.removed": "{time} までの測定値は削除済み、1時間ごとの集計のみ。",
    "plot.partial": "一部の時間のみ",
    "plot.cut": "▲▼は目盛りを大きく外れた値。",
    "plot.beyond": "目盛り外 {value}（{time}）",
    "plot.month": "1か月",
    "plot.year": "1年",
    "chart.reset": "拡大する前の期間に戻す",
    "chart.pan": "期間をずらす",
    "keys.drag": "ドラッグ",
    "keys.shift_drag": "Shift＋ドラッグ",
    "keys.double": "ダブルクリック",
    "field.off": "表示しない線",
}
