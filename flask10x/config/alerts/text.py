"""The `alerts.toml` that `flask10x alerts init` writes: each key with what it is for.

Each line of the example is a comment, but for the language, so the file changes nothing until
somebody edits it.
"""

from flask10x.config.language import Language

_TEXT = """\
# What Flask10X tells you of, and how. Each key: docs/en/reference/alerts-file.md
# Flask10X が知らせることと、その方法。各キーの詳細は docs/ja/reference/alerts-file.md を参照。
#
# The # of a line that is used goes, also that of the line in [ ] above it.
# 使う行の # を外す。その行が属する [ ] の行の # も外すこと。
# Look a change over with: flask10x alerts check
# It takes effect after: sudo systemctl reload flask10x
# 変更したら flask10x alerts check で確認し、sudo systemctl reload flask10x で反映する。
#
# The language of the messages: ja or en.
# 通知の言語。ja または en。
language = "{language}"
# How phones reach the pages; messages then link to the chart.
# スマートフォンからページを開くときのアドレス。通知にグラフへのリンクが付く。
#base_url = "http://raspberrypi.local:8888"
# What lasts is said again after so many hours.
# 続いている異常は、この時間（時）ごとに再び知らせる。
#reminder_after_h = 24
# How many messages a way gets in a day; the last one says that there are no more.
# 通知先ごとの 1 日の上限。最後の 1 通で、以後は送らないことを知らせる。
#daily_max = 20
#
# No message goes out then; what has happened is told afterwards. urgent: rules that do not wait.
# この時間帯は通知を控え、終わってから知らせる。urgent のルールは待たずに送信する。
#[quiet_hours]
#from = "22:00"
#to = "07:00"
#urgent = ["database", "disk"]
#
# Rules. silence, disk, database and backup are on without any entry; on = false turns one off.
# ルール。silence、disk、database、backup は書かなくても有効。on = false で無効になる。
#
# A station sends no more. Without stations: all of them. Without after_min: learned from each one.
# 端末から届かなくなった。stations を省略すると全端末、after_min を省略すると端末ごとに学習する。
#[rules.silence]
#on = true
#stations = ["data", "data2"]
#after_min = 10
# So little of the card is free.
# SD カードの空きが、この割合（%）を下回った。
#[rules.disk]
#free_percent = 5
# The database is damaged or gone, or readings can't be stored for so many minutes.
# データベースが壊れた、無くなった、またはこの時間（分）保存できない。
#[rules.database]
#for_min = 1
# The newest backup is so many hours old.
# 最新のバックアップから、この時間（時）が過ぎた。
#[rules.backup]
#after_h = 72
#
# These four are on as soon as they are written.
# 次の四つは、書くと有効になる。
#
# A measurement was missing, or a fault value, in so many readings in a row.
# この回数続けて、測定値が欠けているか、故障を示す値だった。
#[rules.failed_sensor]
#stations = ["data4"]
#readings = 10
# So many readings of a sender were refused within so many minutes.
# この時間（分）に、この件数の測定値を拒否した。
#[rules.refused]
#stations = ["data"]
#readings = 10
#within_min = 60
# Readings have been waiting to be stored for so many minutes.
# 保存待ちの測定値が多い状態が、この時間（分）続いた。
#[rules.queue]
#for_min = 1
# Readings have been in no CSV file for so many hours.
# CSV ファイルに書き出していない測定値が、この時間（時）残っている。
#[rules.export]
#after_h = 48
#
# Limits; the name is yours. The alert ends at clear, so that it does not come and go.
# しきい値。名前は自由。clear に達すると解除になり、境目での繰り返しを防ぐ。
#[rules.stuffy_bedroom]
#kind = "threshold"
#station = "data2"
#measurement = "co2"
#above = 1500
#clear = 1200
# For how many minutes it has to last.
# この時間（分）続いたら知らせる。
#for_min = 10
# Only by these ways; without the key by all of them.
# この通知先だけに送る。省略すると、すべての通知先に送る。
#ways = ["phone"]
#
#[rules.frost]
#kind = "threshold"
#station = "data3"
#measurement = "temperature"
#below = 2
#clear = 4
#
# A change by so much within so many minutes: rise or fall.
# この時間（分）での変化量。上昇は rise、下降は fall。
#[rules.window_open]
#kind = "rate"
#station = "data2"
#measurement = "temperature"
#fall = 3
#within_min = 15
#
# Ways. One of your own name each; flask10x alerts test sends a message by all of them.
# 通知先。名前は自由。flask10x alerts test で、すべてにテスト通知を送信する。
#
# Mail, ntfy, LINE, Discord, Slack, Telegram and more, by Apprise: a file with a URL a line, which
# the service may read and others may not. credential:NAME is a credential of systemd.
# Apprise による通知（メール、ntfy、LINE、Discord、Slack、Telegram など）。URL を 1 行に 1 個書いた
# ファイルを指定し、サービスだけが読めるようにする。credential:NAME は systemd のクレデンシャル。
#[ways.phone]
#kind = "apprise"
#urls_file = "/etc/flask10x/alerts-urls"
# For this way only, as above.
# この通知先だけの指定。意味は上と同じ。
#language = "ja"
#daily_max = 5
#
# JSON is posted to a program of yours, signed with the secret of a file.
# 自作のプログラムへ JSON を POST する。署名にはファイルの秘密鍵を使う。
#[ways.house]
#kind = "webhook"
#url = "https://example.org/flask10x"
#secret_file = "/etc/flask10x/alerts-secret"
#
# A program of this machine is run, with the message in its environment and on its standard input.
# このマシンのプログラムを実行する。内容は環境変数と標準入力で渡す。
#[ways.speaker]
#kind = "command"
#command = ["/usr/local/bin/say", "--loud"]
"""


def text_in(language: Language) -> str:
    """The file for an installation whose messages are in this language."""
    return _TEXT.replace("{language}", language, 1)
