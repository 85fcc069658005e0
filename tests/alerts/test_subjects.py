"""A rule as a sentence, in both languages."""

from dataclasses import replace

import pytest

from flask10x.alerts.subjects import name_of, sentence, watched_by
from flask10x.config.alerts.rules import (
    BackupOverdue,
    DatabaseTrouble,
    Disk,
    ExportOverdue,
    FailedSensor,
    Queue,
    Rate,
    RejectedSender,
    Rule,
    Silence,
    Threshold,
    WrongCopies,
)
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.translation import translation

ENGLISH, JAPANESE = translation("en"), translation("ja")
STUFFY = Threshold(
    name="stuffy", station="data2", column="co2", above=1500, clear=1200, for_sec=600
)
FROST = Threshold(name="frost", station="data3", column="temperature", below=0, clear=1.5)
BURST = Rate(name="burst", station="data", column="pressure", fall=5, within_sec=7200)


@pytest.mark.parametrize(
    ("rule", "english", "japanese"),
    [
        (
            Silence(),
            "No data from a station for longer than usual: all stations",
            "センサーから普段より長く受信がない（すべてのセンサー）",
        ),
        (
            Silence(stations=("data3", "data2"), after_sec=600),
            "No data from a station for 10 min: Bedroom, Outside",
            "センサーから10分以上受信がない（寝室、屋外）",
        ),
        (
            STUFFY,
            "Bedroom CO₂ above 1500 ppm for 10 min; ends at 1200 ppm",
            "寝室のCO₂が10分以上 1500 ppm を上回る（1200 ppm で解消）",
        ),
        (
            FROST,
            "Outside Temperature below 0 °C; ends at 1.5 °C",
            "屋外の温度が 0 °C を下回る（1.5 °C で解消）",
        ),
        (BURST, "Pico Pressure falls by 5 hPa within 2 h", "Picoの気圧が2時間以内に 5 hPa 下がる"),
        (
            FailedSensor(stations=("data4",)),
            "A sensor gives no value or a fault value 10 times in a row: Living room",
            "センサーの値が10回続けて欠測または故障値になる（居間）",
        ),
        (
            RejectedSender(),
            "10 readings rejected within 60 min: all stations",
            "60分以内に測定値を10件拒否する（すべてのセンサー）",
        ),
        (
            Queue(),
            "Many readings waiting to be stored for 60 s",
            "保存待ちの測定値が多い状態が60秒続く",
        ),
        (Disk(), "Less than 5 % of the disk is free", "ディスクの空きが 5 % を下回る"),
        (
            DatabaseTrouble(),
            "The database is damaged or missing, or readings cannot be stored for 60 s",
            "データベースが壊れているか見つからない、または60秒以上保存できない",
        ),
        (
            ExportOverdue(),
            "Readings in no CSV file for 2 days",
            "CSVファイルに書き出していない測定値が2日以上ある",
        ),
        (
            BackupOverdue(),
            "The newest backup is older than 3 days",
            "最新のバックアップが3日より古い",
        ),
        (
            WrongCopies(),
            "Copies of the readings differ (flask10x verify)",
            "測定値の複製に不一致がある（flask10x verify）",
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_sentence(rule: Rule, english: str, japanese: str) -> None:
    assert sentence(rule, BUILT_IN, ENGLISH) == english
    assert sentence(rule, BUILT_IN, JAPANESE) == japanese


def test_what_a_rule_can_have_an_alert_of() -> None:
    assert watched_by(STUFFY, BUILT_IN) == ("data2.co2",)
    assert watched_by(Silence(stations=("data3", "data")), BUILT_IN) == ("data", "data3")
    assert watched_by(FailedSensor(stations=("data",)), BUILT_IN) == (
        "data.pressure",
        "data.temperature",
    )
    assert watched_by(Disk(), BUILT_IN) == ("",)


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("", "the whole service"),
        ("data2", "Bedroom"),
        ("data2.co2", "Bedroom CO₂"),
        ("data2.radon", "Bedroom radon"),
        ("shed", "/shed"),
        ("shed.co2\u202e", "/shed co2\\u202e"),
    ],
)
def test_names_of_subjects(subject: str, name: str) -> None:
    assert name_of(subject, BUILT_IN, ENGLISH) == name


def test_the_silence_of_a_retired_station_is_not_watched() -> None:
    first, *others = BUILT_IN.all
    stations = Stations((replace(first, retired=True), *others))
    names = tuple(one.endpoint for one in others)
    for rule in (Silence(), Silence(stations=("data", *names), after_sec=600)):
        assert watched_by(rule, stations) == names
    # What it sends all the same is looked at as ever.
    assert "data" in watched_by(RejectedSender(), stations)
