"""What the service works by: settings, stations and tokens that were good when it read them last.

The rules of alerts are among the settings.

Only the master reads them, at the start and at each reload, and it takes both or neither. Workers
get them by the fork, also those that replace one that died; so all work by the same, and a mistake
made since leaves everything as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flask10x.config import settings as settings_module
from flask10x.config import tokens
from flask10x.config.alerts.rules import Alerts
from flask10x.config.settings import PREFIX, Settings
from flask10x.config.tokens import Keyring
from flask10x.errors import SettingsError
from flask10x.readings.stations import Stations

# What keeps strangers out. A file that an editor has emptied is valid TOML, so only a restart opens
# what one of these has closed.
CLOSING = ("write_tokens_file", "read_tokens_file", "notes_tokens_file", "allowed_hosts")
# What belongs to the master: it has bound the socket, locked the database, made the workers and the
# queues that they share, and holds leases by its name.
OF_THE_MASTER = (
    *("database_url", "host_name", "bind", "workers", "threads"),
    "write_queue_maxsize",
)


@dataclass(frozen=True, slots=True)
class InForce:
    """One set of settings and the tokens that its files had."""

    settings: Settings
    keyring: Keyring


@dataclass(frozen=True, slots=True)
class StationChanges:
    """The endpoints of the stations that a reload has brought, changed and left out."""

    added: Sequence[str]
    changed: Sequence[str]
    gone: Sequence[str]

    @property
    def line(self) -> str:
        """One for the log; empty when every station is as it was."""
        rest = "not accepted any more, its readings stay"
        named = ((self.added, "added"), (self.changed, "changed"), (self.gone, rest))
        parts = [f"{', '.join(names)} {what}" for names, what in named if names]
        return f"Stations of this reload: {'; '.join(parts)}" if parts else ""


def changes(former: Stations, now: Stations) -> StationChanges:
    """What is different between the stations before a reload and those after it."""
    before, after = former.by_endpoint, now.by_endpoint
    return StationChanges(
        added=[name for name in after if name not in before],
        changed=[name for name in after if name in before and after[name] != before[name]],
        gone=[name for name in before if name not in after],
    )


def alerts_line(former: Alerts, now: Alerts) -> str:
    """What a reload has brought of alerts, a line for the log; empty when nothing is different."""
    ways = ({way.name: way for way in alerts.ways} for alerts in (former, now))
    parts = [
        *_differences("rule", former.by_name, now.by_name),
        *_differences("way", *ways),
    ]
    rest = (replace(alerts, rules=(), ways=(), file="") for alerts in (former, now))
    if len({*rest}) > 1:
        parts.append("the keys that hold for all of them changed")
    return f"Alerts of this reload: {'; '.join(parts)}" if parts else ""


def _differences(
    thing: str, before: Mapping[str, object], after: Mapping[str, object]
) -> list[str]:
    both = {name: (before.get(name), after.get(name)) for name in {**before, **after}}
    words = {
        "added": [name for name, (old, _) in both.items() if old is None],
        "changed": [n for n, (old, new) in both.items() if old and new and old != new],
        "gone": [name for name, (_, new) in both.items() if new is None],
    }
    return [f"{thing} {', '.join(names)} {word}" for word, names in words.items() if names]


def read() -> InForce:
    """What stands in the environment and the files now; raises SettingsError."""
    settings = settings_module.load()
    return InForce(settings, tokens.load(settings))


def read_again(former: InForce) -> tuple[InForce, list[str]]:
    """What follows the former at a reload, and the settings that wait for a restart.

    Raises SettingsError when anything is wrong with it; then the former stays.
    """
    now = read()
    for name in CLOSING:
        if getattr(former.settings, name) and not getattr(now.settings, name):
            raise SettingsError(
                f"{PREFIX}{name.upper()} is not set any more; only a restart opens what it closes"
            )
    kept = {name: getattr(former.settings, name) for name in OF_THE_MASTER}
    waiting = [
        f"{PREFIX}{name.upper()} stays {value} until a restart"
        for name, value in kept.items()
        if value != getattr(now.settings, name)
    ]
    return InForce(replace(now.settings, **kept), now.keyring), waiting
