"""Amounts of things and bytes, as the command line writes them."""

from collections.abc import Sequence
from gettext import gettext as _
from gettext import ngettext

# A line for people: enough to begin with.
SHOWN_NUMBERS = 5


def amount(number: int, thing: str) -> str:
    """`1 row`, `2 rows`, `0 rows`; the catalogue has each `thing` that is counted."""
    singular, plural = f"{{n}} {thing}", f"{{n}} {thing}s"
    return ngettext(singular, plural, number).format(n=number)


def megabytes(count: int) -> str:
    """`12.3 MB`, a megabyte being a million bytes."""
    return f"{count / 1e6:,.1f} MB"


def some(numbers: Sequence[int]) -> str:
    """The first of these numbers, and how many more there are: `3, 17, 20 and 5 more`."""
    first = ", ".join(map(str, numbers[:SHOWN_NUMBERS]))
    more = len(numbers) - SHOWN_NUMBERS
    return _("{numbers} and {n} more").format(numbers=first, n=more) if more > 0 else first


def size(count: float) -> str:
    """`12.3 GB`, `350 MB`, `12 KB`: of powers of ten, as cards are sold."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= length:
            number = count / length
            return f"{number:.1f} {unit}" if number < 100 else f"{number:,.0f} {unit}"  # noqa: PLR2004
    return f"{count:.0f} B"
