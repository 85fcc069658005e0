"""Stations as the text of `stations.toml`, which reads back as the same stations."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask10x.config.station_keys import BAND_KEYS, FAULT_KEYS, MEASUREMENT_KEYS, STATION_KEYS
from flask10x.config.toml import Key
from flask10x.readings.bands import Band
from flask10x.readings.stations import BUILT_IN, Fault, Measurement, Station

# What stands for "not given"; a key with it needs no line.
_EMPTY = (None, "", (), False)
# Every key with what it is for. The entry is an example, so each of its lines is a comment.
HEAD = """\
# The stations of Flask10X. What each key may be: docs/en/reference/stations-file.md
# Flask10X の端末の一覧。各キーの詳細は docs/ja/reference/stations-file.md を参照。
#
# Look a change over with: flask10x stations check
# It takes effect after: sudo systemctl reload flask10x
# 変更したら flask10x stations check で確認し、sudo systemctl reload flask10x で反映する。
# The four stations below are built in: without their entries they are as they stand here.
# 下の四つの端末は組み込みで、項目を消してもここに書かれたとおりに動作する。
#
# An example, with every key; the # of a line that is used goes. flask10x stations add writes such
# an entry by itself.
# すべてのキーの例。使う行の # を外す。flask10x stations add で、このような項目を自動で追加できる。
#
# The path to which the board posts: /balcony
# 端末の送信先のパス: /balcony
#[stations.balcony]
# What pages call it; label_ja on Japanese pages.
# 画面に表示する名前。label_ja は日本語の画面で使う。
#label = "Balcony (SHT31)"
#label_ja = "ベランダ（SHT31）"
# Its CSV file. Without it: the path and .csv
# CSV ファイルの名前。省略すると、パスに .csv を付けた名前になる。
#csv_file = "Balcony.csv"
# How often it sends, in seconds.
# 送信間隔（秒）。
#interval_sec = 60
# accept: a reading with a missing or bad field is stored without it. reject, and without the key:
# it is refused.
# accept なら、欠けた項目や不正な項目を除いて保存する。reject または省略なら、測定値全体を拒否する。
#partial = "accept"
# A body that is the same as one of the last so many seconds is taken as a repeat of it. 0: never.
# この秒数以内に同じ本文を受け取ったら、再送とみなす。0 なら、みなさない。
#repeat_window_sec = 0
# After how many days its readings are removed; their hours and days stay. 0: never.
# 測定値を削除するまでの日数。1 時間ごとと 1 日ごとの集計は残る。0 なら削除しない。
#retention_days = 0
# The station's channel, for a board that sends as to Ambient.
# Ambient 用のプログラムで送信する端末のチャネル ID。
#ambient_channel = "12345"
# The topic that flask10x mqtt subscribes to.
# flask10x mqtt が購読するトピック。
#mqtt_topic = "home/balcony"
# Measurement and tags of InfluxDB's line protocol, for senders that speak it.
# InfluxDB のラインプロトコルで送信する端末の measurement とタグ。
#influx = "balcony"
#influx_tags = { node = "esp8266-123" }
# Whether it stands in the open, where the bands of a room mean nothing.
# 屋外に置いた端末か。屋外では、室内向けの目安を使わない。
#outside = true
# How many metres above sea level it is; without it: ALTITUDE_M.
# 海抜の高さ（m）。省略すると ALTITUDE_M に従う。
#altitude_m = 35
#
# A measurement; its name is the column in the database and the name in filters.
# 測定項目。ここの名前が、データベースの列と絞り込みの名前になる。
#[stations.balcony.measurements.temperature]
# Where the body holds it: env.t is t in the object env. aliases: other places, tried in this order.
# 本文の中の場所。env.t はオブジェクト env の中の t。aliases は、無いときに順に探す別の場所。
#path = "temperature"
#aliases = ["temp", "env.t"]
# Still others, tried after these where partial = "accept".
# さらに別の場所。partial = "accept" のときだけ、aliases の後に探す。
#partial_aliases = ["temperature_sht31"]
# What it measures: those of one quantity share a chart. Without it: the column's name.
# 何を測るか。同じものは一つのグラフに描く。省略すると列の名前になる。
#quantity = "temperature"
#label = "Temperature"
#label_ja = "気温"
# Needed. To °C, hPa, %, ppm, Ω and V other units are converted. Any other text is kept as it is; ""
# is for none.
# 必須。°C、hPa、%、ppm、Ω、V には他の単位から換算する。それ以外の単位は換算しない。なければ ""。
#unit = "°C"
# What is outside is refused.
# 範囲外の値は拒否する。
#minimum = -50
#maximum = 150
# Its heading in the CSV file. Without it: the column's name.
# CSV ファイルの見出し。省略すると列の名前になる。
#csv_header = "Temperature"
# Its field of Ambient, and of the line protocol.
# Ambient のデータ番号と、ラインプロトコルのフィールド名。
#ambient = "d1"
#influx = "BME280_temperature"
# Numbers that the sensor gives when it has measured nothing. reason: fault_value, sensor_silent or
# program_silent; with warning_only = true, which stores them: fault_value_kept or after_power_on.
# センサが測定できないときに返す値。warning_only = true なら警告を付けて保存する。
#faults = [{ value = -127, sensor = "DS18B20", reason = "sensor_silent", warning_only = false }]
# From which value on pages colour it, above or below a limit; level: notice or warning. [] for
# none. Without the key: the usual ones of a room, for CO2, temperature and humidity.
# 画面で色を付ける目安。above はこの値を超えるとき、below は下回るとき。level は notice か warning。
# [] なら目安なし。省略すると、CO2、温度、湿度には室内の標準の目安を使う。
#bands = [{ above = 28, level = "warning", label = "Hot", label_ja = "暑い" }]
"""


def rendered(stations: Iterable[Station]) -> str:
    """A whole file, with what each key is for, and these stations."""
    return HEAD + "".join(f"\n{entry(station)}" for station in stations)


def entry(station: Station) -> str:
    """The tables of one station, with all that is set."""
    former = BUILT_IN.by_endpoint.get(station.endpoint)
    lines = [f"[stations.{station.endpoint}]", *_lines(STATION_KEYS, station, former)]
    known = {m.column: m for m in former.measurements} if former else {}
    for measurement in station.measurements:
        lines += ["", f"[stations.{station.endpoint}.measurements.{measurement.column}]"]
        lines += _lines(MEASUREMENT_KEYS, measurement, known.get(measurement.column))
        lines += _fault_lines(measurement, known.get(measurement.column))
        lines += _band_lines(measurement)
    return "".join(f"{line}\n" for line in lines)


def _lines(
    keys: Iterable[Key],
    holder: Station | Measurement | Fault | Band,
    former: Station | Measurement | None = None,
) -> Iterator[str]:
    for key in keys:
        value = getattr(holder, key.field)
        is_set = value not in _EMPTY or value is not getattr(former, key.field, value)
        if is_set or key.needed or (value == 0 and type(value) is not bool):
            yield _pair(key.name, _WRITTEN.get(key.name, _text)(value))


def _pair(name: str, written: str) -> str:
    return f"{name} = {written}"


def _fault_lines(measurement: Measurement, former: Measurement | None) -> Iterator[str]:
    if measurement.faults or (former and former.faults):
        yield _pair("faults", _tables(FAULT_KEYS, measurement.faults))


def _band_lines(measurement: Measurement) -> Iterator[str]:
    if measurement.bands is not None:
        yield _pair("bands", _tables(BAND_KEYS, measurement.bands))


def _tables(keys: Iterable[Key], holders: Iterable[Fault | Band]) -> str:
    """A list of tables, each on its own line."""
    lines = [f"    {{ {', '.join(_lines(keys, holder))} }},\n" for holder in holders]
    return "[\n" + "".join(lines) + "]" if lines else "[]"


def _text(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    # Texts of JSON are texts of TOML, as long as they can be printed.
    return json.dumps(value, ensure_ascii=False)


def _partial(accepts: bool) -> str:
    return '"accept"' if accepts else '"reject"'


def _tags(tags: Iterable[tuple[str, str]]) -> str:
    return f"{{ {', '.join(f'{_text(name)} = {_text(value)}' for name, value in tags)} }}"


_WRITTEN: dict[str, Callable[[Any], str]] = {"partial": _partial, "influx_tags": _tags}
