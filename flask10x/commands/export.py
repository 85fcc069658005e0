"""`flask10x export` and `scripts/export_csv.py`: append new readings to the CSV files."""

import sys

import click

from flask10x import settings
from flask10x.errors import SchemaError
from flask10x.export import export
from flask10x.locks import FileLock, lock_path
from flask10x.sqlite import Database, database_path

# Two exports at once would write the same rows; this status tells cron's mail which it was.
ALREADY_RUNNING_STATUS = 3


@click.command()
def command() -> None:
    """Append each station's new readings to its CSV file, and say so in a line a file.

    Exit status: 0 when every file is up to date, 1 when one is not, 3 when another export runs.
    """
    sys.exit(run())


def run() -> int:
    """Export with the settings of the environment; the exit status."""
    config = settings.load()
    path = database_path(config)
    if not path.exists():
        raise SchemaError(f"there is no database {path}; start the service, or run: migrate")
    lock = FileLock(lock_path(path, "export"))
    if not lock.try_acquire():
        click.echo("flask10x: another export is running; this one did nothing", err=True)
        return ALREADY_RUNNING_STATUS
    database = Database(config)
    try:
        outcomes = export(config, database)
    finally:
        database.close()
        lock.close()
    for outcome in outcomes:
        click.echo(str(outcome), err=bool(outcome.error))
    return 1 if any(outcome.error for outcome in outcomes) else 0
