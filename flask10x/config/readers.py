"""Readers of settings: each reads values of one kind and says what is wrong with another."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from gettext import gettext as _
from importlib.util import find_spec
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask10x.config.toml import wrong
from flask10x.errors import SettingsError, wrong_setting
from flask10x.readings.derived import HIGHEST_M, LOWEST_M
from flask10x.readings.stations import BUILT_IN, Station, Stations

# Readers of settings: numbers, words, folders, addresses.
#
# Each takes the place that messages name and what stands there, in the environment or in TOML, and
# returns the value. Each raises SettingsError that says what is needed instead.

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


def altitude(place: str, raw: Any) -> float:
    """Metres, as a number or a text; raises SettingsError, also beyond what a formula holds for."""
    try:
        value = math.nan if isinstance(raw, bool) else float(raw)
    except (TypeError, ValueError):
        value = math.nan
    if not LOWEST_M <= value <= HIGHEST_M:
        raise wrong_setting(place, raw, altitude_wanted())
    return value


def altitude_wanted() -> str:
    """What an altitude has to be."""
    text = _("metres above sea level from {low} to {high} are needed")
    return text.format(low=LOWEST_M, high=HIGHEST_M)


def at_altitude(stations: Stations, metres: float | None) -> Stations:
    """The stations, those without an altitude of their own at this one."""
    if metres is None:
        return stations
    own = (s if s.altitude_m is not None else replace(s, altitude_m=metres) for s in stations.all)
    return Stations(tuple(own), stations.file)


_NUMBER = r"\s*([+-]?[0-9]{1,3}(?:\.[0-9]{1,12})?)\s*"
_PLACE = re.compile(f"{_NUMBER},{_NUMBER}")
HIGHEST_LATITUDE, HIGHEST_LONGITUDE = 90, 180


@dataclass(frozen=True, slots=True)
class Place:
    """A point on earth, in degrees."""

    latitude: float
    """North of the equator; negative: south of it."""
    longitude: float
    """East of Greenwich; negative: west of it."""


def coordinates(place: str, raw: Any) -> Place:
    """Reads `35.68,139.77`; raises SettingsError."""
    found = _PLACE.fullmatch(raw) if isinstance(raw, str) else None
    if found is None:
        wanted = _("latitude and longitude in degrees such as 35.68,139.77 are needed")
        raise wrong_setting(place, raw, wanted)
    latitude, longitude = float(found[1]), float(found[2])
    if abs(latitude) > HIGHEST_LATITUDE or abs(longitude) > HIGHEST_LONGITUDE:
        wanted = _("a latitude from -90 to 90 comes first, then a longitude from -180 to 180")
        raise wrong_setting(place, raw, wanted)
    return Place(latitude, longitude)


# One digit too few would take away what nobody can bring back. Alerts learn from a week, and people
# look at a month.
RETENTION_MIN_DAYS = 30
# A century, which is as good as never.
RETENTION_MAX_DAYS = 36_500
NEVER_REMOVED = 0


def retention_days(place: str, raw: Any) -> int:
    """The setting RETENTION_DAYS; raises SettingsError."""
    try:
        return retention_days_of_station(int(raw) if isinstance(raw, str) else raw)
    except ValueError:
        raise wrong_setting(place, raw, _retention_wanted()) from None


def retention_days_of_station(raw: Any) -> int:
    """The key of a station; raises WrongEntry."""
    is_number = isinstance(raw, int) and not isinstance(raw, bool)
    if not is_number or not (
        raw == NEVER_REMOVED or RETENTION_MIN_DAYS <= raw <= RETENTION_MAX_DAYS
    ):
        raise wrong(raw, _retention_wanted())
    days: int = raw
    return days


def _retention_wanted() -> str:
    text = _("a whole number of days from {low} to {high} is needed, or 0 to keep all readings")
    return text.format(low=RETENTION_MIN_DAYS, high=RETENTION_MAX_DAYS)


# What the address of a database on PostgreSQL begins with, as SQLAlchemy has it for psycopg 3.
POSTGRESQL = "postgresql+psycopg://"
# What it begins with elsewhere.
_OTHER_SCHEME = re.compile(r"(?:postgres|postgresql)(?:\+\w+)?:")
# Options that name the database in place of the path: a file of services has its name, too.
_NAME_IN_OPTIONS = re.compile(r"(?:^|&)(?:dbname|service)=")
_PASSWORD = re.compile(r"(://[^:/?@]*):.*@")
_PARTS = re.compile(
    r"(?:[^:/?@]*(?::[^/?@]*)?@)?"
    r"(?:\[[^]/?@]+\]|[^:/?@,]*)(?::(?P<port>[^/?@,:]*))?"
    r"(?:/(?P<name>[^?@/]*))?(?:\?(?P<options>.*))?"
)
_HIGHEST_PORT = 65535


def database_url(place: str, raw: Any) -> str:
    """A URL with an absolute path, or one of PostgreSQL whose driver is installed.

    Raises SettingsError that shows no password.
    """
    value = raw if isinstance(raw, str) else ""
    if value.startswith("sqlite:////"):
        return value
    if not value.startswith(POSTGRESQL):
        raise _wrong(place, raw, _other(value))
    if wanted := _address_mistake(value.removeprefix(POSTGRESQL)):
        raise _wrong(place, raw, wanted)
    if find_spec("psycopg") is None:
        wanted = _(
            "the package psycopg is missing: requirements-postgres.lock has it (in a checkout: make"
            " postgres), or pip install 'flask10x[postgres]'"
        )
        raise _wrong(place, raw, wanted)
    return value


def _other(value: str) -> str:
    """What is wanted in place of something else."""
    if _OTHER_SCHEME.match(value):
        text = _("it has to begin with {scheme}, as in {example}")
        example = f"{POSTGRESQL}user@host:5432/database"
        return text.format(scheme=POSTGRESQL, example=example)
    return _(
        "sqlite:////absolute/path/to/file.sqlite3 is needed, or"
        " postgresql+psycopg://user@host:5432/database"
    )


def _address_mistake(rest: str) -> str:
    """What is wrong with what follows the scheme; "" for nothing."""
    parts = _PARTS.fullmatch(rest)
    if parts is None:
        if "," in rest.partition("?")[0]:
            return _("several hosts are options: postgresql+psycopg://user@/database?host=A&host=B")
        return _(
            "postgresql+psycopg://user@host:5432/database is needed; in a password @ is written"
            " %40, / is %2F, ? is %3F, : is %3A and % is %25"
        )
    port = parts["port"]
    if port is not None and not (re.fullmatch("[0-9]{1,5}", port) and _is_port(int(port))):
        return _("a port from 1 to 65535 is needed after the host's colon")
    if not parts["name"] and not _NAME_IN_OPTIONS.search(parts["options"] or ""):
        return _("the database's name is missing: postgresql+psycopg://user@host:5432/database")
    return ""


def _is_port(number: int) -> bool:
    return 1 <= number <= _HIGHEST_PORT


def _wrong(place: str, raw: Any, wanted: str) -> SettingsError:
    # Messages go to the journal.
    shown = _PASSWORD.sub(r"\1:...@", raw) if isinstance(raw, str) else raw
    return wrong_setting(place, shown, wanted)


CREDENTIAL = "credential:"
"""What stands before the name of a credential of systemd."""
_SECRET_PLACE = re.compile(rf"/\S*[^\s/]|{CREDENTIAL}[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def is_secret_place(named: str) -> bool:
    """Whether it is an absolute path, or `credential:` and a name.

    Others than the service read the settings too, so the file is not looked at.
    """
    return bool(_SECRET_PLACE.fullmatch(named))


def secret_place_wanted() -> str:
    """What a place has to be."""
    return _("/absolute/path is needed, or credential: and a name")


def secret_place(place: str, raw: Any) -> str:
    """The value of a setting that names a secret file; raises SettingsError."""
    if not isinstance(raw, str) or not is_secret_place(raw):
        raise wrong_setting(place, raw, secret_place_wanted())
    return raw


DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """The parts of a URL."""

    host: str
    port: int
    has_tls: bool
    user: str
    """Empty: nobody by name."""


def mqtt_url(place: str, raw: Any) -> str:
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


def broker_address(url: str) -> BrokerAddress:
    """The parts of what `read` has returned."""
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    user = unquote(parts.username or "")
    return BrokerAddress(parts.hostname or "", port, parts.scheme == "mqtts", user)


@dataclass(frozen=True, slots=True)
class PartialReadings:
    """What the setting says, before it is known which stations there are."""

    place: str = ""
    raw: Any = ""
    words: Mapping[str, str] = field(default_factory=dict)
    """`accept` or `reject` by endpoint, and by the empty text for those that are not named. Where
    nothing is said the station decides."""

    def endpoints(self, stations: Stations) -> frozenset[str]:
        """The stations whose incomplete readings are accepted.

        Raises SettingsError when it names one that there is not.
        """
        known = stations.by_endpoint
        if not self.words.keys() <= {"", *known}:
            raise wrong_setting(self.place, self.raw, _partial_wanted(known))
        others = self.words.get("")
        return frozenset(
            station.endpoint
            for station in stations.all
            if self.words.get(station.endpoint, others or _choice_of(station)) == "accept"
        )


def _choice_of(station: Station) -> str:
    return "accept" if station.accepts_partial else "reject"


def _partial_wanted(known: Iterable[str]) -> str:
    wanted = _("accept or reject is needed, or a list such as data4=accept ({stations})")
    return wanted.format(stations=", ".join(known))


def partial_readings(place: str, raw: Any) -> PartialReadings:
    """Reads `accept`, `data4=accept,data2=accept` or `accept,data2=reject`."""
    words: dict[str, str] = {}
    for item in str(raw).split(","):
        first, equals, last = (part.strip() for part in item.partition("="))
        endpoint, word = (first, last) if equals else ("", first)
        if endpoint in words or (equals and not endpoint) or word not in ("accept", "reject"):
            raise wrong_setting(place, raw, _partial_wanted(BUILT_IN.by_endpoint))
        words[endpoint] = word
    return PartialReadings(place, raw, words)
