"""The lines of a CSV file as bytes (contract, section 3), out of readings and back.

UTF-8, CRLF, `current_time` in local time, numbers as `str(float)`, an empty cell for what is
missing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import PurePath
from typing import Any

from flask10x.errors import ImportRefused
from flask10x.readings.legacy_csv import Layout, LegacyReader, header_of
from flask10x.readings.stations import Station
from flask10x.readings.times import LocalText


def archived_name(name: str, day: str, number: int = 1) -> str:
    """The name of an archived file that was written until that day, `2026-11-26`.

    `number` distinguishes several files of one day.
    """
    path = PurePath(name)
    return f"{path.stem}-until-{day}{f'-{number}' if number > 1 else ''}{path.suffix}"


def is_name_of(station: Station, name: str) -> bool:
    """Whether a file of this name is the station's current file or an archived one."""
    path = PurePath(station.csv_name)
    pattern = rf"{re.escape(path.stem)}(-until-\d{{4}}-\d\d-\d\d(-\d+)?)?{re.escape(path.suffix)}"
    return re.fullmatch(pattern, name) is not None


def renamed(station: Station, name: str, new_name: str) -> str:
    """The name of a current or archived file of the station after it was renamed to `new_name`."""
    end = name.removeprefix(PurePath(station.csv_name).stem)
    return f"{PurePath(new_name).stem}{end}"


# A spreadsheet computes a cell that begins with one of these
# (https://owasp.org/www-community/attacks/CSV_Injection).
FORMULA_BEGINNINGS = "=+-@\t\r\n＝＋－＠"
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
# A row of the log as the CSV files need it: id, received_at, the station's values.
LogRow = Sequence[Any]


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """The content of a line: the time that its second of local time covers, and the values."""

    earliest_ms: int
    latest_ms: int
    values: tuple[float | None, ...]


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may take the text for a formula; a number is not one."""
    return text[:1] in tuple(FORMULA_BEGINNINGS) and _NUMBER.fullmatch(text) is None


def header(station: Station) -> bytes:
    """The first line of the station's file."""
    return (",".join(station.csv_header) + "\r\n").encode()


class Lines:
    """Turns rows of the log into lines; one object for rows in the order of the file."""

    def __init__(self, zone: tzinfo | None) -> None:
        self._local = LocalText(zone)

    def texts(self, rows: Sequence[LogRow]) -> list[str]:
        """A line for each row, its CRLF included; their times have to be dates (`is_date`)."""
        local = self._local
        return [
            f"{local(ms)},{','.join(['' if v is None else repr(v) for v in values])}\r\n"
            for _, ms, *values in rows
        ]

    def bytes(self, rows: Sequence[LogRow]) -> bytes:
        """The lines of all the rows."""
        return "".join(self.texts(rows)).encode()


def time_of(line: bytes) -> str:
    """The time at the beginning of a line, as text."""
    return line.partition(b",")[0].decode(errors="replace")


def read(station: Station, line: bytes, zone: tzinfo | None) -> ParsedLine | None:
    """The content of a whole line of the station's file; None for a torn line or another text.

    It reads the notations of old versions too: exactly the lines that can be imported.
    """
    try:
        block = LegacyReader(Layout(station, station.csv_header), zone).read(line)
    except ImportRefused:
        return None
    if not block.rows:
        return None
    _, _, *values = block.rows[0]
    return ParsedLine(*block.span(), tuple(values))


def can_be_imported(station: Station, first_line: bytes) -> bool:
    """Whether a file with this first line may have readings of the station."""
    try:
        Layout(station, header_of(first_line))
    except ImportRefused:
        return False
    return True
