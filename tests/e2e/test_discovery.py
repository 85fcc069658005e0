"""Home Assistant by MQTT: what `flask10x mqtt` publishes to a real broker; each is killed."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.broker import Mosquitto, bridge, mosquitto, needs_mosquitto
from tests.e2e.conftest import MakeService
from tests.e2e.senders import HOST
from tests.e2e.service import Service, reserved_port, wait_until
from tests.support import rows
from tests.support.balcony import BALCONY_TOML

pytestmark = [needs_mosquitto, pytest.mark.tools]

WITHIN_SEC = 60.0
NODE = f"flask10x_{gethostname()}"
OURS = f"flask10x/{gethostname()}"
READING = {"temperature": 21.5, "air": {"humidity": 50}}
ALERTS = """
language = "ja"
base_url = "http://pi.local:8888"

[rules.warm]
kind = "threshold"
station = "balcony"
measurement = "temperature"
above = 30
clear = 29

[rules.silence]
kind = "silence"
"""


class Listener:
    """A client that has what the broker retains, as Home Assistant would."""

    def __init__(self, broker: Mosquitto) -> None:
        self.messages: dict[str, str] = {}
        self.times: dict[str, int] = {}
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="listener")
        self.client.on_connect = lambda client, *_: client.subscribe("#")
        self.client.on_message = self._came
        self.client.connect(HOST, broker.port)
        self.client.loop_start()

    def _came(self, _client: Client, _data: Any, message: Any) -> None:
        text = message.payload.decode()
        self.times[message.topic] = self.times.get(message.topic, 0) + 1
        if text:
            self.messages[message.topic] = text
        else:
            self.messages.pop(message.topic, None)

    def config(self, component: str, name: str) -> Any:
        """The description of an entity."""
        return json.loads(self.messages[f"homeassistant/{component}/{NODE}/{name}/config"])

    def topics(self) -> list[str]:
        """At once: a thread adds and removes them."""
        return list(self.messages)

    def configs(self) -> list[str]:
        """Component and name of all entities that are described."""
        parts = [topic.split("/") for topic in self.topics() if topic.startswith("homeassistant/")]
        return sorted(f"{part[1]} {part[3]}" for part in parts if part[-1] == "config")

    def state(self, station: str) -> Any:
        """The newest state of a station; None without one."""
        text = self.messages.get(f"{OURS}/stations/{station}/state")
        return json.loads(text) if text else None

    def availability(self, of: str = "") -> str | None:
        return self.messages.get(f"{OURS}/{of}availability")

    def wait_for_temperature(self, value: float) -> None:
        wait_until(
            lambda: (self.state("balcony") or {}).get("temperature") == value,
            WITHIN_SEC,
            f"{value} in {self.state('balcony')}",
        )


@contextmanager
def listening(broker: Mosquitto) -> Iterator[Listener]:
    listener = Listener(broker)
    try:
        yield listener
    finally:
        listener.client.disconnect()
        listener.client.loop_stop()


def house(service: MakeService, alerts: str = ALERTS, **settings: object) -> Service:
    made = service(start=False, mqtt_discovery="homeassistant", **settings)
    made.data_dir.mkdir(parents=True)
    (made.data_dir / "stations.toml").write_text(BALCONY_TOML, encoding="utf-8")
    (made.data_dir / "alerts.toml").write_text(alerts, encoding="utf-8")
    made.start()
    return made


def send(service: Service, temperature: float) -> None:
    store(service, "balcony", READING | {"temperature": temperature})


def store(service: Service, endpoint: str, body: object) -> None:
    """The newest of all that is stored when this returns: two workers store in any order."""
    before = service.count()
    assert service.post(endpoint, body).status == 200
    service.wait_for_rows(before + 1)


def test_stations_that_have_sent_are_described_in_the_language_of_the_house(
    service: MakeService, tmp_path: Path
) -> None:
    with mosquitto(tmp_path / "broker") as broker, listening(broker) as heard:
        running = house(service, altitude_m=35, partial_readings="accept")
        send(running, 21.5)
        incomplete = {"temperature": 20, "co2": 650, "humidity": 50, "pressure": 1013.2}
        store(running, "data2", incomplete)
        with bridge(running, broker):
            wait_until(lambda: heard.availability() == "online", WITHIN_SEC, "online")
            balcony = {name for name in heard.configs() if "balcony" in name}
            answered = running.get("/api/v1/latest?station=balcony").json
            values = {*answered["measurements"], *answered["derived_units"]}
            # The difference from outside comes with the first reading of that station.
            values -= {"outdoor_difference"}
            assert values >= {"temperature", "humidity", "dew_point"}
            assert balcony - {f"sensor balcony-{name}" for name in values} == {
                "binary_sensor silence-balcony",
                "binary_sensor warm-balcony-temperature",
            }
            assert len(balcony) == len(values) + 2
            # Neither data nor data3 nor data4 has ever sent.
            assert {name.partition("-")[0] for name in heard.configs()} == {
                *("sensor balcony", "sensor data2", "binary_sensor warm", "binary_sensor silence"),
                *("binary_sensor disk", "binary_sensor database", "binary_sensor backup"),
                *("binary_sensor replica", "binary_sensor copies"),
            }
            described = heard.config("sensor", "balcony-temperature")
            assert described.pop("origin")["name"] == "Flask10X"
            assert described == {
                "name": "温度",
                "unique_id": f"{NODE}_balcony_temperature",
                "default_entity_id": "sensor.balcony_temperature",
                "state_topic": f"{OURS}/stations/balcony/state",
                "value_template": "{{ value_json['temperature'] }}",
                "state_class": "measurement",
                "device_class": "temperature",
                "unit_of_measurement": "°C",
                "suggested_display_precision": 1,
                "expire_after": 3600,
                "availability_mode": "all",
                "availability": [
                    {"topic": f"{OURS}/availability"},
                    {"topic": f"{OURS}/stations/balcony/availability"},
                ],
                "device": {
                    "identifiers": [f"{NODE}_balcony"],
                    "name": "Balcony",
                    "manufacturer": "Flask10X",
                    "configuration_url": "http://pi.local:8888/history?endpoint=balcony",
                },
            }
            co2 = heard.config("sensor", "data2-co2")
            assert (co2["device"]["name"], co2["device"]["model"]) == (
                "寝室",
                "Bedroom (MH-Z19, BME680)",
            )
            assert co2["default_entity_id"] == "sensor.bedroom_co2"
            assert (co2["device_class"], co2["suggested_display_precision"]) == (
                "carbon_dioxide",
                0,
            )
            level = heard.config("sensor", "data2-sea_level_pressure")
            assert (level["name"], level["device_class"]) == ("海面気圧", "atmospheric_pressure")
            warm = heard.config("binary_sensor", "warm-balcony-temperature")
            assert (warm["name"], warm["device_class"]) == ("温度が 30 °C を超過", "problem")
            state = heard.state("balcony")
            assert (state["temperature"], state["humidity"], state["dew_point"]) == (
                21.5,
                50,
                10.635,
            )
            # A board without its gas sensor: unknown, and not the value before.
            assert heard.state("data2")["gas_resistance"] is None


def test_states_follow_the_log_whatever_is_killed(service: MakeService, tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        running = house(service)
        send(running, 1)
        with bridge(running, broker) as command:
            with listening(broker) as heard:
                heard.wait_for_temperature(1)
                send(running, 2)
                heard.wait_for_temperature(2)
                assert heard.availability() == "online"
                # The broker says that the command has gone.
                command.end(signal.SIGKILL)
                wait_until(lambda: heard.availability() == "offline", WITHIN_SEC, "offline")
                for value in (3, 4, 5):
                    send(running, value)
                command.start()
                heard.wait_for_temperature(5)
                wait_until(lambda: heard.availability() == "online", WITHIN_SEC, "online")
            broker.end(signal.SIGKILL)
            send(running, 6)
            broker.start()
            # A client that comes now gets all that it needs, at once.
            with listening(broker) as heard:
                heard.wait_for_temperature(6)
                wait_until(lambda: heard.availability() == "online", WITHIN_SEC, "online")
                assert len(heard.configs()) >= 8
                # Home Assistant starts again.
                before = dict(heard.times)
                heard.client.publish("homeassistant/status", "online")
                topic = f"{OURS}/stations/balcony/state"
                wait_until(lambda: heard.times[topic] > before[topic], WITHIN_SEC, "again")
                wait_until(
                    lambda: all(
                        heard.times[name] > times
                        for name, times in before.items()
                        if name.startswith("homeassistant/sensor")
                    ),
                    WITHIN_SEC,
                    "all described again",
                )
                running.stop()
                running.start()
                send(running, 7)
                heard.wait_for_temperature(7)
                assert command.end(signal.SIGTERM) == 0
                wait_until(lambda: heard.availability() == "offline", WITHIN_SEC, "offline")


def test_what_has_gone_is_removed(service: MakeService, tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker, listening(broker) as heard:
        running = house(service)
        send(running, 1)
        outside = {"temperature": 5, "humidity": 50, "pressure": 1013, "gas_res": 1}
        store(running, "data3", outside)
        with bridge(running, broker) as command:
            heard.wait_for_temperature(1)
            wait_until(lambda: heard.availability() == "online", WITHIN_SEC, "online")
            assert "sensor balcony-humidity" in heard.configs()
            assert command.end(signal.SIGTERM) == 0
            # The measurement goes, the rule goes.
            shorter = BALCONY_TOML.partition("[stations.balcony.measurements.humidity]")[0]
            (running.data_dir / "stations.toml").write_text(shorter, encoding="utf-8")
            (running.data_dir / "alerts.toml").write_text('language = "en"\n', encoding="utf-8")
            command.start()
            gone = "sensor balcony-humidity"
            wait_until(lambda: gone not in heard.configs(), WITHIN_SEC, "one less")
            wait_until(lambda: heard.availability() == "online", WITHIN_SEC, "online")
            left = [
                "binary_sensor silence-balcony",
                "sensor balcony-outdoor_difference",
                "sensor balcony-temperature",
            ]
            # What has gone is taken back one by one, and "online" does not wait for that.
            wait_until(
                lambda: [name for name in heard.configs() if "balcony" in name] == left,
                WITHIN_SEC,
                "the others are left",
            )
            assert heard.config("sensor", "balcony-temperature")["name"] == "Temperature"
            assert command.end(signal.SIGTERM) == 0
            # The station goes.
            (running.data_dir / "stations.toml").unlink()
            command.start()
            wait_until(
                lambda: not [name for name in heard.topics() if "balcony" in name],
                WITHIN_SEC,
                "the station has gone",
            )
            assert "sensor data3-temperature" in heard.configs()


def test_an_alert_is_a_binary_sensor_that_says_what_it_is(
    service: MakeService, tmp_path: Path
) -> None:
    with mosquitto(tmp_path / "broker") as broker, listening(broker) as heard:
        running = house(service)
        send(running, 21)
        with bridge(running, broker):
            topic = f"{OURS}/alerts/warm/balcony.temperature"
            wait_until(lambda: heard.availability() == "online", WITHIN_SEC, "online")
            assert json.loads(heard.messages[topic]) == {"state": "OFF"}
            assert heard.availability("alerts/") == "online"
            send(running, 31)
            wait_until(
                lambda: json.loads(heard.messages[topic])["state"] == "ON", WITHIN_SEC, "it fires"
            )
            assert "Balconyの温度" in json.loads(heard.messages[topic])["message"]
            send(running, 20)
            wait_until(
                lambda: json.loads(heard.messages[topic])["state"] == "OFF", WITHIN_SEC, "it ends"
            )


def test_a_silent_station_has_no_values(service: MakeService, tmp_path: Path) -> None:
    silence = '[rules.silence]\nkind = "silence"\nafter_min = 0.5\n'
    with mosquitto(tmp_path / "broker") as broker, listening(broker) as heard:
        running = house(service, silence)
        send(running, 21)
        with bridge(running, broker):
            where = "stations/balcony/"
            wait_until(lambda: heard.availability(where) == "online", WITHIN_SEC, "it sends")
            assert heard.config("sensor", "balcony-temperature")["expire_after"] == 30
            moved = 3 * 60 * 1000
            rows.execute(
                running.database, f"UPDATE readings SET received_at = received_at - {moved}"
            )
            wait_until(lambda: heard.availability(where) == "offline", WITHIN_SEC, "it is silent")
            send(running, 22)
            wait_until(lambda: heard.availability(where) == "online", WITHIN_SEC, "it sends again")


# An environment of its own: python3 -m venv <folder>; <folder>/bin/pip install homeassistant
HASS = os.environ.get("HASS") or shutil.which("hass")
CONFIGURATION = """\
homeassistant: {{name: Home, time_zone: Asia/Tokyo, country: JP, unit_system: metric}}
http: {{server_host: 127.0.0.1, server_port: {port}}}
api:
config:
onboarding:
logger: {{default: warning}}
"""
# It installs paho-mqtt at its first start.
STARTS_WITHIN_SEC = 300.0


class HomeAssistant:
    """A real one, in a folder of its own, asked by its API as its pages do."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir()
        (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=port))
        self._folder, self._address, self._token = folder, f"http://{HOST}:{port}", ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [str(HASS), "--config", str(self._folder)], stdout=output, stderr=output
            )
        wait_until(self._answers, STARTS_WITHIN_SEC, "Home Assistant answers")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(WITHIN_SEC)
            self._process = None

    def complaints(self) -> list[str]:
        """What it says against our messages."""
        about = re.compile(r" (WARNING|ERROR) .*components\.mqtt\.(?!client)")
        return [*filter(about.search, (self._folder / "output.txt").read_text().splitlines())]

    def set_up(self, broker: Mosquitto) -> None:
        """What a person clicks: a name and a password, then the integration MQTT."""
        client = f"{self._address}/"
        person = {"name": "a", "username": "a", "password": "a password", "language": "en"}
        code = self.ask("onboarding/users", {**person, "client_id": client})["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": client}
        with urlopen(f"{client}auth/token", urlencode(grant).encode()) as answer:
            self._token = json.load(answer)["access_token"]
        flow = self.ask("config/config_entries/flow", {"handler": "mqtt"})
        where = {"broker": HOST, "port": broker.port}
        made = self.ask(f"config/config_entries/flow/{flow['flow_id']}", where)
        assert made["type"] == "create_entry"

    def ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._address}/api/{path}", data)
        request.add_header("Content-Type", "application/json")
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        with urlopen(request, timeout=WITHIN_SEC) as answer:
            return json.load(answer)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("onboarding")) or True
        except HTTPError:
            return True
        except (URLError, OSError):
            return False

    def states(self) -> dict[str, Any]:
        return {state["entity_id"]: state for state in self.ask("states")}

    def wait_for(self, entity: str, state: str | None) -> Any:
        """Its attributes, once it has this state; None: once it is gone."""

        def now() -> Any:
            return self.states().get(entity, {})

        wait_until(lambda: now().get("state") == state, WITHIN_SEC, f"{entity} is {state}")
        return now().get("attributes")


@pytest.mark.long
@pytest.mark.skipif(HASS is None, reason="there is no hass: HASS names that of an environment")
@pytest.mark.timeout(900)
def test_home_assistant_shows_the_house(service: MakeService, tmp_path: Path) -> None:
    with reserved_port() as port:
        home = HomeAssistant(tmp_path / "home", port)
    with mosquitto(tmp_path / "broker") as broker:
        running = house(service)
        send(running, 21.5)
        try:
            home.start()
            home.set_up(broker)
            with bridge(running, broker) as command:
                sensor = "sensor.balcony_temperature"
                shown = home.wait_for(sensor, "21.5")
                assert shown == {
                    "state_class": "measurement",
                    "unit_of_measurement": "°C",
                    "device_class": "temperature",
                    "friendly_name": "Balcony 温度",
                }
                assert home.wait_for("sensor.balcony_dew_point", "10.635")
                alert = "binary_sensor.balcony_temperature_above_30_c"
                assert home.wait_for(alert, "off")
                send(running, 31)
                assert "Balconyの温度" in home.wait_for(alert, "on")["message"]
                command.end(signal.SIGKILL)
                home.wait_for(sensor, "unavailable")
                for value in (11, 12):
                    send(running, value)
                command.start()
                home.wait_for(sensor, "12")
                broker.end(signal.SIGKILL)
                send(running, 13)
                broker.start()
                home.wait_for(sensor, "13")
                home.end()
                send(running, 14)
                home.start()
                home.wait_for(sensor, "14")
                command.end(signal.SIGTERM)
                (running.data_dir / "stations.toml").unlink()
                (running.data_dir / "alerts.toml").unlink()
                command.start()
                home.wait_for(sensor, None)
                home.wait_for("binary_sensor.flask10x_no_new_backup", "off")
        finally:
            home.end(signal.SIGKILL)
        assert home.complaints() == []
