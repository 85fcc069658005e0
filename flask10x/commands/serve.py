"""`flask10x serve`: become the service."""

import os
import sys

from flask10x.commands import language, translated
from flask10x.config import settings, tokens

GUNICORN = ("-m", "gunicorn", "-c", "python:flask10x.server.gunicorn_conf")
DEVELOPMENT = ("-m", "flask10x.server.development")


@translated.command()
@translated.option("--development", is_flag=True, help="Flask's threaded server in one process.")
def command(development: bool) -> None:
    """Migrate the database and receive readings until told to stop."""
    # What it says goes to the journal, as the log does.
    language.speak_english()
    # Wrong settings are reported here, in one line, before anything is started.
    tokens.load(settings.load())
    arguments = DEVELOPMENT if development else GUNICORN
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606
