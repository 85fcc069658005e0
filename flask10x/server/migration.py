"""A migration by the master of the service, which itself never opens the database."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from flask10x.config.settings import Settings
from flask10x.errors import DatabaseUnreachable, Flask10xError

# The server of the database does not answer, and its content is unknown.
UNREACHABLE_STATUS = 5


def run(settings: Settings, *, starts: bool) -> tuple[int, str]:
    """The exit status and the messages of `flask10x migrate` with these settings.

    If the server of the database does not answer, the status is 0 if the database was fit for this
    program before, else UNREACHABLE_STATUS. If the service `starts` and another host of its name
    serves the database, it is that of HostNameTaken.

    It runs in a process of its own, so that this one never had the database open; a fork starts in
    half the time of a new interpreter. The child shares the lock: if this process is killed, no
    other process migrates beside the child.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writing, sys.stderr.fileno())
        _leave_with(partial(_migrate, settings, starts))
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as pipe:
        messages = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), messages


def last_of(messages: str) -> str:
    """The text of the last message."""
    return messages.strip().rpartition("\n")[2].removeprefix("flask10x: ")


def _migrate(settings: Settings, starts: bool) -> None:
    # Imported here, because neither the master nor a worker needs these modules.
    from flask10x.commands.migrate import migrate  # noqa: PLC0415
    from flask10x.database import engines, schema  # noqa: PLC0415

    # The master logs the messages; logging must not write them to stderr, too.
    logging.getLogger("flask10x").addHandler(logging.NullHandler())
    try:
        migrate(settings)
        schema.remember_fit(settings)
        if starts:
            engines.engine_of(settings).hosts.check_name()
    except DatabaseUnreachable as error:
        sys.stderr.write(f"flask10x: {error}\n")
        if not schema.was_fit(settings):
            sys.exit(UNREACHABLE_STATUS)
    except Flask10xError as error:
        sys.stderr.write(f"flask10x: {error}\n")
        sys.exit(error.exit_status)


def _leave_with(action: Callable[[], object]) -> NoReturn:
    """End this process with the exit status of the action, without exit handlers of its parent."""
    status: str | int | None = 1
    try:
        action()
        status = 0
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1 if status else 0)
