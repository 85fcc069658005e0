"""Subscriber: takes messages from the broker, and lets it forget them once they are stored.

All in one thread: a message is acknowledged on the connection that it came by, or not at all.
"""

import logging
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from gettext import gettext as _
from hashlib import blake2b
from pathlib import Path
from threading import Event
from time import monotonic, time_ns
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from flask10x.config import secrets
from flask10x.config.readers import BrokerAddress, broker_address
from flask10x.config.settings import PREFIX, Settings
from flask10x.errors import SettingsError
from flask10x.mqtt.handover import POSTED_MAX, Handover, Message, Result, ServiceAway, next_to_post


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the messages are."""

    address: BrokerAddress
    password: str
    """Empty: it asks for none."""

    def __str__(self) -> str:
        return f"{self.address.host}:{self.address.port}"


def broker_of(settings: Settings) -> Broker:
    """The broker of MQTT_URL, with the password of MQTT_PASSWORD_FILE.

    Raises SettingsError when there is none, or the file can't be read.
    """
    if not settings.mqtt_url:
        text = _("{setting} is not set: mqtt://host or mqtt://user@host:1883 is needed")
        raise SettingsError(text.format(setting=f"{PREFIX}MQTT_URL"))
    password = ""
    if named := settings.mqtt_password_file:
        place = f"{PREFIX}MQTT_PASSWORD_FILE"
        password = secrets.read_secret(place, named).decode("utf-8", "replace").strip("\r\n")
    return Broker(broker_address(settings.mqtt_url), password)


FIRST_SEC, LONGEST_SEC = 1.0, 60.0


class Pauses:
    """Those between tries of one thing."""

    def __init__(self) -> None:
        self._next_sec = FIRST_SEC
        self._until_sec = 0.0
        self._failed = 0

    def begin(self) -> bool:
        """Wait, since a try has failed; whether it was the first one, and worth a line."""
        self._until_sec = monotonic() + self._next_sec
        self._next_sec = min(self._next_sec * 2, LONGEST_SEC)
        self._failed += 1
        return self._failed == 1

    def end(self) -> bool:
        """A try was successful; whether any has failed before it."""
        had_failed = self._failed > 0
        self._next_sec, self._until_sec, self._failed = FIRST_SEC, 0.0, 0
        return had_failed

    def left_sec(self) -> float:
        """How long to wait until the next try; 0: not at all."""
        return max(0.0, self._until_sec - monotonic())


# Deliveries: which message of a broker is a new one, and which one comes once more.
#
# A broker gives each delivery a number from 1 to 65,535, and the number again when it was
# acknowledged. What was not acknowledged, perhaps because this command or the broker ended before
# it knew of it, comes again. So for each number a file has what was delivered under it the last
# time.

DIGEST_BYTES = 16
# Of each number: the content's digest, when it first came, whether it was acknowledged.
SLOT = struct.Struct(f"<{DIGEST_BYTES}sQ?7x")
FILE_MODE = 0o640


class Deliveries:
    """The file, of 2 MB at most, and none of it synced to the disk.

    A killed command loses nothing of it. A power cut may lose the last half minute; then a message
    that had been stored and not acknowledged is stored once more.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, and make it if need be; raises OSError."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        self._last_ns = 0

    def first_came_ns(self, number: int, content: bytes, *, is_marked: bool) -> int:
        """When this message came for the first time: nanoseconds since 1970, no two the same.

        `is_marked` is what the broker says: that it has tried to deliver it before (DUP).
        """
        digest = blake2b(content, digest_size=DIGEST_BYTES).digest()
        known, came_ns, was_acknowledged = self._slot(number)
        # A broker that was killed may have forgotten that it had tried.
        if known == digest and (is_marked or not was_acknowledged):
            return came_ns
        came_ns = self.now_ns()
        self._write(number, digest, came_ns, was_acknowledged=False)
        return came_ns

    def now_ns(self) -> int:
        """The present moment, as one that no other message has."""
        self._last_ns = max(time_ns(), self._last_ns + 1)
        return self._last_ns

    def note_acknowledged(self, number: int) -> None:
        """Whatever comes under this number without a mark is a new message now."""
        digest, came_ns, _ = self._slot(number)
        self._write(number, digest, came_ns, was_acknowledged=True)

    def forget(self) -> None:
        """The broker counts from the beginning."""
        os.truncate(self._fd, 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _slot(self, number: int) -> tuple[bytes, int, bool]:
        found = os.pread(self._fd, SLOT.size, number * SLOT.size)
        digest, came_ns, was_acknowledged = SLOT.unpack(found.ljust(SLOT.size, b"\0"))
        return digest, came_ns, was_acknowledged

    def _write(self, number: int, digest: bytes, came_ns: int, *, was_acknowledged: bool) -> None:
        slot = SLOT.pack(digest, came_ns, was_acknowledged)
        os.pwrite(self._fd, slot, number * SLOT.size)


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
