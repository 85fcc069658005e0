"""`flask10x backup`: a checked copy of the database, while the service may write."""

from pathlib import Path

import click

from flask10x.commands import translated
from flask10x.commands.database import already_running
from flask10x.commands.options import progress, remark
from flask10x.config import settings
from flask10x.errors import BackupRunning
from flask10x.maintenance.backup import DEFAULT_KEEP, backup


@translated.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@translated.option(
    "--keep",
    type=click.IntRange(min=1),
    default=DEFAULT_KEEP,
    show_default=True,
    help="How many backups to keep in the folder; the oldest are deleted.",
)
def command(folder: Path | None, keep: int) -> None:
    """Back the database up into FOLDER, by default FLASK10X_BACKUP_DIR.

    Prints the file, its rows, size and the seconds it took. Exit status: 0 when the backup is
    complete, checked and on the disk, 1 when there is none, 3 when another backup is running.
    """
    config = settings.load()
    try:
        result = backup(config, folder or config.backup_dir, keep, progress)
    except BackupRunning as error:
        already_running(error)
    click.echo(str(result))
    for warning in result.warnings:
        remark(warning)
