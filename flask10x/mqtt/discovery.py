"""Discovery: stations and alerts for Home Assistant, which needs no configuration of its own then.

A retained message describes each entity (https://www.home-assistant.io/integrations/mqtt): a sensor
for each measurement and derived value of a station that has ever sent, a binary sensor for each
alert. The states follow the log of readings: once a second what is new is published, and of what
came while the broker was away only the newest.
"""

import json
import logging
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sqlalchemy.exc import DBAPIError

import flask10x
from flask10x.alerts import state_file, subjects
from flask10x.alerts.active import AlertState, Stamp, newest_ms, stamp_of
from flask10x.alerts.alert import Alert
from flask10x.alerts.messages import Speaker
from flask10x.alerts.words import wording_of_rule
from flask10x.config.alerts.rules import Rule, Threshold
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import database_path
from flask10x.database.running_service import running
from flask10x.errors import Flask10xError
from flask10x.history.newest import NewestReading, newest_readings
from flask10x.history.silence import learned_limits, silent_after_sec, usual_silence_of
from flask10x.history.view import View
from flask10x.mqtt.session import Broker, Pauses, Session
from flask10x.readings.derived import derived_by_station
from flask10x.readings.labels import column_name, label_of, station_name
from flask10x.readings.numbers import DIGITS
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import SECOND_MS, iso_text
from flask10x.system import clock
from flask10x.system.address import addresses
from flask10x.translation import Translation, translation

log = logging.getLogger(__name__)

# The classes of Home Assistant, by quantity and unit: it refuses an entity whose unit its class
# does not have. Differences have none, for 3 °C more are not 37 °F more.
CLASSES = {
    ("temperature", "°C"): "temperature",
    ("wbgt", "°C"): "temperature",
    ("humidity", "%"): "humidity",
    ("absolute_humidity", "g/m³"): "absolute_humidity",
    ("pressure", "hPa"): "atmospheric_pressure",
    ("sea_level_pressure", "hPa"): "atmospheric_pressure",
    ("co2", "ppm"): "carbon_dioxide",
    ("co", "ppm"): "carbon_monoxide",
    ("voltage", "V"): "voltage",
    ("current", "A"): "current",
    ("power", "W"): "power",
    ("battery", "%"): "battery",
    ("moisture", "%"): "moisture",
    ("soil_moisture", "%"): "moisture",
    ("illuminance", "lx"): "illuminance",
    ("pm1", "µg/m³"): "pm1",
    ("pm25", "µg/m³"): "pm25",
    ("pm10", "µg/m³"): "pm10",
    ("wind_speed", "m/s"): "wind_speed",
}
# Of a unit that DIGITS lacks.
USUAL_DIGITS = 1
# A link to such an address would lead each reader to their own machine.
LOCAL_URL = re.compile(r"http://(?:localhost|127\.|\[::1\])")
# What was learned of a station changes a little each hour, and Home Assistant sets an entity up
# again when its description changes: a longer time is rounded up to the next of these. It only
# counts where nobody is left to say that the station is silent.
EXPIRES_SEC = (600, 900, 1200, 1800, 2700, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
DAY_SEC = 86_400


def _rounded_up(seconds: int) -> int:
    if seconds <= EXPIRES_SEC[0]:
        return seconds
    fitting = (step for step in EXPIRES_SEC if step >= seconds)
    return next(fitting, -(-seconds // DAY_SEC) * DAY_SEC)


ONLINE, OFFLINE = "online", "offline"
ON, OFF = "ON", "OFF"
# What Home Assistant says when it has started.
BORN = b"online"


@dataclass(frozen=True, slots=True)
class Topics:
    """Where things are published; those of two hosts differ."""

    prefix: str
    """That of the descriptions, MQTT_DISCOVERY."""
    node: str

    @property
    def availability(self) -> str:
        """Whether this command is connected."""
        return f"{self.node}/availability"

    @property
    def alerts(self) -> str:
        """Whether the service that decides on alerts runs."""
        return f"{self.node}/alerts/availability"

    @property
    def birth(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.prefix}/status"

    @property
    def all_of_ours(self) -> tuple[str, str]:
        """The filters of all that is retained."""
        return f"{self.prefix}/+/{_plain(self.node)}/+/config", f"{self.node}/#"

    def station(self, endpoint: str, part: str) -> str:
        """The `state` of a station or its `availability`."""
        return f"{self.node}/stations/{endpoint}/{part}"

    def alert(self, rule: str, subject: str) -> str:
        """The state of an alert."""
        return f"{self.node}/alerts/{rule}/{subject or 'service'}"

    def config(self, component: str, *names: str) -> str:
        """The description of an entity."""
        # In a name a hyphen is doubled, so that it divides no other names.
        shown = "-".join(name.replace("-", "--") for name in names if name)
        return f"{self.prefix}/{component}/{_plain(self.node)}/{shown}/config"

    def unique(self, *names: str) -> str:
        """The id of an entity or a device."""
        return "_".join(filter(None, (_plain(self.node), *names)))


def topics_of(settings: Settings, host: str) -> Topics:
    """The topics of this host."""
    return Topics(settings.mqtt_discovery, f"flask10x/{_plain(host)}")


def _plain(text: str) -> str:
    """The text with the characters that Home Assistant takes for ids."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", text)


def _entity_id(component: str, *names: str) -> str:
    """A proposal such as `sensor.bedroom_co2`: in English, for it is written in automations."""
    text = unicodedata.normalize("NFKD", " ".join(names)).encode("ascii", "ignore").decode()
    return f"{component}.{re.sub(r'[^a-z0-9]+', '_', text.lower()).strip('_')}"


class Descriptions:
    """What Home Assistant has to know of each entity, in the language of the house."""

    def __init__(self, settings: Settings, topics: Topics) -> None:
        self._settings, self._topics = settings, topics
        self._t, self._english = translation(settings.alerts.language), translation("en")
        self._base_url = settings.alerts.base_url or _base_url(settings)

    def of_station(
        self, station: Station, expires_sec: int, senders: Collection[str]
    ) -> dict[str, str]:
        """A sensor for each measurement and derived value, by topic.

        `senders` are the endpoints that have ever sent: what is compared with another is left out
        where that has not.
        """
        computed = derived_by_station(self._settings.stations)[station.endpoint].values()
        derived = [each for each in computed if not each.outside or each.outside[0] in senders]
        measurements = (*station.measurements, *(each.measurement for each in derived))
        return dict(self._sensor(station, each, expires_sec) for each in measurements)

    def _sensor(
        self, station: Station, measurement: Measurement, expires_sec: int
    ) -> tuple[str, str]:
        endpoint, column = station.endpoint, measurement.column
        english = station_name(station, self._english), column_name(measurement, self._english)
        described: dict[str, object] = {
            "name": column_name(measurement, self._t),
            "unique_id": self._topics.unique(endpoint, column),
            "default_entity_id": _entity_id("sensor", *english),
            "state_topic": self._topics.station(endpoint, "state"),
            "value_template": f"{{{{ value_json['{column}'] }}}}",
            "state_class": "measurement",
            "suggested_display_precision": DIGITS.get(measurement.unit, USUAL_DIGITS),
            "expire_after": _rounded_up(expires_sec),
            **self._availability(self._topics.station(endpoint, "availability")),
            **self._common(self._device(station)),
        }
        if measurement.unit:
            described["unit_of_measurement"] = measurement.unit
        if kind := CLASSES.get((measurement.quantity, measurement.unit)):
            described["device_class"] = kind
        return self._topics.config("sensor", endpoint, column), _json(described)

    def of_alert(self, rule: Rule, subject: str) -> tuple[str, str]:
        """The binary sensor of a rule and one of its subjects."""
        endpoint, column = subjects.station_of(subject), subjects.column_of(subject)
        station = self._settings.stations.by_endpoint.get(endpoint)
        state = self._topics.alert(rule.name, subject)
        english = self._alert_name(rule, column, self._english)
        where = station_name(station, self._english) if station else "Flask10X"
        described: dict[str, object] = {
            "name": self._alert_name(rule, column, self._t),
            "unique_id": self._topics.unique("alert", rule.name, endpoint, column),
            "default_entity_id": _entity_id("binary_sensor", where, english),
            "device_class": "problem",
            "state_topic": state,
            "value_template": "{{ value_json.state }}",
            "json_attributes_topic": state,
            **self._availability(self._topics.alerts),
            **self._common(self._device(station)),
        }
        if station is None:
            described["entity_category"] = "diagnostic"
        return self._topics.config("binary_sensor", rule.name, endpoint, column), _json(described)

    def _alert_name(self, rule: Rule, column: str, t: Translation) -> str:
        measurement = self._settings.stations.by_column.get(column)
        values = {"name": column_name(measurement, t) if measurement else column}
        if isinstance(rule, Threshold):
            limit = rule.below if rule.above is None else rule.above
            unit = measurement.unit if measurement else ""
            values["limit"] = f"{limit:.10g} {unit}".rstrip()
        wording = wording_of_rule(rule)
        english = wording.entity or wording.title
        return t(english, **values)

    def _device(self, station: Station | None) -> dict[str, object]:
        if station is None:
            device: dict[str, object] = {
                "identifiers": [self._topics.unique()],
                "name": "Flask10X",
                "sw_version": flask10x.__version__,
            }
            path = "/status"
        else:
            name = station_name(station, self._t)
            device = {"identifiers": [self._topics.unique(station.endpoint)], "name": name}
            if (label := label_of(station, self._t)) not in ("", name):
                device["model"] = label
            path = f"/history?endpoint={station.endpoint}"
        if self._base_url:
            device["configuration_url"] = self._base_url.rstrip("/") + path
        return device | {"manufacturer": "Flask10X"}

    def _availability(self, of_itself: str) -> dict[str, object]:
        of_all = [{"topic": topic} for topic in (self._topics.availability, of_itself)]
        return {"availability": of_all, "availability_mode": "all"}

    def _common(self, device: Mapping[str, object]) -> dict[str, object]:
        return {
            "device": device,
            "origin": {"name": "Flask10X", "sw_version": flask10x.__version__},
        }


def _base_url(settings: Settings) -> str:
    """The address of the pages for others in the network, by name if it has one; "" for none."""
    shared = [url for url in addresses(settings) if not LOCAL_URL.match(url)]
    return shared[-1] if shared else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class StationNow:
    """A station that has ever sent."""

    station: Station
    newest: NewestReading
    age_sec: int | None
    """Since it has sent; None where that is not known."""
    expires_sec: int
    """After so many seconds without a reading its values are not shown any longer."""

    @property
    def rest_sec(self) -> int:
        """How long its values may still be shown; 0: no longer."""
        # The age is negative when the clock is behind the reading, as after a boot.
        return 0 if self.age_sec is None else max(0, self.expires_sec - max(0, self.age_sec))


# How often stations are looked at that send nothing.
LOOK_EVERY_MS = 1_000
RENEW_EVERY_MS = 15_000
# A file that was written to within this may be written to again with the same stamp.
STAMP_MS = 2_000


class Stations:
    """The stations of the database, read again when it has changed."""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        self._settings = settings
        self._path = database_path(settings)
        self._database: Database | None = None
        self._stamp: Stamp = ()
        self._read_ms: int | None = None
        self._now: list[StationNow] = []

    def current(self) -> list[StationNow]:
        """Those that have ever sent; raises DBAPIError, OSError, TimeoutError or Flask10xError."""
        stamp, at_ms = stamp_of(self._path), clock.monotonic_ms()
        is_file = any(stamp)
        is_still = is_file and newest_ms(stamp) + STAMP_MS < clock.now_ms()
        is_fresh = self._read_ms is not None and at_ms - self._read_ms < RENEW_EVERY_MS
        if not (is_still and is_fresh and stamp == self._stamp):
            self._database = self._database or Database(self._settings)
            try:
                self._now = self._read(self._database)
            except BaseException:
                self.close()
                raise
            self._stamp, self._read_ms = stamp, at_ms
            if is_file:
                # An open connection would hold a file that was replaced.
                self.close()
        return self._now

    def close(self) -> None:
        """Close the database; the next look opens it again."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _read(self, database: Database) -> list[StationNow]:
        settings, now_ms = self._settings, clock.now_ms()
        with database.query() as connection:
            view = View(connection, settings.stations, settings.zone, now_ms)
            received, newest = view.last_received, newest_readings(view, settings.stations.all)
            learned = learned_limits(connection)
        stations = []
        for station, reading in zip(settings.stations.all, newest, strict=True):
            at = received[station.endpoint]
            if reading.row is None or at is None:
                continue
            # Until the service has learned something of a new station: as if it knew nothing.
            nothing_sec = usual_silence_of(station, ()).missed_after_sec
            learned_sec = learned.get(station.endpoint, nothing_sec)
            stations.append(
                StationNow(
                    station=station,
                    newest=reading,
                    age_sec=(now_ms - at) // SECOND_MS,
                    expires_sec=silent_after_sec(settings, station, learned_sec),
                )
            )
        return stations


# A service that restarts is gone for seconds.
SERVICE_GONE_MS = 60_000


@dataclass(slots=True)
class ServiceWatch:
    """Whether the service runs, which decides on alerts."""

    settings: Settings
    _seen_ms: int | None = None

    def is_there(self) -> bool:
        """Whether it has run within SERVICE_GONE_MS."""
        if running(self.settings) is not None:
            self._seen_ms = clock.monotonic_ms()
        return self._seen_ms is not None and clock.monotonic_ms() - self._seen_ms < SERVICE_GONE_MS


@dataclass(frozen=True, slots=True)
class Retained:
    """A message that the broker keeps."""

    payload: str
    expires_sec: int | None = None
    """The broker forgets it after so many seconds, if it speaks MQTT 5; None: never."""


Messages = dict[str, Retained | None]


@dataclass(slots=True)
class House:
    """All that is to be retained now."""

    settings: Settings
    topics: Topics
    descriptions: Descriptions = field(init=False)
    _speaker: Speaker = field(init=False)

    def __post_init__(self) -> None:
        self.descriptions = Descriptions(self.settings, self.topics)
        self._speaker = Speaker(self.settings, self.settings.alerts.language)

    def messages(
        self, stations: Sequence[StationNow], active: Sequence[Alert], *, is_served: bool
    ) -> Messages:
        """By their topics, in the order in which they are published.

        None is a message that stays as it is: an old state, which is not shown any longer.
        """
        described: dict[str, str] = {}
        states: Messages = {}
        senders = [now.station.endpoint for now in stations]
        for now in stations:
            described |= self.descriptions.of_station(now.station, now.expires_sec, senders)
            states |= self._of_station(now)
        by_subject = {(alert.rule, alert.subject): alert for alert in active}
        for rule, subject in self._watched(senders):
            described |= [self.descriptions.of_alert(rule, subject)]
            state = self._alert(by_subject.get((rule.name, subject)))
            states[self.topics.alert(rule.name, subject)] = Retained(state)
        states[self.topics.alerts] = Retained(ONLINE if is_served else OFFLINE)
        # The last one: whoever sees it has seen all.
        states[self.topics.availability] = Retained(ONLINE)
        return {**{topic: Retained(text) for topic, text in described.items()}, **states}

    def _of_station(self, now: StationNow) -> Messages:
        endpoint, row, state = now.station.endpoint, now.newest.row, None
        if now.rest_sec and row is not None:
            measured = zip(now.station.columns, row.values, strict=True)
            values = (*measured, *now.newest.derived.items())
            numbers = {name: _finite(value) for name, value in values}
            received_at = iso_text(row.received_at, self.settings.zone)
            state = Retained(_json(numbers | {"received_at": received_at}), now.rest_sec)
        return {
            self.topics.station(endpoint, "state"): state,
            self.topics.station(endpoint, "availability"): Retained(
                ONLINE if now.rest_sec else OFFLINE
            ),
        }

    def _watched(self, senders: Collection[str]) -> Iterator[tuple[Rule, str]]:
        for rule in self.settings.alerts.rules:
            for subject in subjects.watched_by(rule, self.settings.stations):
                if not subject or subjects.station_of(subject) in senders:
                    yield rule, subject

    def _alert(self, alert: Alert | None) -> str:
        if alert is None:
            return _json({"state": OFF})
        since = iso_text(alert.since_ms, self.settings.zone)
        text = self._speaker.alert(alert, "entry").body
        return _json({"state": ON, "since": since, "message": text})


def _finite(value: float | None) -> float | int | None:
    if value is None or not isfinite(value):
        return None
    return int(value) if value.is_integer() else value


class Discovery(Session):
    """The session that publishes; it has no messages that the broker would keep for it."""

    def __init__(self, broker: Broker, client_id: str, settings: Settings, host: str) -> None:
        """Nothing is connected and no file is opened yet."""
        self._topics = topics_of(settings, host)
        self._house = House(settings, self._topics)
        self._stations, self._service = Stations(settings), ServiceWatch(settings)
        self._alerts = AlertState(state_file.path_of(settings))
        # What the broker has by this connection, and what it had before.
        self._published: dict[str, Retained] = {}
        self._found: set[str] = set()
        self._looked_ms = 0
        self._to_database = Pauses()
        super().__init__(broker, client_id)

    def _prepare(self, client: Client) -> None:
        client.will_set(self._topics.availability, OFFLINE, qos=1, retain=True)

    def _begin(self, client: Client, _flags: ConnectFlags) -> None:
        self._published.clear()
        self._looked_ms = 0
        client.subscribe([(topic, 0) for topic in (self._topics.birth, *self._topics.all_of_ours)])

    def _came(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        client.ack(message.mid, message.qos)
        if message.topic == self._topics.birth:
            if message.payload == BORN:
                self._published.clear()
                self._looked_ms = 0
        elif message.payload:
            self._found.add(message.topic)
        else:
            self._found.discard(message.topic)

    def _work(self) -> None:
        if not self._client.is_connected() or self._to_database.rest_sec():
            return
        if clock.monotonic_ms() - self._looked_ms < LOOK_EVERY_MS:
            return
        self._looked_ms = clock.monotonic_ms()
        try:
            stations = self._stations.current()
        except (DBAPIError, OSError, TimeoutError, Flask10xError) as error:
            if self._to_database.begin():
                log.warning("The readings cannot be published: %s", reason_of(error))
            return
        if self._to_database.end():
            log.info("The readings are published again")
        active = self._alerts.current().active
        self._publish(self._house.messages(stations, active, is_served=self._service.is_there()))

    def _publish(self, messages: Messages) -> None:
        gone = (self._found | self._published.keys()) - messages.keys()
        # An entity that is gone needs no state any more.
        for topic in sorted(gone, key=lambda topic: not topic.startswith(self._topics.prefix)):
            self._say(topic, Retained(""))
            self._found.discard(topic)
            self._published.pop(topic, None)
        for topic, message in messages.items():
            before = self._published.get(topic)
            if message and (before is None or before.payload != message.payload):
                self._say(topic, message)
                self._published[topic] = message

    def _say(self, topic: str, message: Retained) -> None:
        properties = None
        if self._is_5 and message.expires_sec is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = message.expires_sec
        self._client.publish(topic, message.payload, retain=True, properties=properties)

    def _leave(self) -> None:
        self._stations.close()
        self._say(self._topics.availability, Retained(OFFLINE))
