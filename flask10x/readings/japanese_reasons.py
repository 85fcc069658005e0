"""The Japanese text of each reason, for pages and for commands (`reasons.py` has the English one)."""

from flask10x.readings.reasons import Reason

# The codes of `readings.reasons.ENGLISH`. Values that are words of Python's are left out.
JAPANESE = {
    # Of a field of a reading.
    "missing": "値がありません",
    "not_an_object": "オブジェクトではありません",
    "below_minimum": "下限の {limit} を下回っています",
    "above_maximum": "上限の {limit} を超えています",
    "unsupported_type": "数値でも文字列でもありません（{type}）",
    "not_finite": "有限の数値ではありません",
    "too_long": "{n}文字を超えています: {text}",
    "no_digits": "数値ではありません: {text}",
    "not_a_number": "数値として読めません: {text}",
    "unknown_unit": "単位 {unit} は使えません（使える単位: {known}）",
    "takes_no_unit": "単位 {unit} は使えません（単位のない値です）",
    "sensor_silent": "{value} は応答しない {sensor} の値なので、欠測とみなしました",
    "program_silent": "{value} は応答しない {sensor} の値なので、欠測とみなしました",
    "after_power_on": "{value} は {sensor} が電源投入直後に示す値です。そのまま保存しました",
    "fault_value": "{value} は {sensor} が測定できないときに示す値なので、欠測とみなしました",
    "fault_value_kept": (
        "{value} は {sensor} が測定できないときに示す値かもしれません。そのまま保存しました"
    ),
    "read_at": "{place} の値を使いました",
    # Of a whole reading. What the database says is SQLite's English.
    "field_near": "{strange} という項目はありません（{near} の間違いでは？）",
    "item_alone": "`data` の中の測定値は、全体を [ と ] で囲み、配列にしてください",
    "too_large": "{n}バイトを超えています。本文は残していません",
    "different_lines": "このヘッダーが異なる値（{values}）で重複しています。一つだけ送ってください",
    "database": "{words}",
    "no_such_station": "そのような端末はありません",
    "already_stored": "同じキーの測定値がすでに保存されています",
    # Of an item of a batch, and of what is said of a reading beside its fields.
    "unknown_key": "そのような項目はありません。使えるのは {known} です",
    "unknown_key_near": "そのような項目はありません（{near} の間違いでは？）",
    "other_station": "ここは {own} の送信先です。ほかの端末の分は /api/v1/readings に送ってください",
    "item_id_needed": "1〜{n}バイトの文字列か、整数を指定してください",
    "key_needed": "1〜{n}バイトで指定してください",
    "two_times": "measured_at と age_s の両方があります。どちらか一方だけを送ってください",
    "instant_needed": (
        "1970年からの秒数か、2025-08-24T09:00:00+09:00 や 2025-08-24T00:00:00Z"
        " のような文字列を指定してください"
    ),
    "age_needed": "0以上の秒数を指定してください",
    "milliseconds_given": "ミリ秒になっています。1970年からの秒数を送ってください",
    "since_2000_given": (
        "2000年からの秒数になっています（MicroPythonの一部の機種）。946684800 を足してください"
    ),
    "too_old": (
        "2020年より前の日時です。端末の時計を合わせてください（GET /api/v1/time で取得できます）"
    ),
    "too_far_ahead": "サーバの時計（{now}）より1日以上先の日時です",
    # Of a body that should bring several readings.
    "array_needed": ("1〜{n}件の測定値の配列か、readings だけを持つオブジェクトを送ってください"),
    "committed_needed": "committed を指定するか、項目ごと省いてください",
    # Of a body that is no JSON object.
    "empty_body": "本文が空です。JSONオブジェクトを1つ送ってください",
    "other_type": "Content-Type が {type} です。application/json で送ってください",
    "other_encoding": "本文が {encoding} ではありません（{offset}バイト目の {byte}）",
    "cut_in_character": (
        "本文が文字の途中で終わっています（{offset}バイト目の {byte}）。"
        "Content-Length を、バイト数ではなく文字数で数えていると思われます"
    ),
    "cut_json": "JSONが途中で終わっています（{line}行{column}文字目、{what}）",
    "cut_json_not_ascii": (
        "JSONが途中で終わっています（{line}行{column}文字目、{what}）。"
        "Content-Length を、バイト数ではなく文字数で数えていると思われます"
    ),
    "invalid_json": "JSONとして読めません（{line}行{column}文字目、{what}）",
    "nan_in_json": (
        "JSONとして読めません（{line}行{column}文字目）。JSONに nan や inf はありません。"
        "null を送るか、項目を省いてください"
    ),
    "nested_too_deeply": "JSONの入れ子が深すぎます。JSONオブジェクトを1つ送ってください",
    "no_json_object": (
        "JSONですが、オブジェクトではありません（{kind}）。JSONオブジェクトを1つ送ってください"
    ),
    # Of a parameter of a query of the history.
    "unknown_parameter": "そのような項目はありません",
    "unknown_parameter_near": "そのような項目はありません（{near} の間違いでは？）",
    "unknown_station": "そのような端末はありません。指定できるのは {known} です",
    "unknown_station_near": (
        "そのような端末はありません。指定できるのは {known} です（{near} の間違いでは？）"
    ),
    "unknown_measurement": "そのような測定項目はありません。指定できるのは {known} です",
    "unknown_measurement_near": (
        "そのような測定項目はありません。指定できるのは {known} です（{near} の間違いでは？）"
    ),
    "unknown_comparison": "そのような比較の対象はありません。指定できるのは {known} です",
    "unknown_comparison_near": (
        "そのような比較の対象はありません。指定できるのは {known} です（{near} の間違いでは？）"
    ),
    "other_route": "{path} でだけ使える項目です",
    "given_times": "{n}回指定されています。1回だけ指定してください",
    "too_many_parameters": "指定が{n}個を超えています",
    "blank": "値が空です。指定しない場合は項目ごと省いてください",
    "from_after_to": "開始が終了より後になっています",
    "not_with_since": "since と同時には指定できません",
    "order_needed": "asc か desc を指定してください",
    "whole_number_needed": "{low}から{high}までの整数を指定してください",
    "number_needed": "25 や -0.5 のような数値を指定してください",
    "number_above_0_needed": "0より大きい数値を指定してください",
    "one_measurement_needed": "端末全体ではなく、測定項目を一つ選んでください",
    "one_of_needed": "{known} のどれかを指定してください",
    "period_needed": "2025-08 のような年月、2025 のような年、または all を指定してください",
    "above_or_below": "above と below が両方指定されています。どちらか一方にしてください",
    "switch_needed": "1 か 0 を指定してください",
    "yes_needed": "1 を指定するか、項目ごと省いてください",
    "id_needed": "測定値のIDを指定してください",
    "not_a_cursor": "ページの位置として読めません。前後のページへのリンクを使ってください",
    "not_a_time": (
        "日時として読めません。2025-08-24、2025-08-24 09:00、-24h、now のように書いてください"
    ),
    "no_such_time": "存在しない日時です",
    "no_such_offset": "時差 {offset} は存在しません",
    "plus_became_space": "URLの「+」は空白になります。時差は %2B09:00 のように書いてください",
    "before_year": "{year}年より前は指定できません",
    "outside_years": "{first}年から{last}年までを指定してください",
    "newest_first_only": "並び順は新しい順だけです",
    "no_measurements": "拒否した測定値は値で絞り込めません",
    "took_too_long": "検索に{sec}秒以上かかりました。期間や端末を絞ってください",
}


def text(reason: Reason) -> str:
    """A reason, or a hint, in Japanese."""
    return JAPANESE[reason.code].format(**reason.values)
