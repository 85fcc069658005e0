"""The settings in force: settings, stations and tokens that were valid when they were last read.

The rules of alerts are among the settings. Only the master reads them, at the start and at each
reload, and it applies all or none. Workers inherit them by the fork, also those that replace a
dead one; so all have the same, and a later mistake in a file changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from flask10x.config import secrets
from flask10x.config import settings as settings_module
from flask10x.config.alerts.rules import Alerts
from flask10x.config.secrets import Keyring
from flask10x.config.settings import OF_THE_MASTER, PREFIX, Settings
from flask10x.errors import SettingsError

# These settings keep strangers out. A file that an editor has emptied is valid TOML, so only a
# restart opens what one of them has closed.
CLOSING = ("write_tokens_file", "read_tokens_file", "notes_tokens_file", "allowed_hosts")


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings and the tokens of their files."""

    settings: Settings
    keyring: Keyring


class Changes(NamedTuple):
    """The names that a reload has added, changed and removed."""

    added: list[str]
    changed: list[str]
    removed: list[str]

    def parts(self, removed: str) -> list[str]:
        """`data2, data3 added` and so on; `removed` is said of the names that were removed."""
        words = zip(self, ("added", "changed", removed), strict=True)
        return [f"{', '.join(names)} {word}" for names, word in words if names]


def changes(former: Mapping[str, object], now: Mapping[str, object]) -> Changes:
    """The names whose values differ between the two."""
    return Changes(
        added=[name for name in now if name not in former],
        changed=[name for name in now if name in former and now[name] != former[name]],
        removed=[name for name in former if name not in now],
    )


def alerts_line(former: Alerts, now: Alerts) -> str:
    """The log line about the alerts of a reload; empty when nothing has changed."""
    channels = ({channel.name: channel for channel in alerts.channels} for alerts in (former, now))
    parts = [
        *(f"rule {part}" for part in changes(former.by_name, now.by_name).parts("gone")),
        *(f"channel {part}" for part in changes(*channels).parts("gone")),
    ]
    rest = (replace(alerts, rules=(), channels=(), file="") for alerts in (former, now))
    if len({*rest}) > 1:
        parts.append("the keys that hold for all of them changed")
    return f"Alerts of this reload: {'; '.join(parts)}" if parts else ""


def read_settings() -> InForce:
    """The settings of the environment and the files now; raises SettingsError."""
    settings = settings_module.load()
    return InForce(settings, secrets.load_tokens(settings))


def read_settings_again(former: InForce) -> tuple[InForce, list[str]]:
    """The new settings at a reload, and a line for each setting that waits for a restart.

    Raises SettingsError if anything is invalid; then the former settings stay.
    """
    now = read_settings()
    for name in CLOSING:
        if getattr(former.settings, name) and not getattr(now.settings, name):
            raise SettingsError(
                f"{PREFIX}{name.upper()} is not set any more; only a restart opens what it closes"
            )
    of_master = {name: getattr(former.settings, name) for name in OF_THE_MASTER}
    waiting = [
        f"{PREFIX}{name.upper()} stays {value} until a restart"
        for name, value in of_master.items()
        if value != getattr(now.settings, name)
    ]
    return InForce(replace(now.settings, **of_master), now.keyring), waiting
