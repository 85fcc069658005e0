"""`flask10x serve`: become the service."""

import os
import sys

from flask10x.commands import translated
from flask10x.config import secrets, settings
from flask10x.database import engines
from flask10x.database.running_service import hold_database

GUNICORN = ("-m", "gunicorn", "-c", "python:flask10x.server.gunicorn_conf")
DEVELOPMENT = ("-m", "flask10x.server.development")


@translated.command()
@translated.option("--development", is_flag=True, help="Flask's threaded server in one process.")
def command(development: bool) -> None:
    """Migrate the database and receive readings until stopped."""
    is_on_terminal = sys.stderr.isatty()
    if not is_on_terminal:
        # What it says goes to the journal, as the log does.
        translated.speak_english()
    # Wrong settings are reported here, in one line, before anything is started.
    config = settings.load()
    secrets.load_tokens(config)
    # The service itself speaks English, so a second one is refused here in the language of its
    # reader. It looks again.
    if is_on_terminal and not engines.engine_of(config).missing():
        hold_database(config).close()
    arguments = DEVELOPMENT if development else GUNICORN
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606
