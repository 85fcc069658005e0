"""`flask10x stations`: the file of stations, made, checked and extended."""

import json
import shlex
import sys
from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from typing import BinaryIO

import click

from flask10x.commands import translated
from flask10x.commands.database import database_errors
from flask10x.commands.options import renamed
from flask10x.config import (
    settings,
    station_file,
    station_keys,
    station_proposal,
    station_text,
)
from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.paths import shown_name
from flask10x.errors import SettingsError, StationsError
from flask10x.maintenance import station_changes
from flask10x.readings.parse import BODY_MAX_BYTES, InvalidBody, decode
from flask10x.readings.reasons import in_language
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.recording import rejected
from flask10x.system import own_files
from flask10x.system.wording import amount, escape
from flask10x.translation import chosen

# A longer body is not shown as a command line.
SHOWN_BODY_CHARS = 500
CURL = ("curl", "-s", "-H", "Content-Type: application/json", "-d")


@translated.command("add")
@click.argument("endpoint", required=False)
@translated.option(
    "--from-json",
    "example",
    type=click.File("rb"),
    metavar="FILE",
    help="A file with one body as the board sends it; - is standard input.",
)
@translated.option(
    "--from-rejected", is_flag=True, help="The last body that came to a path without a station."
)
@click.option("--from-refused", is_flag=True, hidden=True)
@translated.option("--yes", is_flag=True, help="Add what is proposed without asking.")
def add_command(
    endpoint: str | None,
    example: BinaryIO | None,
    from_rejected: bool,
    from_refused: bool,
    yes: bool,
) -> None:
    """Add a station to the file: its path is /ENDPOINT.

    Its measurements come from an example of its body: a file, or a reading that the service has
    rejected. Existing entries are not changed.
    """
    path = settings.stations_path()
    stations = _stations_of(path)
    config = settings.load(stations=stations)
    if from_refused:
        renamed("--from-refused", "--from-rejected")
        from_rejected = True
    if example and from_rejected:
        raise click.UsageError(_("--from-json and --from-rejected do not go together"))
    if endpoint is not None:
        _check(endpoint := endpoint.removeprefix("/"), stations)
    if endpoint is None and (example or not (from_rejected or yes)):
        raise click.UsageError(_("its path is missing: flask10x stations add ENDPOINT"))
    if example and endpoint:
        body = _object(example.read(BODY_MAX_BYTES + 1))
    else:
        endpoint, body = _rejected(config, endpoint)
    proposal = station_proposal.propose(endpoint, body, stations)
    if not proposal.station.measurements:
        raise click.ClickException(_("there is no number in the body"))
    _add(path, proposal, is_asked=not yes, is_input_taken=example is sys.stdin.buffer)
    for line in station_changes.add_columns(settings.load(stations=station_file.load(path))):
        click.echo(line)
    _say_what_is_next(config, endpoint, body)


def _rejected(config: Settings, endpoint: str | None) -> tuple[str, Mapping[str, object]]:
    """Return path and body of the newest rejected reading, of any path where none is named.

    Raises ClickException where there is none.
    """
    newest, engine_of_config = None, engines.engine_of(config)
    if engine_of_config.may_be_there():
        with database_errors(), engine_of_config.reader() as engine, engine.connect() as connection:
            schema.require_newest(config, connection)
            newest = (
                rejected.latest(connection, endpoint)
                if endpoint
                else rejected.latest_of_no_station(connection, config.stations.by_endpoint)
            )
    if newest is not None:
        return newest.endpoint, _object(newest.body)
    if endpoint is None:
        raise click.ClickException(_("no body is kept that came to a path without a station"))
    # A worker stores rejected readings every 5 s.
    text = _(
        "{path} has no body that came to /{endpoint}: post one and wait 5 s, or give an example by"
        " --from-json"
    )
    raise click.ClickException(text.format(endpoint=endpoint, path=shown_name(config)))


def _object(raw: bytes) -> Mapping[str, object]:
    """Decode the body; of an item of a batch only the object of its measurements."""
    try:
        body = decode(raw)
    except InvalidBody as error:
        reason = _("the example: {reason}").format(reason=in_language(error.hint, chosen()))
        raise click.ClickException(reason) from None
    return station_proposal.example_of(body)


def _check(endpoint: str, stations: Stations) -> None:
    """Raise click.BadParameter for a path that a new station can't have."""
    if not station_keys.ENDPOINT.fullmatch(endpoint):
        reason = chosen()(station_keys.ENDPOINT_NEEDED)
    elif endpoint in station_keys.RESERVED_ENDPOINTS:
        reason = _("/{name} is an address of the service").format(name=endpoint)
    elif endpoint in stations.by_endpoint:
        text = _("there is a station {name} already; its entry can be changed in the file")
        reason = text.format(name=endpoint)
    else:
        return
    raise click.BadParameter(reason, param_hint="ENDPOINT")


def _add(
    path: Path, proposal: station_proposal.Proposal, *, is_asked: bool, is_input_taken: bool
) -> None:
    """Show the entry and add it to the file, after asking."""
    written, former = station_changes.with_station(path, proposal.station)
    click.echo(station_text.entry(proposal.station))
    for name, reason in proposal.left_out:
        text = _("left out: {name}: {reason}").format(name=escape(name), reason=reason)
        click.echo(text, err=True)
    if is_asked and is_input_taken:
        raise click.ClickException(_("nothing was added; to add this, give --yes too"))
    if is_asked and not click.confirm(_("Add it to {path}?").format(path=path), default=True):
        raise click.ClickException(_("nothing was added"))
    own_files.replace(path, written, former)
    click.echo(_("{path}: added").format(path=path))


def _say_what_is_next(config: Settings, endpoint: str, body: Mapping[str, object]) -> None:
    text = _("Restart the service to apply it, or run: {command}")
    click.echo(text.format(command="sudo systemctl reload flask10x"))
    written = json.dumps(body, ensure_ascii=False)
    host, _colon, port = config.bind.rpartition(":")
    if len(written) <= SHOWN_BODY_CHARS and host != "unix":
        click.echo(_("Then it can be tried; this stores nothing:"))
        url = f"http://localhost:{port}/{endpoint}?dry_run=1"
        click.echo(f"  {shlex.join((*CURL, escape(written), url))}")


@click.group(cls=translated.TranslatedGroup)
def command() -> None:
    """Add stations without changing the program: the file stations.toml.

    FLASK10X_STATIONS says where it is.
    """


@command.command("init")
def init_command() -> None:
    """Write the file, with the built-in stations and a description of each key.

    An existing file is never changed.
    """
    path = settings.stations_path()
    station_changes.make_file(path)
    click.echo(_("{path} was written").format(path=path))


@command.command("check")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def check_command(file: Path | None) -> None:
    """Check the file and list what it would change; FILE replaces the one in use.

    Exit status: 1 when it has mistakes, which are shown with their lines.
    """
    path = file.absolute() if file else settings.stations_path()
    try:
        stations = _stations_of(path, needed=file is not None)
    except StationsError as error:
        click.echo("\n".join(error.mistakes), err=True)
        sys.exit(1)
    config = settings.load(stations=stations)
    added = len(stations.all) - len(BUILT_IN.all)
    text = _("{path}: no mistake; {stations}, {added} of them added")
    click.echo(text.format(path=path, stations=amount(len(stations.all), "station"), added=added))
    for line in (*station_file.formula_headings(stations), *station_changes.changes(config)):
        click.echo(line)


def _stations_of(path: Path, *, needed: bool = False) -> Stations:
    try:
        return station_file.load(path)
    except FileNotFoundError:
        if needed:
            raise SettingsError(_("there is no file {path}").format(path=path)) from None
        return BUILT_IN


@command.command("list")
def list_command() -> None:
    """Show each station, a line each: path, name, CSV file and columns with their units."""
    for station in settings.load().stations.all:
        columns = (f"{m.column} {m.unit}".rstrip() for m in station.measurements)
        where = f"/{station.endpoint}  {station.label}  {station.csv_name}"
        click.echo(f"{where}  {', '.join(columns)}")


command.add_command(add_command)
