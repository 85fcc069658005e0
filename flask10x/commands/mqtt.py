"""`flask10x mqtt`: post the messages of an MQTT broker to the service."""

import logging
import signal
import socket
import sys
from contextlib import closing
from gettext import gettext as _
from threading import Event

import click

from flask10x.commands import translated
from flask10x.config import secrets, settings
from flask10x.errors import SettingsError
from flask10x.mqtt.handover import Handover
from flask10x.system.locks import FileLock

LOCK_NAME, DELIVERIES_NAME = "mqtt.lock", "mqtt.deliveries"


@translated.command()
def command() -> None:
    """Take readings from an MQTT broker until stopped.

    Subscribes to the topics of stations.toml at the broker of MQTT_URL, and posts each message to
    the service. The broker keeps a message until the service has stored it.
    """
    loaded = settings.load()
    try:
        from flask10x.mqtt import session, subscriber  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("paho"):
            raise
        text = _("the package {name} is missing: pip install 'flask10x[mqtt]'")
        raise click.ClickException(text.format(name="paho-mqtt")) from None
    broker = session.broker_of(loaded)
    endpoints = {s.mqtt_topic: s.endpoint for s in loaded.stations.all if s.mqtt_topic}
    if not endpoints:
        raise SettingsError(_("no station of stations.toml has an mqtt_topic"))
    handover = Handover(loaded.bind, secrets.own_token(loaded))
    with closing(FileLock(loaded.data_dir / LOCK_NAME)) as lock:
        if not lock.try_acquire():
            raise click.ClickException(_("another flask10x mqtt has these stations already"))
        with closing(subscriber.Deliveries(loaded.data_dir / DELIVERIES_NAME)) as deliveries:
            # From here on its messages go to the journal, like the log.
            translated.speak_english()
            _log_to_stderr()
            stop = Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            client_id = f"flask10x-{socket.gethostname()}"
            subscriber.Subscriber(broker, client_id, endpoints, handover, deliveries).run(stop)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("flask10x.mqtt")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
