"""What of `alerts.toml` is no mistake in the file, and yet no message will come."""

import os
from collections.abc import Iterator
from gettext import gettext as _
from importlib.util import find_spec
from pathlib import Path

from flask10x.config import secret_files
from flask10x.config.alerts.rules import Alerts, Apprise, Command, Way, Webhook
from flask10x.errors import SettingsError


def warnings(alerts: Alerts) -> Iterator[str]:
    """A line each; they hold for the user who runs this."""
    for way in alerts.ways:
        for reason in _of(way):
            yield f"[ways.{way.name}] {reason}"
    if not alerts.ways:
        yield _("there is no way, so nobody is told: alerts are only shown on the page /alerts")
    elif not alerts.base_url:
        yield _("there is no base_url, so messages have no link to the chart")


def _of(way: Way) -> Iterator[str]:
    match way:
        case Webhook():
            if way.secret_file:
                yield from _unreadable("secret_file", way.secret_file)
        case Command():
            program = way.arguments[0]
            if not Path(program).is_file():
                yield _("command: there is no program {path}").format(path=program)
            elif not os.access(program, os.X_OK):
                yield _("command: {path} can't be run").format(path=program)
        case Apprise():
            yield from _unreadable("urls_file", way.urls_file)
            if find_spec("apprise") is None:
                yield _("kind: Apprise is not installed: docs/en/howto/alerts.md says how")


def _unreadable(key: str, named: str) -> Iterator[str]:
    try:
        secret_files.read(f"{key} {named}", named)
    except SettingsError as error:
        yield str(error)
