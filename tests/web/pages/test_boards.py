"""A board before it sends: its station from its sensors, and a program that sends just that."""

import ast
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from flask10x.config import station_file
from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.runtime.administrators import Administrators
from flask10x.translation import translation
from flask10x.web import sensors
from flask10x.web.app import create_app
from flask10x.web.sensors import BOARDS, SENSORS
from tests.conftest import MakeSettings
from tests.support.html import words
from tests.web.pages.test_administrators import become, form_of

MICROPYTHON = shutil.which("micropython")
PAGE = "/setup/new-station"
# Those without Tasmota's names, and all that one board can have at once.
ONE = {"bme280": 1, "soil": 1, "door": 1}
MANY = {"dht22": 2, "scd4x": 1, "ds18b20": 2, "soil": 1, "door": 2}
# What replaces the modules of a board, as their documents have them.
MODULES = {
    "machine": """
class Pin:
    IN, PULL_UP = 0, 2
    def __init__(self, number, mode=None, pull=None):
        self.number = number
    def value(self):
        return self.number % 2
class ADC:
    ATTN_11DB = 3
    def __init__(self, pin, atten=0):
        pass
    def read_u16(self):
        return 37000
class I2C:
    def __init__(self, number, sda, scl):
        pass
    def writeto(self, address, data):
        assert address == 0x62
    def readfrom(self, address, count):
        # 500 ppm, 25.0 degrees, 37 %: the example of Sensirion's data sheet, 3.5.2.
        return bytes((0x01, 0xF4, 0x33, 0x66, 0x67, 0xA2, 0x5E, 0xB9, 0x3C))
""",
    "bme280_float": """
class BME280:
    def __init__(self, i2c, address):
        assert address == 0x76
    values = ("21.50C", "1013.25hPa", "45.00%")
""",
    "dht": """
class DHT22:
    def __init__(self, pin):
        self.pin = pin
    def measure(self):
        if self.pin.number == 14:
            raise Exception("checksum error")
    def temperature(self):
        return 22.6
    def humidity(self):
        return 52.4
""",
    "onewire": "class OneWire:\n    def __init__(self, pin):\n        pass\n",
    "ds18x20": """
class DS18X20:
    def __init__(self, wire):
        pass
    def scan(self):
        return [bytearray(b"(b"), bytearray(b"(a")]
    def convert_temp(self):
        pass
    def read_temp(self, rom):
        assert isinstance(rom, bytearray)
        return {97: -18.25, 98: 4.5}[rom[1]]
""",
}


@pytest.fixture
def of(settings: Settings) -> Administrators:
    return Administrators(settings)


def address(board: str, counts: Mapping[str, int], path: str = "shed", **more: str) -> str:
    return f"{PAGE}?{urlencode({'board': board, 'path': path, **counts, **more})}"


def program(client: FlaskClient, board: str, counts: Mapping[str, int]) -> str:
    query = urlencode({"board": board, "path": "shed", **counts})
    answer = client.get(f"{PAGE}/program?{query}", headers={"Host": "pi.local:8888"})
    assert answer.status_code == 200
    return answer.text


def added(client: FlaskClient, page: str) -> None:
    """Add the station of a page as it is proposed."""
    answer = client.post("/setup/stations/shed", data=form_of(page))
    assert answer.status_code == 303 and answer.headers["Location"].startswith(PAGE)
    shown = client.get(answer.headers["Location"])
    assert "The station shed is added" in words(shown.text)


@pytest.mark.parametrize("board", [*BOARDS])
@pytest.mark.parametrize("counts", [ONE, MANY, {"ds18b20": 2, "bme280": 1}])
def test_the_station_takes_what_the_board_sends(
    client: FlaskClient,
    of: Administrators,
    make_settings: MakeSettings,
    board: str,
    counts: dict[str, int],
) -> None:
    if board == "tasmota":
        counts = {kind: n for kind, n in counts.items() if SENSORS[kind].tasmota}
        counts |= {kind: 1 for kind in counts if kind != "ds18b20"}
    become(client, of)
    added(client, client.get(address(board, counts)).text)
    body = sensors.body_of(board, sensors.sensors_of(counts))
    settings = make_settings()
    # As a start does; a reading without its column would be tried again until the end.
    schema.upgrade(settings)
    store = (app := create_app(settings)).extensions["flask10x"]
    other = app.test_client()
    with closing(store):
        assert other.post("/shed", json=body).json == {"status": "enqueued"}
        # A sensor that could not be read keeps no other from being stored.
        if len(sensors.sensors_of(counts)) > 1 and board != "tasmota":
            first = next(iter(body))
            assert other.post("/shed", json={first: body[first]}).status_code == 200
    assert store.writer.depth == 0


def test_the_station_is_named_and_can_be_edited(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    become(client, of)
    page = client.get(address("mqtt", {"ds18b20": 2}, "freezer-2")).text
    form = form_of(page)
    assert (form["label"], form["label_ja"]) == ("Freezer 2", "冷凍庫2")
    assert (form["mqtt_topic"], form["partial"]) == ("home/freezer-2", "accept")
    assert (form["label-1"], form["label_ja-1"]) == ("Temperature (DS18B20 2)", "温度 (DS18B20 2)")
    wrong = client.post("/setup/stations/freezer-2", data=form | {"mqtt_topic": "a/#"})
    assert wrong.status_code == 400 and 'id="error-mqtt_topic"' in wrong.text
    again = form_of(wrong.text)
    assert again["board"] == "mqtt" and again["ds18b20"] == "2" and again["partial"] == "accept"
    answer = client.post("/setup/stations/freezer-2", data=again | {"mqtt_topic": "cold/2"})
    assert answer.status_code == 303
    station = station_file.load(settings.data_dir / "stations.toml").by_endpoint["freezer-2"]
    assert station.mqtt_topic == "cold/2" and station.accepts_partial
    assert [m.path for m in station.measurements] == [
        "ds18b20_1.temperature", "ds18b20_2.temperature"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("board=pico&path=&bme280=1", "path", "small letters a to z"),
        ("board=pico&path=Kit+chen&bme280=1", "path", "kit-chen"),
        ("board=pico&path=metrics&bme280=1", "path", "/metrics is an address of the service"),
        ("board=pico&path=data&bme280=1", "path", "there is a station data already"),
        ("board=x&path=shed&bme280=1", "board", "choose one"),
        ("board=pico&path=shed", "sensors", "choose at least one sensor"),
        ("board=pico&path=shed&bme280=3", "bme280", "a number from 0 to 2 is needed"),
        ("board=pico&path=shed&bme280=-1", "bme280", "a number from 0 to 2 is needed"),
        ("board=tasmota&path=shed&door=1", "door", "Tasmota sends no number of it"),
        ("board=tasmota&path=shed&bme280=2", "bme280", "only one of them"),
        (
            "board=pico&path=shed&dht22=4&bme280=2&scd4x=1",
            "sensors",
            "a station has 16 measurements at most",
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    client: FlaskClient, query: str, field: str, reason: str
) -> None:
    answer = client.get(f"{PAGE}?{query}")
    assert answer.status_code == 400
    said = answer.text.partition(f'id="error-{field}">')[2].partition("<")[0]
    assert reason in said
    if "path=data&" not in query:
        assert client.get(f"{PAGE}/program?{query}").status_code == 404


def test_a_name_is_text_in_pages_and_programs(client: FlaskClient) -> None:
    for path in ('"><script>', "a'b", "x$(id)", "a\nb"):
        answer = client.get(address("shell", ONE, path))
        assert answer.status_code == 400 and "<script>" not in answer.text.partition("<main")[2]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("counts", [ONE, MANY, {"dht22": 1, "scd4x": 1}, {"bme280": 2}])
def test_programs_are_whole(
    client: FlaskClient, counts: dict[str, int], language: str, tmp_path: Path
) -> None:
    client.get(f"/?lang={language}")
    for board in ("pico", "esp32"):
        text = program(client, board, counts)
        ast.parse(text)
        assert 'HOST, PORT = "pi.local", 8888' in text and "\n\n\n\n" not in text
    for board in ("shell", "mqtt"):
        (tmp_path / "x.sh").write_text(program(client, board, counts), encoding="utf-8")
        subprocess.run(["sh", "-n", tmp_path / "x.sh"], check=True)


@pytest.mark.parametrize("counts", [ONE, MANY])
def test_the_file_of_esphome_sends_what_the_station_takes(
    client: FlaskClient, counts: dict[str, int]
) -> None:
    # What makes the documents brings it along.
    yaml = pytest.importorskip("yaml")
    document = yaml.safe_load(program(client, "esphome", counts))
    (action,) = document["interval"][0]["then"]
    post = action["http_request.post"]
    assert post["url"] == "http://pi.local:8888/shed"
    assert post["request_headers"] == {"Content-Type": "application/json"}
    ids = {
        part["id"]
        for one in (*document["sensor"], *document.get("binary_sensor", ()))
        for part in (one, *(value for value in one.values() if isinstance(value, dict)))
        if "id" in part
    }
    for name in ids:
        assert f"id({name}).state" in post["json"]
    body = sensors.body_of("esphome", sensors.sensors_of(counts))
    for name, value in body.items():
        for inner in value if isinstance(value, dict) else ("",):
            place = f'root["{name}"]["{inner}"]' if inner else f'root["{name}"]'
            assert f"{place} = id(" in post["json"]
    assert document["esphome"]["name"] == "shed"


def test_the_program_of_the_shell_reads_its_sensors(client: FlaskClient, tmp_path: Path) -> None:
    """From files such as the kernel's, and programs such as those of a Raspberry Pi."""
    devices = {
        "iio/iio:device0": {"name": "ads1015", "in_voltage0_raw": "15000"},
        "iio/iio:device1": {
            "name": "dht11@11", "in_temp_input": "22600", "in_humidityrelative_input": "52400"
        },
        "w1/28-00a": {"temperature": "-18250"},
        "w1/28-00b": {"temperature": "4500"},
    }  # fmt: skip
    for folder, files in devices.items():
        (tmp_path / folder).mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / folder / name).write_text(f"{text}\n")
    commands = {
        "pinctrl": '[ "$1" = lev ] && echo $(($2 % 2)); true',
        "i2ctransfer": '[ "$3" = r9@0x62 ] && echo 0x01 0xf4 0x33 0x66 0x67 0xa2 0x5e 0xb9 0x3c;'
        " true",
        # What would be posted.
        "curl": 'for one; do case $one in @*) cat "${one#@}" ;; esac; done >&2; echo 200',
    }
    (tmp_path / "bin").mkdir()
    for name, text in commands.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    (tmp_path / "send.sh").write_text(program(client, "shell", MANY), encoding="utf-8")
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "IIO": str(tmp_path / "iio"),
        "W1": str(tmp_path / "w1"),
    }
    done = subprocess.run(
        ["sh", tmp_path / "send.sh"], env=environment, capture_output=True, text=True, check=False
    )
    (item,) = json.loads(done.stderr.partition("200")[0])
    assert item["data"] == {
        # There is no second one.
        "dht22_1": {"temperature": 22.6, "humidity": 52.4},
        "scd4x": {"co2": 500, "temperature": 25.0, "humidity": 37.0},
        "ds18b20_1": {"temperature": -18.25},
        "ds18b20_2": {"temperature": 4.5},
        "soil": {"soil_moisture": 50.0},
        "door_1": {"door": 1},
        "door_2": {"door": 0},
    }


@pytest.mark.tools
@pytest.mark.skipif(MICROPYTHON is None, reason="micropython is not installed")
@pytest.mark.parametrize("board", ["pico", "esp32"])
def test_the_program_of_a_board_reads_its_sensors(
    client: FlaskClient, board: str, tmp_path: Path
) -> None:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "board.py").write_text(program(client, board, MANY), encoding="utf-8")
    (tmp_path / "one.py").write_text(program(client, board, ONE), encoding="utf-8")
    (tmp_path / "run.py").write_text(
        "import json, sys\nsys.path.insert(0, '.')\nimport board, one\n"
        "class Clock:\n    def sleep_ms(self, ms):\n        pass\n"
        "board.time = Clock()\n"
        "print(json.dumps(board.measured()))\nprint(json.dumps(one.measured()))\n"
    )
    done = subprocess.run(
        [str(MICROPYTHON), "run.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"MICROPYPATH": f"{tmp_path}:.frozen"},
    )
    *_, many, one = done.stdout.splitlines()
    pins = {"pico": (0, 1), "esp32": (1, 0)}[board]
    found = json.loads(many)
    assert found["dht22_1"] == {"temperature": 22.6, "humidity": 52.4}
    if board == "pico":
        # Its second one gives no right answer.
        assert found["dht22_2"] == {}
    assert found["scd4x"] == {"co2": 500, "temperature": 25.0, "humidity": 37.0}
    assert [found[f"ds18b20_{n}"]["temperature"] for n in (1, 2)] == [-18.25, 4.5]
    assert found["soil"] == {"soil_moisture": 50.0}
    assert tuple(found[f"door_{n}"]["door"] for n in (1, 2)) == pins
    assert json.loads(one) == {
        "temperature": "21.50C", "pressure": "1013.25hPa", "humidity": "45.00%",
        "soil_moisture": 50.0, "door": pins[0],
    }  # fmt: skip


def test_a_wire_leads_from_a_pin_to_an_end() -> None:
    found = dict(sensors.wires("pico", sensors.sensors_of({"bme280": 2, "door": 1})))
    assert [tuple(wire) for wire in found["BME280 2"]] == [
        ("power", "3V3", 36, "VCC"),
        ("ground", "GND", 38, "GND"),
        ("sda", "GP4", 6, "SDA"),
        ("scl", "GP5", 7, "SCL"),
        ("power", "3V3", 36, "SDO"),
    ]
    # A contact at 3V3 would never be read as closed.
    assert [(wire.colour, wire.pin) for wire in found["Door contact"]] == [
        ("data", "GP16"),
        ("ground", "GND"),
    ]
    (probe,) = dict(sensors.wires("shell", sensors.sensors_of({"soil": 1}))).values()
    assert ("data", "ADS1115 A0", None, "AOUT") in [tuple(wire) for wire in probe]
    assert ("sda", "GPIO2", 3, "ADS1115 SDA") in [tuple(wire) for wire in probe]
    for board, places in sensors.PLACES.items():
        assert len({*places.values()}) == len(places)
        used = {pin for numbers in sensors.PINS[board].values() for pin in numbers}
        assert used <= places.keys()
    (_, ends), *_ = sensors.wires("esp32", sensors.sensors_of({"dht22": 1}))
    assert {wire.place for wire in ends} == {None}


def test_each_sensor_has_wires_and_a_name_in_both_languages(client: FlaskClient) -> None:
    t = translation("ja")
    for board in ("pico", "esp32", "esphome", "shell"):
        found = list(sensors.wires(board, sensors.sensors_of(MANY)))
        assert len(found) == sum(MANY.values()) and all(ends for _, ends in found)
    assert all(t(kind.about) != kind.about for kind in SENSORS.values())
