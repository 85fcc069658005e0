"""`flask10x migrate`: bring the database to this program's version."""

import click

from flask10x import schema, settings


@click.command()
def command() -> None:
    """Make the database, or bring it to this program's version; `serve` does it by itself."""
    schema.upgrade(settings.load())
