"""Values in `stations.toml`: each reader takes what `tomllib` gives and says what is wrong."""

import math
import re
import unicodedata
from collections.abc import Callable
from gettext import gettext as _
from typing import Any

from flask10x.errors import nearest
from flask10x.readings.units import CASE_FREE, KNOWN, OTHER_UNITS, SAME

# Names of columns and of quantities; a path of a station may have a hyphen too.
# Two _ divide a column from the operator of a filter: `co2__gte=1000`.
COLUMN = re.compile(r"(?!.*__)[a-z][a-z0-9_]{0,31}")
ENDPOINT = re.compile(r"[a-z][a-z0-9_-]{0,31}")
AMBIENT_FIELDS = tuple(f"d{number}" for number in range(1, 9))
# Long enough for any sensor's, short enough for an answer and a line of the queue.
PATH_CHARS = 64
LABEL_CHARS = 64
UNIT_CHARS = 16
TOPIC_CHARS = 200
MAX_ALIASES = 8
MAX_TAGS = 8
# What a fault may mean (`readings/reasons.py`) -> whether its number is stored, with a warning.
FAULT_CODES = {
    "fault_value": False,
    "fault_value_kept": True,
    "sensor_silent": False,
    "program_silent": False,
    "after_power_on": True,
}
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


def table(raw: Any) -> dict[str, Any]:
    """A table."""
    if not isinstance(raw, dict):
        raise wrong(raw, _("a table is needed"))
    return raw


def label(raw: Any) -> str:
    """A text for people, in one line."""
    return _text(raw, LABEL_CHARS)


def name(raw: Any) -> str:
    """A name that a protocol gives to something."""
    return _text(raw, PATH_CHARS)


def _text(raw: Any, longest: int) -> str:
    plain = isinstance(raw, str) and all(c.isprintable() or c == WIDE_SPACE for c in raw)
    if not plain or not 1 <= len(raw) <= longest or raw != raw.strip():
        wanted = _("a text of 1 to {n} characters is needed, in one line, no blank at either end")
        raise wrong(raw, wanted.format(n=longest))
    text: str = raw
    return text


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


def partial(raw: Any) -> bool:
    """Whether incomplete readings are accepted."""
    return _one_of(raw, ["reject", "accept"]) == "accept"


def reason(raw: Any) -> str:
    """A code of FAULT_CODES."""
    return _one_of(raw, [*FAULT_CODES])


def ambient_field(raw: Any) -> str:
    """One of Ambient's `d1` to `d8`."""
    return _one_of(raw, [*AMBIENT_FIELDS])


def _one_of(raw: Any, words: list[str]) -> str:
    if raw not in words:
        wanted = _("one of {words} is needed").format(words=", ".join(words))
        raise wrong(raw, nearly(wanted, raw, words) if isinstance(raw, str) else wanted)
    return str(raw)


def csv_file(raw: Any) -> str:
    """The name of a CSV file, without a folder."""
    if not isinstance(raw, str) or not re.fullmatch(r"\w[\w.-]{0,59}\.csv", raw):
        raise wrong(raw, _("a name such as Balcony.csv is needed, without a folder"))
    return raw


def channel(raw: Any) -> str:
    """The number of a channel of Ambient's, as a text or a number."""
    text = raw if isinstance(raw, str) else str(raw) if type(raw) is int else ""
    if not re.fullmatch(r"[0-9]{1,20}", text):
        raise wrong(raw, _("the number of a channel is needed"))
    return text


def topic(raw: Any) -> str:
    """A topic of MQTT, without wildcards: it stands for one station."""
    if not isinstance(raw, str) or set(raw) & set("+#"):
        raise wrong(raw, _("a topic such as home/balcony is needed, without + and #"))
    return _text(raw, TOPIC_CHARS)


def tags(raw: Any) -> tuple[tuple[str, str], ...]:
    """Tags of the line protocol and their values."""
    if not isinstance(raw, dict) or len(raw) > MAX_TAGS:
        wanted = _("tags such as {example} are needed, at most {n}")
        raise wrong(raw, wanted.format(example='{ node = "esp8266-123" }', n=MAX_TAGS))
    return tuple((name(tag), name(value)) for tag, value in raw.items())


def path(raw: Any) -> str:
    """Where a body holds a number: `temperature`, or `env.temperature` in an object."""
    if not isinstance(raw, str) or not all(raw.split(".")) or re.search(r"\s", raw):
        raise wrong(raw, _("the name of a field is needed, dots between the objects: env.co2"))
    return _text(raw, PATH_CHARS)


def paths(raw: Any) -> tuple[str, ...]:
    """Several of them."""
    if not isinstance(raw, list) or len(raw) > MAX_ALIASES:
        wanted = _('a list such as ["temp", "env.t"] is needed, of {n} at most')
        raise wrong(raw, wanted.format(n=MAX_ALIASES))
    return tuple(path(entry) for entry in raw)


def quantity(raw: Any) -> str:
    """What is measured."""
    if not isinstance(raw, str) or not COLUMN.fullmatch(raw):
        raise wrong(raw, column_wanted())
    return raw


def column_wanted() -> str:
    """What the name of a column has to be."""
    return _("small letters a to z, digits and single _ are needed, a letter first, 32 at most")


def endpoint_wanted() -> str:
    """What the path of a station has to be."""
    return _("small letters a to z, digits, - and _ are needed, a letter first, 32 at most")


def header(raw: Any) -> str:
    """A heading of a CSV file."""
    text = _text(raw, LABEL_CHARS)
    if set(text) & set(',"') or text == "current_time":
        raise wrong(raw, _("a heading without commas and quotes is needed, not current_time"))
    return text


def unit(raw: Any) -> str:
    """A unit that senders' texts are converted to, any other text, or empty for none."""
    if raw == "":
        return ""
    text = _text(raw, UNIT_CHARS)
    if re.match(r"[0-9.,+-]", text):
        raise wrong(raw, _("a unit begins with no digit, sign or point"))
    if (known := same_unit(text)) not in ("", text):
        raise wrong(raw, _("write it {unit}").format(unit=f'"{known}"'))
    return text


def same_unit(text: str) -> str:
    """The known unit of which this is another spelling; empty for none."""
    plain = unicodedata.normalize("NFKC", text)
    if plain in OTHER_UNITS:
        return ""
    for known, spellings in KNOWN.items():
        same = [spelling for spelling, how in spellings.items() if how is SAME]
        if plain in same or (known in CASE_FREE and plain.lower() in map(str.lower, same)):
            return known
    return ""
