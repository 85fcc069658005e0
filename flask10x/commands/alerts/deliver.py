"""`flask10x alerts deliver`: send the messages that wait, and end. The service starts it."""

import logging
import os
import signal
import sys
from contextlib import closing
from gettext import gettext as _
from threading import Event

import click
from sqlalchemy.exc import DBAPIError

from flask10x.alerts.delivery.deliver import MessageDelivery
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.commands import translated
from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.database.error_codes import reason_of
from flask10x.runtime.alerting import start_delivery
from flask10x.runtime.alerting.start_delivery import lock_path
from flask10x.system import limits, logs
from flask10x.system.locks import FileLock


@translated.command("deliver", hidden=True)
@click.option("--settings-given", is_flag=True, hidden=True)
def command(settings_given: bool) -> None:
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
    with closing(FileLock(lock_path(config))) as lock:
        if not lock.try_acquire():
            return
        # A service that stops ends the process of this id, also if the worker that started it was
        # killed.
        lock.note(str(os.getpid()))
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
