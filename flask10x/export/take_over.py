"""`--take-over`: the CSV files belong to this host from now on, once it has them.

Only the owner in the database changes. Each file that an export has written must be here, as the
last export left it, or be rewritten by the same command: else the next export would take a missing
one for archived, and begin a new one in the middle of the readings.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from gettext import gettext as _

from flask10x.config.settings import Settings
from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.errors import ExportElsewhere
from flask10x.export import repair_commands
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.outcome import FileOutcome, for_each
from flask10x.export.target import Target
from flask10x.readings.stations import Station


def take_over(
    settings: Settings, database: Database, rewritten: Sequence[Station] = ()
) -> list[FileOutcome]:
    """Make this host the owner of the files; those of the `rewritten` stations need not be here.

    Returns the outcomes of the other files; where one of them has failed, the owner stays. The
    caller holds the lock `export`, and rewrites the former afterwards. Raises ExportElsewhere where
    there is nothing to take over.
    """
    host = database.hosts.name
    if host is None:
        raise ExportElsewhere(_("the database is a file of this host: the CSV files are its own"))
    others = [station for station in settings.stations.all if station not in rewritten]
    outcomes = for_each(settings, database, others, _look)
    if not any(outcome.failed for outcome in outcomes):
        # Of what the former owner exports until then, the next export here says that it is missing.
        database.commit_change(lambda connection: csv_owner.give(connection, host))
    return outcomes


def _look(_database: Database, target: Target) -> FileOutcome:
    position, difference = target.state.position, ""
    with CsvFile.open(target.path, write=False) or nullcontext() as file:
        # Why the next export would not go on where the last one ended.
        if position is not None and position.mark != NOTHING:
            if file is None:
                difference = _("it is not here")
            elif not position.is_in(file):
                difference = _("it is not what the last export left")
    if difference:
        text = _("{what}. Copy it from the host that had it, or, if it is lost: {command}")
        text = text.format(what=difference, command=repair_commands.take_over(target.path))
        return FileOutcome(target.path, text, failed=True)
    return FileOutcome(target.path, _("can be gone on with") if file else _("not begun yet"))
