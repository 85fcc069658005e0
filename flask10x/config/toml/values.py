"""Values in a TOML file: each reader takes what `tomllib` gives and says what is wrong with it."""

import math
import re
from collections.abc import Callable
from gettext import gettext as _
from typing import Any

from flask10x.errors import nearest

# The space of Japanese texts, which Python does not count among what can be printed.
WIDE_SPACE = "\u3000"
SHOWN_CHARS = 60


class WrongEntry(ValueError):
    """A value is not what its key needs; the text says what is needed instead."""


def wrong(raw: Any, wanted: str) -> WrongEntry:
    """The refusal of a value, which it shows."""
    shown = repr(raw)
    if len(shown) > SHOWN_CHARS:
        shown = shown[:SHOWN_CHARS] + "…"
    return WrongEntry(_("is {value}: {wanted}").format(value=shown, wanted=wanted))


def nearly(text: str, name: str, known: list[str]) -> str:
    """The text, with the known name that was probably meant."""
    near = nearest(name.lower(), known)
    return text + (_(" (did you mean {name}?)").format(name=near) if near else "")


def nearly_right(name: str, pattern: re.Pattern[str], wanted: str) -> str:
    """What a name has to be, with this one made so."""
    right = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return nearly(wanted, right, [right]) if pattern.fullmatch(right) else wanted


def table(raw: Any) -> dict[str, Any]:
    """A table."""
    if not isinstance(raw, dict):
        raise wrong(raw, _("a table is needed"))
    return raw


def line(longest: int) -> Callable[[Any], str]:
    """A text in one line of at most so many characters, without blanks around it."""

    def read(raw: Any) -> str:
        plain = isinstance(raw, str) and all(c.isprintable() or c == WIDE_SPACE for c in raw)
        if not plain or not 1 <= len(raw) <= longest or raw != raw.strip():
            wanted = _(
                "a text of 1 to {n} characters is needed, in one line, no blank at either end"
            )
            raise wrong(raw, wanted.format(n=longest))
        text: str = raw
        return text

    return read


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A whole number within these limits, both included."""

    def read(raw: Any) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int) or not low <= raw <= high:
            wanted = _("a whole number from {low} to {high} is needed")
            raise wrong(raw, wanted.format(low=low, high=high))
        return raw

    return read


def number(raw: Any) -> float:
    """A finite number, as it stands there."""
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not _is_finite(raw):
        raise wrong(raw, _("a number is needed"))
    return raw


def _is_finite(raw: float) -> bool:
    try:
        return math.isfinite(raw)
    except OverflowError:
        return False


def switch(raw: Any) -> bool:
    """True or false."""
    if not isinstance(raw, bool):
        raise wrong(raw, _("true or false is needed"))
    return raw


def one_of(words: list[str]) -> Callable[[Any], str]:
    """One of these words."""

    def read(raw: Any) -> str:
        if raw not in words:
            wanted = _("one of {words} is needed").format(words=", ".join(words))
            raise wrong(raw, nearly(wanted, raw, words) if isinstance(raw, str) else wanted)
        return str(raw)

    return read
