"""A session with the broker by MQTT 5: connected again whenever it is lost.

It runs in one thread, which also does what there is to do between two messages.
"""

import logging
from dataclasses import dataclass, field
from gettext import gettext as _
from threading import Event, Lock
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
from flask10x.system.pace import Pauses

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Broker:
    """The broker that has the messages."""

    host: str
    port: int
    has_tls: bool
    user: str
    """Empty: anonymous."""
    password: str = field(repr=False)
    """Empty if it needs none."""
    _said: str = ""
    _saying: Lock = field(default_factory=Lock, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def say(self, level: int, text: str) -> None:
        """Log the text, unless it is the last one that any session has logged."""
        with self._saying:
            if text != self._said:
                self._said = text
                log.log(level, "%s", text)


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


KEEPALIVE_SEC = 60
NEVER_EXPIRES_SEC = 0xFFFF_FFFF
# How soon a stop is noticed while nothing comes.
LOOKED_EVERY_SEC = 0.5


class Session:
    """One client of the broker. What it is for, a subclass says."""

    # The broker sends so many messages without an acknowledgement (Receive Maximum).
    unacknowledged_max = 20
    is_kept = False
    """Whether the broker keeps the session, with its messages, while nobody is connected."""

    def __init__(self, broker: Broker, client_id: str) -> None:
        """Nothing is connected yet."""
        self._broker = broker
        self._to_broker = Pauses()
        self._client = client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        if broker.user:
            client.username_pw_set(broker.user, broker.password or None)
        if broker.has_tls:
            client.tls_set()
        client.on_connect = self._connected
        client.on_message = self._came
        self._prepare(client)

    def run(self, stop: Event) -> None:
        """Be connected until `stop` is set; then disconnect, which ends no session that is kept."""
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
            else:
                self._work()
        if is_connected:
            self._leave()
        self._client.disconnect()

    # What a subclass does

    def _prepare(self, client: Client) -> None:
        """Before a client connects for the first time."""

    def _begin(self, client: Client, flags: ConnectFlags) -> None:
        """The broker has taken the connection."""

    def _came(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        """A message has come."""

    def _take(self) -> MQTTErrorCode:
        """Wait for a message, and take it."""
        return self._client.loop(LOOKED_EVERY_SEC)

    def _work(self) -> None:
        """Do what there is to do, connected."""

    def _leave(self) -> None:
        """Before the last disconnection."""

    # The broker

    def _connect(self) -> bool:
        if self._to_broker.rest_sec():
            return False
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = NEVER_EXPIRES_SEC if self.is_kept else 0
        session.ReceiveMaximum = self.unacknowledged_max
        try:
            self._client.connect(
                self._broker.host,
                self._broker.port,
                KEEPALIVE_SEC,
                clean_start=not self.is_kept,
                properties=session,
            )
        except (OSError, ValueError) as error:
            self._away(f"cannot be reached: {error}")
            return False
        return True

    def _connected(
        self, client: Client, _data: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._away(f"refuses: {reason}")
            client.disconnect()
            return
        self._to_broker.end()
        self._broker.say(logging.INFO, f"Connected to the broker {self._broker} by MQTT 5")
        self._begin(client, flags)

    def _lost(self, error: MQTTErrorCode) -> None:
        # After a refusal the reason is logged already.
        if not self._to_broker.rest_sec():
            self._away(f"is lost: {error.name}")

    def _away(self, how: str) -> None:
        if self._to_broker.begin():
            self._broker.say(logging.WARNING, f"The broker {self._broker} {how}")
