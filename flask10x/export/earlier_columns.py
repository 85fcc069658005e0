"""A file that was written for other columns, or for another station, than its name stands for now.

`stations.toml` gives a station a measurement more, or takes one away; a station gets another
endpoint, or the name of another one's file. What stands in the file has the columns and the
station of before, so the next export gives that file a name with the day, and begins a new one.
The rename is all that happens to the old file. Before it, what the file is and its new name are
kept (`archived.py`). Whoever dies after it leaves a name without a file, which the next export
takes for a file that was archived; so it needs no intent.
"""

from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path

from flask10x.export.checks import find_old_bytes
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.position import Position
from flask10x.export.rows import Target
from flask10x.readings import csv_lines
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import local_text
from flask10x.system import disk
from flask10x.system.clock import now_ms


def station_of(endpoint: str, name: str, columns: str) -> Station:
    """A station as a file was written for it; `columns` are those of its position."""
    pairs = (column.split("=", 1) for column in columns.split(",") if column)
    measurements = tuple(
        Measurement(path=column, column=column, quantity=column, csv_header=heading, unit="")
        for column, heading in pairs
    )
    return Station(endpoint=endpoint, label=endpoint, csv_name=name, measurements=measurements)


def of_its_station(target: Target, position: Position | None) -> Target:
    """The target of the station whose rows the file has; `target` itself where it is that one."""
    endpoint = position.endpoint if position else None
    if position is None or endpoint in (None, target.station.endpoint):
        return target
    return of_station(target, station_of(str(endpoint), target.name, position.columns or ""))


def of_station(target: Target, station: Station) -> Target:
    """The same file as that of this station."""
    rows = target.rows.of(station)
    return replace(target, station=station, header=csv_lines.header(station), rows=rows)


def was_renamed(left: Target, target: Target, position: Position | None) -> bool:
    """Whether somebody has given the file `left`, which is at this position, the target's name."""
    if left.path.exists() or position is None or position.mark in (None, NOTHING):
        return False
    with CsvFile.open(target.path, write=False) or nullcontext() as file:
        return file is not None and find_old_bytes(file, position, position.mark) is not None


def as_written(target: Target, file: CsvFile | None, position: Position | None) -> Target:
    """The target with the columns that its file was written with, where those are others.

    Else `target` itself, also for a file that is not as the last export left it: its header may be
    anybody's.
    """
    mark = position.mark if position else None
    if file is None or position is None or mark is None or mark == NOTHING:
        return target
    header = file.line(0)
    if header == target.header or find_old_bytes(file, position, mark) is None:
        return target
    return with_header(target, header, None)


def as_noted(target: Target, file: CsvFile | None, position: Position | None) -> Target:
    """As `as_written`; also columns that the station has no more are known, where they are noted.

    So rows that have values in them can be made, as long as the database has these columns.
    """
    written = as_written(target, file, position)
    if written is target or position is None or position.columns is None:
        return written
    noted = with_header(target, written.header, position.columns)
    is_there = noted.rows.columns_in_table().issuperset(noted.station.columns)
    return noted if is_there else written


def with_header(target: Target, header: bytes, columns: str | None) -> Target:
    """The target with the columns of a file with this first line.

    `columns` are those of its position; with None the station's own headings tell.
    """
    known = {found.csv_header: found for found in target.station.measurements}
    if columns is not None:
        noted = station_of(target.station.endpoint, target.station.csv_name, columns)
        known |= {found.csv_header: found for found in noted.measurements}
    _, *names = header.decode(errors="replace").rstrip("\r\n").split(",")
    measurements = tuple(known[name] for name in names if name in known)
    station = replace(target.station, measurements=measurements)
    return replace(
        target,
        station=station,
        header=header,
        rows=target.rows.of(station),
        unknown=tuple(name for name in names if name not in known),
    )


def kept_path(target: Target) -> Path:
    """Where the file is kept from today on."""
    path, day = target.path.resolve(), local_text(now_ms(), target.zone)[:10]
    names = (csv_lines.archived_name(path.name, day, number) for number in count(1))
    return next(kept for kept in map(path.with_name, names) if not kept.exists())


def set_aside(target: Target, kept: Path) -> None:
    """Give the file that name, durably."""
    target.path.resolve().rename(kept)
    disk.sync(kept.parent)
