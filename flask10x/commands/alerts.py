"""`flask10x alerts`: the file of alerts, test messages, and the process that sends messages."""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from gettext import gettext as _
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import click
from sqlalchemy.exc import DBAPIError

from flask10x.alerts.delivery.deliver import MessageDelivery
from flask10x.alerts.delivery.jobs import send_test
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.alerts.subjects import sentence
from flask10x.alerts.words import trouble_in
from flask10x.commands import translated
from flask10x.commands.options import check_names, renamed
from flask10x.config import secrets, settings
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts import rules
from flask10x.config.settings import Settings
from flask10x.database.error_codes import reason_of
from flask10x.errors import AlertsError, SettingsError
from flask10x.readings.stations import Stations
from flask10x.runtime.alerting import start_delivery
from flask10x.system import limits, logs, own_files
from flask10x.system.locks import FileLock
from flask10x.system.wording import escape
from flask10x.translation import chosen


@click.group(cls=translated.TranslatedGroup)
def command() -> None:
    """Alerts and their messages: the file alerts.toml.

    FLASK10X_ALERTS says where it is.
    """


@translated.command("init")
def init_command() -> None:
    """Write the file, with a description of each key; it changes nothing until it is edited.

    An existing file is never changed.
    """
    path = settings.alerts_path()
    own_files.make(path, alert_file.example_in(chosen().language))
    click.echo(_("{path} was written").format(path=path))


@translated.command("check")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def check_command(file: Path | None) -> None:
    """Check the file and list what is on; FILE replaces the one in use.

    Other problems, such as a secret that can't be read, are warnings.

    Exit status: 1 when it has mistakes, which are shown with their lines.
    """
    path = file.absolute() if file else settings.alerts_path()
    stations = settings.load(alerts=rules.DEFAULT).stations
    text = _("{path}: no mistake; rules: {rules}, channels: {channels}")
    try:
        alerts = alert_file.load(path, stations)
    except (FileNotFoundError, NotADirectoryError):
        if file:
            raise SettingsError(_("there is no file {path}").format(path=path)) from None
        alerts = rules.DEFAULT
        text = _(
            "{path}: no such file, so the defaults apply; rules: {rules}, channels: {channels}"
        )
    except AlertsError as error:
        click.echo("\n".join(error.mistakes), err=True)
        sys.exit(1)
    click.echo(text.format(path=path, rules=len(alerts.rules), channels=len(alerts.channels)))
    _show(alerts, stations)
    if off := [kind for kind in rules.KINDS if kind not in {rule.kind for rule in alerts.rules}]:
        click.echo(_("not on: {kinds}").format(kinds=", ".join(off)))
    text = _("reminder: while an alert lasts, after {span}")
    click.echo(text.format(span=chosen().exactly(alerts.reminder_after_sec)))
    if hours := alerts.quiet_hours:
        text = _("quiet hours: {start} to {end}, but not for {rules}")
        if not hours.urgent:
            text = _("quiet hours: {start} to {end}")
        start, end = (f"{at:%H:%M}" for at in (hours.start, hours.end))
        click.echo(text.format(start=start, end=end, rules=", ".join(hours.urgent)))
    for warning in _warnings(alerts):
        click.echo(_("warning: {text}").format(text=warning), err=True)


@translated.command("list")
def list_command() -> None:
    """Show each rule that is on and each channel, a line each in plain words."""
    config = settings.load()
    _show(config.alerts, config.stations)


def _show(alerts: rules.Alerts, stations: Stations) -> None:
    """Print a line of each rule and each channel.

    `rule stuffy: Bedroom CO₂ above 1500 ppm; ends at 1200 ppm; sent by phone only`,
    `channel phone: by Apprise, its URLs in /etc/flask10x/urls; in Japanese; 20 a day at most`.
    """
    for rule in alerts.rules:
        parts = [sentence(rule, stations, chosen())]
        if rule.channels:
            parts.append(_("sent by {channels} only").format(channels=", ".join(rule.channels)))
        if rule in rules.DEFAULT.rules:
            parts.append(_("on by default"))
        click.echo(_("rule {line}").format(line=f"{rule.name}: {'; '.join(parts)}"))
    languages = {"ja": _("in Japanese"), "en": _("in English")}
    for channel in alerts.channels:
        daily = _("{n} a day at most").format(n=channel.daily_max or alerts.daily_max)
        language = languages[channel.language or alerts.language]
        line = f"{channel.name}: {_channel(channel)}; {language}; {daily}"
        click.echo(_("channel {line}").format(line=line))


def _channel(channel: rules.Channel) -> str:
    match channel:
        case rules.Webhook():
            url = channel.url or _("the address in {file}").format(file=channel.url_file)
            if not channel.secret_file:
                return _("JSON to {url}, not signed").format(url=url)
            text = _("JSON to {url}, signed with the secret in {file}")
            return text.format(url=url, file=channel.secret_file)
        case rules.Ntfy():
            url = channel.url or _("the address in {file}").format(file=channel.url_file)
            return _("by ntfy to {url}").format(url=url)
        case rules.Command():
            return _("the program {command}").format(command=escape(" ".join(channel.arguments)))
        case rules.Apprise():
            return _("by Apprise, its URLs in {file}").format(file=channel.urls_file)


@translated.command("test")
@translated.option("--channel", "names", multiple=True, metavar="NAME", help="Only this channel.")
@click.option("--way", "former_names", multiple=True, hidden=True)
def test_command(names: tuple[str, ...], former_names: tuple[str, ...]) -> None:
    """Send a test message to each channel of alerts.toml, at once, and show the result.

    Quiet hours, the daily limit and waiting messages do not count. Exit status: 1 when one failed.
    """
    if former_names:
        renamed("--way", "--channel")
        names += former_names
    config = settings.load()
    channels = {channel.name: channel for channel in config.alerts.channels}
    if not channels:
        raise click.ClickException(_("alerts.toml has no channel for messages"))
    check_names("--channel", names, channels)
    chosen = [channel for name, channel in channels.items() if name in (names or channels)]
    with ThreadPoolExecutor(len(chosen)) as threads:
        results = threads.map(partial(send_test, config), chosen)
        try:
            have_failed = [*map(_report, chosen, results)]
        except KeyboardInterrupt:
            # Ctrl+C does not wait for the tries, which end by their own time limits.
            os._exit(1)
    sys.exit(1 if any(have_failed) else 0)


def _report(channel: rules.Channel, results: Sequence[str]) -> bool:
    """Print what became of a test; whether one of its receivers has not got it."""
    troubles = [*filter(None, results)]
    if not troubles:
        click.echo(_("{channel}: sent").format(channel=channel.name))
        return False
    spoken = trouble_in(chosen().language, troubles[0])
    text = _("{channel}: not sent: {reason}")
    if len(results) > 1:
        text = _("{channel}: not sent to {n} of {all}: {reason}")
    shown = text.format(channel=channel.name, n=len(troubles), all=len(results), reason=spoken)
    click.echo(shown, err=True)
    return True


def _warnings(alerts: rules.Alerts) -> Iterator[str]:
    """What is no mistake in the file, but keeps messages back or will not be read for ever."""
    for former, name in alerts.former_names.items():
        yield _("{former} is called {name} now").format(former=former, name=name)
    for channel in alerts.channels:
        for reason in _warnings_of(channel):
            yield f"[channels.{channel.name}] {reason}"
    if not alerts.channels:
        yield _(
            "there is no channel, so no message is sent: alerts are only shown on the page /alerts"
        )
    elif not alerts.base_url:
        yield _("there is no base_url, so messages have no link to the chart")


def _warnings_of(channel: rules.Channel) -> Iterator[str]:
    match channel:
        case rules.Webhook():
            yield from _unreadable("url_file", channel.url_file)
            yield from _unreadable("secret_file", channel.secret_file)
        case rules.Ntfy():
            yield from _unreadable("url_file", channel.url_file)
            yield from _unreadable("token_file", channel.token_file)
        case rules.Command():
            program = channel.arguments[0]
            if not Path(program).is_file():
                yield _("command: there is no program {path}").format(path=program)
            elif not os.access(program, os.X_OK):
                yield _("command: {path} can't be run").format(path=program)
        case rules.Apprise():
            yield from _unreadable("urls_file", channel.urls_file)
            if find_spec("apprise") is None:
                yield _("kind: Apprise is not installed: docs/en/howto/alerts.md says how")


def _unreadable(key: str, named: str) -> Iterator[str]:
    """Why the secret file that a key names can't be read; nothing without one."""
    if not named:
        return
    try:
        secrets.read_secret(f"{key} {named}", named)
    except SettingsError as error:
        yield str(error)


@translated.command("deliver", hidden=True)
@click.option("--settings-given", is_flag=True, hidden=True)
def deliver_command(settings_given: bool) -> None:
    """Send the messages that are due, and end. The service starts it by itself.

    Does nothing while another one runs.
    """
    # Its messages go to the journal, like the log.
    translated.speak_english()
    # Readings have priority over messages.
    limits.give_way()
    limits.end_first()
    config = start_delivery.unpacked(sys.stdin.buffer) if settings_given else None
    config = config or settings.load()
    path = path_of(config)
    if not path.exists():
        return
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with closing(FileLock(start_delivery.lock_path(config))) as lock:
        if not lock.try_acquire():
            return
        with closing(StateFile(path)) as state:
            delivery = MessageDelivery(config, state, lambda level, text: _say(config, level, text))
            try:
                delivery.run(stop.is_set)
            except DBAPIError as error:
                reason = _("the state of alerts cannot be used: {reason}")
                raise click.ClickException(reason.format(reason=reason_of(error))) from error


def _say(config: Settings, level: int, text: str) -> None:
    logs.write_line(config, level, text)
    if level >= logging.WARNING:
        sys.stderr.write(f"flask10x: {text}\n")


for subcommand in (init_command, check_command, list_command, test_command, deliver_command):
    command.add_command(subcommand)
