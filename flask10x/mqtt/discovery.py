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
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sqlalchemy.exc import DBAPIError

import flask10x
from flask10x.alerts import state_file, subjects
from flask10x.alerts.active import AlertState, Stamp, stamp_of
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
from flask10x.mqtt.session import Broker, Session
from flask10x.readings.derived import derived_by_station
from flask10x.readings.labels import column_name, label_of, station_name
from flask10x.readings.numbers import DIGITS
from flask10x.readings.stations import Station
from flask10x.readings.times import SECOND_MS, iso_text
from flask10x.system import clock
from flask10x.system.address import addresses
from flask10x.system.pace import Pauses
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


ONLINE, OFFLINE = "online", "offline"
ON, OFF = "ON", "OFF"
# What Home Assistant says when it has started.
BORN = b"online"


@dataclass(frozen=True, slots=True)
class Retained:
    """A message that the broker keeps."""

    payload: str
    expires_sec: int | None = None
    """The broker forgets it after so many seconds; None: never."""


Messages = dict[str, Retained | None]


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
        is_fresh = self._read_ms is not None and at_ms - self._read_ms < RENEW_EVERY_MS
        if not (is_file and is_fresh and stamp == self._stamp):
            self._database = self._database or Database(self._settings)
            try:
                self._now = [*self._read(self._database)]
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

    def _read(self, database: Database) -> Iterator[StationNow]:
        settings, now_ms = self._settings, clock.now_ms()
        with database.query() as connection:
            view = View(connection, settings.stations, settings.zone, now_ms)
            received, newest = view.last_received, newest_readings(view, settings.stations.all)
            learned = learned_limits(connection)
        for station, reading in zip(settings.stations.all, newest, strict=True):
            at = received[station.endpoint]
            if reading.row is None or at is None:
                continue
            # Until the service has learned something of a new station: as if it knew nothing.
            nothing_sec = usual_silence_of(station, ()).missed_after_sec
            learned_sec = learned.get(station.endpoint, nothing_sec)
            yield StationNow(
                station=station,
                newest=reading,
                age_sec=(now_ms - at) // SECOND_MS,
                expires_sec=silent_after_sec(settings, station, learned_sec),
            )


class House:
    """All that is to be retained now, in the language of the house, by topics of this host."""

    def __init__(self, settings: Settings, host: str) -> None:
        self._settings = settings
        self._t, self._english = translation(settings.alerts.language), translation("en")
        self._speaker = Speaker(settings, settings.alerts.language)
        self.prefix = settings.mqtt_discovery
        """The first part of the topics of descriptions."""
        self.node = f"flask10x/{_plain(host)}"
        """The first part of the topics of states."""
        self._node_id = _plain(self.node)
        self.availability = f"{self.node}/availability"
        """The topic that says whether this command is connected."""
        self.birth = f"{self.prefix}/status"
        """The topic of Home Assistant that says that it has started."""
        self.all_of_ours = f"{self.prefix}/+/{self._node_id}/+/config", f"{self.node}/#"
        """The filters of all that is retained."""
        # The address of the pages for others in the network, by name if it has one.
        shared = [url for url in addresses(settings) if not LOCAL_URL.match(url)]
        self._base_url = settings.alerts.base_url or (shared[-1] if shared else "")

    def messages(
        self, stations: Sequence[StationNow], active: Sequence[Alert], *, is_served: bool
    ) -> Messages:
        """Return the messages by their topics, in the order in which they are published.

        None is a message that stays as it is: an old state, which is not shown any longer.
        `is_served` says whether the service runs, which decides on alerts.
        """
        described: dict[str, str] = {}
        states: Messages = {}
        senders = [now.station.endpoint for now in stations]
        for now in stations:
            described |= self._sensors(now, senders)
            states |= self._states(now)
        by_subject = {(alert.rule, alert.subject): alert for alert in active}
        decided_topic = f"{self.node}/alerts/availability"
        for rule in self._settings.alerts.rules:
            for subject in subjects.watched_by(rule, self._settings.stations):
                if subject and subjects.station_of(subject) not in senders:
                    continue
                topic = f"{self.node}/alerts/{rule.name}/{subject or 'service'}"
                described |= [self._problem(rule, subject, topic, decided_topic)]
                alert, state = by_subject.get((rule.name, subject)), {"state": OFF}
                if alert is not None:
                    since = iso_text(alert.since_ms, self._settings.zone)
                    text = self._speaker.alert(alert, "entry").body
                    state = {"state": ON, "since": since, "message": text}
                states[topic] = Retained(_json(state))
        states[decided_topic] = Retained(ONLINE if is_served else OFFLINE)
        # The last one: whoever sees it has seen all.
        states[self.availability] = Retained(ONLINE)
        return {**{topic: Retained(text) for topic, text in described.items()}, **states}

    def _states(self, now: StationNow) -> Messages:
        row, state = now.newest.row, None
        if now.rest_sec and row is not None:
            measured = zip(now.station.columns, row.values, strict=True)
            values = (*measured, *now.newest.derived.items())
            numbers = {name: _finite(value) for name, value in values}
            received_at = iso_text(row.received_at, self._settings.zone)
            state = Retained(_json(numbers | {"received_at": received_at}), now.rest_sec)
        topic = self._station_topic(now.station)
        is_online = Retained(ONLINE if now.rest_sec else OFFLINE)
        return {f"{topic}/state": state, f"{topic}/availability": is_online}

    def _sensors(self, now: StationNow, senders: Collection[str]) -> Iterator[tuple[str, str]]:
        """A sensor for each measurement and derived value of a station, by topic.

        `senders` are the endpoints that have ever sent: what is compared with another is left out
        where that has not.
        """
        station, topic = now.station, self._station_topic(now.station)
        computed = derived_by_station(self._settings.stations)[station.endpoint].values()
        derived = [each for each in computed if not each.outside or each.outside[0] in senders]
        expires_sec = now.expires_sec
        if expires_sec > EXPIRES_SEC[0]:
            fitting = (step for step in EXPIRES_SEC if step >= expires_sec)
            expires_sec = next(fitting, -(-expires_sec // DAY_SEC) * DAY_SEC)
        for measurement in (*station.measurements, *(each.measurement for each in derived)):
            names = station.endpoint, measurement.column
            english = column_name(measurement, self._english)
            described: dict[str, object] = {
                "name": column_name(measurement, self._t),
                "unique_id": self._unique(*names),
                "default_entity_id": self._entity_id("sensor", station, english),
                "state_topic": f"{topic}/state",
                "value_template": f"{{{{ value_json['{measurement.column}'] }}}}",
                "state_class": "measurement",
                "suggested_display_precision": DIGITS.get(measurement.unit, USUAL_DIGITS),
                "expire_after": expires_sec,
                **self._common(station, f"{topic}/availability"),
            }
            if measurement.unit:
                described["unit_of_measurement"] = measurement.unit
            if kind := CLASSES.get((measurement.quantity, measurement.unit)):
                described["device_class"] = kind
            yield self.config_topic("sensor", *names), _json(described)

    def _problem(self, rule: Rule, subject: str, topic: str, decided_topic: str) -> tuple[str, str]:
        """The binary sensor of a rule and one of its subjects."""
        endpoint, column = subjects.station_of(subject), subjects.column_of(subject)
        station = self._settings.stations.by_endpoint.get(endpoint)
        english = self._alert_name(rule, column, self._english)
        described: dict[str, object] = {
            "name": self._alert_name(rule, column, self._t),
            "unique_id": self._unique("alert", rule.name, endpoint, column),
            "default_entity_id": self._entity_id("binary_sensor", station, english),
            "device_class": "problem",
            "state_topic": topic,
            "value_template": "{{ value_json.state }}",
            "json_attributes_topic": topic,
            **self._common(station, decided_topic),
        }
        if station is None:
            described["entity_category"] = "diagnostic"
        return self.config_topic("binary_sensor", rule.name, endpoint, column), _json(described)

    def _alert_name(self, rule: Rule, column: str, t: Translation) -> str:
        measurement = self._settings.stations.by_column.get(column)
        values = {"name": column_name(measurement, t) if measurement else column}
        if isinstance(rule, Threshold):
            limit = rule.below if rule.above is None else rule.above
            unit = measurement.unit if measurement else ""
            values["limit"] = f"{limit:.10g} {unit}".rstrip()
        wording = wording_of_rule(rule)
        english = wording.entity or wording.later or wording.title
        return t(english, **values)

    def _common(self, station: Station | None, available_topic: str) -> dict[str, object]:
        """What an entity of a station, or of the service, has beside what it shows."""
        device: dict[str, object] = {"manufacturer": "Flask10X"}
        if station is None:
            path = "/status"
            device |= {"identifiers": [self._unique()], "name": "Flask10X"}
            device["sw_version"] = flask10x.__version__
        else:
            path, name = f"/history?endpoint={station.endpoint}", station_name(station, self._t)
            device |= {"identifiers": [self._unique(station.endpoint)], "name": name}
            if (label := label_of(station, self._t)) not in ("", name):
                device["model"] = label
        if self._base_url:
            device["configuration_url"] = self._base_url.rstrip("/") + path
        return {
            "availability": [{"topic": self.availability}, {"topic": available_topic}],
            "availability_mode": "all",
            "device": device,
            "origin": {"name": "Flask10X", "sw_version": flask10x.__version__},
        }

    def _station_topic(self, station: Station) -> str:
        return f"{self.node}/stations/{station.endpoint}"

    def config_topic(self, component: str, *names: str) -> str:
        """The topic of the description of an entity."""
        # In a name a hyphen is doubled, so that it divides no other names.
        shown = "-".join(name.replace("-", "--") for name in names if name)
        return f"{self.prefix}/{component}/{self._node_id}/{shown}/config"

    def _unique(self, *names: str) -> str:
        """The id of an entity or a device."""
        return "_".join(filter(None, (self._node_id, *names)))

    def _entity_id(self, component: str, station: Station | None, name: str) -> str:
        """A proposal such as `sensor.bedroom_co2`: in English, for it is written in automations."""
        where = station_name(station, self._english) if station else "Flask10X"
        text = unicodedata.normalize("NFKD", f"{where} {name}").encode("ascii", "ignore").decode()
        return f"{component}.{re.sub(r'[^a-z0-9]+', '_', text.lower()).strip('_')}"


def _plain(text: str) -> str:
    """The text with the characters that Home Assistant takes for ids."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", text)


def _finite(value: float | None) -> float | int | None:
    if value is None or not isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


# A service that restarts is gone for seconds.
SERVICE_GONE_MS = 60_000


class Discovery(Session):
    """The session that publishes; it has no messages that the broker would keep for it."""

    def __init__(self, broker: Broker, client_id: str, settings: Settings, host: str) -> None:
        """Nothing is connected and no file is opened yet."""
        self._settings = settings
        self._house, self._stations = House(settings, host), Stations(settings)
        self._alerts = AlertState(state_file.path_of(settings))
        # What the broker has by this connection, and what it had before.
        self._published: dict[str, Retained] = {}
        self._found: set[str] = set()
        self._looked_ms = 0
        self._served_ms: int | None = None
        self._to_database = Pauses()
        super().__init__(broker, client_id)

    def _prepare(self, client: Client) -> None:
        client.will_set(self._house.availability, OFFLINE, qos=1, retain=True)

    def _begin(self, client: Client, _flags: ConnectFlags) -> None:
        self._published.clear()
        self._looked_ms = 0
        client.subscribe([(topic, 0) for topic in (self._house.birth, *self._house.all_of_ours)])

    def _came(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        client.ack(message.mid, message.qos)
        if message.topic == self._house.birth:
            if message.payload == BORN:
                self._published.clear()
                self._looked_ms = 0
        elif message.payload:
            self._found.add(message.topic)
        else:
            self._found.discard(message.topic)

    def _work(self) -> None:
        now_ms = clock.monotonic_ms()
        if not self._client.is_connected() or self._to_database.rest_sec():
            return
        if now_ms - self._looked_ms < LOOK_EVERY_MS:
            return
        self._looked_ms = now_ms
        try:
            stations = self._stations.current()
        except (DBAPIError, OSError, TimeoutError, Flask10xError) as error:
            if self._to_database.begin():
                log.warning("The readings cannot be published: %s", reason_of(error))
            return
        if self._to_database.end():
            log.info("The readings are published again")
        if running(self._settings) is not None:
            self._served_ms = now_ms
        is_served = self._served_ms is not None and now_ms - self._served_ms < SERVICE_GONE_MS
        active = self._alerts.current().active
        self._publish(self._house.messages(stations, active, is_served=is_served))

    def _publish(self, messages: Messages) -> None:
        gone = (self._found | self._published.keys()) - messages.keys()
        # An entity that is gone needs no state any more.
        for topic in sorted(gone, key=lambda topic: not topic.startswith(self._house.prefix)):
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
        if message.expires_sec is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = message.expires_sec
        self._client.publish(topic, message.payload, retain=True, properties=properties)

    def _leave(self) -> None:
        self._stations.close()
        self._say(self._house.availability, Retained(OFFLINE))
