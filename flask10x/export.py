"""The CSV files of the contract (section 3): a follower of the log for each station.

A follower remembers the last id whose row its file has, and appends the rows after it: UTF-8,
CRLF, `current_time` in local time, numbers as `str(float)`, an empty cell for what is missing.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import DBAPIError

from flask10x.errors import ExportError, Flask10xError
from flask10x.settings import Settings
from flask10x.sqlite import Database, reason_of
from flask10x.stations import STATIONS, Station
from flask10x.tables import followers, readings
from flask10x.times import LocalText

# Rows read in one short transaction: enough to be fast, few enough that neither memory nor a
# checkpoint waits for the export.
PAGE_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: the rows appended, or why none were."""

    path: Path
    rows: int = 0
    error: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.error or f'{self.rows} rows appended'}"


def export(settings: Settings, database: Database) -> list[Outcome]:
    """Bring every file up to date; a file that fails does not keep the others from theirs."""
    settings.csv_dir.mkdir(parents=True, exist_ok=True)
    return [_outcome(settings, database, station) for station in STATIONS]


def _outcome(settings: Settings, database: Database, station: Station) -> Outcome:
    path = settings.csv_dir / station.csv_name
    try:
        return Outcome(path, rows=_follow(database, station, path, LocalText(settings.zone)))
    except Flask10xError as error:
        return Outcome(path, error=str(error))
    except OSError as error:
        return Outcome(path, error=f"cannot be written: {error.strerror}")
    except DBAPIError as error:
        return Outcome(path, error=f"the database cannot be used: {reason_of(error)}")


def _follow(database: Database, station: Station, path: Path, local: LocalText) -> int:
    """Append the rows after the follower's position, then move it; the number of rows."""
    name = f"csv:{station.csv_name}"
    last_id, count = _position(database, name), 0
    with open(path, "ab+") as file:
        start = _start(file, station)
        try:
            for page in _pages(database, station, last_id):
                file.write(b"".join(_line(row, local) for row in page))
                last_id, count = page[-1].id, count + len(page)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            # Half an append would be appended again by the next run.
            with suppress(OSError):
                file.close()
            os.truncate(path, start)
            raise
    _move(database, name, last_id)
    return count


def _start(file: BinaryIO, station: Station) -> int:
    """The size before anything is appended; writes the header into a new or empty file.

    Raises ExportError when the file is not this station's or does not end in a whole line.
    """
    header = (",".join(station.csv_header) + "\r\n").encode()
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        file.write(header)
        return 0
    file.seek(0)
    first = file.readline()
    if first != header:
        raise ExportError(f"the first line is {first[:200]!r}, not {header!r}; nothing appended")
    file.seek(-1, os.SEEK_END)
    if file.read(1) != b"\n":
        raise ExportError("the last line is torn; complete or remove it; nothing appended")
    return size


def _pages(database: Database, station: Station, last_id: int) -> Iterator[list[Row[Any]]]:
    # Compared as an expression, or SQLite would read the station's whole index and sort it,
    # instead of going on from `last_id`.
    of_station = readings.c.endpoint.concat("") == station.endpoint
    columns = (readings.c[name] for name in station.columns)
    query = select(readings.c.id, readings.c.received_at, *columns).where(of_station)
    while True:
        page_query = query.where(readings.c.id > last_id).order_by(readings.c.id).limit(PAGE_ROWS)
        with database.reader.begin() as connection:
            page = list(connection.execute(page_query))
        if not page:
            return
        yield page
        last_id = page[-1].id


def _line(row: Sequence[Any], local: Callable[[int], str]) -> bytes:
    cells = ["" if value is None else str(value) for value in row[2:]]
    return ",".join((local(row[1]), *cells)).encode() + b"\r\n"


def _position(database: Database, name: str) -> int:
    query = select(followers.c.last_id).where(followers.c.name == name)
    with database.reader.begin() as connection:
        return connection.execute(query).scalar_one_or_none() or 0


def _move(database: Database, name: str, last_id: int) -> None:
    """Remember the position; written only when it has moved, to spare the card."""
    if _position(database, name) == last_id:
        return
    with database.commit() as connection:
        moved = update(followers).where(followers.c.name == name).values(last_id=last_id)
        if connection.execute(moved).rowcount == 0:
            connection.execute(insert(followers).values(name=name, last_id=last_id))
