"""`flask10x verify`: compare all copies of the readings, and repair what is wrong."""

import sys
from dataclasses import replace
from gettext import gettext as _

import click

from flask10x.commands import translated
from flask10x.commands.database import database_errors, opened_alone
from flask10x.commands.options import progress
from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.database.verified import Result
from flask10x.maintenance.verify.run import verify
from flask10x.maintenance.verify.wording import Words
from flask10x.system.wording import amount
from flask10x.translation import chosen

SHOWN_DIFFERENCES = 50


@translated.command()
@translated.option("--repair", is_flag=True, help="Put back what is wrong, after a copy.")
@translated.option(
    "--accept",
    "accepted",
    is_flag=True,
    help="The readings named behind it are right as the table has them.",
)
@click.argument("ids", nargs=-1, type=click.IntRange(min=1), metavar="[ID]...")
def command(repair: bool, accepted: bool, ids: tuple[int, ...]) -> None:
    """Compare table, hourly totals, CSV files and backups, and say which copy is wrong.

    Can be run while the service runs.

    Exit status: 0 when nothing is wrong any more, 1 when something is, 3 when another one runs.
    """
    if accepted != bool(ids):
        raise click.UsageError(_("--accept takes the ids of readings: --accept 48123 48124"))
    if accepted and repair:
        raise click.UsageError(_("--repair and --accept do not go together"))
    # FULL also where the service uses less: a repair must outlast a power cut.
    config = replace(settings.load(), synchronous="FULL")
    running = _("another verify is running; this one did nothing")
    with opened_alone(config, lock="verify", running=running) as database, database_errors():
        result = verify(config, database, repairs=repair, accepted=ids, bar=progress)
    _say(config, result)
    sys.exit(1 if result.open else 0)


def _say(config: Settings, result: Result) -> None:
    words = Words(config, chosen())
    for difference in result.differences[:SHOWN_DIFFERENCES]:
        click.echo(words.difference(difference))
    for endpoint, reason in result.left_out.items():
        click.echo(words.left_out(endpoint, reason))
    if (more := len(result.differences) - SHOWN_DIFFERENCES) > 0:
        click.echo(_("and {n} more; the log has them").format(n=more))
    text = _("{readings}, {lines}, {hours} hours and days, {backup}: {n} different, {m} repaired")
    backup = _("{readings} of {path}") if result.backup else _("no backup")
    of_backup = amount(result.backup_readings, "reading")
    click.echo(
        text.format(
            readings=amount(result.readings, "reading"),
            lines=amount(result.lines, "line"),
            hours=result.hours,
            backup=backup.format(readings=of_backup, path=result.backup),
            n=len(result.differences),
            m=len(result.differences) - len(result.open),
        )
    )
    if any(
        {*each.wrong} - {"backup"}
        for each in result.open
        if each.kind != "lost" and (each.kind != "file" or each.right)
    ):
        click.echo(_("to put back what is wrong: flask10x verify --repair"))
