"""The codes of what is said of a reading beside its fields, in both languages, word by word."""

from datetime import UTC

import pytest
from flask.testing import FlaskClient

from flask10x.readings.batches import item_of, key_of_header
from flask10x.readings.parse import InvalidReading
from flask10x.readings.reasons import Reason, in_language
from flask10x.translation import translation

# 2025-08-24 02:00:12 UTC.
NOW_MS = 1_756_000_812_345
# Code, the key of an item and its value, and what is said of it.
ITEMS: list[tuple[str, str, object, str, str]] = [
    (
        *("unknown_key", "timestamp", 1),
        "unknown key: an item has endpoint, data, measured_at, age_s, id",
        "そのような項目はありません。使えるのは endpoint, data, measured_at, age_s, id です",
    ),
    (
        *("unknown_key_near", "Measured-At", 1),
        "unknown key (did you mean measured_at?)",
        "そのような項目はありません（measured_at の間違いでは？）",
    ),
    (
        *("item_id_needed", "id", True),
        "a text of 1 to 255 bytes, or a whole number, is needed",
        "1〜255バイトの文字列か、整数を指定してください",
    ),
    (
        *("instant_needed", "measured_at", "now"),
        "seconds since 1970 are needed, or a text like 2025-08-24T09:00:00+09:00"
        " or 2025-08-24T00:00:00Z",
        "1970年からの秒数か、2025-08-24T09:00:00+09:00 や 2025-08-24T00:00:00Z"
        " のような文字列を指定してください",
    ),
    (
        *("age_needed", "age_s", -1),
        "a number of seconds, 0 or more, is needed",
        "0以上の秒数を指定してください",
    ),
    (
        *("milliseconds_given", "measured_at", NOW_MS),
        "these are milliseconds: send seconds since 1970",
        "ミリ秒になっています。1970年からの秒数を送ってください",
    ),
    (
        *("since_2000_given", "measured_at", 1_756_000_812 - 946_684_800),
        "these are seconds since 2000, as MicroPython counts them on some boards: add 946684800",
        "2000年からの秒数になっています（MicroPythonの一部の機種）。946684800 を足してください",
    ),
    (
        *("too_old", "measured_at", 0),
        "before 2020: set the sender's clock, from GET /api/v1/time say",
        "2020年より前の日時です。ボードの時計を合わせてください（GET /api/v1/time で取得できます）",
    ),
    (
        *("too_far_ahead", "measured_at", "2025-08-25T02:00:13Z"),
        "more than a day ahead of the clock of this service,"
        " which says 2025-08-24T02:00:12.345+00:00",
        "サーバーの時計（2025-08-24T02:00:12.345+00:00）より1日以上先の日時です",
    ),
]


def check(reason: str, code: str, english: str, japanese: str) -> None:
    assert isinstance(reason, Reason)
    assert (reason.code, str(reason), in_language(reason, translation("ja"))) == (
        code,
        english,
        japanese,
    )


@pytest.mark.parametrize(("code", "key", "value", "english", "japanese"), ITEMS)
def test_a_bad_item(code: str, key: str, value: object, english: str, japanese: str) -> None:
    with pytest.raises(InvalidReading) as caught:
        item_of({"data": {}, key: value}, NOW_MS, UTC)
    assert caught.value.details.keys() == {key}
    check(caught.value.details[key], code, english, japanese)


def test_two_times_and_a_bad_header() -> None:
    with pytest.raises(InvalidReading) as times:
        item_of({"data": {}, "age_s": 1, "measured_at": 1}, NOW_MS, UTC)
    check(
        times.value.details["age_s"],
        "two_times",
        "measured_at and age_s are both given: send one of them",
        "measured_at と age_s の両方があります。どちらか一方だけを送ってください",
    )
    with pytest.raises(InvalidReading) as key:
        key_of_header("")
    check(
        key.value.details["Idempotency-Key"],
        "key_needed",
        "1 to 255 bytes are needed",
        "1〜255バイトで指定してください",
    )


def test_a_bad_batch(client: FlaskClient) -> None:
    door = "/api/v1/readings"
    reason = Reason("array_needed", n=1000)
    check(
        reason,
        "array_needed",
        "an array of 1 to 1000 readings is needed, or an object with nothing but `readings`",
        "1〜1000件の測定値の配列か、readings だけを持つオブジェクトを送ってください",
    )
    assert (client.post(door, json=[]).json or {})["details"] == {"readings": reason}
    reason = Reason("committed_needed")
    check(
        reason,
        "committed_needed",
        "committed is needed, or nothing at all",
        "committed を指定するか、項目ごと省いてください",
    )
    assert (client.post(f"{door}?ack=1", json=[]).json or {})["details"] == {"ack": reason}
    reason = Reason("other_station", own="data")
    check(
        reason,
        "other_station",
        "this is the route of data: send other stations to /api/v1/readings",
        "ここは data の送信先です。ほかのセンサーの分は /api/v1/readings に送ってください",
    )
    (result,) = (client.post("/data", json=[{"endpoint": "data2", "data": {}}]).json or {})[
        "results"
    ]
    assert result["details"] == {"endpoint": reason}
