"""`flask10x mqtt` between a real broker and the real service, each killed in between."""

import json
import signal
from collections import Counter
from pathlib import Path
from socket import gethostname

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from flask10x.mqtt.subscriber import AT_LEAST_ONCE
from tests.e2e.broker import Bridge, Mosquitto, bridge, mosquitto, needs_mosquitto
from tests.e2e.conftest import MakeService
from tests.e2e.senders import HOST
from tests.e2e.service import Service, wait_until
from tests.support.balcony import BALCONY, BALCONY_TOML

pytestmark = [needs_mosquitto, pytest.mark.tools]

TOPIC = BALCONY.mqtt_topic
STORED_WITHIN_SEC = 60.0
ROUNDS, EACH = 12, 10
BACKLOG = 500


def home_with_balcony(service: MakeService) -> Service:
    made = service(start=False)
    made.data_dir.mkdir(parents=True)
    (made.data_dir / "stations.toml").write_text(BALCONY_TOML, encoding="utf-8")
    made.start()
    return made


def reading(temperature: float) -> str:
    return json.dumps({"temperature": temperature, "air": {"humidity": 50}})


def temperatures(service: Service) -> list[float]:
    query = "SELECT temperature FROM readings WHERE endpoint = 'balcony' ORDER BY id"
    return [value for (value,) in service.rows(query)]


def wait_for_readings(service: Service, number: int) -> None:
    wait_until(
        lambda: len(temperatures(service)) >= number, STORED_WITHIN_SEC, f"{number} are stored"
    )


def test_messages_are_stored_once_whoever_is_killed(service: MakeService, tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        broker.publish(TOPIC, [reading(99)], retain=True)
        running = home_with_balcony(service)
        with bridge(running, broker) as command:
            # Equal readings are several; one with an id of its own is one, however often it comes.
            own = json.dumps({"data": json.loads(reading(3)), "id": "esp-1"})
            broker.publish(TOPIC, [reading(1), reading(1), "25.1", own, own])
            wait_for_readings(running, 3)
            command.end(signal.SIGKILL)
            broker.publish(TOPIC, [reading(4)])
            wait_until(lambda: broker.keeps('"temperature": 4'), 60, "the broker keeps it")
            broker.end(signal.SIGKILL)
            broker.start()
            command.start()
            wait_for_readings(running, 4)
            assert command.end(signal.SIGTERM) == 0
        # Neither the retained message, which is old, nor the one that is no reading, which is kept.
        assert temperatures(running) == [1, 1, 3, 4]
        bodies = running.rows("SELECT body FROM rejected WHERE endpoint = 'balcony'")
        # Twice when the kill came before its acknowledgement.
        assert {json.loads(body)["data"] for (body,) in bodies} == {"25.1"}
        running.stop()


def test_a_backlog_is_drained_by_the_hundred_and_stored_once(
    service: MakeService, tmp_path: Path
) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        running = home_with_balcony(service)
        with bridge(running, broker) as command:
            assert command.end(signal.SIGTERM) == 0
            values = [number / 100 for number in range(BACKLOG)]
            broker.publish(TOPIC, [reading(value) for value in values])
            command.start()
            wait_for_readings(running, BACKLOG)
            # A batch holds a hundred, on a busy machine fewer; mosquitto's own limit is 20.
            assert BACKLOG / 100 <= number_of_commits(running) < BACKLOG / 20
            assert command.end(signal.SIGTERM) == 0
        assert temperatures(running) == values
        running.stop()


def test_a_session_that_began_by_mqtt_3_1_1_goes_on_by_mqtt_5(
    service: MakeService, tmp_path: Path
) -> None:
    """The first 20 messages have come to the older version, which has acknowledged none."""
    with mosquitto(tmp_path / "broker") as broker:
        running = home_with_balcony(service)
        values = [float(number) for number in range(50)]
        assert connect_by_mqtt_3_1_1(broker, expected=0) == []
        broker.publish(TOPIC, [reading(value) for value in values])
        assert connect_by_mqtt_3_1_1(broker, expected=20) == values[:20]
        with bridge(running, broker) as command:
            assert "by MQTT 5" in command.output()
            wait_for_readings(running, len(values))
            assert command.end(signal.SIGTERM) == 0
        assert temperatures(running) == values
        running.stop()


def connect_by_mqtt_3_1_1(broker: Mosquitto, *, expected: int) -> list[float]:
    """What comes until the broker has confirmed the subscription and sent so many messages."""
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"flask10x-{gethostname()}",
        clean_session=False,
        protocol=MQTTProtocolVersion.MQTTv311,
        manual_ack=True,
    )
    values: list[float] = []
    subscriptions: list[int] = []
    client.on_subscribe = lambda _client, _data, number, *_: subscriptions.append(number)
    client.on_message = lambda _client, _data, message: values.append(
        json.loads(message.payload)["temperature"]
    )
    client.connect(HOST, broker.port)
    wait_until(
        lambda: not client.loop(0.01) and client.is_connected(), STORED_WITHIN_SEC, "connected"
    )
    client.subscribe(TOPIC, AT_LEAST_ONCE)
    wait_until(
        lambda: not client.loop(0.01) and bool(subscriptions) and len(values) >= expected,
        STORED_WITHIN_SEC,
        f"{expected} have come",
    )
    client.disconnect()
    return values


@pytest.mark.long
def test_a_backlog_is_stored_once_whatever_is_killed_while_it_is_drained(
    service: MakeService, tmp_path: Path
) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        running = home_with_balcony(service)
        with bridge(running, broker) as command:
            assert command.end(signal.SIGTERM) == 0
            values = [number / 100 for number in range(3 * BACKLOG)]
            broker.publish(TOPIC, [reading(value) for value in values])
            last = f'"temperature": {values[-1]},'
            wait_until(lambda: broker.keeps(last), 60, "the broker keeps them")
            command.start()
            for number in range(3):
                wait_for_readings(running, 100 * number + 1)
                kill_one(number, running, broker, command)
                assert len(temperatures(running)) < len(values), "nothing waited any more"
            wait_for_readings(running, len(values))
            assert command.end(signal.SIGTERM) == 0
        assert sorted(temperatures(running)) == values
        running.stop()


def number_of_commits(service: Service) -> int:
    text = service.get("/metrics/prometheus").body.decode()
    name = "flask10x_commit_readings_count"
    # On PostgreSQL with the label of the host.
    (line,) = (line for line in text.splitlines() if line.startswith(name))
    return int(float(line.split()[-1]))


@pytest.mark.long
def test_messages_are_stored_once_whatever_is_killed_again_and_again(
    service: MakeService, tmp_path: Path
) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        running = home_with_balcony(service)
        with bridge(running, broker) as command:
            for number in range(ROUNDS):
                texts = [f"{number}.{decimals}" for decimals in range(1, EACH)]
                broker.publish(TOPIC, [reading(float(text)) for text in texts])
                wait_until(lambda texts=texts: all_are_safe(broker, running, texts), 60, "safe")  # type: ignore[misc]
                kill_one(number, running, broker, command)
            wait_for_readings(running, ROUNDS * (EACH - 1))
            assert command.end(signal.SIGTERM) == 0
        counts = Counter(temperatures(running))
        assert [value for value, times in counts.items() if times != 1] == []
        assert len(counts) == ROUNDS * (EACH - 1)
        running.stop()
        running.check_integrity()


def all_are_safe(broker: Mosquitto, service: Service, texts: list[str]) -> bool:
    """The broker acknowledges a message a moment before it writes it."""
    stored = {str(value) for value in temperatures(service)}
    return all(text in stored or broker.keeps(f'"temperature": {text},') for text in texts)


def kill_one(number: int, service: Service, broker: Mosquitto, command: Bridge) -> None:
    match number % 3:
        case 0:
            service.close()
            service.start()
        case 1:
            command.end(signal.SIGKILL)
            command.start()
        case 2:
            broker.end(signal.SIGKILL)
            broker.start()
