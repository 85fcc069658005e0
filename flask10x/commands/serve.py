"""`flask10x serve`: become the service."""

import os
import sys

from flask10x.commands import translated
from flask10x.config import secrets, settings

GUNICORN = ("-m", "gunicorn", "-c", "python:flask10x.server.gunicorn_conf")
DEVELOPMENT = ("-m", "flask10x.server.development")


@translated.command()
@translated.option("--development", is_flag=True, help="Flask's threaded server in one process.")
def command(development: bool) -> None:
    """Migrate the database and receive readings until stopped."""
    # What it says goes to the journal, as the log does.
    translated.speak_english()
    # Wrong settings are reported here, in one line, before anything is started.
    secrets.load_tokens(settings.load())
    arguments = DEVELOPMENT if development else GUNICORN
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606
