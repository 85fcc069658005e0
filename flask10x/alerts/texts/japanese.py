"""What messages say in Japanese."""

from flask10x.alerts.texts.text import Wording, Words

_NOTHING_TO_DO_AT_HOME = "急ぐ必要はありません。サーバの管理者に知らせてください。"
_SENSOR = (
    "センサが外れていないか、配線がゆるんでいないか確認してください。"
    "問題がなければ、電源を抜いて10秒後に差し直してください。"
)

WORDS = Words(
    wordings={
        "silence": Wording(
            title="「{name}」からデータが届いていません",
            what=("{since}から、「{name}」のデータが届いていません。",),
            known=("最後の値：{values}",),
            do="センサの電源が入っているか、Wi-Fiがつながっているか確認してください。"
            "どちらも問題がなければ、センサの電源を抜いて10秒後に差し直してください。",
            over="「{name}」のデータがまた届くようになりました。",
        ),
        "threshold.above": Wording(
            title="{name}が高すぎます（{value}）",
            later="{name}が高すぎます",
            what=(
                "{since}から、{name}が{limit}を超えています。検知したときの値は{value}です。",
                "{since}から、{name}が高すぎます。",
            ),
            do="その場所の様子を確認してください。"
            "部屋であれば、窓を開ける、暖房を弱めるなどしてみてください。",
            over="{name}が元に戻りました。",
        ),
        "threshold.below": Wording(
            title="{name}が低すぎます（{value}）",
            later="{name}が低すぎます",
            what=(
                "{since}から、{name}が{limit}を下回っています。検知したときの値は{value}です。",
                "{since}から、{name}が低すぎます。",
            ),
            do="その場所の様子を確認してください。"
            "部屋であれば、窓を閉める、暖房を強めるなどしてみてください。",
            over="{name}が元に戻りました。",
        ),
        "rate.rise": Wording(
            title="{name}が急に上がっています",
            what=(
                "{name}が{within_sec}の間に{before}から{value}まで上がりました（{since}）。",
                "{since}から、{name}が急に上がっています。",
            ),
            do="その場所の様子を確認してください。",
            over="{name}の急な上昇は収まりました。",
        ),
        "rate.fall": Wording(
            title="{name}が急に下がっています",
            what=(
                "{name}が{within_sec}の間に{before}から{value}まで下がりました（{since}）。",
                "{since}から、{name}が急に下がっています。",
            ),
            do="その場所の様子を確認してください。窓が開いていないか、暖房が切れていないか見てください。",
            over="{name}の急な低下は収まりました。",
        ),
        "failed_sensor": Wording(
            title="{name}を測れていません",
            what=("{since}から、{name}を測れていません。端末からの通信は続いています。",),
            known=("最後の値：{last_value}（{last_value_at}）",),
            do=_SENSOR,
            over="{name}をまた測れるようになりました。",
        ),
        "refused": Wording(
            title="「{name}」のデータが正しくありません",
            what=(
                "{since}から、「{name}」から届いたデータ{readings}件が正しくないため使えません。",
                "{since}から、「{name}」から届くデータが正しくないため使えません。",
            ),
            known=("理由：{field}: {reason}",),
            do="届いたデータは保管しているので失われません。センサの管理者に知らせてください。",
            over="「{name}」から正しいデータが届くようになりました。",
        ),
        "queue": Wording(
            title="データの保存が遅れています",
            what=(
                "{since}から、データの保存が遅れています。検知したとき、{waiting}件が待っていました。",
                "{since}から、データの保存が遅れています。",
            ),
            do="しばらく待っても直らなければ、SDカードが傷んでいるかもしれません。"
            "サーバの管理者に知らせてください。",
            over="データの保存の遅れは解消しました。",
        ),
        "disk": Wording(
            title="サーバの空き容量が少なくなっています",
            what=(
                "{since}から、サーバのディスクの空きが少なくなっています。"
                "検知したときの残りは{free_percent}％（{free_bytes}）です。",
                "{since}から、サーバのディスクの空きが少なくなっています。",
            ),
            known=("その時点では、あと{full_in_days}ほどでいっぱいになる見込みです。",),
            do="いっぱいになるとデータを保存できません。その前に、不要なファイルを消すか、"
            "容量の大きいカードに替えてください。",
            over="サーバのディスクの空きが十分になりました。",
        ),
        "database": Wording(
            title="データを保存できていません",
            what=("{since}から、サーバがデータを正しく保存できていません。",),
            known=("サーバからの情報：{reason}",),
            do="ディスクがつながっているか確認してください。"
            "サーバの電源は切らずに、管理者に知らせてください。",
            over="データをまた保存できるようになりました。",
        ),
        "export": Wording(
            title="CSVファイルが更新されていません",
            what=(
                "{oldest_at}からのデータが、CSVファイルに書き出されていません。",
                "新しいデータが、長い間CSVファイルに書き出されていません。",
            ),
            do=_NOTHING_TO_DO_AT_HOME,
            over="CSVファイルが最新になりました。",
        ),
        "backup": Wording(
            title="新しいバックアップがありません",
            what=(
                "最後のバックアップは{newest_at}のものです。",
                "バックアップが見つかりません。",
            ),
            do="バックアップ先のディスクやUSBメモリがつながっているか確認してください。"
            "つながっていれば、サーバの管理者に知らせてください。",
            over="新しいバックアップができました。",
        ),
    },
    frame={
        "recovery": "解消：{title}",
        "reminder": "継続中：{title}",
        "lasted": "{since}に始まり、{until}に解消しました（{span}）。",
        "lasts": "{since}に始まり、まだ続いています。",
        "now": "そのときの値：{value}",
        "do": "対処：{do}",
        "limit.title": "今日の通知はここまでです",
        "limit.body": "{day}は、この通知先への通知が1日の上限（{n}件）に達しました。"
        "この日のこの後の出来事は、アラートのページでだけ確認できます。",
        "test.title": "Flask10Xのテスト通知",
        "test.body": "通知先「{way}」のテストです。アラートの通知はここに届きます。",
        "service": "サーバ",
        "time": "{month}月{day}日（{weekday}）{clock}",
        "day": "{month}月{day}日（{weekday}）",
        "space": "の",
        "list": "、",
        "days": "{n}日",
        "hours": "{n}時間",
        "minutes": "{n}分",
        "seconds": "{n}秒",
    },
    stations={"data": "Pico", "data2": "寝室", "data3": "屋外", "data4": "居間"},
    columns={
        "co2": "CO₂",
        "temperature": "温度",
        "humidity": "湿度",
        "pressure": "気圧",
        "gas_resistance": "ガス抵抗",
        "analog_value": "ガス（生値）",
        "voltage": "電圧",
        "temperature_ds18b20": "温度（DS18B20）",
        "temperature_dht11": "温度（DHT11）",
        "humidity_dht11": "湿度（DHT11）",
    },
    weekdays="月 火 水 木 金 土 日",
    months="1 2 3 4 5 6 7 8 9 10 11 12",
)
