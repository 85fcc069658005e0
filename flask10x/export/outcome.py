"""One outcome for each CSV file: a file that fails does not keep the others from theirs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.errors import Flask10xError
from flask10x.export.rows import Log, load_undated
from flask10x.export.target import Target, target_of
from flask10x.readings.stations import Station
from flask10x.system.wording import amount, some


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """The outcome for a file, in words for people."""

    path: Path
    text: str
    rows: int = 0
    failed: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def missing_rows(imported: int) -> str:
    """Say that so many imported rows are not in the file; empty where none is missing."""
    text = ngettext(
        "{n} imported row is not in the file (--rebuild writes them)",
        "{n} imported rows are not in the file (--rebuild writes them)",
        imported,
    )
    return text.format(n=imported) if imported > 0 else ""


def for_each(
    settings: Settings,
    database: Database,
    stations: Iterable[Station] | None,
    do: Callable[[Database, Target], FileOutcome],
) -> list[FileOutcome]:
    """Return what `do` makes of the file of each of these stations, or of all.

    Errors of ours and of the store become outcomes.
    """
    stations = list(settings.stations.all if stations is None else stations)
    try:
        with database.reader.begin() as connection:
            log = Log(connection)
            undated = load_undated(connection, [station.endpoint for station in stations])
    except DBAPIError as error:
        paths = [settings.csv_dir / station.csv_name for station in stations]
        return [FileOutcome(path, unusable(error), failed=True) for path in paths]
    targets = (target_of(settings, database, station, log) for station in stations)
    return [
        _outcome(database, target, do, undated.get(target.station.endpoint, []))
        for target in targets
    ]


def _outcome(
    database: Database,
    target: Target,
    do: Callable[[Database, Target], FileOutcome],
    undated: Sequence[int],
) -> FileOutcome:
    path = target.path
    try:
        outcome = do(database, target)
        if not undated:
            return outcome
        note = _("left out {readings} without a date: {ids}")
        note = note.format(readings=amount(len(undated), "reading"), ids=some(undated))
        return replace(outcome, text=f"{outcome.text}; {note}")
    except Flask10xError as error:
        text = str(error)
    except OSError as error:
        where = f": {error.filename}" if error.filename not in (None, str(path)) else ""
        text = _("cannot be read or written: {reason}").format(reason=f"{error.strerror}{where}")
    except DBAPIError as error:
        text = unusable(error)
    return FileOutcome(path, text, failed=True)


def unusable(error: DBAPIError) -> str:
    """Say, for people, why the database cannot be used."""
    return _("the database cannot be used: {reason}").format(reason=reason_of(error))
