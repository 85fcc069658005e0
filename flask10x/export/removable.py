"""Before readings are removed: does a CSV file have them, byte for byte?

Only bytes that were seen count. A reading has its row in the station's file, or in one that was
archived (`archived.py`); where it is in neither, or the file can't be read, it stays. The rows are
compared once more, and the file gets a floor: how far that is, and the checksum of all bytes up to
there. What stands above the floor can't be made again from the database.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from gettext import gettext as _
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from flask10x.export import archived, repair_commands, zone
from flask10x.export.archived import ArchivedFile
from flask10x.export.earlier_columns import of_station, station_of, with_header
from flask10x.export.file import CsvFile, Mark
from flask10x.export.position import Floor, Position, State, save_floor
from flask10x.export.rows import IdSpan, Target, behind
from flask10x.readings import csv_lines, times
from flask10x.readings.csv_lines import Lines, LogRow
from flask10x.readings.numbers import lines_without_minus_zero

Obstacle = Literal[
    "never_exported",
    "interrupted",
    "file_gone",
    "file_changed",
    "other_columns",
    "other_zone",
    "other_host",
    "imported",
    "in_no_known_file",
    "values_in_no_file",
    "archived_gone",
    "archived_changed",
    "archived_columns",
    "archived_zone",
]
"""Why no file proves anything now; an export or a person has to do something first."""


# By the path of an archived file: what it should be, and what it was when other bytes were found in
# it. As long as nothing touches it, it is not read again. That only ever keeps readings.
_others: dict[Path, tuple[Mark, Mark]] = {}


class Unproven(Exception):
    """A row of the file is not what the database has: nothing may be removed."""


@dataclass(frozen=True, slots=True)
class ReadingObstacle:
    """An obstacle, and what it is about."""

    obstacle: Obstacle
    path: str = ""
    """The archived file, or columns; empty for the station's own file, and for an unknown one."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a look at some rows has found."""

    floor: Floor | None
    """The new floor of the file; None while it holds none of the readings."""
    is_whole: bool
    """Whether all of the readings lie above it; else there is more to compare before them."""


@dataclass(frozen=True, slots=True)
class ProvingFile:
    """A file that an export has written for the station."""

    target: Target
    """It, with the station's rows as this file has them."""
    position: Position
    floor: Floor | None
    archived: ArchivedFile | None = None
    """None for the one that is written now."""

    def __contains__(self, number: int) -> bool:
        return any(number in span for span in self.spans)

    @property
    def spans(self) -> list[IdSpan]:
        """The rows that an export has written into it, in its order."""
        position = self.position
        return self.target.rows.of_file(position.first_id, position.last_id, position.import_id)

    def provable(self, ids: Sequence[int]) -> list[int]:
        """Which of these readings it can prove: those it has, with all of their values."""
        missing = self.missing(ids)
        return [number for number in ids if number in self and not missing[number]]

    def missing(self, ids: Sequence[int]) -> dict[int, list[str]]:
        """By the ids of these readings: the columns of values for which the file has no column."""
        own = self.target.station.columns
        values = self.target.rows.columns_with_values(ids)
        return {n: [name for name in columns if name not in own] for n, columns in values.items()}


def not_ready(target: Target, state: State) -> ReadingObstacle | None:
    """What an export has to do first, whichever reading it is about."""
    position = state.position
    if position is None or position.mark is None or position.zone is None:
        return ReadingObstacle("never_exported")
    if position.endpoint not in (None, target.station.endpoint):
        return ReadingObstacle("never_exported")
    return ReadingObstacle("interrupted") if state.intent is not None else None


def file_for(
    target: Target, state: State, files: Sequence[ArchivedFile], number: int
) -> ProvingFile | ReadingObstacle:
    """The file that can prove the reading of this id, or what keeps it from that.

    Reads first lines, and an archived file that was touched. Raises OSError or ExportError when
    that can't be done.
    """
    found: ReadingObstacle | None = None
    for file in _files_with(target, state, files, number):
        if number in file:
            looked = _look(file)
            if isinstance(looked, ProvingFile):
                if not (columns := looked.missing([number])[number]):
                    return looked
                looked = ReadingObstacle("values_in_no_file", ", ".join(columns))
            found = found or looked
    if found is not None:
        return found
    was_imported = _was_imported(target, files, number)
    return ReadingObstacle("imported" if was_imported else "in_no_known_file")


def hindrance(
    target: Target, state: State, files: Sequence[ArchivedFile], number: int
) -> ReadingObstacle | None:
    """What keeps the reading of this id; None when a file can prove it. Raises as `file_for`."""
    if found := not_ready(target, state):
        return found
    file = file_for(target, state, files, number)
    return file if isinstance(file, ReadingObstacle) else None


def prove(file: ProvingFile, ids: Sequence[int], rows_max: int) -> Proof:
    """Compare the file, from its floor on, up to the last of these readings in its order.

    All of them are `provable`. After that many rows, or a page more, it ends early. To be
    called under the lock of the export, for a file from `file_for`. Raises Unproven at the first
    difference.
    """
    spans, floor = file.spans, file.floor
    place = _last_in_order(spans, ids)
    rest = behind(spans, floor.last_id) if floor else spans
    if not any(place in span for span in rest):
        # Compared before, and the file is as it was.
        return Proof(floor, is_whole=True)
    path = file.target.path
    with CsvFile.open(path, write=False) or nullcontext() as opened:
        if opened is None:
            raise Unproven(f"{path} is gone")
        begun = floor if floor and floor.last_id else _begun(opened, file.position)
        floor = _compared(file.target, opened, begun, _up_to(rest, place), rows_max)
    return Proof(floor, is_whole=floor.last_id == place)


def keep(connection: Connection, file: ProvingFile, floor: Floor | None) -> None:
    """Keep the floor of the file, in the transaction that removes readings."""
    if floor is None:
        return
    if file.archived is not None:
        # Its mark too: touched, but with the same bytes, it need not be read once more.
        archived.record(connection, replace(file.archived, floor=floor))
    elif floor != file.floor:
        save_floor(connection, file.target.name, floor)


def in_words(found: ReadingObstacle) -> str:
    """For people: why no file proves a reading now."""
    texts: dict[Obstacle, str] = {
        "never_exported": _("no export of this station has written its CSV file"),
        "interrupted": _("an export was interrupted"),
        "file_gone": _("the CSV file is gone"),
        "file_changed": _("the CSV file was touched since the last export"),
        "other_columns": _("the station's columns have changed"),
        "other_zone": _("the CSV file is in another time zone"),
        "other_host": _("another host has the CSV file"),
        "imported": _("they were imported, and no export or rebuild has written them"),
        "in_no_known_file": _("the file that has them is unknown"),
        "values_in_no_file": _(
            "no CSV file has values of measurements that the station has no more"
        ),
        "archived_gone": _("the archived file that has them is gone, or was moved away"),
        "archived_changed": _("the archived file that has them is not what it was"),
        "archived_columns": _("the columns of the archived file are unknown"),
        "archived_zone": _("the archived file is in a time zone that this system does not know"),
    }
    return f"{texts[found.obstacle]}: {found.path}" if found.path else texts[found.obstacle]


def command(target: Target, found: ReadingObstacle) -> str:
    """The command that clears it, or shows more."""
    if found.obstacle in (
        "never_exported",
        "interrupted",
        "file_gone",
        # One that was only touched is noted as it is now; of another one it says what to do.
        "file_changed",
        "other_columns",
    ):
        return repair_commands.export(target.path)
    if found.obstacle == "imported":
        return repair_commands.rebuild(target.path)
    if found.obstacle in (
        "in_no_known_file",
        "values_in_no_file",
        "archived_gone",
        "archived_changed",
    ):
        return repair_commands.whole(target.path)
    return f"flask10x export --verify {target.name}"


def _files_with(
    target: Target, state: State, files: Sequence[ArchivedFile], number: int
) -> Iterator[ProvingFile]:
    """The station's file, and then those archived ones that may have this row.

    One at a time: the rows of each are some queries.
    """
    if state.position:
        yield ProvingFile(target, state.position, state.floor)
    was_imported = any(number in taken for taken in target.rows.all_imports)
    for file in files:
        position = file.position
        is_between = position.first_id < number <= position.last_id
        if is_between or (position.import_id and was_imported):
            yield ProvingFile(_archived_target(target, file), position, file.floor, file)


def _was_imported(target: Target, files: Sequence[ArchivedFile], number: int) -> bool:
    """Whether it came from a file of the station's name, now or when a file was archived."""
    stations = [replace(target.station, csv_name=file.name) for file in files]
    return any(
        number in taken and csv_lines.is_name_of(station, Path(taken.file).name)
        for taken in target.rows.all_imports
        for station in (target.station, *stations)
    )


def _archived_target(target: Target, file: ArchivedFile) -> Target:
    """The archived file as that of the station under the name of then."""
    position = file.position
    station = replace(target.station, csv_name=file.name)
    if position.columns is not None:
        station = replace(
            station,
            measurements=station_of(file.endpoint, file.name, position.columns).measurements,
        )
    path = Path(position.path) if position.path else target.path
    return replace(of_station(target, station), name=file.name, path=path)


def _look(file: ProvingFile) -> ProvingFile | ReadingObstacle:
    """The file, if it is as the last export left it."""
    if file.archived is not None:
        return _look_at_archived(file, file.archived)
    mark = file.position.mark
    with CsvFile.open(file.target.path, write=False) or nullcontext() as opened:
        if opened is None:
            return ReadingObstacle("file_gone")
        if mark is None or opened.mark(mark.checksum) != mark:
            return ReadingObstacle("file_changed")
        if opened.line(0) != file.target.header:
            return ReadingObstacle("other_columns")
    return ReadingObstacle("other_zone") if zone.difference(file.target, file.position) else file


def _look_at_archived(file: ProvingFile, kept: ArchivedFile) -> ProvingFile | ReadingObstacle:
    if kept.position.path is None:
        return ReadingObstacle("archived_gone")
    path, mark, target = kept.position.path, kept.mark, file.target
    with CsvFile.open(target.path, write=False) or nullcontext() as opened:
        if opened is None:
            return ReadingObstacle("archived_gone", path)
        now = opened.mark(mark.checksum)
        if now != mark and not _is_same(opened, mark, now):
            return ReadingObstacle("archived_changed", path)
        target = with_header(target, opened.line(0), kept.position.columns)
    if target.unknown:
        return ReadingObstacle("archived_columns", path)
    name = kept.position.zone
    if name not in (None, target.zone_name):
        other = times.zone_of(name)
        if other is None:
            return ReadingObstacle("archived_zone", path)
        target = replace(target, zone=other, zone_name=name)
    return replace(file, target=target, archived=replace(kept, mark=now))


def _is_same(file: CsvFile, mark: Mark, now: Mark) -> bool:
    """Whether the bytes are those of the mark, in a file that was touched since."""
    if now.size_bytes != mark.size_bytes or _others.get(file.path) == (mark, now):
        return False
    if file.checksum(mark.size_bytes) == mark.checksum:
        return True
    _others[file.path] = (mark, now)
    return False


def _begun(file: CsvFile, position: Position) -> Floor:
    """The floor at the beginning of our rows."""
    begin = position.begin_bytes
    return Floor(
        first_id=position.first_id, last_id=0, size_bytes=begin, checksum=file.checksum(begin)
    )


def _last_in_order(spans: list[IdSpan], ids: Sequence[int]) -> int:
    """Which of the ids, all of them in the spans, comes last in their order."""
    for span in reversed(spans):
        if inside := [number for number in ids if number in span]:
            return max(inside)
    raise AssertionError("not in the file")


def _up_to(spans: list[IdSpan], place: int) -> list[IdSpan]:
    """The spans up to and with this row."""
    found: list[IdSpan] = []
    for span in spans:
        if place in span:
            return [*found, IdSpan(span.after, place)]
        found.append(span)
    return found


def _compared(
    target: Target, file: CsvFile, floor: Floor, spans: list[IdSpan], rows_max: int
) -> Floor:
    """The floor behind these rows, or behind the first of them."""
    lines, rows = Lines(target.zone), 0
    size, checksum, last_id = floor.size_bytes, floor.checksum, floor.last_id
    for page in target.rows.pages(spans):
        data = _bytes_in_file(target, file, size, page, lines)
        size, checksum = size + len(data), zlib.crc32(data, checksum)
        last_id, rows = page[-1][0], rows + len(page)
        if rows >= rows_max:
            break
    return Floor(first_id=floor.first_id, last_id=last_id, size_bytes=size, checksum=checksum)


def _bytes_in_file(
    target: Target, file: CsvFile, offset: int, page: list[LogRow], lines: Lines
) -> bytes:
    """The bytes of the file that say what these rows say."""
    texts = lines.texts(page)
    expected = "".join(texts).encode()
    found = file.read(offset, len(expected))
    if found == expected:
        return found
    # A zero may have got the sign minus in it, which is a byte more.
    found = b""
    for text in texts:
        line = file.line(offset + len(found))
        if lines_without_minus_zero(line) != text.encode():
            raise Unproven(f"{target.path}: {line!r} instead of {text!r}")
        found += line
    return found
