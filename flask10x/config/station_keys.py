"""The keys of `stations.toml`: what each may be, what it is without one, and what it becomes."""

import re
import unicodedata
from gettext import gettext as _
from typing import Any

from flask10x.config import readers
from flask10x.config.readers import altitude_wanted
from flask10x.config.toml import Key, line, number, one_of, switch, whole, wrong
from flask10x.readings.bands import LEVELS
from flask10x.readings.derived import HIGHEST_M, LOWEST_M
from flask10x.readings.numbers import CASE_FREE, KNOWN, OTHER_UNITS, SAME

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


def itself(name: str) -> str:
    """The default of what is called like its table."""
    return name


def csv_file_of(endpoint: str) -> str:
    """The CSV file of a station that names none."""
    return f"{endpoint}.csv"


STATION_KEYS = (
    Key(name="label", field="label", read=label, default=itself),
    Key(name="label_ja", field="label_ja", read=label),
    Key(name="csv_file", field="csv_name", read=csv_file, default=csv_file_of, fixed=True),
    Key(name="interval_sec", field="interval_sec", read=whole(1, 1_000_000)),
    Key(name="partial", field="accepts_partial", read=partial),
    Key(name="repeat_window_sec", field="repeat_window_sec", read=whole(0, 86_400)),
    Key(name="retention_days", field="retention_days", read=readers.retention_days_of_station),
    Key(name="ambient_channel", field="ambient_channel", read=channel),
    Key(name="mqtt_topic", field="mqtt_topic", read=topic),
    Key(name="influx", field="influx", read=name),
    Key(name="influx_tags", field="influx_tags", read=tags),
    Key(name="outside", field="outside", read=switch),
    Key(name="altitude_m", field="altitude_m", read=altitude),
)
MEASUREMENT_KEYS = (
    Key(name="path", field="path", read=path, default=itself, fixed=True),
    Key(name="aliases", field="aliases", read=paths),
    Key(name="partial_aliases", field="partial_aliases", read=paths),
    Key(name="quantity", field="quantity", read=quantity, default=itself, fixed=True),
    Key(name="label", field="label", read=label),
    Key(name="label_ja", field="label_ja", read=label),
    Key(
        name="unit",
        field="unit",
        read=unit,
        needed=True,
        missing=lambda: _('is missing; write unit = "" for a number without a unit'),
        fixed=True,
    ),
    Key(name="minimum", field="minimum", read=number),
    Key(name="maximum", field="maximum", read=number),
    Key(name="csv_header", field="csv_header", read=header, default=itself, fixed=True),
    Key(name="ambient", field="ambient", read=ambient_field),
    Key(name="influx", field="influx", read=name),
)
FAULT_KEYS = (
    Key(name="value", field="value", read=number, needed=True),
    Key(name="sensor", field="sensor", read=label, needed=True),
    Key(name="reason", field="code", read=reason),
    Key(name="warning_only", field="warning_only", read=switch),
)
BAND_KEYS = (
    Key(name="above", field="above", read=number),
    Key(name="below", field="below", read=number),
    Key(name="level", field="level", read=level),
    Key(name="label", field="label", read=label, needed=True),
    Key(name="label_ja", field="label_ja", read=label),
)
