"""A file whose station has other columns now: no byte of it changes, and a new file begins.

`stations.toml` gives a station a measurement more, or takes one away. What stands in its file has
the columns of before, so the next export gives that file a name with the day, and begins a new one
after the last exported row. The rename is all that happens to the old file. Whoever dies after it
leaves a name without a file, which the next export takes for a file that was archived; so it needs
no intent.
"""

from dataclasses import replace
from itertools import count
from pathlib import Path

from flask10x.export.checks import find_old_bytes
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.position import Position
from flask10x.export.rows import Target
from flask10x.readings import csv_names
from flask10x.readings.times import local_text
from flask10x.system import disk
from flask10x.system.clock import now_ms


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
    known = {found.csv_header: found for found in target.station.measurements}
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
    names = (csv_names.until(path.name, day, number) for number in count(1))
    return next(kept for kept in map(path.with_name, names) if not kept.exists())


def set_aside(target: Target) -> Path:
    """Give the file that name, durably."""
    kept = kept_path(target)
    target.path.resolve().rename(kept)
    disk.sync(kept.parent)
    return kept
