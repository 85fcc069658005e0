"""`flask10x restore`: replace the database with a backup."""

from gettext import gettext as _
from pathlib import Path

import click

from flask10x.commands import translated
from flask10x.commands.options import progress, remark
from flask10x.config import settings
from flask10x.database import schema
from flask10x.database.paths import database_path
from flask10x.maintenance.restore import Restored, restore
from flask10x.system import backup_files
from flask10x.system.wording import amount


@translated.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(file: Path) -> None:
    """Replace the database with the backup FILE; the service must be stopped.

    FILE is checked first and stays where it is. What it replaces is kept beside the database.
    """
    config = settings.load()
    path = database_path(config)
    restored = restore(config, file, progress)
    text = _("{database}: restored from {file}, {rows}")
    click.echo(text.format(database=path, file=file, rows=amount(restored.contents.rows, "row")))
    if not restored.has_sum:
        text = _(
            "{file} has no SHA-256 file ({name}), so changes since it was made cannot be detected"
        )
        named = {"file": file, "name": backup_files.checksum_path(file).name}
        remark(text.format(**named))
    for line in _remarks(restored):
        click.echo(line)
    text = _(
        "The files in {folder} may now have rows that the database lacks; the export"
        " then refuses. Put back CSV files of the same time, or do what the export says."
    )
    click.echo(text.format(folder=config.csv_dir))


def _remarks(restored: Restored) -> list[str]:
    lines = []
    if restored.replaced:
        lines.append(_("The replaced database is kept: {path}").format(path=restored.replaced))
    if restored.used:
        lines.append(_("The rescued copy is kept: {path}").format(path=restored.used))
    if restored.newer:
        text = _("Readings that only the replaced one has: {n}")
        lines.append(text.format(n=restored.newer))
    if restored.contents.revision != schema.all_revisions()[-1]:
        text = _(
            "Its schema is {old}; the next start of the service brings it to {new}, or at once:"
            " flask10x migrate"
        )
        lines.append(text.format(old=restored.contents.revision, new=schema.all_revisions()[-1]))
    return lines
