"""-0.0, which a rounded winter temperature can be: the database has 0.0 for it.

SQLite stores a REAL without a fraction as an integer, and integers have one zero
(https://www.sqlite.org/datatype3.html, section 2). So it is 0.0 from the moment at which it is read
here, and where an old CSV file has `-0.0` each step takes it for 0.0 and says so.
"""

import math
import re
from gettext import ngettext

# As we would write it, whole cells only.
_CELL = re.compile(rb"(?<=,)-0\.0(?=[,\r\n])")
_BEGINNING = b",-0.0"


def plain(value: float) -> float:
    """The value as the database will have it (IEEE 754, section 6.3: -0 + 0 is +0)."""
    return value + 0.0


def is_minus_zero(value: float | None) -> bool:
    """Whether it is a zero with the sign minus."""
    return value == 0 and math.copysign(1.0, value) < 0


def plain_lines(lines: bytes) -> bytes:
    """Lines of a CSV file with 0.0 in the place of -0.0; each of these is a byte shorter."""
    return _CELL.sub(b"0.0", lines) if _BEGINNING in lines else lines


def cells(line: bytes) -> int:
    """How often -0.0 stands in the line."""
    return len(line) - len(plain_lines(line))


def note(number: int) -> str:
    """That so many values of a file are -0.0; nothing for none."""
    if not number:
        return ""
    text = ngettext(
        "{n} value is -0.0, for which the database has 0.0",
        "{n} values are -0.0, for which the database has 0.0",
        number,
    )
    return text.format(n=number)
