"""In which time zone a CSV file is written; a command in another one writes nothing to it.

What counts is not the name but the times that the two zones tell: of the last row of the file, and
of all from the station's first reading until years from now.
"""

from dataclasses import replace
from gettext import gettext as _

from flask10x.export import refusals
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.position import Floor, Position
from flask10x.export.rows import Target, behind
from flask10x.readings import times
from flask10x.readings.csv_lines import Lines, time_of
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.readings.times import OtherZone
from flask10x.system.clock import now_ms


def difference(target: Target, position: Position | None) -> OtherZone | None:
    """How the noted zone of the file differs from this command's.

    None when it does not, and when nobody has noted it.
    """
    if position is None or position.zone is None:
        return None
    last = position.last_received_at, position.last_time
    first = target.rows.first_received()
    return times.other_zone(position.zone, target.zone, last, first, now_ms())


def check(target: Target, position: Position | None) -> None:
    """Raises ExportError when the file was written in another zone."""
    if found := difference(target, position):
        raise refusals.other_zone(target.path, found)


def noted(
    target: Target, file: CsvFile | None, floor: Floor | None, position: Position
) -> Position:
    """The position with this command's zone, once it is certain that the file is written in it.

    Raises ExportError when nobody has noted the zone of the file, and the first or the last of our
    rows above its floor is not what this command would write.
    """
    if position.zone is not None or file is None or position.mark in (None, NOTHING):
        return replace(position, zone=target.zone_name)
    spans = target.rows.of_file(position.first_id, position.last_id, position.import_id)
    begin = position.begin_bytes
    if floor is not None:
        begin, spans = floor.size_bytes, behind(spans, floor.last_id)
    first, last = target.rows.first(spans), target.rows.last(spans)
    if first is None or last is None:
        return replace(position, zone=target.zone_name)
    expected = [Lines(target.zone).bytes([row]) for row in (first, last)]
    found = [file.line(begin), file.line_before(position.mark.size_bytes)]
    for line, ours in zip(found, expected, strict=True):
        if lines_without_minus_zero(line) != ours:
            raise refusals.other_row(target.path, target.zone_name, line, ours)
    return replace(
        position, zone=target.zone_name, last_received_at=last[1], last_time=time_of(expected[1])
    )


def changed(target: Target, before: Position | None) -> str:
    """For people: that the zone has another name now; nothing when it has not."""
    if before is None or before.zone in (None, target.zone_name):
        return ""
    text = _("its time zone is {here} now, it was {before}")
    return text.format(here=target.zone_name, before=before.zone)
