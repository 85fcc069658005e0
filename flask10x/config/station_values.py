"""Values in `stations.toml`: each reader takes what `tomllib` gives and says what is wrong."""

import re
import unicodedata
from gettext import gettext as _
from typing import Any

from flask10x.config.readers.altitude import altitude_wanted
from flask10x.config.toml.values import line, one_of, wrong
from flask10x.readings.bands import LEVELS
from flask10x.readings.derived.kinds import HIGHEST_M, LOWEST_M
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


def label(raw: Any) -> str:
    """A text for people, in one line."""
    return line(LABEL_CHARS)(raw)


def name(raw: Any) -> str:
    """A name that a protocol gives to something."""
    return line(PATH_CHARS)(raw)


def partial(raw: Any) -> bool:
    """Whether incomplete readings are accepted."""
    return one_of(["reject", "accept"])(raw) == "accept"


def reason(raw: Any) -> str:
    """A code of FAULT_CODES."""
    return one_of([*FAULT_CODES])(raw)


def level(raw: Any) -> str:
    """How bad a band is, one of LEVELS."""
    return one_of([*LEVELS])(raw)


def ambient_field(raw: Any) -> str:
    """One of Ambient's `d1` to `d8`."""
    return one_of([*AMBIENT_FIELDS])(raw)


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


def altitude(raw: Any) -> float:
    """Metres above sea level."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise wrong(raw, altitude_wanted())
    if not LOWEST_M <= raw <= HIGHEST_M:
        raise wrong(raw, altitude_wanted())
    return raw


def topic(raw: Any) -> str:
    """A topic of MQTT, without wildcards: it stands for one station."""
    if not isinstance(raw, str) or set(raw) & set("+#"):
        raise wrong(raw, _("a topic such as home/balcony is needed, without + and #"))
    return line(TOPIC_CHARS)(raw)


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
    return line(PATH_CHARS)(raw)


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
    text = line(LABEL_CHARS)(raw)
    if set(text) & set(',"') or text == "current_time":
        raise wrong(raw, _("a heading without commas and quotes is needed, not current_time"))
    return text


def unit(raw: Any) -> str:
    """A unit that senders' texts are converted to, any other text, or empty for none."""
    if raw == "":
        return ""
    text = line(UNIT_CHARS)(raw)
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
