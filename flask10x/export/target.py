"""A station's CSV file: its rows, its columns now and then, and what the database has about it.

`stations.toml` gives a station another measurement, or removes one; a station gets another
endpoint, or the name of another one's file. The file has the columns and the station of before, so
the next export gives it a name with the day, and begins a new one. The rename is all that happens
to the old file. Before it, the database records what the file is and its new name. A process that
is killed after that leaves a name without a file, which the next export takes for a file that was
archived; so it needs no intent.
"""

import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import tzinfo
from gettext import gettext as _
from itertools import count
from pathlib import Path, PurePath

from sqlalchemy import Connection, select, update

from flask10x.config.settings import Settings
from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.database.dialects import statements_of
from flask10x.database.tables import csv_files, imports
from flask10x.errors import ExportError
from flask10x.export.file import NOTHING, CsvFile, fresh_path, put_in_place
from flask10x.export.files import (
    ArchivedFile,
    CsvFiles,
    Floor,
    Position,
    State,
    load_files,
    mark_of,
    put_archived,
    put_current,
)
from flask10x.export.rows import FileRows, IdSpan, Import, Log, behind, in_file_order
from flask10x.readings import csv_lines, times
from flask10x.readings.csv_lines import Lines, LogRow
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import OtherZone, local_text, zone_name_of
from flask10x.system.clock import now_ms
from flask10x.system.progress import Advance


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows as a file has them: their bytes, the last one, their number."""

    data: bytes
    last_id: int
    rows: int
    last_received_at: int | None
    """When the last one was received; None where there are no rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A station's file, and the rows that belong into it."""

    station: Station
    name: str
    """The file's name, by which the database identifies it."""
    path: Path
    zone: tzinfo | None
    header: bytes
    """The first line."""
    rows: FileRows
    host: str | None = None
    """This host, where several share the database and one of them has the files; else None."""

    @property
    def state(self) -> State:
        """What the database has about the file, as it was read or saved last."""
        return self.rows.log.files.state(self.name)

    @property
    def zone_name(self) -> str:
        """The name of the time zone in which lines are written."""
        return zone_name_of(self.zone)

    def pieces(self, spans: list[IdSpan], advance: Advance = lambda _: None) -> Iterator[Piece]:
        """Yield the rows of the spans as lines, up to PAGE_ROWS; `advance` is as in `pages`."""
        lines = Lines(self.zone)
        for page in self.rows.pages(spans, advance):
            yield Piece(lines.bytes(page), page[-1][0], len(page), page[-1][1])

    def lines(self, spans: list[IdSpan]) -> Iterator[tuple[list[LogRow], list[bytes]]]:
        """Yield the rows of the spans, up to PAGE_ROWS, and the line of each."""
        lines = Lines(self.zone)
        for page in self.rows.pages(spans):
            yield page, [text.encode() for text in lines.texts(page)]

    def waiting(self) -> list[IdSpan]:
        """Return the rows that are to be appended to the file, as the database has it."""
        position = self.state.position
        return self.rows.new(position.last_id if position else 0)

    def first_line_floor(self) -> Floor:
        """Return the floor of a file that has no removed reading and begins after one."""
        return Floor(last_id=0, size_bytes=len(self.header), checksum=zlib.crc32(self.header))

    def exported_rows(self, position: Position, floor: Floor | None) -> tuple[int, list[IdSpan]]:
        """Return where the exported rows above the floor begin, in bytes, and which they are."""
        first_id, last_id, import_id = position.first_id, position.last_id, position.import_id
        spans = in_file_order(first_id, last_id, import_id, self.rows.imports)
        if floor is None:
            return position.begin_bytes, spans
        return floor.size_bytes, behind(spans, floor.last_id)

    def imported_elsewhere(self, position: Position) -> list[Import]:
        """Return the imports of files of the station whose rows are not in this one."""
        has_beginning = position.begin_bytes > len(self.header)
        return [
            each
            for each in self.rows.imports
            if each.id > position.import_id and not (has_beginning and each.size_bytes != 0)
        ]

    def with_file(self, position: Position) -> Position:
        """Return the position with the station, the path, the columns and the zone of this file.

        The columns and their headings are `temperature=Temp`, commas between them: a heading has
        no comma, and a column no equals sign.
        """
        columns = ",".join(f"{m.column}={m.csv_header}" for m in self.station.measurements)
        return replace(
            position,
            endpoint=self.station.endpoint,
            path=str(self.path.resolve()),
            columns=columns,
            zone=self.zone_name,
        )

    def other_zone(self, position: Position | None) -> OtherZone | None:
        """Return how the time zone of the file differs from this command's; None if it does not.

        Two zones are compared by their times, not by their names: the time of the last row of the
        file, and all from the station's first reading until years from now.
        """
        if position is None or position.zone is None:
            return None
        # The zones of one name have the same times.
        first_ms = None if position.zone == self.zone_name else self.rows.first_received()
        return times.other_zone(position.zone, self.zone, position.last_row, first_ms, now_ms())

    def changed_zone(self) -> str:
        """Say, for people, that the zone has another name now; empty when it has not."""
        before = self.state.position
        if before is None or before.zone in (None, self.zone_name):
            return ""
        text = _("its time zone is {here} now, it was {before}")
        return text.format(here=self.zone_name, before=before.zone)

    # A rebuilt file lies beside the old one until its position is committed, and takes the name
    # after that. So it needs no intent: a file there that is what the position says goes on. The
    # mark of that position has no ctime yet. With one, the rebuild ended before its commit, maybe
    # before it had compared the old rows.

    def is_rebuilt_beside(self) -> bool:
        """Check that a rebuild was interrupted: its file has still to take the name."""
        position = self.state.position
        with CsvFile.open(fresh_path(self.path), write=False) or nullcontext() as file:
            if file is None or position is None or position.mark == NOTHING:
                return False
            if position.mark.changed_ns:
                return False
            return file.size == position.mark.size_bytes and position.is_in(file)

    def finish_rebuild(self) -> bool:
        """Finish a rebuild that was interrupted, or throw its file away; whether it is finished."""
        is_complete = self.is_rebuilt_beside()
        if is_complete:
            put_in_place(self.path)
        fresh_path(self.path).unlink(missing_ok=True)
        return is_complete

    # Views of the same file.

    def of_station(self, station: Station) -> "Target":
        """Return the same file as the one of this station."""
        rows = self.rows.of(station)
        return replace(self, station=station, header=csv_lines.header(station), rows=rows)

    def of_its_station(self) -> "Target":
        """Return the target of the station whose rows the file has, often this target itself."""
        position = self.state.position
        if position is None or position.endpoint in (None, self.station.endpoint):
            return self
        return self.of_station(
            station_of(str(position.endpoint), self.name, position.columns or "")
        )

    def as_written(self, file: CsvFile | None, position: Position | None) -> "Target":
        """Return the target with the columns that its file was written with, where they differ.

        Also with those that the station no longer has. Itself for a file that is not as the last
        export left it, as its header may come from anything.
        """
        if file is None or position is None or position.mark == NOTHING:
            return self
        header = file.line(0)
        if header == self.header or not position.is_in(file):
            return self
        return self.with_header(header, position.columns or "") or self

    def with_header(self, header: bytes, columns: str) -> "Target | None":
        """Return the target with the columns of a file with this first line.

        Its headings are those of the station, and those of `columns`, the columns of its position.
        None where it has others.
        """
        former = station_of(self.station.endpoint, self.station.csv_name, columns)
        by_heading = {m.csv_header: m for m in (*self.station.measurements, *former.measurements)}
        headings = headings_of(header)
        if not by_heading.keys() >= set(headings):
            return None
        measurements = tuple(by_heading[heading] for heading in headings)
        target = self.of_station(replace(self.station, measurements=measurements))
        return replace(target, header=header)

    # The file when another one follows it.

    def was_renamed(self, new: "Target") -> bool:
        """Check whether the file, which has gone, has got the name of the other target."""
        position = self.state.position
        if self.path.exists() or position is None or position.mark == NOTHING:
            return False
        with CsvFile.open(new.path, write=False) or nullcontext() as file:
            return file is not None and position.is_in(file)

    def archived_path(self) -> Path:
        """Return a free name for the file, with today's date."""
        path, day = self.path.resolve(), local_text(now_ms(), self.zone)[:10]
        names = (csv_lines.archived_name(path.name, day, number) for number in count(1))
        return next(free for free in map(path.with_name, names) if not free.exists())

    def archived(self, position: Position | None, path: Path | None = None) -> ArchivedFile | None:
        """Return the file at this position as an archived file; None when it has no exported row.

        Its place is `path`, and without it the path of the position, if a file is there and that
        is not the path of the target. Else the place is unknown.
        """
        if position is None or mark_of(position) == NOTHING:
            return None
        if position.first_id == position.last_id and not position.import_id:
            return None
        if path is None and position.path not in (None, str(self.path.resolve())):
            before = Path(str(position.path))
            path = before if before.is_file() else None
        position = replace(
            position,
            endpoint=position.endpoint or self.station.endpoint,
            path=None if path is None else str(path),
        )
        return ArchivedFile(name=self.name, position=position)


def target_of(
    settings: Settings, database: Database, station: Station, log: Log | None = None
) -> Target:
    """Return the station's file, as of now or of the moment of `log`.

    Raises what reading the database raises.
    """
    return Target(
        station=station,
        name=station.csv_name,
        path=settings.csv_dir / station.csv_name,
        zone=settings.zone,
        header=csv_lines.header(station),
        rows=FileRows(database, station, log),
        host=csv_owner.host_of(settings),
    )


def station_of(endpoint: str, name: str, columns: str) -> Station:
    """Return the station for which a file was written; `columns` are those of its position."""
    pairs = (column.split("=", 1) for column in columns.split(",") if column)
    measurements = tuple(
        Measurement(path=column, column=column, quantity=column, csv_header=heading, unit="")
        for column, heading in pairs
    )
    return Station(endpoint=endpoint, label=endpoint, csv_name=name, measurements=measurements)


def headings_of(header: bytes) -> list[str]:
    """Return the headings of the measurements in the first line of a file."""
    return header.decode(errors="replace").rstrip("\r\n").split(",")[1:]


# The table `csv_files` is changed only from the state that the export has read or saved last: an
# export that was suspended for long and goes on, while another host has taken the files over,
# changes nothing (docs/decisions/0032).


def save_state(
    database: Database, target: Target, state: State, archived: ArchivedFile | None = None
) -> None:
    """Save the state of the file, and the file that was archived; both are on the disk then.

    A path or floor of the archived file that was saved before stays. The database must have been
    opened with `synchronous=FULL`. Raises ExportError when the file has another state by now than
    was read or saved last, or belongs to another host, and LockTimeout or sqlalchemy.exc.DBAPIError
    when the commit failed for seconds; then nothing is changed.
    """

    def change(connection: Connection) -> None:
        files = _required(connection, target)
        origin = statements_of(connection).origin(connection)
        put_current(connection, target.name, state, origin)
        files.states[target.name] = state
        if origin:
            files.origins[target.name] = origin
        if archived is not None:
            files.archived = record(connection, files, archived)
        read[:] = [files]

    read: list[CsvFiles] = []
    database.commit_change(change)
    target.rows.log.files = read[0]


def record(connection: Connection, files: CsvFiles, file: ArchivedFile) -> list[ArchivedFile]:
    """Store an archived file, and return all archived ones with it.

    A path or floor that was saved before stays.
    """
    others = [each for each in files.archived if not each.is_same(file)]
    for before in files.archived:
        if before.is_same(file):
            path = file.position.path or before.position.path
            floor = file.floor or before.floor
            file = replace(file, position=replace(file.position, path=path, floor=floor))
    put_archived(connection, file)
    return sorted((*others, file), key=ArchivedFile.order)


def rename(database: Database, target: Target, new_name: str) -> None:
    """Move the state of a file to another name, which no file has.

    `target` has the station under the former name of the file. Raises as `save_state` does.
    """
    station = target.station

    def change(connection: Connection) -> None:
        if _required(connection, target).state(new_name).position is not None:
            raise _changed_meanwhile()
        put_current(connection, new_name, State(None), None)
        of_name = csv_files.c.name == target.name
        is_archived = csv_files.c.kind == "archived"
        own = is_archived & (csv_files.c.endpoint == station.endpoint)
        renamed = update(csv_files).where(of_name, ~is_archived | own).values(name=new_name)
        connection.execute(renamed)
        # Else the imported rows would no longer have their place in the file that was renamed.
        of_station = select(imports.c.id, imports.c.file)
        of_station = of_station.where(imports.c.endpoint == station.endpoint)
        for row in connection.execute(of_station).all():
            path = PurePath(row.file)
            if csv_lines.is_name_of(station, path.name):
                file = str(path.with_name(csv_lines.renamed(station, path.name, new_name)))
                connection.execute(update(imports).where(imports.c.id == row.id).values(file=file))

    database.commit_change(change)
    with database.reader.begin() as connection:
        target.rows.log.read(connection)


def _required(connection: Connection, target: Target) -> CsvFiles:
    """Return all files; raises ExportError unless this host has the target's as it was last."""
    csv_owner.require(connection, target.host)
    files = load_files(connection)
    if files.state(target.name) != target.state:
        raise _changed_meanwhile()
    return files


def _changed_meanwhile() -> ExportError:
    return ExportError(_("something else has changed the position of the file meanwhile"))
