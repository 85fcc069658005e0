"""What Home Assistant is told of each entity, in both languages."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flask10x.alerts.alert import Alert
from flask10x.config import station_file
from flask10x.config.alerts.rules import Alerts, Disk, FailedSensor, Rate, Silence, Threshold
from flask10x.config.settings import Settings
from flask10x.history.newest import NewestReading
from flask10x.history.pages import Row
from flask10x.mqtt.discovery import House, Messages, StationNow
from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations
from flask10x.system import address
from flask10x.translation import Language
from tests.contract.test_hostile import HOSTILE
from tests.support.html import NINE

DOCS = Path(__file__).parents[2] / "docs"
# The units of each class, https://developers.home-assistant.io/docs/core/entity/sensor; it refuses
# an entity with another unit.
UNITS = {
    "carbon_dioxide": "ppm",
    "temperature": "°C",
    "humidity": "%",
    "atmospheric_pressure": "hPa",
    "voltage": "V",
    "moisture": "%",
    "absolute_humidity": "g/m³",
}
RULES = (
    Silence(stations=("data2",)),
    FailedSensor(stations=("data2",)),
    Threshold(name="low", station="data2", column="humidity", below=30, clear=35),
    Rate(name="fast", station="data2", column="co2", rise=300, within_sec=600),
    Disk(),
)


def now(station: Station, *values: float | None, age_sec: int = 0) -> StationNow:
    row = Row(1, station.endpoint, NINE, values)
    return StationNow(station=station, newest=NewestReading(row), age_sec=age_sec, expires_sec=600)


def messages(
    settings: Settings,
    *stations: StationNow,
    language: Language = "en",
    active: tuple[Alert, ...] = (),
    is_served: bool = True,
) -> Messages:
    alerts = Alerts(rules=RULES, language=language)
    told = replace(settings, alerts=alerts, mqtt_discovery="homeassistant")
    house = House(told, "pi")
    return house.messages(stations, active, is_served=is_served)


def described(found: Messages) -> dict[str, Any]:
    """The descriptions by the names of their entities."""
    texts = {topic: message for topic, message in found.items() if topic.endswith("/config")}
    objects = [json.loads(message.payload) for message in texts.values() if message]
    return {each["name"]: each for each in objects}


def payload(found: Messages, topic: str) -> Any:
    message = found[topic]
    assert message is not None
    return json.loads(message.payload)


@pytest.mark.parametrize(
    ("language", "names", "of_alerts"),
    [
        (
            "en",
            ["CO₂", "Temperature", "Humidity", "Pressure", "Gas resistance", "Dew point"],
            {
                *("No data", "CO₂: the sensor does not measure", "Humidity below 30 %"),
                *("CO₂ is rising fast", "The server's disk is nearly full"),
            },
        ),
        (
            "ja",
            ["CO₂", "温度", "湿度", "気圧", "ガス抵抗", "露点温度"],
            {
                *("受信なし", "CO₂を測れていません", "湿度が 30 % 未満"),
                *("CO₂が急に上がっています", "サーバーの空き容量が少なくなっています"),
            },
        ),
    ],
)
def test_names_are_in_the_language_of_the_house(
    settings: Settings, language: Language, names: list[str], of_alerts: set[str]
) -> None:
    station = BUILT_IN.by_endpoint["data2"]
    found = described(messages(settings, now(station, *[None] * 5), language=language))
    assert [*found][:6] == names
    assert of_alerts <= {*found}
    ids = {each["default_entity_id"] for each in found.values()}
    assert {"sensor.bedroom_co2", "binary_sensor.bedroom_no_data"} <= ids


def test_each_class_has_its_unit(settings: Settings) -> None:
    soil = Measurement(path="s", column="soil", quantity="moisture", csv_header="s", unit="%")
    odd = Measurement(path="o", column="odd", quantity="humidity", csv_header="o", unit="g/kg")
    garden = Station(endpoint="garden", label="Garden", csv_name="g.csv", measurements=(soil, odd))
    stations = Stations((*BUILT_IN.all, garden))
    settings = replace(settings, stations=stations)
    told = (now(station, *[None] * len(station.columns)) for station in stations.all)
    found = messages(settings, *told)
    sensors = {
        topic: json.loads(message.payload)
        for topic, message in found.items()
        if message and topic.startswith("homeassistant/sensor/")
    }
    wrong = [
        topic
        for topic, sensor in sensors.items()
        if (kind := sensor.get("device_class")) and UNITS[kind] != sensor["unit_of_measurement"]
    ]
    assert wrong == []
    assert {sensor.get("device_class") for sensor in sensors.values()} == {*UNITS, None}
    assert {sensor["state_class"] for sensor in sensors.values()} == {"measurement"}
    assert len({sensor["unique_id"] for sensor in sensors.values()}) == len(sensors)
    # A difference of 3 °C is not one of 37 °F.
    (difference,) = (s for t, s in sensors.items() if "data-outdoor_difference" in t)
    assert (difference["unit_of_measurement"], "device_class" in difference) == ("°C", False)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_fine_dust_of_the_documents_has_its_unit_and_class(
    settings: Settings, language: str
) -> None:
    """Home Assistant takes no `pm10` without µg/m³, and shows no statistics without a unit."""
    page = DOCS / language / "howto" / "influx.md"
    (text,) = re.findall(r"```toml\n(\[stations\..*?)```", page.read_text(encoding="utf-8"), re.S)
    stations = station_file.parse(text.encode(), page)
    station = stations.by_endpoint["balcony"]
    settings = replace(settings, stations=stations)
    found = described(messages(settings, now(station, 21.5, 12.4)))
    sensors = {each["default_entity_id"]: each for each in found.values()}
    dust = sensors["sensor.balcony_pm10"]
    assert (dust["device_class"], dust["unit_of_measurement"]) == ("pm10", "µg/m³")


@pytest.mark.parametrize(
    ("bind", "base_url", "expected"),
    [
        ("0.0.0.0:8888", "http://pi.local/", "http://pi.local"),
        ("0.0.0.0:8888", "", "http://192.168.1.5:8888"),
        ("192.168.1.7:80", "", "http://192.168.1.7:80"),
        # Only a proxy reaches it, and where that is nobody has said.
        ("127.0.0.1:8888", "", None),
        ("unix:/run/flask10x.sock", "", None),
    ],
)
def test_each_device_has_a_link_to_its_page(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    bind: str,
    base_url: str,
    expected: str | None,
) -> None:
    monkeypatch.setattr(address, "own_address", lambda: "192.168.1.5")
    monkeypatch.setattr(address, "AVAHI", settings.data_dir / "none")
    alerts = Alerts(rules=RULES, base_url=base_url)
    told = replace(settings, alerts=alerts, mqtt_discovery="homeassistant", bind=bind)
    house = House(told, "pi")
    station = now(BUILT_IN.by_endpoint["data2"], *[None] * 5)
    devices = [
        each["device"] for each in described(house.messages([station], (), is_served=True)).values()
    ]
    links = {device["name"]: device.get("configuration_url") for device in devices}
    pages = {"Bedroom": "/history?endpoint=data2", "Flask10X": "/status"}
    assert links == {name: expected and f"{expected}{path}" for name, path in pages.items()}


@pytest.mark.parametrize("label", [text for text in HOSTILE if text.isprintable()])
def test_a_hostile_name_is_a_text_and_no_part_of_an_id(settings: Settings, label: str) -> None:
    before = messages(settings, now(BUILT_IN.by_endpoint["data2"], *[None] * 5))
    station = replace(BUILT_IN.by_endpoint["data2"], label=label)
    found = messages(settings, now(station, *[None] * 5))
    assert found.keys() == before.keys()
    for topic, message in found.items():
        if topic.endswith("/config") and message is not None:
            one, former = json.loads(message.payload), payload(before, topic)
            assert one["unique_id"] == former["unique_id"]
            assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", one["default_entity_id"]), one
            assert one["device"]["name"] in (label, former["device"]["name"])


def test_an_old_value_is_never_shown_as_a_new_one(settings: Settings) -> None:
    station = BUILT_IN.by_endpoint["data2"]
    state = "flask10x/pi/stations/data2/state"
    found = messages(settings, now(station, 650.0, 21.25, float("inf"), None, 5419.5, age_sec=60))
    values = payload(found, state)
    assert (values["co2"], values["temperature"], values["gas_resistance"]) == (650, 21.25, 5419.5)
    assert (values["humidity"], values["pressure"]) == (None, None)
    message = found[state]
    # The broker keeps it for as long as it is of use.
    assert message is not None
    assert message.expires_sec == 540
    found = messages(settings, now(station, 650.0, *[None] * 4, age_sec=601))
    assert found[state] is None
    availability = found["flask10x/pi/stations/data2/availability"]
    assert availability is not None
    assert availability.payload == "offline"


def test_alerts_are_unknown_without_the_service(settings: Settings) -> None:
    alert = Alert(
        id=1,
        rule="fast",
        kind="rate",
        subject="data2.co2",
        since_ms=NINE,
        firing_since_ms=NINE,
        facts={"before": 600.0, "value": 950.0, "within_sec": 600, "rise": 1, "unit": "ppm"},
    )
    station = now(BUILT_IN.by_endpoint["data2"], *[None] * 5)
    found = messages(settings, station, active=(alert,), is_served=False)
    assert found["flask10x/pi/alerts/availability"].payload == "offline"  # type: ignore[union-attr]
    said = payload(found, "flask10x/pi/alerts/fast/data2.co2")
    assert said["state"] == "ON"
    assert said["message"].startswith("Bedroom CO₂ has risen from 600 ppm to 950 ppm within 10 min")
    assert payload(found, "flask10x/pi/alerts/disk/service") == {"state": "OFF"}
    # No rule speaks of a station that has never sent.
    assert not [topic for topic in messages(settings) if "data2" in topic]


def test_names_with_hyphens_stay_apart(settings: Settings) -> None:
    house = House(settings, "pi.home 1")
    assert house.node == "flask10x/pi_home_1"
    topics = [house.config_topic("binary_sensor", *names) for names in (("a-b", "c"), ("a", "b-c"))]
    assert topics[0] != topics[1]
