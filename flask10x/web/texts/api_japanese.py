"""The texts of the page `/api` in Japanese; the keys and their order are those in English."""

TEXTS: dict[str, str] = {
    "index.api": "URLの一覧と、試せるコマンド",
    "api.title": "API",
    "api.lead": (
        "プログラムから使えるURLの一覧です。コマンドはそのままシェルに貼り付けて実行できます。"
        "送信の例には ?dry_run=1 が付いているので、保存される内容を返すだけで、実際には保存しません。"
    ),
    "api.tools": "ほかのツールで使う",
    "api.file": "同じ内容の、プログラム向けの仕様（OpenAPI 3.1）:",
    "api.tools.how": (
        "Postman、Insomnia、Bruno では、このアドレスをインポートできます。Swagger UI と Redoc には、保存したファイルを"
        "読み込ませてください。別オリジンのページからは、このサービスを読み取れないためです。"
        "クライアントの生成ツールには、どちらも指定できます。"
    ),
    "api.token": (
        "このサービスではトークンが必要です。以下のコマンドは $TOKEN を使うので、先にシェルへ入力してください:"
        " read -rs TOKEN"
    ),
    "api.field": "項目",
    "api.unit": "単位",
    "api.minimum": "下限",
    "api.maximum": "上限",
    "api.try": "試す",
    "api.parameters": "パラメータ",
    "api.conditions": (
        "測定値の条件も指定できます: co2__gte=1000、temperature__lt=5、humidity__isnull=1。"
    ),
    "api.answers": "応答",
    "group.send": "測定値を送る",
    "group.read": "測定値を読む",
    "group.state": "サービスの状態",
    "group.people": "人が見るページ",
    "operation.send_station": "この端末の測定値を受け付けます",
    "operation.send_many": "複数の端末の測定値をまとめて受け付けます。遅れた測定値も送れます",
    "operation.ambient_data": "Ambientのクライアントが送る測定値を受け付けます",
    "operation.ambient_dataarray": "同じ形式の測定値をまとめて受け付けます",
    "operation.ambient_urldataarray": "同じ内容をフォーム形式で受け付けます",
    "operation.write_v1": "InfluxDB 1と同じラインプロトコルを受け付けます",
    "operation.write_v2": "InfluxDB 2と同じラインプロトコルを受け付けます",
    "operation.history": "測定値のJSON。ページ送りと新着の取得",
    "operation.history_csv": "測定値のCSVファイル",
    "operation.history_file": "測定値のJSONファイル",
    "operation.series": "グラフの線にした測定値",
    "operation.rejected": "拒否した測定値",
    "operation.latest": "端末ごとの最新の値、経過時間、状態",
    "operation.alerts": "発生中と終了したアラート、通知を止めているもの",
    "operation.time": "端末の時計を合わせるための時刻",
    "operation.healthz": "応答しているか",
    "operation.readyz": "保存できる状態か",
    "operation.metrics": "キュー、累計、端末ごとの最終受信と無通信時間",
    "operation.metrics_prometheus": "Prometheus用の数値",
    "operation.metrics_details": "拒否した測定値の件数と、項目ごとの警告の件数",
    "operation.specification": "このページと同じ内容の、プログラム向けの仕様（OpenAPI 3.1）",
    "operation.home": "ホーム（端末ごとの現在の値。`kiosk=1` は壁掛けのタブレット用）",
    "operation.history_page": "測定値の表とグラフ",
    "operation.rejected_page": "拒否した測定値",
    "operation.alerts_page": "発生中と終了したアラート、通知した相手",
    "operation.mute": "アラートの通知をしばらく止めます",
    "operation.unmute": "通知の停止を解除します",
    "operation.devices": "各端末の送り方",
    "operation.program": "端末用のプログラム",
    "operation.records_page": "月・年・全期間の表と、これまでの記録",
    "operation.records_csv": "同じ表のCSV",
    "operation.status_page": "稼働状況と、異常ごとの対処",
    "operation.api_page": "このページ",
    "operation.static": "ページのスタイルとスクリプト",
}
