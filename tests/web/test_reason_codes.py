"""Every code of a refusal: made where it should be, in both languages, word by word."""

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

import flask10x
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong
from flask10x.errors import QueryError
from flask10x.readings.parse import InvalidReading, near_names, parse, payload_of
from flask10x.readings.reasons import ENGLISH, Reason, in_language
from flask10x.readings.stations import BUILT_IN, Fault
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedRow, Selection
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.translation import translation
from flask10x.web.limits import CONFLICTS
from tests.support.both_engines import REFUSED, refuse
from tests.support.rows import execute, pico
from tests.web.test_batch_reasons import ITEMS

PACKAGE = Path(flask10x.__file__).parent
GOOD: dict[str, Any] = {
    "mh_z19": {"co2": 650},
    "mq_2": {"analog_value": 1200, "voltage": 0.97},
    "ds18b20": {"temperature": 24.5},
    "dht11": {"temperature": 25, "humidity": 52},
}
# Code, path and value of one bad field of `/data4`, and what is said of it.
FIELDS: list[tuple[str, str, object, str, str]] = [
    ("missing", "mh_z19", None, "required field missing", "値がありません"),
    ("not_an_object", "dht11", [1], "must be an object", "オブジェクトではありません"),
    ("below_minimum", "mh_z19.co2", -1, "below minimum 0", "下限の 0 を下回っています"),
    (
        *("above_maximum", "dht11.humidity", 101),
        *("above maximum 100", "上限の 100 を超えています"),
    ),
    (
        *("unsupported_type", "mh_z19.co2", True),
        *("unsupported type: bool", "数値ではなく true か false です"),
    ),
    (
        *("not_finite", "mh_z19.co2", float("nan")),
        *("not a finite number", "有限の数値ではありません"),
    ),
    (
        *("not_finite", "mh_z19.co2", "9" * 95 + "e999"),
        *("not a finite number", "有限の数値ではありません"),
    ),
    (
        *("too_long", "mh_z19.co2", "1" * 101),
        f"longer than 100 characters: '{'1' * 40}…'",
        f"100文字を超えています: '{'1' * 40}…'",
    ),
    (
        *("no_digits", "mh_z19.co2", "{nan}"),
        *("invalid numeric string: '{nan}'", "数値ではありません: '{nan}'"),
    ),
    (
        *("not_a_number", "mh_z19.co2", "1.2.3"),
        *("could not convert string to float: '1.2.3'", "数値として読めません: '1.2.3'"),
    ),
    (
        *("unknown_unit", "mq_2.voltage", "5 kV"),
        *("unknown unit 'kV' (known: V, mV)", "単位 'kV' は使えません（使える単位: V, mV）"),
    ),
    (
        *("takes_no_unit", "mq_2.analog_value", "5 V"),
        *("unknown unit 'V' (known: none)", "単位 'V' は使えません（単位のない値です）"),
    ),
]
# The same where partial readings are accepted.
WARNINGS: list[tuple[str, str, object, str, str]] = [
    (
        *("sensor_silent", "ds18b20.temperature", -127),
        "-127 is what a DS18B20 that does not answer gives: taken as missing",
        "-127 は応答しない DS18B20 の値なので、欠測とみなしました",
    ),
    (
        *("program_silent", "mh_z19.co2", -1),
        "-1 is what the program of an MH-Z19 that does not answer gives: taken as missing",
        "-1 は応答しない MH-Z19 の値なので、欠測とみなしました",
    ),
    (
        *("after_power_on", "ds18b20.temperature", 85),
        "85 is what a DS18B20 gives right after power-on: kept",
        "85 は DS18B20 が電源投入直後に示す値です。そのまま保存しました",
    ),
]
# Of a sensor whose fault values stand in the file of stations.
OWN_FAULTS = [
    (
        *("fault_value", 99),
        "99 is what DHT22 gives instead of a measurement: taken as missing",
        "99 は DHT22 が測定できないときに示す値なので、欠測とみなしました",
    ),
    (
        *("fault_value_kept", 0),
        "0 may be what DHT22 gives instead of a measurement: kept",
        "0 は DHT22 が測定できないときに示す値かもしれません。そのまま保存しました",
    ),
]
COUNTED = (
    "; the text is not plain ASCII, so Content-Length was probably counted in characters instead"
    " of bytes (MicroPython does): send bytes, e.g. data=ujson.dumps(d).encode()"
)
COUNTED_JA = "Content-Length を、バイト数ではなく文字数で数えていると思われます"
BODIES: list[tuple[str, bytes, str, str]] = [
    (
        *("empty_body", b" \r\n", "the body is empty: send one JSON object"),
        "本文が空です。JSONオブジェクトを1つ送ってください",
    ),
    (
        *("other_encoding", b'{"a": "25\xb0C"}'),
        "the body is not UTF-8: byte 0xb0 at offset 9 (invalid start byte)",
        "本文が UTF-8 ではありません（9バイト目の 0xb0）",
    ),
    (
        *("cut_in_character", b'{"a": "25\xc2'),
        f"the body ends inside a character: byte 0xc2 at offset 9{COUNTED}",
        f"本文が文字の途中で終わっています（9バイト目の 0xc2）。{COUNTED_JA}",
    ),
    (
        *("cut_json", b'{"a": '),
        "JSON ends early: Expecting value at line 1 column 7",
        "JSONが途中で終わっています（1行7文字目、Expecting value）",
    ),
    (
        *("cut_json_not_ascii", '{"場所": "居間", "a": nul'.encode()),
        f"JSON ends early: Expecting value at line 1 column 19{COUNTED}",
        f"JSONが途中で終わっています（1行19文字目、Expecting value）。{COUNTED_JA}",
    ),
    (
        *("invalid_json", b"not json"),
        "invalid JSON: Expecting value at line 1 column 1",
        "JSONとして読めません（1行1文字目、Expecting value）",
    ),
    (
        *("nan_in_json", b'{"a": nan}'),
        "invalid JSON: Expecting value at line 1 column 7; JSON has no nan or inf: send null,"
        " or leave the reading out (it is refused either way, but with null the answer names"
        " this field only)",
        "JSONとして読めません（1行7文字目）。JSONに nan や inf はありません。null を送るか、項目を"
        "省いてください",
    ),
    (
        *("nested_too_deeply", b"[" * 30_000),
        "JSON is nested too deeply: send one JSON object",
        "JSONの入れ子が深すぎます。JSONオブジェクトを1つ送ってください",
    ),
    (
        *("no_json_object", b"[1, 2]", "JSON list instead of an object: send one JSON object"),
        "JSONですが、オブジェクトではありません（list）。JSONオブジェクトを1つ送ってください",
    ),
]
STATIONS = "data, data2, data3, data4"
COLUMNS = (
    "pressure, temperature, co2, humidity, gas_resistance, analog_value, voltage,"
    " temperature_ds18b20, temperature_dht11, humidity_dht11"
)
HOW_TO_WRITE = (
    "not a time: write 2025-08-24, 2025-08-24 09:00, 2025-08-24T09:00:00+09:00, -24h or now"
)
# Code, address and parameter, and what is said of it.
QUESTIONS: list[tuple[str, str, str, str, str]] = [
    (
        *("unknown_parameter", "/history/json?zzzzzz=1", "zzzzzz"),
        *("unknown parameter", "そのような項目はありません"),
    ),
    (
        *("unknown_parameter_near", "/history/json?limt=1", "limt"),
        "unknown parameter (did you mean limit?)",
        "そのような項目はありません（limit の間違いでは？）",
    ),
    (
        *("unknown_station", "/history/json?endpoint=zzzzzz", "endpoint"),
        f"unknown station (known: {STATIONS})",
        f"そのようなセンサーはありません。指定できるのは {STATIONS} です",
    ),
    (
        *("unknown_station_near", "/history/json?endpoint=dat", "endpoint"),
        f"unknown station (did you mean data? known: {STATIONS})",
        f"そのようなセンサーはありません。指定できるのは {STATIONS} です（data の間違いでは？）",
    ),
    (
        *("unknown_comparison", "/history/series?compare=zzzzzz", "compare"),
        f"unknown comparison (known: day, week, year, {STATIONS})",
        f"そのような比較の対象はありません。指定できるのは day, week, year, {STATIONS} です",
    ),
    (
        *("unknown_comparison_near", "/history/series?compare=weeks", "compare"),
        f"unknown comparison (did you mean week? known: day, week, year, {STATIONS})",
        f"そのような比較の対象はありません。指定できるのは day, week, year, {STATIONS} です"
        "（week の間違いでは？）",
    ),
    (
        *("unknown_measurement", "/history/json?measurement=zzzzzz", "measurement"),
        f"unknown measurement (known: {COLUMNS})",
        f"そのような測定項目はありません。指定できるのは {COLUMNS} です",
    ),
    (
        *("unknown_measurement_near", "/history/json?measurement=co3", "measurement"),
        f"unknown measurement (did you mean co2? known: {COLUMNS})",
        f"そのような測定項目はありません。指定できるのは {COLUMNS} です（co2 の間違いでは？）",
    ),
    (
        *("other_route", "/history/json?bom=1", "bom"),
        *("only /history.csv understands it", "/history.csv でだけ使える項目です"),
    ),
    (
        *("given_times", "/history/json?limit=5&limit=6", "limit"),
        *("given 2 times", "2回指定されています。1回だけ指定してください"),
    ),
    (
        *("too_many_parameters", f"/history/json?{'&'.join(['a=1'] * 151)}", "query"),
        *("more than 150 parameters", "指定が150個を超えています"),
    ),
    (
        *("blank", "/history/json?from=", "from"),
        "is empty: leave the parameter out",
        "値が空です。指定しない場合は項目ごと省いてください",
    ),
    (
        *("from_after_to", "/history/json?from=now&to=-1h", "from"),
        *("is later than `to`", "開始が終了より後になっています"),
    ),
    (
        *("not_with_since", "/history/json?since=1&order=asc", "order"),
        "does not go with `since`, which has an order of its own",
        "since と同時には指定できません",
    ),
    (
        *("order_needed", "/history/json?order=up", "order"),
        *("asc or desc is needed", "asc か desc を指定してください"),
    ),
    (
        *("whole_number_needed", "/history/json?limit=0", "limit"),
        "a whole number from 1 to 1000 is needed",
        "1から1000までの整数を指定してください",
    ),
    (
        *("whole_number_needed", "/history/series?buckets=0", "buckets"),
        "a whole number from 2 to 600 is needed",
        "2から600までの整数を指定してください",
    ),
    (
        *("number_needed", "/history/json?co2__gt=1e3", "co2__gt"),
        "a plain number such as 25 or -0.5 is needed",
        "25 や -0.5 のような数値を指定してください",
    ),
    (
        *("period_needed", "/records.csv?period=August", "period"),
        "a month such as 2025-08, a year such as 2025, or all is needed",
        "2025-08 のような年月、2025 のような年、または all を指定してください",
    ),
    (
        *("above_or_below", "/records.csv?above=1&below=2", "below"),
        "above and below are both given: choose one of them",
        "above と below が両方指定されています。どちらか一方にしてください",
    ),
    (
        *("switch_needed", "/history/json?co2__isnull=maybe", "co2__isnull"),
        *("1 or 0 is needed", "1 か 0 を指定してください"),
    ),
    (
        *("yes_needed", "/history/json?incomplete=0", "incomplete"),
        *("1 is needed, or nothing at all", "1 を指定するか、項目ごと省いてください"),
    ),
    (
        *("id_needed", "/history/json?since=x", "since"),
        "the id of a reading is needed: take it from the header X-Last-Id",
        "測定値のIDを指定してください",
    ),
    (
        *("not_a_cursor", "/history/json?cursor=x", "cursor"),
        "not a cursor: take it from a `next` or `prev` link",
        "ページの位置として読めません。前後のページへのリンクを使ってください",
    ),
    (
        *("not_a_time", "/history/json?from=yesterday", "from", HOW_TO_WRITE),
        "日時として読めません。2025-08-24、2025-08-24 09:00、-24h、now のように書いてください",
    ),
    (
        *("no_such_time", "/history/json?from=2025-08-24+25:00", "from"),
        *("no such time: hour must be in 0..23", "存在しない日時です"),
    ),
    (
        *("no_such_offset", "/history/json?from=2025-08-24T09:00%2B99:00", "from"),
        *("no such offset: +99:00", "時差 +99:00 は存在しません"),
    ),
    (
        *("plus_became_space", "/history/json?from=2025-08-24T09:00+09:00", "from"),
        "a '+' in a URL means a space: write the offset as %2B09:00",
        "URLの「+」は空白になります。時差は %2B09:00 のように書いてください",
    ),
    (
        *("before_year", "/history/json?from=-30000d", "from"),
        *("reaches back beyond the year 1970", "1970年より前は指定できません"),
    ),
    (
        *("outside_years", "/history/json?from=1969-01-01", "from"),
        "only the years 1970 to 9999 can be asked for",
        "1970年から9999年までを指定してください",
    ),
    (
        *("newest_first_only", "/history/rejected/json?order=asc", "order"),
        *("there is one order only, the newest first", "並び順は新しい順だけです"),
    ),
    (
        *("no_measurements", "/history/rejected/json?co2__gt=1", "co2__gt"),
        "rejected readings have no measurements to filter by",
        "受け付けなかった測定値は値で絞り込めません",
    ),
]
# Those that have tests of their own below, or in test_batch_reasons.
OTHERS = (
    *("already_stored", "array_needed", "committed_needed", "key_needed", "two_times"),
    *("database", "field_near", "item_alone", "no_such_station", "other_type", "too_large"),
    *("different_lines", "other_station", "read_at", "took_too_long"),
    # In a form of the page of notes: tests/web/pages/test_notes.py.
    *("number_above_0_needed", "one_measurement_needed", "one_of_needed"),
    *("no_such_note", "no_such_reading"),
    # Of a code that is looked at: tests/web/pages/test_history.py.
    "too_long_for_code",
)


# What people read where the contract fixes another text for senders.
FOR_PEOPLE = {
    "unsupported type: bool": "true or false instead of a number",
    "could not convert string to float: '1.2.3'": "not a number: '1.2.3'",
}


def check(reason: str, code: str, english: str, japanese: str) -> None:
    assert isinstance(reason, Reason)
    assert (reason.code, str(reason), in_language(reason, translation("ja"))) == (
        code,
        english,
        japanese,
    )
    assert in_language(reason, translation("en")) == FOR_PEOPLE.get(english, english)


def test_what_a_page_is_refused_for_has_a_code() -> None:
    """No sentence replaces a reason: a page in Japanese would show it in English."""
    bare = []
    for path in sorted(PACKAGE.glob("web/**/*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") == "QueryError"):
                continue
            values = [v for given in call.args for v in getattr(given, "values", [])]
            texts = [v for v in values if isinstance(v, ast.Constant | ast.JoinedStr)]
            bare += [f"{path.name}: {ast.unparse(text)}" for text in texts]
    # Answered as JSON, whatever the reader's language.
    assert bare == [
        "view.py: 'one value is needed'",
        "view.py: 'the number of one of them is needed'",
    ]


def test_every_code_is_tried_here() -> None:
    lists = (FIELDS, WARNINGS, OWN_FAULTS, BODIES, QUESTIONS, ITEMS)
    tried = {case[0] for cases in lists for case in cases}
    assert tried | {*OTHERS} == ENGLISH.keys()


def payload_with(path: str, value: object) -> dict[str, Any]:
    name, _, key = path.partition(".")
    return GOOD | {name: GOOD[name] | {key: value} if key else value}


@pytest.mark.parametrize(("code", "path", "value", "english", "japanese"), FIELDS)
def test_a_bad_field(code: str, path: str, value: object, english: str, japanese: str) -> None:
    with pytest.raises(InvalidReading) as caught:
        parse(BUILT_IN.by_endpoint["data4"], payload_with(path, value), 0)
    assert caught.value.details.keys() == {path if code != "missing" else "mh_z19"}
    check(caught.value.details[path], code, english, japanese)


@pytest.mark.parametrize(("code", "path", "value", "english", "japanese"), WARNINGS)
def test_a_fault_value(code: str, path: str, value: object, english: str, japanese: str) -> None:
    reading = parse(BUILT_IN.by_endpoint["data4"], payload_with(path, value), 0, partial=True)
    assert reading.warnings.keys() == {path}
    check(reading.warnings[path], code, english, japanese)


def test_a_flat_field() -> None:
    reading = parse(BUILT_IN.by_endpoint["data4"], {"co2": 650}, 0, partial=True)
    check(reading.elsewhere["mh_z19.co2"], "read_at", "read at co2", "co2 の値を使いました")


@pytest.mark.parametrize(("code", "value", "english", "japanese"), OWN_FAULTS)
def test_a_fault_value_of_an_added_station(
    code: str, value: int, english: str, japanese: str
) -> None:
    faults = (
        Fault(value=99, sensor="DHT22", code="fault_value"),
        Fault(value=0, sensor="DHT22", code="fault_value_kept", warning_only=True),
    )
    data = BUILT_IN.by_endpoint["data"]
    measurements = (data.measurements[0], replace(data.measurements[1], faults=faults))
    station = replace(data, measurements=measurements)

    reading = parse(station, {"pressure": 1000, "temperature": value}, 0, partial=True)
    check(reading.warnings["temperature"], code, english, japanese)


@pytest.mark.parametrize(("code", "body", "english", "japanese"), BODIES)
def test_a_bad_body(code: str, body: bytes, english: str, japanese: str) -> None:
    payload, hint = payload_of(body, "application/json")
    assert payload == {}
    check(hint, code, english, japanese)


def test_a_field_of_nearly_the_right_name() -> None:
    check(
        near_names(BUILT_IN.by_endpoint["data"], {"presure": 1013, "Temperature": 25}),
        "field_near",
        "unknown field presure, Temperature: did you mean pressure, temperature?",
        "presure, Temperature という項目はありません（pressure, temperature の間違いでは？）",
    )


def test_an_item_of_a_batch_that_is_sent_alone() -> None:
    check(
        near_names(BUILT_IN.by_endpoint["data"], {"data": {"pressure": 1013}, "age_s": 60}),
        "item_alone",
        "a reading inside `data` belongs in an array: put all of it between [ and ]",
        "`data` の中の測定値は、全体を [ と ] で囲み、配列にしてください",
    )


def test_another_content_type() -> None:
    check(
        payload_of(b"{}", "text/plain")[1],
        "other_type",
        "Content-Type is text/plain: send application/json",
        "Content-Type が text/plain です。application/json で送ってください",
    )


@pytest.mark.parametrize(("code", "address", "name", "english", "japanese"), QUESTIONS)
def test_a_bad_question(
    client: FlaskClient, code: str, address: str, name: str, english: str, japanese: str
) -> None:
    with client.application.test_request_context(address), pytest.raises(QueryError) as caught:
        client.application.dispatch_request()
    check(caught.value.details[name], code, english, japanese)
    answer = client.get(address)
    assert (answer.status_code, answer.get_json()["details"][name]) == (400, english)


def test_a_question_that_took_too_long() -> None:
    check(
        QueryTooLong(2.0).details["query"],
        "took_too_long",
        "took longer than 2 s: narrow it with from, to or endpoint",
        "検索に2秒以上かかりました。期間やセンサーを絞ってください",
    )


def newest(database: Database) -> RejectedRow:
    with database.reader.begin() as connection:
        return rejected.page(connection, Selection(), None, 1).rows[0]


def test_a_body_that_is_too_large(client: FlaskClient, store: Store) -> None:
    assert client.post("/data", data=b" " * 65_537).status_code == 413
    store.writer.rejected_queue.finish()
    check(
        newest(store.database).reasons["body"],
        "too_large",
        "over 65536 bytes; nothing of it is kept",
        "65536バイトを超えています。本文は残していません",
    )


def test_a_header_with_lines_that_differ(client: FlaskClient, store: Store) -> None:
    environ = {CONFLICTS: {"Host": "pi, other"}}
    assert client.post("/data", data=b"{}", environ_overrides=environ).status_code == 400
    store.writer.rejected_queue.finish()
    check(
        newest(store.database).reasons["Host"],
        "different_lines",
        "this header comes with different values (pi, other): send it once",
        "このヘッダーが異なる値（pi, other）で重複しています。一つだけ送ってください",
    )


def test_a_row_that_the_database_refuses(database: Database, writer: Writer) -> None:
    execute(database.path, refuse("readings", "NEW.pressure = 2", "two is {not} wanted"))
    for number in (1, 2):
        writer.submit(pico(number))
    writer.step()
    words = f"{REFUSED}: two is {{not}} wanted"
    check(newest(database).reasons["database"], "database", words, words)
