"""Subscriber: takes messages from the broker, and acknowledges them once they are stored.

It runs in one thread: a message is acknowledged on the connection that delivered it, or not at all.
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
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from flask10x.config import secrets
from flask10x.config.readers import MQTT_PORTS
from flask10x.config.settings import PREFIX, Settings
from flask10x.errors import SettingsError
from flask10x.mqtt.handover import POSTED_MAX, Handover, Message, Result, ServiceAway, next_to_post


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker that has the messages."""

    host: str
    port: int
    has_tls: bool
    user: str
    """Empty: anonymous."""
    password: str
    """Empty if it needs none."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def broker_at(url: str, password: str = "") -> Broker:
    """The broker at a URL that `mqtt_url` has read."""
    parts = urlsplit(url)
    port, user = parts.port or MQTT_PORTS[parts.scheme], unquote(parts.username or "")
    return Broker(parts.hostname or "", port, parts.scheme == "mqtts", user, password)


def broker_of(settings: Settings) -> Broker:
    """The broker of MQTT_URL, with the password of MQTT_PASSWORD_FILE.

    Raises SettingsError if MQTT_URL is not set, or the file can't be read.
    """
    if not settings.mqtt_url:
        text = _("{setting} is not set: mqtt://host or mqtt://user@host:1883 is needed")
        raise SettingsError(text.format(setting=f"{PREFIX}MQTT_URL"))
    password = ""
    if named := settings.mqtt_password_file:
        place = f"{PREFIX}MQTT_PASSWORD_FILE"
        password = secrets.read_secret(place, named).decode("utf-8", "replace").strip("\r\n")
    return broker_at(settings.mqtt_url, password)


FIRST_SEC, LONGEST_SEC = 1.0, 60.0


class Pauses:
    """The growing pauses between tries of one action."""

    def __init__(self) -> None:
        self._next_sec = FIRST_SEC
        self._until_sec = 0.0
        self._failed = 0

    def begin(self) -> bool:
        """Begin a pause after a failed try; whether it was the first one, to be logged."""
        self._until_sec = monotonic() + self._next_sec
        self._next_sec = min(self._next_sec * 2, LONGEST_SEC)
        self._failed += 1
        return self._failed == 1

    def end(self) -> bool:
        """End the pauses after a successful try; whether a try has failed before it."""
        had_failed = self._failed > 0
        self._next_sec, self._until_sec, self._failed = FIRST_SEC, 0.0, 0
        return had_failed

    def rest_sec(self) -> float:
        """How long the pause still lasts; 0 if the next try may begin."""
        return max(0.0, self._until_sec - monotonic())


# Deliveries tell new messages of a broker from repeated ones.
#
# A broker gives each delivery a number from 1 to 65,535, and reuses the number after its
# acknowledgement. A message that was not acknowledged, perhaps because this command or the broker
# ended before, is delivered again. So for each number a file holds the last message that was
# delivered under it.

DIGEST_BYTES = 16
# For each number: the digest of the content, when it first came, whether it was acknowledged.
SLOT = struct.Struct(f"<{DIGEST_BYTES}sQ?7x")
FILE_MODE = 0o640


class Deliveries:
    """The file, of at most 2 MB; it is never synced to the disk.

    A killed command loses nothing of it. A power cut may lose the last half minute; then a message
    that was stored but not acknowledged is stored a second time.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which is made if it is missing; raises OSError."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        self._last_ns = 0

    def first_came_ns(self, number: int, content: bytes, *, is_marked: bool) -> int:
        """When this message came for the first time, in nanoseconds since 1970; it is unique.

        `is_marked` is the flag of the broker that it has tried to deliver the message before (DUP).
        """
        digest = blake2b(content, digest_size=DIGEST_BYTES).digest()
        last_digest, came_ns, was_acknowledged = self._slot(number)
        # A broker that was killed may have forgotten its first try.
        if last_digest == digest and (is_marked or not was_acknowledged):
            return came_ns
        came_ns = self.now_ns()
        self._write(number, digest, came_ns, was_acknowledged=False)
        return came_ns

    def now_ns(self) -> int:
        """The current time, or a little later if another message has it already."""
        self._last_ns = max(time_ns(), self._last_ns + 1)
        return self._last_ns

    def note_acknowledged(self, number: int) -> None:
        """Note the acknowledgement: the next message of this number without a mark is a new one."""
        digest, came_ns, _ = self._slot(number)
        self._write(number, digest, came_ns, was_acknowledged=True)

    def forget(self) -> None:
        """Forget all numbers, because the broker begins a new session."""
        os.truncate(self._fd, 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _slot(self, number: int) -> tuple[bytes, int, bool]:
        slot = os.pread(self._fd, SLOT.size, number * SLOT.size)
        digest, came_ns, was_acknowledged = SLOT.unpack(slot.ljust(SLOT.size, b"\0"))
        return digest, came_ns, was_acknowledged

    def _write(self, number: int, digest: bytes, came_ns: int, *, was_acknowledged: bool) -> None:
        slot = SLOT.pack(digest, came_ns, was_acknowledged)
        os.pwrite(self._fd, slot, number * SLOT.size)


log = logging.getLogger(__name__)

AT_LEAST_ONCE = 1
KEEPALIVE_SEC = 60
# The broker sends so many messages without an acknowledgement, if it speaks MQTT 5 (Receive
# Maximum). They are several posts: a message that has come keeps its time while the service is
# away.
UNACKNOWLEDGED_MAX = 1_000
# The session never ends, as one of MQTT 3.1.1.
NEVER_EXPIRES_SEC = 0xFFFF_FFFF
# The reason code of a broker that does not speak this version.
UNSUPPORTED_VERSION = 0x84
# A broker that restarts, and a proxy without its broker, hang up just as a broker that does not
# know the version. After so many connections in a row the version is the likely reason.
HANG_UPS = 2
VERSIONS = {MQTTProtocolVersion.MQTTv5: "5", MQTTProtocolVersion.MQTTv311: "3.1.1"}
# How soon a stop is noticed while nothing comes.
LOOKED_EVERY_SEC = 0.5
# The messages of a backlog come within a millisecond of each other.
PAUSE_SEC = 0.01
# The first message waits at most this long for others that come without a pause.
GATHERED_SEC = 0.05
# Limits the messages that the broker does not keep (QoS 0), while the service is away; some 10 MB.
UNKEPT_MAX = 10_000


class Subscriber:
    """One session with the broker, which keeps messages while this command is not connected."""

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
        self._client = self._new_client(MQTTProtocolVersion.MQTTv5)
        # Whether the broker has not yet answered this connection.
        self._is_unanswered = False
        # How many connections of this version in a row the broker has ended without an answer.
        self._hung_up = 0
        # Whether the broker has answered that it does not speak MQTT 5.
        self._is_5_refused = False

    def run(self, stop: Event) -> None:
        """Take and hand over until `stop` is set; then disconnect, which ends no session."""
        is_connected = False
        while not stop.is_set():
            if not is_connected:
                is_connected = self._connect()
                if not is_connected:
                    stop.wait(min(LOOKED_EVERY_SEC, self._to_broker.rest_sec()))
                    continue
            error = self._take()
            if error != MQTTErrorCode.MQTT_ERR_SUCCESS:
                is_connected = False
                self._lost(error)
            elif self._is_due():
                self._hand_over()
        self._client.disconnect()

    def _is_due(self) -> bool:
        return bool(self._waiting) and not self._to_service.rest_sec()

    def _take(self) -> MQTTErrorCode:
        """Take the next message and those that follow without a pause, up to one post.

        The client reads one message per call, and a post of any size waits for a commit.
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

    def _new_client(self, version: MQTTProtocolVersion) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            # In MQTT 5 each connection has this flag itself.
            clean_session=None if version == MQTTProtocolVersion.MQTTv5 else False,
            protocol=version,
            manual_ack=True,
        )
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._broker.password or None)
        if self._broker.has_tls:
            client.tls_set()
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._came
        return client

    def _connect(self) -> bool:
        if self._to_broker.rest_sec():
            return False
        self._is_unanswered = True
        try:
            is_5 = self._client.protocol == MQTTProtocolVersion.MQTTv5
            options: dict[str, Any] = {"clean_start": False, "properties": _session()}
            place = (self._broker.host, self._broker.port)
            self._client.connect(*place, KEEPALIVE_SEC, **(options if is_5 else {}))
        except (OSError, ValueError) as error:
            self._hung_up = 0
            self._away(f"cannot be reached: {error}")
            return False
        return True

    def _connected(
        self, client: Client, _data: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Any
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
        self, _client: Client, _data: Any, _number: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        for topic, reason in zip(self._endpoints, reasons, strict=False):
            if reason.is_failure:
                log.error("The broker refuses the topic %s: %s", topic, reason)

    def _lost(self, error: MQTTErrorCode) -> None:
        """Unacknowledged messages come again, unless the broker was killed and has lost them."""
        self._waiting = [replace(message, number=0) for message in self._waiting]
        # After a refusal the reason is logged already.
        if not self._to_broker.rest_sec():
            self._away(f"is lost: {error.name}")
        is_5 = self._client.protocol == MQTTProtocolVersion.MQTTv5
        if self._is_unanswered:
            # A broker may hang up without an answer if it does not know the version.
            self._hung_up += 1
            if self._hung_up >= HANG_UPS:
                self._change_version()
        elif not is_5 and not self._is_5_refused:
            # It may have hung up at MQTT 5 for another reason.
            self._change_version()

    def _change_version(self) -> None:
        """Use the other version from now on; both have the same session."""
        self._hung_up = 0
        is_5 = self._client.protocol == MQTTProtocolVersion.MQTTv5
        version = MQTTProtocolVersion.MQTTv311 if is_5 else MQTTProtocolVersion.MQTTv5
        self._client = self._new_client(version)

    def _away(self, how: str) -> None:
        if self._to_broker.begin():
            log.warning("The broker %s %s", self._broker, how)

    # The messages

    def _came(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        endpoint = self._endpoints.get(message.topic)
        if endpoint is None:
            # Of a station that had the topic when the session began.
            log.warning("No station has the topic %s any more", message.topic)
            client.unsubscribe(message.topic)
        if endpoint is None or message.retain:
            # It is the last published value, perhaps old, and no new reading.
            client.ack(message.mid, message.qos)
            return
        number = message.mid if message.qos else 0
        if number:
            content = message.topic.encode() + b"\0" + message.payload
            came_ns = self._deliveries.first_came_ns(number, content, is_marked=message.dup)
            # It may wait since the connection before.
            self._waiting = [other for other in self._waiting if other.came_ns != came_ns]
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
        unsettled = [m for m, r in zip(posted, results, strict=True) if not r.is_settled]
        # Behind the others, so that messages of an unknown station do not delay them.
        self._waiting = self._waiting[len(posted) :] + unsettled
        if unsettled:
            self._put_off(next(r.error for r in results if not r.is_settled))
        elif self._to_service.end():
            log.info("The service takes readings again")

    def _settle(self, message: Message, result: Result) -> None:
        if result.error:
            log.warning("A reading of %s was refused: %s", message.endpoint, result.error)
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
