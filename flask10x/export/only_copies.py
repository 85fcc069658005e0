"""The CSV files that alone have removed readings: whether each is as it was, and a lost one back.

RETENTION_DAYS removes a reading once a CSV file was compared with it (`removable.py`). From then on
the bytes up to the file's floor are in no other place, so `check`, `verify`, `export`, the status
page and the alert `copies` look at them, all through this module. Pages and alerts look whether the
file is there and long enough; the commands `check`, `verify` and `export --verify` read it, too.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from gettext import gettext as _
from itertools import chain
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, func, select

from flask10x.config.settings import Settings
from flask10x.database import csv_owner, verified
from flask10x.database.database import Database
from flask10x.database.tables import removed, removed_hours
from flask10x.database.verified import Difference
from flask10x.errors import ExportError
from flask10x.export.file import CsvFile, fresh_path, put_in_place, write_beside
from flask10x.export.files import ArchivedFile, Floor, load_files, put_archived
from flask10x.export.target import station_of, target_of
from flask10x.readings.labels import station_name
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS, local_text, zone_of
from flask10x.translation import N_, Translation, chosen

Trouble = Literal["gone", "moved", "changed", "unreadable"]
"""`moved`: to a place that nobody has named (`flask10x export --archived`)."""

TEXTS: dict[Trouble, str] = {
    "gone": N_(
        "{path} is gone; only this file has the removed readings of {station}, {first} to {last}"
    ),
    "moved": N_(
        "{path} was moved away; only this file has the removed readings of {station}, {first} to"
        " {last}"
    ),
    "changed": N_(
        "{path} has changed; only this file has the removed readings of {station}, {first} to"
        " {last}"
    ),
    "unreadable": N_(
        "{path} cannot be read; only this file has the removed readings of {station}, {first} to"
        " {last}"
    ),
}

# Of each station the first hour of removed readings, and when the last of them was received.
_ENDS = select(
    removed.c.endpoint,
    func.coalesce(
        select(func.min(removed_hours.c.hour))
        .where(removed_hours.c.endpoint == removed.c.endpoint)
        .scalar_subquery(),
        0,
    ),
    func.coalesce(removed.c.last_ms, 0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyCopy:
    """A file that alone has removed readings, as the database has it."""

    file: ArchivedFile
    """Also of the file that is written now."""
    floor: Floor
    is_archived: bool
    first_ms: int
    """Between these times its removed readings were received, to the hour."""
    last_ms: int

    @property
    def shown_path(self) -> str:
        """Where it should be; its name where that is unknown."""
        return self.file.position.path or self.file.name


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFile:
    """One that is not as it was; its removed readings are in no other place."""

    endpoint: str
    path: str
    """Its name where its place is unknown."""
    trouble: Trouble
    first_ms: int
    """Between these times its removed readings were received, to the hour."""
    last_ms: int

    def said(self, settings: Settings, t: Translation) -> str:
        """Return what is lost, by station and dates."""
        station = settings.stations.by_endpoint.get(self.endpoint)
        return t(
            TEXTS[self.trouble],
            path=self.path,
            station=station_name(station, t) if station else f"/{self.endpoint}",
            first=local_text(self.first_ms, settings.zone)[:16],
            last=local_text(self.last_ms, settings.zone)[:16],
        )

    def with_command(self, settings: Settings, t: Translation) -> str:
        """Return the same with what puts it right."""
        said = self.said(settings, t)
        if self.trouble == "moved":
            return t(
                "{lost}. Say where it is: flask10x export --archived FILE, or put a copy back:"
                " flask10x export --restore-file COPY",
                lost=said,
            )
        return t("{lost}. Put a copy back: flask10x export --restore-file COPY", lost=said)


def load(settings: Settings, connection: Connection) -> list[OnlyCopy]:
    """Return the files of this host that alone have removed readings, in the order of these."""
    if csv_owner.is_elsewhere(settings, connection):
        return []
    of_station = {endpoint: ends for endpoint, *ends in connection.execute(_ENDS)}
    all_files = load_files(connection)
    known = [(file, True) for file in all_files.archived]
    for name, position in all_files.positions.items():
        known.append((ArchivedFile(name=name, position=position), False))
    known.sort(key=lambda each: (each[0].endpoint, each[0].position.first_id))
    files: list[OnlyCopy] = []
    for file, is_archived in known:
        if file.endpoint not in of_station or file.floor is None or not file.floor.last_id:
            continue
        position, (first_hour, last_ms) = file.position, of_station[file.endpoint]
        before = files[-1] if files and files[-1].file.endpoint == file.endpoint else None
        # An import may be of any time.
        is_later = before is not None and not position.import_id
        first_ms = before.last_ms if before and is_later else first_hour * HOUR_MS
        if position.last_received_at is not None:
            last_ms = min(last_ms, position.last_received_at)
        files.append(
            OnlyCopy(
                file=file,
                floor=file.floor,
                is_archived=is_archived,
                first_ms=min(first_ms, last_ms),
                last_ms=last_ms,
            )
        )
    return files


def lost(files: Iterable[OnlyCopy], *, read: bool = False) -> list[LostFile]:
    """Return which of the files are not there or not as they were.

    With `read` the bytes with the removed readings are read and compared by their checksum, else
    only their number.
    """
    return [
        LostFile(
            endpoint=each.file.endpoint,
            path=each.shown_path,
            trouble=trouble,
            first_ms=each.first_ms,
            last_ms=each.last_ms,
        )
        for each in files
        if (trouble := _trouble(each, read=read))
    ]


def lost_of(difference: Difference) -> LostFile:
    """Return the lost file that `flask10x verify` has found."""
    said = difference.values
    return LostFile(
        endpoint=difference.station,
        path=difference.path,
        trouble=next((name for name in TEXTS if name == said.get("trouble")), "changed"),
        first_ms=int(said.get("first_ms") or 0),
        last_ms=difference.at_ms or 0,
    )


def lines(
    settings: Settings, database: Database, stations: Sequence[Station], *, read: bool
) -> list[str]:
    """Return a line for each lost file of these stations and of former ones, as `lost` does."""
    with database.reader.begin() as connection:
        files = load(settings, connection)
    left_out = {station.endpoint for station in settings.stations.all if station not in stations}
    return [
        each.with_command(settings, chosen())
        for each in lost(files, read=read)
        if each.endpoint not in left_out
    ]


def put_back(settings: Settings, database: Database, copy: Path) -> tuple[Path, bool]:
    """Put a lost file back from this copy; return its path, and whether anything was written.

    The copy has the whole file, or at least its removed readings: what follows them is then made
    from the table, as an export made it. The bytes must be those of the last export, by their
    checksum. A file that has taken the place meanwhile is kept as `.old`. The caller holds the lock
    `export`. Raises ExportError when it is no such copy, and OSError; then nothing is changed.
    """
    with database.reader.begin() as connection:
        files = load(settings, connection)
    is_lost = {each.path for each in lost(files, read=True)}
    files.sort(key=lambda each: each.shown_path not in is_lost)
    with CsvFile.open(copy, write=False) or _missing() as opened:
        content = opened.mark_up_to(opened.size).content
        whole = [each for each in files if each.file.position.mark.content == content]
        for each in whole or [each for each in files if each.floor.is_in(opened)]:
            if each.shown_path not in is_lost:
                return Path(each.shown_path), False
            path = _write(settings, database, each, opened, is_whole=bool(whole))
            verified.forget_file(settings, each.shown_path)
            return path, True
    text = _("it isn't a copy of a lost file with removed readings. Lost: {files}")
    raise ExportError(text.format(files=", ".join(sorted(is_lost)) or _("none")))


def _write(
    settings: Settings, database: Database, each: OnlyCopy, copy: CsvFile, *, is_whole: bool
) -> Path:
    """Write the file beside its place, compare it, and give it its name."""
    file, position = each.file, each.file.position
    # The file has the station, columns and time zone of then.
    station = station_of(file.endpoint, file.name, position.columns or "")
    target = target_of(settings, database, station)
    if position.zone and (zone := zone_of(position.zone)):
        target = replace(target, zone=zone)
    path = Path(position.path) if position.path else None
    if path is None or not path.parent.is_dir():
        path = target.archived_path() if each.is_archived else target.path.resolve()
    end, spans = target.exported_rows(position, each.floor)
    rows = (piece.data for piece in target.pieces([] if is_whole else spans))
    new = write_beside(path, chain(copy.blocks(0, copy.size if is_whole else end), rows))
    try:
        if new.content != position.mark.content:
            text = _(
                "it has the removed readings of {path}, but not the rows after them, and the"
                " database can't write these again as they were: use a newer copy"
            )
            raise ExportError(text.format(path=each.shown_path))
        put_in_place(path)
    finally:
        fresh_path(path).unlink(missing_ok=True)
    if each.is_archived:
        name_archived(settings, database, path)
    return path


def _trouble(each: OnlyCopy, *, read: bool) -> Trouble | None:
    path, floor = each.file.position.path, each.floor
    if path is None:
        return "moved"
    try:
        with CsvFile.open(Path(path), write=False) or nullcontext() as file:
            if file is None:
                return "gone"
            is_same = floor.is_in(file) if read else file.size >= floor.size_bytes
            return None if is_same else "changed"
    except (ExportError, OSError):
        return "unreadable"


def name_archived(settings: Settings, database: Database, path: Path) -> ArchivedFile:
    """Record that an archived file, whose place was unknown, is here; return it with this place.

    Raises ExportError when the file is no archived one, or the files belong to another host, and
    OSError.
    """
    path = path.resolve()
    with CsvFile.open(path, write=False) or _missing() as file:
        mark = file.mark_up_to(file.size)
    named: list[ArchivedFile] = []

    def change(connection: Connection) -> None:
        csv_owner.require(connection, csv_owner.host_of(settings))
        named.clear()
        for file in load_files(connection).archived:
            if file.position.mark.content == mark.content:
                position = replace(file.position, path=str(path), mark=mark)
                named.append(replace(file, position=position))
                put_archived(connection, named[-1])
        if not named:
            text = _("it is no file that an export has written and that was moved away later")
            raise ExportError(text)

    database.commit_change(change)
    return named[0]


def _missing() -> CsvFile:
    raise ExportError(_("there is no such file"))
