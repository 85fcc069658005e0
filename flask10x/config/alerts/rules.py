"""The rules of `alerts.toml` and the channels by which messages go, as data.

A rule says when there is an alert. Each kind is a class; the name of a rule is that of its table in
the file. docs/en/reference/alerts-file.md describes the keys.
"""

import os
from dataclasses import dataclass, field
from datetime import time
from typing import Literal

from flask10x.translation import Language, of_locale

Kind = Literal[
    "silence",
    "threshold",
    "rate",
    "failed_sensor",
    "refused",
    "queue",
    "disk",
    "database",
    "export",
    "backup",
]

HOUR_SEC = 3600
DAY_SEC = 24 * HOUR_SEC


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """A station that has stopped sending."""

    name: str = "silence"
    channels: tuple[str, ...] = ()
    """The names of the channels that get its messages; empty: all channels."""
    stations: tuple[str, ...] = ()
    """The endpoints that it watches; empty: all."""
    after_sec: int | None = None
    """None: learned from the last days of each station."""
    kind: Literal["silence"] = "silence"


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """A measurement above or below a limit for some time; exactly one of them is set."""

    name: str
    station: str
    column: str
    above: float | None = None
    below: float | None = None
    clear: float
    """The value at which the alert ends: at most `above`, or at least `below`."""
    for_sec: int = 0
    """For how long it has to last before it is an alert."""
    channels: tuple[str, ...] = ()
    kind: Literal["threshold"] = "threshold"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """A measurement that rises or falls by an amount within a time; exactly one of them is set."""

    name: str
    station: str
    column: str
    rise: float | None = None
    fall: float | None = None
    within_sec: int
    channels: tuple[str, ...] = ()
    kind: Literal["rate"] = "rate"


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedSensor:
    """A measurement that was missing or a fault value in a number of readings in a row."""

    name: str = "failed_sensor"
    stations: tuple[str, ...] = ()
    readings: int = 10
    channels: tuple[str, ...] = ()
    kind: Literal["failed_sensor"] = "failed_sensor"


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedSender:
    """A station of which a number of readings was rejected within a time."""

    name: str = "refused"
    stations: tuple[str, ...] = ()
    readings: int = 10
    within_sec: int = HOUR_SEC
    channels: tuple[str, ...] = ()
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """Readings wait to be stored: the queue is above its warning threshold for some time."""

    name: str = "queue"
    for_sec: int = 60
    channels: tuple[str, ...] = ()
    kind: Literal["queue"] = "queue"


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk:
    """Less than a percentage of the database's disk is free."""

    name: str = "disk"
    free_percent: float = 5
    channels: tuple[str, ...] = ()
    kind: Literal["disk"] = "disk"


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseTrouble:
    """The database is damaged or missing, or readings can't be stored for some time."""

    name: str = "database"
    for_sec: int = 60
    channels: tuple[str, ...] = ()
    kind: Literal["database"] = "database"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOverdue:
    """Readings have not been exported to a CSV file for some time."""

    name: str = "export"
    after_sec: int = 2 * DAY_SEC
    channels: tuple[str, ...] = ()
    kind: Literal["export"] = "export"


@dataclass(frozen=True, kw_only=True, slots=True)
class BackupOverdue:
    """The newest backup, or without one the first reading or import, is older than a time."""

    name: str = "backup"
    after_sec: int = 3 * DAY_SEC
    channels: tuple[str, ...] = ()
    kind: Literal["backup"] = "backup"


Rule = (
    Silence
    | Threshold
    | Rate
    | FailedSensor
    | RefusedSender
    | Queue
    | Disk
    | DatabaseTrouble
    | ExportOverdue
    | BackupOverdue
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """A channel: signed JSON is posted to a URL."""

    name: str
    url: str
    secret_file: str = ""
    """A path, or `credential:` and a name, as in the settings; empty: unsigned."""
    language: Language | None = None
    """None: the language of the file."""
    daily_max: int | None = None
    """None: the number of the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A channel: a program is run, the message in its environment and on its standard input."""

    name: str
    arguments: tuple[str, ...]
    """The program, an absolute path, and what it is given."""
    language: Language | None = None
    daily_max: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Apprise:
    """A channel: messages go to Apprise's URLs (extra `flask10x[alerts]`)."""

    name: str
    urls_file: str
    """A secret file with a URL a line."""
    language: Language | None = None
    daily_max: int | None = None


Channel = Webhook | Command | Apprise


@dataclass(frozen=True, kw_only=True, slots=True)
class QuietHours:
    """When no message is sent, as times of the service's zone; it may span midnight."""

    start: time
    end: time
    urgent: tuple[str, ...] = ("database", "disk")
    """The names of the rules whose messages do not wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alerts:
    """All of `alerts.toml`: of a running service `settings.alerts`."""

    rules: tuple[Rule, ...] = (Silence(), Disk(), DatabaseTrouble(), BackupOverdue())
    """The rules that are on. The default is for an installation without a file."""
    channels: tuple[Channel, ...] = ()
    language: Language = field(default_factory=lambda: of_locale(os.environ))
    """The default is the language of the system."""
    base_url: str = ""
    """The address of the pages for links in messages; empty: no links."""
    reminder_after_sec: int = DAY_SEC
    quiet_hours: QuietHours | None = None
    daily_max: int = 20
    """The most messages that a channel gets in a day of the service's zone."""
    file: str = ""
    """The path of the file; empty: no file."""
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
