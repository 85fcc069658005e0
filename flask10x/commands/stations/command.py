"""`flask10x stations init|check|add|list`: the file of stations."""

import sys
from gettext import gettext as _
from pathlib import Path

import click

from flask10x.commands import translated
from flask10x.commands.stations import add
from flask10x.config import settings, station_file
from flask10x.errors import SettingsError, StationsError
from flask10x.maintenance import station_changes
from flask10x.readings.stations import BUILT_IN, Station, Stations
from flask10x.system.wording import amount


@click.group(cls=translated.TranslatedGroup)
def command() -> None:
    """Add stations without a change of the program: the file stations.toml.

    FLASK10X_STATIONS says where it is.
    """


@command.command("init")
def init_command() -> None:
    """Write the file, with the built-in stations and with what each key is for.

    A file that is there already is never changed.
    """
    path = settings.stations_path()
    station_changes.make_file(path)
    click.echo(_("{path} was written").format(path=path))


@command.command("check")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def check_command(file: Path | None) -> None:
    """Look the file over, and say what it would change; FILE stands for the one in use.

    Exit status: 1 when there is a mistake in it, which is said with its line.
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


def _stations_of(path: Path, *, needed: bool) -> Stations:
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
        click.echo(_line(station))


def _line(station: Station) -> str:
    columns = (f"{m.column} {m.unit}".rstrip() for m in station.measurements)
    return f"/{station.endpoint}  {station.label}  {station.csv_name}  {', '.join(columns)}"


command.add_command(add.command)
