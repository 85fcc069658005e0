"""Subscriber: takes messages from the broker, and lets it forget them once they are stored.

All in one thread: a message is acknowledged on the connection that it came by, or not at all.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from threading import Event
from time import monotonic
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from flask10x.mqtt.broker import Broker
from flask10x.mqtt.deliveries import Deliveries
from flask10x.mqtt.handover import POSTED_MAX, Handover, Result, ServiceAway, next_to_post
from flask10x.mqtt.messages import Message
from flask10x.mqtt.pauses import Pauses

log = logging.getLogger(__name__)

AT_LEAST_ONCE = 1
KEEPALIVE_SEC = 60
# How many the broker sends before it has an acknowledgement, if it speaks MQTT 5 (Receive Maximum).
# Several posts of them: one that has come keeps its time, also while the service is away.
UNACKNOWLEDGED_MAX = 1_000
# The session is kept without an end, as one of MQTT 3.1.1 is.
NEVER_EXPIRES_SEC = 0xFFFF_FFFF
# The reason code of a broker that does not speak this version.
UNSUPPORTED_VERSION = 0x84
# A broker that restarts, and a proxy without its broker, hang up as one does that does not know the
# version. It is the version after so many connections in a row.
HANG_UPS = 2
VERSIONS = {MQTTProtocolVersion.MQTTv5: "5", MQTTProtocolVersion.MQTTv311: "3.1.1"}
# How soon a stop is noticed while nothing comes.
LOOKED_EVERY_SEC = 0.5
# Those of a backlog come within a millisecond of each other.
PAUSE_SEC = 0.01
# How long the first one waits for others at most, when they come without a pause.
GATHERED_SEC = 0.05
# Of the messages that the broker does not keep (QoS 0), while the service is away; 10 MB or so.
UNKEPT_MAX = 10_000


class Subscriber:
    """One session with the broker, which keeps what comes while nobody is connected."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        endpoints: Mapping[str, str],
        handover: Handover,
        deliveries: Deliveries,
    ) -> None:
        """`endpoints` are those of the stations, by their topics; nothing is connected yet."""
        self._broker = broker
        self._endpoints = endpoints
        self._handover = handover
        self._deliveries = deliveries
        self._waiting: list[Message] = []
        self._to_broker, self._to_service = Pauses(), Pauses()
        self._client_id = client_id
        self._client = self._made(MQTTProtocolVersion.MQTTv5)
        # Whether the broker has not yet said if it takes this connection.
        self._is_unanswered = False
        # How many connections by this version the broker has ended in a row without an answer.
        self._hung_up = 0
        # Whether it has said that it does not speak MQTT 5.
        self._is_5_refused = False

    def run(self, stop: Event) -> None:
        """Take and hand over until `stop` is set; then disconnect, which ends no session."""
        is_connected = False
        while not stop.is_set():
            if not is_connected:
                is_connected = self._connect()
                if not is_connected:
                    stop.wait(min(LOOKED_EVERY_SEC, self._to_broker.left_sec()))
                    continue
            error = self._take()
            if error != MQTTErrorCode.MQTT_ERR_SUCCESS:
                is_connected = False
                self._lost(error)
            elif self._is_due():
                self._hand_over()
        self._client.disconnect()

    def _is_due(self) -> bool:
        return bool(self._waiting) and not self._to_service.left_sec()

    def _take(self) -> MQTTErrorCode:
        """Take what comes next, and what follows it without a pause, as far as one post holds it.

        The client reads one message at a call, and a post waits for a commit, whatever it holds.
        """
        error = self._client.loop(0 if self._is_due() else LOOKED_EVERY_SEC)
        until_sec, before = monotonic() + GATHERED_SEC, 0
        while before < len(self._waiting) < POSTED_MAX and monotonic() < until_sec:
            if error != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
            before = len(self._waiting)
            error = self._client.loop(PAUSE_SEC)
        return error

    # The broker

    def _made(self, version: MQTTProtocolVersion) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            # By MQTT 5 each connection says it.
            clean_session=None if version == MQTTProtocolVersion.MQTTv5 else False,
            protocol=version,
            manual_ack=True,
        )
        address = self._broker.address
        if address.user:
            client.username_pw_set(address.user, self._broker.password or None)
        if address.has_tls:
            client.tls_set()
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._came
        return client

    def _connect(self) -> bool:
        if self._to_broker.left_sec():
            return False
        address = self._broker.address
        self._is_unanswered = True
        try:
            if self._client.protocol == MQTTProtocolVersion.MQTTv5:
                self._client.connect(
                    address.host,
                    address.port,
                    KEEPALIVE_SEC,
                    clean_start=False,
                    properties=_session(),
                )
            else:
                self._client.connect(address.host, address.port, KEEPALIVE_SEC)
        except (OSError, ValueError) as error:
            self._hung_up = 0
            self._away(f"cannot be reached: {error}")
            return False
        return True

    def _connected(
        self,
        client: Client,
        _userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._is_unanswered, self._hung_up = False, 0
        if reason.is_failure:
            self._away(f"refuses: {reason}")
            client.disconnect()
            if reason.value == UNSUPPORTED_VERSION:
                self._is_5_refused = client.protocol == MQTTProtocolVersion.MQTTv5
                self._change_version()
            return
        if not flags.session_present:
            self._deliveries.forget()
        self._to_broker.end()
        version = VERSIONS.get(client.protocol, "3.1")
        log.info("Connected to the broker %s by MQTT %s", self._broker, version)
        client.subscribe([(topic, AT_LEAST_ONCE) for topic in self._endpoints])

    def _subscribed(
        self,
        _client: Client,
        _userdata: object,
        _number: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        for topic, reason in zip(self._endpoints, reasons, strict=False):
            if reason.is_failure:
                log.error("The broker refuses the topic %s: %s", topic, reason)

    def _lost(self, error: MQTTErrorCode) -> None:
        """What is not acknowledged comes again, unless the broker was killed and has lost it."""
        self._waiting = [replace(message, number=0) for message in self._waiting]
        # Said already when it has refused.
        if not self._to_broker.left_sec():
            self._away(f"is lost: {error.name}")
        is_5 = self._client.protocol == MQTTProtocolVersion.MQTTv5
        if self._is_unanswered:
            # A broker may hang up at a version that it does not know, and say nothing.
            self._hung_up += 1
            if self._hung_up >= HANG_UPS:
                self._change_version()
        elif not is_5 and not self._is_5_refused:
            # It may have hung up at MQTT 5 for another reason.
            self._change_version()

    def _change_version(self) -> None:
        """Connect by the other version from now on; the session is the same by both."""
        self._hung_up = 0
        if self._client.protocol == MQTTProtocolVersion.MQTTv5:
            self._client = self._made(MQTTProtocolVersion.MQTTv311)
        else:
            self._client = self._made(MQTTProtocolVersion.MQTTv5)

    def _away(self, how: str) -> None:
        if self._to_broker.begin():
            log.warning("The broker %s %s", self._broker, how)

    # The messages

    def _came(self, client: Client, _userdata: Any, message: MQTTMessage) -> None:
        endpoint = self._endpoints.get(message.topic)
        if endpoint is None:
            # Of a station that had the topic when the session began.
            log.warning("No station has the topic %s any more", message.topic)
            client.unsubscribe(message.topic)
        if endpoint is None or message.retain:
            # The last value that was published, perhaps long ago: no reading of now.
            client.ack(message.mid, message.qos)
            return
        number = message.mid if message.qos else 0
        if number:
            content = message.topic.encode() + b"\0" + message.payload
            came_ns = self._deliveries.first_came_ns(number, content, is_marked=message.dup)
            # One that waits since the connection before.
            self._waiting = [one for one in self._waiting if one.came_ns != came_ns]
        else:
            came_ns = self._deliveries.now_ns()
            if len(self._waiting) >= UNKEPT_MAX:
                log.error("A message of %s is lost: too many wait", message.topic)
                return
        self._waiting.append(Message(number, endpoint, bytes(message.payload), came_ns))

    def _hand_over(self) -> None:
        posted = next_to_post(self._waiting)
        try:
            results = self._handover.post(posted, self._deliveries.now_ns())
        except ServiceAway as error:
            self._put_off(str(error))
            return
        for message, result in zip(posted, results, strict=True):
            if result.is_settled:
                self._settle(message, result)
        open_ones = [m for m, r in zip(posted, results, strict=True) if not r.is_settled]
        # Behind the others, so that those of a station which the service has not hold up no other.
        self._waiting = self._waiting[len(posted) :] + open_ones
        if open_ones:
            self._put_off(next(r.said for r in results if not r.is_settled))
        elif self._to_service.end():
            log.info("The service takes readings again")

    def _settle(self, message: Message, result: Result) -> None:
        if result.said:
            log.warning("A reading of %s was refused: %s", message.endpoint, result.said)
        if message.number:
            self._client.ack(message.number, AT_LEAST_ONCE)
            self._deliveries.note_acknowledged(message.number)

    def _put_off(self, why: str) -> None:
        if self._to_service.begin():
            log.warning("The service takes no readings, %d wait: %s", len(self._waiting), why)


def _session() -> Properties:
    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    session.SessionExpiryInterval = NEVER_EXPIRES_SEC
    session.ReceiveMaximum = UNACKNOWLEDGED_MAX
    return session
