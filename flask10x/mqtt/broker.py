"""The broker: where it is, and how to sign in there."""

from dataclasses import dataclass
from gettext import gettext as _

from flask10x.config import secret_files
from flask10x.config.mqtt_url import BrokerAddress, address_of
from flask10x.config.settings import PREFIX, Settings
from flask10x.errors import SettingsError


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
        password = secret_files.read(place, named).decode("utf-8", "replace").strip("\r\n")
    return Broker(address_of(settings.mqtt_url), password)
