"""Amounts of things and bytes, as the command line writes them, and texts of others, safely."""

import re
from collections.abc import Sequence
from gettext import gettext as _
from gettext import ngettext

# A line for people: enough to begin with.
SHOWN_NUMBERS = 5

# Characters that break a line, steer a terminal, or show a line in another order than it has.
CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def amount(number: int, thing: str) -> str:
    """Return `1 row`, `2 rows`, `0 rows`; the catalogue has each `thing` that is counted."""
    singular, plural = f"{{n}} {thing}", f"{{n}} {thing}s"
    return ngettext(singular, plural, number).format(n=number)


def megabytes(count: int) -> str:
    """Return `12.3 MB`; a megabyte is a million bytes."""
    return f"{count / 1e6:,.1f} MB"


def some(numbers: Sequence[int]) -> str:
    """Return the first of these numbers, and how many more there are: `3, 17, 20 and 5 more`."""
    first = ", ".join(map(str, numbers[:SHOWN_NUMBERS]))
    more = len(numbers) - SHOWN_NUMBERS
    return _("{numbers} and {n} more").format(numbers=first, n=more) if more > 0 else first


def size(count: float) -> str:
    """Return `12.3 GB`, `350 MB` or `12 KB`, in powers of ten as cards are sold."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= length:
            number = count / length
            return f"{number:.1f} {unit}" if number < 100 else f"{number:,.0f} {unit}"  # noqa: PLR2004
    return f"{count:.0f} B"


def escape(text: str) -> str:
    r"""Return the text with characters that steer a screen or break its line as `\n`, `\x1b`."""
    # What nearly every line is, seen forty times as fast as by a search.
    if text.isascii() and text.isprintable():
        return text
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
