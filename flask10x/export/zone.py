"""The time zone in which a CSV file is written; a command in another one writes nothing to it.

Two zones are compared by their times, not by their names: the time of the last row of the file, and
all from the station's first reading until years from now.
"""

from dataclasses import replace
from gettext import gettext as _

from flask10x.export import refusals
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.files import Position
from flask10x.export.target import Target
from flask10x.readings import times
from flask10x.readings.csv_lines import Lines, time_of
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.readings.times import OtherZone
from flask10x.system.clock import now_ms


def difference(target: Target, position: Position | None) -> OtherZone | None:
    """Return how the zone of the file differs from this command's; None when it does not."""
    if position is None or position.zone is None:
        return None
    # The zones of one name have the same times.
    first_ms = None if position.zone == target.zone_name else target.rows.first_received()
    return times.other_zone(position.zone, target.zone, position.last_row, first_ms, now_ms())


def check(target: Target, position: Position | None) -> None:
    """Raise ExportError when the file was written in another zone."""
    if other := difference(target, position):
        raise refusals.other_zone(target.path, other)


def with_zone(target: Target, file: CsvFile | None, position: Position) -> Position:
    """Return the position with this command's zone, once the file is known to be written in it.

    Raises ExportError when the position has no zone, which is that of a rebuild that was killed,
    and the first or the last exported row above the floor is not what this command would write.
    """
    if position.zone is not None or file is None or position.mark == NOTHING:
        return replace(position, zone=target.zone_name)
    begin, spans = target.exported_rows(position, position.floor)
    first, last = target.rows.first(spans), target.rows.last(spans)
    if first is None or last is None:
        return replace(position, zone=target.zone_name)
    expected = [Lines(target.zone).bytes([row]) for row in (first, last)]
    lines = [file.line(begin), file.line_before(position.mark.size_bytes)]
    for line, ours in zip(lines, expected, strict=True):
        if lines_without_minus_zero(line) != ours:
            raise refusals.other_row(target.path, target.zone_name, line, ours)
    return replace(
        position, zone=target.zone_name, last_received_at=last[1], last_time=time_of(expected[1])
    )


def changed(target: Target, before: Position | None) -> str:
    """Say, for people, that the zone has another name now; empty when it has not."""
    if before is None or before.zone in (None, target.zone_name):
        return ""
    text = _("its time zone is {here} now, it was {before}")
    return text.format(here=target.zone_name, before=before.zone)
