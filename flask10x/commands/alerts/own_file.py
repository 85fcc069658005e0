"""`flask10x alerts init|check|list`: the file of alerts."""

import sys
from gettext import gettext as _
from pathlib import Path

import click

from flask10x.commands import language, translated
from flask10x.commands.alerts.warnings import warnings
from flask10x.commands.alerts.words import other_lines, rule_line, way_line
from flask10x.config import settings
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts import text
from flask10x.config.alerts.keys import KINDS
from flask10x.config.alerts.rules import DEFAULT, Alerts
from flask10x.errors import AlertsError, SettingsError
from flask10x.maintenance import own_files
from flask10x.readings.stations import Stations


@translated.command("init")
def init_command() -> None:
    """Write the file, with what each key is for; until it is edited it changes nothing.

    A file that is there already is never changed.
    """
    path = settings.alerts_path()
    own_files.make(path, text.text_in("ja" if language.speaks_japanese() else "en"))
    click.echo(_("{path} was written").format(path=path))


@translated.command("check")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def check_command(file: Path | None) -> None:
    """Look the file over, and say what is on; FILE stands for the one in use.

    What is no mistake in the file, such as a secret that can't be read, is a warning.

    Exit status: 1 when there is a mistake in it, which is said with its line.
    """
    path = file.absolute() if file else settings.alerts_path()
    stations = settings.load(alerts=DEFAULT).stations
    try:
        alerts = _alerts_of(path, stations, needed=file is not None)
    except AlertsError as error:
        click.echo("\n".join(error.mistakes), err=True)
        sys.exit(1)
    if alerts.file:
        said = _("{path}: no mistake; rules: {rules}, ways: {ways}")
    else:
        said = _("{path}: there is no such file, which is no mistake; rules: {rules}, ways: {ways}")
    click.echo(said.format(path=path, rules=len(alerts.rules), ways=len(alerts.ways)))
    _show(alerts, stations)
    if off := [kind for kind in KINDS if kind not in {rule.kind for rule in alerts.rules}]:
        click.echo(_("not on: {kinds}").format(kinds=", ".join(off)))
    for line in other_lines(alerts):
        click.echo(line)
    for warning in warnings(alerts):
        click.echo(_("warning: {text}").format(text=warning), err=True)


def _alerts_of(path: Path, stations: Stations, *, needed: bool) -> Alerts:
    try:
        return alert_file.load(path, stations)
    except (FileNotFoundError, NotADirectoryError):
        if needed:
            raise SettingsError(_("there is no file {path}").format(path=path)) from None
        return DEFAULT


@translated.command("list")
def list_command() -> None:
    """Show each rule that is on and each way, a line each in plain words."""
    config = settings.load()
    _show(config.alerts, config.stations)


def _show(alerts: Alerts, stations: Stations) -> None:
    for rule in alerts.rules:
        click.echo(_("rule {line}").format(line=rule_line(rule, stations)))
    for way in alerts.ways:
        click.echo(_("way {line}").format(line=way_line(way, alerts)))
