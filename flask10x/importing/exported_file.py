"""A file of the export is imported only in the time zone in which it was written.

Each of its rows would else be a reading that never was.
"""

from gettext import gettext as _
from pathlib import Path

from sqlalchemy import Connection, Row, exists, func, select

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.database.expressions import unindexed
from flask10x.database.tables import exports, imports, measurement, readings
from flask10x.errors import ImportRefused
from flask10x.importing.old_file import last_line
from flask10x.readings import csv_lines
from flask10x.readings.csv_lines import Lines, LogRow
from flask10x.readings.minus_zero import plain_lines
from flask10x.readings.stations import Station
from flask10x.readings.zones import name_of, other_zone
from flask10x.system.clock import now_ms


def check_zone(settings: Settings, database: Database, path: Path, station: Station) -> None:
    """Raises ImportRefused for the station's file of the export in another time zone than this."""
    exported = settings.csv_dir / station.csv_name
    if not exported.exists() or not path.samefile(exported):
        return
    query = select(exports).where(exports.c.name == station.csv_name)
    with database.reader.begin() as connection:
        known = connection.execute(query).one_or_none()
        if known is None or known.endpoint not in (None, station.endpoint):
            return
        if known.zone is None:
            what = _of_an_old_version(connection, settings, path, station, known)
        else:
            last = known.last_received_at, known.last_time
            first_ms = _first_ms(connection, station)
            found = other_zone(known.zone, settings.zone, last, first_ms, now_ms())
            what = str(found) if found else ""
    if what:
        text = _("{what}: run the command with the service's settings")
        raise ImportRefused(text.format(what=what))


def _first_ms(connection: Connection, station: Station) -> int | None:
    query = select(func.min(readings.c.received_at)).where(readings.c.endpoint == station.endpoint)
    first_ms: int | None = connection.execute(query).scalar_one()
    return first_ms


def _of_an_old_version(
    connection: Connection, settings: Settings, path: Path, station: Station, known: Row[tuple[()]]
) -> str:
    """Nobody has noted the zone: whether the last exported row is in another one; else nothing.

    Anything else in its place is no matter of zones.
    """
    row = _last_exported(connection, station, known)
    if row is None or known.size_bytes is None:
        return ""
    line, expected = last_line(path, known.size_bytes), Lines(settings.zone).bytes([row])
    if plain_lines(line) == expected or not csv_lines.in_other_zone(station, line, row):
        return ""
    text = _(
        "an exported row of the file is {line}; this command, in the time zone {zone}, would"
        " have written {expected}"
    )
    return text.format(line=repr(line), zone=name_of(settings.zone), expected=repr(expected))


def _last_exported(
    connection: Connection, station: Station, known: Row[tuple[()]]
) -> LogRow | None:
    """The last reading that an export has appended: (id, received_at, values...)."""
    number, columns = readings.c.id, (measurement(name) for name in station.columns)
    was_imported = exists().where(
        imports.c.endpoint == station.endpoint,
        number.between(imports.c.first_id, imports.c.last_id),
    )
    query = select(number, readings.c.received_at, *columns).where(
        unindexed(readings.c.endpoint) == station.endpoint,
        number > known.first_id,
        number <= known.last_id,
        ~was_imported,
    )
    found = connection.execute(query.order_by(number.desc()).limit(1)).first()
    return None if found is None else tuple(found)
