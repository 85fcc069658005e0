"""Readers of settings: numbers, words, folders, addresses.

Each takes the place that messages name and what stands there, in the environment or in TOML, and
returns the value. Each raises SettingsError that says what is needed instead.
"""

import re
from collections.abc import Callable
from gettext import gettext as _
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask10x.errors import wrong_setting

HIGHEST_PORT = 65535
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


def whole(minimum: int, maximum: int) -> Callable[[str, Any], int]:
    """A whole number within these limits, both included."""

    def read(place: str, raw: Any) -> int:
        wanted = _("a whole number from {low} to {high} is needed")
        wanted = wanted.format(low=minimum, high=maximum)
        try:
            value = int(raw)
        except (TypeError, ValueError):
            raise wrong_setting(place, raw, wanted) from None
        if isinstance(raw, bool | float) or not minimum <= value <= maximum:
            raise wrong_setting(place, raw, wanted)
        return value

    return read


def seconds(minimum: float, maximum: float) -> Callable[[str, Any], float]:
    """Seconds within these limits, both included."""

    def read(place: str, raw: Any) -> float:
        wanted = _("seconds from {low} to {high} are needed").format(low=minimum, high=maximum)
        try:
            value = float(raw)
        except (TypeError, ValueError):
            raise wrong_setting(place, raw, wanted) from None
        if isinstance(raw, bool) or not minimum <= value <= maximum:
            raise wrong_setting(place, raw, wanted)
        return value

    return read


def choice(*allowed: str) -> Callable[[str, Any], str]:
    """One of these words, in upper or lower case."""
    spellings = {value.lower(): value for value in allowed}

    def read(place: str, raw: Any) -> str:
        value = spellings.get(str(raw).lower())
        if value is None:
            wanted = _("one of {words} is needed").format(words=", ".join(allowed))
            raise wrong_setting(place, raw, wanted)
        return value

    return read


def switch(place: str, raw: Any) -> bool:
    """Reads `true`, `on`, `1` and their opposites."""
    words = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}
    try:
        return words[str(raw).lower()]
    except KeyError:
        raise wrong_setting(place, raw, _("true or false is needed")) from None


def folder(place: str, raw: Any) -> Path:
    """A folder, as an absolute path; it need not exist."""
    if not isinstance(raw, str) or not raw:
        raise wrong_setting(place, raw, _("a folder is needed"))
    return Path(raw).expanduser().absolute()


def host_name(place: str, raw: Any) -> str:
    """How one host is named, in messages and in the database."""
    if not isinstance(raw, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}", raw):
        wanted = _("a name such as school-1 is needed, of letters, digits, dots and dashes")
        raise wrong_setting(place, raw, wanted)
    return raw


def host_names(place: str, raw: Any) -> tuple[str, ...]:
    """Reads `raspberrypi.local,.home.arpa`; a leading dot stands for all names below.

    A dot at the end, of an absolute name, is left out.
    """
    names = [name.strip().lower().removesuffix(".") for name in _text(place, raw).split(",")]
    for name in names:
        if not re.fullmatch(rf"\.?{LABEL}(?:\.{LABEL})*", name):
            wanted = _("names such as raspberrypi.local,.home.arpa are needed, without ports")
            raise wrong_setting(place, raw, wanted)
    return tuple(names)


def _text(place: str, raw: Any) -> str:
    if not isinstance(raw, str) or not raw:
        raise wrong_setting(place, raw, _("a text is needed"))
    return raw


def bind(place: str, raw: Any) -> str:
    """Reads `address:port` or `unix:/absolute/path`."""
    value = _text(place, raw)
    host, _colon, port = value.rpartition(":")
    if value.startswith("unix:"):
        if not re.fullmatch(r"unix:/\S*[^\s/]", value):
            raise wrong_setting(place, raw, _("unix:/absolute/path/to/a.sock is needed"))
    elif not (re.fullmatch(r"[A-Za-z0-9_.-]+", host) or _is_ipv6(host)):
        wanted = _(
            "address:port such as 0.0.0.0:8888 or [::]:8888 is needed, or unix:/absolute/path"
        )
        raise wrong_setting(place, raw, wanted)
    elif not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= HIGHEST_PORT:
        raise wrong_setting(place, raw, _("a port from 1 to 65535 is needed after the last colon"))
    return value


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return host.startswith("[") and host.endswith("]")


def time_zone(place: str, raw: Any) -> str:
    """A zone that this system knows."""
    try:
        ZoneInfo(str(raw))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise wrong_setting(place, raw, _("a zone such as Asia/Tokyo is needed")) from None
    return str(raw)
