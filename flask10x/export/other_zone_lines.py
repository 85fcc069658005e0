"""Lines of a CSV file that are rows of the database, but written in another time zone.

A rebuild meets them when the time zone was changed on purpose. Such a line has the values of a row,
and its time is that of the row in some zone of the world. Taken for a row that only the file has,
it would be imported as a reading that never existed.
"""

from datetime import UTC
from gettext import ngettext

from flask10x.export.file import CountedLines
from flask10x.export.rows import IdSpan, Target
from flask10x.readings import csv_lines

Place = tuple[int, int]
"""The place of a row in a file: the index of its span, and its id."""


def in_words(lines: CountedLines) -> str:
    """Say how many rows were written in another time zone, and which is the first."""
    if not lines.rows:
        return ""
    text = ngettext(
        "{n} row was written in another time zone, line {number}, {line}: not to be imported",
        "{n} rows were written in another time zone, the first is line {number}, {line}: not to be"
        " imported",
        lines.rows,
    )
    return text.format(n=lines.rows, number=lines.number, line=repr(lines.line))


class OtherZoneLines:
    """Recognises such lines of a file, which come in the file's order.

    A line counts only for a row that comes behind the rows of the lines above it, as the file was
    written in that order.
    """

    def __init__(self, target: Target, spans: list[IdSpan]) -> None:
        self._target = target
        self._spans = spans
        self._offset_sec: int | None = None
        self._line_above: bytes | None = None
        self._above: Place = (-1, 0)

    def pass_by(self, line: bytes) -> None:
        """Go on behind a line that is a row in this command's zone."""
        self._line_above = line

    def is_row(self, line: bytes) -> bool:
        """Whether it is a row of the database in another zone."""
        # The time that the line shows, in whichever zone.
        written = csv_lines.read(self._target.station, line, UTC)
        if written is None:
            return False
        above = self._place_above()
        # The zone of the line before it comes first: it is the likely one, and costs one row.
        for offset_sec in (self._offset_sec, None) if self._offset_sec is not None else (None,):
            rows = self._target.rows.in_other_zone(written, offset_sec)
            places = sorted((self._place(number), ms) for number, ms in rows)
            for place, received_at in places:
                if place > above:
                    self._above, self._line_above = place, None
                    self._offset_sec = written.earliest_ms // 1000 - received_at // 1000
                    return True
        return False

    def _place_above(self) -> Place:
        if self._line_above is not None:
            written = csv_lines.read(self._target.station, self._line_above, self._target.zone)
            ids = self._target.rows.find(written) if written else []
            self._above = max((self._place(number) for number in ids), default=self._above)
            self._line_above = None
        return self._above

    def _place(self, number: int) -> Place:
        """Return the place of a row, before all others when the file does not have it."""
        spans = enumerate(self._spans)
        return next(((index, number) for index, span in spans if number in span), (-1, 0))
