"""`flask10x mqtt`: post the messages of an MQTT broker to the service, and publish its values."""

import logging
import signal
import socket
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from gettext import gettext as _
from threading import Event
from typing import TYPE_CHECKING

import click

from flask10x.commands import translated
from flask10x.config import secrets, settings
from flask10x.errors import SettingsError
from flask10x.mqtt.handover import Handover
from flask10x.system.locks import FileLock

if TYPE_CHECKING:
    from flask10x.mqtt.session import Session

LOCK_NAME, DELIVERIES_NAME = "mqtt.lock", "mqtt.deliveries"


@translated.command()
def command() -> None:
    """Take readings from an MQTT broker, and publish them, until stopped.

    Subscribes to the topics of stations.toml at the broker of MQTT_URL, and posts each message to
    the service. The broker keeps a message until the service has stored it. With MQTT_DISCOVERY it
    publishes stations and alerts for Home Assistant.
    """
    loaded = settings.load()
    try:
        from flask10x.mqtt import discovery, session, subscriber  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("paho"):
            raise
        text = _("the package {name} is missing: pip install 'flask10x[mqtt]'")
        raise click.ClickException(text.format(name="paho-mqtt")) from None
    broker = session.broker_of(loaded)
    stations = {s.mqtt_topic: s for s in loaded.stations.all if s.mqtt_topic}
    if not stations and not loaded.mqtt_discovery:
        raise SettingsError(
            _("no station of stations.toml has an mqtt_topic, and MQTT_DISCOVERY is not set")
        )
    handover = Handover(loaded.bind, secrets.own_token(loaded))
    with closing(FileLock(loaded.data_dir / LOCK_NAME)) as lock:
        if not lock.try_acquire():
            raise click.ClickException(_("another flask10x mqtt has these stations already"))
        with closing(subscriber.Deliveries(loaded.data_dir / DELIVERIES_NAME)) as deliveries:
            # From here on its messages go to the journal, like the log.
            translated.speak_english()
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
            logger = logging.getLogger("flask10x.mqtt")
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
            host = socket.gethostname()
            sessions: list[session.Session] = []
            if stations:
                taken = (stations, handover, deliveries)
                sessions.append(subscriber.Subscriber(broker, f"flask10x-{host}", *taken))
            if loaded.mqtt_discovery:
                named = f"flask10x-{host}-discovery"
                sessions.append(discovery.Discovery(broker, named, loaded, host))
            _run(sessions)


def _run(sessions: Sequence["Session"]) -> None:
    """Each session in a thread of its own, until a signal; an error of one ends them all."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def run(session: "Session") -> None:
        try:
            session.run(stop)
        finally:
            stop.set()

    with ThreadPoolExecutor(len(sessions)) as threads:
        for running in [threads.submit(run, session) for session in sessions]:
            running.result()
