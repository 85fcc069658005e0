"""Readers: each turns a value of a TOML file or of the environment into that of a field.

A value of a file has one of TOML's types, and in the environment it is a text. A reader raises
WrongEntry with what is needed instead.
"""

import re
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from flask10x.errors import SettingsError, nearest
from flask10x.readings.derived import HIGHEST_M, LOWEST_M
from flask10x.readings.stations import Station, Stations
from flask10x.translation import N_, chosen
from flask10x.translation import message as _

Reader = Callable[[Any], Any]
R = TypeVar("R", bound=Callable[..., Any])
SCHEMAS: dict[Callable[..., Any], dict[str, Any]] = {}
"""What a reader takes from a TOML file, as JSON Schema, for editors (`config/schema.py`)."""


def takes(read: R, **schema: Any) -> R:
    """The reader, after noting what it takes."""
    SCHEMAS[read] = schema
    return read


def any_case(words: Iterable[str]) -> str:
    """The regular expression of one of these words in upper or lower case."""
    # Patterns of JSON Schema have no flag for it.
    return f"^(?:{'|'.join(map(_in_any_case, words))})$"


def _in_any_case(word: str) -> str:
    return "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else c for c in word)


# A value or a name is shown up to here in a message about a file.
SHOWN_CHARS = 60
# The space of Japanese texts, which Python does not count among what can be printed.
WIDE_SPACE = "\u3000"


class WrongEntry(ValueError):
    """The value of a key or a setting is wrong; `needed` says what is needed."""

    def __init__(self, raw: Any, needed: str) -> None:
        super().__init__(raw, needed)
        self.raw = raw
        self.needed = needed

    def __str__(self) -> str:
        """What follows the name of a key: `is 0: a whole number from 1 to 9 is needed`."""
        return _("is {value}: {wanted}").format(value=short(repr(self.raw)), wanted=self.needed)

    def of_setting(self, place: str) -> SettingsError:
        """The error of a setting, which `place` names, with its whole value."""
        text = _("{place} is {value}: {wanted}")
        return SettingsError(text.format(place=place, value=repr(self.raw), wanted=self.needed))


def short(text: str) -> str:
    """The beginning of a text that is too long for a message."""
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def nearly(text: str, name: str, names: Iterable[str]) -> str:
    """The text, with the nearest of these names if one is near."""
    near = nearest(name.lower(), names)
    return text + (_(" (did you mean {name}?)").format(name=near) if near else "")


# Readers of numbers, words and texts.


def number(raw: Any) -> float:
    """A finite number, as it is written."""
    # A whole number may have more digits than a double can hold.
    if isinstance(raw, int | float) and type(raw) is not bool and abs(raw) <= sys.float_info.max:
        return raw
    raise WrongEntry(raw, _("a number is needed"))


def within(
    low: float,
    high: float,
    needed: str = N_("a number from {low} to {high} is needed"),
    kinds: Container[type] = (int, float),
) -> Callable[[Any], Any]:
    """A number of one of these kinds within these limits, both included."""

    def read(raw: Any) -> Any:
        if type(raw) in kinds and low <= raw <= high:
            return raw
        raise WrongEntry(raw, chosen()(needed, low=low, high=high))

    kind = "number" if float in kinds else "integer"
    return takes(read, type=kind, minimum=low, maximum=high)


def whole(
    low: int, high: int, needed: str = N_("a whole number from {low} to {high} is needed")
) -> Callable[[Any], Any]:
    """A whole number within these limits, both included."""
    return within(low, high, needed, (int,))


def from_text(convert: Callable[[str], Any], read: Reader) -> Reader:
    """The same reader, for a number that the environment has as a text."""

    def read_text(raw: Any) -> Any:
        try:
            return read(convert(raw) if type(raw) in (str, int) else raw)
        except WrongEntry as error:
            raise WrongEntry(raw, error.needed) from None
        except (ValueError, OverflowError):
            return read(raw)

    # A schema knows no limits of a number in a text.
    written = {"type": "string", "pattern": _AS_TEXT[convert]}
    return takes(read_text, anyOf=[SCHEMAS[read], written])


_DIGITS = "[0-9]+(?:_[0-9]+)*"
_AS_TEXT: dict[Callable[[str], Any], str] = {
    int: rf"^\s*[+-]?{_DIGITS}\s*$",
    float: rf"^\s*[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?\s*$",
}
"""How a number is written in a text, by the function that reads it."""


def seconds(low: float, high: float) -> Reader:
    """A setting in seconds within these limits, both included."""
    return from_text(float, within(low, high, N_("seconds from {low} to {high} are needed")))


def switch(raw: Any) -> bool:
    """True or false."""
    if not isinstance(raw, bool):
        raise WrongEntry(raw, _("true or false is needed"))
    return raw


SWITCH_WORDS = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}


def switch_word(raw: Any) -> bool:
    """A setting that is `true`, `on`, `1` or one of their opposites."""
    return switch(SWITCH_WORDS.get(str(raw).lower(), raw))


def _words(words: Iterable[str]) -> dict[str, Any]:
    """The schema of a text that is one of these words, in upper or lower case."""
    return {"type": "string", "pattern": any_case(words)}


def one_of(words: Iterable[str]) -> Callable[[Any], str]:
    """One of these words."""
    words = [*words]

    def read(raw: Any) -> str:
        if raw in words:
            return str(raw)
        needed = _("one of {words} is needed").format(words=", ".join(words))
        raise WrongEntry(raw, nearly(needed, raw, words) if isinstance(raw, str) else needed)

    return takes(read, enum=words)


def choice(*words: str) -> Callable[[Any], str]:
    """A setting that is one of these words, in upper or lower case."""
    spellings = {word.lower(): word for word in words}
    read = one_of(words)

    def read_word(raw: Any) -> str:
        return read(spellings.get(str(raw).lower(), raw))

    return takes(read_word, anyOf=[{"enum": [*words]}, _words(words)])


def table(raw: Any) -> dict[str, Any]:
    """A table."""
    if not isinstance(raw, dict):
        raise WrongEntry(raw, _("a table is needed"))
    return raw


def line(longest: int) -> Callable[[Any], str]:
    """A text in one line of at most so many characters, without blanks around it."""

    def read(raw: Any) -> str:
        plain = isinstance(raw, str) and all(c.isprintable() or c == WIDE_SPACE for c in raw)
        if not plain or not 1 <= len(raw) <= longest or raw != raw.strip():
            needed = _(
                "a text of 1 to {n} characters is needed, in one line, no blank at either end"
            )
            raise WrongEntry(raw, needed.format(n=longest))
        return str(raw)

    one_line = r"^\S(.*\S)?$"
    return takes(read, type="string", minLength=1, maxLength=longest, pattern=one_line)


def text(raw: Any) -> str:
    """A text that is not empty."""
    if not isinstance(raw, str) or not raw:
        raise WrongEntry(raw, _("a text is needed"))
    return raw


def matching(pattern: str, needed: str) -> Callable[[Any], str]:
    """A text of this regular expression."""
    whole_text = re.compile(pattern)

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or not whole_text.fullmatch(raw):
            raise WrongEntry(raw, chosen()(needed))
        return raw

    return takes(read, type="string", pattern=f"^(?:{pattern})$")


def path(needed: str) -> Callable[[Any], Path]:
    """The absolute path of a file or a folder, which need not exist."""

    def read(raw: Any) -> Path:
        if not isinstance(raw, str) or not raw:
            raise WrongEntry(raw, chosen()(needed))
        return Path(raw).expanduser().absolute()

    return takes(read, type="string", minLength=1)


folder = path(N_("a folder is needed"))
file = path(N_("a file is needed"))

takes(number, type="number")
takes(switch, type="boolean")
takes(switch_word, anyOf=[{"type": "boolean"}, {"enum": [0, 1]}, _words(SWITCH_WORDS)])
takes(table, type="object")
takes(text, type="string", minLength=1)

# Readers of names and addresses.

HIGHEST_PORT = 65535
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"\.?{_LABEL}(?:\.{_LABEL})*")

host_name = matching(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}",
    N_("a name such as school-1 is needed, of letters, digits, dots and dashes"),
)
"""How one host is named, in messages and in the database."""


def host_names(raw: Any) -> tuple[str, ...]:
    """Reads `raspberrypi.local,.home.arpa`; a leading dot means all names below.

    A dot at the end, of an absolute name, is left out.
    """
    names = tuple(name.strip().lower().removesuffix(".") for name in text(raw).split(","))
    if not all(map(_HOST_NAME.fullmatch, names)):
        needed = _("names such as raspberrypi.local,.home.arpa are needed, without ports")
        raise WrongEntry(raw, needed)
    return names


def _comma_separated(item: str) -> dict[str, Any]:
    """The schema of a text of such items, with blanks around them."""
    return {"type": "string", "pattern": rf"^\s*{item}\s*(?:,\s*{item}\s*)*$"}


_LABEL_IN_ANY_CASE = _LABEL.replace("a-z", "A-Za-z")
takes(host_names, **_comma_separated(rf"\.?{_LABEL_IN_ANY_CASE}(?:\.{_LABEL_IN_ANY_CASE})*\.?"))


def endpoints(raw: Any) -> tuple[str, ...]:
    """Reads `freezer,attic`: paths of stations; none of an empty text."""
    names = tuple(name.strip() for name in raw.split(",")) if isinstance(raw, str) and raw else ()
    if not isinstance(raw, str) or not all(re.fullmatch(_ENDPOINT, n) for n in names):
        raise WrongEntry(raw, _("names such as freezer,attic are needed"))
    return names


_ENDPOINT = "[a-z][a-z0-9_-]{0,31}"
takes(endpoints, anyOf=[{"const": ""}, _comma_separated(_ENDPOINT)])


def bind(raw: Any) -> str:
    """Reads `address:port` or `unix:/absolute/path`."""
    value = text(raw)
    host, _colon, port = value.rpartition(":")
    if value.startswith("unix:"):
        if not re.fullmatch(_UNIX, value):
            raise WrongEntry(raw, _("unix:/absolute/path/to/a.sock is needed"))
    elif not (re.fullmatch(_HOST, host) or _is_ipv6(host)):
        needed = _(
            "address:port such as 0.0.0.0:8888 or [::]:8888 is needed, or unix:/absolute/path"
        )
        raise WrongEntry(raw, needed)
    elif not _is_port(port):
        raise WrongEntry(raw, _("a port from 1 to 65535 is needed after the last colon"))
    return value


_UNIX, _HOST, _PORT = r"unix:/\S*[^\s/]", "[A-Za-z0-9_.-]+", "[0-9]{1,5}"
takes(
    bind,
    type="string",
    pattern=rf"^(?:{_UNIX}|(?!unix:)(?:{_HOST}|\[[0-9A-Fa-f:.]+(?:%.+)?\]):{_PORT})$",
)


def _is_ipv6(host: str) -> bool:
    with suppress(ValueError):
        return host[:1] + host[-1:] == "[]" and bool(IPv6Address(host[1:-1]))
    return False


def _is_port(digits: str) -> bool:
    return re.fullmatch(_PORT, digits) is not None and 1 <= int(digits) <= HIGHEST_PORT


def time_zone(raw: Any) -> str:
    """A zone that this system has."""
    try:
        ZoneInfo(str(raw))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        needed = _("a zone such as Asia/Tokyo is needed")
        zones = {zone.lower(): zone for zone in available_timezones()}
        if near := nearest(str(raw).lower(), zones):
            needed += _(" (did you mean {name}?)").format(name=zones[near])
        raise WrongEntry(raw, needed) from None
    return str(raw)


# Which zones there are depends on the machine.
takes(time_zone, type="string", pattern="^[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*$")
altitude = within(LOWEST_M, HIGHEST_M, N_("metres above sea level from {low} to {high} are needed"))
"""Metres, within the limits of the formula of the pressure at sea level."""


def at_altitude(stations: Stations, metres: float | None) -> Stations:
    """The stations; those without an altitude get this one."""
    if metres is None:
        return stations
    moved = (s if s.altitude_m is not None else replace(s, altitude_m=metres) for s in stations.all)
    return replace(stations, all=tuple(moved))


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


def coordinates(raw: Any) -> Place:
    """Reads `35.68,139.77`."""
    match = _PLACE.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        needed = _("latitude and longitude in degrees such as 35.68,139.77 are needed")
        raise WrongEntry(raw, needed)
    latitude, longitude = float(match[1]), float(match[2])
    if abs(latitude) > HIGHEST_LATITUDE or abs(longitude) > HIGHEST_LONGITUDE:
        needed = _("a latitude from -90 to 90 comes first, then a longitude from -180 to 180")
        raise WrongEntry(raw, needed)
    return Place(latitude, longitude)


takes(coordinates, type="string", pattern=f"^{_NUMBER},{_NUMBER}$")

# A digit too few would remove readings for good. Alerts learn from a week, and people look at a
# month.
RETENTION_MIN_DAYS = 30
# A century.
RETENTION_MAX_DAYS = 36_500
NEVER_REMOVED = 0


_days = whole(
    RETENTION_MIN_DAYS,
    RETENTION_MAX_DAYS,
    N_("a whole number of days from {low} to {high} is needed, or 0 to keep all readings"),
)


def retention_days(raw: Any) -> int:
    """After how many days readings are removed, or NEVER_REMOVED."""
    return NEVER_REMOVED if raw == NEVER_REMOVED and type(raw) is int else _days(raw)


takes(retention_days, anyOf=[{"const": NEVER_REMOVED}, SCHEMAS[_days]])


# The beginning of an address of PostgreSQL, with SQLAlchemy's name of psycopg 3.
POSTGRESQL = "postgresql+psycopg://"
# Its beginning in other programs.
_OTHER_SCHEME = re.compile(r"(?:postgres|postgresql)(?:\+\w+)?:")
# Options that name the database in place of the path; a service of pg_service.conf names it, too.
_NAME_IN_OPTIONS = re.compile(r"(?:^|&)(?:dbname|service)=")
_PASSWORD = re.compile(r"(://[^:/?@]*):.*@")
_PARTS = re.compile(
    r"(?:[^:/?@]*(?::[^/?@]*)?@)?"
    r"(?:\[[^]/?@]+\]|[^:/?@,]*)(?::(?P<port>[^/?@,:]*))?"
    r"(?:/(?P<name>[^?@/]*))?(?:\?(?P<options>.*))?"
)


def database_url(raw: Any) -> str:
    """A URL with an absolute path, or one of PostgreSQL whose driver is installed.

    The error shows no password.
    """
    value = raw if isinstance(raw, str) else ""
    if value.startswith("sqlite:////"):
        return value
    if value.startswith(POSTGRESQL):
        needed = _address_mistake(value.removeprefix(POSTGRESQL))
        if not needed and find_spec("psycopg") is None:
            needed = _(
                "the package psycopg is missing: requirements-postgres.lock has it (in a checkout:"
                " make postgres), or pip install 'flask10x[postgres]'"
            )
    elif _OTHER_SCHEME.match(value):
        text = _("it has to begin with {scheme}, as in {example}")
        needed = text.format(scheme=POSTGRESQL, example=f"{POSTGRESQL}user@host:5432/database")
    else:
        needed = _(
            "sqlite:////absolute/path/to/file.sqlite3 is needed, or"
            " postgresql+psycopg://user@host:5432/database"
        )
    if needed:
        # Messages go to the journal.
        raise WrongEntry(_PASSWORD.sub(r"\1:...@", value) or raw, needed)
    return value


takes(database_url, type="string", pattern=f"^(?:sqlite:////|{re.escape(POSTGRESQL)})")


def _address_mistake(rest: str) -> str:
    """What is wrong with the address behind the scheme; "" for nothing."""
    parts = _PARTS.fullmatch(rest)
    if parts is None:
        if "," in rest.partition("?")[0]:
            return _("several hosts are options: postgresql+psycopg://user@/database?host=A&host=B")
        return _(
            "postgresql+psycopg://user@host:5432/database is needed; in a password @ is written"
            " %40, / is %2F, ? is %3F, : is %3A and % is %25"
        )
    port = parts["port"]
    if port is not None and not _is_port(port):
        return _("a port from 1 to 65535 is needed after the host's colon")
    if not parts["name"] and not _NAME_IN_OPTIONS.search(parts["options"] or ""):
        return _("the database's name is missing: postgresql+psycopg://user@host:5432/database")
    return ""


CREDENTIAL = "credential:"
"""What precedes the name of a credential of systemd."""
secret_place = matching(
    rf"/\S*[^\s/]|{CREDENTIAL}[A-Za-z0-9_-][A-Za-z0-9_.-]*",
    N_("/absolute/path is needed, or credential: and a name"),
)
"""Where a secret file is. It is not looked at: programs without access read the settings too."""

MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}


def mqtt_url(raw: Any) -> str:
    """Reads `mqtt://host`, `mqtts://user@host:8883`; a password belongs into a file."""
    try:
        url = urlsplit(raw if isinstance(raw, str) else "")
        is_right = url.scheme in MQTT_PORTS and url.hostname and url.port != 0
    except ValueError:
        is_right = False
    if not is_right or url.path.strip("/") or url.query or url.fragment or url.password is not None:
        # The value may be a password.
        needed = _("mqtt://host or mqtts://user@host:8883 is needed, without a password")
        raise WrongEntry("...", needed)
    return str(raw)


_SCHEMES = "|".join(map(_in_any_case, MQTT_PORTS))
takes(mqtt_url, type="string", pattern=rf"^(?:{_SCHEMES})://(?:[^/?#:]*@)?[^/?#@]+/*$")

# As long as a topic of a station.
TOPIC_CHARS = 200


def mqtt_prefix(raw: Any) -> str:
    """Reads the beginning of topics, such as `homeassistant`; empty: none."""
    is_right = isinstance(raw, str) and len(raw) <= TOPIC_CHARS
    if not is_right or not re.fullmatch(r"(?:[\w.-]+(?:/[\w.-]+)*)?", raw):
        raise WrongEntry(raw, _("the beginning of topics is needed, such as homeassistant"))
    return str(raw)


# A `\w` of other programs has ASCII only.
_LEVEL = r"(?:[\w.-]|[^\x00-\x7F])+"
takes(mqtt_prefix, type="string", maxLength=TOPIC_CHARS, pattern=f"^(?:{_LEVEL}(?:/{_LEVEL})*)?$")

ACCEPT, REJECT = "accept", "reject"


def partial_readings(raw: Any, settings: Mapping[str, Any]) -> frozenset[str]:
    """Reads `accept`, `data4=accept,data2=accept` or `accept,data2=reject`."""
    stations: Stations = settings["stations"]
    words: dict[str, str] = {}
    for item in str(raw).split(","):
        first, equals, last = (part.strip() for part in item.partition("="))
        endpoint, word = (first, last) if equals else ("", first)
        is_station = endpoint in stations.by_endpoint if equals else True
        if endpoint in words or not is_station or word not in (ACCEPT, REJECT):
            needed = _("accept or reject is needed, or a list such as data4=accept ({stations})")
            raise WrongEntry(raw, needed.format(stations=", ".join(stations.by_endpoint)))
        words[endpoint] = word
    return accepting_partial(stations, words)


takes(partial_readings, **_comma_separated(rf"(?:[a-z0-9_-]+\s*=\s*)?(?:{ACCEPT}|{REJECT})"))


def accepting_partial(stations: Stations, words: Mapping[str, str]) -> frozenset[str]:
    """The endpoints of the stations whose incomplete readings are accepted.

    `words` has ACCEPT or REJECT by endpoint, and under the empty text for all other stations. A
    station without a word decides itself.
    """

    def word_of(station: Station) -> str:
        own_word = ACCEPT if station.accepts_partial else REJECT
        return words.get(station.endpoint, words.get("", own_word))

    return frozenset(s.endpoint for s in stations.all if word_of(s) == ACCEPT)
