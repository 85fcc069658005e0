"""What becomes of the messages that wait while the broker or the service is away."""

import socket
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest
from paho.mqtt.client import ConnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from flask10x.mqtt import subscriber as subscriber_module
from flask10x.mqtt.handover import POSTED_MAX, Handover, Message, Result
from flask10x.mqtt.session import Session, broker_at
from flask10x.mqtt.subscriber import Deliveries, Subscriber
from flask10x.readings.stations import Measurement, Station
from flask10x.system.pace import Pauses

TEMPERATURE = Measurement(
    path="AM2301.Temperature",
    column="temperature",
    quantity="temperature",
    csv_header="T",
    unit="°C",
    aliases=("t",),
)
HUMIDITY = Measurement(
    path="AM2301.Humidity", column="humidity", quantity="humidity", csv_header="H", unit="%"
)
STATIONS = {
    f"home/{name}": Station(
        endpoint=name,
        label=name,
        csv_name=f"{name}.csv",
        measurements=(TEMPERATURE, HUMIDITY),
    )
    for name in ("balcony", "shed")
}


class Service(Handover):
    """It stores what is of the balcony, and does not know the shed."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:1", "")
        self.stored: list[tuple[int, bytes]] = []
        self.posted: list[int] = []

    def post(self, messages: Sequence[Message], _now_ns: int) -> list[Result]:
        self.posted.append(len(messages))
        of_station = [message.endpoint == "balcony" for message in messages]
        self.stored += [(m.number, m.payload) for m in messages if m.endpoint == "balcony"]
        return [Result(is_known, "" if is_known else "unknown station") for is_known in of_station]


def subscriber(service: Service, deliveries: Deliveries, port: int = 1883) -> Subscriber:
    broker = broker_at(f"mqtt://127.0.0.1:{port}")
    return Subscriber(broker, "test", STATIONS, service, deliveries)


def come(session: Subscriber, number: int, payload: bytes, topic: str = "home/balcony") -> None:
    message = MQTTMessage(number, topic.encode())
    message.payload, message.qos = payload, 1
    session._came(session._client, None, message)


def answer(session: Session) -> None:
    """As a broker that takes the connection."""
    flags, reason = ConnectFlags(session_present=True), ReasonCode(PacketTypes.CONNACK)
    session._connected(session._client, None, flags, reason, None)


def test_what_a_killed_broker_has_lost_is_stored_all_the_same(tmp_path: Path) -> None:
    service = Service()
    with closing(Deliveries(tmp_path / "deliveries")) as deliveries:
        session = subscriber(service, deliveries)
        come(session, 1, b"lost")
        come(session, 2, b"kept")
        session._lost(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        come(session, 2, b"kept")
        session._hand_over()
    # The one that has come once more is the one to acknowledge, and is posted once.
    assert service.stored == [(0, b"lost"), (2, b"kept")]


def test_messages_that_must_wait_hold_up_no_others(tmp_path: Path) -> None:
    service = Service()
    with closing(Deliveries(tmp_path / "deliveries")) as deliveries:
        session = subscriber(service, deliveries)
        for number in range(1, POSTED_MAX + 1):
            come(session, number, b"%d" % number, "home/shed")
        come(session, POSTED_MAX + 1, b"good")
        session._hand_over()
        session._hand_over()
    assert service.stored == [(POSTED_MAX + 1, b"good")]


@pytest.mark.parametrize(
    ("coming", "posted"),
    [(1, [1]), (20, [20]), (2 * POSTED_MAX + 50, [POSTED_MAX, POSTED_MAX, 50])],
)
def test_a_backlog_goes_in_whole_posts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coming: int, posted: list[int]
) -> None:
    """The session reads one message at each call, and each post waits for a commit."""
    service, stop = Service(), Event()
    # A slow machine may need longer than a session waits for more messages.
    monkeypatch.setattr(subscriber_module, "GATHERED_SEC", 60)
    with closing(Deliveries(tmp_path / "deliveries")) as deliveries:
        session = subscriber(service, deliveries)
        numbers = iter(range(1, coming + 1))

        def read_one(_timeout_sec: float) -> MQTTErrorCode:
            number = next(numbers, None)
            if number is not None:
                come(session, number, b"%d" % number)
            elif not session._waiting:
                stop.set()
            return MQTTErrorCode.MQTT_ERR_SUCCESS

        monkeypatch.setattr(session._client, "connect", lambda *_where, **_how: answer(session))
        monkeypatch.setattr(session._client, "loop", read_one)
        session.run(stop)
    assert service.posted == posted
    assert service.stored == [(number, b"%d" % number) for number in range(1, coming + 1)]


def test_a_connection_lost_among_a_backlog_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before is posted and not acknowledged, so it comes again."""
    service, stop = Service(), Event()
    with closing(Deliveries(tmp_path / "deliveries")) as deliveries:
        session = subscriber(service, deliveries)
        answers = iter([MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_CONN_LOST])

        def read_one(_timeout_sec: float) -> MQTTErrorCode:
            if (answer := next(answers, None)) is None:
                stop.set()
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            if answer == MQTTErrorCode.MQTT_ERR_SUCCESS:
                come(session, 1, b"first")
            return answer

        monkeypatch.setattr(session._client, "connect", lambda *_where, **_how: answer(session))
        monkeypatch.setattr(session._client, "loop", read_one)
        session._to_broker = Pauses(first_sec=0)
        session.run(stop)
    assert service.stored == [(0, b"first")]


TAKEN = b"\x20\x03\x01\x00\x00"
# By a broker of MQTT 3.1.1, and in the way of MQTT 5.
REFUSED, REFUSED_BY_5 = b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00"
HANGS_UP = b""


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([REFUSED, TAKEN], "refuses: Unsupported protocol version"),
        ([REFUSED_BY_5, TAKEN], "refuses: Unsupported protocol version"),
        ([HANGS_UP, HANGS_UP, TAKEN], "is lost: MQTT_ERR_CONN_LOST"),
        ([TAKEN, HANGS_UP, TAKEN], "is lost: MQTT_ERR_CONN_LOST"),
    ],
)
def test_a_broker_is_asked_again_by_mqtt_5(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answers: list[bytes],
    said: str,
) -> None:
    stop = Event()
    asked: list[int] = []

    def accept(listener: socket.socket) -> None:
        for answer_to in answers:
            with listener.accept()[0] as connection:
                # Behind the packet's type, its length and the name of the protocol.
                asked.append(connection.recv(1024)[8])
                connection.sendall(answer_to)
                if answer_to == TAKEN:
                    # And lost when it has subscribed.
                    connection.recv(1024)
        stop.set()

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        closing(Deliveries(tmp_path / "deliveries")) as deliveries,
    ):
        listener.settimeout(60)
        broker = Thread(target=accept, args=[listener])
        broker.start()
        session = subscriber(Service(), deliveries, listener.getsockname()[1])
        session._to_broker = Pauses(first_sec=0)
        session.run(stop)
        broker.join()
    assert asked == [5] * len(answers)
    assert any(message.endswith(said) for message in caplog.messages), caplog.messages


def test_a_message_of_an_unplugged_sensor_is_no_reading(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As Tasmota sends it each five minutes: it has nothing that could be lost."""
    caplog.set_level("INFO")
    unplugged = b'{"Time": "T", "AM2301": {"Temperature": null, "Humidity": null}, "TempUnit": "C"}'
    readings = [
        b'{"AM2301": {"Temperature": 21.5, "Humidity": null}}',
        # Of another name, of a slip in it, at another place, without one, and what is no JSON.
        b'{"AM2301": {"Temperature": null}, "Humidity": 50}',
        b'{"AM2301": {"Temperature": null, "Humidty": 50}}',
        b'{"AM2301": {"Temperature": null, "Humidity": null}, "t": 20}',
        b'{"Time": "T"}',
        b"null",
    ]
    service = Service()
    with closing(Deliveries(tmp_path / "deliveries")) as deliveries:
        session = subscriber(service, deliveries)
        answer(session)
        for number, payload in enumerate([unplugged, unplugged, *readings, unplugged], 1):
            come(session, number, payload)
        come(session, 10, b'{"data": ' + unplugged + b', "id": "1"}')
        session._hand_over()
    assert [payload for _number, payload in service.stored] == readings
    said = [text for text in caplog.messages if "no values" in text]
    # Once, and again after a reading.
    assert len(said) == 2


def test_sessions_of_one_broker_say_once_what_becomes_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    broker = broker_at("mqtt://127.0.0.1:1883")
    sessions = [Session(broker, "one"), Session(broker, "other")]
    for _ in range(2):
        for session in sessions:
            answer(session)
        for session in sessions:
            session._lost(MQTTErrorCode.MQTT_ERR_CONN_LOST)
    connected = "Connected to the broker 127.0.0.1:1883 by MQTT 5"
    lost = "The broker 127.0.0.1:1883 is lost: MQTT_ERR_CONN_LOST"
    assert caplog.messages == [connected, lost] * 2
