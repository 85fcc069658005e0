"""`flask10x restore`: replace the database with a backup, or with Litestream's replica."""

import sys
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from gettext import gettext as _
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from flask10x.commands import translated
from flask10x.commands.database import opened_alone, say_rejected
from flask10x.commands.migrate import migrate
from flask10x.commands.options import BackupFile, progress, remark
from flask10x.config import settings
from flask10x.config.house import (
    PARTS,
    READINGS,
    House,
    check,
    fitted,
    lacking,
    names_in,
    paths,
    present,
)
from flask10x.config.settings import Settings
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import database_path
from flask10x.errors import Flask10xError
from flask10x.maintenance import copy_check, earlier_backups, replica
from flask10x.maintenance.house_copy import house_in
from flask10x.maintenance.restore import Restored, put_newer_back, restore
from flask10x.readings.times import local_text
from flask10x.runtime.setup_files import put_house
from flask10x.system import backup_files
from flask10x.system.wording import amount


@translated.command()
@click.argument(
    "file",
    required=False,
    metavar="FILE",
    type=BackupFile(),
)
@translated.option(
    "--replica",
    "url",
    is_flag=False,
    flag_value="",
    metavar="[URL]",
    help="Instead of FILE: restore from the replica that Litestream keeps, CSV files included.",
)
@translated.option(
    "--at",
    "moment",
    metavar="TIME",
    help='With --replica: the state of that time, such as "2025-08-24 09:00".',
)
@translated.option(
    "--only",
    "parts",
    multiple=True,
    type=click.Choice((READINGS, *PARTS)),
    help="Restore this part of the backup only; repeat it for several.",
)
@translated.option(
    "--show", is_flag=True, help="Show the backup beside this installation; change nothing."
)
# For the parent of the workers, which has ended them: it holds their lock. Without the readings a
# page starts it beside them.
@click.option("--by-service", is_flag=True, hidden=True)
def command(
    file: Path | None,
    url: str | None,
    moment: str | None,
    parts: tuple[str, ...],
    *,
    show: bool,
    by_service: bool,
) -> None:
    """Replace the database and the house with the backup FILE; the service must be stopped.

    FILE is checked first and stays where it is. Its rows are put into a new database; what that
    replaces is kept beside it. The stations, settings, rules and channels of the backup follow
    if you have none; --only replaces yours.

    Exit status: 4 when a file names rows that could not be taken. With --replica 1 also when a CSV
    file did not come back to the same bytes.
    """
    config = settings.load()
    if url is not None:
        if show or parts:
            raise click.UsageError(_("--only and --show go with FILE only"))
        if file is not None:
            raise click.UsageError(_("--replica and FILE cannot be combined"))
        sys.exit(_restore_replica(config, url, _at(config, moment)))
    if moment is not None:
        raise click.UsageError(_("--at goes with --replica only"))
    if file is None:
        raise click.MissingParameter(param_type="argument", param_hint="'FILE'")
    with earlier_backups.whole(file, config.data_dir) as plain:
        _restore(config, plain, parts, show=show, by_service=by_service)


def _restore(
    config: Settings, file: Path, parts: tuple[str, ...], *, show: bool, by_service: bool
) -> None:
    """Restore these parts of a plain file; without, all but what differs here."""
    copy_check.check_kind(file)
    house = fitted(config, house_in(file))
    if show:
        _show(config, file, house)
        return
    kept = [] if parts else _differing(config, house)
    parts = parts or (READINGS, *(part for part in house.files if part not in kept))
    of_house = [part for part in PARTS if part in parts]
    # Before anything is changed.
    lost = lacking(check(config, house, of_house, by_page=by_service), house) if of_house else {}
    status = 0
    if READINGS in parts:
        status = _restore_readings(config, file, house, of_house, by_service=by_service)
    else:
        _put_house(config, house, of_house, file)
    for part in kept:
        text = _(
            "{name} here differs from the one in the backup, and stays; --only {part} restores it"
        )
        click.echo(text.format(name=PARTS[part], part=part))
    for name, places in lost.items():
        text = _("Enter again, it is not in the backup: the secret of {name} ({places})")
        click.echo(text.format(name=name, places=", ".join(places)))
    sys.exit(status)


def _restore_readings(
    config: Settings, file: Path, house: House, parts: Collection[str], *, by_service: bool
) -> int:
    """Restore the database, and these parts of the house; return the exit status."""
    path = database_path(config)
    restored = restore(config, file, progress, by_service=by_service)
    text = _("{database}: restored from {file}, {rows}")
    click.echo(text.format(database=path, file=file, rows=amount(restored.contents.rows, "row")))
    if not restored.has_sum:
        text = _(
            "{file} has no SHA-256 file ({name}), so changes since it was made cannot be detected"
        )
        named = {"file": file, "name": backup_files.checksum_path(file).name}
        remark(text.format(**named))
    _say_kept(restored)
    config = _put_house(config, house, parts, file)
    if by_service and restored.replaced:
        # What was received before the backup was sent; what fails is in the kept file.
        try:
            migrate(config)
            count = put_newer_back(config, restored.replaced)
        except (DBAPIError, Flask10xError) as error:
            text = _("readings received since then are in {path} only: {reason}")
            reason = reason_of(error) if isinstance(error, DBAPIError) else str(error)
            remark(text.format(path=restored.replaced, reason=reason))
        else:
            if count:
                text = _("Received since then, and put back: {readings}")
                click.echo(text.format(readings=amount(count, "reading")))
    text = _(
        "The files in {folder} may now have rows that the database lacks; the export"
        " then refuses. Put back CSV files of the same time, or do what the export says."
    )
    click.echo(text.format(folder=config.csv_dir))
    made = restored.contents
    return say_rejected(file, made.rejected, made.rejected_path)


def _differing(config: Settings, house: House) -> list[str]:
    """Return the parts of which there is another file here.

    It may be newer than the backup: a station that was added since then is not taken away.
    """
    here = {part: present(paths(config)[PARTS[part]]) for part in house.files}
    return [part for part, data in here.items() if data not in (None, house.files[part])]


def _put_house(config: Settings, house: House, parts: Collection[str], file: Path) -> Settings:
    """Put these parts of the house in place; return the settings from then on."""
    for path, is_kept in put_house(config, house, parts, file.name):
        text = _("{path}: restored; {former} is the file that was there")
        if not is_kept:
            text = _("{path}: restored")
        click.echo(text.format(path=path, former=f"{path.name}.before"))
    return settings.load()


def _show(config: Settings, file: Path, house: House) -> None:
    """Print each part of the backup beside this installation's."""
    rows = amount(copy_check.verify(file, progress).rows, "row")
    click.echo(_("{file}: whole: {rows}").format(file=file, rows=rows))
    for part, name in PARTS.items():
        there, here = house.files.get(part), present(paths(config)[name])
        text = _("{name}: not in the backup, so the file here stays")
        if there is not None:
            text = _("{name} in the backup: {there}; here: {here}")
        if there == here is not None:
            text = _("{name}: the same in the backup and here")
        named = {
            key: ", ".join(names_in(part, data)) or _("nothing")
            for key, data in (("there", there), ("here", here))
        }
        click.echo(text.format(name=name, **named))


def _say_kept(restored: Restored) -> None:
    if restored.replaced:
        click.echo(_("The replaced database is kept: {path}").format(path=restored.replaced))
    if restored.used:
        click.echo(_("The rescued copy is kept: {path}").format(path=restored.used))
    if restored.newer:
        click.echo(_("Readings that only the replaced one has: {n}").format(n=restored.newer))


def _at(config: Settings, moment: str | None) -> str:
    """Return the time as Litestream reads it; empty: the newest."""
    if moment is None:
        return ""
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        text = _('a time such as "2025-08-24 09:00" or "2025-08-24 09:00+09:00" is needed')
        raise click.BadParameter(text, param_hint="--at") from None
    # Without an offset it is a time of the service's zone, or of the system's.
    local = time if time.tzinfo else time.replace(tzinfo=config.zone)
    return local.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _restore_replica(config: Settings, url: str, moment: str) -> int:
    """Restore the replica and the CSV files; return the exit status."""
    with replica.fetched(config, url, moment) as file:
        restored = restore(config, file, progress)
    text = _("{database}: restored from the replica, {rows}")
    rows = amount(restored.contents.rows, "row")
    click.echo(text.format(database=database_path(config), rows=rows))
    # With the columns of all stations: the CSV files are made from it.
    migrate(config)
    _say_kept(restored)
    running = _("an export or an import is running; the CSV files were not rebuilt")
    config = replace(config, synchronous="FULL")
    with opened_alone(config, lock="export", running=running) as database:
        files = replica.restore_files(config, database, progress)
    if files.newest_ms is not None:
        time = local_text(files.newest_ms, config.zone)
        click.echo(_("The newest reading is of {time}").format(time=time))
    for outcome in files.outcomes:
        click.echo(str(outcome), err=outcome.failed)
    if files.unknown:
        text = _(
            "there are readings of {endpoints}, which stations.toml does not define: put its copy"
            " into {folder}, then: flask10x migrate && flask10x export --rebuild"
        )
        endpoints = ", ".join(f"/{endpoint}" for endpoint in files.unknown)
        remark(text.format(endpoints=endpoints, folder=config.data_dir))
    if files.archived:
        text = _("archived CSV files are missing; put back your copies: {paths}")
        remark(text.format(paths=", ".join(files.archived)))
    made = restored.contents
    status = say_rejected(Path(file.name), made.rejected, made.rejected_path)
    return 1 if any(outcome.failed for outcome in files.outcomes) else status
