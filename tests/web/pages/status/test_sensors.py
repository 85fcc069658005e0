"""The sensors on the page `/status`: how each sends, its last request, and its programs."""

import ast
import html
import json
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.database import station_columns
from flask10x.database.database import Database
from flask10x.readings.parse import Reading
from flask10x.readings.times import DAY_MS
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.system.gauges import Gauges
from flask10x.web.app import create_app
from flask10x.web.limits import CONFLICTS
from flask10x.web.programs import KINDS
from tests.conftest import MakeSettings
from tests.support.html import words
from tests.support.rows import insert_readings, select

GOOD = {"pressure": "1013.25hPa", "temperature": "25.1C"}


def post(client: FlaskClient, body: object, **headers: str) -> int:
    given = {"User-Agent": "Pico", "Authorization": "Bearer secret"} | headers
    return client.post("/data", json=body, headers=given).status_code


def page(client: FlaskClient, language: str = "en", sensor: str = "data") -> str:
    headers = {"Accept-Language": language}
    answer = client.get("/status", query_string={"sensor": sensor}, headers=headers)
    assert answer.status_code == 200
    return answer.text


def test_the_last_request_is_shown_without_its_token(client: FlaskClient) -> None:
    assert "Nothing has arrived since the service started." in page(client)
    assert post(client, GOOD | {"device": "<script>"}) == 200
    # Only of the station that is asked for.
    assert "POST /data" not in page(client, sensor="data2")
    assert "POST /data" not in page(client, sensor="") and "POST /data" not in page(
        client, sensor="x"
    )
    shown = page(client)
    assert "answered 200" in shown
    assert "POST /data HTTP/1.1" in shown
    assert "User-Agent: Pico" in shown
    assert "1013.25hPa" in shown
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    assert "secret" not in shown
    assert post(client, {"pressure": "much"}) == 400
    assert "answered 400" in page(client)
    assert "400 で応答" in page(client, "ja")


def test_a_station_that_is_unknown_is_shown_with_what_helps(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Unknown stations" not in page(client)
    # 2025-08-24 11:00:12 in Tokyo.
    monkeypatch.setattr(clock, "now_ms", lambda: 1_756_000_812_345)
    board = {"REMOTE_ADDR": "192.0.2.7"}
    for _ in range(2):
        client.post("/freezer", json={"t": -18}, environ_overrides=board)
    item = {"endpoint": "data9", "data": GOOD}
    client.post("/api/v1/readings", json=[item, item])
    client.post("/Data2/", json=GOOD)
    client.post("/attic?dry_run=1", json=GOOD)
    shown = html.unescape(re.sub("<.*?>", "", page(client)))
    came = "last request Sun 24 Aug, 11:00, requests:"
    assert f"freezer: {came} 2, from 192.0.2.7 (POST /freezer)" in shown
    assert "Add the station: flask10x stations add freezer" in shown
    assert f"data9: {came} 1, from 127.0.0.1 (POST /api/v1/readings)" in shown
    assert "Add the station: flask10x stations add data9" in shown
    assert "Or correct the path in its program; the closest one is /data" in shown
    assert f"data2: {came} 1, from 127.0.0.1 (POST /Data2/)" in shown
    assert "Correct the path in its program: /data2" in shown
    assert "attic" not in shown
    shown = html.unescape(re.sub("<.*?>", "", page(client, "ja")))
    assert "freezer: 最後の受信 8月24日（日）11:00、2回、送信元 192.0.2.7" in shown
    assert "センサーを追加するコマンド: flask10x stations add freezer" in shown


def test_a_station_that_was_added_is_unknown_no_more(
    make_settings: MakeSettings, database: Database, tmp_path: Path
) -> None:
    gauges = Gauges(["data"])
    for name, path in (("shed", "/shed"), ("hut", "/api/v1/readings"), ("shed2", "/shed2/")):
        gauges.note_unknown(0, name, path, "192.0.2.7")
    text = "".join(f"[stations.{n}.measurements.t]\nunit = ''\n" for n in ("shed", "hut", "shed2"))
    (tmp_path / "stations.toml").write_text(text, encoding="utf-8")
    config = make_settings()
    gauges.add_stations([one.endpoint for one in config.stations.all])
    app = create_app(config, WorkerSlot.alone(config, gauges))
    try:
        shown = page(app.test_client())
    finally:
        app.extensions["flask10x"].close()
    assert "POST /shed2/" in shown
    assert "from 192.0.2.7" in shown
    assert "POST /shed<" not in shown and "POST /api/v1/readings<" not in shown


def test_how_often_it_sends_is_said_of_what_was_looked_at(
    client: FlaskClient, database: Database
) -> None:
    now_ms = clock.now_ms()
    many = [Reading("data", now_ms - n * 30_000, (1000.0, 20.0)) for n in range(2500)]
    few = [Reading("data3", now_ms - n * 60_000, (1.0, 2.0, 3.0, 4.0)) for n in range(100)]
    jittery = [Reading("data4", now_ms - n * n * 500, (1.0,) * 6) for n in range(9)]
    with database.commit() as connection:
        old = Reading("data2", now_ms - 2 * DAY_MS, (650.0, 26.5, 48.0, 996.5, 30_000.0))
        insert_readings(connection, [old, *many, *few, *jittery])
    # The 2,000th is 1,999 intervals old.
    since = datetime.fromtimestamp((now_ms - 1999 * 30_000) / 1000, ZoneInfo("Asia/Tokyo"))
    # With a year only in the first hours of a new one.
    english = rf"{since:%a} {since.day} {since:%b}(?: {since.year})?, {since:%H:%M}"
    shown, japanese = page(client), page(client, "ja")
    evenly = "</li><li>Every 30 s, evenly</li>"
    assert re.search(f"<li>The newest 2,000 readings, since {english}{evenly}", shown)
    assert "<li>Readings in the last 24 hours: 100</li><li>Every 60 s, evenly</li>" in shown
    assert "<li>Usually every 4.5 s; 80 % of the time 1.5 to 6.5 s</li>" in shown
    assert "<li>No reading in the last 24 hours.</li>" in shown
    day = f"{since.month}月{since.day}日（{'月火水木金土日'[since.weekday()]}）"
    assert f"{day}{since:%H:%M}以降）</li><li>30秒ごと（ばらつきなし）</li>" in japanese
    assert "<li>直近24時間の測定値: 100件</li>" in japanese


def test_a_request_with_lines_of_a_header_that_differ_is_shown_and_kept(
    client: FlaskClient, store: Store
) -> None:
    """Nobody looks into the log for a board that sends two content types."""
    environ = {CONFLICTS: {"Content-Type": "text/plain, application/json"}}
    answer = client.post("/data", data=b'{"x": 1}', environ_overrides=environ)
    assert answer.status_code == 400
    store.writer.rejected_queue.finish()
    shown = html.unescape(page(client))
    assert "answered 400" in shown
    assert "Content-Type: text/plain, application/json" in shown
    assert '{"x": 1}' in shown
    assert "Content-Type: this header comes with different values" in shown
    (row,) = select(store.database.path, "SELECT endpoint, body FROM rejected")
    assert row == ("data", b'{"x": 1}')


def test_a_trial_of_such_a_request_leaves_no_trace(client: FlaskClient, store: Store) -> None:
    environ = {CONFLICTS: {"Host": "pi, other"}}
    answer = client.post("/data?dry_run=1", data=b"{}", environ_overrides=environ)
    assert answer.status_code == 400
    store.writer.rejected_queue.finish()
    assert "Nothing has arrived since the service started." in page(client)
    assert select(store.database.path, "SELECT * FROM rejected") == []


def test_refusals_are_in_the_readers_language(
    client: FlaskClient,
    database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = 1_756_000_000_000
    monkeypatch.setattr(clock, "now_ms", lambda: at + 5 * 24 * 3_600_000)
    one = RejectedReading("data", at, "", b"{}", {"pressure": "required field missing"})
    with database.commit() as connection:
        rejected.keep(connection, [one], settings)
    assert "Sun 24 Aug, 10:46: pressure: required field missing" in page(client)
    assert "pressure: 値がありません" in page(client, "ja")
    assert 'href="/history/rejected?endpoint=data"' in page(client)
    # Those of the last 30 days.
    monkeypatch.setattr(clock, "now_ms", lambda: at + 31 * 24 * 3_600_000)
    assert "10:46: pressure" not in page(client)
    assert 'href="/history/rejected?endpoint=data"' not in page(client)


def test_the_programs_are_for_this_station_and_this_address(client: FlaskClient) -> None:
    for kind in KINDS:
        answer = client.get(f"/devices/data4/{kind}", headers={"Host": "pi.local:8080"})
        assert answer.status_code == 200
        assert answer.mimetype == "text/plain"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="data4-{kind}"'
        assert "pi.local" in answer.text
        assert "8080" in answer.text
        assert "data4" in answer.text
        assert answer.text.endswith("\n")
    assert client.get("/devices/data4/pico.exe").status_code == 404
    assert client.get("/devices/data9/pico.py").status_code == 404


@pytest.mark.parametrize(
    "host", ['x"; import os #', "pi.local:99999999", "localhost:8888", "127.0.0.1:8888", ""]
)
def test_an_address_that_is_none_for_boards_is_not_taken(client: FlaskClient, host: str) -> None:
    text = client.get("/devices/data/pico.py", headers={"Host": host}).text
    assert 'HOST, PORT = "raspberrypi.local", 8888' in text


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_programs_are_whole(client: FlaskClient, language: str, tmp_path: Path) -> None:
    for station in ("data", "data4"):
        for kind in KINDS:
            asked = {"Accept-Language": language, "Host": "pi.local:8888"}
            text = client.get(f"/devices/{station}/{kind}", headers=asked).text
            assert "{{" not in text
            assert "{%" not in text
            if kind.endswith(".py"):
                ast.parse(text)
            if kind.endswith(".sh"):
                (tmp_path / kind).write_text(text, encoding="utf-8")
                subprocess.run(["sh", "-n", tmp_path / kind], check=True)


def test_a_field_of_any_name_ends_no_text_of_a_program(
    make_settings: MakeSettings, database: Database, tmp_path: Path
) -> None:
    field = '[stations.shed.measurements.warmth]\npath = "t(\'C)"\nunit = ""\n'
    (tmp_path / "stations.toml").write_text(field, encoding="utf-8")
    config = make_settings()
    station_columns.fit(database, config.stations)
    app = create_app(config)
    try:
        client = app.test_client()
        esp32 = client.get("/devices/shed/esp32.ino").text
        assert esp32.partition('R"json(')[2].partition(')json"')[0] == r'{"t(\u0027C)": 1.0}'
        shell = client.get("/devices/shed/shell.sh").text
        assert r"""echo '{"t(\u0027C)": 1.0}'""" in shell
        assert r"""-d '{"t(\u0027C)": 1.0}' """ in html.unescape(page(client, sensor="shed"))
    finally:
        app.extensions["flask10x"].close()


@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")
def test_the_program_of_the_esp32_is_cpp(client: FlaskClient, tmp_path: Path) -> None:
    """Against the few declarations of the Arduino core that it uses, as its documents have them."""
    (tmp_path / "WiFi.h").write_text(ARDUINO, encoding="utf-8")
    (tmp_path / "HTTPClient.h").write_text("#include <WiFi.h>\n", encoding="utf-8")
    text = client.get("/devices/data4/esp32.ino", headers={"Host": "pi.local:8888"}).text
    (tmp_path / "sender.cpp").write_text(text, encoding="utf-8")
    command = ["g++", "-fsyntax-only", "-Wall", "-Werror", f"-I{tmp_path}", "sender.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True)


ARDUINO = """
#pragma once
#include <cstdint>
#include <cstdio>
struct String {
  String(const char * = "");
  explicit String(unsigned long);
  explicit String(double, unsigned char);
  String &operator+=(const String &);
  String &operator+=(const char *);
};
String operator+(const String &, const String &);
String operator+(const String &, const char *);
unsigned long millis();
void delay(unsigned long);
uint32_t esp_random();
struct SerialPort { void begin(unsigned long); int printf(const char *, ...); };
extern SerialPort Serial;
enum { WL_CONNECTED = 3, WIFI_STA = 1 };
struct Network {
  void mode(int);
  void begin(const char *, const char *);
  int status();
  bool reconnect();
};
extern Network WiFi;
struct HTTPClient {
  void setReuse(bool);
  void setConnectTimeout(int32_t);
  void setTimeout(uint16_t);
  bool begin(const char *);
  void addHeader(const String &, const String &);
  int POST(const String &);
  void end();
};
"""


def test_the_trial_is_a_body_of_the_station(client: FlaskClient, store: Store) -> None:
    found = re.search(
        r"-d '(\{[^']*\})' 'http://[^']*/data2\?dry_run=1'",
        html.unescape(page(client, sensor="data2")),
    )
    assert found
    sample = json.loads(found[1])
    assert sample == {
        "co2": 650.0, "temperature": 21.5, "humidity": 45.0, "pressure": 1013.2, "gas_res": 50000.0
    }  # fmt: skip
    assert store.gauges.last_request("data2") is None


@pytest.mark.parametrize("path", ["/devices", "/uptime"])
def test_the_former_pages_lead_here(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 308
    # Without a part of its own, so that `/devices#data` keeps its one.
    places = {"/devices": "/status", "/uptime": "/status#received"}
    assert answer.headers["Location"] == places[path]


def rows_of(text: str) -> dict[str, str]:
    """What the line of each sensor has, by its station, in the order of the page."""
    rows = re.findall(
        r'<details class="row[^"]*" id="(\w+)".*?<summary[^>]*>(.*?)</summary>', text, re.S
    )
    return {endpoint: words(line) for endpoint, line in rows}


def test_a_line_has_value_age_interval_and_what_was_rejected(
    client: FlaskClient, database: Database, settings: Settings, gauges: Gauges
) -> None:
    now_ms = clock.now_ms()
    with database.commit() as connection:
        every_minute = [
            Reading("data3", now_ms - n * 60_000, (2.7, 2.0, 3.0, 4.0)) for n in range(9)
        ]
        insert_readings(connection, every_minute)
        one = RejectedReading("data2", now_ms, "", b"{}", {"co2": "required field missing"})
        rejected.keep(connection, [one, one], settings)
    gauges.note_received("data3", clock.monotonic_ms() - 7000)
    rows = rows_of(page(client))
    assert re.match(r"Outside 2\.7 °C [789] s ago every 60 s –$", rows["data3"])
    assert rows["data2"] == "Bedroom no data yet 2 rejected"
    # The page asks for it; what never sent and is not asked for is not there.
    assert rows["data"] == "Pico no data yet –" and "data4" not in rows


def test_what_is_wrong_comes_first(client: FlaskClient, database: Database, gauges: Gauges) -> None:
    now_ms = clock.now_ms()
    with database.commit() as connection:
        insert_readings(connection, [Reading("data3", now_ms, (2.7, 2.0, 3.0, 4.0))])
        insert_readings(connection, [Reading("data4", now_ms - 9_000_000, (1.0,) * 6)])
    gauges.note_received("data3", clock.monotonic_ms())
    gauges.note_received("data4", clock.monotonic_ms() - 9_000_000)
    text = page(client)
    # The page asks for one that has never sent.
    assert list(rows_of(text)) == ["data4", "data3", "data"]
    assert '<details class="row bad" id="data4">' in text
    assert '<details class="row" id="data3">' in text


def test_battery_and_signal_are_shown_where_they_are_sent(
    make_settings: MakeSettings, database: Database, tmp_path: Path
) -> None:
    text = """
[stations.shed.measurements]
temperature = { unit = "°C" }
battery_voltage = { unit = "V" }
rssi = { unit = "dBm" }
"""
    (tmp_path / "stations.toml").write_text(text, encoding="utf-8")
    config = make_settings()
    station_columns.fit(database, config.stations)
    app = create_app(config)
    store = app.extensions["flask10x"]
    try:
        client = app.test_client()
        body = {"temperature": 8, "battery_voltage": 3.11, "rssi": -71}
        assert client.post("/shed", json=body).status_code == 200
        store.writer.step()
        assert rows_of(page(client))["shed"].endswith("– 3.110 V · −71 dBm")
    finally:
        store.close()
