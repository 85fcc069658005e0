"""The file of stations, made and added to, and what it changes in the database and the CSV files.

What the file has is never rewritten. Its changes are shown before.
"""

import os
from collections.abc import Iterator, Sequence
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.config import station_file, station_text, toml
from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import database_path, shown_name
from flask10x.database.station_columns import add_missing, missing_columns
from flask10x.errors import Flask10xError, SettingsError
from flask10x.readings import csv_lines
from flask10x.readings.stations import BUILT_IN, Station, Stations
from flask10x.system import own_files


def make_file(path: Path) -> None:
    """Make a file with the built-in stations, and what each key is for.

    Raises SettingsError when it exists already, and OSError; then nothing is made.
    """
    own_files.make(path, station_text.rendered(BUILT_IN.all))


def with_station(path: Path, station: Station) -> tuple[bytes, bytes | None]:
    """Return the file with another station at its end, and the file as it is, None for no file.

    A new one begins like that of `make_file`. Raises SettingsError when a spreadsheet would
    take one of its headings for a formula, StationsError when the file with the station would have
    a mistake, and OSError when it can't be read.
    """
    if lines := station_file.formula_headings(Stations((station,), str(path))):
        raise SettingsError("; ".join(lines))
    try:
        former = toml.read_document(path)
    except FileNotFoundError:
        former = None
    begin = station_text.rendered(BUILT_IN.all).encode() if former is None else former
    end = b"" if not begin or begin.endswith(b"\n") else b"\n"
    data = begin + end + b"\n" + station_text.entry(station).encode()
    station_file.parse(data, path)
    return data, former


def changes(settings: Settings) -> Iterator[str]:
    """Yield a line for each change that the next start or reload, and the next export, makes."""
    engine = engines.engine_of(settings)
    if engine.may_be_there():
        try:
            with engine.reader() as reader, reader.connect() as connection:
                new = missing_columns(connection, settings.stations)
        except DBAPIError as error:
            yield _("the database cannot be used: {reason}").format(reason=reason_of(error))
        else:
            yield from _named(settings, new)
    for station in settings.stations.all:
        path = settings.csv_dir / station.csv_name
        try:
            with path.open("rb") as file:
                first = file.readline(100_000)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield f"{path}: {error.strerror}"
            continue
        if first and first != csv_lines.header(station):
            text = _("{path}: the next export begins a new file; the old one keeps its bytes")
            yield text.format(path=path)
            # A board that does not send the new measurements yet is rejected, if it is.
            headings = first.decode(errors="replace").rstrip().split(",")
            new = [m.path for m in station.measurements if m.csv_header not in headings]
            if new and station.endpoint not in settings.partial_readings:
                text = _(
                    '/{endpoint}: a reading without {names} is refused; partial = "accept" takes it'
                )
                yield text.format(endpoint=station.endpoint, names=", ".join(new))


def add_columns(settings: Settings) -> Iterator[str]:
    """Add the columns that these stations lack, while the service goes on; yield a line about it.

    A start or a reload has nothing to do then, and need not wait until SQLite has read the whole
    table for each of them (docs/decisions/0004). Where it fails, they do it.
    """
    path = database_path(settings)
    # Another user's lock or WAL would stop the service.
    is_own = path.exists() and path.stat().st_uid == os.geteuid()
    if engines.engine_of(settings).is_file and not is_own:
        return
    database = Database(settings)
    try:
        with database.reader.begin() as connection:
            schema.require_known(schema.current(connection), shown_name(settings))
        added = add_missing(database, settings.stations)
    except (DBAPIError, Flask10xError) as error:
        reason = reason_of(error) if isinstance(error, DBAPIError) else error
        yield _("the database cannot be used: {reason}").format(reason=reason)
        return
    finally:
        database.close()
    yield from _named(settings, added)


def _named(settings: Settings, columns: Sequence[str]) -> Iterator[str]:
    """Yield a line with these columns of the database, if there are any."""
    if columns:
        text = ngettext(
            "{path}: a new column: {names}", "{path}: new columns: {names}", len(columns)
        )
        yield text.format(path=shown_name(settings), names=", ".join(columns))
