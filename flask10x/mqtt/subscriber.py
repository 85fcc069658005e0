"""Subscriber: takes messages from the broker, and acknowledges them once they are stored.

It runs in one thread: a message is acknowledged on the connection that delivered it, or not at all.
"""

import logging
import os
import struct
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from flask10x.mqtt.handover import (
    POSTED_MAX,
    Handover,
    Message,
    ServiceAway,
    has_no_value,
    next_to_post,
)
from flask10x.mqtt.session import LOOKED_EVERY_SEC, Broker, Session
from flask10x.readings.stations import Station
from flask10x.system.pace import Pauses

log = logging.getLogger(__name__)

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


AT_LEAST_ONCE = 1
# The messages of a backlog come within a millisecond of each other.
PAUSE_SEC = 0.01
# The first message waits at most this long for others that come without a pause.
GATHERED_SEC = 0.05
# Limits the messages that the broker does not keep (QoS 0), while the service is away; some 10 MB.
UNKEPT_MAX = 10_000


class Subscriber(Session):
    """One session with the broker, which keeps messages while this command is not connected."""

    # They are several posts: a message that has come keeps its time while the service is away.
    unacknowledged_max = 1_000
    is_kept = True

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        stations: Mapping[str, Station],
        handover: Handover,
        deliveries: Deliveries,
    ) -> None:
        """The stations by their topics; nothing is connected yet."""
        super().__init__(broker, client_id)
        self._stations = stations
        # Those whose last message had no value.
        self._without_values: set[str] = set()
        self._handover = handover
        self._deliveries = deliveries
        self._waiting: list[Message] = []
        self._to_service = Pauses()

    @property
    def _is_due(self) -> bool:
        return bool(self._waiting) and not self._to_service.rest_sec()

    def _work(self) -> None:
        if self._is_due:
            self._hand_over()

    def _take(self) -> MQTTErrorCode:
        """Take the next message and those that follow without a pause, up to one post.

        The client reads one message per call, and a post of any size waits for a commit.
        """
        error = self._client.loop(0 if self._is_due else LOOKED_EVERY_SEC)
        until_sec, before = monotonic() + GATHERED_SEC, 0
        while before < len(self._waiting) < POSTED_MAX and monotonic() < until_sec:
            if error != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
            before = len(self._waiting)
            error = self._client.loop(PAUSE_SEC)
        return error

    # The broker

    def _prepare(self, client: Client) -> None:
        client.on_subscribe = self._subscribed

    def _begin(self, client: Client, flags: ConnectFlags) -> None:
        if not flags.session_present:
            self._deliveries.forget()
        client.subscribe([(topic, AT_LEAST_ONCE) for topic in self._stations])

    def _subscribed(
        self, _client: Client, _data: Any, _number: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        for topic, reason in zip(self._stations, reasons, strict=False):
            if reason.is_failure:
                log.error("The broker refuses the topic %s: %s", topic, reason)

    def _lost(self, error: MQTTErrorCode) -> None:
        """Unacknowledged messages come again, unless the broker was killed and has lost them."""
        self._waiting = [replace(message, number=0) for message in self._waiting]
        super()._lost(error)

    # The messages

    def _came(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        station = self._stations.get(message.topic)
        if station is None:
            # Of a station that had the topic when the session began.
            log.warning("No station has the topic %s any more", message.topic)
            client.unsubscribe(message.topic)
        if station is None or message.retain or self._is_empty(station, bytes(message.payload)):
            # A retained one is the last published value, perhaps old, and no new reading.
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
        self._waiting.append(Message(number, station.endpoint, bytes(message.payload), came_ns))

    def _is_empty(self, station: Station, payload: bytes) -> bool:
        """Whether it has null for each value: it is no reading, and nothing is lost without it."""
        if not has_no_value(station, payload):
            self._without_values.discard(station.endpoint)
            return False
        if station.endpoint not in self._without_values:
            self._without_values.add(station.endpoint)
            text = "The messages of %s have no values: is its sensor plugged in?"
            log.warning(text, station.endpoint)
        return True

    def _hand_over(self) -> None:
        posted = next_to_post(self._waiting)
        try:
            results = self._handover.post(posted, self._deliveries.now_ns())
        except ServiceAway as error:
            self._put_off(str(error))
            return
        unsettled = []
        for message, result in zip(posted, results, strict=True):
            if not result.is_settled:
                unsettled.append(message)
                continue
            if result.error:
                log.warning("A reading of %s was refused: %s", message.endpoint, result.error)
            if message.number:
                self._client.ack(message.number, AT_LEAST_ONCE)
                self._deliveries.note_acknowledged(message.number)
        # Behind the others, so that messages of an unknown station do not delay them.
        self._waiting = self._waiting[len(posted) :] + unsettled
        if unsettled:
            self._put_off(next(r.error for r in results if not r.is_settled))
        elif self._to_service.end():
            log.info("The service takes readings again")

    def _put_off(self, why: str) -> None:
        if self._to_service.begin():
            log.warning("The service takes no readings, %d wait: %s", len(self._waiting), why)
