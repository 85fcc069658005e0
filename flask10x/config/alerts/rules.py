"""The rules and the channels of `alerts.toml`, with the keys that set their fields.

A rule says when there is an alert. Each kind is a class; the name of a rule is that of its table in
the file. docs/en/reference/alerts-file.md describes the keys.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import time
from pathlib import PurePosixPath
from typing import Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from flask10x.config import readers
from flask10x.config.toml import Key
from flask10x.translation import N_, Language, of_locale
from flask10x.translation import message as _

URL_CHARS = 2000
HOUR_SEC = 3600
DAY_SEC = 24 * HOUR_SEC
# A month; a longer time is a mistake.
MAX_MIN = 31 * 24 * 60
MAX_H = 31 * 24
MAX_NAMES = 200
MAX_ARGUMENTS = 32
MINUTE_SEC = 60
NAMES_EXAMPLE = '["data", "data2"]'
COMMAND_EXAMPLE = '["/usr/local/bin/say", "--loud"]'
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def minutes(low: float, high: float) -> Callable[[Any], int]:
    """Minutes within these limits, both included, as whole seconds."""
    return _times(readers.within(low, high), MINUTE_SEC)


def hours(low: float, high: float) -> Callable[[Any], int]:
    """Hours within these limits, both included, as whole seconds."""
    return _times(readers.within(low, high), HOUR_SEC)


def _times(read: readers.Reader, factor: int) -> Callable[[Any], int]:
    return readers.takes(lambda raw: round(read(raw) * factor), **readers.SCHEMAS[read])


def change(raw: Any) -> float:
    """The amount by which a value rises or falls."""
    if (value := readers.number(raw)) <= 0:
        raise readers.WrongEntry(raw, _("a number above 0 is needed"))
    return value


def names(raw: Any) -> tuple[str, ...]:
    """A list of one or more names, each once. Without the key all are meant."""
    are_texts = isinstance(raw, list) and all(isinstance(name, str) for name in raw)
    if not are_texts or len(raw) > MAX_NAMES:
        raise readers.WrongEntry(
            raw, _("a list such as {example} is needed").format(example=NAMES_EXAMPLE)
        )
    if not raw:
        raise readers.WrongEntry(raw, _("name one at least; without the key it is all of them"))
    if len(set(raw)) < len(raw):
        raise readers.WrongEntry(raw, _("a name is there twice"))
    return tuple(raw)


def rule_names(raw: Any) -> tuple[str, ...]:
    """A list of names of rules, which may be empty."""
    return () if raw == [] else names(raw)


def clock(raw: Any) -> time:
    """A time of the day: `"22:00"`, or a time of TOML's own, `22:00:00`."""
    if isinstance(raw, time):
        return raw.replace(microsecond=0)
    match = _CLOCK.fullmatch(raw) if isinstance(raw, str) else None
    if not match:
        raise readers.WrongEntry(raw, _('a time from "00:00" to "23:59" is needed'))
    return time(int(match[1]), int(match[2]))


def is_between(now: time, start: time, end: time) -> bool:
    """Whether it is `start` or later, and not `end` yet, which may be on the next day."""
    return start <= now < end if start <= end else now >= start or now < end


def base_url(raw: Any) -> str:
    """The address of the pages, without the slash at its end."""
    address = _address(raw, _("an address such as http://raspberrypi.local:8888 is needed"))
    if address.query:
        raise readers.WrongEntry(raw, _("an address without ? is needed"))
    return str(raw).rstrip("/")


def webhook_url(raw: Any) -> str:
    """The address that a message is posted to."""
    _address(raw, _("an address such as https://example.org/hook is needed"))
    return str(raw)


def _address(raw: Any, needed: str) -> SplitResult:
    plain = isinstance(raw, str) and len(raw) <= URL_CHARS and re.fullmatch(r"[!-~]+", raw)
    try:
        address = urlsplit(raw if plain else "")
        host, _port = address.hostname, address.port
    except ValueError:
        raise readers.WrongEntry(raw, needed) from None
    if address.scheme not in ("http", "https") or not host or "#" in raw:
        raise readers.WrongEntry(raw, needed)
    if "@" in address.netloc:
        raise readers.WrongEntry(raw, _("an address without a user and a password is needed"))
    return address


def arguments(raw: Any) -> tuple[str, ...]:
    """The whole path of a program, and its arguments."""
    are_texts = isinstance(raw, list) and all(isinstance(a, str) and "\0" not in a for a in raw)
    if not are_texts or not 1 <= len(raw) <= MAX_ARGUMENTS:
        needed = _("a list such as {example} is needed").format(example=COMMAND_EXAMPLE)
        raise readers.WrongEntry(raw, needed)
    if not PurePosixPath(raw[0]).is_absolute():
        needed = _("the whole path of the program is needed, such as /usr/bin/logger")
        raise readers.WrongEntry(raw[0], needed)
    return tuple(raw)


_NAMES: dict[str, Any] = {"type": "array", "maxItems": MAX_NAMES, "uniqueItems": True}
_NAMES["items"] = {"type": "string"}
_PORT = ":(?:[0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_PLACE = rf"^https?://(?:[!-.0-9;->A-Z\\^-~]+|\[[^\]\s]+\])(?:{_PORT})?"
_HTTP = {"type": "string", "maxLength": URL_CHARS, "pattern": _PLACE + r"(?:[/?][!-\"$-~]*)?$"}
readers.takes(change, type="number", exclusiveMinimum=0)
readers.takes(names, **_NAMES, minItems=1)
readers.takes(rule_names, **_NAMES)
readers.takes(base_url, **_HTTP | {"pattern": _PLACE + r"(?:/[!-\"$->@-~]*)?$"})
readers.takes(webhook_url, **_HTTP)
readers.takes(
    arguments, type="array", minItems=1, maxItems=MAX_ARGUMENTS, items={"type": "string"},
    prefixItems=[{"type": "string", "pattern": "^/"}],
)  # fmt: skip
# A time of TOML's own is a text with seconds for an editor.
readers.takes(clock, type="string", pattern=f"^{_CLOCK.pattern}(:[0-9]{{2}}([.][0-9]+)?)?$")

MAX_MESSAGES = 1000
URGENT = ("database", "disk")
"""The rules whose messages do not wait for the end of quiet hours, where the file names none."""


def _key(
    name: str, read: readers.Reader, words: str = "", *, default: Any = MISSING, **more: Any
) -> Any:
    """Return a field that a key of the file sets, which needs it without a default.

    `more` is as of Key; a default that is a function makes one.
    """
    key = Key(name, read, words=words, needed=default is MISSING, **more)
    if callable(default):
        return field(default_factory=default, metadata={"key": key})
    return field(default=default, metadata={"key": key})


def keys_of(table: type[Any]) -> tuple[Key, ...]:
    """Return the keys of the fields of a class."""
    return tuple(
        replace(row.metadata["key"], field=row.name)
        for row in fields(table)
        if "key" in row.metadata
    )


LANGUAGES = readers.one_of(get_args(Language))
MESSAGES = readers.whole(1, MAX_MESSAGES)
_KindOfStations = Literal["silence", "threshold", "rate", "stuck", "failed_sensor", "rejected"]
Kind = Literal[
    _KindOfStations, "queue", "disk", "database", "export", "backup", "replica", "copies"
]


FOR_HOW_LONG = N_("For how long, in minutes")
WITHIN = N_("Within how many minutes")
DURATION = minutes(0, MAX_MIN)
OVERDUE = N_("After how many hours")


@dataclass(frozen=True, kw_only=True, slots=True)
class _AnyRule:
    """The fields that all rules have, beside their kind."""

    name: str
    channels: tuple[str, ...] = ()
    """The names of the channels that get its messages; empty: all channels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OfStations(_AnyRule):
    """The fields of the rules that watch each of their stations."""

    stations: tuple[str, ...] = _key("stations", names, N_("Stations"), default=())
    """The endpoints that it watches; empty: all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence(OfStations):
    """A station that has stopped sending."""

    name: str = "silence"
    after_sec: int | None = _key(
        "after_min",
        minutes(0.5, MAX_MIN),
        N_("After how many minutes (empty: learned from each station)"),
        default=None,
    )
    """None: learned from the last days of each station."""
    kind: Literal["silence"] = "silence"


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold(_AnyRule):
    """A measurement above or below a limit for some time; exactly one of them is set."""

    station: str = _key("station", readers.text)
    column: str = _key("measurement", readers.text)
    above: float | None = _key("above", readers.number, default=None)
    below: float | None = _key("below", readers.number, default=None)
    clear: float = _key(
        "clear",
        readers.number,
        N_("Ends at (empty: a little before that)"),
        missing=N_(
            "is missing: the value at which the alert ends; a little away from the limit, so"
            " that it does not come and go"
        ),
    )
    """The value at which the alert ends: at most `above`, or at least `below`."""
    for_sec: int = _key("for_min", DURATION, FOR_HOW_LONG, default=0)
    """For how long it has to last before it is an alert."""
    start: time | None = _key("from", clock, N_("Only from (empty: always)"), default=None)
    """When it begins to be watched each day, a time of the service's zone; None: always."""
    end: time | None = _key("to", clock, N_("to"), default=None)
    """When that ends, maybe on the next day; None where `start` is."""
    kind: Literal["threshold"] = "threshold"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate(_AnyRule):
    """A measurement that rises or falls by an amount within a time; exactly one of them is set."""

    station: str = _key("station", readers.text)
    column: str = _key("measurement", readers.text)
    rise: float | None = _key("rise", change, default=None)
    fall: float | None = _key("fall", change, default=None)
    within_sec: int = _key("within_min", minutes(0.5, 24 * 60), WITHIN)
    kind: Literal["rate"] = "rate"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stuck(_AnyRule):
    """A measurement whose value is the same for some time, though its station sends."""

    station: str = _key("station", readers.text)
    column: str = _key("measurement", readers.text)
    for_sec: int = _key("for_min", minutes(1, MAX_MIN), FOR_HOW_LONG, default=6 * HOUR_SEC)
    kind: Literal["stuck"] = "stuck"


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedSensor(OfStations):
    """A measurement that was missing or a fault value in a number of readings in a row."""

    name: str = "failed_sensor"
    readings: int = _key(
        "readings", readers.whole(1, 100_000), N_("In how many readings"), default=10
    )
    kind: Literal["failed_sensor"] = "failed_sensor"


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedSender(OfStations):
    """A station of which a number of readings was rejected within a time."""

    name: str = "rejected"
    readings: int = _key(
        "readings", readers.whole(1, 100_000), N_("In how many readings"), default=10
    )
    within_sec: int = _key("within_min", minutes(1, 24 * 60), WITHIN, default=HOUR_SEC)
    kind: Literal["rejected"] = "rejected"


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue(_AnyRule):
    """Readings wait to be stored: the queue is above its warning threshold for some time."""

    name: str = "queue"
    for_sec: int = _key("for_min", DURATION, FOR_HOW_LONG, default=60)
    kind: Literal["queue"] = "queue"


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk(_AnyRule):
    """Less than a percentage of the database's disk is free."""

    name: str = "disk"
    free_percent: float = _key(
        "free_percent", readers.within(0.1, 90), N_("Less free than, in percent"), default=5
    )
    kind: Literal["disk"] = "disk"


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseTrouble(_AnyRule):
    """The database is damaged or missing, or readings can't be stored for some time."""

    name: str = "database"
    for_sec: int = _key("for_min", DURATION, FOR_HOW_LONG, default=60)
    kind: Literal["database"] = "database"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOverdue(_AnyRule):
    """Readings have not been exported to a CSV file for some time."""

    name: str = "export"
    after_sec: int = _key("after_h", hours(1, MAX_H), OVERDUE, default=2 * DAY_SEC)
    kind: Literal["export"] = "export"


@dataclass(frozen=True, kw_only=True, slots=True)
class BackupOverdue(_AnyRule):
    """The newest backup, or without one the first reading or import, is older than a time."""

    name: str = "backup"
    after_sec: int = _key("after_h", hours(1, MAX_H), OVERDUE, default=3 * DAY_SEC)
    kind: Literal["backup"] = "backup"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaOverdue(_AnyRule):
    """The replica that Litestream keeps, where there is one, is older than a time."""

    name: str = "replica"
    after_sec: int = _key("after_min", minutes(1, MAX_MIN), FOR_HOW_LONG, default=HOUR_SEC)
    kind: Literal["replica"] = "replica"


@dataclass(frozen=True, kw_only=True, slots=True)
class WrongCopies(_AnyRule):
    """`flask10x verify` has found that copies of the readings differ, and they still do."""

    name: str = "copies"
    kind: Literal["copies"] = "copies"


_RuleOfStations = Silence | Threshold | Rate | Stuck | FailedSensor | RejectedSender
_RuleOfService = Queue | Disk | DatabaseTrouble | ExportOverdue | BackupOverdue | ReplicaOverdue
Rule = _RuleOfStations | _RuleOfService | WrongCopies


@dataclass(frozen=True, kw_only=True, slots=True)
class _AnyChannel:
    """The fields that all channels have."""

    name: str
    language: Language | None = _key(
        "language", LANGUAGES, N_("Language of its messages"), default=None
    )
    """None: the language of the file."""
    daily_max: int | None = _key(
        "daily_max",
        MESSAGES,
        N_("Messages a day at most (empty: as for all channels)"),
        default=None,
    )
    """None: the number of the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WithUrl(_AnyChannel):
    """A channel with one URL: exactly one of the first two fields is set."""

    url: str = _key("url", webhook_url, default="")
    url_file: str = _key("url_file", readers.secret_place, default="")
    """A secret file with the URL, if it has a token or a topic that others may not know."""
    loopback: bool = _key("loopback", readers.switch, default=True)
    """Whether messages may go to this machine itself. Pages set False."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook(WithUrl):
    """A channel: signed JSON is posted to the URL."""

    secret_file: str = _key("secret_file", readers.secret_place, default="")
    """A path, or `credential:` and a name, as in the settings; empty: unsigned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ntfy(WithUrl):
    """A channel: messages are published to a topic: `https://ntfy.sh/a-topic-nobody-guesses`."""

    token_file: str = _key("token_file", readers.secret_place, default="")
    """The access token for a reserved topic; a path, or `credential:` and a name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command(_AnyChannel):
    """A channel: a program is run, the message in its environment and on its standard input."""

    arguments: tuple[str, ...] = _key("command", arguments)
    """The program, an absolute path, and its arguments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Apprise(_AnyChannel):
    """A channel: messages go to Apprise's URLs (extra `flask10x[alerts]`)."""

    urls_file: str = _key("urls_file", readers.secret_place)
    """A secret file with a URL a line."""
    loopback: bool = _key("loopback", readers.switch, default=True)
    """Whether this machine itself may be the receiver: not of what a page has set up."""


Channel = Webhook | Ntfy | Command | Apprise


@dataclass(frozen=True, kw_only=True, slots=True)
class QuietHours:
    """When no message is sent, as times of the service's zone; it may span midnight."""

    start: time = _key("from", clock, N_("From"))
    end: time = _key("to", clock, N_("To"))
    urgent: tuple[str, ...] = _key("urgent", rule_names, default=URGENT)
    """The names of the rules whose messages do not wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alerts:
    """All of `alerts.toml`: of a running service `settings.alerts`."""

    rules: tuple[Rule, ...] = (
        *(Silence(), Disk(), DatabaseTrouble(), BackupOverdue(), ReplicaOverdue()),
        WrongCopies(),
    )
    """The rules that are on. The default is for an installation without a file."""
    channels: tuple[Channel, ...] = ()
    language: Language = _key(
        "language", LANGUAGES, N_("Language of messages"), default=lambda: of_locale(os.environ)
    )
    """The default is the language of the system."""
    base_url: str = _key(
        "base_url", base_url, N_("Address of these pages, for links in messages"), default=""
    )
    """The address of the pages for links in messages; empty: no links."""
    reminder_after_sec: int = _key(
        "reminder_after_h",
        hours(1, MAX_H),
        N_("Reminder while an alert lasts, after hours"),
        default=DAY_SEC,
    )
    quiet_hours: QuietHours | None = None
    daily_max: int = _key(
        "daily_max", MESSAGES, N_("Messages per channel and day at most"), default=20
    )
    """The most messages that a channel gets in a day of the service's zone."""
    file: str = ""
    """The path of the file; empty: no file."""
    former_names: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The names of a former version that the file has, which are read for now; with those of
    now."""
    digest: str = field(default="", compare=False)
    """The SHA-256 of the file as it was read; empty: no file."""
    by_name: dict[str, Rule] = field(init=False, repr=False, compare=False)

    def silence_of(self, endpoint: str) -> Silence:
        """The rule by which pages show a station as silent: the first one that watches it."""
        return self.silences_of(endpoint)[0]

    def silences_of(self, endpoint: str) -> tuple[Silence, ...]:
        """The rules that watch this station: those that name it, else those for all, else the
        usual one, by which pages go also where no rule is on.
        """
        rules = [rule for rule in self.rules if isinstance(rule, Silence)]
        naming = tuple(rule for rule in rules if endpoint in rule.stations)
        of_all = tuple(rule for rule in rules if not rule.stations)
        return naming or of_all or (Silence(),)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {rule.name: rule for rule in self.rules})


DEFAULT = Alerts()

KINDS: tuple[Kind, ...] = get_args(Kind)
RULES: dict[str, tuple[type[Rule], tuple[Key, ...]]] = {
    kind: (rule, keys_of(rule)) for kind, rule in zip(KINDS, get_args(Rule), strict=True)
}
"""The class of each kind of rule, and the keys that only this kind has."""
# The keys of all kinds of rules. The first two are read before the others.
RULE_KEYS = (Key("kind", readers.one_of(KINDS)), Key("on", readers.switch), Key("channels", names))
CHANNELS: dict[str, tuple[type[Channel], tuple[Key, ...]]] = {
    "webhook": (Webhook, keys_of(Webhook)),
    "ntfy": (Ntfy, keys_of(Ntfy)),
    "command": (Command, keys_of(Command)),
    "apprise": (Apprise, keys_of(Apprise)),
}
"""The class of each kind of channel, and its keys."""
KINDS_WITH_URL = [kind for kind, (one, _keys) in CHANNELS.items() if issubclass(one, WithUrl)]
"""The kinds with one URL, which is in the file itself or in a secret file."""
