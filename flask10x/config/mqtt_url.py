"""MQTT_URL: where a broker is, and as whom to sign in there."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import Any
from urllib.parse import unquote, urlsplit

from flask10x.errors import wrong_setting

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """The parts of a URL."""

    host: str
    port: int
    has_tls: bool
    user: str
    """Empty: nobody by name."""


def read(place: str, raw: Any) -> str:
    """Reads `mqtt://host`, `mqtts://user@host:8883`; a password belongs into a file."""
    wanted = _("mqtt://host or mqtts://user@host:8883 is needed, without a password")
    try:
        url = urlsplit(raw if isinstance(raw, str) else "")
        is_right = url.scheme in DEFAULT_PORTS and url.hostname and url.port != 0
    except ValueError:
        is_right = False
    if not is_right or url.path.strip("/") or url.query or url.fragment or url.password is not None:
        # Whatever stands there may be a password.
        raise wrong_setting(place, "...", wanted)
    return str(raw)


def address_of(url: str) -> BrokerAddress:
    """The parts of what `read` has returned."""
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    user = unquote(parts.username or "")
    return BrokerAddress(parts.hostname or "", port, parts.scheme == "mqtts", user)
