"""Old CSV files of the contract (section 3): lines into readings, or the reason why not.

Values are kept as they were written, also outside the ranges of the contract: they were measured
under older rules, and are exported unchanged.
"""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from gettext import gettext as _
from itertools import repeat
from typing import Any, NamedTuple

from flask10x.errors import ColumnsUnknown, ImportRefused
from flask10x.readings.numbers import is_minus_zero, without_minus_zero
from flask10x.readings.stations import Station
from flask10x.readings.times import FIRST_YEAR, HOUR_MS, LAST_YEAR

# The times of old CSV files, which are local, as instants.
#
# Local time alone does not always name an instant. The rules (docs/en/reference/csv-format.md):
#
# - A time that the clock shows twice (it was put back) means the first, unless the first would lie
# before the row above it in the file and the second would not: rows are in the order of time. - A
# time that the clock never showed (it was put forward) is no time: the file was written in another
# zone, and shifting the row would only hide that.

# Two workers append in turn and the clock is corrected by seconds, so a row may lie a little
# before the one above it although the clock was not put back.
OUT_OF_ORDER_MS = 60_000
_CLOCK_MS = {
    f"{minute:02d}:{second:02d}": (minute * 60 + second) * 1000
    for minute in range(60)
    for second in range(60)
}
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?"
)


class LegacyTimes:
    """The instants of one file's times: call it with each, in the order of the file.

    `%Y-%m-%d %H:%M:%S`, also with a `T`, a fraction of a second or an offset from UTC. Gives UTC
    epoch milliseconds; raises ValueError with the reason.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        """`zone` is that of the file, as in `Settings.zone`."""
        self._zone = zone
        self._above: int | None = None
        # The epoch second of the latest row that was taken for the later of two.
        self._put_back: int | None = None
        self._hour = ""
        self._hour_starts: int | None = None
        self.repeated: dict[int, int] = {}
        """For times that the clock showed twice, the later epoch second and the earlier one.

        It has the times that were read so far; the caller may replace it by an empty one.
        """

    def __call__(self, text: str) -> int:
        if text[:14] != self._hour:
            self._enter(text[:14])
        clock = _CLOCK_MS.get(text[14:])
        if clock is None or self._hour_starts is None:
            self._above = self._careful(text)
        else:
            self._above = self._hour_starts + clock
        return self._above

    def _enter(self, hour: str) -> None:
        """Set the start of this hour; None if it is no hour or the clock changes inside it."""
        self._hour, self._hour_starts = hour, None
        if (match := _TIME.fullmatch(f"{hour}00:00")) is None:
            return
        starts = _wall(match)
        ends = starts + timedelta(minutes=59, seconds=59)
        instants = {*self._instants(starts), *(i - HOUR_MS + 1000 for i in self._instants(ends))}
        if len(instants) == 1:
            (self._hour_starts,) = instants

    def _careful(self, text: str) -> int:
        match = _TIME.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"not a time: {text[:40]!r}")
        wall = _wall(match)
        fraction = int(((match["fraction"] or "") + "000")[:3])
        if match["offset"]:
            exact = _milliseconds(datetime.fromisoformat(f"{wall}{match['offset']}"))
            wall = datetime.fromtimestamp(exact // 1000, self._zone).replace(tzinfo=None)
            self._note(*self._instants(wall))
            return exact + fraction
        if text[:14] == self._hour and self._hour_starts is not None:
            return self._hour_starts + _CLOCK_MS[match[2][3:]] + fraction
        earlier, later = self._instants(wall)
        if earlier > later:
            raise ValueError(f"no such time: the clock was put forward past {wall}")
        self._note(earlier, later)
        # The row above says whether the clock was put back, so that the later one is meant.
        if earlier == later or self._above is None or later < self._above - OUT_OF_ORDER_MS:
            return earlier + fraction
        if earlier < self._above - OUT_OF_ORDER_MS or self._above // 1000 == self._put_back:
            self._put_back = later // 1000
            return later + fraction
        return earlier + fraction

    def _note(self, earlier: int, later: int) -> None:
        if earlier < later:
            self.repeated[later // 1000] = earlier // 1000

    def _instants(self, wall: datetime) -> tuple[int, int]:
        """The instants at which the clock showed this time before and after it was changed.

        They are the same at most times; a time that was skipped has the later one first.
        """
        before, after = (wall.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        return _milliseconds(before), _milliseconds(after)


def _wall(match: re.Match[str]) -> datetime:
    """What the clock on the wall showed, in whole seconds."""
    try:
        wall = datetime.fromisoformat(f"{match[1]} {match[2]}")
    except ValueError as error:
        raise ValueError(f"no such time: {error}") from None
    # Near the end of Python's calendar the zones can't be asked any more.
    if not FIRST_YEAR <= wall.year < LAST_YEAR:
        raise ValueError(f"outside the years {FIRST_YEAR} to {LAST_YEAR - 1}")
    return wall


def _milliseconds(when: datetime) -> int:
    """Epoch milliseconds of an aware time, or of a naive one in the system's zone."""
    return round(when.timestamp()) * 1000


# As the import inserts it: (endpoint, received_at, *values of its station).
Row = tuple[Any, ...]

TIME_HEADER = "current_time"
# What old versions wrote for a missing value.
EMPTY = ("", "nan", "none", "null")
# The longest row that the contract's columns can give has about 160 bytes. What is longer is
# the zeros or the rubbish that a power cut leaves in a file.
LONGEST_LINE = 1000
# The bytes of the rows that the old server wrote, except the rare `1e-05`. Of these bytes `float`
# reads decimal numbers only; of others it also reads `1_000`, `inf` and full-width digits.
PLAIN = b"0123456789T:. ,+-\r\n"
# What `float` makes -0.0 of in lines of these bytes.
MINUS_ZERO = re.compile(rb",\s*-[0.]+\s*[,\r\n]")
# Too short for a number that is infinite as a double.
LONGEST_PLAIN_LINE = 250
SHOWN_NAMES, SHOWN_CHARACTERS = 6, 40
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which cell of a line is what, according to the file's header."""

    station: Station
    header: tuple[str, ...]
    """As the file has it."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The column that is meant by a name of the header; empty: its values are left out."""
    columns: tuple[str, ...] = field(init=False)
    """The station's column of each cell, empty for one that is left out."""

    def __post_init__(self) -> None:
        """Raises ImportRefused when the header is not one of the station's."""
        known = self.station.csv_header
        columns = tuple(self.names.get(name, name) for name in self.header)
        object.__setattr__(self, "columns", columns)
        if not any(self.header):
            raise ImportRefused(_("its first line is empty, it should be the header"))
        if strange := [name for name in self.names if name not in self.header]:
            text = _("its header has no {names}; it has {header}")
            raise ImportRefused(text.format(names=_shown(strange), header=_shown(self.header)))
        taken = [column for column in columns if column]
        if unknown := [name for name in taken if name not in known]:
            text = _(
                "its header has {names}, which {station} does not know; the columns are {known}"
            )
            names, station = _shown(unknown), self.station.endpoint
            text = text.format(names=names, station=station, known=",".join(known))
            raise ColumnsUnknown(text, station, unknown)
        if len(set(taken)) < len(taken):
            text = _("its header has a column twice: {header}")
            raise ImportRefused(text.format(header=",".join(taken)))
        if TIME_HEADER not in taken or len(taken) == 1:
            text = _("its header needs {column} and at least one measurement")
            raise ImportRefused(text.format(column=TIME_HEADER))

    @property
    def missing(self) -> tuple[str, ...]:
        """The station's columns that the file does not have."""
        return tuple(name for name in self.station.csv_header if name not in self.columns)


def header_of(line: bytes) -> tuple[str, ...]:
    """The column names in a file's first line; a byte order mark is no part of them.

    Raises ImportRefused when it is no line of a CSV file.
    """
    try:
        return tuple(_cells(line.decode("utf-8-sig")))
    except ValueError:
        text = _("its first line is no header: {line}").format(line=repr(line[:60]))
        raise ImportRefused(text) from None


class Rejection(NamedTuple):
    """A line that is no reading."""

    line: int
    """Its number; the header has number 1."""
    reason: str
    raw: str
    """The line without its end; bytes that are no UTF-8 are `surrogateescape`d."""


@dataclass(slots=True)
class Block:
    """The content of successive lines."""

    rows: list[Row] = field(default_factory=list)
    """In the order of the file, each an `insert.InsertRow`: (endpoint, received_at, *values)."""
    rejections: list[Rejection] = field(default_factory=list)
    minus_zeros: int = 0
    """How many values of the rows were -0.0; they are 0.0 here."""
    repeated: dict[int, int] = field(default_factory=dict)
    """For times among them that the clock showed twice: the later epoch second and the earlier."""

    def second(self, received_at: int) -> int:
        """The second of local time, the same for both instants of one that came twice."""
        second = received_at // 1000
        return self.repeated.get(second, second)

    def span(self) -> tuple[int, int]:
        """From the first to the last millisecond that these rows may belong to.

        Their seconds are whole, because files have no finer times. Raises ValueError when there
        are no rows.
        """
        instants = [row[1] for row in self.rows]
        instants += (second * 1000 for pair in self.repeated.items() for second in pair)
        return min(instants) // 1000 * 1000, max(instants) // 1000 * 1000 + 999


class LegacyReader:
    """Reads the lines of one file, block by block, in their order."""

    def __init__(self, layout: Layout, zone: tzinfo | None) -> None:
        """`zone` is that of the file's times, as in `Settings.zone`. The header has been read."""
        self._layout = layout
        self._times = LegacyTimes(zone)
        self._line = 1

    def read(self, text_bytes: bytes) -> Block:
        """The content of the next lines; a last line without an end is rejected as torn.

        Raises ImportRefused at another header, because the lines after it can't be trusted.
        """
        *lines, torn = (
            text_bytes.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
        )
        block = Block()
        try:
            if text_bytes.translate(None, PLAIN) or MINUS_ZERO.search(text_bytes):
                raise ValueError
            block.rows = self._plain_rows(lines)
            self._line += len(lines)
        except ValueError:
            for line in lines:
                self._line += 1
                try:
                    row = self._row(line)
                except ValueError as error:
                    block.rejections.append(Rejection(self._line, str(error), line))
                    continue
                if row is not None:
                    block.minus_zeros += sum(map(is_minus_zero, row[2:]))
                    values = (None if v is None else without_minus_zero(v) for v in row[2:])
                    block.rows.append((*row[:2], *values))
        if torn.strip():
            block.rejections.append(Rejection(self._line + 1, "torn: the line has no end", torn))
        block.repeated, self._times.repeated = self._times.repeated, {}
        return block

    def _plain_rows(self, lines: list[str]) -> list[Row]:
        """The rows of usual lines, read column by column, which is fast.

        Only for lines of PLAIN bytes. Raises ValueError if any of them has to be read alone.
        """
        station, width = self._layout.station, len(self._layout.header)
        commas = set(map(str.count, lines, repeat(",")))
        if self._layout.columns != station.csv_header or commas != {width - 1}:
            raise ValueError
        if max(map(len, lines)) > LONGEST_PLAIN_LINE:
            raise ValueError
        cells = ",".join(lines).split(",")
        read = _float_or_none if "" in cells else float
        columns = [list(map(read, cells[place::width])) for place in range(1, width)]
        # A copy, because the lines are read again when one of these times is none.
        times = copy(self._times)
        rows = list(zip(repeat(station.endpoint), map(times, cells[::width]), *columns))
        self._times = times
        return rows

    def _row(self, line: str) -> Row | None:
        """The row of a line, None for an empty line; raises ValueError with the reason."""
        if not line.strip():
            return None
        if len(line) > LONGEST_LINE:
            raise ValueError(f"longer than {LONGEST_LINE} characters")
        layout = self._layout
        cells = _cells(line)
        if TIME_HEADER in cells:
            if tuple(cells) == layout.header:
                return None
            text = _(
                "line {number} is another header, {line}: put what follows it into a file of its"
                " own"
            )
            raise ImportRefused(text.format(number=self._line, line=repr(line.strip())))
        measurements = layout.station.measurements
        values: list[float | None] = [None] * len(measurements)
        time_place = 0
        # Old versions wrote nothing but the time when a body was empty.
        if len(cells) > 1:
            if len(cells) != len(layout.header):
                raise ValueError(f"{len(cells)} cells, the header has {len(layout.header)}")
            named = dict(zip(layout.columns, cells, strict=True))
            time_place = layout.columns.index(TIME_HEADER)
            values = [_number(m.csv_header, named.get(m.csv_header, "")) for m in measurements]
        return (layout.station.endpoint, self._times(cells[time_place]), *values)


def _shown(names: Sequence[str]) -> str:
    """The first few names: a file with other line ends has thousands in its first line."""
    shown = ", ".join(repr(name[:SHOWN_CHARACTERS]) for name in names[:SHOWN_NAMES])
    more = len(names) - SHOWN_NAMES
    return _("{names} and {n} more").format(names=shown, n=more) if more > 0 else shown


def _float_or_none(text: str) -> float | None:
    return float(text) if text else None


def _cells(line: str) -> list[str]:
    cells = line.split(",")
    if '"' in line:
        # What a spreadsheet has saved.
        try:
            cells = next(csv.reader([line.strip()], skipinitialspace=True))
        except csv.Error as error:
            raise ValueError(str(error)) from None
    return [cell.strip() for cell in cells]


def _number(name: str, text: str) -> float | None:
    if text.lower() in EMPTY:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name}: not a number: {text[:40]!r}")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{name}: not a finite number: {text[:40]!r}")
    return value
