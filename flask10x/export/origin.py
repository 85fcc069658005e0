"""Has the database lost readings that a CSV file has? After a failover only the file can tell.

A standby that is promoted without the last commits gives their ids to other readings, and what the
database knows of the file may be from before them. So it is noted with each file of which history
of the database its rows are: the cluster, and the timeline, which counts promotions. While that is
the same, nothing was lost. When it is another one, the last rows of the file are compared with the
database. What a failover loses are the newest commits, and readings are committed in the order of
their ids: if the last row is there, all are.
"""

from dataclasses import dataclass
from gettext import gettext as _
from itertools import chain, repeat

from flask10x.database.dialects import of
from flask10x.database.engine import Database
from flask10x.export import refusals
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.position import Floor, Position
from flask10x.export.rows import Target, behind
from flask10x.readings.csv_lines import Lines
from flask10x.readings.minus_zero import plain_lines

# One would do; but a reading that was lost may have been sent again, alone.
LAST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class History:
    """What was found out."""

    is_new: bool
    """Whether it is another one than was noted, and not noted yet."""
    note: str = ""
    """For people."""


SAME = History(is_new=False)


def check(
    database: Database,
    target: Target,
    file: CsvFile | None,
    floor: Floor | None,
    position: Position,
) -> History:
    """Whether the database is of the history that was noted with the file; looks only.

    The file is as `position` says. Raises ExportError when it has a row that the database has not.
    """
    if target.host is None or position.mark is None:
        return SAME
    with database.reader.begin() as connection:
        now = of(connection).origin(connection)
        noted = of(connection).noted_origin(connection, target.name)
    if noted is None or noted == now:
        return SAME
    values = {"before": noted, "now": now}
    if file is None or position.mark == NOTHING:
        text = _("the database has another history now ({now}, it was {before})")
        return History(is_new=True, note=text.format(**values))
    _compare_last(target, file, floor, position)
    text = _(
        "the database has another history now ({now}, it was {before}), in which no row of the file"
        " is missing"
    )
    return History(is_new=True, note=text.format(**values))


def _compare_last(target: Target, file: CsvFile, floor: Floor | None, position: Position) -> None:
    """Raises ExportError unless the last of our rows in the file are those of the database."""
    if target.unknown or position.mark is None:
        # With columns that the station has no more: they can't be made again.
        return
    spans = target.rows.of_file(position.first_id, position.last_id, position.import_id)
    begin, end = position.begin_bytes, position.mark.size_bytes
    if floor is not None:
        begin, spans = floor.size_bytes, behind(spans, floor.last_id)
    rows = target.rows.newest(spans, LAST_ROWS)
    expected = (text.encode() for text in Lines(target.zone).texts(rows))
    nothing = repeat(b"") if len(rows) < LAST_ROWS else ()
    for wanted in chain(expected, nothing):
        line = file.line_before(end) if end > begin else b""
        if plain_lines(line) != wanted:
            raise refusals.lost_rows(target.path, line, wanted)
        if not line:
            return
        end -= len(line)
