"""`flask10x copy`: copy one database into another, of either engine."""

import sys
from gettext import gettext as _

import click

from flask10x.commands import translated
from flask10x.commands.options import progress
from flask10x.config import settings
from flask10x.config.settings import PREFIX, Settings
from flask10x.database.paths import url_of
from flask10x.maintenance.copying import copy, settings_of, verify
from flask10x.system.wording import amount


@translated.command()
@translated.option("--from", "source", metavar="URL", required=True, help="The database to copy.")
@translated.option(
    "--to", "target", metavar="URL", required=True, help="The database to copy into."
)
@translated.option(
    "--verify",
    "verifies",
    is_flag=True,
    help="Compare the two row for row.",
)
def command(source: str, target: str, verifies: bool) -> None:
    """Copy all that is kept from one database into another, from SQLite to PostgreSQL or back.

    URLs are written as in FLASK10X_DATABASE_URL. The source is only read, also beside a service;
    what is stored meanwhile is not copied. The target has to be empty. Delete an interrupted copy,
    and begin again.

    Exit status: 1 when --verify finds a difference.
    """
    config = settings.load()
    ends = settings_of(config, "--from", source), settings_of(config, "--to", target)
    named = {"source": url_of(ends[0]), "target": url_of(ends[1])}
    if verifies:
        sys.exit(_verify(*ends))
    last, newer = copy(*ends, progress)
    text = _("{target}: all that {source} had up to reading {id}")
    click.echo(text.format(id=last, **named))
    if newer:
        text = _("{readings} came meanwhile; stop the service, and copy into an empty database")
        click.echo(text.format(readings=amount(newer, "reading")))
    text = _("then: flask10x copy --verify --from {source} --to {target}, and {setting}={target}")
    click.echo(text.format(setting=f"{PREFIX}DATABASE_URL", **named))


def _verify(source: Settings, target: Settings) -> int:
    """Print the differences, and return the exit status."""
    compared, shown = 0, list[str]()
    for rows, difference in verify(source, target, progress):
        compared += rows
        shown += [difference] if difference else []
    for line in shown:
        click.echo(line)
    text = _("{rows} compared, {n} different")
    click.echo(text.format(rows=amount(compared, "row"), n=len(shown)))
    return 1 if shown else 0
