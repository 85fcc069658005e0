"""Readings that are removed, in Japanese; `retention_english.py` has the same keys."""

TEXTS: dict[str, str] = {
    "question.kept": "測定値はいつまで残るか",
    "kept.good": "古い測定値を削除しています。1時間ごとと1日ごとの集計はずっと残ります。データベースのファイルは小さくならず、空いた部分には新しい測定値が入ります。",
    "kept.late": "削除する時期を1週間以上過ぎた測定値が残っています。",
    "kept.look": "CSVファイルとデータベースを比較する：",
    "kept.days": "{name}：{days}日間残します。",
    "kept.gone": "{time} までの{n}件を削除しました。",
    "kept.next": "次は {time} の測定値で、{date} に削除します。",
    "kept.nothing": "削除するものはまだありません。",
    "kept_why.never_exported": "CSVファイルがまだ一度も書き出されていません。",
    "kept_why.interrupted": "書き出しが中断しました。次の書き出しで直ります。",
    "kept_why.file_gone": "CSVファイルがありません。次の書き出しが新しいファイルを作ります。",
    "kept_why.file_changed": "前回の書き出しの後に、CSVファイルが変更されています。",
    "kept_why.other_columns": "端末の列が変わりました。次の書き出しが新しいCSVファイルを作ります。",
    "kept_why.other_zone": "CSVファイルのタイムゾーンがサービスと異なります。",
    "kept_why.other_host": "CSVファイルは別のホストにあり、削除もそのホストが行います。残っている理由は、そのホストの状態のページに出ています。",
    "kept_why.other": "まだ古くない測定値が前にあるか、ログに理由が出ています。",
    "removed.page": "これより古い測定値は{days}日で削除しました。1時間ごとと1日ごとの集計はグラフに残っています。",
    "removed.once": "これより古い測定値は削除しました。1時間ごとと1日ごとの集計はグラフに残っています。",
}
