"""`flask10x migrate`: bring the database to this program's version."""

import sys
from gettext import gettext as _

import click

from flask10x.commands import translated
from flask10x.commands.options import remark
from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.paths import shown_name
from flask10x.database.running_service import DAMAGED_STATUS, naming_the_setting
from flask10x.errors import DatabaseDamaged


@translated.command()
@translated.option("--new", is_flag=True, help="Make a new one where there was one before.")
@translated.option(
    "--back-to",
    metavar="VERSION",
    help="Back to this version of the database, for an older Flask10X; stop the service first.",
)
def command(new: bool, back_to: str | None) -> None:
    """Make the database, or bring it to this program's version; `serve` does it by itself.

    Where there was a database and is none now, its disk may not be mounted: then only --new makes
    one. A database that is there is never replaced. Exit status: 4 when the database is damaged.
    """
    config = settings.load()
    if back_to is not None:
        schema.downgrade(config, back_to)
        text = _("{database} is at version {version}")
        click.echo(text.format(database=shown_name(config), version=back_to))
        return
    if added := migrate(config, new=new):
        text = _("columns added for the stations: {columns}")
        click.echo(text.format(columns=", ".join(added)))
    text = _("{database} is at version {version}")
    click.echo(text.format(database=shown_name(config), version=schema.all_revisions()[-1]))


def migrate(config: Settings, *, new: bool = False) -> list[str]:
    """Migrate, and renew the markers by which a missing database is noticed.

    Returns the columns that were added for the stations. Ends the process with DAMAGED_STATUS when
    the database is damaged; raises Flask10xError.
    """
    try:
        with naming_the_setting(config):
            added = schema.upgrade(config, new=new)
    except DatabaseDamaged as error:
        remark(_("the database is damaged: {reason}").format(reason=error))
        sys.exit(DAMAGED_STATUS)
    if not engines.engine_of(config).remember():
        remark(
            _(
                "nothing outside the data notes that there is a database, so a disk that is not"
                " mounted would look like a first start: renew the unit, or set XDG_STATE_HOME to a"
                " folder on another disk"
            )
        )
    return added
