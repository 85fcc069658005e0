"""`flask10x migrate`: bring the database to this program's version."""

import sys
from gettext import gettext as _

import click

from flask10x.commands import translated
from flask10x.config import settings
from flask10x.database import schema
from flask10x.database.engine import database_path
from flask10x.database.owner import DAMAGED_STATUS, naming_the_setting
from flask10x.errors import DatabaseDamaged


@translated.command()
def command() -> None:
    """Make the database, or bring it to this program's version; `serve` does it by itself.

    Exit status: 4 when the database is damaged.
    """
    config = settings.load()
    try:
        with naming_the_setting(config):
            schema.upgrade(config)
    except DatabaseDamaged as error:
        text = _("the database is damaged: {reason}").format(reason=error)
        click.echo(f"flask10x: {text}", err=True)
        sys.exit(DAMAGED_STATUS)
    text = _("{database} is at version {version}")
    click.echo(text.format(database=database_path(config), version=schema.known()[-1]))
