"""A file that was written for other columns, or for another station, than its name has now.

`stations.toml` gives a station another measurement, or removes one; a station gets another
endpoint, or the name of another one's file. The file has the columns and the station of before, so
the next export gives it a name with the day, and begins a new one. The rename is all that happens
to the old file. Before it, the database records what the file is and its new name (`archived.py`).
A process that is killed after that leaves a name without a file, which the next export takes for a
file that was archived; so it needs no intent.
"""

from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path

from flask10x.export.checks import find_old_bytes
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.files import Position
from flask10x.export.rows import Target
from flask10x.readings import csv_lines
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import local_text
from flask10x.system import disk
from flask10x.system.clock import now_ms


def station_of(endpoint: str, name: str, columns: str) -> Station:
    """Return the station for which a file was written; `columns` are those of its position."""
    pairs = (column.split("=", 1) for column in columns.split(",") if column)
    measurements = tuple(
        Measurement(path=column, column=column, quantity=column, csv_header=heading, unit="")
        for column, heading in pairs
    )
    return Station(endpoint=endpoint, label=endpoint, csv_name=name, measurements=measurements)


def of_its_station(target: Target, position: Position | None) -> Target:
    """Return the target of the station whose rows the file has, `target` itself where it is."""
    if position is None or position.endpoint in (None, target.station.endpoint):
        return target
    station = station_of(str(position.endpoint), target.name, position.columns or "")
    return of_station(target, station)


def of_station(target: Target, station: Station) -> Target:
    """Return the same file as that of this station."""
    rows = target.rows.of(station)
    return replace(target, station=station, header=csv_lines.header(station), rows=rows)


def was_renamed(former: Target, target: Target, position: Position | None) -> bool:
    """Whether the file `former`, which is at this position, has got the target's name."""
    if former.path.exists() or position is None or position.mark == NOTHING:
        return False
    with CsvFile.open(target.path, write=False) or nullcontext() as file:
        return file is not None and find_old_bytes(file, position) is not None


def as_written(target: Target, file: CsvFile | None, position: Position | None) -> Target:
    """Return the target with the columns that its file was written with, where they differ.

    Else `target` itself, also for a file that is not as the last export left it: its header may
    come from anything.
    """
    if file is None or position is None or position.mark == NOTHING:
        return target
    header = file.line(0)
    if header == target.header or find_old_bytes(file, position) is None:
        return target
    return with_header(target, header, "")


def as_noted(target: Target, file: CsvFile | None, position: Position | None) -> Target:
    """As `as_written`, with columns that the station no longer has but its position has.

    So rows that have values in them can be made, as long as the database has these columns.
    """
    written = as_written(target, file, position)
    if written is target or position is None:
        return written
    noted = with_header(target, written.header, position.columns or "")
    has_columns = noted.rows.columns_in_table().issuperset(noted.station.columns)
    return noted if has_columns else written


def with_header(target: Target, header: bytes, columns: str) -> Target:
    """Return the target with the columns of a file with this first line.

    Its headings are those of the station, and those of `columns`, the columns of its position.
    """
    former = station_of(target.station.endpoint, target.station.csv_name, columns)
    by_heading = {m.csv_header: m for m in (*target.station.measurements, *former.measurements)}
    _, *headings = header.decode(errors="replace").rstrip("\r\n").split(",")
    measurements = tuple(by_heading[heading] for heading in headings if heading in by_heading)
    station = replace(target.station, measurements=measurements)
    return replace(
        target,
        station=station,
        header=header,
        rows=target.rows.of(station),
        unknown=tuple(heading for heading in headings if heading not in by_heading),
    )


def archived_path(target: Target) -> Path:
    """Return a free name for the file, with today's date."""
    path, day = target.path.resolve(), local_text(now_ms(), target.zone)[:10]
    names = (csv_lines.archived_name(path.name, day, number) for number in count(1))
    return next(free for free in map(path.with_name, names) if not free.exists())


def set_aside(target: Target, path: Path) -> None:
    """Rename the file to this path, durably."""
    target.path.resolve().rename(path)
    disk.sync(path.parent)
