"""The values of settings: each function reads one kind, from the environment or from TOML.

It takes the place that messages name, and what stands there, and returns the value. Raises
SettingsError that says what is needed instead.
"""

import re
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask10x.errors import SettingsError
from flask10x.readings.stations import BY_ENDPOINT

HIGHEST_PORT = 65535
CREDENTIAL = "credential:"
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


def _wrong(place: str, raw: object, wanted: str) -> SettingsError:
    return SettingsError(f"{place} is {raw!r}: {wanted}")


def whole(minimum: int, maximum: int) -> Callable[[str, Any], int]:
    """A whole number within these limits, both included."""

    def read(place: str, raw: Any) -> int:
        wanted = f"a whole number from {minimum} to {maximum} is needed"
        try:
            value = int(raw)
        except (TypeError, ValueError):
            raise _wrong(place, raw, wanted) from None
        if isinstance(raw, bool | float) or not minimum <= value <= maximum:
            raise _wrong(place, raw, wanted)
        return value

    return read


def seconds(minimum: float, maximum: float) -> Callable[[str, Any], float]:
    """Seconds within these limits, both included."""

    def read(place: str, raw: Any) -> float:
        wanted = f"seconds from {minimum} to {maximum} are needed"
        try:
            value = float(raw)
        except (TypeError, ValueError):
            raise _wrong(place, raw, wanted) from None
        if isinstance(raw, bool) or not minimum <= value <= maximum:
            raise _wrong(place, raw, wanted)
        return value

    return read


def choice(*allowed: str) -> Callable[[str, Any], str]:
    """One of these words, in upper or lower case."""
    spellings = {value.lower(): value for value in allowed}

    def read(place: str, raw: Any) -> str:
        value = spellings.get(str(raw).lower())
        if value is None:
            raise _wrong(place, raw, f"one of {', '.join(allowed)} is needed")
        return value

    return read


def partial(place: str, raw: Any) -> frozenset[str]:
    """Reads `accept`, `data4=accept,data2=accept` or `accept,data2=reject`."""
    words: dict[str, str] = {}
    for item in str(raw).split(","):
        first, equals, last = (part.strip() for part in item.partition("="))
        endpoint, word = (first, last) if equals else ("", first)
        known = endpoint in BY_ENDPOINT if equals else True
        if endpoint in words or not known or word not in ("accept", "reject"):
            stations = ", ".join(BY_ENDPOINT)
            raise _wrong(
                place,
                raw,
                f"accept or reject is needed, or a list such as data4=accept ({stations})",
            )
        words[endpoint] = word
    return frozenset(e for e in BY_ENDPOINT if words.get(e, words.get("")) == "accept")


def switch(place: str, raw: Any) -> bool:
    """Reads `true`, `on`, `1` and their opposites."""
    words = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}
    try:
        return words[str(raw).lower()]
    except KeyError:
        raise _wrong(place, raw, "true or false is needed") from None


def folder(place: str, raw: Any) -> Path:
    """A folder, as an absolute path; it need not exist."""
    if not isinstance(raw, str) or not raw:
        raise _wrong(place, raw, "a folder is needed")
    return Path(raw).expanduser().absolute()


def secret_file(place: str, raw: Any) -> str:
    """An absolute path, or `credential:` and the name of a credential of systemd.

    Others than the service use the settings too, so the file is not looked at here.
    """
    value = _text(place, raw)
    if not re.fullmatch(rf"/\S*[^\s/]|{CREDENTIAL}[A-Za-z0-9_-][A-Za-z0-9_.-]*", value):
        raise _wrong(place, raw, "/absolute/path is needed, or credential: and a name")
    return value


def host_names(place: str, raw: Any) -> tuple[str, ...]:
    """Reads `raspberrypi.local,.home.arpa`; a leading dot stands for all names below."""
    names = [name.strip().lower() for name in _text(place, raw).split(",")]
    for name in names:
        if not re.fullmatch(rf"\.?{LABEL}(?:\.{LABEL})*", name):
            wanted = "names such as raspberrypi.local,.home.arpa are needed, without ports"
            raise _wrong(place, raw, wanted)
    return tuple(names)


def _text(place: str, raw: Any) -> str:
    if not isinstance(raw, str) or not raw:
        raise _wrong(place, raw, "a text is needed")
    return raw


def bind(place: str, raw: Any) -> str:
    """Reads `address:port` or `unix:/absolute/path`."""
    value = _text(place, raw)
    host, _, port = value.rpartition(":")
    if value.startswith("unix:"):
        if not re.fullmatch(r"unix:/\S*[^\s/]", value):
            raise _wrong(place, raw, "unix:/absolute/path/to/a.sock is needed")
    elif not (re.fullmatch(r"[A-Za-z0-9_.-]+", host) or _is_ipv6(host)):
        wanted = "address:port such as 0.0.0.0:8888 or [::]:8888 is needed, or unix:/absolute/path"
        raise _wrong(place, raw, wanted)
    elif not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= HIGHEST_PORT:
        raise _wrong(place, raw, "a port from 1 to 65535 is needed after the last colon")
    return value


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return host.startswith("[") and host.endswith("]")


def database_url(place: str, raw: Any) -> str:
    """A URL with an absolute path."""
    value = _text(place, raw)
    if not value.startswith("sqlite:////"):
        raise _wrong(place, raw, "sqlite:////absolute/path/to/file.sqlite3 is needed")
    return value


def zone_name(place: str, raw: Any) -> str:
    """A zone that this system knows."""
    try:
        ZoneInfo(str(raw))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _wrong(place, raw, "a zone such as Asia/Tokyo is needed") from None
    return str(raw)
