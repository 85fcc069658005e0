"""`flask10x serve`: become the service."""

import os
import sys

import click

from flask10x.config import settings, tokens

GUNICORN = ("-m", "gunicorn", "-c", "python:flask10x.server.gunicorn_conf")
DEVELOPMENT = ("-m", "flask10x.server.development")


@click.command()
@click.option("--development", is_flag=True, help="Flask's threaded server in one process.")
def command(development: bool) -> None:
    """Migrate the database and receive readings until told to stop."""
    # Wrong settings are reported here, in one line, before anything is started.
    tokens.load(settings.load())
    arguments = DEVELOPMENT if development else GUNICORN
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606
