"""`flask10x datasette`: the metadata of the database for Datasette."""

import json
from gettext import gettext as _

import click

from flask10x.commands import translated
from flask10x.config import settings
from flask10x.database import engines
from flask10x.errors import SettingsError
from flask10x.maintenance import datasette


@translated.command()
def command() -> None:
    """Write a metadata file for Datasette: names and units of columns, and what to hide."""
    config = settings.load()
    if not engines.engine_of(config).is_file:
        text = _("Datasette opens a file of SQLite: let it open a backup (flask10x backup)")
        raise SettingsError(text)
    metadata = datasette.metadata(config)
    click.echo(json.dumps(metadata, ensure_ascii=False, indent=2))
