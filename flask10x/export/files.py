"""The CSV files as the database has them: the table `csv_files`, a row for each file.

`database/tables.py` says what its columns mean. A run reads the table once (`rows.Log`), and its
own changes (`target.py`) keep what it has read up to date.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, func, insert, select, update

from flask10x.database.server import Origin
from flask10x.database.tables import IS_CURRENT, csv_files
from flask10x.export.file import NOTHING, CsvFile, Mark

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Up to where a file was compared with readings of which some are removed since then."""

    last_id: int
    """The last row up to there, in the order of the file."""
    size_bytes: int
    checksum: int
    """The CRC-32 of the bytes up to there."""

    def is_in(self, file: CsvFile) -> bool:
        """Check that the file still begins with the bytes up to here."""
        return file.begins_with((self.size_bytes, self.checksum))


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a file has come."""

    first_id: int
    last_id: int
    import_id: int = 0
    begin_bytes: int = 0
    mark: Mark = NOTHING
    """What the file was when the last export ended."""
    zone: str | None = None
    """The name of the time zone in which the exported rows are written.

    This and what follows is None until the position is saved.
    """
    last_received_at: int | None = None
    """When the last exported row was received; None also where there is none."""
    last_time: str | None = None
    """How that time is written in the file."""
    endpoint: str | None = None
    """The station whose rows the file has."""
    path: str | None = None
    """The path of the file, links followed; None also for an archived file at an unknown place."""
    columns: str | None = None
    """The columns of the file and their headings (`Target.with_file`)."""
    floor: Floor | None = None
    """Set by the removal of readings."""

    def is_in(self, file: CsvFile) -> bool:
        """Check that the file still begins with what the last export left."""
        return file.begins_with(self.mark.content)

    @property
    def last_row(self) -> tuple[int | None, str | None]:
        """When the last exported row was received, and how that time is written."""
        return self.last_received_at, self.last_time


def mark_of(position: Position | None) -> Mark:
    """Return what the file was when the last export ended; NOTHING before the first export."""
    return position.mark if position else NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Which bytes are about to be appended to a file, at `start_offset`."""

    from_id: int
    to_id: int
    start_offset: int
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class State:
    """The file that is written now under a name; without a position it was never exported."""

    position: Position | None
    intent: Intent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """A file that another one has followed, as it was then.

    It is identified by its station, its size and its checksum, wherever it is.
    """

    name: str
    """The name that it had while it was written."""
    position: Position
    """Which readings it has, and what it was."""

    @property
    def endpoint(self) -> str:
        """The station whose rows it has."""
        return str(self.position.endpoint)

    @property
    def floor(self) -> Floor | None:
        """Up to where it was compared with its readings."""
        return self.position.floor

    def order(self) -> tuple[int, ...]:
        """Return by what the newest comes first."""
        return -self.position.last_id, *self.position.mark.content

    def is_same(self, other: "ArchivedFile") -> bool:
        """Check whether both are one file."""
        is_same = self.position.mark.content == other.position.mark.content
        return is_same and self.endpoint == other.endpoint


@dataclass(slots=True)
class CsvFiles:
    """What the database has about all files."""

    states: dict[str, State] = field(default_factory=dict)
    """The files that are written now, by their names."""
    archived: list[ArchivedFile] = field(default_factory=list)
    """The newest first."""
    origins: dict[str, Origin] = field(default_factory=dict)
    """By the same names the history of the database that their rows are of, where it is noted."""

    def state(self, name: str) -> State:
        """Return the file that is written now under this name."""
        return self.states.get(name, State(None))

    @property
    def positions(self) -> dict[str, Position]:
        """The positions of the files that are written now, by their names."""
        states = self.states.items()
        return {name: state.position for name, state in states if state.position is not None}

    @property
    def endpoints(self) -> set[str]:
        """The stations that have a file, also those that are no longer there."""
        files = [*self.positions.values(), *(file.position for file in self.archived)]
        return {position.endpoint for position in files if position.endpoint}

    def names_of(self, endpoint: str) -> list[str]:
        """Return the names of the files that are written now and have rows of the station."""
        positions = self.positions.items()
        return sorted(name for name, position in positions if position.endpoint == endpoint)

    def archived_of(self, endpoint: str) -> list[ArchivedFile]:
        """Return the archived files of the station, the newest first."""
        return [file for file in self.archived if file.endpoint == endpoint]

    def last_id(self, endpoint: str, *names: str) -> int:
        """Return the last reading that an archived file of the station has, or one of these."""
        files = [file.position for file in self.archived_of(endpoint)]
        own = set(names).intersection(self.names_of(endpoint))
        files += (position for name, position in self.positions.items() if name in own)
        return max((position.last_id for position in files), default=0)


def load_files(connection: Connection) -> CsvFiles:
    """Return what the database has about all files."""
    files = CsvFiles()
    for row in connection.execute(select(csv_files)).mappings():
        position = Position(
            mark=Mark(*(row[each.name] for each in fields(Mark))),
            floor=_part(Floor, row, "floor_"),
            **{each.name: row[each.name] for each in fields(Position) if each.name in row},
        )
        if row["kind"] == "archived":
            files.archived.append(ArchivedFile(name=row["name"], position=position))
            continue
        files.states[row["name"]] = State(position, _part(Intent, row, "intent_"))
        if row["timeline"] is not None:
            files.origins[row["name"]] = Origin(row["system_identifier"], row["timeline"])
    files.archived.sort(key=ArchivedFile.order)
    return files


def _part(kind: type[Part], row: RowMapping, prefix: str) -> Part | None:
    """Return the floor or the intent of a row; None where it has none."""
    values = {each.name: row[prefix + each.name] for each in fields(kind)}  # type: ignore[arg-type]
    return None if None in values.values() else kind(**values)


def put_current(connection: Connection, name: str, state: State, origin: Origin | None) -> None:
    """Store the file that is written now under this name; without a position it is forgotten."""
    where = (csv_files.c.name == name) & (csv_files.c.kind != "archived")
    if state.position is None:
        connection.execute(csv_files.delete().where(where))
        return
    values = columns_of_position(state.position) | {"name": name, "kind": "current"}
    values |= _columns(Intent, state.intent, "intent_") | _columns(Origin, origin)
    _put(connection, where, values)


def put_archived(connection: Connection, file: ArchivedFile) -> None:
    """Store an archived file in the place of what the database had about it."""
    mark = file.position.mark
    where = (csv_files.c.kind == "archived") & (csv_files.c.endpoint == file.endpoint)
    where &= csv_files.c.size_bytes == mark.size_bytes
    where &= csv_files.c.checksum == mark.checksum
    values = columns_of_position(file.position)
    _put(connection, where, values | {"name": file.name, "kind": "archived"})


def forget_current(connection: Connection, name: str) -> None:
    """Forget the file that is written now under this name."""
    connection.execute(delete(csv_files).where(IS_CURRENT & (csv_files.c.name == name)))


def put_floor(connection: Connection, name: str, floor: Floor) -> None:
    """Set the floor of the file that is written now, in the transaction that removes readings."""
    where = (csv_files.c.name == name) & IS_CURRENT
    connection.execute(update(csv_files).where(where).values(_columns(Floor, floor, "floor_")))


def _put(connection: Connection, where: ColumnElement[bool], values: Mapping[str, Any]) -> None:
    if not connection.execute(update(csv_files).where(where).values(values)).rowcount:
        following = select(func.coalesce(func.max(csv_files.c.id), 0) + 1).scalar_subquery()
        connection.execute(insert(csv_files).values(id=following, **values))


def columns_of_position(position: Position) -> dict[str, Any]:
    """Return the position as columns of the table."""
    columns = _columns(Position, position) | _columns(Mark, position.mark)
    del columns["mark"], columns["floor"]
    return columns | _columns(Floor, position.floor, "floor_")


def _columns(kind: Any, value: object, prefix: str = "") -> dict[str, Any]:
    """Return the fields of a part of a row as its columns; without it they are None."""
    return {f"{prefix}{each.name}": getattr(value, each.name, None) for each in fields(kind)}
