"""`flask10x backup`: a checked copy of the database, while the service may write."""

import sys
from gettext import gettext as _
from pathlib import Path

import click

from flask10x.commands import translated
from flask10x.commands.database import already_running, say_rejected
from flask10x.commands.options import BackupFile, progress, remark
from flask10x.config import settings
from flask10x.errors import PARTLY_DONE_STATUS, BackupError, BackupRunning
from flask10x.maintenance import copy_check, earlier_backups
from flask10x.maintenance.backup import backup, copy_away, try_folder
from flask10x.maintenance.backup import whole as write_whole
from flask10x.maintenance.restore import renew
from flask10x.system import disk
from flask10x.system.wording import amount


@translated.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@translated.option(
    "--keep",
    type=click.IntRange(min=1),
    help="How many backups to keep in the folder; the oldest are deleted."
    " By default FLASK10X_BACKUP_KEEP.",
)
@translated.option(
    "--verify",
    "file",
    metavar="FILE",
    type=BackupFile(),
    help="Check this backup from its first to its last byte instead of making one.",
)
@translated.option(
    "--try",
    "tried",
    is_flag=True,
    help="Only try whether copies can go to FOLDER, by default FLASK10X_BACKUP_COPY_DIR.",
)
@translated.option(
    "--secrets",
    is_flag=True,
    help="Include the secrets of channels that you typed into the pages.",
)
@translated.option(
    "--whole",
    is_flag=True,
    help="Write one plain SQLite file to carry away; it stays until you delete it.",
)
# For a file that a browser has sent.
@click.option("--sent", is_flag=True, hidden=True)
def command(
    folder: Path | None,
    keep: int | None,
    file: Path | None,
    *,
    tried: bool,
    secrets: bool,
    whole: bool,
    sent: bool,
) -> None:
    """Back the house up into FOLDER, by default FLASK10X_BACKUP_DIR.

    A backup has the readings, stations, settings, rules and channels. The newest is a SQLite file;
    an earlier one is kept as the pages in which it differs from the next.

    Prints the file, its rows, size and the seconds it took. Exit status: 0 when the backup is
    complete, checked and on the disk, 1 when there is none, 3 when another backup is running, 4
    when it is there and could not be copied to FLASK10X_BACKUP_COPY_DIR.
    """
    config = settings.load()
    if file is not None:
        _verify(config, file, sent=sent)
        return
    if tried:
        place = folder or config.backup_copy_dir
        if place is None:
            raise BackupError(_("FLASK10X_BACKUP_COPY_DIR is not set; name a folder"))
        click.echo(try_folder(config, place.absolute()))
        return
    is_usual = folder is None
    try:
        folder = folder or config.backup_dir
        if whole:
            is_usual = False
            result = write_whole(config, folder, progress, with_secrets=secrets)
        else:
            result = backup(config, folder, keep, progress, with_secrets=secrets)
    except BackupRunning as error:
        already_running(error)
    click.echo(str(result))
    if result.secrets:
        text = _("It holds the secrets of channels ({n}): keep it where only you can read it.")
        click.echo(text.format(n=result.secrets))
    for warning in result.warnings:
        remark(warning)
    # One into a folder of your own is yours to copy.
    if is_usual:
        _copy_away(config, result.path)


def _verify(config: settings.Settings, file: Path, *, sent: bool) -> None:
    if not sent:
        with earlier_backups.whole(file, config.data_dir) as plain:
            copy_check.check_kind(plain)
            copy_check.check_complete(plain)
            with progress(_("sum"), disk.size(plain)):
                has_sum = copy_check.check_unchanged(plain, plain)
            _say_whole(file, copy_check.verify(plain, progress).rows, has_sum=has_sum)
        return
    copy_check.check_kind(file)
    # It becomes a database of ours.
    made = renew(config, file, progress)
    _say_whole(file, made.rows, has_sum=False)
    sys.exit(say_rejected(file, made.rejected, made.rejected_path))


def _copy_away(config: settings.Settings, path: Path) -> None:
    try:
        copied = copy_away(config, path)
    except BackupError as error:
        remark(_("the backup was made, and not copied: {reason}").format(reason=error))
        sys.exit(PARTLY_DONE_STATUS)
    if copied:
        click.echo(_("copied to {path}").format(path=copied))


def _say_whole(file: Path, rows: int, *, has_sum: bool) -> None:
    text = _("{file}: unchanged since it was made, and whole: {rows}")
    if not has_sum:
        text = _("{file}: whole: {rows}; it has no SHA-256 file, so changes cannot be detected")
    click.echo(text.format(file=file, rows=amount(rows, "row")))
