"""`flask10x restore`: go back to a backup."""

from pathlib import Path

import click

from flask10x.commands.options import progress
from flask10x.config import settings
from flask10x.database import schema
from flask10x.database.engine import database_path
from flask10x.maintenance.restore import Restored, restore
from flask10x.system.wording import amount


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(file: Path) -> None:
    """Put FILE, a backup, in the place of the database; the service must be stopped.

    FILE is checked first and stays where it is. What it replaces is kept beside the database.
    """
    config = settings.load()
    path = database_path(config)
    done = restore(config, file, progress)
    click.echo(f"{path}: restored from {file}, {amount(done.contents.rows, 'row')}")
    for line in _remarks(done):
        click.echo(line)
    click.echo(
        f"The files in {config.csv_dir} may now have rows that the database lacks; the export"
        " then refuses. Put back CSV files of the same time, or do what the export says."
    )


def _remarks(done: Restored) -> list[str]:
    lines = []
    if done.kept:
        lines.append(f"The replaced database is kept: {done.kept}")
    if done.newer:
        lines.append(f"Readings that only the replaced one has: {done.newer}")
    if done.contents.revision != schema.known()[-1]:
        lines.append(
            f"Its schema is {done.contents.revision}; the next start of the service brings it to"
            f" {schema.known()[-1]}, or at once: flask10x migrate"
        )
    return lines
