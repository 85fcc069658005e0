"""`flask10x datasette`: what Datasette is told of the database."""

import json

import click

from flask10x.commands import language, translated
from flask10x.config import settings
from flask10x.maintenance import datasette


@click.command(cls=translated.TranslatedCommand)
def command() -> None:
    """Write a metadata file for Datasette: names and units of columns, and what to hide."""
    found = datasette.metadata(settings.load(), japanese=language.speaks_japanese())
    click.echo(json.dumps(found, ensure_ascii=False, indent=2))
