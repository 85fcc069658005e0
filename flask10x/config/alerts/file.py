"""`alerts.toml`: the file that the setting ALERTS names."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

from flask10x.config import toml
from flask10x.config.alerts.keys import (
    CHANNEL_KEYS,
    CHANNELS,
    KINDS,
    QUIET_HOURS_KEYS,
    RULE_KEYS,
    RULES,
    TOP_KEYS,
    mistakes_of,
    shared_out,
)
from flask10x.config.alerts.rules import DEFAULT, Alerts, Channel, QuietHours, Rule
from flask10x.config.station_keys import ENDPOINT, endpoint_wanted
from flask10x.config.toml import (
    Document,
    KeyPath,
    Tables,
    WrongEntry,
    nearly,
    nearly_right,
    one_of,
    switch,
)
from flask10x.errors import AlertsError, SettingsError
from flask10x.readings.stations import Stations
from flask10x.translation import Language

NAME = "alerts.toml"


@dataclass(frozen=True, slots=True)
class AlertsFile:
    """Where the alerts are, before it is known which stations there are."""

    path: Path
    place: str = ""
    """How messages name the setting that says so; empty: none does, and it need not be there."""

    def alerts(self, stations: Stations) -> Alerts:
        """What the file has; raises SettingsError, AlertsError."""
        try:
            return load(self.path, stations)
        except (FileNotFoundError, NotADirectoryError):
            if not self.place:
                return DEFAULT
            text = _("{place}: there is no file {path}; flask10x alerts init makes it")
            raise SettingsError(text.format(place=self.place, path=self.path)) from None


def read(place: str, raw: Any) -> AlertsFile:
    """The file with this path; raises SettingsError when it is none."""
    return AlertsFile(toml.path_of(place, raw), place)


def default(given: Mapping[str, Any]) -> AlertsFile:
    """`alerts.toml` in the data folder; without one, DEFAULT is in force."""
    return AlertsFile(given["data_dir"] / NAME)


def load(path: Path, stations: Stations) -> Alerts:
    """The alerts of this file, which may speak of these stations.

    Raises AlertsError that names every mistake with its line, and FileNotFoundError.
    """
    return parse(toml.read_document(path), path, stations)


def parse(written: bytes, path: Path, stations: Stations) -> Alerts:
    """The alerts of a file with these bytes; raises AlertsError with every mistake."""
    file = Document(written, path, AlertsError)
    tables = AlertTables(file.data, stations)
    alerts = tables.alerts(str(path))
    file.check(tables.mistakes)
    return alerts


# Each is looked at once a second, and is a line of the page.
MAX_RULES = 200
# Each gets each message.
MAX_CHANNELS = 20


class AlertTables(Tables):
    """What `tomllib` has read, as alerts; `mistakes` has what is wrong with it."""

    def __init__(self, data: Mapping[str, Any], stations: Stations) -> None:
        super().__init__()
        self._data = data
        self._stations = stations

    def alerts(self, file: str) -> Alerts:
        """The rules that are on, the built-in ones first; incomplete after mistakes."""
        given = {**self._data}
        written = self._named("rules", given.pop("rules", {}), MAX_RULES)
        channels = self._named("ways", given.pop("ways", {}), MAX_CHANNELS)
        quiet_hours = given.pop("quiet_hours", None)
        others = ("quiet_hours", "rules", "ways")
        values = self.fields((), given, TOP_KEYS, others=others)
        if quiet_hours is not None:
            names = [*written, *(kind for kind in KINDS if kind not in written)]
            values["quiet_hours"] = self._quiet_hours(quiet_hours, names)
        found = {name: self._rule(name, raw, [*channels]) for name, raw in written.items()}
        standard = {rule.name: rule for rule in DEFAULT.rules}
        on = [rule for rule in (standard | found).values() if rule]
        return Alerts(
            rules=shared_out(on, self._stations),
            channels=tuple(
                channel for name, raw in channels.items() if (channel := self._channel(name, raw))
            ),
            file=file,
            **values,
        )

    def _named(self, top: str, raw: Any, most: int) -> dict[str, Any]:
        """The tables in a table, whose names are right."""
        tables = self.table((top,), raw) or {}
        for name in tables:
            if not ENDPOINT.fullmatch(name):
                reason = nearly_right(name, ENDPOINT, endpoint_wanted())
                self.wrong((top, name), reason, is_table=True)
        if len(tables) > most:
            self.wrong((top,), _("more than {n} of them").format(n=most), is_table=True)
        return tables

    def _rule(self, name: str, raw: Any, channels: Collection[str]) -> Rule | None:
        """The rule if it is on and right."""
        path: KeyPath = ("rules", name)
        before = len(self.mistakes)
        given = self.table(path, raw)
        if given is None:
            return None
        kind = self._kind(path, given)
        is_on = self._is_on(path, given)
        if kind is None:
            return None
        made, keys = RULES[kind]
        others = ("kind", "on")
        values = self.fields(path, given, (*keys, *RULE_KEYS[2:]), others=others)
        if len(self.mistakes) == before:
            for key, reason in mistakes_of(kind, values, self._stations if is_on else None):
                self.wrong((*path, key), reason)
        for channel in values.get("channels", ()):
            if channel not in channels:
                text = nearly(
                    _("there is no channel {name}").format(name=channel), channel, [*channels]
                )
                self.wrong((*path, "ways"), text)
        if len(self.mistakes) > before or not is_on:
            return None
        return made(name=name, **values)

    def _kind(self, path: KeyPath, given: dict[str, Any]) -> str | None:
        """What the table says, or its name when that is the name of a kind."""
        name = str(path[-1])
        if "kind" not in given:
            if name in KINDS:
                return name
            # A slip in the name of a built-in rule is what is most likely.
            reason = _("is missing: one of {words}").format(words=", ".join(KINDS))
            self.wrong((*path, "kind"), nearly(reason, name, KINDS))
            return None
        kind: str | None = self._read((*path, "kind"), one_of(KINDS), given.pop("kind"))
        if kind is not None and name in KINDS and kind != name:
            text = _("is {value}: the rule {name} has its own kind; give this one another name")
            self.wrong((*path, "kind"), text.format(value=repr(kind), name=name))
            return None
        return kind

    def _is_on(self, path: KeyPath, given: dict[str, Any]) -> bool:
        return bool(self._read((*path, "on"), switch, given.pop("on", True)))

    def _read(self, path: KeyPath, read: Any, raw: Any) -> Any:
        try:
            return read(raw)
        except WrongEntry as error:
            self.wrong(path, str(error))
            return None

    def _channel(self, name: str, raw: Any) -> Channel | None:
        path: KeyPath = ("ways", name)
        before = len(self.mistakes)
        given = self.table(path, raw)
        if given is None:
            return None
        if "kind" not in given:
            reason = _("is missing: one of {words}").format(words=", ".join(CHANNELS))
            self.wrong((*path, "kind"), reason)
            return None
        kind = self._read((*path, "kind"), one_of([*CHANNELS]), given.pop("kind"))
        if kind is None:
            return None
        made, keys = CHANNELS[kind]
        values = self.fields(path, given, (*keys, *CHANNEL_KEYS), others=("kind",))
        return made(name=name, **values) if len(self.mistakes) == before else None

    def _quiet_hours(self, raw: Any, names: Collection[str]) -> QuietHours | None:
        path: KeyPath = ("quiet_hours",)
        before = len(self.mistakes)
        given = self.table(path, raw)
        if given is None:
            return None
        values = self.fields(path, given, QUIET_HOURS_KEYS)
        for name in values.get("urgent", ()):
            if name not in names:
                text = nearly(_("there is no rule {name}").format(name=name), name, [*names])
                self.wrong((*path, "urgent"), text)
        if len(self.mistakes) > before:
            return None
        if values["start"] == values["end"]:
            self.wrong((*path, "to"), _("is the same as from"))
            return None
        return QuietHours(**values)


# What `flask10x alerts init` writes. Each line is a comment, but for the language, so
# the file changes nothing until it is edited.
_TEXT = """\
# What Flask10X notifies you of, and how. Each key: docs/en/reference/alerts-file.md
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
# A reminder is sent after so many hours while an alert lasts.
# 続いている異常は、この時間（時）ごとに再び知らせる。
#reminder_after_h = 24
# How many messages a channel gets in a day; the last one says that no more will come.
# 通知先ごとの 1 日の上限。最後の 1 通で、以後は送らないことを知らせる。
#daily_max = 20
#
# No message goes out then; those of that time go out afterwards. urgent: rules that do not wait.
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
# データベースが壊れた、なくなった、またはこの時間（分）保存できない。
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
# Only by these channels; without the key by all of them.
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
# Channels. One of your own name each; flask10x alerts test sends a message by all of them.
# 通知先。名前は自由。flask10x alerts test で、すべてにテスト通知を送信する。
#
# Mail, ntfy, LINE, Discord, Slack, Telegram and more, by Apprise: a file with a URL a line, which
# the service may read and others may not. credential:NAME is a credential of systemd.
# Apprise による通知（メール、ntfy、LINE、Discord、Slack、Telegram など）。URL を 1 行に 1 個書いた
# ファイルを指定し、サービスだけが読めるようにする。credential:NAME は systemd のクレデンシャル。
#[ways.phone]
#kind = "apprise"
#urls_file = "/etc/flask10x/alerts-urls"
# For this channel only, as above.
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


def example_in(language: Language) -> str:
    """The file that `flask10x alerts init` writes, with messages in this language."""
    return _TEXT.replace("{language}", language, 1)
